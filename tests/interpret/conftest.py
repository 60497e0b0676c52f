"""What the tests of the interpreter share: comparison with JAX's own derivatives, run eagerly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import hessian_operator, jacobian_operator
from jaxmatcalc.interpret import derive


@pytest.fixture(scope="session")
def close():
    """close(actual, expected): same shape, equal to rounding relative to the largest entry."""

    def compare(actual, expected, digits_lost=3):
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape
        assert actual.dtype == expected.dtype
        assert np.all(np.isfinite(expected))
        tolerance = float(jnp.finfo(actual.dtype).eps) * 10**digits_lost
        largest = max(1.0, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest)

    return compare


@pytest.fixture(scope="session")
def second_order(close):
    """second_order(f, x): the Hessian operator, after comparison with `jax.hessian`."""

    def compare(f, x, reference=None, digits_lost=3):
        H = hessian_operator(f)(x)
        close(H.to_dense(), jax.hessian(reference or f)(x), digits_lost)
        return H

    return compare


@pytest.fixture(scope="session")
def first_order(close):
    """first_order(f, x): the Jacobian operator, after comparison with `jax.jacrev`."""

    def compare(f, x, reference=None, digits_lost=3):
        J = jacobian_operator(f)(x)
        close(J.to_dense(), jax.jacrev(reference or f)(x), digits_lost)
        return J

    return compare


@pytest.fixture(scope="session")
def normal():
    """normal(*shape): entries drawn once for each shape and seed, in the dtype of the pass."""

    def draw(*shape, seed=0):
        return jnp.asarray(np.random.default_rng((seed, *shape)).normal(size=shape), float)

    return draw


@pytest.fixture(scope="session")
def columns():
    """columns(f, x): JAX's Jacobian a column at a time, by a program without `vmap`."""

    def jacobian(f, x):
        push = jax.jit(lambda v: jax.jvp(f, (x,), (v,))[1])
        basis = np.eye(x.size).reshape(x.size, *x.shape)
        images = [push(jnp.asarray(e, x.dtype)) for e in basis]
        return jnp.stack(images, -1).reshape(*images[0].shape, *x.shape)

    return jacobian


@pytest.fixture(scope="session")
def operators():
    """operators(f, x): the Jacobian forwards and backwards, as operators and as arrays."""

    def both(f, x):
        @jax.jit
        def derived(x):
            flat = lambda x: ([f(x)], [])  # noqa: E731
            found = [d(flat, [x]).blocks[0][0] for d in (derive.forward, derive.reverse)]
            return found, [J.to_dense() for J in found]

        return zip(*derived(x), strict=True)

    return both
