"""A primitive without a rule, in a second-order program: run on each direction by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.interpret.births import Second
from jaxmatcalc.interpret.rules import Value
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.value import Known
from jaxmatcalc.linear.term import Factor, Term, flat, fresh, shape


def run_by_direction(eqn: Any, operands: Sequence[Value], summed: bool) -> list[Value]:
    """The results of an equation that is run on the tangents of each direction.

    Whatever it computes of a direction is right, of degree 1 and 2 alike. What is of degree 2 is
    then added up if asked for, and what comes of operands that were added up before is added to it.
    """
    moved = _jax.dependent_outputs(eqn, [isinstance(o, Tangent) for o in operands])
    lifted = _jax.dependent_outputs(eqn, [isinstance(o, Second) for o in operands])
    still: list[Any] = [None] * len(moved)
    if any(lifted) or not all(moved):
        still = _jax.bind(eqn, [_still(o) for o in operands])
    inputs = directions(operands)
    images = {k: _images(eqn, operands, k, math.prod(s), moved) for k, s in inputs.items()}
    found = degrees(eqn, [degree(o) for o in operands])
    results: list[Value] = []
    for place, v in enumerate(eqn.outvars):
        aval = v.aval
        if not moved[place]:
            results.append((Second if lifted[place] else Known).full(still[place]))
        elif summed and found[place] == 2:
            total = still[place] if lifted[place] else jnp.zeros(aval.shape, aval.dtype)
            results.append(
                Second.full(sum((jnp.sum(i[place], -1) for i in images.values()), total))
            )
        else:
            pieces = images if aval.size else {}
            terms = {k: (_term(i[place], aval.shape, inputs[k]),) for k, i in pieces.items()}
            results.append(Tangent(tuple(aval.shape), aval.dtype, terms))
    return results


def directions(operands: Sequence[Value]) -> dict[int, tuple[int, ...]]:
    """The inputs that any tangent among the operands depends on, and their shapes."""
    tangents = [o for o in operands if isinstance(o, Tangent)]
    return {k: shape(ts[0].in_) for t in tangents for k, ts in t.terms.items() if ts}


def _images(
    eqn: Any, operands: Sequence[Value], index: int, width: int, moved: Sequence[bool]
) -> list[Any]:
    """The results of an equation for each direction of one input, along a last axis."""
    columns = [
        o.columns(index) if o.terms.get(index) else jnp.zeros((*o.shape, width), o.dtype)
        for o in operands
        if isinstance(o, Tangent)
    ]

    def push(*columns: Any) -> list[Any]:
        given = iter(columns)
        values = [
            next(given)
            if isinstance(o, Tangent)
            else (zero_like(o) if isinstance(o, Second) else o).value()
            for o in operands
        ]
        return [r for r, m in zip(_jax.bind(eqn, values), moved, strict=True) if m]

    found = iter(jax.vmap(push, in_axes=-1, out_axes=-1)(*columns))
    return [next(found) if m else None for m in moved]


def _still(value: Value) -> Any:
    return (zero_like(value) if isinstance(value, Tangent) else value).value()


def zero_like(value: Value) -> Known:
    """A zero of the same shape and dtype."""
    axes = tuple(range(len(value.shape)))
    dtype = value.dtype if isinstance(value, Tangent) else jnp.asarray(value.array).dtype
    return Known(np.zeros((), dtype), value.shape, axes, ())


def _term(array: Any, out_shape: Sequence[int], in_shape: Sequence[int]) -> Term:
    out, in_ = fresh(out_shape), fresh(in_shape)
    labels = flat(out) + flat(in_)
    return Term((Factor(array.reshape([k.size for k in labels]), labels),), out, in_)


# Primitives whose result has the degrees of its operands together
_PRODUCTS = frozenset({"mul", "dot_general", "conv_general_dilated"})


def degree(value: Value) -> int:
    """The degree in v of a value."""
    return 1 if isinstance(value, Tangent) else 2 if isinstance(value, Second) else 0


def degrees(eqn: Any, given: list[int]) -> list[int]:
    """The degree in v of each result of an equation, from those of its operands."""
    name, params = eqn.primitive.name, eqn.params
    if name in _PRODUCTS or params.keys() == {"ranks", "params"}:  # those are of `_multilinear`
        return [sum(given)]
    if name == "cond":
        found = [_through(branch, given[1:]) for branch in params["branches"]]
        return [max(ds) for ds in zip(*found, strict=True)]
    if name == "scan":
        first, width = _jax.scan_counts(eqn)
        return _looped(params["jaxpr"], given, first, first + width)
    if name == "while":
        given = given[params["cond_nconsts"] :]
        return _looped(params["body_jaxpr"], given, params["body_nconsts"], len(given))
    for body in params.values():
        opened = _jax.opened(body)[0]
        if len(getattr(opened, "invars", ())) == len(given) and hasattr(opened, "eqns"):
            return _through(body, given)
    return [max(given, default=0)] * len(eqn.outvars)


def _looped(body: Any, given: list[int], first: int, last: int) -> list[int]:
    """The degrees of what a loop carries, until they are the same after a step."""
    while True:
        found = _through(body, given)
        carry = [max(a, b) for a, b in zip(given[first:last], found, strict=False)]
        if carry == given[first:last]:
            return carry + found[last - first :]
        given = given[:first] + carry + given[last:]


def _through(body: Any, given: Sequence[int]) -> list[int]:
    """The degrees of a program's results."""
    jaxpr, _ = _jax.opened(body)
    known = dict(zip(jaxpr.invars, given, strict=True))

    def read(atom: Any) -> int:
        return 0 if isinstance(atom, _jax.Literal) else known.get(atom, 0)

    for eqn in jaxpr.eqns:
        known.update(zip(eqn.outvars, degrees(eqn, list(map(read, eqn.invars))), strict=True))
    return list(map(read, jaxpr.outvars))
