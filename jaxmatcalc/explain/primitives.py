"""What each primitive of a program is as a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.explain import calls
from jaxmatcalc.explain.algebra import merged, split
from jaxmatcalc.explain.building import elementwise, power, product, times, variable_power
from jaxmatcalc.explain.eigen import (
    collapsed,
    eigenvalues,
    eigenvectors,
    product_of_entries,
)
from jaxmatcalc.explain.simplify import opened
from jaxmatcalc.explain.slopes import SLOPES
from jaxmatcalc.explain.tensor import Label, Tensor, labels, scalar

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader

Value = Tensor | np.ndarray

# Largest array that is read as a sum over a constant array (a slice, a reversed axis)
_SELECTED = 4096

Rule = Callable[..., Value | list[Value] | None]


def _binary(rule: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    def run(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor:
        return rule(*(_spread(reader.tensor(x), eqn.outvars[0].aval.shape) for x in (a, b)))

    return run


def _spread(value: Tensor, shape: Sequence[int]) -> Tensor:
    """A scalar everywhere, and an axis of size 1 along the other operand's."""
    if value.shape == tuple(shape):
        return value
    out = labels(shape)
    own = [x if n == x.size else Label(n) for n, x in zip(value.shape, out, strict=False)]
    return product(out, (value, own))


def _unary(rule: Callable[[Tensor], Tensor]) -> Rule:
    return lambda reader, eqn, a: rule(reader.tensor(a))


def _divided(a: Tensor, b: Tensor) -> Tensor:
    return times(a, power(b, -1))


