"""Rules for the primitives that move entries along one axis: slices, pads, joins, running sums.

Such a primitive acts on the factor that carries the axis where there is just one; otherwise it
becomes a small matrix between the old axis and the new.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.interpret.known import Known
from jaxmatcalc.interpret.tangent import Tangent, add, join
from jaxmatcalc.linear.contraction import close
from jaxmatcalc.linear.term import Factor, Term, flat, fresh

Value = Known | Tangent


def _axis_map(
    eqn: Any, operand: Tangent, axis: int, function: Callable[[Any, int], Any], aval: Any = None
) -> Tangent:
    """A linear function along one axis that only moves entries (slice, pad, reverse).

    It acts on the factor that carries the axis if there is just one, otherwise as a 0/1 matrix.
    """
    aval = eqn.outvars[0].aval if aval is None else aval

    def rule(t: Term) -> Term:
        group = t.out[axis]
        carriers = [f for f in t.factors if group and group[0] in f.labels]
        alone = len(group) == 1 and len(carriers) == 1 and carriers[0].labels.count(group[0]) == 1
        if alone and flat(t.out).count(group[0]) == 1 and group[0] not in flat(t.in_):
            f = carriers[0]
            array = function(f.array, f.labels.index(group[0]))
            (new,) = fresh([aval.shape[axis]])
            labels = flat((new if k is group[0] else (k,)) for k in f.labels)
            moved = Factor(jnp.reshape(array, [k.size for k in labels]), labels)
            factors = tuple(moved if g is f else g for g in t.factors)
            return Term(factors, (*t.out[:axis], new, *t.out[axis + 1 :]), t.in_)
        matrix = Known.full(function(jnp.eye(operand.shape[axis], dtype=operand.dtype), 0))
        groups, others, factors, in_ = join(t, matrix, [(axis, 1)])
        out = (*groups[:axis], others[0], *groups[axis + 1 :])
        return close(Term(factors, out, in_), groups[axis])

    return operand.map(rule, aval)


class _Aval:
    """A shape and dtype between two steps of one rule."""

    def __init__(self, shape: tuple[int, ...], dtype: Any):
        self.shape, self.dtype = shape, dtype


def _resized(operand: Tangent, axis: int, size: int) -> _Aval:
    shape = list(operand.shape)
    shape[axis] = size
    return _Aval(tuple(shape), operand.dtype)


def _slice(eqn: Any, operand: Tangent) -> Tangent:
    p = eqn.params
    strides = p["strides"] or (1,) * len(operand.shape)
    for axis, (start, stop, step) in enumerate(
        zip(p["start_indices"], p["limit_indices"], strides, strict=True)
    ):
        if (start, stop, step) == (0, operand.shape[axis], 1):
            continue

        def piece(array: Any, k: int, bounds: Any = (start, stop, step)) -> Any:
            return lax.slice_in_dim(array, *bounds, axis=k)

        size = len(range(start, stop, step))
        operand = _axis_map(eqn, operand, axis, piece, _resized(operand, axis, size))
    return operand


def _dynamic_slice(eqn: Any, operand: Value, *starts: Value) -> Tangent | None:
    if isinstance(operand, Known):
        return None
    for axis, (size, start) in enumerate(zip(eqn.params["slice_sizes"], starts, strict=True)):
        if size == operand.shape[axis] or isinstance(start, Tangent):
            continue

        def piece(array: Any, k: int, start: Known = start, size: int = size) -> Any:
            return lax.dynamic_slice_in_dim(array, start.value(), size, k)

        operand = _axis_map(eqn, operand, axis, piece, _resized(operand, axis, size))
    return operand


def _split(eqn: Any, operand: Tangent) -> list[Tangent]:
    axis, start, pieces = eqn.params["axis"], 0, []
    for size, v in zip(eqn.params["sizes"], eqn.outvars, strict=True):

        def piece(array: Any, k: int, start: int = start, size: int = size) -> Any:
            return lax.slice_in_dim(array, start, start + size, axis=k)

        pieces.append(_axis_map(eqn, operand, axis, piece, v.aval))
        start += size
    return pieces


def _pad(eqn: Any, operand: Value, value: Value) -> Tangent | None:
    if isinstance(value, Tangent) or isinstance(operand, Known):
        return None
    for axis, widths in enumerate(eqn.params["padding_config"]):
        if widths == (0, 0, 0):
            continue

        def padded(array: Any, k: int, widths: Any = widths) -> Any:
            config = [(0, 0, 0)] * np.ndim(array)
            config[k] = widths
            return lax.pad(array, jnp.zeros((), array.dtype), config)

        size = padded(np.zeros(operand.shape[axis], np.float32), 0).shape[0]
        operand = _axis_map(eqn, operand, axis, padded, _resized(operand, axis, size))
    return operand


def _concatenate(eqn: Any, *operands: Value) -> Tangent:
    aval = eqn.outvars[0].aval
    axis = eqn.params["dimension"]
    pieces, start = [], 0
    for o in operands:
        stop = start + o.shape[axis]
        if isinstance(o, Tangent):
            widths = (start, aval.shape[axis] - stop, 0)

            def padded(array: Any, k: int, widths: Any = widths) -> Any:
                config = [(0, 0, 0)] * np.ndim(array)
                config[k] = widths
                return lax.pad(array, jnp.zeros((), array.dtype), config)

            pieces.append(_axis_map(eqn, o, axis, padded, aval))
        start = stop
    return add(pieces, aval)


def _rev(eqn: Any, operand: Tangent) -> Tangent:
    for axis in eqn.params["dimensions"]:
        operand = _axis_map(eqn, operand, axis, lambda a, k: lax.rev(a, (k,)))
    return operand


def _cumsum(eqn: Any, operand: Tangent) -> Tangent:
    axis, reverse = eqn.params["axis"], eqn.params["reverse"]
    return _axis_map(eqn, operand, axis, lambda a, k: lax.cumsum(a, k, reverse=reverse))


def _stack(eqn: Any, *operands: Value) -> Tangent:
    """A new axis, and each operand at its place along it."""
    aval, axis = eqn.outvars[0].aval, eqn.params["axis"]
    pieces = []
    for k, o in enumerate(operands):
        if isinstance(o, Tangent):
            wide = _Aval((*o.shape[:axis], 1, *o.shape[axis:]), o.dtype)
            o = o.map(lambda t: Term(t.factors, (*t.out[:axis], (), *t.out[axis:]), t.in_), wide)

            def placed(array: Any, d: int, k: int = k) -> Any:
                config = [(0, 0, 0)] * np.ndim(array)
                config[d] = (k, len(operands) - 1 - k, 0)
                return lax.pad(array, jnp.zeros((), array.dtype), config)

            pieces.append(_axis_map(eqn, o, axis, placed, aval))
    return add(pieces, aval)


def _unstack(eqn: Any, operand: Tangent) -> list[Tangent]:
    axis, pieces = eqn.params["axis"], []
    for k, v in enumerate(eqn.outvars):

        def piece(array: Any, d: int, k: int = k) -> Any:
            return lax.slice_in_dim(array, k, k + 1, axis=d)

        one = _axis_map(eqn, operand, axis, piece, _resized(operand, axis, 1))
        pieces.append(
            one.map(lambda t: Term(t.factors, t.out[:axis] + t.out[axis + 1 :], t.in_), v.aval)
        )
    return pieces


MOVES: dict[str, Callable[..., Any]] = {
    "concatenate": _concatenate,
    "cumsum": _cumsum,
    "dynamic_slice": _dynamic_slice,
    "pad": _pad,
    "rev": _rev,
    "slice": _slice,
    "split": _split,
    "stack": _stack,
    "unstack": _unstack,
}
