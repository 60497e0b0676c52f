"""Plain `jax.numpy.linalg` calls are recognised wherever they stand, and the user's own are not."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import hessian_operator, rewrite
from jaxmatcalc.interpret import Program

n = 3
rng = np.random.default_rng(1)
X = jnp.asarray(rng.normal(size=(n, n)) + 3 * np.eye(n), float)
Y = jnp.asarray(rng.normal(size=(n, n)), float)
v = jnp.asarray(rng.normal(size=n), float)
batch = jnp.stack([X, 2 * X + Y])
linalg = jnp.linalg

CALLS = {
    "slogdet": (linalg.slogdet, (X,)),
    "slogdet of a batch": (linalg.slogdet, (batch,)),
    "det": (linalg.det, (X,)),
    "inv": (linalg.inv, (X,)),
    "solve with a vector": (linalg.solve, (X, v)),
    "solve with a matrix": (linalg.solve, (X, Y)),
    "solve of a batch": (linalg.solve, (batch, batch)),
    "solve of a batch with a matrix": (linalg.solve, (batch, Y)),
    "trace": (jnp.trace, (X,)),
    "linalg.trace": (linalg.trace, (X,)),
    "norm of a vector": (linalg.norm, (v,)),
    "norm of a matrix": (linalg.norm, (X,)),
    "norm of three axes": (linalg.norm, (batch,)),
    "norm of a number": (linalg.norm, (jnp.asarray(-2.0),)),
    "kron": (jnp.kron, (X, Y)),
    "kron of vectors": (jnp.kron, (v, 2 * v)),
    "kron of a vector and a matrix": (jnp.kron, (v, Y)),
    "kron of three axes": (jnp.kron, (batch, batch)),
    "in a jit": (jax.jit(lambda X: linalg.inv(X) + jax.jit(linalg.det)(X)), (X,)),
    "in two vmaps": (lambda X: jax.vmap(jax.vmap(linalg.slogdet))(X[None]), (batch,)),
    "vmap of slogdet": (jax.vmap(linalg.slogdet), (batch,)),
    "vmap of trace": (jax.vmap(jnp.trace), (batch,)),
    "vmap of inv": (jax.vmap(linalg.inv), (batch,)),
    "vmap of det": (jax.vmap(linalg.det), (batch,)),
    "vmap of norm": (jax.vmap(linalg.norm), (batch,)),
    "vmap of solve": (jax.vmap(linalg.solve), (batch, batch)),
    "vmap of solve, left": (jax.vmap(linalg.solve, in_axes=(0, None)), (batch, Y)),
    "vmap of solve, right": (jax.vmap(linalg.solve, in_axes=(None, 0)), (X, batch)),
    "vmap of kron, left": (jax.vmap(jnp.kron, in_axes=(0, None)), (batch, Y)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_recognised_and_keeps_its_value(name):
    f, args = CALLS[name]
    assert Program(f, args).has_calls
    found, expected = rewrite(f)(*args), f(*args)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    tolerance = 100 * float(jnp.finfo(X.dtype).eps)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def named(name, function):
    """A jitted function that goes by another's name."""
    function.__name__ = function.__qualname__ = name
    return jax.jit(function)


