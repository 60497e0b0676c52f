"""Orders of rows from the exchanges that pivoting made, on a CPU.

JAX takes the exchanges one after the other, each a step of a loop with calls of its own. Here every
place is followed through all of them at once: more comparisons, in one loop over the places.
Measured with two cores, JAX 0.10.2: twice as fast for 1,024 matrices of order 16, 1.2 to 1.9 times
for 256 of order 32, 6 and 7 times for one of order 512 and 1,024.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.kernels.apart import apart

_STEPS = 16  # of more steps a loop compiles longer, and is no faster
_LARGEST_IN_ONE = 32
_LARGE = 128  # XLA makes JAX's loop one call up to this order
_FEWEST = 2**13


def wins(swaps: jax.Array) -> bool:
    """Whether `followed` was measured to be faster than the library for swaps (..., n)."""
    if not _jax.is_known(swaps.shape):
        return False
    return swaps.shape[-1] > _LARGE or math.prod(swaps.shape) >= _FEWEST


def followed(swaps: jax.Array, backwards: bool) -> jax.Array:
    """Where each place is led by exchanging k with swaps[..., k], in turn, for swaps (..., n).

    ``backwards``, from the last exchange to the first, that is the row which comes to each place;
    otherwise the place that each row comes to.
    """
    return apart(_FOLLOWED[backwards], swaps)  # or they are followed for each entry that is read


def _followed(backwards: bool, swaps: jax.Array) -> jax.Array:
    n = swaps.shape[-1]
    size = n if n <= _LARGEST_IN_ONE else _STEPS
    count = -(-n // size)
    places = jnp.broadcast_to(jnp.arange(n, dtype=swaps.dtype), swaps.shape)
    idle = jnp.arange(n, count * size, dtype=swaps.dtype)
    added = jnp.broadcast_to(idle, (*swaps.shape[:-1], idle.size))
    swaps = jnp.concatenate([swaps, added], axis=-1)

    def some(turn: jax.Array | int, places: jax.Array) -> jax.Array:
        first = size * (count - 1 - turn if backwards else turn)
        these = lax.dynamic_slice_in_dim(swaps, first, size, axis=-1)
        for k in range(size)[:: -1 if backwards else 1]:
            one, other = first + k, these[..., k, None]
            places = jnp.where(places == one, other, jnp.where(places == other, one, places))
        return places

    return some(0, places) if count == 1 else lax.fori_loop(0, count, some, places)


_FOLLOWED = [functools.partial(_followed, backwards) for backwards in (False, True)]
