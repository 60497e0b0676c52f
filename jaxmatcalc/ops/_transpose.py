"""Transposes over the last two axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc.kernels import transposes


def transpose(X: jax.Array) -> jax.Array:
    """Xᵀ of X (..., m, n)."""
    return jnp.swapaxes(X, -1, -2)


def adjoint(X: jax.Array) -> jax.Array:
    """Xᴴ of X (..., m, n)."""
    return jnp.conj(transpose(X))


def symmetrised(X: jax.Array) -> jax.Array:
    """(X + Xᴴ) / 2 of X (..., n, n), without overflow."""
    axes = tuple(range(X.ndim))
    return X / 2 + jnp.conj(transposes.transposed(X, (*axes[:-2], axes[-1], axes[-2]))) / 2


@jax.custom_jvp
def transpose_of_hermitian(Y: jax.Array) -> jax.Array:
    """Yᵀ of a Hermitian Y (..., n, n): its conjugate, so that nothing is moved in memory."""
    return jnp.conj(Y)


@transpose_of_hermitian.defjvp
def _transpose_of_hermitian_jvp(primals: Any, tangents: Any) -> Any:
    (Y,), (dY,) = primals, tangents  # dY need not be Hermitian
    return transpose_of_hermitian(Y), transpose(dY)
