"""Matrix expressions as they are shown: a tree of nodes with shapes.

A vector is a column (n, 1) or its transpose (1, n); a scalar has the shape ().
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

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
