"""Choices of entries: slices, reversed axes, single entries, as products with 0-1 arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.explain.building import product
from jaxmatcalc.explain.tensor import Tensor, labels

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader

Value = Tensor | np.ndarray

_LARGEST = 4096  # entries of the array that a choice is read as


def selected(reader: Reader, eqn: Any, *values: Value) -> Value | None:
    """A choice of entries of one array, as a product with the 0-1 array that makes it."""
    moving = [k for k, v in enumerate(values) if isinstance(v, Tensor)]
    (out,) = eqn.outvars
    if len(moving) != 1:
        return _sum(reader, eqn, values, moving)
    (k,) = moving
    value = reader.tensor(values[k])
    if value.constant is not None or math.prod(out.aval.shape) * math.prod(value.shape) > _LARGEST:
        return None
    return _through(reader, eqn, values, k)


def _sum(reader: Reader, eqn: Any, values: Sequence[Value], moving: Sequence[int]) -> Tensor | None:
    """Arrays put side by side: a sum of choices."""
    if eqn.primitive.name not in ("concatenate", "pad"):
        return None
    total: Tensor | None = None
    for k in moving:
        others = [v if j == k else np.zeros(eqn.invars[j].aval.shape) for j, v in enumerate(values)]
        piece = _through(reader, eqn, others, k)
        if piece is None:
            return None
        total = piece if total is None else total + piece
    return total


def _through(reader: Reader, eqn: Any, values: Sequence[Value], k: int) -> Tensor | None:
    value = reader.tensor(values[k])
    (out,) = eqn.outvars
    if math.prod(out.aval.shape) * math.prod(value.shape) > _LARGEST:
        return None

    def function(x: Any) -> Any:
        avals = [v.aval for v in eqn.invars]
        given = [x if j == k else np.asarray(v) for j, v in enumerate(values)]
        cast = [jax.numpy.asarray(v, a.dtype) for v, a in zip(given, avals, strict=True)]
        return _jax.bind(eqn, cast)[0]

    at = jax.numpy.zeros(value.shape, eqn.invars[k].aval.dtype)
    with jax.ensure_compile_time_eval():
        start, map_ = np.asarray(function(at)), np.asarray(jax.jacfwd(function)(at))
    moved, own = labels(out.aval.shape), labels(value.shape)
    pieces = _by_axes(map_, len(moved))
    if pieces is None:
        maps = [(reader.tensor(map_), (*moved, *own))]
    else:
        maps = [
            (reader.tensor(piece), (own[axis],) if of is None else (moved[of], own[axis]))
            for axis, (of, piece) in enumerate(pieces)
        ]
    result = product(moved, *maps, (value, own), expand=False)
    return result + reader.tensor(start) if start.any() else result


def _by_axes(map_: np.ndarray, count: int) -> list[tuple[int | None, np.ndarray]] | None:
    """A linear map as a product of one matrix for each axis that it takes, or None.

    Args:
        map_: the map, with the axes of its result first.
        count: the number of these.

    Returns:
        For every axis that it takes: the axis of the result that it belongs to, and a matrix; or
        None and a vector.
    """
    inside = range(count, map_.ndim)
    found: list[tuple[int | None, np.ndarray]] = []
    for axis in inside:
        others = tuple(a for a in inside if a != axis)
        seen = np.asarray(map_.any(axis=others), float)
        kept = [k for k in range(count) if (seen != np.take(seen, [0], axis=k)).any()]
        if len(kept) > 1 or 0 in seen.shape:
            return None
        piece = seen[tuple(slice(None) if k in kept else 0 for k in range(count))]
        found.append((kept[0] if kept else None, piece))
    letters = itertools.count(count)
    operands: list[Any] = []
    for of, piece in found:
        operands += [piece, [next(letters)] if of is None else [of, next(letters)]]
    used = {of for of, _ in found}
    for k in range(count):
        if k not in used:
            operands += [np.ones(map_.shape[k]), [k]]
    whole = np.einsum(*operands, list(range(map_.ndim))) if operands else map_
    return found if (whole == map_).all() else None
