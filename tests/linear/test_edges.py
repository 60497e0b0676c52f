"""Operators without unknowns, and operators whose parts differ in precision."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc

NONE, TWO = jnp.zeros((0, 0)), 2 * jnp.eye(2)
EMPTY = {
    "identity": lambda: jmc.identity(0),
    "diagonal": lambda: jmc.diagonal(jnp.zeros((3, 0))),
    "kronecker": lambda: jmc.kronecker(NONE, TWO),
    "shifted": lambda: jmc.kronecker(NONE, TWO, assume_a="pos") + jmc.identity((0, 2)),
    "low rank": lambda: jmc.diagonal(jnp.zeros(0)) + jmc.low_rank(jnp.zeros((0, 2))),
    "Hessian": lambda: jmc.hessian_operator(lambda X: jnp.linalg.slogdet(X)[1])(NONE),
}


@pytest.mark.parametrize("name", EMPTY)
def test_no_unknowns(name):
    """As in NumPy: the determinant of no rows is 1, and nothing is the solution of nothing."""
    A = EMPTY[name]()
    b = jnp.zeros(A.in_shape)
    factored = A.factor()
    assert A.logdet() == factored.logdet() == A.trace() == A.inv_quad(b) == 0
    assert A.solve(b).shape == factored.solve(b).shape == A.inv().in_shape == b.shape
    assert jmc.inv_quad_logdet(A, b) == (0, 0)
    assert bool(A.is_positive_definite())


def test_newton_without_unknowns():
    assert jmc.newton_direction(lambda X: jnp.sum(X**3))(jnp.zeros((0, 2))).shape == (0, 2)


def test_factors_of_less_precision_than_the_operator(x64):
    """Derivatives have the dtypes of the factors."""
    if not x64:
        pytest.skip("needs two precisions")
    A, B = (jnp.asarray(X, jnp.float32) for X in (np.eye(2) + 1, 3 * np.eye(3) + 1))
    y = jnp.ones((2, 3), jnp.float32)

    def likelihood(A, B, s):
        covariance = jmc.kronecker(A, B, assume_a="pos") + s * jmc.identity((2, 3))
        return sum(jmc.inv_quad_logdet(covariance, y))

    def formed(A, B, s):
        K = jnp.kron(A, B) + s * jnp.eye(6)
        return jnp.ones(6) @ jnp.linalg.solve(K, jnp.ones(6)) + jnp.linalg.slogdet(K)[1]

    found = jax.jit(jax.grad(likelihood, (0, 1, 2)))(A, B, 0.5)
    assert [X.dtype for X in found] == [jnp.float32, jnp.float32, jnp.float64]
    wide = (X.astype(float) for X in (A, B))
    for X, expected in zip(found, jax.grad(formed, (0, 1, 2))(*wide, 0.5), strict=True):
        np.testing.assert_allclose(X, expected, rtol=1e-5, atol=1e-6)
