"""Kernels of a GPU, interpreted: values, ragged batches, what does not fit into registers."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import _jax
from jaxmatcalc.kernels import lanes, looped, mosaic

BATCH = 130  # a block of 128 threads, and one that is moved back to end with the batch


def matrices(n, batch):
    """Matrices (batch, n, n) of every kind that pivoting has to get right, one after the other."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(batch, n, n))
    X[1::5, 0, 0] = 0
    X[2::5] = np.eye(n)[rng.permutation(n)] + 1e-3 * X[2::5]
    X[3::5] *= 10.0 ** rng.integers(-3, 4, size=X[3::5].shape[:2])[..., None]
    return X


@pytest.fixture(params=["registers", "memory"])
def place(request, monkeypatch):
    """Where a kernel keeps its matrices; small ones are sent to memory, which costs less here."""
    if request.param == "memory":
        nothing = dict.fromkeys(looped.BODIES, 0)
        monkeypatch.setattr(mosaic, "_IN_REGISTERS", {"float32": nothing, "float64": nothing})
    return request.param


@pytest.fixture
def run(float_dtype):
    """Runs a body on arrays whose first axis is the batch, and gives such arrays back."""

    def interpreted(body, outs, *arrays):
        innermost = [jnp.asarray(np.moveaxis(X, 0, -1), float_dtype) for X in arrays]
        found = mosaic.run(body, outs, *innermost, interpret=True)
        assert all(Y.dtype == float_dtype for Y in found)
        return [np.moveaxis(np.asarray(Y, np.float64), -1, 0) for Y in found]

    return interpreted


def test_lu(place, run, float_dtype):
    eps = float(jnp.finfo(float_dtype).eps)
    X = matrices(3, BATCH)
    X[7] = [[1, 2, 3], [2, 4, 6], [1, 0, 1]]  # singular, among regular ones
    pivots, inverse = run(lanes.lu_pivots_inverse, [(3, 1), (3, 3)], X)
    assert (pivots[7] == 0).any()
    assert np.isinf(inverse[7]).all()
    X, pivots, inverse = (np.delete(Y, 7, axis=0) for Y in (X, pivots, inverse))
    X = np.asarray(jnp.asarray(X, float_dtype), np.float64)
    sign, logabsdet = np.linalg.slogdet(X)
    condition = np.linalg.cond(X)
    np.testing.assert_array_equal(np.prod(np.sign(pivots[..., 0]), -1), sign)
    error = np.abs(np.log(np.abs(pivots[..., 0])).sum(-1) - logabsdet)
    assert (error <= 20 * eps * np.maximum(condition, 1 + np.abs(logabsdet))).all()
    expected = np.linalg.inv(X)
    error = np.abs(inverse - expected).max((1, 2)) / np.abs(expected).max((1, 2))
    assert (error <= 20 * eps * condition).all()


def test_cholesky(place, run, float_dtype):
    X = matrices(2, 7)  # fewer than a block
    A = X @ X.swapaxes(1, 2) + np.eye(2)
    A[5] = np.diag([1, -1])
    skew = np.array([[0, 1], [-1, 0]])  # the symmetric part is taken
    roots, inverse = run(lanes.cholesky_roots_inverse, [(2, 1), (2, 2)], A + skew)
    (solution,) = run(lanes.cholesky_solve, [(2, 1)], A + skew, X[..., :1])
    for Y in (roots, inverse, solution):
        assert np.isnan(Y[5]).all()
    A, X, roots, inverse, solution = (
        np.delete(Y, 5, axis=0) for Y in (A, X, roots, inverse, solution)
    )
    rtol = 2e3 * float(jnp.finfo(float_dtype).eps)
    diagonal = np.diagonal(np.linalg.cholesky(A), axis1=1, axis2=2)
    np.testing.assert_allclose(roots[..., 0], diagonal, rtol)
    np.testing.assert_allclose(inverse, np.linalg.inv(A), rtol, rtol)
    np.testing.assert_allclose(solution, np.linalg.solve(A, X[..., :1]), rtol, rtol)


def test_solution_of_many_right_hand_sides(place, run, float_dtype, monkeypatch):
    held = mosaic._held_columns
    monkeypatch.setattr(mosaic, "_held_columns", lambda *of: min(held(*of), 2))
    X = matrices(2, 9)
    B = np.random.default_rng(0).normal(size=(9, 2, 5))  # dealt to three blocks of two columns
    (Y,) = run(lanes.lu_solve, [(2, 5)], X, B)
    X, B = (np.asarray(jnp.asarray(A, float_dtype), np.float64) for A in (X, B))
    expected = np.linalg.solve(X, B)
    error = np.abs(Y - expected).max((1, 2)) / np.abs(expected).max((1, 2))
    assert (error <= 50 * float(jnp.finfo(float_dtype).eps) * np.linalg.cond(X)).all()


@pytest.mark.parametrize(
    ("operation", "n", "dtype", "reason"),
    [
        ("lu_pivots", 16, "float32", None),
        ("lu_inverse", 13, "float64", None),
        ("lu_pivots", 17, "float32", "end at 16 × 16 matrices, and these are 17 × 17"),
        ("lu_solve", 14, "float64", "do not fit"),
        ("lu_pivots", 4, "complex64", "not in complex64"),
        ("eigenvalues", 4, "float32", "no Mosaic GPU kernel for eigenvalues"),
        (
            "cholesky_roots",
            16,
            "float32",
            None if _jax.MOSAIC_HAS_SQUARE_ROOTS else "square roots from JAX 0.12 on",
        ),
    ],
)
def test_what_is_admitted(operation, n, dtype, reason):
    said = mosaic.admits(operation, n, dtype)
    assert said is None if reason is None else reason in said


def test_older_gpus_are_declined(monkeypatch):
    monkeypatch.setattr(_jax, "gpu_capability", lambda: (8, 0))
    assert "Hopper" in mosaic.admits("lu_pivots", 4, "float32")


def test_every_body_has_a_limit():
    for limits in mosaic._IN_REGISTERS.values():
        assert set(limits) == set(looped.BODIES)
    assert all(callable(getattr(lanes, name)) for name in looped.BODIES)
