"""What the tests of the operations share: samples, and the comparison of a function with another.

The references are NumPy's values and JAX's own derivatives of plain jnp expressions.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="session")
def sample(float_dtype, complex_dtype):
    """sample(*shape): normal entries; a square matrix gets 2 √n I, so it is well conditioned."""

    def draw(*shape, seed=0, complex=False, square=None):
        rng = np.random.default_rng((seed, *shape))
        X = rng.normal(size=shape)
        if complex:
            X = X + 1j * rng.normal(size=shape)
        if square or (square is None and len(shape) > 1 and shape[-1] == shape[-2]):
            X = X + 2 * np.sqrt(shape[-1]) * np.eye(shape[-1])
        return jnp.asarray(X, complex_dtype if complex else float_dtype)

    return draw


@pytest.fixture(scope="session")
def close():
    """close(actual, expected): of one shape, and equal to rounding relative to the largest."""

    def compare(actual, expected, digits_lost=3):
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape
        wide = np.result_type(actual.dtype, np.float32)
        tolerance = float(jnp.finfo(wide).eps) * 10**digits_lost
        finite = np.abs(expected[np.isfinite(expected)])
        largest = max(1.0, float(finite.max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * largest)

    return compare


@pytest.fixture(scope="session")
def every_mode():
    """every_mode(f)(X): the value, the two Jacobians and the four second derivatives."""
    modes = (jax.jacfwd, jax.jacrev)

    def differentiate(f):
        firsts = [mode(f) for mode in modes]
        seconds = [outer(inner(f)) for outer, inner in itertools.product(modes, modes)]
        # One program for all: compiling is what takes the time.
        return jax.jit(lambda X: (f(X), [h(X) for h in firsts], [h(X) for h in seconds]))

    return differentiate


@pytest.fixture(scope="session")
def agree(close, every_mode):
    """agree(f, g, X): equal values, Jacobians both ways, and second derivatives all four ways."""

    def compare(f, g, X, digits_lost=3):
        value, jacobians, hessians = every_mode(f)(X)
        expected = jax.jit(lambda X: (g(X), jax.jacrev(g)(X), jax.jacfwd(jax.jacrev(g))(X)))(X)
        close(value, expected[0], digits_lost)
        for jacobian in jacobians:
            close(jacobian, expected[1], digits_lost)
        for hessian in hessians:
            close(hessian, expected[2], digits_lost)

    return compare
