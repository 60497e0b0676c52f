"""The nuclear norm and the spectral norm."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._products import einsum
from jaxmatcalc.ops._singular import Decomposition, decomposition, weighted_polar_factor


def nuclear_norm(X: Any) -> jax.Array:
    """The nuclear norm of a matrix.

    ‖X‖ = Σᵢ σᵢ, the sum of the singular values, with differential d‖X‖ = Re⟨P, dX⟩, where P = U Vᴴ
    is the polar factor of X = U diag(σ) Vᴴ. Singular values may repeat.

    Where X has less than full rank (a singular value is 0 to rounding) the norm has no derivative.
    There P is the sum of u vᴴ over the others: the subgradient of least norm, 0 at X = 0. The
    derivatives of higher order are those of the sum of these other singular values.

    Args:
        X: array of shape (..., m, n), real or complex. float16 and bfloat16 are factored in
            float32.

    Returns:
        Real array of shape (...).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> float(jmc.nuclear_norm(jnp.diag(jnp.array([3.0, -4.0]))))
        7.0
        >>> jax.grad(jmc.nuclear_norm)(jnp.diag(jnp.array([2.0, 0.0]))).tolist()
        [[1.0, 0.0], [0.0, 0.0]]

    Source: Watson, Characterization of the subdifferential of some matrix norms (1992), section 3.
    """
    (X,) = inexact(_checks.matrix("nuclear_norm", X))
    return narrow(_nuclear_norm(widen(X)), X)


def spectral_norm(X: Any) -> jax.Array:
    """The spectral norm of a matrix.

    ‖X‖ = σ₁, the largest singular value, with differential d‖X‖ = Re⟨u vᴴ, dX⟩, where u and v are
    the singular vectors of σ₁. Other singular values may repeat.

    Where σ₁ is repeated (to rounding) the norm has no derivative. There the mean of u vᴴ over
    the singular values equal to σ₁ is taken: the subgradient of least norm, 0 at X = 0. The
    derivatives of higher order are those of the mean of these singular values.

    Args:
        X: array of shape (..., m, n), real or complex. float16 and bfloat16 are factored in
            float32.

    Returns:
        Real array of shape (...).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> float(jmc.spectral_norm(jnp.diag(jnp.array([3.0, -4.0]))))
        4.0
        >>> jax.grad(jmc.spectral_norm)(2 * jnp.eye(2)).tolist()
        [[0.5, 0.0], [0.0, 0.5]]

    Source: Watson, Characterization of the subdifferential of some matrix norms (1992), section 3.
    """
    (X,) = inexact(_checks.matrix("spectral_norm", X))
    return narrow(_spectral_norm(widen(X)), X)


def _positive(s: jax.Array, size: int) -> jax.Array:
    """1 for each singular value that is not 0 to rounding."""
    return (s > _rounding(s, size)).astype(s.dtype)


def _largest(s: jax.Array, size: int) -> jax.Array:
    """1/r for each of the r singular values that are equal to the largest; 0 if that is 0."""
    top = ((s[..., :1] - s <= _rounding(s, size)) & (s > 0)).astype(s.dtype)
    return top / jnp.maximum(jnp.sum(top, axis=-1, keepdims=True), 1)


def _rounding(s: jax.Array, size: int) -> jax.Array:
    return size * float(jnp.finfo(s.dtype).eps) * s[..., :1]


def _singular_values(X: jax.Array) -> jax.Array:
    return jnp.linalg.svd(X, compute_uv=False)


@jax.custom_jvp
def _nuclear_norm(X: jax.Array) -> jax.Array:
    return jnp.sum(_singular_values(X), axis=-1)


@_nuclear_norm.defjvp
def _nuclear_norm_jvp(primals: Any, tangents: Any) -> Any:
    (X,) = primals
    found = decomposition(X)
    operands = (X, jnp.sum(found.s, axis=-1), found, _positive(found.s, max(X.shape[-2:])))
    return _at_hand_jvp(operands, tangents)


@jax.custom_jvp
def _spectral_norm(X: jax.Array) -> jax.Array:
    return jnp.max(_singular_values(X), axis=-1, initial=0)


@_spectral_norm.defjvp
def _spectral_norm_jvp(primals: Any, tangents: Any) -> Any:
    (X,) = primals
    found = decomposition(X)
    value = jnp.max(found.s, axis=-1, initial=0)
    return _at_hand_jvp((X, value, found, _largest(found.s, max(X.shape[-2:]))), tangents)


@jax.custom_jvp
def _at_hand(X: jax.Array, value: jax.Array, found: Decomposition, weights: jax.Array) -> jax.Array:
    """The weighted sum of singular values, whose value is at hand."""
    return value


@_at_hand.defjvp
def _at_hand_jvp(primals: Any, tangents: Any) -> Any:
    X, _, found, weights = primals
    P = weighted_polar_factor(X, found, lax.stop_gradient(weights))
    return _at_hand(*primals), jnp.real(einsum("...ij,...ij->...", jnp.conj(P), tangents[0]))
