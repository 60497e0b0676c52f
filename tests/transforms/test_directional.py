"""`directional_derivative`: power series of known functions, nested products, and its cost."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc import directional_derivative

A = np.array([[0.5, -0.3, 0.2], [0.1, 0.4, -0.6], [0.7, 0.2, -0.1]])
EYE = np.eye(3)
HIGHEST = 6


def symmetric_functions(values):
    """Coefficients of ∏ (1 + tλ), in ascending powers of t."""
    return np.real(np.poly(-np.asarray(values)))


SERIES = {
    "logdet": (
        jmc.logdet,
        lambda k: (-1) ** (k - 1) * np.trace(np.linalg.matrix_power(A, k)) / k if k else 0,
    ),
    "slogdet of jax": (
        lambda X: jnp.linalg.slogdet(X)[1],
        lambda k: (-1) ** (k - 1) * np.trace(np.linalg.matrix_power(A, k)) / k if k else 0,
    ),
    "inv": (jmc.inv, lambda k: (-1) ** k * np.linalg.matrix_power(A, k)),
    "det": (
        jmc.det,
        lambda k: (*symmetric_functions(np.linalg.eigvals(A)), 0, 0, 0)[k],
    ),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_of_functions_of_a_matrix(name, float_dtype):
    """Coefficients of f(I + tA), up to order 6."""
    f, coefficient = SERIES[name]
    orders = tuple(range(HIGHEST + 1))
    run = jax.jit(directional_derivative(f, orders))
    found = run(jnp.asarray(EYE, float_dtype), jnp.asarray(A, float_dtype))
    tolerance = 500 * float(jnp.finfo(float_dtype).eps)
    for k, value in enumerate(found):
        expected = coefficient(k) * math.factorial(k)
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * math.factorial(k))


def test_det_where_autodiff_fails(float_dtype):
    """det diag(t, t, 2, 3) = 6 t²: from a singular matrix, along a line that leaves it."""
    X, V = jnp.diag(jnp.array([0.0, 0, 2, 3])), jnp.diag(jnp.array([1.0, 1, 0, 0]))
    run = directional_derivative(jnp.linalg.det, (0, 1, 2))
    found = jax.jit(run)(X.astype(float_dtype), V.astype(float_dtype))
    np.testing.assert_allclose(found, [0, 0, 12], atol=1e-5)


def nested(f, x, v, order):
    for _ in range(order):
        f = functools.partial(lambda f, x: jax.jvp(f, (x,), (v,))[1], f)
    return f(x)


@jax.custom_jvp
def softened(x):
    return jnp.sqrt(1 + x**2)


@softened.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return softened(x), x * dx / softened(x)


def looped(X):
    def step(carry, row):
        state, count, fixed = carry
        state = jnp.tanh(state @ X + row)
        return (state, count + 1, fixed), state * count

    (last, count, fixed), rows = jax.lax.scan(step, (X[0], 0, jnp.ones(())), jnp.sin(X))
    return last, rows, count, fixed


PROGRAMS = {
    "entrywise": lambda X: jnp.exp(jnp.sin(X)) / (1 + X**2) + jnp.abs(X) ** X + jax.nn.relu(X),
    "matrix products": lambda X: jnp.cumsum(X.T @ jnp.tanh(X @ X), 0)[::-1],
    "softmax": lambda X: jax.nn.log_softmax(X, -1)[:, jnp.array([0, 2, 2])],
    "factorisation": lambda X: jnp.linalg.cholesky(X @ X.T + jnp.eye(3)),
    "scan": looped,
    "branch": lambda X: jax.lax.cond(X[0, 0] > 0, lambda X: X**3, lambda X: 0 * X + 1, X),
    "while": lambda X: jax.lax.while_loop(
        lambda c: c[0] < 3, lambda c: (c[0] + 1, jnp.cos(c[1] * X)), (0, jnp.ones_like(X))
    )[1],
    "rematerialised": jax.checkpoint(lambda X: jnp.sum(jnp.where(X > 0, X**3, jnp.sin(X)))),
    "custom rule": lambda X: softened(X) * softened(X.T),
    "stopped": lambda X: jax.lax.stop_gradient(X**2) * X**2,
    "beside constants": lambda X: {"one": jnp.ones(2), "n": X.shape[0] * jnp.ones((), int)},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_against_nested_products(name, float_dtype, close):
    f = PROGRAMS[name]
    X, V = jnp.asarray(A, float_dtype), jnp.asarray(EYE - A, float_dtype)
    found = jax.jit(directional_derivative(f, 3))(X, V)
    expected = nested(f, X, V, 3)
    floats = lambda tree: [x for x in jax.tree.leaves(tree) if x.dtype != jax.dtypes.float0]  # noqa: E731
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    assert len(floats(found)) == len(floats(expected))
    close(floats(found), floats(expected), 4)


def test_integers_have_no_derivative(float_dtype):
    x = jnp.ones(2, float_dtype)
    found = directional_derivative(lambda x: (x**2, jnp.argmax(x)), (0, 1))(x, x)
    assert found[0][1] == 0
    assert found[1][1].dtype == jax.dtypes.float0


def scaled(factor):
    """The identity to its caller, with a derivative of its own: one name and one body for all."""

    @jax.custom_jvp
    def same(x):
        return x

    @same.defjvp
    def _(primals, tangents):
        return same(*primals), factor * tangents[0]

    return same


def test_functions_of_one_name_are_told_apart(float_dtype):
    x = jnp.asarray(2.0, float_dtype)
    f = lambda x: scaled(3.0)(x) * scaled(5.0)(x)  # noqa: E731
    found = directional_derivative(f, (1, 2))(x, jnp.ones_like(x))
    assert list(map(float, found)) == [16.0, 30.0]


def test_pytrees_arguments_and_options(parameters, close):
    def f(p, q, *, power):
        return {"s": jnp.sum(jnp.sin(p["a"] @ p["b"])) * p["c"] ** power, "q": q**3 * p["c"]}

    q = jnp.asarray([0.2, 0.7], parameters["b"].dtype)
    along = lambda t: f(jax.tree.map(lambda x: x + t * x, parameters), q + 2 * t * q, power=2)  # noqa: E731
    zero, one = jnp.zeros((), q.dtype), jnp.ones((), q.dtype)
    expected = along(zero), nested(along, zero, one, 2)
    run = directional_derivative(f, (0, 2), argnums=(1, 0))
    close(run(parameters, q, (2 * q, parameters), power=2), expected, 4)
    # one order comes bare; q alone moves
    close(directional_derivative(f, 3, 1)(parameters, q, q, power=2)["q"], 6 * q**3 * 1.3, 4)


def test_complex_arguments(close, complex_dtype):
    z = jnp.asarray([0.3 + 1j, -0.2 + 0.5j], complex_dtype)
    found = directional_derivative(lambda z: (z**3, jnp.abs(z) ** 2), 2)(z, 1j * z)
    close(found, (-6 * z**3, 2 * jnp.abs(z) ** 2))


def test_under_transformations(float_dtype, close):
    X, V = jnp.asarray(A + 2 * EYE, float_dtype), jnp.asarray(EYE, float_dtype)
    second = directional_derivative(lambda X: jnp.linalg.slogdet(X)[1], 2)
    found = jax.jit(jax.vmap(second, (0, None)))(jnp.stack([X, 2 * X]), V)
    W = np.linalg.inv(np.asarray(X, float))
    curvature = -np.trace(W @ W)
    close(found, jnp.asarray([curvature, curvature / 4], float_dtype))
    close(jax.grad(second)(X, V), jnp.asarray(2 * (W @ W @ W).T, float_dtype))


def test_cost_is_polynomial(float_dtype):
    """The scan's step grows as k², where nested products make it grow as 2ᵏ."""
    x = jnp.ones((2, 2), float_dtype)

    def size(jaxpr):
        inner = [
            p
            for eqn in jaxpr.eqns
            for p in eqn.params.values()
            if hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ]
        return len(jaxpr.eqns) + sum(size(getattr(p, "jaxpr", p)) for p in inner)

    def equations(run):
        return size(getattr(made := jax.make_jaxpr(run)(x), "jaxpr", made))

    def f(X):
        return jax.lax.scan(lambda c, _: (jnp.tanh(c @ X), None), X, None, length=3)[0]

    few, many = (equations(lambda x, k=k: directional_derivative(f, k)(x, x)) for k in (3, 6))
    assert many < 4 * few
    assert 2 * many < equations(lambda x: nested(f, x, x, 6))
