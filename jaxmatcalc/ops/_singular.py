"""The gradient of a sum of singular values, as a differentiable function of the matrix.

The gradient of Σ cᵢ σᵢ is U diag(c) Vᴴ. It is a block of a function of a Hermitian matrix,

    H = [[0, X], [Xᴴ, 0]],   f(H) = [[0, U diag(c) Vᴴ], [V diag(c) Uᴴ, 0]],

for the eigenvalues of H are ±σᵢ, and 0, and f takes them to ±cᵢ, and 0. So its derivatives are in
the ring of functions of H, and the eigenbasis of H is made of the singular vectors of X.

The c are constants, and equal where singular values are: f is constant on each such group.

Source: Golub and Van Loan, Matrix Computations (2013), section 8.6.1 (the eigenbasis of H).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc.ops._divided import weight_differences
from jaxmatcalc.ops._eigenbasis import combined
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops._ring import Ring
from jaxmatcalc.ops._transpose import adjoint

Array = jax.Array


class Decomposition(NamedTuple):
    """X = U diag(s) Vh, with min(m, n) columns in U and rows in Vh."""

    U: Array
    s: Array
    Vh: Array


def decomposition(X: Array) -> Decomposition:
    """The singular value decomposition of X (..., m, n), as values."""
    return Decomposition(*jnp.linalg.svd(lax.stop_gradient(X), full_matrices=False))


def weighted_polar_factor(X: Array, found: Decomposition, weights: Array) -> Array:
    """U diag(c) Vᴴ of X (..., m, n), for weights c (..., r) that are constant."""
    m = X.shape[-2]
    H = _off_diagonal(X, adjoint(X))
    return _polar((*map(lax.stop_gradient, found), weights), (2, 1, 2, 1), H)[..., :m, m:]


def _off_diagonal(A: Array, B: Array) -> Array:
    """[[0, A], [B, 0]]."""
    m, n = A.shape[-2:]
    first = jnp.concatenate([jnp.zeros((*A.shape[:-1], m), A.dtype), A], axis=-1)
    last = jnp.concatenate([B, jnp.zeros((*B.shape[:-1], n), B.dtype)], axis=-1)
    return jnp.concatenate([first, last], axis=-2)


def _value(given: Sequence[Array], H: Array, Es: Sequence[Array], *, ranks: object) -> Array:
    U, s, Vh, weights = given
    if not Es:
        P = matmul(U * weights[..., None, :].astype(U.dtype), Vh)
        return _off_diagonal(P, adjoint(P))
    nodes, basis = _eigenbasis(U, s, Vh)
    null = basis.shape[-1] - 2 * s.shape[-1]
    values = jnp.concatenate([weights, -weights, _zeros(weights, null)], axis=-1)
    return combined(weight_differences(nodes, values, len(Es), constant=True), basis, Es)


def _eigenbasis(U: Array, s: Array, Vh: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors of H: s, -s and zeros."""
    (m, r), n, V = U.shape[-2:], Vh.shape[-1], adjoint(Vh)
    half = 0.5**0.5
    upper = [half * U, half * U]
    lower = [half * V, -half * V]
    if m > r:
        upper.append(jnp.linalg.qr(U, mode="complete")[0][..., r:])
        lower.append(jnp.zeros((*V.shape[:-1], m - r), V.dtype))
    if n > r:
        upper.append(jnp.zeros((*U.shape[:-1], n - r), U.dtype))
        lower.append(jnp.linalg.qr(V, mode="complete")[0][..., r:])
    basis = jnp.concatenate(
        [jnp.concatenate(upper, axis=-1), jnp.concatenate(lower, axis=-1)], axis=-2
    )
    return jnp.concatenate([s, -s, _zeros(s, m + n - 2 * r)], axis=-1), basis


def _zeros(x: Array, size: int) -> Array:
    return jnp.zeros((*x.shape[:-1], size), x.dtype)


_polar = Ring("polar_factor", _value)
