"""Which dtype an operation computes in, and which it returns."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def common(*arrays: jax.Array) -> list[jax.Array]:
    """The arrays in their common dtype; integers stay integers."""
    dtype = jnp.result_type(*arrays)
    return [X.astype(dtype) for X in arrays]


def inexact(*arrays: jax.Array) -> list[jax.Array]:
    """The arrays in their common dtype, integers promoted as `jax.numpy.linalg` promotes them."""
    dtype = jnp.result_type(*arrays)
    if not jnp.issubdtype(dtype, jnp.inexact):
        dtype = jnp.dtype("float64" if dtype.itemsize == 8 else "float32")
    return [X.astype(dtype) for X in arrays]


def widen(X: jax.Array) -> jax.Array:
    """X in float32 where its own dtype is narrower, as factorisations and long sums need."""
    if jnp.issubdtype(X.dtype, jnp.floating) and X.dtype.itemsize < 4:
        return X.astype(jnp.float32)
    return X


def narrow(value: jax.Array, X: jax.Array) -> jax.Array:
    """``value``, computed from ``widen(X)``, in the dtype that X calls for."""
    return value if widen(X) is X else value.astype(X.dtype)
