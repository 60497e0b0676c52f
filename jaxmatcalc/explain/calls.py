"""What is read by name: the operations of this package, as they stand in a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from jaxmatcalc import _jax
from jaxmatcalc.explain.algebra import inverse, matmul, matrix_function
from jaxmatcalc.explain.atoms import Symbol
from jaxmatcalc.explain.axes import merged, split
from jaxmatcalc.explain.building import determinant, elementwise, power, product
from jaxmatcalc.explain.differentiate import Derivative
from jaxmatcalc.explain.eigen import spectral
from jaxmatcalc.explain.tensor import Label, Tensor, identity, labels, of_atom

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader

Rule = Callable[..., list[Any] | None]


def find(eqn: Any) -> Rule | None:
    """The rule of a call of one of our operations, or None."""
    if eqn.primitive.name == "function_of_matrix":
        return _function_of_matrix
    if not _jax.is_custom(eqn):
        return None
    name = _jax.call_name(eqn)
    if any(len(v.aval.shape) > 2 for v in eqn.invars) and name not in _BATCHED:
        return None
    if name == "program":
        name = eqn.primitive.name
    return _CALLS.get(name)


def _matrices(rule: Callable[..., Tensor]) -> Rule:
    return lambda reader, eqn, *args: [rule(*args)]


def _determinant(reader: Reader, eqn: Any, X: Tensor) -> list[Any]:
    return [determinant("det", X, reader.singular)]


def _slogdet(reader: Reader, eqn: Any, X: Tensor) -> list[Any]:
    return [elementwise("sign", determinant("det", X)), determinant("logdet", X)]


def _trace(X: Tensor) -> Tensor:
    i = Label(X.shape[0])
    return product((), (X, (i, i)), expand=False)


def _inner(A: Tensor, B: Tensor) -> Tensor:
    own = labels(A.shape)
    return product((), (A, own), (B, own), expand=False)


def _trace_product(A: Tensor, B: Tensor) -> Tensor:
    return _inner(A, B.transposed)


def _squared_norm(X: Tensor) -> Tensor:
    own = labels(X.shape)
    return product(own[:-2], (power(X, 2), own), expand=False)


def _norm(X: Tensor) -> Tensor:
    return power(_squared_norm(X), Fraction(1, 2))


def _symmetric(X: Tensor) -> Tensor:
    return (X + X.transposed).scaled(Fraction(1, 2))


def _kron(A: Tensor, B: Tensor) -> Tensor:
    a, b, c, d = labels((A.shape[0], B.shape[0], A.shape[1], B.shape[1]))
    whole = product((a, b, c, d), (A, (a, c)), (B, (b, d)), expand=False)
    return merged(merged(whole, 2, 2), 0, 2)


def _kron_sum(A: Tensor, B: Tensor) -> Tensor:
    n, p = A.shape[0], B.shape[0]
    return _kron(A, identity(p)) + _kron(identity(n), B)


def _khatri_rao(A: Tensor, B: Tensor) -> Tensor:
    a, b, r = labels((A.shape[0], B.shape[0], A.shape[1]))
    return merged(product((a, b, r), (A, (a, r)), (B, (b, r)), expand=False), 0, 2)


def _vec(X: Tensor) -> Tensor:
    return merged(X.transposed, 0, 2)


def _unvec(reader: Reader, eqn: Any, v: Tensor) -> list[Any] | None:
    m, n = eqn.outvars[0].aval.shape
    return [split(v, 0, (n, m)).transposed]


def _adjugate(X: Tensor) -> Tensor:
    return matrix_function("adj", X)


def _function_of_matrix(reader: Reader, eqn: Any, *args: Tensor) -> list[Any] | None:
    params = dict(eqn.params["params"])
    name = str(params.get("name"))
    if len(args) != 1 or args[0].ndim != 2 or params.get("given"):
        return None
    return [matrix_function(name, args[0])]


def _softplus(x: Tensor) -> Tensor:
    return elementwise("softplus", x)


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    for x, y in ((a, b), (b, a)):
        if x.constant == 0:
            return elementwise("softplus", y)
    return elementwise("log", elementwise("exp", a) + elementwise("exp", b))


# What is read with leading axes too
_BATCHED = {
    "_inv",
    "_slogdet",
    "_det",
    "logarithm",
    "_squared_frobenius_norm",
    "_frobenius_norm",
    "relu",
    "softplus",
    "logaddexp",
}

_CALLS: dict[str, Rule] = {
    "_det": _determinant,
    "_slogdet": _slogdet,
    "logarithm": _matrices(lambda X: determinant("logdet", X)),
    "_inv": _matrices(inverse),
    "_eigvalsh": _matrices(lambda X: spectral("eigenvalues", X)),
    "_trace": _matrices(_trace),
    "_trace_product": _matrices(_trace_product),
    "_frobenius_inner": _matrices(_inner),
    "_squared_frobenius_norm": _matrices(_squared_norm),
    "_frobenius_norm": _matrices(_norm),
    "_symmetric": _matrices(_symmetric),
    "_kron": _matrices(_kron),
    "_kron_sum": _matrices(_kron_sum),
    "_khatri_rao": _matrices(_khatri_rao),
    "_vec": _matrices(_vec),
    "_unvec": _unvec,
    "_pinv": _matrices(lambda X, *_: matrix_function("pinv", X)),
    "adjugate": _matrices(_adjugate),
    "_cholesky_factor": _matrices(lambda X: matrix_function("cholesky", _symmetric(X))),
    "relu": _matrices(lambda x: elementwise("relu", x)),
    "softplus": _matrices(_softplus),
    "logaddexp": _matrices(_logaddexp),
}


def solution(reader: Reader, eqn: Any, values: Sequence[Any]) -> Tensor | None:
    """The X of A X = B, with A read off the program that computes A X."""
    counts, jaxprs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    consts, rest = values[: counts.matvec], values[sum(counts) :]
    if len(rest) != 1:
        return None
    B = reader.tensor(rest[0])
    if B.ndim != 2:
        return None
    unknown = Symbol("#unknown", B.shape)
    inner, inner_consts = _jax.opened(jaxprs.matvec)
    (image,) = reader.run(inner, inner_consts, [*consts, of_atom(unknown)])
    slope = Derivative(unknown)(reader.tensor(image))  # of axes (i, j, k, l): A_ik δ_jl
    i, j, k = Label(B.shape[0]), Label(B.shape[1]), Label(B.shape[0])
    matrix = product((i, k), (slope, (i, j, k, j))).scaled(Fraction(1, B.shape[1]))
    return matmul(inverse(matrix), B)
