"""Rules for the primitives that move entries along one axis: slices, pads, joins, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jaxmatcalc.interpret.along import Axes, along
from jaxmatcalc.interpret.memory import remembered
from jaxmatcalc.interpret.selected import Selection
from jaxmatcalc.interpret.tangent import Tangent, add, masked, reshaped
from jaxmatcalc.interpret.value import Known
from jaxmatcalc.linear.term import Misaligned, Term, fresh

Value = Known | Tangent


class Shape:
    """A shape and dtype between two steps of one rule."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = shape, dtype


def _along(
    eqn: Any,
    operand: Tangent,
    axis: int,
    function: Callable[[Any], Any],
    aval: Any = None,
    selection: Selection | None = None,
    transposed: bool = False,
) -> Tangent:
    """A linear function of arrays along one axis."""
    aval = eqn.outvars[0].aval if aval is None else aval
    free = tuple((a, a) for a in range(len(operand.shape)) if a != axis)
    axes = Axes((axis,), (axis,), (), free)
    return along(operand, aval, axes, function, selection, transposed)


def _resized(operand: Tangent, axis: int, size: int) -> Shape:
    shape = list(operand.shape)
    shape[axis] = size
    return Shape(tuple(shape), operand.dtype)


def _every(size: int, start: int, stop: int, step: int, dtype: Any) -> Selection:
    """The selection of a slice of an axis of this size."""

    def index(transposed: bool) -> Any:
        return jnp.arange(start, stop, step)

    key = "slice", size, start, stop, step, jnp.dtype(dtype)
    return remembered(None, key, lambda: Selection(index, dtype, injective=True))


def sliced(operand: Tangent, axis: int, start: int, stop: int, step: int) -> Tangent:
    """Every `step`-th entry of an axis, from `start` to before `stop`."""
    size, count = operand.shape[axis], len(range(start, stop, step))
    if (start, stop, step) == (0, size, 1):
        return operand
    if not count:
        return Tangent(_resized(operand, axis, 0).shape, operand.dtype, {})
    stop = start + (count - 1) * step + 1  # of stops that take the same entries the first
    selection = _every(size, start, stop, step, operand.dtype)
    aval = _resized(operand, axis, count)

    def piece(x: Any) -> Any:
        return lax.slice(x, (start,), (stop,), (step,))

    return _along(None, operand, axis, piece, aval, selection)


def spaced(operand: Tangent, axis: int, start: int, step: int, size: int) -> Tangent:
    """The transpose: an axis of zeros with the entries at `start`, `start + step`, …."""
    count = operand.shape[axis]
    if not operand.terms:
        return Tangent(_resized(operand, axis, size).shape, operand.dtype, {})
    stop = start + (count - 1) * step + 1
    if (start, step, size) == (0, 1, count):
        return operand
    selection = _every(size, start, stop, step, operand.dtype)

    def placed(x: Any) -> Any:
        return lax.pad(x, jnp.zeros((), x.dtype), [(start, size - stop, step - 1)])

    return _along(None, operand, axis, placed, _resized(operand, axis, size), selection, True)


def _slice(eqn: Any, operand: Tangent) -> Tangent:
    p = eqn.params
    strides = p["strides"] or (1,) * len(operand.shape)
    bounds = zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    for axis, (start, stop, step) in enumerate(bounds):
        operand = sliced(operand, axis, start, stop, step)
    return operand


def _clamped(start: Known, size: int, window: int) -> Any:
    """Where a slice starts: the primitives move one that would overrun its axis."""
    return jnp.clip(start.value(), 0, size - window)


def _window(start: Known, size: int, window: int, dtype: Any) -> tuple[Any, Selection]:
    """The start of a slice, and its selection."""
    first = _clamped(start, size, window)

    def index(transposed: bool) -> Any:
        return first + jnp.arange(window)

    key = "window", id(start), size, window, jnp.dtype(dtype)
    make = lambda: (first, Selection(index, dtype, injective=True))  # noqa: E731
    return remembered(start, key, make)


