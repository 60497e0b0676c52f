"""`newton_direction` against dense solves, and as a direction of descent."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxmatcalc import newton_direction


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
    with pytest.raises(
        ValueError, match=r"symmetric=True needs matrices \(n, n\); got shape \(3,\)"
    ):
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


def descends(f, x, found):
    return float(jnp.vdot(jax.grad(f)(x), found)) < 0


INDEFINITE = {
    "saddle": (lambda x: x[0] ** 2 - x[1] ** 2, (3.0, 1.0), (-1.0, 1.0)),  # λ = 4: -g / (6, 2)
    "maximum": (lambda x: -(x[0] ** 2) - 3 * x[1] ** 2, (1.0, 1.0), (0.2, 1.0)),  # λ = 12
    "plane": (lambda x: 2 * x[0] - x[1], (0.0, 0.0), (-2.0, 1.0)),
    "trough": (lambda x: (x[0] + x[1]) ** 2 / 2 + 1e-3 * x[0], (0.0, 0.0), None),
    "quartic at its flat point": (lambda x: x[0] ** 4 + x[1] ** 3 + x[0], (0.0, 1.0), None),
}


@pytest.mark.parametrize("name", INDEFINITE)
def test_automatic_damping_descends(name, float_dtype, close):
    f, x, expected = INDEFINITE[name]
    x = jnp.asarray(x, float_dtype)
    run = newton_direction(f, damping="auto")
    found = jax.jit(run)(x)
    assert descends(f, x, found)
    if expected is not None:
        close(found, jnp.asarray(expected, float_dtype))
    if name == "saddle":  # the same through a pytree, whose Hessian is formed
        tree = newton_direction(lambda p: f(jnp.stack(p)), damping="auto")(list(x))
        close(jnp.stack(tree), found)


def test_automatic_damping_leaves_a_definite_hessian_alone(objective, covariance, parameters):
    cosh = lambda p: sum(jnp.sum(jnp.cosh(x)) for x in jax.tree.leaves(p))  # noqa: E731
    for f, x, symmetric in ((objective, covariance / 4, True), (cosh, parameters, False)):
        plain = newton_direction(f, symmetric=symmetric)(x)
        automatic = newton_direction(f, damping="auto", symmetric=symmetric)(x)
        jax.tree.map(np.testing.assert_array_equal, automatic, plain)


def test_automatic_damping_of_a_structured_hessian(float_dtype, close):
    """-log|X| at X = diag d: H is V ↦ X⁻¹ Vᵀ X⁻¹, of least eigenvalue -1/(d₁ d₂) for d₁ ≤ d₂ ≤ …"""
    d = np.arange(1.0, 31)  # 900 unknowns: the matrix of H is not formed
    f = lambda X: -jnp.linalg.slogdet(X)[1]  # noqa: E731
    X = jnp.asarray(np.diag(d), float_dtype)
    found = jax.jit(newton_direction(f, damping="auto"))(X)
    expected = np.diag((1 / d) / (1 / d**2 + 2 / (d[0] * d[1])))
    close(found, jnp.asarray(expected, float_dtype), 4)


def test_automatic_damping_escapes_a_saddle(float_dtype):
    """From beside the saddle of x⁴ - x² + y² at 0 to the minimum at x = ±1/√2; batched."""
    f = lambda x: x[0] ** 4 - x[0] ** 2 + x[1] ** 2  # noqa: E731
    step = newton_direction(f, damping="auto")
    starts = jnp.asarray([[1e-3, 0.5], [-1e-3, -0.5]], float_dtype)

    def descend(x):
        return jax.lax.fori_loop(0, 40, lambda _, x: x + step(x), x)

    found = jax.jit(jax.vmap(descend))(starts)
    expected = np.array([[1, 0], [-1, 0]]) / np.sqrt(2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # plain Newton goes to the saddle
    plain = starts[0]
    for _ in range(5):
        plain = plain + newton_direction(f)(plain)
    np.testing.assert_allclose(plain, 0, atol=1e-5)


def test_mistakes_in_damping():
    with pytest.raises(
        ValueError, match=r'`newton_direction` needs damping to be "auto"; got .none'
    ):
        newton_direction(lambda x: x @ x, damping="none")
    with pytest.raises(ValueError, match=r"symmetric=True needs matrices .* got shape"):
        newton_direction(lambda p: p["x"] @ p["x"], symmetric=True)({"x": jnp.ones(2)})


def test_pytrees_with_symmetric_leaves(close):
    """As above, beside a vector: D of the matrix is symmetric, and the vector's is its own."""
    S = jnp.array([[2.0, 1.0], [1.0, 3.0]])

    def f(p):
        X, y = p["X"], p["y"]
        return -jnp.linalg.slogdet(X)[1] + jnp.trace(S @ X) + jnp.sum(X**2) / 2 + jnp.sum(y**4)

    at = {"X": jnp.eye(2), "y": jnp.arange(1.0, 3.0)}
    for damping in (0.0, "auto"):
        found = newton_direction(f, damping=damping, symmetric={"X": True, "y": False})(at)
        close(found["X"], -S / 2)
        close(found["y"], -at["y"] / 3)
