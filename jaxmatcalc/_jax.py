"""The only module that knows JAX's versions and internals.

Jaxprs are read through `jax.extend.core` wherever it says enough; what differs between the
supported versions, or is private, is named here once and nowhere else.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax._src import source_info_util
from jax.extend import core
from jax.interpreters import partial_eval

# A line of ours is no line of the user's: fallbacks and errors name the one that called us.
source_info_util.register_exclusion(os.path.dirname(__file__) + os.sep)

Jaxpr = Any  # a jaxpr without constants: jax.extend.core.Jaxpr
Eqn = Any

Literal = core.Literal

# Parameters that hold the body of an inlinable call, in the order they are looked for
_BODIES = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "call_jaxpr",
    "custom_lin": None,
}

# Parameters that say how a call is run or derived, not what it computes
# fmt: off
_INCIDENTAL = frozenset({
    "name", "inline", "keep_unused", "in_shardings", "out_shardings", "in_layouts",
    "out_layouts", "donated_invars", "ctx_mesh", "compiler_options_kvs", "jvp_jaxpr_fun", "jvp",
    "fwd_jaxpr_thunk", "fwd", "bwd", "out_trees", "branches_platforms", "sharding",
    "out_sharding",
})
# fmt: on


def trace(function: Callable[..., Any], *args: Any) -> tuple[Jaxpr, list[Any]]:
    """The program of a flat function at abstract or concrete arguments, and its constants."""
    return opened(jax.make_jaxpr(function)(*args))


def opened(closed: Any) -> tuple[Jaxpr, list[Any]]:
    """A jaxpr and its constants; since JAX 0.11 a closed jaxpr is a jaxpr."""
    return getattr(closed, "jaxpr", closed), list(getattr(closed, "consts", ()))


def body(eqn: Eqn) -> tuple[Jaxpr, list[Any]] | None:
    """The program of a call that may be run in the caller's place, or None for anything else."""
    name = eqn.primitive.name
    if _chooses_platform(eqn):
        # one value by platform: the first branch, which is written without gathers
        return opened(eqn.params["branches"][0])
    if name == "call_hi_primitive":  # a custom_jvp function under JAX_CUSTOM_JVP3
        traced = getattr(eqn.params["_prim"], "traced", None)
        return None if traced is None else opened(traced.jaxpr)
    program = getattr(eqn.primitive, "program", None)
    if program is not None:  # a primitive of `_multilinear`
        return trace(functools.partial(program, **eqn.params), *(v.aval for v in eqn.invars))
    parameter = _BODIES.get(name)
    return None if parameter is None else opened(eqn.params[parameter])


def must_enter(eqn: Eqn) -> bool:
    """Whether a call holds a choice by platform, of which `body` takes the first branch.

    A differentiated one comes in two halves, and the second takes what the first left for its
    branch: both halves must go the same way.
    """
    found = body(eqn)
    return found is not None and (
        _chooses_platform(eqn)
        or any(_chooses_platform(e) for jaxpr in subprograms(found[0]) for e in jaxpr.eqns)
    )


def _chooses_platform(eqn: Eqn) -> bool:
    return eqn.primitive.name == "cond" and eqn.params.get("branches_platforms") is not None


def body_operands(eqn: Eqn, operands: Sequence[Any]) -> Sequence[Any]:
    """The operands that a call's body takes: all but the index of a choice by platform."""
    return operands[1:] if eqn.primitive.name == "cond" else operands


def is_custom(eqn: Eqn) -> bool:
    """Whether a call carries a derivative rule of its own, which inlining it would lose."""
    name = eqn.primitive.name
    return name.startswith(("custom_", "call_hi_")) or hasattr(eqn.primitive, "program")


def has_custom_vjp(jaxpr: Jaxpr) -> bool:
    """Whether a program has a call that can be differentiated in reverse only."""
    return any(
        eqn.primitive.name.startswith("custom_vjp") for p in subprograms(jaxpr) for eqn in p.eqns
    )


def call_name(eqn: Eqn) -> str:
    """The name a call was given: that of the jitted or custom_jvp function."""
    if eqn.primitive.name == "call_hi_primitive":
        return getattr(getattr(eqn.params["_prim"], "traced", None), "fun_name", "")
    name = eqn.params.get("name")
    if isinstance(name, str):
        return name
    found = body(eqn)
    info = getattr(found[0], "debug_info", None) if found else None
    return getattr(info, "func_name", "") or ""


def bind(eqn: Eqn, values: Sequence[Any]) -> list[Any]:
    """Run one equation, its own derivative rules included."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    functions, params = ((), bound) if isinstance(bound, dict) else bound
    place = eqn.source_info  # the user's line, for errors and for what a fallback reports
    context = source_info_util.user_context(place.traceback, name_stack=place.name_stack)
    with context, eqn.ctx.manager:
        result = eqn.primitive.bind(*functions, *values, **params)
    return list(result) if eqn.primitive.multiple_results else [result]


def literal(atom: Any) -> np.ndarray:
    """The value of a literal, in its own dtype."""
    return np.asarray(atom.val, atom.aval.dtype)


def is_zero(atom: Any) -> bool:
    """Whether an operand is a literal zero."""
    return isinstance(atom, Literal) and not np.any(atom.val)


def line(eqn: Eqn) -> str:
    """``file:line`` of the user's line that an equation came from; empty where JAX hides it."""
    return source_info_util.summarize(eqn.source_info).split(" (")[0].rsplit("/", 1)[-1]


