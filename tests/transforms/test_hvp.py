"""`hvp`: products with the Hessian, one and many, against JAX's own."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import hvp


def reference(f, x, v):
    return jax.jvp(jax.grad(f), (x,), (v,))[1]


def convex(p):
    return jnp.sum(jnp.cosh(p["a"] @ p["b"])) + jnp.sum(p["b"] ** 4) * p["c"] ** 2


def test_one_vector(objective, covariance, parameters, close):
    V = covariance[::-1]
    close(hvp(objective)(covariance, V), reference(objective, covariance, V))
    close(hvp(convex)(parameters, parameters), reference(convex, parameters, parameters))

    def two(x, y, k):
        return jnp.sum(jnp.sin(x * y)) * k

    x, y = covariance[0], covariance[1]
    _, expected = jax.jvp(jax.grad(two, (0, 1)), (x, y, 2.0), (y, x, 0.0))
    close(hvp(two, (0, 1))(x, y, 2.0, (y, x)), expected)
    close(hvp(two, -2)(x, y, 2.0, x), jax.jvp(lambda y: jax.grad(two, 1)(x, y, 2.0), (y,), (x,))[1])
    batched = jax.jit(jax.vmap(hvp(objective), (None, 0)))(covariance, jnp.stack([V, covariance]))
    close(batched[0], hvp(objective)(covariance, V))


def test_where_autodiff_gives_nan():
    f = lambda x: jnp.linalg.norm(x) ** 2 + x[0]  # noqa: E731
    np.testing.assert_array_equal(hvp(f)(jnp.zeros(2), jnp.array([1.0, 2.0])), [2.0, 4.0])


def test_many_vectors(objective, covariance, parameters, close):
    V = jnp.stack([covariance, covariance[::-1], 2 * covariance**2, 0 * covariance])
    expected = jnp.stack([reference(objective, covariance, v) for v in V])
    close(jax.jit(hvp(objective, many=True))(covariance, V), expected)
    f = lambda x: jnp.sum(jnp.sin(x) * x[::-1] ** 2)  # noqa: E731
    x, W = covariance[0], covariance[:2]
    expected = jnp.stack([reference(f, x, w) for w in W])
    close(hvp(f, many=True)(x, W[:0]), W[:0])
    close(jax.vmap(hvp(f, many=True), (0, None))(jnp.stack([2 * x, x]), W)[1], expected)

    stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), parameters)
    found = jax.jit(hvp(convex, many=True))(parameters, stacked)
    one = reference(convex, parameters, parameters)
    close(found, jax.tree.map(lambda x: jnp.stack([x, 2 * x]), one))

    def two(x, y, *, k):
        return jnp.sum(jnp.sin(x * y)) * k

    x, y = covariance[0], covariance[1]
    _, expected = jax.jvp(jax.grad(lambda x, y: two(x, y, k=2), (0, 1)), (x, y), (y, x))
    found = hvp(two, (0, 1), many=True)(x, y, (y[None], x[None]), k=2)
    close(found, jax.tree.map(lambda x: x[None], expected))


def test_scalars_and_empty_arrays(close):
    one = jnp.asarray(0.5)
    close(hvp(lambda x: x**3)(one, one), jnp.asarray(1.5))
    close(hvp(lambda x: x**3, many=True)(one, jnp.array([1.0, 2.0])), jnp.array([3.0, 6.0]))
    empty = jnp.zeros((0, 2))
    close(hvp(lambda x: jnp.sum(x**2))(empty, empty), empty)


def test_vectors_that_do_not_fit():
    x = jnp.ones(3)
    product = hvp(lambda p: jnp.sum(p["a"] ** 2) + jnp.sum(p["b"] ** 2), many=True)
    p = {"a": x, "b": jnp.ones(())}
    words = r"`hvp` with many=True needs vectors .* \(3,\) and \(\) after one leading axis; got "
    with pytest.raises(ValueError, match=words + r"\(3,\) and \(\)\."):
        product(p, p)
    with pytest.raises(ValueError, match=words + r"\(2, 3\) and \(5,\)\."):
        product(p, {"a": jnp.ones((2, 3)), "b": jnp.ones(5)})
    with pytest.raises(TypeError, match="needs a real vector for a real argument; got dtype compl"):
        hvp(lambda x: x @ x)(x, 1j * x)


data = np.random.default_rng(3).normal(size=(200, 8))
CASES = {
    "logistic": (lambda w: jnp.sum(jax.nn.softplus(jnp.asarray(data, w.dtype) @ w)), (8,)),
    "network": (
        lambda W: jnp.sum(jnp.tanh(jnp.tanh(jnp.asarray(data[:, :4], W.dtype) @ W) @ W.T) ** 2),
        (4, 16),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_arithmetic_of_the_compiled_programs(name, float_dtype):
    """One product takes the flops of `jvp(grad)`, and many no more than their linear passes."""
    f, shape = CASES[name]
    x = jnp.ones(shape, float_dtype)

    def flops(function, v):
        return jax.jit(function).lower(x, v).compile().cost_analysis()["flops"]  # type: ignore[index]

    theirs = flops(lambda x, v: reference(f, x, v), x)
    assert flops(hvp(f), x) <= 1.1 * theirs
    assert flops(hvp(f, many=True), jnp.broadcast_to(x, (64, *shape))) <= 64 * 0.9 * theirs


def test_many_products_share_one_factorisation(float_dtype):
    X = jnp.eye(16, dtype=float_dtype)
    f = lambda X: jnp.linalg.slogdet(X)[1]  # noqa: E731
    text = jax.jit(hvp(f, many=True)).lower(X, jnp.stack([X] * 64)).compile().as_text() or ""
    assert len(re.findall(r'custom_call_target="lapack_\w*getrf', text)) == 1
