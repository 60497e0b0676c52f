"""Transposes that a CPU writes to memory before they are read.

XLA's fused loops walk down the columns of what they transpose, before JAX 0.12: A + Aᵀ of order
1024 takes 6 ms, and 1.3 ms if Aᵀ is written first (float32, two cores, JAX 0.10.2).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.kernels.apart import apart

# Entries of what is transposed, of one matrix in a batch, from which it is kept apart from the loop
# that reads it
_LARGE = 2**16


def transposed(X: jax.Array, order: tuple[int, ...]) -> jax.Array:
    """The axes of X in another order; of a large X, on a CPU, not fused into what reads it."""
    if _jax.FUSES_TRANSPOSES or not _jax.is_known(X.shape):
        return jnp.transpose(X, order)
    stays = next((k for k, axis in enumerate(order) if k != axis), X.ndim)
    if math.prod(X.shape[stays:]) < _LARGE:
        return jnp.transpose(X, order)

    def written(X: jax.Array) -> jax.Array:
        shape = [X.shape[k] for k in order]
        return apart(_flat_transpose(order), X).reshape(shape)

    return lax.platform_dependent(X, cpu=written, default=lambda X: jnp.transpose(X, order))


@functools.cache
def _flat_transpose(order: tuple[int, ...]) -> Callable[[jax.Array], jax.Array]:
    def flat_transpose(X: jax.Array) -> jax.Array:  # flat, for else XLA would only rename its axes
        return jnp.transpose(X, order).reshape(-1)

    return flat_transpose
