"""Transposes over the last two axes."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def transpose(X: jax.Array) -> jax.Array:
    """Xᵀ of X (..., m, n)."""
    return jnp.swapaxes(X, -1, -2)


def adjoint(X: jax.Array) -> jax.Array:
    """Xᴴ of X (..., m, n)."""
    return jnp.conj(transpose(X))


def symmetrised(X: jax.Array) -> jax.Array:
    """(X + Xᴴ) / 2 of X (..., n, n), without overflow."""
    return X / 2 + adjoint(X) / 2
