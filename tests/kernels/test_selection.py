"""Which kernel an operation takes, and what the program that is compiled from it holds."""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc import kernels

X4 = jax.ShapeDtypeStruct((512, 4, 4), jnp.float32)
LIBRARY = re.compile("getrf|potrf|trsm")
KERNEL = re.compile(r"ROOT \S+ = \((?:f32\[\d+\]\S*,? ?(?:/\*index=\d+\*/)?){4,}\) reduce\(")


def program(f, *args):
    return str(jax.jit(f).lower(*args).compile().as_text())


def matrices(shape, dtype="float32"):
    X = np.random.default_rng(0).normal(size=shape)
    return jnp.asarray(X + 3 * np.eye(shape[-1]), dtype)


@pytest.mark.parametrize(
    ("shape", "dtype", "chosen"),
    [
        ((256, 4, 4), "float32", True),
        ((2, 128, 8, 8), "float64", True),
        ((255, 4, 4), "float32", False),
        ((4096, 9, 9), "float32", False),
        ((4096, 3, 3), "complex64", False),
        ((4096, 0, 0), "float32", False),
        ((0, 3, 3), "float32", False),
        ((3, 3), "float32", True),
        ((4, 4), "float32", False),
        ((100, 2, 2), "float64", True),
    ],
    ids=str,
)
def test_selection_on_a_cpu(shape, dtype, chosen):
    for implementation in (None, "xla"):
        found = kernels.select("lu_pivots", shape, jnp.dtype(dtype), implementation)
        assert ("cpu" in found) == chosen
    assert kernels.select("expm", shape, jnp.dtype(dtype), "xla") == {}


def test_accelerators_are_chosen_for_at_tracing():
    assert {"cuda", "tpu"} <= set(kernels.select("lu_pivots", (4096, 4, 4), jnp.float32))
    assert set(kernels.select("lu_pivots", (4096, 4, 4), jnp.float32, "xla")) == {"cpu"}
    assert "cpu" not in kernels.select("lu_pivots", (4096, 4, 4), jnp.float32, "pallas")


@pytest.mark.parametrize("f", [jmc.logdet, jmc.slogdet, jmc.det, jmc.inv, jmc.solve, jmc.inv_quad])
def test_words_for_mistakes(f):
    rest = (jnp.ones((2, 1)),) if f in (jmc.solve, jmc.inv_quad) else ()
    with pytest.raises(ValueError, match="needs implementation to be None"):
        f(jnp.eye(2), *rest, implementation="triton")


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (jnp.eye(3, dtype=jnp.complex64), "complex64"),
        (jnp.eye(64, dtype=jnp.float32), "64 × 64"),
    ],
    ids=["complex", "large"],
)
def test_a_kernel_declines_with_its_reason(X, words):
    with pytest.raises(ValueError, match=f'implementation="pallas" needs a kernel, but .*{words}'):
        jmc.logdet(X, implementation="pallas")


def test_plain_xla_is_the_same(float_dtype):
    X = matrices((300, 3, 3), float_dtype)
    np.testing.assert_array_equal(jmc.logdet(X), jmc.logdet(X, implementation="xla"))


@pytest.mark.parametrize("f", [jmc.logdet, lambda X: jmc.inv(X).sum((-2, -1))])
def test_mapping_an_operation_sees_the_whole_batch(f):
    for g, X in (
        (jax.vmap(f), X4),
        (jax.vmap(jax.vmap(f)), jax.ShapeDtypeStruct((2, 256, 4, 4), jnp.float32)),
        (jax.vmap(jax.grad(f)), X4),
        (lambda X: jax.grad(lambda X: f(X).sum())(X), X4),
    ):
        text = program(g, X)
        assert KERNEL.search(text)
        assert not LIBRARY.search(text)
    few = jax.ShapeDtypeStruct((16, 4, 4), jnp.float32)
    assert not KERNEL.search(program(jax.vmap(f), few))


@pytest.mark.parametrize("assume_a", ["gen", "pos"])
def test_value_and_gradient_are_one_elimination(assume_a):
    """In the program that XLA is given, for it takes seconds to find that two are one."""
    X5 = jax.ShapeDtypeStruct((512, 5, 5), jnp.float32)
    for f in (jmc.logdet, lambda *args: jmc.slogdet(*args)[1]):
        gradient = jax.vmap(jax.value_and_grad(lambda X, f=f: f(X, assume_a)))
        assert jax.jit(gradient).lower(X5).as_text().count("stablehlo.optimization_barrier") == 1
    assert len(KERNEL.findall(program(gradient, X5))) == 1


def test_matrices_last_stay_where_they_are():
    """`vmap` over the last axis is the layout of the kernels: nothing is transposed."""
    X = jnp.asarray(np.moveaxis(matrices((300, 4, 4)), 0, -1))
    for f, out in ((jmc.inv, -1), (jmc.logdet, 0)):
        mapped = jax.vmap(f, in_axes=-1, out_axes=out)
        entry = program(mapped, X).partition("ENTRY")[2]
        assert not re.search(
            r"= f32\[[\d,]*4,4[\d,]*\]\S* (?:copy|transpose)|transpose\w* =", entry
        )
        expected = np.moveaxis(f(jnp.moveaxis(X, -1, 0)), 0, out)
        np.testing.assert_array_equal(mapped(X), expected)


