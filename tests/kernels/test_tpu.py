"""Kernels of a TPU, interpreted: values, ragged batches, what does not fit into registers."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.pallas import tpu as pltpu

from jaxmatcalc.kernels import lanes, looped, tpu

# Memory that was never written reads as NaN, and a race between steps is an error.
INTERPRETER = pltpu.InterpretParams(detect_races=True, uninitialized_memory="nan")
EPS = float(np.finfo(np.float32).eps)


def matrices(n, batch):
    """Matrices (n, n, batch) of every kind that pivoting has to get right, one after the other."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(batch, n, n))
    X[1::5, 0, 0] = 0
    X[2::5] = np.eye(n)[rng.permutation(n)] + 1e-3 * X[2::5]
    X[3::5] *= 10.0 ** rng.integers(-3, 4, size=X[3::5].shape[:2])[..., None]
    return innermost(X)


def innermost(X):
    return jnp.asarray(np.moveaxis(X, 0, -1), jnp.float32)


def outermost(Y):
    return np.moveaxis(np.asarray(Y, np.float64), -1, 0)


@pytest.fixture(params=["registers", "memory"])
def place(request, monkeypatch):
    """Where a kernel keeps its matrices; small ones are sent to memory, which costs less here."""
    if request.param == "memory":
        monkeypatch.setattr(tpu, "_IN_REGISTERS", dict.fromkeys(looped.BODIES, 0))
    return request.param


def test_lu(place):
    X = matrices(3, 1100)  # nine rows of lanes, of which the last is ragged, in two steps
    pivots, inverse = tpu.run(lanes.lu_pivots_inverse, [(3, 1), (3, 3)], X, interpret=INTERPRETER)
    exact = outermost(X)
    sign, logabsdet = np.linalg.slogdet(exact)
    condition = np.linalg.cond(exact)
    found = outermost(pivots)[..., 0]
    np.testing.assert_array_equal(np.prod(np.sign(found), -1), sign)
    error = np.abs(np.log(np.abs(found)).sum(-1) - logabsdet)
    assert (error <= 20 * EPS * np.maximum(condition, 1 + np.abs(logabsdet))).all()
    expected = np.linalg.inv(exact)
    error = np.abs(outermost(inverse) - expected).max((1, 2)) / np.abs(expected).max((1, 2))
    assert (error <= 20 * EPS * condition).all()


def test_cholesky(place):
    X = outermost(matrices(3, 7))
    A = X @ X.swapaxes(1, 2) + np.eye(3)
    A[5] = np.diag([1, -1, 1])
    skew = np.triu(np.ones((3, 3)), 1)
    given = innermost(A + skew - skew.T)  # of which the symmetric part is taken
    B = innermost(X[..., :2])
    roots, inverse = tpu.run(lanes.cholesky_roots_inverse, [(3, 1), (3, 3)], given,
                             interpret=INTERPRETER)  # fmt: skip
    (solution,) = tpu.run(lanes.cholesky_solve, [(3, 2)], given, B, interpret=INTERPRETER)
    results = [outermost(Y) for Y in (roots, inverse, solution)]
    for Y in results:
        assert np.isnan(Y[5]).all()
    A[5] = np.eye(3)
    X[5] = np.nan
    factor = np.linalg.cholesky(A)
    references = np.diagonal(factor, axis1=1, axis2=2)[..., None], np.linalg.inv(A)
    for Y, expected in zip(results, (*references, np.linalg.solve(A, X[..., :2])), strict=True):
        keep = np.arange(7) != 5
        np.testing.assert_allclose(Y[keep], expected[keep], rtol=2e-4, atol=2e-5)


def test_solution_of_many_right_hand_sides(place, monkeypatch):
    if place == "memory":  # room for two of five columns
        monkeypatch.setattr(tpu, "_MEMORY_BYTES", 4096 * (3 * 2 * 3 + 2 * 5 * 2))
        assert tpu._held_columns("lu_solve", 2) == 2
    m = 5 if place == "memory" else 30
    X = matrices(2, 9)
    B = np.random.default_rng(0).normal(size=(9, 2, m))
    (Y,) = tpu.run(lanes.lu_solve, [(2, m)], X, innermost(B), interpret=INTERPRETER)
    expected = np.linalg.solve(outermost(X), outermost(innermost(B)))
    error = np.abs(outermost(Y) - expected).max((1, 2)) / np.abs(expected).max((1, 2))
    assert (error <= 50 * EPS * np.linalg.cond(outermost(X))).all()


def test_singular_matrices_do_not_harm_their_neighbours(place):
    X = np.tile(np.diag([2.0, 3.0]), (4, 1, 1))
    X[1] = [[1, 2], [2, 4]]
    pivots, inverse = tpu.run(
        lanes.lu_pivots_inverse, [(2, 1), (2, 2)], innermost(X), interpret=True
    )
    assert (outermost(pivots)[1] == 0).any()
    assert np.isinf(outermost(inverse)[1]).all()
    for i in (0, 2, 3):
        np.testing.assert_allclose(outermost(inverse)[i], np.diag([1 / 2, 1 / 3]), rtol=1e-6)


def test_an_empty_batch():
    (pivots,) = tpu.run(lanes.lu_pivots, [(2, 1)], jnp.zeros((2, 2, 0)), interpret=True)
    assert pivots.shape == (2, 1, 0)


@pytest.mark.parametrize(
    ("operation", "n", "dtype", "reason"),
    [
        ("lu_pivots", 24, "float32", None),
        ("lu_pivots", 25, "float32", "does not fit"),
        ("lu_inverse", 17, "float32", "does not fit"),
        ("lu_pivots", 4, "float64", "not in float64"),
        ("eigenvalues", 4, "float32", "no Pallas TPU kernel for eigenvalues"),
    ],
)
def test_what_is_admitted(operation, n, dtype, reason):
    said = tpu.admits(operation, n, dtype)
    assert said is None if reason is None else reason in said


def test_every_body_has_a_looped_form():
    assert set(looped.BODIES) == set(tpu._IN_REGISTERS) == set(tpu._LARGEST)
    assert all(callable(getattr(lanes, name)) for name in looped.BODIES)
