"""Blocks as one matrix, and a matrix or a flat vector as blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from jaxmatcalc.linear import arithmetic
from jaxmatcalc.linear.term import Array, Factor, Term, flat, fresh

if TYPE_CHECKING:
    from jaxmatcalc.linear.blockgrid import BlockGrid
    from jaxmatcalc.linear.operator import LinearOperator

Arrays = list[Array]


def matrix(H: BlockGrid, rows: Sequence[int] | None = None, columns: Any = None) -> Array:
    """Some of the blocks, or all, as one array with two axes."""
    rows = range(len(H.out_shapes)) if rows is None else rows
    columns = range(len(H.in_shapes)) if columns is None else columns
    heights, widths = (list(map(math.prod, shapes)) for shapes in (H.out_shapes, H.in_shapes))
    strips = [jnp.zeros((0, sum(widths[j] for j in columns)), H.dtype)]
    for i in rows:
        dense = [
            arithmetic.to_dense(H.rows[i][j]).reshape(heights[i], widths[j]).astype(H.dtype)
            for j in columns
        ]
        strips.append(jnp.concatenate([jnp.zeros((heights[i], 0), H.dtype), *dense], axis=1))
    return jnp.concatenate(strips)


def joined(xs: Sequence[Array]) -> Array:
    """One flat vector."""
    return jnp.concatenate([x.reshape(-1) for x in xs])


def cut(flat: Array, like: Sequence[Any]) -> Arrays:
    """A flat vector as arrays of the shapes of others."""
    ends = [sum(x.size for x in like[: k + 1]) for k in range(len(like) - 1)]
    return [x.reshape(y.shape) for x, y in zip(jnp.split(flat, ends), like, strict=True)]


def formed(array: Array, like: LinearOperator) -> LinearOperator:
    """A matrix as an operator between the shapes of another."""
    out, in_ = fresh(like.out_shape), fresh(like.in_shape)
    labels = flat(out) + flat(in_)
    factor = Factor(array.reshape([k.size for k in labels]), labels)
    return like.rebuilt([Term((factor,), out, in_)], dtype=array.dtype)


def split(array: Array, out_shapes: Any, in_shapes: Any) -> list[Arrays]:
    """A matrix cut into blocks."""

    def ends(shapes: Any) -> list[int]:
        return [sum(map(math.prod, shapes[: k + 1])) for k in range(len(shapes) - 1)]

    return [
        jnp.split(strip, ends(in_shapes), axis=1) for strip in jnp.split(array, ends(out_shapes))
    ]