def _dynamic_slice(eqn: Any, operand: Value, *starts: Any) -> Tangent | None:
    if isinstance(operand, Known) or any(isinstance(s, Tangent) for s in starts):
        return None
    for axis, (window, start) in enumerate(zip(eqn.params["slice_sizes"], starts, strict=True)):
        size = operand.shape[axis]
        if window == size:
            continue
        first, selection = _window(start, size, window, operand.dtype)

        def piece(x: Any, first: Any = first, window: int = window) -> Any:
            return lax.dynamic_slice(x, (first,), (window,))

        aval = _resized(operand, axis, window)
        operand = _along(eqn, operand, axis, piece, aval, selection)
    return operand


def _dynamic_update_slice(eqn: Any, operand: Value, update: Value, *starts: Any) -> Any:
    if any(isinstance(s, Tangent) for s in starts):
        return None
    aval, pieces = eqn.outvars[0].aval, []
    windows = [
        (axis, start, n, w)
        for axis, (start, n, w) in enumerate(zip(starts, operand.shape, update.shape, strict=True))
        if n != w
    ]
    if isinstance(operand, Tangent) and windows:
        inside = jnp.ones((), bool)
        for _, start, n, w in windows:
            place = jnp.arange(n) - _clamped(start, n, w)
            inside = inside[..., None] & (place >= 0) & (place < w)
        varying = tuple(axis for axis, *_ in windows)
        outside = Known(~inside, operand.shape, tuple(range(len(operand.shape))), varying)
        pieces.append(operand.map(lambda t: masked(t, outside, operand.dtype), aval))
    if isinstance(update, Tangent):
        for axis, start, n, w in windows:
            first, selection = _window(start, n, w, update.dtype)

            def placed(x: Any, first: Any = first, n: int = n) -> Any:
                return lax.dynamic_update_slice(jnp.zeros(n, x.dtype), x, (first,))

            update = _along(eqn, update, axis, placed, _resized(update, axis, n), selection, True)
        pieces.append(update)
    return add(pieces, aval)


def _split(eqn: Any, operand: Tangent) -> list[Tangent]:
    axis, start, pieces = eqn.params["axis"], 0, []
    for size in eqn.params["sizes"]:
        pieces.append(sliced(operand, axis, start, start + size, 1))
        start += size
    return pieces


def _pad(eqn: Any, operand: Value, value: Value) -> Tangent | None:
    if isinstance(value, Tangent) or isinstance(operand, Known):
        return None
    for axis, (low, high, between) in enumerate(eqn.params["padding_config"]):
        step = between + 1
        before, after = max(low, 0), max(high, 0)
        length = before + (operand.shape[axis] - 1) * step + 1 + after
        operand = spaced(operand, axis, before, step, length)
        operand = sliced(operand, axis, max(-low, 0), length - max(-high, 0), 1)
    return operand


def regrouped(operand: Tangent, aval: Any) -> Tangent:
    """A row-major reshape where axes are split at odds, as (2, 3) to (3, 2): entries move."""
    for old, new in reversed(_blocks(operand.shape, aval.shape)):
        before, after = operand.shape[: old.start], operand.shape[old.stop :]
        sizes = aval.shape[new.start : new.stop]
        aim = Shape((*before, *sizes, *after), operand.dtype)
        try:
            operand = operand.map(lambda t, aim=aim: reshaped(t, aim.shape), aim)
        except Misaligned:
            operand = _renumbered(operand, old, sizes, aim)
    return Tangent(operand.shape, aval.dtype, operand.terms)


