"""What the tests of the transforms share: comparison of pytrees, and sample functions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="session")
def close():
    """close(actual, expected): equal pytrees, shapes and dtypes; entries equal to rounding."""

    def leaf(actual, expected, digits_lost):
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape
        assert actual.dtype == expected.dtype
        assert np.all(np.isfinite(expected))
        wide = np.result_type(actual.dtype, np.float32)
        tolerance = float(jnp.finfo(wide).eps) * 10**digits_lost
        largest = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)

    def compare(actual, expected, digits_lost=3):
        assert jax.tree.structure(actual) == jax.tree.structure(expected)
        jax.tree.map(lambda a, e: leaf(a, e, digits_lost), actual, expected)

    return compare


@pytest.fixture(scope="session")
def counted():
    """counted(f): f under `jit`, and a list that grows when it is traced.

    JAX's own count, `_cache_size`, is of the entries it still has: in a long run it drops some.
    """

    def jitted(f):
        traces = []

        def traced(*args):
            traces.append(len(traces))
            return f(*args)

        return jax.jit(traced), traces

    return jitted


@pytest.fixture(scope="session")
def covariance():
    """A symmetric positive definite matrix (3, 3)."""
    X = np.random.default_rng(0).normal(size=(3, 3))
    return jnp.asarray(X @ X.T + np.eye(3), float)


@pytest.fixture(scope="session")
def objective(covariance):
    """-log|X| + tr(SX) + 0.3 ‖X‖², as a user would write it."""

    def f(X):
        return -jnp.linalg.slogdet(X)[1] + jnp.trace(covariance @ X) + 0.3 * jnp.sum(X**2)

    return f


@pytest.fixture(scope="session")
def parameters():
    """A pytree of two arrays and a number."""
    rng = np.random.default_rng(1)
    return {
        "a": jnp.asarray(rng.normal(size=(2, 3)), float),
        "b": jnp.asarray(rng.normal(size=3), float),
        "c": jnp.asarray(1.3, float),
    }
