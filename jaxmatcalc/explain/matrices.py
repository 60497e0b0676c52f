"""Matrix expressions that are made of others, each in its simplest form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from jaxmatcalc.explain.expression import Node, Shape
from jaxmatcalc.explain.tensor import Number, number


def symbol(name: str, shape: Sequence[int], symmetric: bool = False, value: Any = None) -> Node:
    """A named array; a vector is a column."""
    shape = tuple(shape)
    full = (shape[0], 1) if len(shape) == 1 else shape
    kind = "symbol" if value is None else "constant"
    return Node(kind, (), full, name if value is None else (name, _Array(value)), symmetric)


class _Array:
    """An array in the data of a node, equal to itself only."""

    def __init__(self, value: Any):
        self.value = value


def constant_value(node: Node) -> Any:
    """The array of a constant."""
    return node.data[1].value


def is_unit(node: Node) -> bool:
    """Whether a column is a constant with a single 1 in it."""
    if node.kind != "constant" or not node.is_vector:
        return False
    value = constant_value(node)
    return value.sum() == 1 and (value != 0).sum() == 1


def scalar(value: Any) -> Node:
    """A number."""
    return Node("number", (), (), number(value))


def identity(n: int) -> Node:
    """The identity matrix; that of order 1 is a number."""
    return scalar(1) if n == 1 else Node("identity", (), (n, n), n, True)


def ones(n: int) -> Node:
    """A column of ones; a single one is a number."""
    return scalar(1) if n == 1 else Node("ones", (), (n, 1), n)


def transpose(x: Node) -> Node:
    """The transpose, pushed inside."""
    if not x.shape or x.symmetric or x.shape == (1, 1):
        return x
    shape = x.shape[::-1]
    if x.kind == "transpose":
        return x.args[0]
    match x.kind:
        case "product":
            return product([transpose(a) for a in reversed(x.args)])
        case "sum":
            inside = Node("sum", tuple(map(transpose, x.args)), shape)
            return inside if inside.length <= x.length + 1 else Node("transpose", (x,), shape)
        case "hadamard" | "kron":
            return Node(x.kind, tuple(map(transpose, x.args)), shape)
        case "commutation":
            return Node("commutation", (), shape, x.data[::-1])
    return Node("transpose", (x,), shape)


def product(factors: Iterable[Node]) -> Node:
    """A product, numbers and scalars in front."""
    scale: Number = Fraction(1)
    scalars: list[Node] = []
    chain: list[Node] = []
    for f in factors:
        for g in _parts(f):
            if g.kind == "number":
                scale = number(scale * g.data)
            elif not g.shape or g.shape == (1, 1):
                scalars.append(g)
            else:
                chain.append(g)
    merged = _powers(scalars)
    if not chain and len(merged) == 1 and merged[0].kind == "product":
        merged, chain = [], list(merged[0].args)
    shape: Shape = ()
    if chain and len(chain[0].shape) > 2:
        shape = chain[0].shape
    elif chain:
        shape = (*chain[0].shape[:1], *chain[-1].shape[1:])
        kept = [g for g in chain if g.kind != "identity"]
        chain = kept or chain[:1]
        if shape == (1, 1):
            shape = ()
    parts = [*merged, *chain]
    if scale != 1 or not parts:
        parts.insert(0, scalar(scale))
    if len(parts) == 1:
        return parts[0]
    symmetric = (
        len(shape) == 2
        and shape[0] == shape[1]
        and all(_same_transposed(a, b) for a, b in zip(chain, reversed(chain), strict=True))
    )
    return Node("product", tuple(parts), shape, None, symmetric)


def _parts(x: Node) -> Sequence[Node]:
    """The factors of a product; a scalar that is a product of matrices stays whole."""
    if x.kind != "product":
        return (x,)
    outer = [a for a in x.args if not a.shape]
    if x.shape or len(outer) == len(x.args):
        return x.args
    rest = tuple(a for a in x.args if a.shape)
    return (*outer, Node("product", rest, (), None) if outer else x)


def _same_transposed(a: Node, b: Node) -> bool:
    if a.symmetric and a == b:
        return True
    return a == (b.args[0] if b.kind == "transpose" else Node("transpose", (b,), b.shape[::-1]))


def _powers(scalars: Sequence[Node]) -> list[Node]:
    """Powers of equal scalars merged."""
    powers: dict[Node, Number] = {}
    for s in scalars:
        base, exponent = (s.args[0], s.data) if s.kind == "power" else (s, Fraction(1))
        powers[base] = number(powers.get(base, 0) + exponent)
    return [power(base, p) for base, p in powers.items() if p != 0]


def total(terms: Iterable[Node]) -> Node:
    """A sum."""
    flat = [t for x in terms for t in (x.args if x.kind == "sum" else (x,))]
    if len(flat) == 1:
        return flat[0]
    return Node("sum", tuple(flat), flat[0].shape, None, all(t.symmetric for t in flat))


def hadamard(factors: Iterable[Node]) -> Node:
    """A product entry by entry."""
    flat = [g for f in factors for g in (f.args if f.kind == "hadamard" else (f,))]
    if len(flat) == 1:
        return flat[0]
    return Node("hadamard", tuple(flat), flat[0].shape, None, all(f.symmetric for f in flat))


def power(x: Node, exponent: Number) -> Node:
    """Every entry to a power."""
    if exponent == 1:
        return x
    whole = x.kind == "power" and int(x.data) == x.data and int(exponent) == exponent
    if whole or (x.kind == "power" and x.args[0].kind == "norm"):
        return power(x.args[0], number(x.data * exponent))
    if x.kind == "product" and exponent != int(exponent) and len(x.args) == 2:
        first, second = x.args
        if second.is_vector and first == transpose(second):
            return power(function("norm", second), number(2 * exponent))
    if x.kind == "number" and exponent == int(exponent) and x.data != 0:
        return scalar(Fraction(x.data) ** int(exponent))
    return Node("power", (x,), x.shape, exponent, x.symmetric)


def inverse(x: Node) -> Node:
    """The inverse of a matrix."""
    return Node("inverse", (x,), x.shape, None, x.symmetric)


def diag(x: Node) -> Node:
    """The diagonal matrix of a column."""
    if x.kind == "ones":
        return identity(x.shape[0])
    return Node("diag", (x,), (x.shape[0], x.shape[0]), None, True)


def diagonal(x: Node) -> Node:
    """The diagonal of a matrix, as a column."""
    return Node("diagonal", (x,), (x.shape[0], 1))


def kron(*factors: Node) -> Node:
    """The Kronecker product."""
    parts: list[Node] = []
    scalars: list[Node] = []
    for x in (a for f in factors for a in (f.args if f.kind == "kron" else (f,))):
        if x.shape in ((), (1, 1)):
            scalars.append(x)
        elif parts and (both := _both(parts[-1], x)) is not None:
            parts[-1] = both
        else:
            parts.append(_gathered(x))
    if len(parts) < 2 or scalars:
        return product([*scalars, *([kron(*parts)] if len(parts) > 1 else parts)])
    shape = (math.prod(x.shape[0] for x in parts), math.prod(x.shape[1] for x in parts))
    return Node("kron", tuple(parts), shape, None, all(x.symmetric for x in parts))


def _both(a: Node, b: Node) -> Node | None:
    """A ⊗ B where that is another of their kind: of identities, of ones."""
    if a.kind == b.kind == "identity":
        return identity(a.data * b.data)
    if a.kind == b.kind == "ones":
        return ones(a.data * b.data)
    if all(x.kind == "transpose" and x.args[0].kind == "ones" for x in (a, b)):
        return transpose(ones(a.shape[1] * b.shape[1]))
    return None


def khatri_rao(a: Node, b: Node) -> Node:
    """The Kronecker products of corresponding columns, side by side."""
    return Node("khatri-rao", (a, b), (a.shape[0] * b.shape[0], a.shape[1]))


def commutation(m: int, n: int) -> Node:
    """K_mn, with K_mn vec A = vec Aᵀ for A of (m, n)."""
    if m == 1 or n == 1:
        return identity(m * n)
    return Node("commutation", (), (m * n, m * n), (m, n), m == n)


def vec(x: Node) -> Node:
    """The columns of a matrix one below the other."""
    if x.shape[1] == 1:
        return x
    if x.shape[0] == 1:
        return transpose(x)
    return Node("vec", (x,), (x.shape[0] * x.shape[1], 1))


def trace(x: Node) -> Node:
    """The trace, of the matrix or of its transpose."""
    if x.kind == "identity":
        return scalar(x.shape[0])
    turned = transpose(x)
    return Node("trace", (turned if turned.length < x.length else x,), ())


def function(kind: str, x: Node, name: str = "") -> Node:
    """A scalar ("trace", "det", "logdet", "norm") or a matrix ("function") that depends on one."""
    if kind == "function":
        return Node(kind, (x,), x.shape[::-1], name, x.symmetric and name != "cholesky")
    batch = x.shape[:-2]
    return Node(kind, (x,), (*batch, 1) if len(batch) == 1 else batch, name)


def entries(name: str, *args: Node) -> Node:
    """A function of every entry."""
    return Node("entries", args, args[0].shape, name, all(a.symmetric for a in args))


def coefficient(x: Node) -> tuple[Number, Node]:
    """A number and the rest of an expression, whose product it is."""
    if x.kind == "number":
        return x.data, scalar(1)
    if x.kind == "product" and x.args[0].kind == "number":
        return x.args[0].data, product(x.args[1:])
    return Fraction(1), x


def _gathered(x: Node) -> Node:
    """Aᵀ Bᵀ as (B A)ᵀ."""
    plain = x.kind == "product" and all(
        a.kind == "transpose" and a.args[0].kind == "symbol" and not a.args[0].is_vector
        for a in x.args
    )
    return Node("transpose", (transpose(x),), x.shape) if plain else x
