"""Control flow in a tangent program: loops of a few steps, choices, and solves of linear systems.

Whoever calls these rules gives them `walk`, which runs a program inside of the one being run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.along import Axes, along, moved
from jaxmatcalc.interpret.memory import remembering
from jaxmatcalc.interpret.movement import stacked, unstacked
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.value import Known
from jaxmatcalc.linear.term import Factor, Label, Term, flat, walk_labels

Value = Known | Tangent
Walk = Callable[[Any, Sequence[Any], Sequence[Value]], list[Any]]

# A loop of at most so many steps, and of so many equations in all of them, is written out
_STEPS = 16
_EQUATIONS = 400


def scan(eqn: Any, operands: Sequence[Value], walk: Walk) -> list[Value] | None:
    """A short loop, step by step."""
    jaxpr, consts = _jax.opened(eqn.params["jaxpr"])
    length = eqn.params["length"]
    equations = sum(len(p.eqns) for p in _jax.subprograms(jaxpr))
    if not 0 < length <= _STEPS or length * equations > _EQUATIONS or eqn.effects:
        return None
    # what is scanned has an axis more outside of the loop than in it
    scanned = _longer(eqn.invars, jaxpr.invars)
    gathered = _longer(eqn.outvars, jaxpr.outvars)
    kept = len(operands) - scanned - (len(eqn.outvars) - gathered)
    carry = list(operands[kept : len(operands) - scanned])
    columns: list[list[Value]] = [[] for _ in range(gathered)]
    steps = range(length)
    for k in reversed(steps) if eqn.params["reverse"] else steps:
        xs = [
            _at(x, k, v.aval)
            for x, v in zip(
                operands[len(operands) - scanned :],
                jaxpr.invars[len(operands) - scanned :],
                strict=True,
            )
        ]
        results = walk(jaxpr, consts, [*operands[:kept], *carry, *xs])
        carry = results[: len(carry)]
        for column, y in zip(columns, results[len(carry) :], strict=True):
            column.append(y)
    if eqn.params["reverse"]:
        columns = [column[::-1] for column in columns]
    outs = eqn.outvars[len(carry) :]
    return [*carry, *(_joined(c, v.aval) for c, v in zip(columns, outs, strict=True))]


def _longer(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    pairs = zip(outside, inside, strict=True)
    return sum(len(a.aval.shape) > len(b.aval.shape) for a, b in pairs)


def _at(x: Value, k: int, aval: Any) -> Value:
    """The entries at one place of the first axis."""
    if isinstance(x, Tangent):
        return unstacked(x, 0, k, aval)
    if x.axes[0] not in x.varying and not x.has_delta:
        return Known(x.array, x.shape[1:], x.axes[1:], x.varying)
    return Known.full(lax.index_in_dim(jnp.asarray(x.value()), k, 0, keepdims=False))


def _joined(column: Sequence[Value], aval: Any) -> Value:
    """The results of all steps; of a tangent those that are known are zero."""
    if any(isinstance(y, Tangent) for y in column):
        return stacked(column, 0, aval)
    return Known.full(jnp.stack([jnp.asarray(y.value()) for y in column if isinstance(y, Known)]))


@dataclass(eq=False)
class _Slot:
    """A term that some branches have: its place among the results, and its arrays' shapes."""

    result: int
    index: int
    term: Term  # of one branch, whose labels serve for all
    key: Any
    of: dict[int, int]  # for each branch that has it, the number of its term


def cond(eqn: Any, operands: Sequence[Value], walk: Walk) -> list[Value] | None:
    """A choice: each branch in its place, the terms of those that are not taken being zero."""
    which, *rest = operands
    if isinstance(which, Tangent) or eqn.effects:
        return None
    branches = [_jax.opened(b) for b in eqn.params["branches"]]
    terms: list[list[tuple[int, int, Term]]] = [[] for _ in branches]
    moving = [False] * len(eqn.outvars)

    def run(b: int) -> tuple[list[Any], list[list[Any]]]:
        """Values of the results that are known in a branch, and the arrays of its terms."""
        with remembering():
            results = walk(*branches[b], rest)
        found = []
        for r, v in enumerate(results):
            if isinstance(v, Tangent):
                moving[r] = True
                found += [(r, k, _with_scalar(t, v.dtype)) for k, ts in v.terms.items() for t in ts]
        terms[b] = found
        values = [None if isinstance(v, Tangent) else v.value() for v in results]
        return values, [[f.array for f in t.factors] for _, _, t in found]

    for b in range(len(branches)):
        jax.eval_shape(lambda b=b: run(b))
    slots = _slots(terms)

    def taken(b: int) -> tuple[list[Any], list[list[Any]]]:
        values, arrays = run(b)
        given = [
            [jnp.asarray(a, s.dtype) for a, s in zip(arrays[slot.of[b]], shapes, strict=True)]
            if b in slot.of
            else [jnp.zeros(s.shape, s.dtype) for s in shapes]
            for slot in slots
            for shapes in [[f.array for f in slot.term.factors]]
        ]
        return [None if m else v for m, v in zip(moving, values, strict=True)], given

    choices = [lambda b=b: taken(b) for b in range(len(branches))]
    values, arrays = lax.switch(which.value(), choices)
    found: list[dict[int, tuple[Term, ...]]] = [{} for _ in eqn.outvars]
    for slot, given in zip(slots, arrays, strict=True):
        factors = tuple(f._replace(array=a) for f, a in zip(slot.term.factors, given, strict=True))
        ts = found[slot.result].get(slot.index, ())
        found[slot.result][slot.index] = (*ts, replace(slot.term, factors=factors))
    return [
        Tangent(tuple(v.aval.shape), v.aval.dtype, found[r]) if moving[r] else Known.full(values[r])
        for r, v in enumerate(eqn.outvars)
    ]


