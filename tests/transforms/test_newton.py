"""`hvp` and `newton_direction` against JAX's own products and dense solves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxmatcalc import hvp, newton_direction


def dense_direction(f, x, damping=0.0):
    flat, unravel = ravel_pytree(x)
    g = jax.grad(lambda v: f(unravel(v)))(flat)
    H = jax.hessian(lambda v: f(unravel(v)))(flat)
    d = -np.linalg.solve(np.asarray(H) + damping * np.eye(flat.size), g)
    return unravel(jnp.asarray(d, flat.dtype))


def convex(p):
    return (
        jnp.sum(jnp.cosh(p["a"] @ p["b"]))
        + jnp.sum(p["a"] ** 2)
        + jnp.sum(p["b"] ** 4)
        + p["c"] ** 2
    )


def test_hvp(objective, covariance, parameters, close):
    V = covariance[::-1]
    close(hvp(objective)(covariance, V), jax.jvp(jax.grad(objective), (covariance,), (V,))[1])
    found = hvp(convex)(parameters, parameters)
    close(found, jax.jvp(jax.grad(convex), (parameters,), (parameters,))[1])

    def two(x, y, k):
        return jnp.sum(jnp.sin(x * y)) * k

    x, y = covariance[0], covariance[1]
    _, expected = jax.jvp(jax.grad(two, (0, 1)), (x, y, 2.0), (y, x, 0.0))
    close(hvp(two, (0, 1))(x, y, 2.0, (y, x)), expected)
    close(hvp(two, -2)(x, y, 2.0, x), jax.jvp(lambda y: jax.grad(two, 1)(x, y, 2.0), (y,), (x,))[1])
    batched = jax.jit(jax.vmap(hvp(objective), (None, 0)))(covariance, jnp.stack([V, covariance]))
    close(batched[0], hvp(objective)(covariance, V))


def test_hvp_where_autodiff_gives_nan():
    f = lambda x: jnp.linalg.norm(x) ** 2 + x[0]  # noqa: E731
    np.testing.assert_array_equal(hvp(f)(jnp.zeros(2), jnp.array([1.0, 2.0])), [2.0, 4.0])


@pytest.mark.parametrize("method", [None, "eigen", "dense"])
def test_direction_of_an_array(method, objective, covariance, close):
    found = newton_direction(objective, method=method)(covariance)
    close(found, dense_direction(objective, covariance), 4)
    close(jax.jit(newton_direction(objective, method=method))(covariance), found, 4)


@pytest.mark.parametrize("damping", [0.0, 0.5])
def test_direction_of_a_pytree(damping, parameters, close):
    found = newton_direction(convex, damping=damping)(parameters)
    close(found, dense_direction(convex, parameters, damping), 4)


def test_damping(objective, covariance, close):
    found = newton_direction(objective, damping=0.5)(covariance)
    close(found, dense_direction(objective, covariance, 0.5), 4)
    # damping may be traced, as a trust region's is; and makes a singular Hessian solvable
    direction = jax.jit(lambda d: newton_direction(objective, damping=d)(covariance))
    close(direction(0.5), found, 4)
    linear = lambda x: jnp.sum(x) + x[0] ** 2  # noqa: E731
    found = newton_direction(linear, damping=0.1)(jnp.ones(2))
    close(found, -jnp.array([3 / 2.1, 10.0], found.dtype), 4)


def test_argnums(close):
    f = lambda k, x: k * jnp.sum(jnp.cosh(x))  # noqa: E731
    x = jnp.array([0.3, -0.2])
    close(newton_direction(f, 1)(2.0, x), -jnp.tanh(x))
    close(newton_direction(f, -1)(2.0, x), -jnp.tanh(x))


def test_among_symmetric_matrices(close):
    """At X = I and ρ = 1/2 the Hessian V ↦ Vᵀ + V of -log|X| + ρ‖X‖² is singular: on skew matrices.

    Among symmetric ones it is 2V, and the direction is -∇f / 2 = -(-I + I + S) / 2.
    """
    S = jnp.array([[2.0, 1.0], [1.0, 3.0]])
    f = lambda X: -jnp.linalg.slogdet(X)[1] + jnp.trace(S @ X) + jnp.sum(X**2) / 2  # noqa: E731
    eye = jnp.eye(2)
    assert np.linalg.matrix_rank(np.asarray(jax.hessian(f)(eye)).reshape(4, 4)) == 3
    found = newton_direction(f, symmetric=True)(eye)
    close(found, -S / 2)
    with pytest.raises(ValueError, match=r"symmetric=True needs an operator on matrices \(n, n\)"):
        newton_direction(lambda x: x @ x, symmetric=True)(jnp.ones(3))


def test_newtons_method_reaches_the_optimum(objective, covariance, close):
    """∇f = 0 where -X⁻¹ + S + 0.6 X = 0: X has S's eigenvectors, 0.6 θ² + s θ - 1 = 0."""

    @jax.jit
    def descend(X):
        step = newton_direction(objective, symmetric=True)
        return jax.lax.fori_loop(0, 12, lambda _, X: X + step(X), X)

    s, Q = np.linalg.eigh(np.asarray(covariance))
    theta = (-s + np.sqrt(s**2 + 2.4)) / 1.2
    start = jnp.eye(3, dtype=covariance.dtype) * float(theta.min())
    close(descend(start), jnp.asarray((Q * theta) @ Q.T, covariance.dtype), 4)
