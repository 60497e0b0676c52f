"""The largest and the smallest eigenvalues of an operator, from its structure or from products."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
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
    if eigen.way(op.terms) != "dense" or is_decomposed(order, k):
        return ends(eigen.eigenvalues(op.terms, op.dtype), k, which)
    return by_products(arithmetic.apply, op, order, k, which, rtol, iterations)


def is_decomposed(order: int, k: int) -> bool:
    """Whether a matrix without structure is decomposed for k of its eigenvalues."""
    return order <= _DENSE or (5 * k >= order and order <= LARGEST)


def ends(values: Array, k: int, which: str) -> Array:
    """The k largest or smallest of some values, in ascending order; NaN if one is."""
    values = jnp.sort(values)
    found = values[values.size - k :] if which == "largest" else values[:k]
    return jnp.where(jnp.isnan(values[-1]), jnp.nan, found)


def by_products(
    product: Callable[[Any, Array], Array],
    op: Any,
    order: int,
    k: int,
    which: str,
    rtol: float | None,
    iterations: int,
) -> Array:
    """By LOBPCG, for ``product(op, x)`` on flat vectors."""
    _checks.few_eigenvalues(k, order, op.dtype)
    sign = 1 if which == "largest" else -1
    bound = math.sqrt(float(jnp.finfo(op.dtype).eps)) if rtol is None else rtol
    values = sign * _top((product, order, k, sign, bound, iterations), op)
    return values[::-1] if sign == 1 else values


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _top(options: Any, op: Any) -> Array:
    """The largest eigenvalues of ±A, in descending order."""
    return _iterated(options, op)[0]


@_top.defjvp
def _top_rule(options: Any, primals: Any, tangents: Any) -> Any:
    # dλ = vᵀ dA v, where λ is simple
    (op,), (dop,) = primals, tangents
    values, vectors = _iterated(options, op)
    vectors = constant(vectors)

    def quotients(op: Any) -> Array:
        return einsum("ni,ni->i", vectors, _images(options, op, vectors))

    return values, jax.jvp(quotients, (op,), (dop,))[1]


def _images(options: Any, op: Any, X: Array) -> Array:
    """±A on the columns of X."""
    product, _, _, sign, *_ = options
    return sign * jax.vmap(functools.partial(product, op), 1, 1)(X)


def _iterated(options: Any, op: Any) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors by LOBPCG, from a start that is always the same.

    LOBPCG finds the largest, and measures its residuals by their size: A is moved by a multiple of
    its norm, so that all eigenvalues are positive.
    """
    from jax.experimental.sparse.linalg import lobpcg_standard  # brings fifty modules

    product, order, k, _, bound, iterations = options
    start = jax.random.normal(jax.random.key(0), (order, k), op.dtype)
    norm = _norm(functools.partial(product, op), start[:, 0])
    shift = 2 * norm

    def moved(X: Array) -> Array:
        return _images(options, op, X) + shift * X

    # its residuals are measured by 10 n (λ + |A v|), about 40 n times the norm here
    _, vectors, _ = lobpcg_standard(moved, start, iterations, bound / (40 * order))
    images = _images(options, op, vectors)
    values = einsum("ni,ni->i", vectors, images)
    residuals = jnp.linalg.norm(images - values * vectors, axis=0)
    return jnp.where(residuals <= 2 * bound * norm, values, jnp.nan), vectors


def _norm(product: Callable[[Array], Array], x: Array) -> Array:
    """|A x| after some powers of A: most of the norm of A."""

    def step(_: Any, x: Array) -> Array:
        y = product(x)
        size = jnp.linalg.norm(y)
        return y / jnp.where(size == 0, 1, size)

    return jnp.linalg.norm(product(lax.fori_loop(0, _POWERS, step, x)))
