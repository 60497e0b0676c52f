"""Whether a formula is its own transpose, by its form: X*X', A'*S*A, X + X', functions of these."""

from __future__ import annotations

from collections.abc import Callable

from jaxmatcalc.explain.syntax import Node

_KEEP_TRANSPOSE = ("inv", "pinv", "adj", "expm", "logm", "sqrtm", "kron")
_SYMMETRIC = ("eye", "matrix")


def is_symmetric(node: Node, kind: Callable[[Node], str], symmetric: frozenset[str]) -> bool:
    """Whether a matrix is equal to its transpose for every value of the names.

    Args:
        node: the formula of the matrix.
        kind: "scalar", "column", "row" or "matrix", for a part of it.
        symmetric: names of symmetric matrices.
    """
    keys = _Keys(kind, symmetric)
    return keys.of(node, False) == keys.of(node, True)


class _Keys:
    """Descriptions of formulas that are equal where the formulas are, for some of these."""

    def __init__(self, kind: Callable[[Node], str], symmetric: frozenset[str]):
        self._kind, self._symmetric = kind, symmetric

    def of(self, node: Node, mirrored: bool) -> tuple:
        """The description of a part, or of its transpose."""
        kind, operands, value = node.kind, node.operands, node.value
        mirrored = mirrored and self._kind(node) != "scalar"
        if kind == "transpose":
            return self.of(operands[0], not mirrored)
        if kind in ("+", "-", "negative"):
            return ("sum", *sorted(self._terms(node, mirrored, 1), key=repr))
        if kind in ("*", "@", "/"):
            scalars, factors = self._factors(node, mirrored)
            return (
                "product",
                *sorted(scalars, key=repr),
                *(factors[::-1] if mirrored else factors),
            )
        if kind == ".*":
            return (kind, *sorted((self.of(part, mirrored) for part in operands), key=repr))
        if kind == "name" and (value in self._symmetric or value in _SYMMETRIC):
            return (kind, value)
        if kind == "call" and value in _SYMMETRIC:
            return (kind, value, *(self.of(part, False) for part in operands[:1]))
        if kind == "call" and value == "diag" and self._kind(operands[0]) != "matrix":
            return (kind, value, self.of(operands[0], False))
        inside = self._kind(node) == "matrix" and (
            kind in ("^", ".^", "./") or (kind == "call" and self._passes(node))
        )
        rest = (self.of(part, mirrored and inside) for part in operands)
        return (kind, value, mirrored and not inside, *rest)

    def _passes(self, node: Node) -> bool:
        """Whether the transpose of the value is the value at the transposes."""
        alike = len(node.operands) == 1 and node.value not in ("vec", "diag")
        return alike or node.value in _KEEP_TRANSPOSE

    def _terms(self, node: Node, mirrored: bool, sign: int) -> list[tuple]:
        if node.kind == "negative":
            return self._terms(node.operands[0], mirrored, -sign)
        if node.kind not in ("+", "-"):
            return [(sign, self.of(node, mirrored))]
        left, right = node.operands
        after = sign if node.kind == "+" else -sign
        return self._terms(left, mirrored, sign) + self._terms(right, mirrored, after)

    def _factors(self, node: Node, mirrored: bool) -> tuple[list[tuple], list[tuple]]:
        """Scalars, and the other factors in their order before the product is transposed."""
        if self._kind(node) != "scalar" and node.kind in ("*", "@", "/"):
            left, right = node.operands
            if node.kind == "/":
                scalars, factors = self._factors(left, mirrored)
                return [*scalars, ("/", self.of(right, False))], factors
            pairs = [self._factors(part, mirrored) for part in (left, right)]
            return pairs[0][0] + pairs[1][0], pairs[0][1] + pairs[1][1]
        if self._kind(node) == "scalar":
            return [("scalar", _plain(node))], []
        return [], [self.of(node, mirrored)]


def _plain(node: Node) -> tuple:
    return (node.kind, node.value, *map(_plain, node.operands))