def _renumbered(operand: Tangent, old: range, sizes: tuple[int, ...], aim: Shape) -> Tangent:
    """The axes `old` become others of these sizes, by a permutation of their entries."""
    given = operand.shape[old.start : old.stop]
    shift = len(sizes) - len(old)
    made = tuple(range(old.start, old.stop + shift))
    free = [(a, a + (shift if a >= old.stop else 0)) for a in range(len(operand.shape))]
    axes = Axes(tuple(old), made, (), [pair for pair in free if pair[0] not in old])

    def index(transposed: bool) -> Any:
        return jnp.arange(math.prod(sizes))

    # From there and back is one selection and its transpose
    key = "reshape", *sorted([given, sizes]), jnp.dtype(operand.dtype)
    make = lambda: Selection(index, operand.dtype, injective=True)  # noqa: E731
    selection = remembered(None, key, make)
    return along(operand, aim, axes, lambda x: x.reshape(sizes), selection, given > sizes)


def _blocks(old: Sequence[int], new: Sequence[int]) -> list[tuple[range, range]]:
    """The shortest runs of axes of one shape that become runs of axes of the other."""
    blocks = []
    i = j = a = b = 0
    left = right = 1
    while i < len(old) or j < len(new):
        if left <= right and i < len(old):
            left, i = left * old[i], i + 1
        else:
            right, j = right * new[j], j + 1
        if left == right:
            blocks.append((range(a, i), range(b, j)))
            a, b = i, j
    return blocks


def _concatenate(eqn: Any, *operands: Value) -> Tangent:
    aval = eqn.outvars[0].aval
    axis, start, pieces = eqn.params["dimension"], 0, []
    for o in operands:
        if isinstance(o, Tangent):
            pieces.append(spaced(o, axis, start, 1, aval.shape[axis]))
        start += o.shape[axis]
    return add(pieces, aval)


def _rev(eqn: Any, operand: Tangent) -> Tangent:
    for axis in eqn.params["dimensions"]:
        last = operand.shape[axis] - 1
        selection = _every(last + 1, last, -1, -1, operand.dtype)
        operand = _along(eqn, operand, axis, lambda x: lax.rev(x, (0,)), None, selection)
    return operand


def _cumsum(eqn: Any, operand: Tangent) -> Tangent:
    axis, reverse = eqn.params["axis"], eqn.params["reverse"]
    return _along(eqn, operand, axis, lambda x: lax.cumsum(x, 0, reverse=reverse))


def stacked(operands: Sequence[Value], axis: int, aval: Any) -> Tangent:
    """A new axis, and each operand at its place along it."""
    pieces = []
    for k, o in enumerate(operands):
        if isinstance(o, Tangent):
            wide = Shape((*o.shape[:axis], 1, *o.shape[axis:]), o.dtype)
            o = o.map(lambda t: Term(t.factors, (*t.out[:axis], (), *t.out[axis:]), t.in_), wide)
            pieces.append(spaced(o, axis, k, 1, len(operands)))
    return add(pieces, aval)


def unstacked(operand: Tangent, axis: int, place: int, aval: Any) -> Tangent:
    """The entries at one place of an axis, without that axis."""
    one = sliced(operand, axis, place, place + 1, 1)
    return one.map(lambda t: Term(t.factors, t.out[:axis] + t.out[axis + 1 :], t.in_), aval)


def _stack(eqn: Any, *operands: Value) -> Tangent:
    return stacked(operands, eqn.params["axis"], eqn.outvars[0].aval)


def _unstack(eqn: Any, operand: Tangent) -> list[Tangent]:
    axis = eqn.params["axis"]
    return [unstacked(operand, axis, k, v.aval) for k, v in enumerate(eqn.outvars)]


def _tile(eqn: Any, operand: Tangent) -> Tangent:
    """Copies of the operand side by side: a new axis, merged with the old."""
    reps, aval = eqn.params["reps"], eqn.outvars[0].aval

    def rule(t: Term) -> Term:
        copies = fresh(reps)
        return Term(t.factors, tuple(c + g for c, g in zip(copies, t.out, strict=True)), t.in_)

    return operand.map(rule, aval)


MOVES: dict[str, Callable[..., Any]] = {
    "concatenate": _concatenate,
    "cumsum": _cumsum,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "pad": _pad,
    "rev": _rev,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "tile": _tile,
    "unstack": _unstack,
}
