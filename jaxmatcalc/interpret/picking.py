"""What an index picks: which entries of an array a gather takes, and where they go.

An index has a component for each axis that it picks from. Components that vary along different axes
of the index pick independently, as in ``X[i[:, None], j]``: such a gather is a Kronecker product of
0/1 matrices.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.interpret.memory import remembered
from jaxmatcalc.interpret.selected import Selection
from jaxmatcalc.interpret.value import Known, without_ones

Axis = tuple[str, int]  # "x", an axis of the array; "i", of the index; "w", the window in an axis
Mode = lax.GatherScatterMode


@dataclass(frozen=True)
class Group:
    """Axes whose components vary together: one selection.

    Attributes:
        axes: of the array, those picked from.
        index: of the index, those the components vary along, batch axes left out.
        batch: pairs (axis of the array, axis of the index) that go together.
        components: for each axis, the starts, over some axes of the index.
    """

    axes: tuple[int, ...]
    index: tuple[int, ...]
    batch: tuple[tuple[int, int], ...]
    components: tuple[Known, ...]


@dataclass(frozen=True)
class Picking:
    """A gather: which entries of an array an index picks, and where they go.

    Attributes:
        shape: of the array.
        indices: the index, its last axis over components.
        windows: the length of the slice taken from each axis of the array.
        picked: the axes that have a component, in the order of the components.
        dropped: the axes that leave no window behind.
        batch: pairs (axis of the array, axis of the index) that go together.
        offsets: the axes of the result that hold windows.
        mode: what becomes of an index that is out of bounds.
    """

    shape: tuple[int, ...]
    indices: Known
    windows: tuple[int, ...]
    picked: tuple[int, ...]
    dropped: tuple[int, ...]
    batch: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]
    mode: Any

    @property
    def result(self) -> list[Axis]:
        """The axes of the result, named."""
        paired = [b for b, _ in self.batch]
        kept = [a for a in range(len(self.shape)) if a not in self.dropped and a not in paired]
        rank = len(kept) + len(self.indices.shape) - 1
        windows = iter(("w", a) for a in kept)
        index = iter(("i", q) for q in range(len(self.indices.shape) - 1))
        return [next(windows) if r in self.offsets else next(index) for r in range(rank)]

    @property
    def untouched(self) -> list[int]:
        """The axes of the array of which a window at the start is taken, most often all."""
        taken = (*self.picked, *(b for b, _ in self.batch))
        return [a for a in range(len(self.shape)) if a not in taken]

    def size(self, axis: Axis) -> int:
        """Length of a named axis."""
        kind, a = axis
        return {"x": self.shape, "i": self.indices.shape, "w": self.windows}[kind][a]

    def components(self) -> list[Known]:
        """The starts along each picked axis, over the axes of the index."""
        k = self.indices
        if k.parts:
            return [_without_last(part) for part in k.parts]
        if k.shape[-1] == 1:
            return [_without_last(k)]
        array = jnp.asarray(k.value())
        return [Known.full(array[..., c]) for c in range(k.shape[-1])]

    def groups(self) -> list[Group]:
        """The components, those that vary along a common axis of the index together."""
        paired = {q: b for b, q in self.batch}
        open_: list[tuple[list[int], set[int], list[Known]]] = []
        for axis, component in zip(self.picked, self.components(), strict=True):
            varies = {component.axes.index(c) for c in component.varying}
            entry = ([axis], varies, [component])
            for other in [o for o in open_ if o[1] & varies - paired.keys()]:
                open_.remove(other)
                entry = (other[0] + entry[0], other[1] | entry[1], other[2] + entry[2])
            open_.append(entry)
        return [
            Group(
                tuple(axes),
                tuple(sorted(varies - paired.keys())),
                tuple((paired[q], q) for q in sorted(varies & paired.keys())),
                tuple(components),
            )
            for axes, varies, components in open_
        ]


def _without_last(k: Known) -> Known:
    """A value of size one along its last axis, without that axis."""
    k = without_ones(Known.full(k.value()) if k.has_delta else k, [len(k.shape) - 1])
    return Known(k.array, k.shape[:-1], k.axes[:-1], k.varying, k.iota)


def counted(picking: Picking, group: Group) -> list[int] | None:
    """Where each component starts if it counts along one axis of the index, else None."""
    if group.batch or len(group.index) != 1 or not set(group.axes) <= set(picking.dropped):
        return None
    starts = []
    for a, component in zip(group.axes, group.components, strict=True):
        array = component.array
        if not isinstance(array, np.ndarray) or array.ndim != 1:
            return None
        start = int(array[0])
        inside = start >= 0 and start + len(array) <= picking.shape[a]
        if not inside or not np.array_equal(array, np.arange(start, start + len(array))):
            return None
        starts.append(start)
    return starts


@dataclass(frozen=True, eq=False)
class Picker:
    """A group of components as a map: over (batch, picked) axes, to (batch, index, windows)."""

    starts: Any  # over (batch, index) axes and the components
    sizes: tuple[int, ...]  # of the batch axes, then of the picked
    windows: tuple[int, ...]  # one for each picked axis
    dropped: tuple[bool, ...]  # whether the window leaves no axis
    mode: Any
    dtype: Any

    @property
    def _batch(self) -> tuple[int, ...]:
        return tuple(range(len(self.sizes) - len(self.windows)))

    @property
    def _places(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """The window axes of the picked entries, the picked axes without one, all picked axes."""
        b, rank = len(self._batch), self.starts.ndim - 1
        picked = tuple(range(b, len(self.sizes)))
        offsets = tuple(range(rank, rank + self.dropped.count(False)))
        return offsets, tuple(a for a, d in zip(picked, self.dropped, strict=True) if d), picked

    def gather(self, x: Any) -> Any:
        """The entries picked."""
        numbers = lax.GatherDimensionNumbers(*self._places, self._batch, self._batch)
        sizes = (*(1 for _ in self._batch), *self.windows)
        return lax.gather(x, self.starts, numbers, sizes, mode=self.mode, fill_value=0)

    def scatter(self, u: Any) -> Any:
        """Entries added where they are picked from."""
        numbers = lax.ScatterDimensionNumbers(*self._places, self._batch, self._batch)
        zeros = jnp.zeros(self.sizes, u.dtype)
        return lax.scatter_add(zeros, self.starts, u, numbers, mode=self.mode)

    @functools.cached_property
    def selection(self) -> Selection:
        """The map as a matrix."""
        promised = self.mode == Mode.PROMISE_IN_BOUNDS
        return Selection(self._index, self.dtype, two_faced=promised)

    def _index(self, transposed: bool) -> Any:
        """What is out of bounds is moved inside, or picks nothing."""
        offsets, _, picked = self._places
        clip = self.mode == Mode.CLIP or (self.mode == Mode.PROMISE_IN_BOUNDS and not transposed)
        rank = self.starts.ndim - 1 + len(offsets)
        place: Any = 0
        window, inside = iter(offsets), jnp.ones((), bool)
        for c, (a, w, dropped) in enumerate(zip(picked, self.windows, self.dropped, strict=True)):
            n, start = self.sizes[a], self.starts[..., c]
            start = _signed(start, n)
            first = jnp.clip(start, 0, n - w) if clip else start
            first = lax.expand_dims(first, range(first.ndim, rank))
            inside = inside & (first >= 0) & (first <= n - w)
            if not dropped:
                full = [1] * rank
                full[axis := next(window)] = w
                first = first + lax.broadcasted_iota(first.dtype, tuple(full), axis)
            place = place * n + first
        return jnp.where(inside, place, math.prod(self.sizes[a] for a in picked))


def picker(picking: Picking, group: Group, dtype: Any) -> Picker:
    """The map of a group; asked for twice, by a gather and by its transpose, it is made once."""
    index = [q for _, q in group.batch] + list(group.index)
    windows = tuple(picking.windows[a] for a in group.axes)
    sizes = tuple(picking.shape[a] for a in (*(b for b, _ in group.batch), *group.axes))
    dropped = tuple(a in picking.dropped for a in group.axes)

    def make() -> Picker:
        shape = tuple(picking.size(("i", q)) for q in index)
        columns = []
        for component in group.components:
            places = [index.index(component.axes.index(c)) for c in component.varying]
            array = jnp.transpose(
                component.array, sorted(range(len(places)), key=places.__getitem__)
            )
            columns.append(lax.broadcast_in_dim(array, shape, sorted(places)))
        return Picker(jnp.stack(columns, -1), sizes, windows, dropped, picking.mode, dtype)

    of = id(picking.indices), group.axes, tuple(index)
    key = "pick", of, sizes, windows, dropped, picking.mode, jnp.dtype(dtype)
    return remembered(picking.indices, key, make)


def _signed(start: Any, size: int) -> Any:
    """An index in a type that holds it and the size of the axis."""
    if start.dtype in (np.uint32, np.uint64):
        start = jnp.minimum(start, jnp.asarray(size, start.dtype))
    return start if start.dtype == np.int64 else start.astype(np.int32)
