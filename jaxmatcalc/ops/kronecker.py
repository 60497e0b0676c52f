"""The Kronecker product, its sum, and its column-wise form, as arrays."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import common
from jaxmatcalc.ops._products import product_rule


def kron(*factors: Any) -> jax.Array:
    """The Kronecker product of one or more matrices.

    (A ⊗ B)_{ik,jl} = Aᵢⱼ Bₖₗ, with differential d(A ⊗ B) = dA ⊗ B + A ⊗ dB. The product of several
    factors is written in one pass.

    Args:
        *factors: arrays of shapes (..., m₁, n₁), (..., m₂, n₂), ..., whose leading axes broadcast
            (unlike `jnp.kron`, which multiplies every axis). Integers stay integers.

    Returns:
        Array of shape (..., m₁m₂⋯, n₁n₂⋯).

    Raises:
        TypeError: there is no factor, or one is not an array.
        ValueError: a factor has fewer than two axes, or leading axes do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.kron(jnp.array([[1, 2]]), jnp.array([[1], [10]])).tolist()
        [[1, 2], [10, 20]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (39).
    """
    return _kron(*common(*_checks.factors("kron", factors)))


@jax.custom_jvp
def _kron(*factors: jax.Array) -> jax.Array:
    return _outer(factors)


@functools.partial(_kron.defjvp, symbolic_zeros=True)
def _kron_jvp(primals: Any, tangents: Any) -> Any:
    def term(i: int, dA: jax.Array) -> jax.Array:
        return _outer([*primals[:i], dA, *primals[i + 1 :]])

    value = _kron(*primals)
    return value, product_rule(value, tangents, term)


def _outer(factors: Sequence[jax.Array]) -> jax.Array:
    """Each factor on row and column axes of its own, multiplied, and the axes merged."""
    k = len(factors)
    spread = functools.reduce(
        operator.mul,
        [
            jnp.expand_dims(A, [axis - 2 * k for axis in range(2 * k) if axis not in (i, k + i)])
            for i, A in enumerate(factors)
        ],
    )
    rows = math.prod(A.shape[-2] for A in factors)
    columns = math.prod(A.shape[-1] for A in factors)
    return spread.reshape(*spread.shape[: -2 * k], rows, columns)


def kron_sum(*factors: Any) -> jax.Array:
    """The Kronecker sum of one or more square matrices.

    A ⊕ B = A ⊗ I + I ⊗ B, and for more factors Σᵢ I ⊗ ⋯ ⊗ Aᵢ ⊗ ⋯ ⊗ I, with the differential
    dA ⊗ I + I ⊗ dB. Its eigenvalues are the sums of one eigenvalue of each factor.

    Args:
        *factors: arrays of shapes (..., m₁, m₁), (..., m₂, m₂), ..., whose leading axes broadcast.
            Integers stay integers.

    Returns:
        Array of shape (..., m₁m₂⋯, m₁m₂⋯).

    Raises:
        TypeError: there is no factor, or one is not an array.
        ValueError: a factor is not square, or leading axes do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> A, B = jnp.array([[1, 2], [3, 4]]), jnp.array([[10]])
        >>> jmc.kron_sum(A, B).tolist()
        [[11, 2], [3, 14]]

    Source: Horn and Johnson, Topics in Matrix Analysis (1991), section 4.4.
    """
    return _kron_sum(*common(*_checks.squares("kron_sum", factors)))


@jax.custom_jvp
def _kron_sum(*factors: jax.Array) -> jax.Array:
    terms = [_among_identities(factors, i, A) for i, A in enumerate(factors)]
    return functools.reduce(operator.add, terms)


@functools.partial(_kron_sum.defjvp, symbolic_zeros=True)
def _kron_sum_jvp(primals: Any, tangents: Any) -> Any:
    def term(i: int, dA: jax.Array) -> jax.Array:
        placed = _among_identities(primals, i, dA)
        return jnp.broadcast_to(placed, value.shape)

    value = _kron_sum(*primals)
    return value, product_rule(value, tangents, term)


def _among_identities(factors: Sequence[jax.Array], i: int, A: jax.Array) -> jax.Array:
    """I ⊗ ⋯ ⊗ A ⊗ ⋯ ⊗ I, with A in the place of factor i."""
    return _outer(
        [A if j == i else jnp.eye(B.shape[-1], dtype=A.dtype) for j, B in enumerate(factors)]
    )


def khatri_rao(*factors: Any) -> jax.Array:
    """The Khatri-Rao product: the Kronecker product column by column.

    The j-th column of A ⊙ B is A₍:,j₎ ⊗ B₍:,j₎, with differential d(A ⊙ B) = dA ⊙ B + A ⊙ dB. The
    product of several factors is written in one pass.

    Args:
        *factors: arrays of shapes (..., m₁, n), (..., m₂, n), ..., whose leading axes broadcast.
            Integers stay integers.

    Returns:
        Array of shape (..., m₁m₂⋯, n).

    Raises:
        TypeError: there is no factor, or one is not an array.
        ValueError: a factor has fewer than two axes, the numbers of columns differ, or leading axes
            do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.khatri_rao(jnp.array([[1, 2]]), jnp.array([[1, 1], [10, 10]])).tolist()
        [[1, 2], [10, 20]]

    Source: Kolda and Bader, Tensor decompositions and applications (2009), section 2.6.
    """
    matrices = _checks.factors("khatri_rao", factors)
    _checks.equal_columns("khatri_rao", matrices)
    return _khatri_rao(*common(*matrices))


@jax.custom_jvp
def _khatri_rao(*factors: jax.Array) -> jax.Array:
    return _by_columns(factors)


@functools.partial(_khatri_rao.defjvp, symbolic_zeros=True)
def _khatri_rao_jvp(primals: Any, tangents: Any) -> Any:
    def term(i: int, dA: jax.Array) -> jax.Array:
        return _by_columns([*primals[:i], dA, *primals[i + 1 :]])

    value = _khatri_rao(*primals)
    return value, product_rule(value, tangents, term)


def _by_columns(factors: Sequence[jax.Array]) -> jax.Array:
    """Each factor with a row axis of its own, multiplied, and the row axes merged."""
    k = len(factors)
    spread = functools.reduce(
        operator.mul,
        [
            jnp.expand_dims(A, [axis - k - 1 for axis in range(k) if axis != i])
            for i, A in enumerate(factors)
        ],
    )
    rows = math.prod(A.shape[-2] for A in factors)
    return spread.reshape(*spread.shape[: -k - 1], rows, spread.shape[-1])