def _with_scalar(term: Term, dtype: Any) -> Term:
    """The term with a factor that may be zero, and every array of a dtype of its own."""
    if not term.factors:
        term = term.times(np.ones((), dtype))
    return replace(
        term,
        factors=tuple(
            f._replace(array=jnp.asarray(f.array, None if f.labels else dtype))
            for f in term.factors
        ),
    )


def _slots(terms: Sequence[Sequence[tuple[int, int, Term]]]) -> list[_Slot]:
    """Terms of all branches, those of one form together."""
    slots: list[_Slot] = []
    for b, found in enumerate(terms):
        for n, (r, k, term) in enumerate(found):
            shapes = [jax.typeof(f.array) for f in term.factors]
            blank = tuple(
                Factor(jax.ShapeDtypeStruct(s.shape, s.dtype), f.labels, f.symmetric)
                for f, s in zip(term.factors, shapes, strict=True)
            )
            term = replace(term, factors=blank)
            key = r, k, _form(term)
            slot = next((s for s in slots if s.key == key and b not in s.of), None)
            if slot is None:
                slots.append(_Slot(r, k, term, key, {b: n}))
            else:
                slot.of[b] = n
    return slots


def _form(term: Term) -> Any:
    """What two terms share that differ in the entries of their arrays only."""
    number: dict[Label, int] = {label: n for n, label in enumerate(walk_labels(term))}

    def numbered(labels: Any) -> Any:
        return tuple((number[k], k.size) for k in labels)

    factors = [
        (numbered(f.labels), f.array.shape, str(f.array.dtype), f.symmetric) for f in term.factors
    ]
    return (
        tuple(factors),
        tuple(map(numbered, term.out)),
        tuple(map(numbered, term.in_)),
    )


def custom_linear_solve(eqn: Any, operands: Sequence[Value], walk: Walk) -> list[Value] | None:
    """A solve is linear in its right-hand side; where its matrix falls apart, so does it."""
    counts = eqn.params["const_lengths"]
    consts, sides = operands[: -len(eqn.outvars)], operands[-len(eqn.outvars) :]
    if len(sides) != 1 or any(isinstance(c, Tangent) for c in consts):
        return None
    (b,) = sides
    if not isinstance(b, Tangent):
        return None
    aval, rank = eqn.outvars[0].aval, len(b.shape)
    batch, free = _left_alone(eqn, list(consts[: counts.matvec]), aval, walk)
    values = [c.value() for c in consts if isinstance(c, Known)]

    def call(x: Any) -> Any:
        (solution,) = _jax.bind(eqn, [*values, jnp.broadcast_to(x, aval.shape)])
        return lax.slice(
            solution, [0] * rank, [1 if a in free else n for a, n in enumerate(b.shape)]
        )

    acted = tuple(a for a in range(rank) if a not in batch and a not in free)
    pairs = tuple((a, a) for a in batch), tuple((a, a) for a in free)
    axes = Axes(acted, acted, *pairs)
    return [along(b, aval, axes, moved(call, axes, rank, rank))]


def _left_alone(
    eqn: Any, consts: list[Value], aval: Any, walk: Walk
) -> tuple[list[int], list[int]]:
    """The axes along which a system falls apart: into different systems, and into copies of one."""
    found: list[tuple[list[int], list[int]]] = []

    def look() -> None:
        with remembering():
            program = _jax.opened(eqn.params["jaxprs"].matvec)
            (image,) = walk(*program, [*consts, Tangent.seed(0, aval)])
        terms = image.terms.get(0, ()) if isinstance(image, Tangent) else ()
        batch, free = [], []
        for a in range(len(aval.shape)):
            if terms and all(_is_delta(t, a) for t in terms):
                seen = any(set(f.labels) & set(t.out[a]) for t in terms for f in t.factors)
                (batch if seen else free).append(a)
        found.append((batch, free))

    jax.eval_shape(look)
    return found[-1]


def _is_delta(term: Term, axis: int) -> bool:
    """Whether an axis of ``out`` is the same axis of ``in_``, and nothing else."""
    group = term.out[axis]
    return group == term.in_[axis] and all(
        flat(term.out).count(k) == flat(term.in_).count(k) == 1 for k in group
    )


CONTROL: dict[str, Callable[[Any, Sequence[Value], Walk], list[Value] | None]] = {
    "cond": cond,
    "custom_linear_solve": custom_linear_solve,
    "scan": scan,
}
