"""What a program costs: the arithmetic of products and factorisations, and the entries moved.

A Hessian without structure has several forms that give the same array: the factored one, formed,
and JAX's own, the tangent program once a column. Which is cheaper is a matter of shapes, and shapes
are there when the program is traced.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import jaxpr_as_fun

from jaxmatcalc import _jax
from jaxmatcalc.interpret.known import ELEMENTWISE

# An entry read or written costs as much as so many operations of a matrix product, on processors
# and accelerators alike: both do some tens of operations in the time that memory takes for a float.
ENTRY = 16
# Operations of a triangular solve for one of a product: its steps wait for each other.
STEP = 2


def cost(jaxpr: Any, moving: Sequence[bool] | None = None, columns: int = 1) -> float:
    """The cost of a program, in operations of a matrix product.

    Args:
        jaxpr: the program; what its results do not need costs nothing.
        moving: which of its operands come in many columns; none by default.
        columns: how many columns there are; the equations that depend on them are run on each.
    """
    marked = {v for v, m in zip(jaxpr.invars, moving or (), strict=False) if m}
    total = 0.0
    live = _jax.live_equations(jaxpr, [True] * len(jaxpr.outvars))
    fused = _fused(jaxpr, live)
    for eqn in live:
        operands = [_is_variable(v) and v in marked for v in eqn.invars]
        depends = _jax.dependent_outputs(eqn, operands) if any(operands) else []
        marked.update(v for v, d in zip(eqn.outvars, depends, strict=False) if d)
        repeated = columns if any(operands) else 1
        if eqn.outvars[0] in fused:
            total += repeated * _entries(eqn) / ENTRY
        else:
            total += _of_equation(eqn, operands, repeated)
    return total


def _fused(jaxpr: Any, live: Sequence[Any]) -> set[Any]:
    """Results of elementwise equations that one other reads: in a loop of both, not in memory."""
    readers: dict[Any, list[Any]] = {v: [None] for v in jaxpr.outvars if _is_variable(v)}
    for eqn in live:
        for v in set(filter(_is_variable, eqn.invars)):
            readers.setdefault(v, []).append(eqn)
    return {
        eqn.outvars[0]
        for eqn in live
        if eqn.primitive.name in ELEMENTWISE and _reads_alone(readers[eqn.outvars[0]], eqn)
    }


def _reads_alone(readers: Sequence[Any], eqn: Any) -> bool:
    reader = readers[0] if len(readers) == 1 else None
    if reader is None or reader.primitive.name not in ELEMENTWISE:
        return False
    return reader.outvars[0].aval.shape == eqn.outvars[0].aval.shape


def _is_variable(v: Any) -> bool:
    return not isinstance(v, _jax.Literal)


def cheapest(*ways: Callable[..., Any]) -> Callable[..., Any]:
    """Of functions that give the same, the one whose program costs least at its arguments."""

    def run(*args: Any) -> Any:
        traced = [jax.make_jaxpr(way, return_shape=True)(*args) for way in ways]
        closed, shapes = min(traced, key=lambda pair: cost(_jax.opened(pair[0])[0]))
        return jax.tree.unflatten(
            jax.tree.structure(shapes), jaxpr_as_fun(closed)(*jax.tree.leaves(args))
        )

    return run


def _of_equation(eqn: Any, moving: Sequence[bool], columns: int) -> float:
    found = _jax.body(eqn)
    if found is not None:
        operands = _jax.body_operands(eqn, moving)
        return cost(found[0], operands, columns)
    count = _COUNTS.get(eqn.primitive.name)
    if count is not None:
        return columns * count(eqn)
    inner = [cost(p, (), columns) for p in _jax.programs(eqn)]
    return sum(inner) * eqn.params.get("length", 1) or columns * _entries(eqn)


# What a compiler does on the way, in the loop that reads the result
_FREE = frozenset({
    "broadcast_in_dim", "reshape", "squeeze", "expand_dims", "iota", "convert_element_type", "copy",
    "neg", "select_n", "slice", "pad", "stop_gradient", "optimization_barrier",
})  # fmt: skip


def _entries(eqn: Any) -> float:
    if eqn.primitive.name in _FREE:
        return 0
    return ENTRY * sum(math.prod(v.aval.shape) for v in eqn.outvars if hasattr(v.aval, "shape"))


def _product(eqn: Any) -> float:
    (summed, _), _ = eqn.params["dimension_numbers"]
    left = eqn.invars[0].aval.shape
    return 2 * math.prod(left[a] for a in summed) * math.prod(eqn.outvars[0].aval.shape)


def _convolution(eqn: Any) -> float:
    kernel = eqn.invars[1].aval.shape
    channels = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
    return 2 * math.prod(kernel) // max(1, channels) * math.prod(eqn.outvars[0].aval.shape)


def _triangular(eqn: Any) -> float:
    return STEP * eqn.invars[0].aval.shape[-1] * math.prod(eqn.outvars[0].aval.shape)


def _factorisation(operations: float) -> Callable[[Any], float]:
    """Of a matrix of order n: so many times n³."""

    def count(eqn: Any) -> float:
        shape = eqn.invars[0].aval.shape
        return STEP * operations * math.prod(shape) * shape[-1]

    return count


_COUNTS: dict[str, Callable[[Any], float]] = {
    "dot_general": _product,
    "conv_general_dilated": _convolution,
    "triangular_solve": _triangular,
    "cholesky": _factorisation(1 / 3),
    "lu": _factorisation(2 / 3),
    "qr": _factorisation(4 / 3),
    "eigh": _factorisation(9),
    "svd": _factorisation(12),
    "schur": _factorisation(25),
    "eig": _factorisation(25),
}
