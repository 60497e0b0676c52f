"""Values that do not depend on the tangent, and the axes they vary on.

A scalar broadcast to a matrix must stay a scalar: as a full array it ties axes together, and
``‖AX‖²`` loses its Kronecker form. So a known value is a small array, and for each of its axes the
*class* it belongs to: a class that the array has no axis for is one the value is constant along,
and two axes of one class hold a Kronecker delta, as the mask of ``jnp.trace`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any


@dataclass(frozen=True, eq=False)
class Known:
    """A value as `array` over the classes `varying`, spread over axes of the classes `axes`.

    Attributes:
        array: the entries, an axis for each class in `varying`.
        shape: the shape of the value.
        axes: the class of each axis; equal classes make a delta.
        varying: the classes the array has axes for, in increasing order of their first axis.
        iota: whether the array is 0, 1, 2, … along its one class.
        parts: the values of size one along their last axis that this one joins, as an index into
            several axes joins one for each.
    """

    array: Array
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    varying: tuple[int, ...]
    iota: bool = False
    parts: tuple[Known, ...] = ()

    @classmethod
    def full(cls, array: Array) -> Known:
        """An array that varies along each of its axes."""
        axes = tuple(range(np.ndim(array)))
        return cls(array, np.shape(array), axes, axes)

    @property
    def has_delta(self) -> bool:
        """Whether two axes share a class."""
        return len(set(self.axes)) < len(self.axes)

    @property
    def is_full(self) -> bool:
        """Whether the array is the value itself."""
        return not self.has_delta and len(self.varying) == len(self.axes)

    def value(self) -> Array:
        """The value as an array of its shape."""
        if self.is_full:
            return self.array
        array = jnp.asarray(self.array)
        first = [self.axes.index(c) for c in self.varying]
        spread = lax.broadcast_in_dim(array, self.shape, first)
        mask = None
        for axis, c in enumerate(self.axes):
            if self.axes.index(c) != axis:
                rows = lax.broadcasted_iota(np.int32, self.shape, self.axes.index(c))
                equal = rows == lax.broadcasted_iota(np.int32, self.shape, axis)
                mask = equal if mask is None else mask & equal
        if mask is None:
            return spread
        return jnp.where(mask, spread, jnp.zeros((), array.dtype))


def stretched(k: Known, shape: tuple[int, ...]) -> Known:
    """The operand of an entrywise primitive over the shape of its result.

    Such primitives broadcast axes of size one, and take scalars; a scalar is left as it is.
    """
    if k.shape == shape or k.shape == ():
        return k
    ones = [a for a, n in enumerate(k.shape) if n != shape[a]]
    return replace(without_ones(k, ones), shape=shape, parts=())


def is_zero(k: Known) -> bool:
    """Whether a value is known to be zero while tracing."""
    return isinstance(k.array, np.ndarray | np.generic) and not np.any(k.array)


def without_ones(k: Known, axes: Sequence[int]) -> Known:
    """The same value with no axis in its array for axes of size one."""
    drop = {k.axes[a] for a in axes}
    kept = tuple(c for c in k.varying if c not in drop)
    if kept == k.varying:
        return k
    sizes = dict(zip(k.varying, np.shape(k.array), strict=True))
    return replace(k, array=jnp.reshape(k.array, [sizes[c] for c in kept]), varying=kept, parts=())
