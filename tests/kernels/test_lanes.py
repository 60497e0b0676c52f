"""Lane-wise bodies, run by XLA, against NumPy in float64 and against LAPACK's backward error."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import kernels
from jaxmatcalc.kernels import exchanges, lanes, xla

BATCH = 37  # ragged: no multiple of a vector
SIZES = [1, 2, 3, 5]
sizes = pytest.mark.parametrize("n", SIZES)


def samples(n):
    """Batches of matrices by kind, in float64."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(BATCH, n, n))
    zero = X.copy()
    zero[:, 0, 0] = 0 if n > 1 else 1
    U, _, Vh = np.linalg.svd(X)
    nearly = X.copy()
    nearly[:, :, -1] = nearly[:, :, 0] * (1 if n > 1 else 2) + 1e-5 * X[:, :, -1]
    return {
        "random": X,
        "permuted": rng.permuted(np.broadcast_to(np.eye(n), X.shape), axis=1) + 1e-3 * X,
        "zero leading pivot": zero,
        "badly scaled rows": X * 10.0 ** rng.integers(-3, 4, size=(BATCH, n, 1)),
        "graded": X * 10.0 ** -np.arange(n),
        "ill-conditioned": (U * 10.0 ** np.linspace(0, -5, n)) @ Vh,
        "dependent columns": nearly,
        "growing": np.broadcast_to(np.tril(-np.ones((n, n)), -1) + np.eye(n), X.shape)
        + np.eye(n)[:, -1:] * (np.arange(n) == n - 1)
        + 1e-2 * X,
    }


@functools.cache
def compiled(name, columns=0):
    """A body as a function of matrices (..., n, n)."""

    @jax.jit
    def f(*arrays):
        n = arrays[0].shape[-1]
        outs = kernels._shapes(name, n, columns)
        innermost = [jnp.moveaxis(X, 0, -1) for X in arrays]
        return [jnp.moveaxis(Y, -1, 0) for Y in xla.run(getattr(lanes, name), outs, *innermost)]

    return f


def residual(A, X, B):
    """The backward error of each column of X, in the maximum norm."""
    A, X, B = (np.asarray(M, np.float64) for M in (A, X, B))
    size = np.abs(A).sum(-1).max(-1)[:, None] * np.abs(X).max(-2)
    return (np.abs(A @ X - B).max(-2) / np.where(size == 0, 1, size)).max(-1)


@sizes
def test_backward_error_is_lapacks(n, float_dtype):
    eps = float(jnp.finfo(float_dtype).eps)
    identity = np.broadcast_to(np.eye(n), (BATCH, n, n))
    b = np.random.default_rng(1).normal(size=(BATCH, n, 2)).astype(float_dtype)
    for kind, sample in samples(n).items():
        X = np.asarray(sample, float_dtype)
        pivots, inverse = compiled("lu_pivots_inverse")(X)
        (solution,) = compiled("lu_solve", 2)(X, b)
        for found, theirs, B in (
            (inverse, np.linalg.inv(X), identity),
            (solution, np.linalg.solve(X, b), b),
        ):
            allowed = 4 * max(residual(X, theirs, B).max(), eps)
            assert residual(X, found, B).max() <= allowed, kind

        sign, logabsdet = np.linalg.slogdet(X.astype(np.float64))
        condition = np.linalg.cond(X.astype(np.float64))
        known = condition < 0.01 / eps
        pivots = np.asarray(pivots, np.float64)[:, 0]
        np.testing.assert_array_equal(np.prod(np.sign(pivots), -1)[known], sign[known])
        error = np.abs(np.log(np.abs(pivots)).sum(-1) - logabsdet)
        assert (error <= 10 * n * eps * np.maximum(condition, 1 + np.abs(logabsdet)))[known].all()
        alone = compiled("lu_pivots")(X)[0]
        np.testing.assert_allclose(alone[:, 0], pivots, rtol=100 * n * eps * condition.max())