def dependent_outputs(eqn: Eqn, moving: Sequence[bool]) -> list[bool]:
    """Which results of an equation depend on the operands marked as moving.

    A `scan` or `while` whose body was differentiated carries values and tangents side by side.
    """
    if not eqn.primitive.multiple_results:
        return [True]
    if eqn.primitive.name == "while":
        return _dependent_carry(eqn, moving)
    operands = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars]
    jaxpr, _ = trace(lambda *args: bind(eqn, args), *operands)
    found = []
    for k in range(len(eqn.outvars)):
        wanted = [i == k for i in range(len(eqn.outvars))]
        _, used = partial_eval.dce_jaxpr(jaxpr, wanted)
        found.append(any(u and m for u, m in zip(used, moving, strict=True)))
    return found


def _dependent_carry(eqn: Eqn, moving: Sequence[bool]) -> list[bool]:
    """The same for a `while` loop, which JAX 0.10 does not take apart itself."""
    first = eqn.params["cond_nconsts"]
    last = first + eqn.params["body_nconsts"]
    consts, carry = list(moving[first:last]), list(moving[last:])
    jaxpr, _ = opened(eqn.params["body_jaxpr"])
    while True:
        marked = {v for v, m in zip(jaxpr.invars, [*consts, *carry], strict=True) if m}
        for inner in jaxpr.eqns:
            operands = [_is_var(v) and v in marked for v in inner.invars]
            if any(operands):
                found = dependent_outputs(inner, operands)
                marked.update(v for v, d in zip(inner.outvars, found, strict=True) if d)
        reached = [_is_var(v) and v in marked for v in jaxpr.outvars]
        grown = [a or b for a, b in zip(carry, reached, strict=True)]
        if grown == carry:
            return carry
        carry = grown


def live_equations(jaxpr: Jaxpr, wanted: Sequence[bool]) -> list[Eqn]:
    """The equations that the wanted results need, in order."""
    needed = {v for v, w in zip(jaxpr.outvars, wanted, strict=True) if w and _is_var(v)}
    kept = []
    for eqn in reversed(jaxpr.eqns):
        if any(v in needed for v in eqn.outvars) or eqn.effects:
            kept.append(eqn)
            needed.update(v for v in eqn.invars if _is_var(v))
    return kept[::-1]


def _is_var(atom: Any) -> bool:
    return not isinstance(atom, Literal)


def same_program(first: Jaxpr, second: Jaxpr) -> bool:
    """Whether two jaxprs are the same up to the names of their variables."""
    if [v.aval for v in first.invars] != [v.aval for v in second.invars]:
        return False
    if len(first.eqns) != len(second.eqns) or len(first.constvars) != len(second.constvars):
        return False
    renamed = dict(zip(first.invars, second.invars, strict=True))
    renamed.update(zip(first.constvars, second.constvars, strict=True))

    def agree(a: Any, b: Any) -> bool:
        if isinstance(a, Literal) or isinstance(b, Literal):
            return (
                isinstance(a, Literal)
                and isinstance(b, Literal)
                and a.aval == b.aval
                and np.array_equal(a.val, b.val, equal_nan=True)
            )
        return renamed.get(a) is b

    for left, right in zip(first.eqns, second.eqns, strict=True):
        if left.primitive is not right.primitive or len(left.invars) != len(right.invars):
            return False
        if not all(map(agree, left.invars, right.invars)):
            return False
        if not _same_params(left, right) or len(left.outvars) != len(right.outvars):
            return False
        renamed.update(zip(left.outvars, right.outvars, strict=True))
    return len(first.outvars) == len(second.outvars) and all(
        map(agree, first.outvars, second.outvars)
    )


def _same_params(left: Eqn, right: Eqn) -> bool:
    if left.primitive.name == "call_hi_primitive" or is_custom(left):
        ours, theirs = body(left), body(right)
        if ours is None or theirs is None:
            return left.params == right.params
        return call_name(left) == call_name(right) and same_program(ours[0], theirs[0])
    if left.params.keys() != right.params.keys():
        return False
    return all(
        _same_value(left.params[k], right.params[k]) for k in left.params if k not in _INCIDENTAL
    )


def _same_value(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if hasattr(a, "eqns") or hasattr(a, "jaxpr"):
        return (hasattr(b, "eqns") or hasattr(b, "jaxpr")) and same_program(
            opened(a)[0], opened(b)[0]
        )
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(map(_same_value, a, b))
    try:
        return bool(a == b)
    except Exception:  # an array parameter: compare its entries
        return np.array_equal(a, b)


def subprograms(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """A program and every program inside its calls."""
    yield jaxpr
    for eqn in jaxpr.eqns:
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from subprograms(opened(inner)[0])
