"""What each linear primitive does to the terms of a tangent.

A rule takes the equation and its operands, known values and tangents, and returns the tangent of
the result. A known operand in a linear position (of a sum, a choice, a concatenation) can only be
zero, or the program would not be linear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.interpret.indexing import INDEXING
from jaxmatcalc.interpret.known import Known, run, stretched
from jaxmatcalc.interpret.movement import MOVES, regrouped
from jaxmatcalc.interpret.parts import is_complex, part
from jaxmatcalc.interpret.selected import closed
from jaxmatcalc.interpret.tangent import Tangent, add, join, masked, multiplied, reshaped
from jaxmatcalc.interpret.windows import WINDOWS
from jaxmatcalc.linear.contraction import close
from jaxmatcalc.linear.term import Misaligned, Term, flat, fresh

Value = Known | Tangent
Rule = Callable[..., Any]


def _split_operands(left: Value, right: Value) -> tuple[Tangent, Known, bool] | None:
    """The tangent, the known operand, and whether the tangent came first."""
    if isinstance(left, Tangent) and isinstance(right, Known):
        return left, right, True
    if isinstance(left, Known) and isinstance(right, Tangent):
        return right, left, False
    return None


def _same(eqn: Any, operand: Tangent, *_: Value) -> Tangent:
    return operand.map(lambda t: t, eqn.outvars[0].aval)


def _convert(eqn: Any, operand: Tangent) -> Tangent:
    if is_complex(operand.dtype) and not is_complex(eqn.outvars[0].aval.dtype):
        return part(operand, eqn.outvars[0].aval, "real")
    return _same(eqn, operand)


def _real(eqn: Any, operand: Tangent) -> Tangent:
    return part(operand, eqn.outvars[0].aval, "real")


def _imag(eqn: Any, operand: Tangent) -> Tangent:
    return part(operand, eqn.outvars[0].aval, "imag")


def _complex(eqn: Any, real: Value, imag: Value) -> Tangent:
    """A tangent of real parts, and one of imaginary parts."""
    aval, pieces = eqn.outvars[0].aval, []
    if isinstance(real, Tangent):
        pieces.append(_spread(real, aval))
    if isinstance(imag, Tangent):
        turned = _spread(imag, aval)
        pieces.append(turned.map(lambda t: close(t.times(np.asarray(1j))), aval))
    return add([Tangent(p.shape, aval.dtype, p.terms) for p in pieces], aval)


def _device_put(eqn: Any, *operands: Value) -> list[Value]:
    return list(operands)


def _neg(eqn: Any, operand: Tangent) -> Tangent:
    return operand.map(lambda t: close(t.times(np.asarray(-1))), eqn.outvars[0].aval)


def _add(eqn: Any, *operands: Value) -> Tangent:
    aval = eqn.outvars[0].aval
    return add([_spread(o, aval) for o in operands if isinstance(o, Tangent)], aval)


def _sub(eqn: Any, left: Value, right: Value) -> Tangent:
    aval = eqn.outvars[0].aval
    pieces = [_spread(left, aval)] if isinstance(left, Tangent) else []
    if isinstance(right, Tangent):
        pieces.append(_neg(eqn, _spread(right, aval)))
    return add(pieces, aval)


def _spread(operand: Tangent, aval: Any) -> Tangent:
    """The operand of an entrywise primitive over the axes of its result."""
    shape = tuple(aval.shape)
    if operand.shape == shape:
        return operand

    def rule(t: Term) -> Term:
        out = list(fresh(shape))
        for a, n in enumerate(operand.shape):
            if n == shape[a]:
                out[a] = t.out[a]
        return Term(t.factors, tuple(out), t.in_)

    return operand.map(rule, aval)


def _mul(eqn: Any, left: Value, right: Value) -> Tangent | None:
    split = _split_operands(left, right)
    if split is None:
        return None
    tangent, known, _ = split
    aval = eqn.outvars[0].aval
    known = stretched(known, tuple(aval.shape))
    return _spread(tangent, aval).map(lambda t: multiplied(t, known), aval)


def _div(eqn: Any, left: Value, right: Value) -> Tangent | None:
    if not (isinstance(left, Tangent) and isinstance(right, Known)):
        return None
    if right.has_delta:
        right = Known.full(right.value())
    inverse = Known(1 / right.array, right.shape, right.axes, right.varying)
    return _mul(eqn, left, inverse)


def _conj(eqn: Any, operand: Tangent) -> Tangent | None:
    return operand.map(lambda t: t.map_arrays(jnp.conj), eqn.outvars[0].aval)


def _reduce_sum(eqn: Any, operand: Tangent) -> Tangent:
    axes = eqn.params["axes"]

    def rule(t: Term) -> Term:
        kept = tuple(g for a, g in enumerate(t.out) if a not in axes)
        return closed(Term(t.factors, kept, t.in_), flat(t.out[a] for a in axes))

    return operand.map(rule, eqn.outvars[0].aval)


def _broadcast(eqn: Any, operand: Tangent, *sizes: Value) -> Tangent | None:
    if sizes:
        return None
    aval = eqn.outvars[0].aval
    places = eqn.params["broadcast_dimensions"]

    def rule(t: Term) -> Term:
        out = list(fresh(aval.shape))
        for a, place in enumerate(places):
            if operand.shape[a] == aval.shape[place]:
                out[place] = t.out[a]
        return Term(t.factors, tuple(out), t.in_)

    return operand.map(rule, aval)


def _reshape(eqn: Any, operand: Tangent, *sizes: Value) -> Tangent | None:
    if sizes:
        return None
    aval = eqn.outvars[0].aval
    try:
        return operand.map(lambda t: reshaped(t, tuple(aval.shape)), aval)
    except Misaligned:
        return regrouped(operand, aval)


def _squeeze(eqn: Any, operand: Tangent) -> Tangent:
    drop = {d % len(operand.shape) for d in eqn.params["dimensions"]}

    def rule(t: Term) -> Term:
        return Term(t.factors, tuple(g for a, g in enumerate(t.out) if a not in drop), t.in_)

    return operand.map(rule, eqn.outvars[0].aval)


def _transpose(eqn: Any, operand: Tangent) -> Tangent:
    order = eqn.params["permutation"]

    def rule(t: Term) -> Term:
        return Term(t.factors, tuple(t.out[a] for a in order), t.in_)

    return operand.map(rule, eqn.outvars[0].aval)


def _dot_general(eqn: Any, left: Value, right: Value) -> Tangent | None:
    split = _split_operands(left, right)
    if split is None:
        return None
    tangent, known, first = split
    (left_sum, right_sum), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    ours, theirs = (left_sum, right_sum) if first else (right_sum, left_sum)
    batch, their_batch = (left_batch, right_batch) if first else (right_batch, left_batch)
    return _contract(eqn, tangent, known, ours, theirs, batch, their_batch, first)


def _contract(
    eqn: Any,
    tangent: Tangent,
    known: Known,
    ours: Any,
    theirs: Any,
    batch: Any = (),
    their_batch: Any = (),
    tangent_first: bool = True,
) -> Tangent:
    """Contraction over axes `ours` of the tangent and `theirs` of the known value."""
    pairs = [*zip(ours, theirs, strict=True), *zip(batch, their_batch, strict=True)]

    def rule(t: Term) -> Term:
        groups, others, factors, in_ = join(t, known, pairs)
        free = [g for a, g in enumerate(groups) if a not in ours and a not in batch]
        their_free = [g for a, g in enumerate(others) if a not in theirs and a not in their_batch]
        tail = free + their_free if tangent_first else their_free + free
        out = (*(groups[a] for a in batch), *tail)
        return closed(Term(factors, out, in_), flat(groups[a] for a in ours))

    return tangent.map(rule, eqn.outvars[0].aval)


def _select(eqn: Any, which: Value, *cases: Value) -> Tangent | None:
    if isinstance(which, Tangent):
        return None
    aval = eqn.outvars[0].aval
    pieces = []
    for k, case in enumerate(cases):
        if isinstance(case, Tangent):
            mask = stretched(_equals(which, k), tuple(aval.shape))
            pieces.append(
                _spread(case, aval).map(lambda t, mask=mask: masked(t, mask, aval.dtype), aval)
            )
    return add(pieces, aval)


def _equals(which: Known, case: int) -> Known:
    """The mask of one case of a select; a delta keeps its form where it is the true case."""
    boolean = jnp.asarray(which.array).dtype == bool
    if which.has_delta:
        if boolean and case == 1:
            return which
        which = Known.full(which.value())
    if boolean:
        array = which.array if case else jnp.logical_not(which.array)
    else:
        array = jnp.asarray(which.array) == case
    return Known(array, which.shape, which.axes, which.varying)


def _triangular_solve(eqn: Any, matrix: Value, rhs: Value) -> Tangent | None:
    if not (isinstance(matrix, Known) and isinstance(rhs, Tangent)):
        return None
    a = jnp.asarray(matrix.value())
    eye = jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    (inverse,) = run(eqn, [Known.full(a), Known.full(eye)])
    batch = tuple(range(len(rhs.shape) - 2))
    row, column = len(batch), len(batch) + 1
    if eqn.params["left_side"]:
        return _contract(eqn, rhs, inverse, (row,), (column,), batch, batch, False)
    return _contract(eqn, rhs, inverse, (column,), (row,), batch, batch)


RULES: dict[str, Rule] = {
    "add": _add,
    "add_any": _add,
    "broadcast_in_dim": _broadcast,
    "complex": _complex,
    "conj": _conj,
    "convert_element_type": _convert,
    "copy": _same,
    "copy_p": _same,
    "device_put": _device_put,
    "div": _div,
    "dot_general": _dot_general,
    "imag": _imag,
    "mul": _mul,
    "name": _same,
    "neg": _neg,
    "real": _real,
    "reduce_precision": _same,
    "reduce_sum": _reduce_sum,
    "reshape": _reshape,
    "reshard": _same,
    "mesh_cast": _same,
    "select_n": _select,
    "sharding_constraint": _same,
    "squeeze": _squeeze,
    "sub": _sub,
    "transpose": _transpose,
    "triangular_solve": _triangular_solve,
    **INDEXING,
    **MOVES,
    **WINDOWS,
}
