"""The table of places where JAX is wrong: its truths are true and its verdicts follow."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.identities import special_points as sp
from jaxmatcalc.identities import truths
from jaxmatcalc.identities.report import relative_error
from jaxmatcalc.identities.verify import tolerance

WIDE = jnp.zeros(()).dtype.name
CASES = {case.name: case for case in sp.SPECIAL_POINTS}


def leibniz(X):
    """The determinant of a 3 × 3 matrix as a polynomial: JAX differentiates it without dividing."""
    a, b, c = X
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )


GRADIENT, HESSIAN = jax.jit(jax.grad(leibniz)), jax.jit(jax.hessian(leibniz))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_cofactors_are_the_derivatives_of_the_polynomial(rank):
    rng = np.random.default_rng(rank)
    X = (rng.integers(-3, 4, (3, rank)) @ rng.integers(-3, 4, (rank, 3))).astype(float)
    assert truths.determinant(X) == leibniz(X)
    np.testing.assert_array_equal(truths.determinant_gradient(X), GRADIENT(X))
    np.testing.assert_array_equal(truths.determinant_hessian(X), HESSIAN(X))


def test_the_points_are_what_their_names_say():
    (diagonal,) = CASES["gradient of det at diag(1, 0, 2, 3)"].points(WIDE)
    assert truths.determinant_gradient(diagonal)[1, 1] == 6
    singular = CASES["gradient of det at random singular integer 4 × 4 matrices"].points(WIDE)
    assert len(singular) == 50 and all(truths.determinant(X) == 0 for X in singular)
    assert all(np.array_equal(X, np.round(X)) for X in singular)
    for n, rank in ((3, 2), (3, 1), (4, 2)):
        points = CASES[f"hessian of det at random {n} × {n} matrices of rank {rank}"].points(WIDE)
        assert {int(np.linalg.matrix_rank(X)) for X in points} == {rank}


@pytest.mark.parametrize("name", CASES)
def test_jaxmatcalc_is_right(name):
    row = sp.check(CASES[name], WIDE, tolerance(WIDE))
    assert row.passed and "jaxmatcalc right" in str(row)


@pytest.mark.parametrize(
    "name",
    [
        "gradient of det at diag(1, 0, 2, 3)",
        "hessian of det at random 3 × 3 matrices of rank 1",
        "gradient of the Frobenius norm at 0",
        "gradient of tr(A √X) at eigenvalues with gaps 0, 1e-8, 1e-3",
    ],
)
def test_the_verdict_on_jax_follows_from_its_answer(name):
    case = CASES[name]
    row = sp.check(replace(case, ours=lambda X: X), WIDE, tolerance(WIDE))
    plain = jax.jit(case.plain)
    answers = [np.asarray(plain(jnp.asarray(point, WIDE))) for point in case.points(WIDE)]
    known = [case.truth(point) for point in case.points(WIDE)]
    errors = [relative_error(*pair) for pair in zip(answers, known, strict=True)]
    nan = sum(bool(np.isnan(answer).any()) for answer in answers)
    assert row.jax_nan == nan and row.jax_wrong >= sum(not error < 0.01 for error in errors)
    assert (row.jax_verdict == "right here") == (row.jax_wrong == 0)
    assert row.jax_verdict.startswith("NaN") == (0 < row.jax_wrong == nan)


def test_the_roots_truths_are_the_derivatives_where_eigenvalues_are_apart():
    w, Q = np.array([0.5, 1.0, 2.0]), np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    A = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 1.0], [3.0, 0.0, 0.5]])

    def f(X):
        s, V = jnp.linalg.eigh(X)
        return jnp.trace(A @ (V * jnp.sqrt(s) @ V.T))

    X = jnp.asarray(Q * w @ Q.T)
    G, H = jax.jit(lambda X: (jax.grad(f)(X), jax.hessian(f)(X)))(X)
    close = {"rtol": 0, "atol": 200 * float(jnp.finfo(WIDE).eps)}
    np.testing.assert_allclose(truths.root_gradient(w, Q, A), G, **close)
    np.testing.assert_allclose(truths.root_hessian(w, Q, A), H, **close)


def test_what_jax_raises_is_its_verdict():
    def broken(X):
        raise NotImplementedError("no derivative")

    case = CASES["gradient of the Frobenius norm at 0"]
    row = sp.check(replace(case, plain=broken), WIDE, tolerance(WIDE))
    assert row.passed and row.jax_verdict == "raises NotImplementedError" and row.jax_nan == 0


def test_a_right_answer_of_jax_is_called_right():
    case = CASES["gradient of det at diag(1, 0, 2, 3)"]
    row = sp.check(replace(case, plain=case.ours), WIDE, tolerance(WIDE))
    assert row.jax_verdict == "right here" and row.jax_wrong == 0 and row.passed


def test_a_wrong_answer_of_jaxmatcalc_fails():
    case = CASES["gradient of the Frobenius norm at 0"]
    row = sp.check(replace(case, ours=case.plain, plain=case.ours), WIDE, tolerance(WIDE))
    assert not row.passed and "WRONG" in str(row)
    row = sp.check(replace(case, ours=jnp.ones_like), WIDE, tolerance(WIDE))
    assert not row.passed and row.error == 1.0


def test_a_mixture_is_counted():
    case = CASES["hessian of det at random 3 × 3 matrices of rank 1"]

    def sometimes(X):
        wrong = jnp.where(X[0, 0] > 0, jnp.nan, 0.0)
        return jnp.where(X[0, 0] == 0, HESSIAN(X), wrong)

    points = case.points(WIDE)
    corner = np.array([X[0, 0] for X in points])
    row = sp.check(replace(case, plain=sometimes), WIDE, tolerance(WIDE))
    assert row.jax_nan == np.sum(corner > 0) > 0
    assert row.jax_wrong == np.sum(corner != 0) > row.jax_nan
    assert row.jax_verdict == f"wrong at {row.jax_wrong} of 25, NaN at {row.jax_nan}, error 1.0e+00"
