"""The walk: a tangent program, run once with its tangents standing for lazy identities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _jax
from jaxmatcalc.interpret.along import Columns
from jaxmatcalc.interpret.control import CONTROL
from jaxmatcalc.interpret.known import Known, run
from jaxmatcalc.interpret.rules import RULES, Value
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.term import Factor, Term, flat, fresh, shape


def walk(
    jaxpr: Any,
    consts: Sequence[Any],
    operands: Sequence[Value],
    fallbacks: list[str],
    wanted: Sequence[bool] | None = None,
) -> list[Any]:
    """Run a program on known values and tangents; results not `wanted` are None."""

    def step(eqn: Any, operands: list[Value]) -> Sequence[Value]:
        return _step(eqn, operands, fallbacks)

    def read_literal(atom: Any) -> Known:
        return Known.full(_jax.literal(atom))

    known = list(map(Known.full, consts))
    return _jax.evaluate(jaxpr, known, operands, step, read_literal, wanted)


def _step(eqn: Any, operands: list[Value], fallbacks: list[str]) -> Sequence[Value]:
    body = _jax.body(eqn)
    known = [o for o in operands if isinstance(o, Known)]
    if len(known) == len(operands):
        spread = not all(k.is_full for k in known) or not known
        if body is not None and (_jax.must_enter(eqn) or (spread and not _jax.is_custom(eqn))):
            return _enter(eqn, body, operands, fallbacks)
        return run(eqn, known)
    if body is not None:
        return _enter(eqn, body, operands, fallbacks)
    name = eqn.primitive.name
    if name == "optimization_barrier":
        return operands
    rule = RULES.get(name)
    nothing = not any(o.terms for o in operands if isinstance(o, Tangent))
    if rule is not None and (nothing or not any(v.aval.size for v in eqn.outvars)):
        return [_nothing(v.aval) for v in eqn.outvars]
    if name in CONTROL:
        result = CONTROL[name](eqn, operands, _inside(eqn, fallbacks))
    else:
        result = rule(eqn, *operands) if rule else None
    if result is not None:
        return result if isinstance(result, list) else [result]
    return _densely(eqn, operands, fallbacks)


def _inside(eqn: Any, fallbacks: list[str]) -> Callable[..., list[Any]]:
    """The walk for programs inside of an equation."""

    def run(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Value]) -> list[Any]:
        inner: list[str] = []
        results = walk(jaxpr, consts, operands, inner)
        fallbacks.extend(lost if "(" in lost else placed(lost, eqn) for lost in inner)
        return results

    return run


def _enter(
    eqn: Any, body: tuple[Any, list[Any]], operands: list[Value], fallbacks: list[str]
) -> list[Any]:
    """Run a call's body in its place; where JAX hides a line inside, the call's is reported."""
    return _inside(eqn, fallbacks)(*body, _jax.body_operands(eqn, operands))


def placed(name: str, eqn: Any) -> str:
    """``name (file:line)`` of the user's line that an equation came from."""
    line = _jax.line(eqn)
    return f"{name} ({line})" if line else name


def _nothing(aval: Any) -> Tangent:
    return Tangent(tuple(aval.shape), aval.dtype, {})


def _densely(eqn: Any, operands: list[Value], fallbacks: list[str]) -> Sequence[Value]:
    """A primitive without a rule: its tangents are pushed through, column by column."""
    moving = [isinstance(o, Tangent) for o in operands]
    depends = _jax.dependent_outputs(eqn, moving)
    results: list[Value | None] = [None] * len(depends)
    if not all(depends):
        still = [
            o.value() if isinstance(o, Known) else jnp.zeros(o.shape, o.dtype) for o in operands
        ]
        for k, r in enumerate(_jax.bind(eqn, still)):
            results[k] = None if depends[k] else Known.full(r)
    tangents = [o for o in operands if isinstance(o, Tangent)]
    inputs = {k: t.terms[k][0].in_ for t in tangents for k in t.terms}
    outs = [v.aval for v, d in zip(eqn.outvars, depends, strict=True) if d]

    def push(*columns: Any) -> list[Any]:
        given = iter(columns)
        values = [next(given) if isinstance(o, Tangent) else o.value() for o in operands]
        pushed = _jax.bind(eqn, values)
        return [r for r, d in zip(pushed, depends, strict=True) if d]

    pushed: list[dict[int, tuple[Term, ...]]] = [{} for _ in outs]
    for index, groups in inputs.items():
        for place, terms in enumerate(_images(push, tangents, index, shape(groups), outs)):
            if terms:
                pushed[place][index] = terms
    if inputs:
        fallbacks.append(placed(eqn.primitive.name, eqn))
    rest = iter(pushed)
    return [
        r if r is not None else Tangent(tuple(v.aval.shape), v.aval.dtype, next(rest))
        for r, v in zip(results, eqn.outvars, strict=True)
    ]


def _images(
    push: Callable[..., list[Any]],
    tangents: Sequence[Tangent],
    index: int,
    in_shape: tuple[int, ...],
    outs: Sequence[Any],
) -> list[tuple[Term, ...]]:
    """What one input's columns become: all at once, or each term's where those are fewer."""
    width = math.prod(in_shape)
    parts = [(j, Columns.of(t)) for j, o in enumerate(tangents) for t in o.terms.get(index, ())]

    def images(given: dict[int, Any], count: int) -> list[Any]:
        columns = [
            given[j] if j in given else jnp.zeros((*t.shape, count), t.dtype)
            for j, t in enumerate(tangents)
        ]
        return jax.vmap(push, in_axes=-1, out_axes=-1)(*columns)

    if 2 * sum(c.count for _, c in parts) <= width:
        several = [images({j: c.array(tangents[j].dtype)}, c.count) for j, c in parts]
        return [
            merge(c.mapped(im[k]) for (_, c), im in zip(parts, several, strict=True))
            if out.size
            else ()
            for k, out in enumerate(outs)
        ]
    together = {j: t.columns(index) for j, t in enumerate(tangents) if index in t.terms}
    return [
        (full_term(image, out.shape, in_shape),) if out.size else ()
        for image, out in zip(images(together, width), outs, strict=True)
    ]


def full_term(array: Any, out_shape: Sequence[int], in_shape: Sequence[int]) -> Term:
    """The dense array as a term."""
    out, in_ = fresh(out_shape), fresh(in_shape)
    labels = flat(out) + flat(in_)
    return Term((Factor(array.reshape([k.size for k in labels]), labels),), out, in_)
