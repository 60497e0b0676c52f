"""Elimination in lanes against float64 LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import kernels, ops
from jaxmatcalc.kernels import lu

BATCH = 300
sizes = pytest.mark.parametrize("n", [1, 2, 3, 4])


def samples(n):
    """Batches of matrices by kind, in float64."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(BATCH, n, n))
    zero = X.copy()
    zero[:, 0, 0] = 0
    scales = 10.0 ** rng.integers(-3, 4, size=(BATCH, n, 1))
    return {
        "random": X,
        "permuted": rng.permuted(np.broadcast_to(np.eye(n), X.shape), axis=1) + 1e-3 * X,
        "zero leading pivot": zero if n > 1 else X,
        "badly scaled rows": X * scales,
    }


@pytest.fixture(scope="module")
def compiled():
    return jax.jit(lu.pivots), jax.jit(lu.inverse)


@sizes
@pytest.mark.parametrize("kind", samples(1))
def test_accuracy_is_of_lapacks_class(n, kind, compiled, float_dtype):
    X = jnp.asarray(samples(n)[kind], float_dtype)
    pivots, inverse = compiled
    eps = float(jnp.finfo(float_dtype).eps)
    sign, logabsdet = np.linalg.slogdet(np.asarray(X, np.float64))
    found = np.asarray(pivots(X), np.float64)
    condition = np.linalg.cond(np.asarray(X, np.float64))

    known = condition < 0.01 / eps
    np.testing.assert_array_equal(np.prod(np.sign(found), -1)[known], sign[known])
    error = np.abs(np.log(np.abs(found)).sum(-1) - logabsdet)
    assert (error <= 20 * n * eps * np.maximum(condition, 1 + np.abs(logabsdet)))[known].all()

    Y = np.asarray(inverse(X), np.float64)
    exact = np.linalg.inv(np.asarray(X, np.float64))
    error = np.abs(Y - exact).max((1, 2)) / np.abs(exact).max((1, 2))
    assert (error <= 20 * n * eps * condition).all()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_pivots_are_chosen_as_lapack_chooses_them(n, float_dtype):
    X = jnp.asarray(samples(n)["random"], float_dtype)
    factored, _, _ = jax.lax.linalg.lu(X)
    diagonal = np.diagonal(np.asarray(factored), axis1=-2, axis2=-1)
    np.testing.assert_allclose(np.abs(lu.pivots(X)), np.abs(diagonal), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_singular_matrices_do_not_harm_their_neighbours(n, compiled, float_dtype):
    X = np.array(samples(n)["random"])
    X[::3] = np.diag(np.arange(n))
    X = jnp.asarray(X, float_dtype)
    pivots, inverse = compiled
    assert (np.asarray(pivots(X))[::3] == 0).any(-1).all()
    assert (np.asarray(pivots(X))[1::3] != 0).all()
    assert not np.isfinite(np.asarray(inverse(X))[::3]).all((1, 2)).any()
    assert np.isfinite(np.asarray(inverse(X))[1::3]).all()


@pytest.mark.parametrize("batch", [(300,), (3, 100), (2, 3, 50)])
def test_leading_axes(batch, float_dtype):
    X = jnp.asarray(samples(3)["random"].reshape(*batch, 3, 3), float_dtype)
    assert lu.pivots(X).shape == (*batch, 3)
    np.testing.assert_allclose(lu.inverse(X)[(0,) * len(batch)], lu.inverse(X).reshape(-1, 3, 3)[0])


@pytest.mark.parametrize(
    ("shape", "dtype", "chosen"),
    [
        ((256, 4, 4), "float32", True),
        ((2, 128, 3, 3), "float64", True),
        ((255, 4, 4), "float32", False),
        ((4096, 5, 5), "float32", False),
        ((4096, 3, 3), "complex64", False),
        ((4096, 0, 0), "float32", False),
        ((0, 3, 3), "float32", False),
        ((3, 3), "float32", False),
    ],
    ids=str,
)
def test_selection(shape, dtype, chosen):
    for operation in ("pivots", "inverse"):
        assert (kernels.select(operation, shape, jnp.dtype(dtype)) is not None) == chosen
    assert kernels.select("expm", shape, jnp.dtype(dtype)) is None


@pytest.mark.parametrize("f", [ops.logdet, ops.det, lambda X: ops.inv(X).sum((-2, -1))])
def test_mapping_an_operation_sees_the_whole_batch(f):
    X = jax.ShapeDtypeStruct((512, 4, 4), jnp.float32)
    for program in (
        jax.vmap(f),
        jax.vmap(jax.grad(f)),
        lambda X: jax.grad(lambda X: f(X).sum())(X),
    ):
        main = jax.jit(program).lower(X).compile().as_text()
        assert "getrf" not in main[main.index("\nENTRY") :]
    few = jax.ShapeDtypeStruct((16, 4, 4), jnp.float32)
    assert "getrf" in jax.jit(jax.vmap(f)).lower(few).compile().as_text()


def test_derivatives_through_the_kernel(float_dtype):
    X = jnp.asarray(samples(3)["random"] + 4 * np.eye(3), float_dtype)
    for f, g in [
        (ops.logdet, lambda X: jnp.linalg.slogdet(X)[1]),
        (ops.det, jnp.linalg.det),
        (lambda X: ops.inv(X).sum(), lambda X: jnp.linalg.inv(X).sum()),
    ]:
        for order in (jax.grad, jax.hessian):
            actual, expected = (jax.jit(jax.vmap(order(h)))(X) for h in (f, g))
            tolerance = 1e3 * float(jnp.finfo(float_dtype).eps)
            np.testing.assert_allclose(
                actual, expected, rtol=tolerance, atol=tolerance * float(jnp.abs(expected).max())
            )


def test_a_singular_matrix_in_a_large_batch(float_dtype):
    X = jnp.broadcast_to(2 * jnp.eye(3, dtype=float_dtype), (300, 3, 3)).at[7].set(1)
    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(ops.logdet)))(X)
    assert value[7] == -jnp.inf
    np.testing.assert_array_equal(gradient[7], 0)
    np.testing.assert_allclose(gradient[6], np.eye(3) / 2)
    assert np.isposinf(ops.inv(X)[7]).all()
