"""Comparisons and choices: `where`, `max`, `min`, `cond`, with steps that are 0 or 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.explain.axes import spread
from jaxmatcalc.explain.building import elementwise, times
from jaxmatcalc.explain.tensor import Tensor, scalar
from jaxmatcalc.explain.triangular import masked

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader

Value = Tensor | np.ndarray
Rule = Callable[..., Any]


def _pair(rule: Callable[[Tensor, Tensor], Tensor], only: Any = None) -> Rule:
    """A rule for two arrays, where the first is of the dtype that is named, if one is."""

    def run(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor | None:
        if only is not None and eqn.invars[0].aval.dtype != only:
            return None
        return rule(*(spread(reader.tensor(x), eqn.outvars[0].aval.shape) for x in (a, b)))

    return run


def _minus(a: Tensor, b: Tensor) -> Tensor:
    return a + b.scaled(-1)


def _other(value: Tensor) -> Tensor:
    """1 where a step is 0."""
    return _minus(scalar(1, value.shape), value)


def _above(a: Tensor, b: Tensor) -> Tensor:
    """1 where a > b."""
    return elementwise("step", _minus(a, b))


def _relu(value: Tensor) -> Tensor:
    return elementwise("relu", value)


def _maximum(reader: Reader, eqn: Any, a: Value, b: Value) -> Value:
    """b + relu(a − b), with the array that is known, if one is, for b."""
    for x, y in ((a, b), (b, a)):
        if isinstance(x, np.ndarray) and x.size and (x == -np.inf).all():
            return y
    if isinstance(a, np.ndarray):
        a, b = b, a
    first, second = (spread(reader.tensor(x), eqn.outvars[0].aval.shape) for x in (a, b))
    return second + _relu(_minus(first, second))


def _minimum(reader: Reader, eqn: Any, a: Value, b: Value) -> Value:
    """a − relu(a − b), with the array that is known, if one is, for b."""
    for x, y in ((a, b), (b, a)):
        if isinstance(x, np.ndarray) and x.size and (x == np.inf).all():
            return y
    if isinstance(a, np.ndarray):
        a, b = b, a
    first, second = (spread(reader.tensor(x), eqn.outvars[0].aval.shape) for x in (a, b))
    return _minus(first, _relu(_minus(first, second)))


def _clamp(reader: Reader, eqn: Any, low: Value, value: Value, high: Value) -> Value:
    return _minimum(reader, eqn, _maximum(reader, eqn, value, low), high)


def _not(reader: Reader, eqn: Any, a: Value) -> Tensor | None:
    return _other(reader.tensor(a)) if eqn.invars[0].aval.dtype == bool else None


def _select(reader: Reader, eqn: Any, which: Value, *cases: Value) -> Value | None:
    """One of two arrays, entry by entry."""
    if len(cases) != 2:
        return None
    if isinstance(which, np.ndarray) and which.ndim == 0:
        return cases[int(which)]
    first, last = map(reader.tensor, cases)
    if isinstance(which, np.ndarray):
        second = np.asarray(which, float)
        return masked(reader, 1 - second, first) + masked(reader, second, last)
    second = spread(which, eqn.outvars[0].aval.shape)
    return times(_other(second), first) + times(second, last)


def _cond(reader: Reader, eqn: Any, which: Value, *operands: Value) -> list[Value] | None:
    """What either branch gives, times a step."""
    branches = eqn.params["branches"]
    if len(branches) != 2 or _jax.body(eqn) is not None:
        return None
    made = [reader.run(*_jax.opened(branch), operands) for branch in branches]
    results: list[Value] = []
    for out, first, last in zip(eqn.outvars, *made, strict=True):
        one = spread(reader.tensor(which), out.aval.shape)
        kept = times(_other(one), reader.tensor(first))
        results.append(kept + times(one, reader.tensor(last)))
    return results


CHOICES: dict[str, Rule] = {
    "gt": _pair(_above),
    "lt": _pair(lambda a, b: _above(b, a)),
    "ge": _pair(lambda a, b: _other(_above(b, a))),
    "le": _pair(lambda a, b: _other(_above(a, b))),
    "and": _pair(times, bool),
    "or": _pair(lambda a, b: _minus(a + b, times(a, b)), bool),
    "not": _not,
    "max": _maximum,
    "min": _minimum,
    "clamp": _clamp,
    "select_n": _select,
    "cond": _cond,
}


def loop(reader: Reader, eqn: Any, values: Sequence[Value]) -> list[Value] | None:
    """A short `scan`, step by step."""
    params = eqn.params
    body, consts = _jax.opened(params["jaxpr"])
    length, (count, carried) = params["length"], _jax.scan_counts(eqn)
    if length * len(body.eqns) > _UNROLLED:
        return None
    fixed, state, given = values[:count], list(values[count:][:carried]), values[count + carried :]
    rows: list[list[Value]] = []
    order = range(length)[:: -1 if params["reverse"] else 1]
    for k in order:
        here = [reader.row(x, k) for x in given]
        state_and_row = reader.run(body, consts, [*fixed, *state, *here])
        state = state_and_row[:carried]
        rows.append(state_and_row[carried:])
    stacked = [
        reader.stacked(list(zip(order, ys, strict=True)), length) for ys in zip(*rows, strict=True)
    ]
    return [*state, *stacked]


_UNROLLED = 60  # equations that a loop is unrolled to
