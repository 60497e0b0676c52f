"""Divided differences, and the ring of derivatives they are the coefficients of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops._divided import difference, differences, weight_differences

exact = np.longdouble

# f, and f[a, a + d] in closed form, without cancellation
CLOSED_FORMS = {
    "exp": (jnp.exp, lambda a, d: np.exp(a) * np.expm1(d) / d),
    "log": (jnp.log, lambda a, d: np.log1p(d / a) / d),
    "sqrt": (jnp.sqrt, lambda a, d: 1 / (np.sqrt(a) + np.sqrt(a + d))),
    "cube": (lambda x: x**3, lambda a, d: 3 * a * a + 3 * a * d + d * d),
    "inverse": (lambda x: 1 / x, lambda a, d: -1 / (a * (a + d))),
    "x log x": (lambda x: x * jnp.log(x), lambda a, d: np.log(a + d) + a * np.log1p(d / a) / d),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_first_differences_at_every_gap(name, float_dtype):
    f, closed = CLOSED_FORMS[name]
    a, gap = np.meshgrid([1e-3, 0.5, 7.0], 10.0 ** np.arange(-16, 1.0, 0.125))
    a = a.astype(float_dtype)
    b = (a * (1 + gap)).astype(float_dtype)
    a, b = a[a != b], b[a != b]
    found = jax.jit(jax.vmap(difference(f, 1)))(a, b)
    expected = closed(a.astype(exact), b.astype(exact) - a.astype(exact))
    # relative to f' of a well-scaled f; x log x has a zero of f' near 1/e
    size = np.abs(expected) + (name == "x log x")
    error = np.max(np.abs(np.asarray(found, exact) - expected) / size)
    assert error < 50 * float(jnp.finfo(float_dtype).eps)


def test_higher_differences_at_every_gap(float_dtype):
    # of 1/x: f[x₀, …, xₖ] = (-1)ᵏ / (x₀ ⋯ xₖ)
    nodes = np.array([0.5, 0.5, 0.5 + 1e-8, 0.501, 0.7, 3.0], float_dtype)
    product = 1 / nodes.astype(exact)
    for k in (1, 2):
        found = differences(lambda x: 1 / x, k, jnp.asarray(nodes))
        expected = (-1) ** k * product
        for _ in range(k):
            expected = expected[..., None] * product
        error = np.max(np.abs(np.asarray(found, exact) / expected - 1))
        assert error < 500 * float(jnp.finfo(float_dtype).eps)


def test_a_kink_a_jump_and_a_pole_between_the_nodes(float_dtype, close):
    a, b = (jnp.asarray(x, float_dtype) for x in ([-1.0, -1.0, -0.01, -1.0], [1.0, 0.01, 1.0, 3.0]))
    for f in (jnp.abs, jnp.sign, lambda x: 1 / x, lambda x: jnp.maximum(x, 0)):
        found = jax.vmap(difference(f, 1))(a, b)
        close(found, (np.asarray(f(b)) - np.asarray(f(a))) / np.asarray(b - a))


def test_differences_of_weights(float_dtype, close):
    x = jnp.asarray([1.0, 1.0, 2.0, 4.0], float_dtype)
    top = weight_differences(x, jnp.asarray([0.0, 0, 0, 1], float_dtype), 1, constant=True)
    expected = np.zeros((4, 4))
    expected[3, :3] = expected[:3, 3] = 1 / np.array([3, 3, 2])
    close(top, expected.astype(float_dtype))
    split = weight_differences(x, jnp.asarray([0.0, 1, 1, 1], float_dtype), 1, constant=True)
    assert jnp.isnan(split[0, 1]) and jnp.isfinite(split[2:, :2]).all()
    unknown = weight_differences(x, jnp.asarray([1.0, 1, 1, 1], float_dtype), 1, constant=False)
    np.testing.assert_array_equal(np.isnan(unknown), np.eye(4)[[1, 0, 2, 3]] * [1, 1, 0, 0] == 1)


def test_second_differences_of_weights_are_those_of_a_function_flat_at_the_nodes(close, x64):
    # a polynomial with these values and slope 0 at the nodes
    nodes, weights = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0, 2.0])
    powers = np.arange(6)
    values = nodes[:, None] ** powers
    slopes = powers * nodes[:, None] ** np.maximum(powers - 1, 0)
    coefficients = np.linalg.solve(np.vstack([values, slopes]), np.append(weights, [0, 0, 0]))

    def f(x):
        return sum(float(c) * x**k for k, c in enumerate(coefficients))

    dtype = jnp.float64 if x64 else jnp.float32
    x, c = jnp.asarray(nodes, dtype), jnp.asarray(weights, dtype)
    found = weight_differences(x, c, 2, constant=True)
    # second derivatives enter only where all three nodes are one, where the ring has no use of them
    expected = np.array(differences(f, 2, x))
    i = np.arange(3)
    expected[i, i, i] = found[i, i, i]
    close(found, expected, digits_lost=4)
