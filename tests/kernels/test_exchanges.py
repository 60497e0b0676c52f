"""The order of rows that exchanges lead to, beside JAX's and NumPy's, and where it is taken."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.kernels import exchanges


@pytest.mark.parametrize("shape", [(1,), (5,), (33,), (200,), (0, 4), (3, 32), (2, 3, 50)])
def test_places_are_followed_through_all_exchanges(shape):
    n = shape[-1]
    rng = np.random.default_rng(n)
    swaps = jnp.asarray(rng.integers(np.arange(n), n, shape), np.int32)
    order, places = (exchanges.followed(swaps, backwards) for backwards in (True, False))
    np.testing.assert_array_equal(order, jax.lax.linalg.lu_pivots_to_permutation(swaps, n))
    np.testing.assert_array_equal(places, np.argsort(order, axis=-1))
    mapped = jax.vmap(exchanges.followed, (-1, None))(jnp.moveaxis(swaps[None], 0, -1), True)
    np.testing.assert_array_equal(mapped[0], order)


@pytest.mark.parametrize("shape", [(150, 150), (600, 16, 16)])
def test_no_loop_takes_the_exchanges_one_by_one(shape):
    X = jnp.asarray(np.random.default_rng(0).normal(size=shape), np.float32)

    def loops(f):
        text = jax.jit(jax.grad(lambda X: jnp.sum(f(X)))).lower(X).compile().as_text()
        return f'"known_trip_count":{{"n":"{shape[-1]}"}}' in text

    assert loops(jnp.linalg.inv)
    assert not loops(jmc.inv)
    assert not loops(lambda X: jmc.solve(X, X))
