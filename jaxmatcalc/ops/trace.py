"""Traces: of a matrix, and of a product of matrices that is never formed."""

from __future__ import annotations

import functools
from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import common, narrow, widen
from jaxmatcalc.ops._products import einsum, product_rule, trace_of_product


def trace(X: Any) -> jax.Array:
    """The trace of a square matrix.

    tr X = Σᵢ Xᵢᵢ, with differential d tr X = tr dX.

    Args:
        X: array of shape (..., n, n). Integers stay integers.

    Returns:
        Array of shape (...).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.trace)(jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (99).
    """
    X = _checks.square("trace", X)
    return narrow(_trace(widen(X)), X)


@jax.custom_jvp
def _trace(X: jax.Array) -> jax.Array:
    return einsum("...ii->...", X)


@_trace.defjvp
def _trace_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _trace(X), einsum("...ii->...", dX)


def trace_product(*factors: Any) -> jax.Array:
    """The trace of a product of matrices, without the last product.

    tr(A₁ A₂ ⋯ A_k), with differential Σᵢ tr(Cᵢ dAᵢ), where Cᵢ = Aᵢ₊₁ ⋯ A_k A₁ ⋯ Aᵢ₋₁. Two
    factors cost O(mn); k factors cost k - 2 matrix products, in the cheapest order.

    Args:
        *factors: arrays of shapes (..., n₀, n₁), (..., n₁, n₂), ..., (..., n_{k-1}, n₀), whose
            leading axes broadcast. Integers stay integers.

    Returns:
        Array of the broadcast leading shape.

    Raises:
        TypeError: there is no factor, or one is not an array.
        ValueError: the product does not exist, or is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> A, B = jnp.arange(6.0).reshape(2, 3), jnp.ones((3, 2))
        >>> float(jmc.trace_product(A, B))
        15.0

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eqs. (100) to (104).
    """
    matrices = _checks.factors("trace_product", factors)
    _checks.cycle("trace_product", matrices)
    if len(matrices) == 1:
        return narrow(_trace(widen(matrices[0])), matrices[0])
    matrices = common(*matrices)
    return narrow(_trace_product(*map(widen, matrices)), matrices[0])


@jax.custom_jvp
def _trace_product(*factors: jax.Array) -> jax.Array:
    return trace_of_product(_chain(*factors[:-1]), factors[-1])


@functools.partial(_trace_product.defjvp, symbolic_zeros=True)
def _trace_product_jvp(primals: Any, tangents: Any) -> Any:
    def term(i: int, dA: jax.Array) -> jax.Array:
        return trace_of_product(_chain(*primals[i + 1 :], *primals[:i]), dA)

    value = _trace_product(*primals)
    return value, product_rule(value, tangents, term)


def _chain(*factors: jax.Array) -> jax.Array:
    """The product of one or more matrices, in the order that costs least."""
    if len(factors) == 1:
        return factors[0]
    operands = [part for i, A in enumerate(factors) for part in (A, [..., i, i + 1])]
    return einsum(*operands, [..., 0, len(factors)], optimize="optimal")