def test_many_right_hand_sides_of_one_matrix_are_one_solve():
    def columns(f, A):
        return jax.make_jaxpr(jax.vmap(f, (None, 0)))(A, jnp.ones((300, 3)))

    A = matrices((3, 3))
    text = str(columns(jmc.solve, A))
    assert "300,3,3" not in text
    B = np.random.default_rng(1).normal(size=(7, 3)).astype("float32")
    found = jax.vmap(jmc.solve, (None, 0))(A, B)
    np.testing.assert_allclose(found, np.linalg.solve(A, B.T).T, rtol=1e-5)


def test_the_program_stays_small():
    counts = []
    for n in (5, 8):
        X = jax.ShapeDtypeStruct((512, n, n), jnp.float32)
        f = lambda X: jax.value_and_grad(lambda X: jmc.logdet(X).sum())(X)  # noqa: E731
        jaxpr = jax.jit(f).lower(X).as_text()
        counts.append(jaxpr.count("\n"))
    assert counts[1] < 5 * counts[0]  # n³ grows by 4.1


def test_derivatives_through_the_kernel(float_dtype):
    X = matrices((260, 3, 3), float_dtype)
    for f, g in [
        (jmc.logdet, lambda X: jnp.linalg.slogdet(X)[1]),
        (lambda X: jmc.inv(X).sum(), lambda X: jnp.linalg.inv(X).sum()),
        (lambda X: jmc.solve(X, X[0]).sum(), lambda X: jnp.linalg.solve(X, X[0]).sum()),
    ]:
        actual = jax.jit(jax.vmap(jax.hessian(f)))(X)
        expected = jax.vmap(jax.hessian(g))(X)
        tolerance = 1e3 * float(jnp.finfo(float_dtype).eps)
        np.testing.assert_allclose(
            actual, expected, rtol=tolerance, atol=tolerance * float(jnp.abs(expected).max())
        )


def test_a_singular_matrix_in_a_large_batch(float_dtype):
    X = jnp.broadcast_to(2 * jnp.eye(3, dtype=float_dtype), (300, 3, 3)).at[7].set(1)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(jmc.logdet)))(X)
    assert value[7] == -jnp.inf
    np.testing.assert_array_equal(gradient[7], 0)
    np.testing.assert_allclose(gradient[6], np.eye(3) / 2)
    assert np.isposinf(jmc.inv(X)[7]).all()


SHARDED = """
import re
import jax, jax.numpy as jnp, numpy as np
import jaxmatcalc as jmc
from jax.sharding import NamedSharding, PartitionSpec as P

mesh = jax.make_mesh((2,), ("b",), axis_types=(jax.sharding.AxisType.Auto,))
part = NamedSharding(mesh, P("b"))
f = jax.vmap(jax.value_and_grad(jmc.logdet))
for n in (2, 5):
    X = np.random.default_rng(0).normal(size=(1024, n, n))
    X = jnp.asarray(X + 5 * np.eye(n), jnp.float32)
    mapped = jax.shard_map(f, mesh=mesh, in_specs=P("b"), out_specs=P("b"))
    for g in (f, mapped):
        compiled = jax.jit(g, in_shardings=part, out_shardings=part).lower(X).compile()
        assert not re.search("all-|collective-", compiled.as_text()), n
        found = compiled(jax.device_put(X, part))
        expected = np.linalg.slogdet(X)[1], np.linalg.inv(X).swapaxes(1, 2)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)

def loss(A, B):
    return jnp.sum(jmc.solve(A, B))

# on each device a part of the matrices, and all of the right-hand sides; and the reverse
for A, B, specs, whole in (
    (X, X[:512, :, :2], (P("b"), P()), lambda A, B: loss(A, jnp.tile(B, (2, 1, 1)))),
    (X[:512], X[..., :2], (P(), P("b")), lambda A, B: loss(jnp.tile(A, (2, 1, 1)), B)),
):
    mapped = jax.shard_map(jax.grad(loss, (0, 1)), mesh=mesh, in_specs=specs, out_specs=specs)
    for a, b in zip(jax.jit(mapped)(A, B), jax.grad(whole, (0, 1))(A, B), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
"""


def test_a_sharded_batch_stays_where_it_is():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", SHARDED], check=True, env={**os.environ, **flags})


@pytest.mark.parametrize("f", [jmc.symmetric, jmc.eigvalsh, jmc.cholesky])
def test_orders_that_are_not_known_when_a_program_is_exported(f):
    (n,) = jax.export.symbolic_shape("n")
    X = jnp.eye(5) + 0.1
    exported = jax.export.export(jax.jit(f))(jax.ShapeDtypeStruct((n, n), X.dtype))
    np.testing.assert_allclose(exported.call(X), f(X), rtol=1000 * jnp.finfo(X.dtype).eps)


@pytest.mark.parametrize("assume_a", ["gen", "pos"])
def test_batches_that_are_not_known_when_a_program_is_exported(assume_a):
    def f(X):
        gradient = jax.grad(lambda X: jnp.sum(jmc.logdet(X, assume_a)))(X)
        return gradient + jmc.solve(X, X + 1, assume_a) + jmc.inv(X, assume_a)

    (b,) = jax.export.symbolic_shape("b")
    X = jnp.eye(3) + 0.1 * jnp.arange(3)[:, None, None]
    exported = jax.export.export(jax.jit(f))(jax.ShapeDtypeStruct((b, 3, 3), X.dtype))
    np.testing.assert_allclose(exported.call(X), f(X), rtol=1000 * jnp.finfo(X.dtype).eps)
