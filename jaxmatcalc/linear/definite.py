"""The signs of the eigenvalues of an operator: definiteness and inertia."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc.linear import eigen
from jaxmatcalc.linear.kinds import component_matrix, parts_and_scale, sides
from jaxmatcalc.linear.term import Array, Term

if TYPE_CHECKING:
    from jaxmatcalc.linear.termsum import TermSum


class Inertia(NamedTuple):
    """How many eigenvalues of a symmetric (Hermitian) operator have which sign.

    In = (#{λᵢ > τ}, #{λᵢ < -τ}, #{|λᵢ| ≤ τ}), with τ = rtol · maxᵢ |λᵢ|. It is what
    `LinearOperator.inertia` and `BlockOperator.inertia` return.

    Attributes:
        positive: integer array without axes, or of the operator's `batch_shape`.
        negative: the same.
        zero: the same.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> signs = jmc.diagonal(jnp.array([2.0, -1.0, 0.0, 5.0])).inertia()
        >>> isinstance(signs, jmc.Inertia), signs.positive.item(), signs.zero.item()
        (True, 2, 1)

    Source: Horn and Johnson, Matrix Analysis (2013), section 4.5.
    """

    positive: jax.Array
    negative: jax.Array
    zero: jax.Array


def inertia(op: TermSum, rtol: float | None) -> Inertia:
    """The signs of the eigenvalues, counted."""
    order = math.prod(op.in_shape)
    w = eigen.eigenvalues(op.terms, op.dtype) if op.terms and order else jnp.zeros(order)
    return counted(w, rounding(order, op.dtype, rtol))


def counted(w: Array, rtol: float) -> Inertia:
    """The signs of eigenvalues, counted."""
    threshold = rtol * jnp.max(jnp.abs(w), initial=0)
    counts = (jnp.sum(w > threshold), jnp.sum(w < -threshold), jnp.sum(jnp.abs(w) <= threshold))
    return Inertia(*counts)


def rounding(order: int, dtype: Any, rtol: float | None = None) -> float:
    """What an eigenvalue may be off by, relative to the largest."""
    return 10 * math.sqrt(order) * float(jnp.finfo(dtype).eps) if rtol is None else rtol


def is_positive_definite(op: TermSum) -> Array:
    """Whether the operator is symmetric within rounding, and its eigenvalues positive."""
    terms, dtype = op.terms, op.dtype
    if not terms or math.prod(op.in_shape) == 0:
        return jnp.asarray(math.prod(op.in_shape) == 0)
    name = eigen.way(terms)
    if name == "dense":
        (matrix,) = eigen.symmetric_parts(terms, dtype)
        positive = sign(matrix) > 0
    elif name == "term":
        positive = _sign_of_term(terms[0], dtype) > 0
    else:
        w = eigen.eigenvalues(terms, dtype)
        positive = jnp.min(w) > rounding(w.size, dtype) * jnp.max(jnp.abs(w))
    for M in eigen.symmetric_parts(terms, dtype):
        positive &= is_symmetric(M)
    return positive


def is_symmetric(M: Array) -> Array:
    """Whether matrices (..., n, n), or entries of a diagonal, are Hermitian within rounding."""
    other = M.conj() if M.ndim < 2 else jnp.swapaxes(M, -1, -2).conj()
    bound = 8 * math.prod(M.shape[-1:]) * float(jnp.finfo(M.dtype).eps)
    return jnp.all(jnp.abs(M - other) <= bound * jnp.max(jnp.abs(M), initial=0))


def _sign_of_term(term: Term, dtype: Any) -> Array:
    """1 or -1 where the components of a term are all definite, else 0: the product of the signs."""
    parts, scale = parts_and_scale(term, dtype)
    signs: Sequence[Array] = [jnp.sign(jnp.real(scale))]
    for c in parts:
        M = component_matrix(c, term)
        rows, _, _ = sides(c, term)
        signs = [*signs, sign(M) if rows else _common(jnp.sign(jnp.real(M)))]
    return math.prod(signs)


def sign(M: Array) -> Array:
    """1 or -1 where all matrices (..., n, n) are positive, or all negative definite, else 0."""
    first = jnp.sign(jnp.real(M[..., 0, 0]))
    factor = jnp.linalg.cholesky(first[..., None, None].astype(M.dtype) * M)
    definite = jnp.all(jnp.isfinite(factor), axis=(-1, -2))
    return _common(jnp.where(definite, first, 0))


def _common(signs: Array) -> Array:
    """The sign that all entries have, or 0."""
    low, high = jnp.min(signs), jnp.max(signs)
    return jnp.where(low == high, low, 0)
