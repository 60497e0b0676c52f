"""Values that do not depend on the tangent, and the axes they vary on.

A scalar broadcast to a matrix must stay a scalar: as a full array it ties axes together, and
``‖AX‖²`` loses its Kronecker form. So a known value is a small array, and for each of its axes the
*class* it belongs to: a class that the array has no axis for is one the value is constant along,
and two axes of one class hold a Kronecker delta, as the mask of ``jnp.trace`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax

Array = Any

# Primitives that act entry by entry, on operands of one shape (or scalars, for the last two)
# fmt: off
ELEMENTWISE = frozenset({
    "abs", "acos", "acosh", "add", "add_any", "and", "asin", "asinh", "atan", "atan2", "atanh",
    "cbrt", "ceil", "clamp", "complex", "conj", "convert_element_type", "copy", "cos", "cosh",
    "digamma", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "floor", "ge",
    "gt", "imag", "integer_pow", "is_finite", "le", "lgamma", "log", "log1p", "logistic", "lt",
    "max", "min", "mul", "ne", "neg", "nextafter", "not", "or", "population_count", "pow",
    "real", "rem", "round", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square",
    "stop_gradient", "sub", "tan", "tanh", "xor",
})
# fmt: on


@dataclass(frozen=True, eq=False)
class Known:
    """A value as `array` over the classes `varying`, spread over axes of the classes `axes`.

    Attributes:
        array: the entries, an axis for each class in `varying`.
        shape: the shape of the value.
        axes: the class of each axis; equal classes make a delta.
        varying: the classes the array has axes for, in increasing order of their first axis.
        iota: whether the array is 0, 1, 2, … along its one class.
    """

    array: Array
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    varying: tuple[int, ...]
    iota: bool = False

    @classmethod
    def full(cls, array: Array) -> Known:
        """An array that varies along each of its axes."""
        axes = tuple(range(np.ndim(array)))
        return cls(array, np.shape(array), axes, axes)

    @property
    def has_delta(self) -> bool:
        """Whether two axes share a class."""
        return len(set(self.axes)) < len(self.axes)

    @property
    def is_full(self) -> bool:
        """Whether the array is the value itself."""
        return not self.has_delta and len(self.varying) == len(self.axes)

    def value(self) -> Array:
        """The value as an array of its shape."""
        if self.is_full:
            return self.array
        array = jnp.asarray(self.array)
        first = [self.axes.index(c) for c in self.varying]
        spread = lax.broadcast_in_dim(array, self.shape, first)
        mask = None
        for axis, c in enumerate(self.axes):
            if self.axes.index(c) != axis:
                rows = lax.broadcasted_iota(np.int32, self.shape, self.axes.index(c))
                equal = rows == lax.broadcasted_iota(np.int32, self.shape, axis)
                mask = equal if mask is None else mask & equal
        if mask is None:
            return spread
        return jnp.where(mask, spread, jnp.zeros((), array.dtype))


def run(eqn: Any, operands: Sequence[Known]) -> list[Known]:
    """Run an equation on known values, keeping them small where its rule allows."""
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


def stretched(k: Known, shape: tuple[int, ...]) -> Known:
    """The operand of an entrywise primitive over the shape of its result.

    Such primitives broadcast axes of size one, and take scalars; a scalar is left as it is.
    """
    if k.shape == shape or k.shape == ():
        return k
    ones = [a for a, n in enumerate(k.shape) if n != shape[a]]
    return replace(_drop_ones(k, ones), shape=shape)


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


def is_zero(k: Known) -> bool:
    """Whether a value is known to be zero while tracing."""
    return isinstance(k.array, np.ndarray | np.generic) and not np.any(k.array)


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
        operand = _drop_ones(
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


def _drop_ones(k: Known, axes: Sequence[int]) -> Known:
    """The same value with no axis in its array for axes of size one."""
    drop = {k.axes[a] for a in axes}
    kept = tuple(c for c in k.varying if c not in drop)
    if kept == k.varying:
        return k
    sizes = dict(zip(k.varying, np.shape(k.array), strict=True))
    return replace(k, array=jnp.reshape(k.array, [sizes[c] for c in kept]), varying=kept)


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
    operand = _drop_ones(operand, [a for a, n in enumerate(operand.shape) if n == 1])
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
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
}
