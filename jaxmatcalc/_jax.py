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
from jax._src import core as _core
from jax._src import source_info_util
from jax.extend import core

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
    "eval_jaxpr": "call_jaxpr",  # of custom_root, since JAX 0.12
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "call_jaxpr",
    "custom_lin": None,
}


def is_tracing(values: Sequence[Any]) -> bool:
    """Whether a call with these values is part of a transformation: `jit`, `grad`, `vmap`."""
    return not _core.trace_state_clean() or any(isinstance(v, _core.Tracer) for v in values)


def trace(function: Callable[..., Any], *args: Any) -> tuple[Jaxpr, list[Any]]:
    """The program of a flat function at abstract or concrete arguments, and its constants."""
    return opened(jax.make_jaxpr(function)(*args))


def is_known(shape: Sequence[Any]) -> bool:
    """Whether a choice by size can be made: no dimension is a symbol of `jax.export`."""
    return all(isinstance(size, int) for size in shape)


def varying_alike(*arrays: Any) -> list[Any]:
    """Arrays inside `shard_map`, each varying over the axes of the mesh that any varies over."""
    own = [jax.typeof(X).manual_axis_type.varying for X in arrays]
    lacking = [tuple(sorted(frozenset().union(*own) - axes)) for axes in own]
    return [
        jax.lax.pcast(X, axes, to="varying") if axes else X
        for X, axes in zip(arrays, lacking, strict=True)
    ]


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
    branch: both halves must go the same way. A call with a rule is whole, and keeps its rule.
    """
    found = None if is_custom(eqn) else body(eqn)
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
    with at_line_of(eqn), eqn.ctx.manager:
        result = eqn.primitive.bind(*functions, *values, **params)
    return list(result) if eqn.primitive.multiple_results else [result]


def at_line_of(eqn: Eqn) -> Any:
    """A context where what is traced has the equation's line, for errors and for fallbacks."""
    place = eqn.source_info
    return source_info_util.user_context(place.traceback, name_stack=place.name_stack)


def retyped(value: Any, aval: Any) -> Any:
    """A value with the dtype and the weak type of `aval`, as a call in its place would give it."""
    if value.dtype == aval.dtype and jax.typeof(value).weak_type == aval.weak_type:
        return value
    return jax.lax.convert_element_type_p.bind(
        value, new_dtype=aval.dtype, weak_type=aval.weak_type, sharding=None
    )


# Before, differentiating a `scan` in reverse drops the custom_jvp rules of its body, so that a
# second derivative goes through the values of operations.
SCANS_KEEP_RULES = jax.__version_info__ >= (0, 12)


def scan_counts(eqn: Eqn) -> tuple[int, int]:
    """How many operands of a `scan` are constant, and how many are carried."""
    parts = eqn.params.get("ft_in")  # since JAX 0.12
    if parts is None:
        return eqn.params["num_consts"], eqn.params["num_carry"]
    consts, carry, _ = parts.unpack()
    return len(consts), len(carry)


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

    A loop or a call whose body was differentiated carries values and tangents side by side.
    """
    name, params = eqn.primitive.name, eqn.params
    if name == "while":
        first, last = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        return _through_loop(params["body_jaxpr"], moving[first:last], moving[last:])
    if name == "scan":
        first, carried = scan_counts(eqn)
        parts = moving[:first], moving[first : first + carried], moving[first + carried :]
        return _through_loop(params["jaxpr"], *parts)
    if name == "cond" and not moving[0]:
        branches = [_reached(opened(b)[0], moving[1:]) for b in params["branches"]]
        return [any(found) for found in zip(*branches, strict=True)]
    inner = params.get({"custom_vmap_call": "call", "shard_map": "jaxpr"}.get(name, ""))
    found = body(eqn) if inner is None else opened(inner)
    if found is None or name == "cond":
        return [True] * len(eqn.outvars)
    return _reached(found[0], moving)


def _reached(jaxpr: Jaxpr, moving: Sequence[bool]) -> list[bool]:
    """Which results of a program depend on the operands marked."""
    marked = {v for v, m in zip(jaxpr.invars, moving, strict=True) if m}
    for eqn in jaxpr.eqns:
        operands = [_is_var(v) and v in marked for v in eqn.invars]
        if any(operands):
            found = dependent_outputs(eqn, operands)
            marked.update(v for v, d in zip(eqn.outvars, found, strict=True) if d)
    return [_is_var(v) and v in marked for v in jaxpr.outvars]


def _through_loop(
    closed: Any, consts: Sequence[bool], carry: Sequence[bool], xs: Sequence[bool] = ()
) -> list[bool]:
    """The same for a loop, of which every step may spread what the one before has reached."""
    while True:
        reached = _reached(opened(closed)[0], [*consts, *carry, *xs])
        grown = [a or b for a, b in zip(carry, reached, strict=False)]
        if grown == list(carry):
            return reached
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


def evaluate(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    args: Sequence[Any],
    step: Callable[[Eqn, list[Any]], Sequence[Any]],
    read_literal: Callable[[Any], Any],
    wanted: Sequence[bool] | None = None,
) -> list[Any]:
    """Run a program on values of any kind, equation by equation; results not `wanted` are None."""
    wanted = [True] * len(jaxpr.outvars) if wanted is None else wanted
    env = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return read_literal(atom) if isinstance(atom, Literal) else env[atom]

    for eqn in live_equations(jaxpr, wanted):
        env.update(zip(eqn.outvars, step(eqn, list(map(read, eqn.invars))), strict=True))
    return [read(v) if w else None for v, w in zip(jaxpr.outvars, wanted, strict=True)]


def _is_var(atom: Any) -> bool:
    return not isinstance(atom, Literal)


def subprograms(jaxpr: Jaxpr) -> Iterator[Jaxpr]:
    """A program and every program inside its calls."""
    yield jaxpr
    for eqn in jaxpr.eqns:
        for inner in programs(eqn):
            yield from subprograms(inner)


def programs(eqn: Eqn) -> Iterator[Jaxpr]:
    """The programs that an equation holds: the body of a call or a loop, branches."""
    for value in eqn.params.values():
        for inner in value if isinstance(value, tuple | list) else (value,):
            if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                yield opened(inner)[0]


# Before, a transpose in a loop of a CPU was read entry by entry, down the columns.
FUSES_TRANSPOSES = jax.__version_info__ >= (0, 12)

# Without one, a Cholesky factorisation cannot be lowered.
MOSAIC_HAS_SQUARE_ROOTS = jax.__version_info__ >= (0, 12)


def mosaic_interpreter() -> Any:
    """What makes `plgpu.kernel` interpret a kernel; public since JAX 0.12."""
    from jax._src.pallas.mosaic_gpu.interpret.params import InterpretGPUParams

    return InterpretGPUParams()


def gpu_capability() -> tuple[int, int] | None:
    """The compute capability of the GPU that programs run on here, or None where there is none."""
    if jax.default_backend() != "gpu":
        return None
    found = str(getattr(jax.devices()[0], "compute_capability", ""))  # of an NVIDIA GPU: "9.0"
    major, dot, minor = found.partition(".")
    return (int(major), int(minor)) if dot and major.isdigit() else (0, 0)
