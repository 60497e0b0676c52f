"""A part of a formula that was read, and what all parts of one formula share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.explain.dimensions import Dimension, Dimensions
from jaxmatcalc.explain.mirrored import is_symmetric
from jaxmatcalc.explain.syntax import Node, spelled

Values = dict[str, Any]
Run = Callable[[Values], Any]

ONE = Dimension(1)


@dataclass(frozen=True)
class Part:
    """A part of a formula that was read.

    Attributes:
        node: its place in the tree.
        kind: "scalar", "column", "row" or "matrix"; vectors of both kinds are arrays of one axis.
        rows: the number of its rows.
        columns: the number of its columns.
        run: its value, from the values of the names.
        number: its value, if that is a number in the formula itself.
        squared: its square, if that is better computed without it.
    """

    node: Node
    kind: str
    rows: Dimension
    columns: Dimension
    run: Run
    number: float | None = None
    squared: Run | None = None

    @property
    def is_vector(self) -> bool:
        """Whether it is a column or a row."""
        return self.kind in ("column", "row")


def scalar(node: Node, run: Run, squared: Run | None = None) -> Part:
    """A part that is a scalar."""
    return Part(node, "scalar", ONE, ONE, run, squared=squared)


def like(node: Node, part: Part, run: Run) -> Part:
    """A part of the kind and sizes of another."""
    return Part(node, part.kind, part.rows, part.columns, run)


def dtype(values: Values) -> Any:
    """The dtype of constants beside these values."""
    found = jnp.result_type(*values.values()) if values else jnp.result_type(float)
    return found if jnp.issubdtype(found, jnp.inexact) else jnp.result_type(float)


class Context:
    """The text of the formula, the sizes in it, and the kinds of its parts."""

    def __init__(self, text: str, sizes: Dimensions, symmetric: frozenset[str]):
        self.text, self.sizes, self.symmetric = text, sizes, symmetric
        self.kinds: dict[int, str] = {}

    def is_symmetric(self, part: Part) -> bool:
        """Whether a matrix is its own transpose by its form."""
        return is_symmetric(part.node, lambda node: self.kinds[id(node)], self.symmetric)

    def same(self, node: Node, symbol: str, left: Part, right: Part, hint: str = "") -> None:
        """The two parts have one shape."""
        need = "two operands of one shape"
        blame = (symbol, need, left, right)
        if (
            left.kind != right.kind
            or not self.sizes.equal(left.rows, right.rows, blame)
            or not self.sizes.equal(left.columns, right.columns, blame)
        ):
            self.unfit(node, symbol, need, left, right, hint)

    def square(self, part: Part, name: str) -> None:
        """The part is a square matrix."""
        blame = (name, "a square matrix", part, part)
        if part.kind != "matrix" or not self.sizes.equal(part.rows, part.columns, blame):
            self.wrong(name, "a square matrix", part)

    def wrong(self, name: str, need: str, part: Part) -> NoReturn:
        """A function or an operator is not defined for this part."""
        _checks.operand_kind(self.text, part.node.span, name, need, self.described(part))

    def unfit(
        self, node: Node, symbol: str, need: str, left: Part, right: Part, hint: str = ""
    ) -> NoReturn:
        """The two parts do not fit each other."""
        described = (self.described(left), self.described(right))
        _checks.mismatch(self.text, node.span, symbol, need, described, hint)

    def without_sizes(self, blame: Any) -> NoReturn:
        """No sizes of axes satisfy what two parts need."""
        symbol, need, left, right = blame
        if left is right:
            self.wrong(symbol, need, left)
        ends = (left.node.span[0], max(left.node.span[1], right.node.span[1]))
        self.unfit(Node("", (), "", ends), symbol, need, left, right)

    def described(self, part: Part) -> str:
        """A part for a message: its text and its shape."""
        if part.kind == "scalar":
            return f"the scalar `{spelled(part.node)}`"
        rows, columns = self.sizes.shown(part.rows), self.sizes.shown(part.columns)
        return f"`{spelled(part.node)}` ({rows}×{columns})"
