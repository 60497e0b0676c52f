"""The table of places where JAX is wrong: its truths are true and its verdicts follow."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.identities import special_points as sp
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
    assert sp.determinant(X) == leibniz(X)
    np.testing.assert_array_equal(sp.determinant_gradient(X), GRADIENT(X))
    np.testing.assert_array_equal(sp.determinant_hessian(X), HESSIAN(X))


def test_the_points_are_what_their_names_say():
    (diagonal,) = CASES["gradient of det at diag(1, 0, 2, 3)"].points()
    assert sp.determinant_gradient(diagonal)[1, 1] == 6
    singular = CASES["gradient of det at random singular integer 4 × 4 matrices"].points()
    assert len(singular) == 50 and all(sp.determinant(X) == 0 for X in singular)
    assert all(np.array_equal(X, np.round(X)) for X in singular)
    for n, rank in ((3, 2), (3, 1), (4, 2)):
        points = CASES[f"hessian of det at random {n} × {n} matrices of rank {rank}"].points()
        assert {int(np.linalg.matrix_rank(X)) for X in points} == {rank}


@pytest.mark.parametrize("name", CASES)
def test_jaxmatcalc_is_right_and_the_verdict_on_jax_follows_from_its_answer(name):
    case = CASES[name]
    row = sp.check(case, WIDE, tolerance(WIDE))
    assert row.passed and "jaxmatcalc right" in str(row)
    plain = jax.jit(case.plain)
    answers = [np.asarray(plain(jnp.asarray(point, WIDE))) for point in case.points()]
    truths = [case.truth(point) for point in case.points()]
    errors = [relative_error(*pair) for pair in zip(answers, truths, strict=True)]
    nan = sum(bool(np.isnan(answer).any()) for answer in answers)
    assert row.jax_nan == nan and row.jax_wrong >= sum(not error < 0.01 for error in errors)
    assert (row.jax_verdict == "right here") == (row.jax_wrong == 0)
    assert row.jax_verdict.startswith("NaN") == (0 < row.jax_wrong == nan)


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

    points = case.points()
    corner = np.array([X[0, 0] for X in points])
    row = sp.check(replace(case, plain=sometimes), WIDE, tolerance(WIDE))
    assert row.jax_nan == np.sum(corner > 0) > 0
    assert row.jax_wrong == np.sum(corner != 0) > row.jax_nan
    assert row.jax_verdict == f"wrong at {row.jax_wrong} of 25, NaN at {row.jax_nan}, error 1.0e+00"
