"""`gauss_newton_operator` against Jᵀ (∇²ℓ) J of JAX's own derivatives, and its structure."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxmatcalc import gauss_newton_operator

rng = np.random.default_rng(4)
inputs = jnp.asarray(rng.normal(size=(7, 3)), float)
labels = jnp.asarray(rng.integers(0, 2, 7), float)
weights = {"a": jnp.asarray(rng.normal(size=(3, 2)), float), "b": jnp.asarray([0.7, -1.2], float)}


def half_squared(z):
    return sum(jnp.sum(x**2) for x in jax.tree.leaves(z)) / 2


def reference(model, x, loss=half_squared):
    flat, unravel = ravel_pytree(x)
    forward = lambda v: ravel_pytree(model(unravel(v)))[0]  # noqa: E731
    z, rebuild = ravel_pytree(model(x))
    J = np.asarray(jax.jacobian(forward)(flat))
    return J.T @ np.asarray(jax.hessian(lambda v: loss(rebuild(v)))(z)) @ J


def logistic(z):
    return jnp.sum(jax.nn.softplus(z) - labels * z)


def rows(W):
    return jnp.tanh(W @ inputs[:3])


CASES = {
    "linear regression": (lambda w: inputs @ w - labels, None, (3,), "dense"),
    "logistic regression": (lambda w: inputs @ w, logistic, (3,), None),
    "both sides": (lambda W: inputs @ W @ inputs[:2], None, (3, 2), "kronecker"),
    "a row at a time": (rows, lambda z: -jnp.sum(jax.nn.log_softmax(z)[:, 0]), (4, 3), None),
    "a row at a time, residuals": (rows, None, (4, 3), "block diagonal"),
    "a loss without curvature": (rows, jnp.sum, (4, 3), "zero"),
}


@pytest.mark.parametrize("name", CASES)
def test_against_dense_products(name, close):
    model, loss, shape, kind = CASES[name]
    x = jnp.eye(*shape) + 0.3 if len(shape) > 1 else 0.3 * jnp.arange(1.0, 1 + shape[0])
    x = x.astype(inputs.dtype)
    G = jax.jit(gauss_newton_operator(model, loss))(x)
    assert (G.in_shape, G.out_shape) == (shape, shape)
    assert kind in (None, G.structure.kind)
    expected = reference(model, x, loss or half_squared)
    close(G.as_matrix(), jnp.asarray(expected, x.dtype), 4)


def test_an_entry_at_a_time_is_diagonal(close):
    G = gauss_newton_operator(jnp.tanh, lambda z: jnp.sum(jnp.cosh(z)))(labels)
    assert G.structure.kind == "diagonal"
    expected = (1 - jnp.tanh(labels) ** 2) ** 2 * jnp.cosh(jnp.tanh(labels))
    close(G.diagonal(), expected)


def test_pytrees_and_further_data(close):
    def model(p, x, *, power):
        hidden = jnp.tanh(x @ p["a"])
        return {"z": hidden @ p["b"], "norm": jnp.sum(p["b"] ** power)}, hidden

    loss = lambda z: logistic(z["z"]) * z["norm"] + z["norm"] ** 2  # noqa: E731
    run = gauss_newton_operator(model, loss, has_aux=True)
    G, hidden = jax.jit(functools.partial(run, power=2))(weights, inputs)
    close(hidden, jnp.tanh(inputs @ weights["a"]))
    expected = reference(lambda p: model(p, inputs, power=2)[0], weights, loss)
    split = np.split(np.arange(8), [6])
    for i, name in enumerate("ab"):
        for j, other in enumerate("ab"):
            block = expected[np.ix_(split[i], split[j])]
            close(G[name][other].as_matrix(), jnp.asarray(block, labels.dtype), 4)


def test_several_arguments_and_transformations(close):
    def model(x, y):
        return jnp.sin(x) * y

    x, y = labels + 0.5, labels[::-1] - 0.3
    G = gauss_newton_operator(model, argnums=(1, 0))(x, y)
    close(G[0][1].diagonal(), jnp.sin(x) * jnp.cos(x) * y)
    batch = jax.jit(jax.vmap(gauss_newton_operator(model, half_squared), (0, None)))(
        jnp.stack([y, x]), y
    )
    close(batch.diagonal()[1], (jnp.cos(x) * y) ** 2)


def test_mistakes():
    x = jnp.ones(3)
    with pytest.raises(TypeError, match=r"`gauss_newton_operator` .* its result has shape \(3,\)"):
        gauss_newton_operator(jnp.sin, jnp.sin)(x)
    with pytest.raises(TypeError, match="results of a real floating-point dtype; got dtype int"):
        gauss_newton_operator(lambda x: (x > 0).astype(int))(x)
    with pytest.raises(TypeError, match="arguments of a real floating-point dtype; got dtype int"):
        gauss_newton_operator(jnp.sin)(jnp.arange(3))
    with pytest.raises(ValueError, match=r"needs argnums between 0 and 0, .* got 2"):
        gauss_newton_operator(jnp.sin, argnums=2)(x)
