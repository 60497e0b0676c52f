"""The largest and the smallest eigenvalues of an operator, from its structure or from products."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import einsum
from jaxmatcalc.linear import arithmetic, eigen
from jaxmatcalc.linear.decomposition import LARGEST, constant
from jaxmatcalc.linear.term import Array

if TYPE_CHECKING:
    from jaxmatcalc.linear.operator import LinearOperator

# Up to this order a matrix without structure is formed and decomposed
_DENSE = 512

# Products that estimate the norm
_POWERS = 8


def extreme_eigenvalues(
    op: LinearOperator, k: int, which: str, rtol: float | None, iterations: int
) -> Array:
    """The k largest or smallest eigenvalues, in ascending order."""
    order = math.prod(op.in_shape)
    if not op.terms:
        return jnp.zeros(k, jnp.finfo(op.dtype).dtype)
    dense = eigen.way(op.terms) == "dense"
    if not dense or order <= _DENSE or (5 * k >= order and order <= LARGEST):
        values = jnp.sort(eigen.eigenvalues(op.terms, op.dtype))
        return values[-k:] if which == "largest" else values[:k]
    _checks.few_eigenvalues(k, order, op.dtype)
    sign = 1 if which == "largest" else -1
    bound = math.sqrt(float(jnp.finfo(op.dtype).eps)) if rtol is None else rtol
    values = sign * _top((k, sign, bound, iterations), op)
    return values[::-1] if sign == 1 else values


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _top(options: Any, op: LinearOperator) -> Array:
    """The largest eigenvalues of ±A, in descending order."""
    return _iterated(options, op)[0]


@_top.defjvp
def _top_rule(options: Any, primals: Any, tangents: Any) -> Any:
    # dλ = vᵀ dA v, where λ is simple
    (op,), (dop,) = primals, tangents
    values, vectors = _iterated(options, op)
    vectors = constant(vectors)

    def quotients(op: LinearOperator) -> Array:
        return einsum("ni,ni->i", vectors, _images(op, options[1], vectors))

    return values, jax.jvp(quotients, (op,), (dop,))[1]


def _images(op: LinearOperator, sign: int, X: Array) -> Array:
    """±A on the columns of X."""
    return sign * jax.vmap(functools.partial(arithmetic.apply, op), 1, 1)(X)


def _iterated(options: Any, op: LinearOperator) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors by LOBPCG, from a start that is always the same.

    LOBPCG finds the largest, and measures its residuals by their size: A is moved by a multiple of
    its norm, so that all eigenvalues are positive.
    """
    from jax.experimental.sparse.linalg import lobpcg_standard  # brings fifty modules

    k, sign, bound, iterations = options
    order, dtype = math.prod(op.in_shape), op.dtype
    start = jax.random.normal(jax.random.key(0), (order, k), dtype)
    norm = _norm(op, start[:, 0])
    shift = 2 * norm

    def moved(X: Array) -> Array:
        return _images(op, sign, X) + shift * X

    # its residuals are measured by 10 n (λ + |A v|), about 40 n times the norm here
    _, vectors, _ = lobpcg_standard(moved, start, iterations, bound / (40 * order))
    images = _images(op, sign, vectors)
    values = einsum("ni,ni->i", vectors, images)
    residuals = jnp.linalg.norm(images - values * vectors, axis=0)
    return jnp.where(residuals <= 2 * bound * norm, values, jnp.nan), vectors


def _norm(op: LinearOperator, x: Array) -> Array:
    """|A x| after some powers of A: most of the norm of A."""

    def step(_: Any, x: Array) -> Array:
        y = arithmetic.apply(op, x)
        size = jnp.linalg.norm(y)
        return y / jnp.where(size == 0, 1, size)

    return jnp.linalg.norm(arithmetic.apply(op, lax.fori_loop(0, _POWERS, step, x)))
