"""What each primitive of a program is as a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmatcalc.explain import calls, triangular
from jaxmatcalc.explain.algebra import matrix_function
from jaxmatcalc.explain.atoms import Group
from jaxmatcalc.explain.axes import reshaped, spread, with_ones, without_ones
from jaxmatcalc.explain.building import elementwise, power, product, times, variable_power
from jaxmatcalc.explain.choices import CHOICES, loop
from jaxmatcalc.explain.eigen import collapsed, decomposed, largest, product_of_entries
from jaxmatcalc.explain.selections import selected
from jaxmatcalc.explain.simplify import opened
from jaxmatcalc.explain.slopes import SLOPES
from jaxmatcalc.explain.tensor import Factor, Tensor, Term, labels, operands, scalar

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader

Value = Tensor | np.ndarray

Rule = Callable[..., Value | list[Value] | None]


def _binary(rule: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    def run(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor:
        return rule(*(spread(reader.tensor(x), eqn.outvars[0].aval.shape) for x in (a, b)))

    return run


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
    return _collapsed(product(out, (a, first), (b, second), expand=False))


def _collapsed(value: Tensor) -> Tensor:
    """A sum by what it is: squared distances, functions of a matrix."""
    return triangular.collapsed(collapsed(_distances(value)))


def _distances(value: Tensor) -> Tensor:
    """A tensor with Σ (X[i,k] − Y[j,k])² multiplied out, which leaves matrices."""

    def of_term(term: Term) -> Tensor:
        wide = next((f for f in term.factors if _is_wide_square(f, term)), None)
        if wide is None:
            return Tensor(value.shape, [term])
        rest = operands(f for f in term.factors if f is not wide)
        inner = (wide.atom.parts[0], wide.labels)
        return product(term.out, *rest, inner, inner).scaled(term.scale)

    return value.by_terms(of_term)


def _is_wide_square(f: Factor, term: Term) -> bool:
    return (
        isinstance(f.atom, Group)
        and f.power == 2
        and len(f.labels) > 2
        and any(x not in term.out for x in f.labels)
        and all(len({x for g in t.factors for x in g.labels}) <= 2 for t in f.atom.inner.terms)
    )


def _cholesky(reader: Reader, eqn: Any, a: Value) -> Tensor | None:
    value = reader.tensor(a)
    return matrix_function("cholesky", value) if value.ndim == 2 else None


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
    return _collapsed(product(out, (value, own), expand=False))


def _reshape(reader: Reader, eqn: Any, a: Value, *_: Any) -> Tensor | None:
    if eqn.params.get("dimensions") is not None:
        return None
    return reshaped(reader.tensor(a), eqn.params["new_sizes"])


def _squeeze(reader: Reader, eqn: Any, a: Value) -> Tensor:
    value = reader.tensor(a)
    gone = [d % value.ndim for d in eqn.params["dimensions"]]
    return value.permuted([k for k in range(value.ndim) if k not in gone])


def _expand_dims(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return with_ones(without_ones(reader.tensor(a)), eqn.outvars[0].aval.shape)


def _stopped(reader: Reader, eqn: Any, a: Value) -> Value | None:
    value = reader.tensor(a)
    names = {getattr(x, "name", "") for x in value.atoms}
    if reader.unshifted and names and names <= _MAXIMA:
        return scalar(0, value.shape)
    return None


_MAXIMA = {"reduce_max", "is_finite"}


def _integer_pow(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return power(reader.tensor(a), eqn.params["y"])


def _square(reader: Reader, eqn: Any, a: Value) -> Tensor:
    return power(reader.tensor(a), 2)


def _pow(reader: Reader, eqn: Any, a: Value, b: Value) -> Tensor:
    shape = eqn.outvars[0].aval.shape
    return variable_power(*(spread(reader.tensor(x), shape) for x in (a, b)))


def _rooted(exponent: Fraction) -> Rule:
    return _unary(lambda a: power(a, exponent))


def _same(reader: Reader, eqn: Any, a: Value, *_: Any) -> Value | None:
    old, new = (v.aval.dtype for v in (eqn.invars[0], eqn.outvars[0]))
    return a if np.issubdtype(new, np.floating) or old == np.bool_ else None


def _scan(reader: Reader, eqn: Any, *values: Value) -> list[Value] | None:
    return loop(reader, eqn, values)


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
    "eigh": decomposed,
    "svd": decomposed,
    "reduce_max": largest,
    "cholesky": _cholesky,
    "triangular_solve": triangular.solved,
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
    "scan": _scan,
    "custom_linear_solve": _solved,
}
RULES |= dict.fromkeys(
    ("slice", "rev", "pad", "concatenate", "gather", "cumsum", "dynamic_slice", "scatter-add"),
    selected,
)
RULES |= CHOICES
RULES |= {name: _unary(lambda a, n=name: elementwise(_NAMES.get(n, n), a)) for name in (
    *SLOPES, "logistic", "digamma", "erf_inv",
)}  # fmt: skip