IMPOSTORS = {
    "trace": lambda X: jnp.sum(X) - 2,
    "inv": lambda X: X.T @ X,
    "det": lambda X: X[0, 0] * X[1, 1],
    "slogdet": lambda X: (jnp.sum(X), jnp.sum(X**2)),
    "norm": lambda X: jnp.sum(X**4) ** 0.25,
    "solve": lambda X: X @ X.T + 1,
    "kron": lambda X: X * X,
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_a_user_function_of_the_same_name_is_left_alone(name, second_order):
    f = named(name, IMPOSTORS[name])
    assert not Program(f, (X,)).has_calls
    jax.tree.map(np.testing.assert_array_equal, rewrite(f)(X), f(X))
    second_order(lambda X: jnp.sum(jax.tree.leaves(f(X))[-1] ** 2), X)


@pytest.mark.parametrize(
    "f",
    [
        lambda X: linalg.norm(X, 1),
        lambda X: linalg.norm(X, axis=0),
        lambda X: linalg.norm(X, "nuc"),
        lambda X: jnp.trace(X, offset=1),
        lambda X: linalg.norm(X, keepdims=True),
    ],
)
def test_a_library_call_with_other_options_is_left_alone(f):
    assert not Program(f, (X,)).has_calls
    np.testing.assert_array_equal(rewrite(f)(X), f(X))


def test_recognition_looks_at_the_shapes():
    """A body that is `trace` at one shape is not at another: the call is compared at its own."""
    f = named("trace", lambda X: jnp.trace(X[:2, :2]))
    assert Program(f, (X,)).jaxpr.eqns[0].params["name"] == "trace"
    np.testing.assert_allclose(rewrite(f)(X), X[0, 0] + X[1, 1], rtol=1e-6)
    H = hessian_operator(lambda X: f(X) ** 2)(X)
    reference = jax.hessian(lambda X: (X[0, 0] + X[1, 1]) ** 2)(X)
    np.testing.assert_allclose(H.to_dense(), reference, rtol=1e-6, atol=1e-6)


def test_a_function_with_a_rule_of_its_own_is_not_entered():
    @jax.custom_jvp
    def twice_the_slope(X):
        return jnp.trace(X)

    twice_the_slope.defjvp(lambda p, t: (jnp.trace(p[0]), 2 * jnp.trace(t[0])))
    assert not Program(twice_the_slope, (X,)).has_calls
    f = rewrite(lambda X: twice_the_slope(X) + linalg.slogdet(X)[1])
    expected = 2 * np.eye(n) + np.linalg.inv(X).T
    np.testing.assert_allclose(jax.grad(f)(X), expected, rtol=1e-5, atol=1e-5)


SQUARES = [
    lambda x: linalg.norm(x) ** 2,
    lambda x: jnp.square(linalg.norm(x)),
    lambda x: (lambda r: r * r)(linalg.norm(x)),
    jax.jit(lambda x: 1.0 * linalg.norm(x) ** 2),
]


@pytest.mark.parametrize("f", SQUARES)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 2)])
def test_the_square_of_a_norm_is_smooth_at_zero(f, shape):
    """jax.hessian gives NaN here."""
    zero = jnp.zeros(shape)
    H = hessian_operator(f)(zero)
    assert H.structure.kind == "identity"
    order = int(np.prod(shape))
    np.testing.assert_array_equal(H.as_matrix(), 2 * np.eye(order))
    np.testing.assert_array_equal(jax.grad(rewrite(f))(zero), np.zeros(shape))


def test_special_points_of_plain_calls():
    """The derivatives that JAX gets wrong, through functions that name nothing of this library."""
    D = jnp.diag(jnp.array([1.0, 0.0, 2.0]))
    gradient = jax.grad(rewrite(linalg.det))(D)
    np.testing.assert_allclose(gradient, np.diag([0.0, 2.0, 0.0]), atol=1e-6)
    H = hessian_operator(linalg.det)(jnp.zeros((2, 2)))
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_allclose(H.to_dense(), expected, atol=1e-6)
    np.testing.assert_array_equal(jax.grad(rewrite(linalg.norm))(jnp.zeros((2, 2))), 0)


def test_rewrite_passes_on_what_is_not_an_array():
    @rewrite
    def f(X, mode, *, power, table):
        assert mode == "squared"
        return {"norm": linalg.norm(X) ** power, "table": table["k"] + 1}

    result = f(X, "squared", power=2, table={"k": 1})
    np.testing.assert_allclose(result["norm"], np.sum(np.square(X)), rtol=1e-5)
    assert result["table"] == 2

    @rewrite
    def branches(x):
        return linalg.norm(x) if x[0] > 0 else x[0]

    np.testing.assert_allclose(branches(jnp.array([3.0, 4.0])), 5.0, rtol=1e-6)
    np.testing.assert_allclose(branches(jnp.array([-3.0, 4.0])), -3.0)


def test_rewrite_under_transformations(close):
    f = rewrite(lambda X: linalg.slogdet(X)[1])
    inverse = np.linalg.inv(np.asarray(batch)).swapaxes(1, 2)
    close(jax.jit(jax.vmap(jax.grad(f)))(batch), inverse.astype(batch.dtype))
    third = jax.jit(functools.reduce(lambda g, d: d(g), [jax.jacfwd] * 2, jax.grad(f)))(X)
    expected = jax.jacfwd(jax.jacfwd(lambda X: jnp.linalg.inv(X).T))(X)
    close(third, expected, 4)