@sizes
def test_factors_multiply_to_the_matrix(n, float_dtype):
    eps = float(jnp.finfo(float_dtype).eps)
    for kind, sample in samples(n).items():
        X = np.asarray(sample, float_dtype)
        F, swaps = map(np.asarray, compiled("lu_factors")(X))
        L, U = np.tril(F, -1) + np.eye(n), np.triu(F)
        assert np.abs(L).max() <= 1, kind
        order = exchanges.followed(jnp.asarray(swaps[:, 0], np.int32), backwards=True)
        rows = np.take_along_axis(X, np.asarray(order)[:, :, None], axis=1)
        error = np.abs(L.astype(np.float64) @ U - rows).max((1, 2))
        assert (error <= 2 * n * eps * np.abs(U).max((1, 2))).all(), kind
        S = np.asarray(sample @ np.swapaxes(sample, 1, 2) + np.eye(n), float_dtype)
        (R,) = compiled("cholesky_upper")(S)
        np.testing.assert_array_equal(R, np.triu(R))
        theirs = np.swapaxes(np.linalg.cholesky(S), 1, 2)
        scale = np.abs(S).max((1, 2), keepdims=True) ** 0.5
        condition = np.linalg.cond(S.astype(np.float64)).max()
        assert (np.abs(R - theirs) <= 10 * n * eps * condition**0.5 * scale).all(), kind


@sizes
def test_positive_definite_matrices(n, float_dtype):
    eps = float(jnp.finfo(float_dtype).eps)
    b = np.random.default_rng(1).normal(size=(BATCH, n, 2)).astype(float_dtype)
    for kind in ("random", "graded", "badly scaled rows"):
        X = samples(n)[kind]
        S = np.asarray(X @ np.swapaxes(X, 1, 2) + 1e-2 * np.eye(n), float_dtype)
        roots, inverse = compiled("cholesky_roots_inverse")(S)
        (solution,) = compiled("cholesky_solve", 2)(S, b)
        expected = np.linalg.cholesky(S)
        np.testing.assert_allclose(
            roots[:, 0],
            np.diagonal(expected, axis1=1, axis2=2),
            rtol=50 * n * eps * np.linalg.cond(S.astype(np.float64)).max() ** 0.5,
        )
        np.testing.assert_array_equal(roots, compiled("cholesky_roots")(S)[0])
        for found, theirs, B in (
            (inverse, np.linalg.inv(S), np.broadcast_to(np.eye(n), S.shape)),
            (solution, np.linalg.solve(S, b), b),
        ):
            assert residual(S, found, B).max() <= 4 * max(residual(S, theirs, B).max(), eps), kind


@pytest.mark.parametrize("n", [2, 5])
def test_singular_and_indefinite_matrices_do_not_harm_their_neighbours(n, float_dtype):
    X = np.array(samples(n)["random"], float_dtype)
    X[::3] = np.diag(np.arange(n))
    pivots, inverse = map(np.asarray, compiled("lu_pivots_inverse")(X))
    assert (pivots[::3] == 0).any(-1).all() and np.isfinite(pivots).all()
    assert np.isposinf(inverse[::3]).all() and np.isfinite(inverse[1::3]).all()
    assert not np.isfinite(compiled("lu_solve", 2)(X, X[..., :2])[0][::3]).all()

    S = X @ np.swapaxes(X, 1, 2) + np.eye(n, dtype=X.dtype)
    S[::3] = np.diag(np.arange(n))
    for found in compiled("cholesky_roots_inverse")(S):
        assert np.isnan(found[::3]).all() and np.isfinite(found[1::3]).all()


def test_nan_stays_in_its_matrix(float_dtype):
    X = np.array(samples(5)["random"], float_dtype)
    X[4, 2, 1] = np.nan
    pivots, inverse = map(np.asarray, compiled("lu_pivots_inverse")(X))
    assert np.isnan(pivots[4]).any() and not np.isfinite(inverse[4]).all()
    assert np.isfinite(np.delete(inverse, 4, axis=0)).all()
