"""Two factors as one primitive: what an einsum of two operands comes to, without its parsing.

A Hessian holds hundreds of such products, and each is traced when it is derived.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _precision
from jaxmatcalc.linear.term import Array, Factor, Group


def array_of(factor: Factor, dtype: Any) -> Array:
    """The array of a factor in a dtype."""
    array = factor.array
    return (
        array
        if isinstance(array, jax.Array) and array.dtype == dtype
        else jnp.asarray(array, dtype)
    )


def reordered(array: Array, order: Sequence[int]) -> Array:
    """A transpose, where it is one."""
    return array if list(order) == sorted(order) else lax.transpose(array, order)


def spread(factor: Factor, labels: Group, dtype: Any) -> Array:
    """A factor as an array over more labels, constant along those that it has not."""
    order = [factor.labels.index(k) for k in labels if k in factor.labels]
    array = reordered(array_of(factor, dtype), order)
    if len(order) == len(labels):
        return array
    places = [a for a, k in enumerate(labels) if k in factor.labels]
    return lax.broadcast_in_dim(array, [k.size for k in labels], places)


def product(left: Factor, right: Factor, result: Group, dtype: Any) -> Array:
    """The product of two factors, none with a label twice, summed over what is not in `result`."""
    left = _summed(left, {*right.labels, *result}, dtype)
    right = _summed(right, {*left.labels, *result}, dtype)
    both = [k for k in left.labels if k in right.labels]
    inner = [k for k in both if k not in result]
    if not inner:
        return lax.mul(spread(left, result, dtype), spread(right, result, dtype))
    batch = [k for k in both if k in result]
    free = [tuple(k for k in f.labels if k not in both) for f in (left, right)]
    if result == (*batch, *free[1], *free[0]):
        left, right, free = right, left, free[::-1]
    ours, theirs = (
        [[f.labels.index(k) for k in labels] for labels in (inner, batch)] for f in (left, right)
    )
    numbers = (ours[0], theirs[0]), (ours[1], theirs[1])
    arrays = array_of(left, dtype), array_of(right, dtype)
    value = lax.dot_general(*arrays, numbers, _precision.current())
    labels = (*batch, *free[0], *free[1])
    return reordered(value, [labels.index(k) for k in result])


def _summed(factor: Factor, kept: set[Any], dtype: Any) -> Factor:
    """A factor without the labels that it has alone."""
    axes = [a for a, k in enumerate(factor.labels) if k not in kept]
    if not axes:
        return factor
    labels = tuple(k for k in factor.labels if k in kept)
    return Factor(jnp.sum(array_of(factor, dtype), axes), labels)
