"""LU factorisation with partial pivoting, as the operations see it: pivots and inverse.

Pivots and inverse each name the same factorisation of X. Inside one compiled program XLA keeps one
of the two, so an operation whose value takes the pivots and whose rule takes the inverse factors X
once.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import kernels
from jaxmatcalc.ops._leaf import leaf


@leaf
def pivots(X: jax.Array) -> jax.Array:
    """The n pivots of X (..., n, n), the first with the sign of the row permutation.

    Their product is det X.
    """
    return _fastest("pivots", _library_pivots, X)


@leaf
def inverse(X: jax.Array) -> jax.Array:
    """X⁻¹ of X (..., n, n); inf and NaN where a pivot is zero."""
    return _fastest("inverse", _library_inverse, X)


def _fastest(operation: str, library: kernels.Kernel, X: jax.Array) -> jax.Array:
    kernel = kernels.select(operation, X.shape, X.dtype)
    return library(X) if kernel is None else lax.platform_dependent(X, cpu=kernel, default=library)


def _library_pivots(X: jax.Array) -> jax.Array:
    lu, rows, _ = lax.linalg.lu(X)
    diagonal = jnp.einsum("...ii->...i", lu)
    swaps = jnp.count_nonzero(rows != jnp.arange(X.shape[-1], dtype=rows.dtype), axis=-1)
    sign = (1 - 2 * (swaps % 2)).astype(X.dtype)
    return jnp.concatenate([diagonal[..., :1] * sign[..., None], diagonal[..., 1:]], axis=-1)


def _library_inverse(X: jax.Array) -> jax.Array:
    lu, _, permutation = lax.linalg.lu(X)
    identity = jnp.eye(X.shape[-1], dtype=X.dtype)
    Y = lax.linalg.triangular_solve(
        lu, identity[permutation], left_side=True, lower=True, unit_diagonal=True
    )
    return lax.linalg.triangular_solve(lu, Y, left_side=True, lower=False)


def sign_and_logarithm(p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(sign, log|·|) of the product of pivots (..., n); (0, -inf) if one is 0."""
    return jnp.prod(jnp.sign(p), axis=-1), jnp.sum(jnp.log(jnp.abs(p)), axis=-1)


def product(p: jax.Array) -> jax.Array:
    """The product of pivots (..., n), right wherever it is a normal number.

    A partial product may overflow or underflow although the product does not; then it is taken
    through logarithms, which costs some digits.
    """
    limits = jnp.finfo(p.dtype)
    partial = jnp.abs(jnp.cumprod(p, axis=-1))
    harmless = (partial < limits.max) & (partial > limits.tiny / limits.eps)
    sign, logarithm = sign_and_logarithm(p)
    through_logarithms = sign * jnp.exp(logarithm)
    return jnp.where(jnp.all(harmless, axis=-1), jnp.prod(p, axis=-1), through_logarithms)


def is_singular(X: jax.Array) -> jax.Array:
    """Whether a pivot of X (..., n, n) is exactly zero."""
    return jnp.any(pivots(X) == 0, axis=-1)
