"""Recognition: a plain ``jnp.linalg`` call in a program becomes the operation with a better rule.

A call is recognised by its name *and* because its body is what that function traces to at these
shapes; a user's own function of the same name is left alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _jax, ops
from jaxmatcalc._precision import matmul


@dataclass(frozen=True)
class _Call:
    """A library function and the operation that takes its place."""

    reference: Callable[..., Any]
    replacement: Callable[..., Any]


def _norm(X: Any) -> jax.Array:
    return ops.frobenius_norm(X if X.ndim == 2 else X.reshape(1, -1))


def _squared_norm(X: Any) -> jax.Array:
    return ops.squared_frobenius_norm(X if X.ndim == 2 else X.reshape(1, -1))


def _trace(X: Any, *offset: Any) -> jax.Array:
    """The trace; an offset that comes with the call is zero, or it is not recognised."""
    return ops.trace(X)


def _inverse_times(A: Any, B: Any) -> jax.Array:
    """solve, with the inverse as a factor that the derivative can name."""
    return matmul(ops.inv(A), B)


def _kron(A: Any, B: Any) -> jax.Array:
    """The product of two matrices; the library's own takes other ranks as well."""
    return ops.kron(A, B) if A.ndim == B.ndim == 2 else jnp.kron(A, B)


_CALLS: dict[str, list[_Call]] = {
    "slogdet": [_Call(jnp.linalg.slogdet, ops.slogdet)],
    "det": [_Call(jnp.linalg.det, ops.det)],
    "inv": [_Call(jnp.linalg.inv, ops.inv)],
    "solve": [_Call(jnp.linalg.solve, ops.solve)],
    "trace": [_Call(jnp.trace, _trace)],
    "norm": [_Call(jnp.linalg.norm, _norm)],
    "kron": [_Call(jnp.kron, _kron)],
}


def _maps(arity: int) -> list[Callable[[Callable[..., Any]], Callable[..., Any]]]:
    """The function itself, and what `vmap` makes of it."""
    one = [jax.vmap, lambda f: jax.vmap(jax.vmap(f))]
    two = [functools.partial(jax.vmap, in_axes=axes) for axes in ((0, None), (None, 0))]
    return [lambda f: f, *one, *(two if arity == 2 else [])]


def match(eqn: Any, explicit: bool = False) -> Callable[..., Any] | None:
    """The operation that takes the place of a call, or None."""
    if eqn.primitive.name not in ("jit", "pjit"):
        return None
    calls = _CALLS.get(_jax.call_name(eqn), ())
    operands = tuple((v.aval.shape, v.aval.dtype, v.aval.weak_type) for v in eqn.invars)
    for call in calls:
        if call.replacement is _trace and not all(map(_jax.is_zero, eqn.invars[1:])):
            continue
        for k, mapped in enumerate(_maps(len(operands))):
            reference = _body_at(call.reference, k, operands)
            if reference is not None and _jax.same_program(reference, eqn.params["jaxpr"]):
                shown = explicit and call.replacement is ops.solve
                return mapped(_inverse_times if shown else call.replacement)
    return None


@functools.lru_cache(maxsize=512)
def _body_at(reference: Callable[..., Any], which: int, operands: Any) -> Any:
    """The body of a library call at these operands, or None where it does not take them."""
    avals = [jax.ShapeDtypeStruct(s, d, weak_type=w) for s, d, w in operands]
    try:
        jaxpr, _ = _jax.trace(_maps(len(operands))[which](reference), *avals)
    except (TypeError, ValueError, IndexError):
        return None
    if [e.primitive.name for e in jaxpr.eqns] not in (["jit"], ["pjit"]):
        return None
    return jaxpr.eqns[0].params["jaxpr"]


def has_calls(jaxpr: Any) -> bool:
    """Whether anything in a program, or in the calls inside it, would be replaced."""
    for eqn in jaxpr.eqns:
        if match(eqn) is not None:
            return True
        inner = _enterable(eqn)
        if inner is not None and has_calls(inner[0]):
            return True
    return False


def _enterable(eqn: Any) -> tuple[Any, list[Any]] | None:
    """The body of a call without a derivative rule of its own."""
    return None if _jax.is_custom(eqn) or eqn.primitive.name == "cond" else _jax.body(eqn)


def run(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], explicit: bool) -> list[Any]:
    """Run a program with its recognised calls replaced.

    Args:
        explicit: write a solve as a product with the inverse, which an interpreter can name.
    """
    env = dict(zip(jaxpr.constvars, consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    norms: dict[Any, Any] = {}  # the result of a norm, with what it is the norm of

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, _jax.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        values = list(map(read, eqn.invars))
        squared = _norm_squared(eqn, norms)
        replacement = match(eqn, explicit)
        inner = _enterable(eqn)
        if squared is not None:
            # through ‖X‖ the chain rule has no second derivative at 0; the square itself has
            results = [_squared_norm(squared)]
        elif replacement is not None:
            results = jax.tree.leaves(replacement(*values))
            if replacement is _norm:
                norms[eqn.outvars[0]] = values[0]
        elif inner is not None and has_calls(inner[0]):
            results = run(*inner, values, explicit)
        else:
            results = _jax.bind(eqn, values)
        env.update(zip(eqn.outvars, results, strict=True))
    return list(map(read, jaxpr.outvars))


def _norm_squared(eqn: Any, norms: dict[Any, Any]) -> Any:
    """What an equation takes the squared norm of, or None."""
    name = eqn.primitive.name
    power = name == "square" or (name == "integer_pow" and eqn.params["y"] == 2)
    product = name == "mul" and eqn.invars[0] is eqn.invars[1]
    if (power or product) and not isinstance(eqn.invars[0], _jax.Literal):
        return norms.get(eqn.invars[0])
    return None
