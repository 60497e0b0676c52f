"""Parts of a program that a CPU's compiler keeps as calls of their own."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import jaxmatcalc as jmc
from jaxmatcalc.kernels import lanes, transposes, xla
from jaxmatcalc.kernels.apart import apart


def shifted(X):
    return jnp.where(X > 0, jnp.swapaxes(X, -1, -2) + 1, 0)


def f(X):
    return apart(shifted, X) * 2 + apart(shifted, X + 1)


def reference(X):
    return shifted(X) * 2 + shifted(X + 1)


X3 = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 5)))


def calls(g, *args):
    return jax.jit(g).lower(*args).compile().as_text().count(" call(")


def test_calls_stay_and_what_they_call_does_not():
    lowered = jax.jit(f).lower(X3)
    assert lowered.as_text().count('inlineable = "false"') == 2
    assert lowered.as_text().count("func.func private @shifted") == 1  # one program, called twice
    assert calls(f, X3) == 2


def test_under_transformations():
    np.testing.assert_array_equal(jax.vmap(f)(X3), reference(X3))
    assert calls(jax.vmap(f), X3) == 2
    for derivative in (jax.jacfwd, jax.jacrev, jax.hessian):
        found, wanted = (derivative(lambda X, g=g: jnp.sum(g(X) ** 3))(X3) for g in (f, reference))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    exported = jax.export.export(jax.jit(f))(X3)
    np.testing.assert_allclose(exported.call(X3), reference(X3), rtol=1e-12)


def test_sharded_batches_are_not_gathered():
    mesh = jax.make_mesh((len(jax.devices()),), ("b",))
    X = jax.device_put(
        jnp.tile(X3, (len(jax.devices()), 1, 1)), NamedSharding(mesh, PartitionSpec("b"))
    )
    compiled = jax.jit(f).lower(X).compile()
    assert "all-gather" not in compiled.as_text()
    np.testing.assert_allclose(compiled(X), reference(X), rtol=1e-12)


def test_a_kernel_that_nobody_reads_compiles():
    """XLA (JAX 0.10.2, 0.12.0.1) ended the process where the branch that reads it is not taken."""
    X = jnp.ones((4, 4, 300), jnp.float32)

    def either(X):
        factors = xla.run(lanes.lu_factors, [(4, 4), (1, 4)], X)
        return jax.lax.platform_dependent(
            X, factors, cpu=lambda X, factors: X, default=lambda X, factors: factors[0]
        )

    np.testing.assert_array_equal(jax.jit(either)(X), X)


def test_large_transposes():
    X = jnp.asarray(np.random.default_rng(1).normal(size=(3, 300, 250)))
    for order in ((0, 2, 1), (2, 0, 1), (0, 1, 2)):
        found = jax.jit(lambda X, order=order: transposes.transposed(X, order) + 1)(X)
        np.testing.assert_array_equal(found, np.transpose(X, order) + 1)


def test_large_transposes_keep_structure():
    def f(X):
        return jmc.logdet(jmc.symmetric(X), assume_a="pos")

    small, large = (jax.eval_shape(jmc.hessian_operator(f), jnp.eye(n)) for n in (20, 260))
    assert large.structure.kind == small.structure.kind == "kronecker + kronecker+commutation"
