"""Sums and products of known values that are constant along an axis, or hold a delta."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc._precision import einsum
from jaxmatcalc.interpret.value import Known

Class = tuple[int, int]  # which operand, and the class of its axis
Classes = dict[Class, Class]


def dot_general(eqn: Any, left: Known, right: Known) -> Known | None:
    """A product that names the axes of its result: the identity times A is A itself."""
    if left.is_full and right.is_full:
        return None
    (left_sum, right_sum), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    one: Classes = {}
    for a, b in (
        *zip(left_sum, right_sum, strict=True),
        *zip(left_batch, right_batch, strict=True),
    ):
        first, second = _found(one, (0, left.axes[a])), _found(one, (1, right.axes[b]))
        if first != second:
            one[second] = first
    ours = [_found(one, (0, c)) for c in left.axes]
    theirs = [_found(one, (1, c)) for c in right.axes]
    out = [ours[a] for a in left_batch]
    out += [c for a, c in enumerate(ours) if a not in left_sum and a not in left_batch]
    out += [c for b, c in enumerate(theirs) if b not in right_sum and b not in right_batch]
    return _summed(eqn, [left, right], [ours, theirs], out)


def reduce_sum(eqn: Any, operand: Known) -> Known | None:
    """A sum that counts the axes along which nothing varies."""
    if operand.is_full:
        return None
    classes = [(0, c) for c in operand.axes]
    out = [c for a, c in enumerate(classes) if a not in eqn.params["axes"]]
    return _summed(eqn, [operand], [classes], out)


def _found(one: Classes, c: Class) -> Class:
    while c in one:
        c = one[c]
    return c


def _summed(
    eqn: Any, operands: Sequence[Known], classes: Sequence[Sequence[Class]], out: Sequence[Class]
) -> Known:
    """The product of known values, summed over the classes that `out` lacks."""
    aval = eqn.outvars[0].aval
    sizes: dict[Class, int] = {}
    arrays, labels = [], []
    for k, own in zip(operands, classes, strict=True):
        sizes.update(zip(own, k.shape, strict=True))
        labels.append([own[k.axes.index(c)] for c in k.varying])
        arrays.append(k.array)
    varying = [c for c in dict.fromkeys(out) if any(c in ls for ls in labels)]
    lost = [c for c in sizes if c not in out and not any(c in ls for ls in labels)]
    count = math.prod(sizes[c] for c in lost)
    kept = [n for n, a in enumerate(arrays) if np.ndim(a) or not _is_one(a)]
    if count == 1 and len(kept) == 1 and labels[kept[0]] == varying:
        array = arrays[kept[0]]  # the same object: terms that share it can be merged
        array = array if array.dtype == aval.dtype else jnp.asarray(array, aval.dtype)
    else:
        number = {c: n for n, c in enumerate(sizes)}
        pairs = [
            x
            for a, ls in zip(arrays, labels, strict=True)
            for x in (jnp.asarray(a, aval.dtype), [number[c] for c in ls])
        ]
        array = einsum(*pairs, [number[c] for c in varying])
        array = array if count == 1 else array * jnp.asarray(count, aval.dtype)
    first = {c: out.index(c) for c in out}
    axes = tuple(first[c] for c in out)
    return Known(array, tuple(aval.shape), axes, tuple(first[c] for c in varying))


def _is_one(array: Any) -> bool:
    return isinstance(array, np.ndarray | np.generic) and bool(array == 1)


def concatenate(eqn: Any, *operands: Known) -> Known | None:
    """Indices into several axes are joined as the last axis of one array: each is remembered."""
    aval = eqn.outvars[0].aval
    last = eqn.params["dimension"] == len(aval.shape) - 1
    if not (last and np.issubdtype(aval.dtype, np.integer)):
        return None
    if any(k.shape[-1] != 1 for k in operands):
        return None
    array = jnp.concatenate([jnp.asarray(k.value()) for k in operands], -1)
    axes = tuple(range(len(aval.shape)))
    return Known(array, tuple(aval.shape), axes, axes, parts=operands)
