"""Running a program on values that do not depend on the tangent, keeping them small."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.memory import remembered
from jaxmatcalc.interpret.sums import concatenate, dot_general, reduce_sum
from jaxmatcalc.interpret.value import Known, is_zero, stretched, without_ones

Array = Any

# Primitives that act entry by entry, on operands of one shape (or scalars: a predicate, bounds)
# fmt: off
ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "bessel_i0e", "bessel_i1e", "cbrt", "ceil", "clamp", "clz", "complex", "conj",
    "convert_element_type", "copy", "copy_p", "cos", "cosh", "digamma", "div", "eq", "erf",
    "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge", "gt", "igamma", "igamma_grad_a",
    "igammac", "imag", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "log2",
    "logistic", "lt", "max", "min", "mul", "ne", "neg", "nextafter", "not", "one_minus_square",
    "or", "polygamma", "population_count", "pow", "real", "reduce_precision",
    "regularized_incomplete_beta", "rem", "round", "rsqrt", "select_n", "shift_left",
    "shift_right_arithmetic", "shift_right_logical", "sign", "sin", "sinh", "sqrt", "square",
    "stop_gradient", "sub", "tan", "tanh", "xor", "zeta",
})
# fmt: on


# Integers that no input has a part in are computed while tracing, up to this many: what an index
# is made of then decides the structure, whether or not an outer `jit` is tracing.
_FOLDED = 2**14
_FOLDABLE = ELEMENTWISE | {"broadcast_in_dim", "concatenate", "reshape", "squeeze", "transpose"}


def run(eqn: Any, operands: Sequence[Known]) -> list[Known]:
    """Run an equation on known values, keeping them small where its rule allows.

    The same equation on the same values is run once: a program that was differentiated twice holds
    what its derivatives share in several copies.
    """
    key = eqn.primitive, tuple(eqn.params.items()), tuple(map(_identity, operands))
    try:
        hash(key)
    except TypeError:  # a parameter that is an array, or holds one
        return _evaluated(eqn, operands)
    return remembered(tuple(operands), key, lambda: _evaluated(eqn, operands))


def _identity(k: Known) -> Any:
    """Equal for values that are the same: the object, or a number written in the program."""
    if isinstance(k.array, np.ndarray | np.generic) and k.array.ndim == 0:
        return k.array.dtype.str, k.array.tobytes(), k.shape, k.axes
    return id(k)


def _evaluated(eqn: Any, operands: Sequence[Known]) -> list[Known]:
    if not _is_fixed(eqn, operands):
        return _run(eqn, operands)
    with jax.ensure_compile_time_eval():
        return [replace(k, array=np.asarray(k.array)) for k in _run(eqn, operands)]


def _is_fixed(eqn: Any, operands: Sequence[Known]) -> bool:
    """Whether an equation computes a few integers or truth values that are known by now."""
    return (
        len(operands) > 0
        and eqn.primitive.name in _FOLDABLE
        and all(isinstance(k.array, np.ndarray | np.generic) for k in operands)
        and all(k.array.dtype.kind in "biu" for k in operands)
        and math.prod(k.array.size for k in operands) <= _FOLDED
    )


def _run(eqn: Any, operands: Sequence[Known]) -> list[Known]:
    rule = _RULES.get(eqn.primitive.name)
    if rule is not None:
        result = rule(eqn, *operands)
        if result is not None:
            return [result]
    elif eqn.primitive.name in ELEMENTWISE:
        result = _elementwise(eqn, operands)
        if result is not None:
            return [result]
    return [Known.full(r) for r in _jax.bind(eqn, [k.value() for k in operands])]


def _elementwise(eqn: Any, operands: Sequence[Known]) -> Known | None:
    """Compute on the axes that any operand varies on; the others stay broadcast."""
    name = eqn.primitive.name
    shape = tuple(eqn.outvars[0].aval.shape)
    operands = [stretched(k, shape) for k in operands]
    if any(k.has_delta for k in operands):
        return _delta_elementwise(eqn, operands)
    if all(k.is_full and k.shape == shape for k in operands):
        return None
    used = sorted({k.axes.index(c) for k in operands for c in k.varying if k.shape == shape})
    if len(used) == len(shape) and shape:
        return None
    small = tuple(shape[a] for a in used)
    arrays = []
    for k in operands:
        if k.shape != shape:  # the scalar predicate of select_n, the scalar bounds of clamp
            arrays.append(k.value())
            continue
        places = [used.index(k.axes.index(c)) for c in k.varying]
        array = k.array
        if np.shape(array) != small:
            array = lax.broadcast_in_dim(jnp.asarray(array), small, places)
        arrays.append(array)
    (result,) = _jax.bind(eqn, arrays)
    axes = tuple(range(len(shape)))
    iota = name in ("convert_element_type", "copy") and operands[0].iota
    iota = iota or (name == "add" and any(k.iota for k in operands) and _adds_zero(operands))
    return Known(result, shape, axes, tuple(used), iota)


def _adds_zero(operands: Sequence[Known]) -> bool:
    return any(isinstance(k.array, np.ndarray) and not np.any(k.array) for k in operands)


def _delta_elementwise(eqn: Any, operands: Sequence[Known]) -> Known | None:
    """The entrywise operations that keep zeros off a delta's diagonal."""
    name = eqn.primitive.name
    if name in ("neg", "convert_element_type", "copy", "real", "imag", "conj"):
        (k,) = operands
        return replace(k, array=_jax.bind(eqn, [k.array])[0], iota=False)
    if name == "select_n" and len(operands) == 3 and is_zero(operands[1]):
        mask, _, value = operands
        if mask.has_delta and mask.array is _TRUE and not value.has_delta:
            return _on_delta(mask, value)
    if name == "mul":
        for delta, other in (operands, operands[::-1]):
            if delta.has_delta and not other.has_delta and delta.shape == other.shape:
                diagonal = _on_delta(delta, other)
                if set(delta.varying) <= set(diagonal.varying):
                    return replace(diagonal, array=diagonal.array * _over(delta, diagonal.varying))
                if set(diagonal.varying) <= set(delta.varying):
                    return replace(delta, array=delta.array * _over(diagonal, delta.varying))
    return None


