"""Loops in a second-order program, as one loop of values, tangents and what is of degree 2.

The body is walked like any other program. A tangent goes from step to step as an array over its
entries and those of the input, without the axes of the input that are axes of its own: a network
applied to each row by itself keeps that in a loop. Which axes these are is found by walking the
body until a step changes nothing. What is of degree 2 is an array, summed over the directions, for
the Laplacian, and one more tangent for the diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.births import Second
from jaxmatcalc.interpret.directions import degree, degrees, directions, zero_like
from jaxmatcalc.interpret.rules import Value
from jaxmatcalc.interpret.settling import Shared, over, shared, spread
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.value import Known, is_zero

Arrays = list[Any]
Walk = Callable[[Any, Sequence[Any], Sequence[Value]], list[Any]]


class Mixed(Exception):
    """A value is not of the degree that its place in the loop has."""


@dataclass(frozen=True)
class _Form:
    """How a value goes from step to step.

    Attributes:
        kind: the class of the value.
        aval: its shape and dtype.
        inputs: of a tangent, for each input, the axes that it shares with the value.
        in_shapes: the shapes of the inputs.
    """

    kind: type
    aval: Any
    inputs: Mapping[int, Shared]
    in_shapes: Mapping[int, tuple[int, ...]]

    def pack(self, value: Value, first: int = 0) -> Arrays:
        """The value as arrays, the first axes of which stay the first."""
        if self.kind is not Tangent:
            if isinstance(value, Tangent) and not any(value.terms.values()):
                value = zero_like(value)
            if not isinstance(value, self.kind) and not (
                isinstance(value, Known) and is_zero(value)
            ):
                raise Mixed
            if isinstance(value, Second) and self.kind is Known:
                raise Mixed
            assert isinstance(value, Known)
            return [_jax.retyped(jnp.asarray(value.value()), self.aval)]
        if isinstance(value, Known):
            if isinstance(value, Second) or not is_zero(value):
                raise Mixed
            value = Tangent(value.shape, self.aval.dtype, {})
        arrays = []
        for k, pairs in self.inputs.items():
            terms = value.terms.get(k, ())
            size = self._size(k, pairs)
            arrays.append(
                over(terms, pairs, self.aval.dtype, first)
                if terms
                else jnp.zeros((*value.shape[:first], *size), self.aval.dtype)
            )
        return arrays

    def unpack(self, arrays: Sequence[Any], length: int | None = None) -> Value:
        """The value of these arrays; with a first axis of `length` before its own."""
        lead = () if length is None else (length,)
        if self.kind is not Tangent:
            return self.kind.full(arrays[0])
        out = (*lead, *self.aval.shape)
        terms = {
            k: (spread(array, pairs, out, self.in_shapes[k], len(lead)),)
            for (k, pairs), array in zip(self.inputs.items(), arrays, strict=True)
            if math.prod(out) and math.prod(self.in_shapes[k])
        }
        return Tangent(out, self.aval.dtype, terms)

    def _size(self, index: int, pairs: Shared) -> tuple[int, ...]:
        kept = {b for _, b in pairs}
        free = [n for b, n in enumerate(self.in_shapes[index]) if b not in kept]
        return (*free, *self.aval.shape)

    def joined(self, value: Any) -> _Form:
        """The form of this value and another."""
        inputs = dict(self.inputs)
        if isinstance(value, Tangent) and self.kind is Tangent:
            for k, terms in value.terms.items():
                if terms:
                    inputs[k] = shared(terms) & inputs.get(k, shared(terms))
        return _Form(self.kind, self.aval, inputs, self.in_shapes)


@dataclass
class _Loop:
    """A loop, its operands in forms.

    Attributes:
        body: the program of a step, opened.
        fixed: the operands that every step has.
        carry: the forms of what is carried.
        rows: those of one step's part of what is scanned.
        results: those of one step's part of what is gathered.
    """

    body: tuple[Any, list[Any]]
    fixed: list[Value]
    carry: list[_Form]
    rows: list[_Form]
    results: list[_Form]

    def step(self, walk: Walk, carry: list[Arrays], rows: list[Arrays]) -> list[Any]:
        """The values that a step gives."""
        forms = (*self.carry, *self.rows)
        values = [f.unpack(a) for f, a in zip(forms, (*carry, *rows), strict=True)]
        return walk(*self.body, [*self.fixed, *values])

    def settle(self, walk: Walk, carry: Sequence[Value], rows: list[Any]) -> None:
        """Find the forms that a step leaves as they are."""
        while True:
            found: list[Any] = []

            def look(carry: list[Arrays], rows: list[Arrays], found: list[Any] = found) -> None:
                found[:] = self.step(walk, carry, rows)

            start = [f.pack(v) for f, v in zip(self.carry, carry, strict=True)]
            jax.eval_shape(look, start, rows)
            forms = [*self.carry, *self.results]
            joined = [f.joined(v) for f, v in zip(forms, found, strict=True)]
            if joined == forms:
                return
            self.carry, self.results = joined[: len(carry)], joined[len(carry) :]

    def packed(self, values: Sequence[Value]) -> tuple[list[Arrays], list[Arrays]]:
        """What a step gives, as arrays."""
        found = [f.pack(v) for f, v in zip((*self.carry, *self.results), values, strict=True)]
        return found[: len(self.carry)], found[len(self.carry) :]


def loop(
    eqn: Any, operands: Sequence[Value], summed: bool, look: Walk, walk: Walk
) -> list[Value] | None:
    """The results of a `scan` or `while`; None where it has to go direction by direction.

    Args:
        eqn: the equation.
        operands: its operands, a tangent among them.
        summed: whether values of degree 2 are summed over the directions.
        look: walks a program for its forms alone.
        walk: walks a program.
    """
    if eqn.effects:
        return None
    try:
        run = _scan if eqn.primitive.name == "scan" else _while
        return run(eqn, operands, summed, look, walk)
    except Mixed:
        return None


def _forms(
    avals: Sequence[Any],
    found: Sequence[int],
    values: Sequence[Value | None],
    operands: Sequence[Value],
    summed: bool,
    first: int = 0,
) -> list[_Form]:
    """Forms of values of the given degrees."""
    in_shapes = directions(operands)
    forms = []
    for aval, d, value in zip(avals, found, values, strict=True):
        kind = Known if d == 0 else Second if summed and d == 2 else Tangent
        inputs = {}
        if isinstance(value, Tangent):
            for k, terms in value.terms.items():
                if terms:
                    pairs = shared(terms)
                    inputs[k] = frozenset((a - first, b) for a, b in pairs if a >= first)
        forms.append(_Form(kind, aval, inputs, in_shapes))
    return forms


def _scan(eqn: Any, operands: Sequence[Value], summed: bool, look: Walk, walk: Walk) -> list[Value]:
    params = eqn.params
    body = _jax.opened(params["jaxpr"])
    fixed, width = _jax.scan_counts(eqn)
    start, xs = list(operands[fixed : fixed + width]), list(operands[fixed + width :])
    avals = [v.aval for v in body[0].invars[fixed:]]
    outs = [v.aval for v in body[0].outvars[width:]]
    found = degrees(eqn, list(map(degree, operands)))
    carry = _forms(avals[:width], found[:width], start, operands, summed)
    rows = _forms(avals[width:], list(map(degree, xs)), xs, operands, summed, 1)
    results = _forms(outs, found[width:], [None] * len(outs), operands, summed)
    made = _Loop(body, list(operands[:fixed]), carry, rows, results)
    packed = [_rows(form, x) for form, x in zip(rows, xs, strict=True)]
    one = jax.eval_shape(lambda packed: jax.tree.map(lambda a: a[0], packed), packed)
    made.settle(look, start, one)

    def step(carry: list[Arrays], rows: list[Arrays]) -> Any:
        return made.packed(made.step(walk, carry, rows))

    begin = [f.pack(v) for f, v in zip(made.carry, start, strict=True)]
    last, gathered = lax.scan(
        step, begin, packed, params["length"], params["reverse"], params["unroll"]
    )
    ends = [f.unpack(a) for f, a in zip(made.carry, last, strict=True)]
    length = params["length"]
    return ends + [f.unpack(a, length) for f, a in zip(made.results, gathered, strict=True)]


def _rows(form: _Form, x: Value) -> Arrays:
    """What is scanned, as arrays with the axis of steps first."""
    return form.pack(x, 1) if isinstance(x, Tangent) else [jnp.asarray(x.value())]


def _while(
    eqn: Any, operands: Sequence[Value], summed: bool, look: Walk, walk: Walk
) -> list[Value]:
    params = eqn.params
    first, last = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    body, condition = _jax.opened(params["body_jaxpr"]), _jax.opened(params["cond_jaxpr"])
    start = list(operands[last:])
    avals = [v.aval for v in eqn.outvars]
    found = degrees(eqn, list(map(degree, operands)))
    forms = _forms(avals, found, start, operands, summed)
    made = _Loop(body, list(operands[first:last]), forms, [], [])
    made.settle(look, start, [])

    def goes_on(carry: list[Arrays]) -> Any:
        values = [f.unpack(a) for f, a in zip(made.carry, carry, strict=True)]
        (result,) = walk(*condition, [*operands[:first], *values])
        if not isinstance(result, Known):
            raise Mixed
        return result.value()

    def step(carry: list[Arrays]) -> list[Arrays]:
        return made.packed(made.step(walk, carry, []))[0]

    begin = [f.pack(v) for f, v in zip(made.carry, start, strict=True)]
    end = lax.while_loop(goes_on, step, begin)
    return [f.unpack(a) for f, a in zip(made.carry, end, strict=True)]