def _dot_general(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor:
    (left, right), (left_batch, right_batch) = eqn.params["dimension_numbers"]
    a, b = reader.tensor(a), reader.tensor(b)
    first, second = list(labels(a.shape)), list(labels(b.shape))
    for i, j in zip((*left, *left_batch), (*right, *right_batch), strict=True):
        second[j] = first[i]
    out = [first[i] for i in left_batch]
    out += [x for k, x in enumerate(first) if k not in (*left, *left_batch)]
    out += [x for k, x in enumerate(second) if k not in (*right, *right_batch)]
    return collapsed(product(out, (a, first), (b, second), expand=False))


def _eigh(reader: Reader, eqn: Any, a: Value) -> list[Value] | None:
    shapes = [v.aval.shape for v in eqn.outvars]
    value = reader.tensor(a)
    if value.ndim != 2 or len(shapes) != 2 or len(shapes[1]) != 1 or shapes[0][0] != shapes[1][0]:
        return None
    return [eigenvectors(value, _jax.line(eqn)), eigenvalues(value, _jax.line(eqn))]


def _reduce_prod(reader: Reader, eqn: Any, a: Value) -> Tensor | None:
    value = reader.tensor(a)
    return product_of_entries(value) if value.ndim == 1 else None


def _transpose(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return reader.tensor(a).permuted(eqn.params["permutation"])


def _broadcast(reader: Reader, eqn: Any, a: Value, *_: Any) -> Tensor:
    shape, places = eqn.params["shape"], eqn.params["broadcast_dimensions"]
    value = reader.tensor(a)
    out, own = labels(shape), labels(value.shape)
    own = tuple(out[k] if x.size == shape[k] else x for k, x in zip(places, own, strict=True))
    return product(out, (value, own), expand=len(value.terms) > 0)


def _reduce_sum(reader: Reader, eqn: Any, a: Value) -> Tensor:
    value = reader.tensor(a)
    own = labels(value.shape)
    out = [x for k, x in enumerate(own) if k not in eqn.params["axes"]]
    return collapsed(product(out, (value, own), expand=False))


def _reshape(reader: Reader, eqn: Any, a: Value, *_: Any) -> Tensor | None:
    if eqn.params.get("dimensions") is not None:
        return None
    return reshaped(reader.tensor(a), eqn.params["new_sizes"])


def reshaped(value: Tensor, new: Sequence[int]) -> Tensor | None:
    """A tensor with axes merged, split, added and left out."""
    old = [n for n in value.shape if n != 1]
    wanted = [n for n in new if n != 1]
    value = value.permuted([k for k, n in enumerate(value.shape) if n != 1])
    axis = 0
    i = j = 0
    while i < len(old):
        a, b, many, few = old[i], wanted[j], 1, 1
        while a != b:
            if a < b:
                i, many = i + 1, many + 1
                a *= old[i]
            else:
                j, few = j + 1, few + 1
                b *= wanted[j]
        value = merged(value, axis, many) if many > 1 else value
        value = split(value, axis, wanted[j - few + 1 : j + 1]) if few > 1 else value
        i, j, axis = i + 1, j + 1, axis + few
    return with_ones(value, new)


def with_ones(value: Tensor, new: Sequence[int]) -> Tensor:
    """A tensor with axes of size 1 where a shape has them."""
    own = iter(labels(value.shape))
    inner: list[Label] = []
    out: list[Label] = []
    for n in new:
        x = Label(1) if n == 1 else next(own)
        out.append(x)
        inner += [] if n == 1 else [x]
    return product(out, (value, inner))


def _squeeze(reader: Reader, eqn: Any, a: Value) -> Tensor:
    value = reader.tensor(a)
    gone = [d % value.ndim for d in eqn.params["dimensions"]]
    return value.permuted([k for k in range(value.ndim) if k not in gone])


def _expand_dims(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return _spaced(reader.tensor(a), eqn.outvars[0].aval.shape)


def _spaced(value: Tensor, shape: Sequence[int]) -> Tensor:
    flat = value.permuted([k for k, n in enumerate(value.shape) if n != 1])
    return with_ones(flat, shape)


def _stopped(reader: Reader, eqn: Any, a: Value) -> Value | None:
    value = reader.tensor(a)
    names = {getattr(x, "name", "") for x in value.atoms}
    if reader.unshifted and names and names <= _MAXIMA:
        return scalar(0, value.shape)
    return None


_MAXIMA = {"reduce_max", "max", "select_n"}


def _maximum(reader: Reader, eqn: Any, a: Value, b: Value) -> Value | None:
    for x, y in ((a, b), (b, a)):
        if isinstance(x, np.ndarray) and x.size:
            if (x == -np.inf).all():
                return y
            if (x == 0).all():
                return elementwise("relu", reader.tensor(y))
    return None


def _select(reader: Reader, eqn: Any, which: Value, *cases: Value) -> Value | None:
    if not isinstance(which, np.ndarray) or len(cases) != 2:
        return None
    second, (first, other) = np.asarray(which, bool), map(reader.tensor, cases)
    if which.ndim == 0:
        return cases[int(which)]
    kept, moved = reader.tensor(np.where(second, 0.0, 1.0)), reader.tensor(second.astype(float))
    return times(kept, first) + times(moved, other)


def _linear(reader: Reader, eqn: Any, *values: Value) -> Value | None:
    """A choice of entries of one array, as a product with the 0-1 array that makes it."""
    moving = [k for k, v in enumerate(values) if isinstance(v, Tensor)]
    (out,) = eqn.outvars
    if len(moving) != 1:
        return _selected_sum(reader, eqn, values, moving)
    (k,) = moving
    value = reader.tensor(values[k])
    if value.constant is not None or math.prod(out.aval.shape) * math.prod(value.shape) > _SELECTED:
        return None
    return _through(reader, eqn, values, k)


def _selected_sum(reader: Reader, eqn: Any, values: Sequence[Value], moving: list[int]):
    if eqn.primitive.name not in ("concatenate", "pad"):
        return None
    total: Tensor | None = None
    for k in moving:
        others = [v if j == k else np.zeros(eqn.invars[j].aval.shape) for j, v in enumerate(values)]
        piece = _through(reader, eqn, others, k)
        if piece is None:
            return None
        total = piece if total is None else total + piece
    return total


def _through(reader: Reader, eqn: Any, values: Sequence[Value], k: int) -> Tensor | None:
    value = reader.tensor(values[k])
    (out,) = eqn.outvars
    if math.prod(out.aval.shape) * math.prod(value.shape) > _SELECTED:
        return None

    def function(x: Any) -> Any:
        avals = [v.aval for v in eqn.invars]
        given = [x if j == k else np.asarray(v) for j, v in enumerate(values)]
        cast = [jax.numpy.asarray(v, a.dtype) for v, a in zip(given, avals, strict=True)]
        return _jax.bind(eqn, cast)[0]

    at = jax.numpy.zeros(value.shape, eqn.invars[k].aval.dtype)
    with jax.ensure_compile_time_eval():
        start, map_ = np.asarray(function(at)), np.asarray(jax.jacfwd(function)(at))
    moved, own = labels(out.aval.shape), labels(value.shape)
    result = product(moved, (reader.tensor(map_), (*moved, *own)), (value, own), expand=False)
    return result + reader.tensor(start) if start.any() else result


def _integer_pow(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return power(reader.tensor(a), eqn.params["y"])


def _square(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return power(reader.tensor(a), 2)


def _pow(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor:
    shape = eqn.outvars[0].aval.shape
    return variable_power(*(_spread(reader.tensor(x), shape) for x in (a, b)))


def _rooted(exponent: Fraction) -> Rule:
    return _unary(lambda a: power(a, exponent))


def _same(reader: Reader, eqn: Any, a: Value, *_: Any) -> Value | None:
    aval = eqn.outvars[0].aval
    return a if np.issubdtype(aval.dtype, np.floating) else None


def _cumsum(reader: Reader, eqn: Any, a: Value) -> Value | None:
    return _linear(reader, eqn, a)


def _solved(reader: Reader, eqn: Any, *values: Value) -> Value | None:
    """The solution X of A X = B, where a program computes A X."""
    return calls.solution(reader, eqn, values)


_NAMES = {"logistic": "sigmoid"}

RULES: dict[str, Any] = {
    "add": _binary(lambda a, b: opened(a + b)),
    "add_any": _binary(lambda a, b: a + b),
    "sub": _binary(lambda a, b: opened(a + b.scaled(-1))),
    "mul": _binary(times),
    "div": _binary(_divided),
    "neg": _unary(lambda a: a.scaled(-1)),
    "dot_general": _dot_general,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "reduce_sum": _reduce_sum,
    "reduce_prod": _reduce_prod,
    "eigh": _eigh,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _expand_dims,
    "integer_pow": _integer_pow,
    "square": _square,
    "pow": _pow,
    "sqrt": _rooted(Fraction(1, 2)),
    "rsqrt": _rooted(Fraction(-1, 2)),
    "log1p": _unary(lambda a: elementwise("log", scalar(1, a.shape) + a)),
    "expm1": _unary(lambda a: elementwise("exp", a) + scalar(-1, a.shape)),
    "exp2": _unary(lambda a: elementwise("exp", a.scaled(math.log(2)))),
    "convert_element_type": _same,
    "copy": _same,
    "copy_p": _same,
    "optimization_barrier": _same,
    "stop_gradient": _stopped,
    "max": _maximum,
    "select_n": _select,
    "custom_linear_solve": _solved,
}
RULES |= dict.fromkeys(
    ("slice", "rev", "pad", "concatenate", "gather", "cumsum", "dynamic_slice", "scatter-add"),
    _linear,
)
RULES |= {name: _unary(lambda a, n=name: elementwise(_NAMES.get(n, n), a)) for name in (
    *SLOPES, "logistic", "digamma", "erf_inv",
)}  # fmt: skip
