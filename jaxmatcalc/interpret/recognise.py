"""Recognition: a plain ``jnp.linalg`` call in a program becomes the operation with a better rule.

A call is recognised by its name *and* because its body is what that function traces to at these
shapes; a user's own function of the same name is left alone. So are functions that carry a
derivative rule of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _jax, ops
from jaxmatcalc._precision import matmul, vdot
from jaxmatcalc.interpret.library import LIBRARY
from jaxmatcalc.interpret.matching import Found, call_name, match
from jaxmatcalc.interpret.partners import PARTNERS

Function = Callable[..., Any]


def has_calls(jaxpr: Any) -> bool:
    """Whether anything in a program, or in the calls and loops inside it, would be replaced."""
    return any(
        match(LIBRARY, eqn, _unused(eqn, jaxpr)) is not None
        or any(has_calls(b) for b, _ in _bodies(eqn))
        for eqn in jaxpr.eqns
    )


def _unused(eqn: Any, jaxpr: Any) -> tuple[int, ...]:
    """The results of a decomposition that nothing uses; of other calls it does not matter."""
    if not call_name(eqn).endswith("eigh"):
        return ()
    used = {id(v) for e in jaxpr.eqns for v in e.invars} | {id(v) for v in jaxpr.outvars}
    return tuple(k for k, v in enumerate(eqn.outvars) if id(v) not in used)


def _bodies(eqn: Any) -> list[tuple[Any, list[Any]]]:
    """The programs inside a call, loop or choice that has no derivative rule of its own."""
    name, params = eqn.primitive.name, eqn.params
    if name == "cond" and params.get("branches_platforms") is None:
        return [_jax.opened(branch) for branch in params["branches"]]
    if name == "scan":
        return [_jax.opened(params["jaxpr"])]
    if name == "while":
        return [_jax.opened(params["cond_jaxpr"]), _jax.opened(params["body_jaxpr"])]
    inner = None if name == "cond" or _jax.is_custom(eqn) else _jax.body(eqn)
    return [] if inner is None else [inner]


def run(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], explicit: bool) -> list[Any]:
    """Run a program with its recognised calls replaced.

    Args:
        explicit: write a solve as a product with the inverse, which an interpreter can name, and
            enter calls; otherwise a compiled call stays one.
    """
    env = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    notes: dict[Any, _Note] = {}

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, _jax.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = list(map(read, eqn.invars))
        found = match(LIBRARY, eqn, _unused(eqn, jaxpr))
        results = _as_noted(eqn, values, notes, explicit)
        if results is None and found is not None:
            arrays = [jnp.asarray(x) for x in values]
            with _jax.at_line_of(eqn):
                results = found.replacement(explicit)(*arrays)
            _note(eqn, found, arrays, notes)
        if results is not None:
            results = [
                r if r is None else _jax.retyped(r, v.aval)
                for r, v in zip(results, eqn.outvars, strict=True)
            ]
        elif _enters(eqn, explicit):
            with _jax.at_line_of(eqn):
                results = _rebuilt(eqn, values, explicit)
        else:
            results = _jax.bind(eqn, values)
        env.update(zip(eqn.outvars, results, strict=True))
    return list(map(read, jaxpr.outvars))


def _enters(eqn: Any, explicit: bool) -> bool:
    """Whether calls inside a call, loop or choice are replaced."""
    if explicit and eqn.primitive.name == "scan" and not _jax.SCANS_KEEP_RULES:
        return False  # second derivatives follow, and those of JAX's own bodies are right
    return any(has_calls(body) for body, _ in _bodies(eqn))


def _rebuilt(eqn: Any, values: Sequence[Any], explicit: bool) -> list[Any]:
    """A call, loop or choice, run with the calls inside it replaced."""
    name, params = eqn.primitive.name, eqn.params
    inside = [functools.partial(_run_on, *body, explicit) for body in _bodies(eqn)]
    if name == "cond":
        index, *operands = values
        return list(jax.lax.switch(index, inside, *operands))
    if name == "scan":
        return _scan(eqn, values, inside[0])
    if name == "while":
        a, b = params["cond_nconsts"], params["body_nconsts"]
        tests, steps, start = values[:a], values[a : a + b], values[a + b :]
        going, step = inside
        return list(
            jax.lax.while_loop(
                lambda state: going(*tests, *state)[0],
                lambda state: step(*steps, *state),
                list(start),
            )
        )
    if explicit or _bodies(eqn)[0][1]:
        return inside[0](*values)
    if name == "remat2" and not params["differentiated"]:
        kept = {k: params[k] for k in ("prevent_cse", "policy")}
        return list(jax.checkpoint(inside[0], **kept)(*values))
    if name in ("jit", "pjit"):
        return list(_compiled(_Call(eqn))(*values))
    return inside[0](*values)


def _run_on(jaxpr: Any, consts: Sequence[Any], explicit: bool, *args: Any) -> list[Any]:
    return run(jaxpr, consts, args, explicit)


def _scan(eqn: Any, values: Sequence[Any], step: Function) -> list[Any]:
    first, count = _jax.scan_counts(eqn)
    consts, start, xs = values[:first], values[first : first + count], values[first + count :]

    def advance(carry: Sequence[Any], x: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        results = step(*consts, *carry, *x)
        return results[:count], results[count:]

    kept = {
        k: v
        for k, v in eqn.params.items()
        if k in ("length", "reverse", "unroll") or (k == "_split_transpose" and v)
    }
    carry, ys = jax.lax.scan(advance, list(start), list(xs), **kept)
    return [*carry, *ys]


@functools.lru_cache(maxsize=128)
def _compiled(call: _Call) -> Function:
    """A compiled call with the calls in its body replaced; the same function each time."""
    ((jaxpr, consts),) = _bodies(call.eqn)

    def rewritten(*values: Any) -> list[Any]:
        return run(jaxpr, consts, values, False)

    params = call.eqn.params
    rewritten.__name__ = rewritten.__qualname__ = params["name"]
    kept: dict[str, Any] = {"compiler_options": dict(params["compiler_options_kvs"]) or None}
    for key, kind in (("in_shardings", tuple), ("out_shardings", list)):
        given = [s if isinstance(s, jax.sharding.Sharding) else None for s in params[key]]
        if any(s is not None for s in given):
            kept[key] = kind(given)
    return jax.jit(rewritten, **kept)


class _Call:
    """A compiled call, equal to another of the same body."""

    def __init__(self, eqn: Any):
        self.eqn, self.body = eqn, eqn.params["jaxpr"]

    def __hash__(self) -> int:
        return id(self.body)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call) and self.body is other.body


# --- calls that go together -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Note:
    """What is known of a result: which step it is, and the matrix behind it.

    Attributes:
        step: "norm", "factor", "diagonal" or "log": of a norm, a Cholesky factor, its diagonal and
            the logarithm of that; "half" or "squares": of z = L⁻¹ b with the factor, and z².
        source: gives the square of the norm, the matrix that was factored, or ‖z‖² = bᵀ A⁻¹ b.
        lower: whether the factor is the lower one.
        leading: whether the matrix has its rows and columns last.
    """

    step: str
    source: Callable[[], Any]
    lower: bool = True
    leading: bool = True


def _note(eqn: Any, found: Found, arrays: Sequence[Any], notes: dict[Any, _Note]) -> None:
    """Keep what a later equation may go together with."""
    variant = found.variant
    if variant.squared is not None:
        squared = found.placed(variant.squared)
        notes[eqn.outvars[0]] = _Note("norm", lambda: squared(*arrays)[0])
    if variant.factored is not None:
        factored = found.placed(variant.factored)
        notes[eqn.outvars[0]] = _Note(
            "factor", lambda: factored(*arrays)[0], variant.lower, found.leading
        )


def _as_noted(
    eqn: Any, values: Sequence[Any], notes: dict[Any, _Note], explicit: bool
) -> list[Any] | None:
    """An equation that completes what earlier ones began, or None.

    ‖X‖² is not taken through ‖X‖, which has no second derivative at 0. Solving with a Cholesky
    factor, ‖L⁻¹ b‖² and the sum of the logarithms of its diagonal are the solution, bᵀ A⁻¹ b and
    half the log-determinant of the matrix: no derivative goes through the factor.
    """
    first = None if not eqn.invars or isinstance(eqn.invars[0], _jax.Literal) else eqn.invars[0]
    note = notes.get(first)
    if note is None:
        return None
    name = eqn.primitive.name
    if note.step == "norm" and _is_square(eqn):
        return [note.source()]
    if note.step == "factor":
        found = match(PARTNERS, eqn)
        if found is None:
            return None
        if call_name(eqn) == "_cho_solve":
            if found.variant.lower is not note.lower:
                return None
            solve = _inverse_times if explicit else functools.partial(ops.solve, assume_a="pos")
            return found.placed(solve)(note.source(), jnp.asarray(values[1]))
        if call_name(eqn) == "_solve_triangular":
            b = jnp.asarray(values[1])
            if found.variant.lower is note.lower and not (found.levels or jnp.iscomplexobj(b)):
                quadratic = functools.partial(_quadratic, note.source, b, explicit)
                notes[eqn.outvars[0]] = _Note("half", quadratic)
            return None
        if found.leading and note.leading and not jnp.iscomplexobj(values[0]):
            notes[eqn.outvars[0]] = _Note("diagonal", note.source)
    elif note.step == "half" and _is_square(eqn):
        notes[eqn.outvars[0]] = _Note("squares", note.source)
    elif note.step in ("half", "squares") and _sums_all(eqn, note.step == "half"):
        return [note.source()]
    elif note.step == "diagonal" and name == "log":
        notes[eqn.outvars[0]] = _Note("log", note.source)
    elif note.step == "log" and name == "reduce_sum":
        *others, last = sorted(eqn.params["axes"]) or [-1]
        if last == eqn.invars[0].aval.ndim - 1:
            half = ops.logdet(note.source(), assume_a="pos") / 2
            return [jnp.sum(half, axis=tuple(others))]
    return None


def _inverse_times(A: Any, B: Any) -> jax.Array:
    return matmul(ops.inv(A, assume_a="pos"), B)


def _quadratic(source: Callable[[], Any], b: Any, explicit: bool) -> jax.Array:
    """bᵀ A⁻¹ b; of the columns of a matrix b the sum."""
    A = source()
    if explicit:
        return vdot(b, _inverse_times(A, b))
    if b.ndim == 1:
        return ops.inv_quad(A, b, assume_a="pos")
    return vdot(b, ops.solve(A, b, assume_a="pos"))


def _sums_all(eqn: Any, squared: bool) -> bool:
    """Whether an equation sums all entries, or the squares of all as a product with itself."""
    if not squared:
        return eqn.primitive.name == "reduce_sum" and not eqn.outvars[0].aval.shape
    if eqn.primitive.name != "dot_general" or eqn.invars[0] is not eqn.invars[1]:
        return False
    return eqn.invars[0].aval.ndim == 1 and not eqn.outvars[0].aval.shape


def _is_square(eqn: Any) -> bool:
    """Whether an equation squares its first operand."""
    name = eqn.primitive.name
    if name == "pow" and isinstance(eqn.invars[1], _jax.Literal):
        return bool(_jax.literal(eqn.invars[1]) == 2)
    product = name == "mul" and eqn.invars[0] is eqn.invars[1]
    return product or name == "square" or (name == "integer_pow" and eqn.params["y"] == 2)
