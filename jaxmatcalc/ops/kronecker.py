"""The Kronecker product, formed as an array."""

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