_TRUE = np.asarray(True)


def _on_delta(delta: Known, value: Known) -> Known:
    """`value` on the diagonal of `delta` (whose own entries are left out)."""
    classes = {value.axes[a]: c for a, c in enumerate(delta.axes)}
    first = {c: delta.axes.index(c) for c in delta.axes}
    varying = tuple(sorted({classes[c] for c in value.varying}, key=lambda c: first[c]))
    number = {c: i for i, c in enumerate(varying)}
    labels = [number[classes[c]] for c in value.varying]
    array = value.array
    if labels != sorted(set(labels)):
        array = jnp.einsum(array, labels, list(range(len(varying))))
    return Known(array, delta.shape, delta.axes, varying)


def _over(k: Known, varying: tuple[int, ...]) -> Array:
    """The array of `k` with axes for the classes `varying`, of size one where it has none."""
    sizes = dict(zip(k.varying, np.shape(k.array), strict=True))
    return jnp.reshape(k.array, [sizes.get(c, 1) for c in varying])


def _iota(eqn: Any, *sizes: Known) -> Known | None:
    if sizes:
        return None
    p = eqn.params
    array = np.arange(p["shape"][p["dimension"]]).astype(p["dtype"])
    axes = tuple(range(len(p["shape"])))
    return Known(array, tuple(p["shape"]), axes, (p["dimension"],), iota=True)


def _eq(eqn: Any, left: Known, right: Known) -> Known | None:
    """Two iotas along different axes of one size are equal on a diagonal."""
    if left.iota and right.iota and left.shape == right.shape:
        a, b = left.axes.index(left.varying[0]), right.axes.index(right.varying[0])
        if a != b and left.shape[a] == left.shape[b]:
            axes = tuple(min(a, b) if c in (a, b) else c for c in range(len(left.shape)))
            return Known(_TRUE, left.shape, axes, ())
    return _elementwise(eqn, (left, right))


def _broadcast(eqn: Any, operand: Known, *sizes: Known) -> Known | None:
    shape = tuple(eqn.outvars[0].aval.shape)
    places = eqn.params["broadcast_dimensions"]
    if sizes or any(n != shape[a] for n, a in zip(operand.shape, places, strict=True)):
        if sizes or any(
            n != shape[a] and c in operand.varying and operand.axes.count(c) > 1
            for n, a, c in zip(operand.shape, places, operand.axes, strict=True)
        ):
            return None
        operand = without_ones(
            operand, [a for a, n in enumerate(operand.shape) if n != shape[places[a]]]
        )
    target = dict(zip(range(len(operand.shape)), places, strict=True))
    classes = {c: int(target[operand.axes.index(c)]) for c in operand.axes}
    axes = list(range(len(shape)))
    for a, c in enumerate(operand.axes):
        axes[target[a]] = classes[c]
    return Known(
        operand.array, shape, tuple(axes), tuple(classes[c] for c in operand.varying), operand.iota
    )


def _reshape(eqn: Any, operand: Known, *sizes: Known) -> Known | None:
    shape = tuple(eqn.outvars[0].aval.shape)
    axes = tuple(range(len(shape)))
    if sizes:
        return None
    if not operand.varying and not operand.has_delta:
        return Known(operand.array, shape, axes, ())
    if operand.has_delta or operand.is_full:
        return None
    # only axes of size one come or go: the others keep their order
    old = [a for a, n in enumerate(operand.shape) if n != 1]
    new = [a for a, n in enumerate(shape) if n != 1]
    if [operand.shape[a] for a in old] != [shape[a] for a in new]:
        return None
    operand = without_ones(operand, [a for a, n in enumerate(operand.shape) if n == 1])
    target = dict(zip(old, new, strict=True))
    varying = tuple(target[operand.axes.index(c)] for c in operand.varying)
    return Known(operand.array, shape, axes, varying, operand.iota)


def _transpose(eqn: Any, operand: Known) -> Known:
    order = eqn.params["permutation"]
    shape = tuple(operand.shape[a] for a in order)
    axes = tuple(operand.axes[a] for a in order)
    varying = tuple(sorted(operand.varying, key=axes.index))
    places = [operand.varying.index(c) for c in varying]
    array = operand.array
    if places != sorted(places):
        array = lax.transpose(jnp.asarray(array), places)
    return Known(array, shape, axes, varying, operand.iota)


_RULES: dict[str, Callable[..., Known | None]] = {
    "iota": _iota,
    "eq": _eq,
    "broadcast_in_dim": _broadcast,
    "concatenate": concatenate,
    "dot_general": dot_general,
    "reduce_sum": reduce_sum,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
}
