"""The walk: a tangent program, run once with its tangents standing for lazy identities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _jax
from jaxmatcalc.interpret.known import Known, run
from jaxmatcalc.interpret.rules import RULES, Value
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.linear.contraction import dense_sum
from jaxmatcalc.linear.kinds import kind
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.term import Factor, Term, flat, fresh, shape

# Flat arrays to (results, further results that are not differentiated)
Function = Callable[..., tuple[list[Any], list[Any]]]


Blocks = list[list[LinearOperator]]


def walk(
    jaxpr: Any,
    consts: Sequence[Any],
    operands: Sequence[Value],
    fallbacks: list[str],
    wanted: Sequence[bool] | None = None,
) -> list[Any]:
    """Run a program on known values and tangents; results not `wanted` are None."""
    wanted = [True] * len(jaxpr.outvars) if wanted is None else wanted
    env: dict[Any, Value] = dict(zip(jaxpr.constvars, map(Known.full, consts), strict=True))
    env.update(zip(jaxpr.invars, operands, strict=True))

    def read(atom: Any) -> Value:
        return Known.full(_jax.literal(atom)) if isinstance(atom, _jax.Literal) else env[atom]

    for eqn in _jax.live_equations(jaxpr, wanted):
        env.update(
            zip(eqn.outvars, _step(eqn, list(map(read, eqn.invars)), fallbacks), strict=True)
        )
    return [read(v) if w else None for v, w in zip(jaxpr.outvars, wanted, strict=True)]


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
    if eqn.primitive.name == "optimization_barrier":
        return operands
    rule = RULES.get(eqn.primitive.name)
    if rule is not None and not any(o.terms for o in operands if isinstance(o, Tangent)):
        return [_nothing(v.aval) for v in eqn.outvars]
    result = rule(eqn, *operands) if rule and all(v.aval.size for v in eqn.outvars) else None
    if result is not None:
        return result if isinstance(result, list) else [result]
    return _densely(eqn, operands, fallbacks)


def _enter(
    eqn: Any, body: tuple[Any, list[Any]], operands: list[Value], fallbacks: list[str]
) -> list[Any]:
    """Run a call's body in its place; where JAX hides a line inside, the call's is reported."""
    inner: list[str] = []
    results = walk(*body, _jax.body_operands(eqn, operands), inner)
    fallbacks += [name if "(" in name else _placed(name, eqn) for name in inner]
    return results


def _placed(name: str, eqn: Any) -> str:
    """``name (file:line)`` of the user's line that an equation came from."""
    line = _jax.line(eqn)
    return f"{name} ({line})" if line else name


def _nothing(aval: Any) -> Tangent:
    return Tangent(tuple(aval.shape), aval.dtype, {})


def _densely(eqn: Any, operands: list[Value], fallbacks: list[str]) -> Sequence[Value]:
    """A primitive without a rule: its tangents are formed and pushed through, column by column."""
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
    pieces: dict[int, dict[int, tuple[Term, ...]]] = {k: {} for k in range(len(depends))}
    for index, groups in inputs.items():
        in_shape = shape(groups)

        def push(*columns: Any) -> list[Any]:
            given = iter(columns)
            values = [next(given) if isinstance(o, Tangent) else o.value() for o in operands]
            pushed = _jax.bind(eqn, values)
            return [r for r, d in zip(pushed, depends, strict=True) if d]

        width = math.prod(in_shape)
        columns = [
            t.columns(index) if index in t.terms else jnp.zeros((*t.shape, width), t.dtype)
            for t in tangents
        ]
        images = iter(jax.vmap(push, in_axes=-1, out_axes=-1)(*columns))
        for k, out in enumerate(eqn.outvars):
            if depends[k]:
                image = next(images)
                if out.aval.size:
                    pieces[k][index] = (_full_term(image, out.aval.shape, in_shape),)
    if inputs:
        fallbacks.append(_placed(eqn.primitive.name, eqn))
    return [
        r if r is not None else Tangent(tuple(v.aval.shape), v.aval.dtype, pieces[k])
        for k, (r, v) in enumerate(zip(results, eqn.outvars, strict=True))
    ]


def _full_term(array: Any, out_shape: Sequence[int], in_shape: Sequence[int]) -> Term:
    out, in_ = fresh(out_shape), fresh(in_shape)
    labels = flat(out) + flat(in_)
    return Term((Factor(array.reshape([k.size for k in labels]), labels),), out, in_)


def forward(function: Function, primals: Sequence[Any]) -> tuple[list[Any], list[Any], Blocks]:
    """Values, further values and derivative blocks of a function, from its tangent program.

    Returns:
        The values, the further values, and operators ``blocks[output][input]``.
    """
    n = len(primals)
    counts: list[int] = []

    def program(*args: Any) -> list[Any]:
        outs, tangents, aux = jax.jvp(function, args[:n], args[n:], has_aux=True)
        counts[:] = [len(outs), len(outs) + len(aux)]
        return [*outs, *aux, *tangents]

    jaxpr, consts = _jax.trace(program, *primals, *primals)
    fallbacks: list[str] = []
    seeds = [Tangent.seed(k, jax.typeof(x)) for k, x in enumerate(primals)]
    results = walk(jaxpr, consts, [*map(Known.full, primals), *seeds], fallbacks)
    values = [r.value() for r in results[: counts[1]]]
    outs, tangents = values[: counts[0]], results[counts[1] :]
    blocks = [
        [_operator(_terms(t, k), out, x, fallbacks) for k, x in enumerate(primals)]
        for out, t in zip(outs, tangents, strict=True)
    ]
    return outs, values[counts[0] :], blocks


def reverse(function: Function, primals: Sequence[Any]) -> tuple[list[Any], list[Any], Blocks]:
    """The same from the transposed program: shorter where there are fewer outputs than inputs."""
    n = len(primals)
    shapes = jax.eval_shape(function, *primals)[0]
    counts: list[int] = []

    def program(*args: Any) -> list[Any]:
        outs, pull, aux = jax.vjp(function, *args[:n], has_aux=True)
        counts[:] = [len(outs), len(outs) + len(aux)]
        return [*outs, *aux, *pull(list(args[n:]))]

    jaxpr, consts = _jax.trace(program, *primals, *shapes)
    fallbacks: list[str] = []
    seeds = [Tangent.seed(k, s) for k, s in enumerate(shapes)]
    results = walk(jaxpr, consts, [*map(Known.full, primals), *seeds], fallbacks)
    values = [r.value() for r in results[: counts[1]]]
    outs, cotangents = values[: counts[0]], results[counts[1] :]
    blocks = [
        [
            _operator([t.transpose() for t in _terms(c, k)], out, x, fallbacks)
            for c, x in zip(cotangents, primals, strict=True)
        ]
        for k, out in enumerate(outs)
    ]
    return outs, values[counts[0] :], blocks


def _terms(tangent: Value, index: int) -> Sequence[Term]:
    return tangent.terms.get(index, ()) if isinstance(tangent, Tangent) else ()


def _operator(terms: Sequence[Term], out: Any, x: Any, fallbacks: Sequence[str]) -> LinearOperator:
    out, in_ = jax.typeof(out), jax.typeof(x)
    if len(terms) > 1 and any(kind(t) == "dense" for t in terms):
        # one term fills the array already: the others may as well be added to it
        terms = [_full_term(dense_sum(terms, out.dtype), out.shape, in_.shape)]
    return LinearOperator(terms, out.shape, in_.shape, out.dtype, tuple(fallbacks))
