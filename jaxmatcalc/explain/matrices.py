"""Matrix expressions as they are shown: a tree of nodes with shapes.

A vector is a column (n, 1) or its transpose (1, n); a scalar has the shape ().
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jaxmatcalc.explain.tensor import Number, number

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """An expression.

    Attributes:
        kind: what it is: "symbol", "constant", "number", "zero", "identity", "ones", "sum",
            "product", "hadamard", "kron", "khatri-rao", "transpose", "inverse", "power" and
            "entries" (of every entry), "diag" (of a vector), "diagonal" (of a matrix), "vec",
            "commutation", "trace", "norm", "det", "logdet", "function" and its derivatives
            "frechet" and "frechet-matrix" (of a matrix), "call", "einsum".
        args: the expressions in it.
        shape: (rows, columns), or () of a scalar.
        data: what else it needs: a name, a number, sizes, an array.
        symmetric: whether it is known to equal its transpose.
    """

    kind: str
    args: tuple[Node, ...]
    shape: Shape
    data: Any = None
    symmetric: bool = False

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.args, self.shape, _hashable(self.data)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Node)
            and self._hash == other._hash
            and (self.kind, self.args, self.shape) == (other.kind, other.args, other.shape)
            and _hashable(self.data) == _hashable(other.data)
        )

    @functools.cached_property
    def length(self) -> int:
        """Number of symbols and operators, as they are read."""
        own = 2 if self.kind == "inverse" else 1
        if self.kind == "transpose" and self.args[0].kind == "inverse":
            own = 0
        if self.kind in ("sum", "product", "hadamard", "kron", "khatri-rao"):
            own = (len(self.args) - 1) * (0 if self.kind == "product" else 1)
        if self.kind == "number":
            own = 1 if isinstance(self.data, Fraction) and self.data.denominator == 1 else 2
            own = 0 if self.data in (1, -1) else own
        if self.kind == "einsum":
            own = 1 + len(self.args)
        return own + sum(a.length for a in self.args)

    @property
    def is_vector(self) -> bool:
        """Whether this is a column."""
        return len(self.shape) == 2 and self.shape[1] == 1 and self.shape[0] != 1


def _hashable(data: Any) -> Any:
    return data if data.__hash__ is not None else id(data)


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


def scalar(value: Any) -> Node:
    """A number."""
    return Node("number", (), (), number(value))


def identity(n: int) -> Node:
    """The identity matrix."""
    return Node("identity", (), (n, n), n, True)


def ones(n: int) -> Node:
    """A column of ones."""
    return Node("ones", (), (n, 1), n)


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
    if x.kind == "power" and x.args[0].kind == "norm":
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


def kron(a: Node, b: Node) -> Node:
    """The Kronecker product."""
    shape = (a.shape[0] * b.shape[0], a.shape[1] * b.shape[1])
    a, b = _gathered(a), _gathered(b)
    if a.kind == b.kind == "identity":
        return identity(shape[0])
    if a.kind == b.kind == "ones":
        return ones(shape[0])
    if all(x.kind == "transpose" and x.args[0].kind == "ones" for x in (a, b)):
        return transpose(ones(shape[1]))
    if a.shape == (1, 1) or b.shape == (1, 1):
        return product([a, b])
    return Node("kron", (a, b), shape, None, a.symmetric and b.symmetric)


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
    shape = x.shape[::-1] if kind == "function" else ()
    return Node(kind, (x,), shape, name, kind == "function" and x.symmetric)


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
