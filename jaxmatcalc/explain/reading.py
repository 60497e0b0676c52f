"""From the tree of a formula to a function: names, numbers and operators."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul
from jaxmatcalc.explain import vocabulary
from jaxmatcalc.explain.applied import applied, identity
from jaxmatcalc.explain.dimensions import Dimension, Dimensions
from jaxmatcalc.explain.parts import ONE, Context, Part, Values, like
from jaxmatcalc.explain.syntax import POWERS, SUMS, Node, spelled

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    ".*": operator.mul,
    "./": operator.truediv,
}
_FIT = "as many columns on its left as rows on its right"
_UNFIT = [("column", "column"), ("row", "row"), ("column", "matrix"), ("matrix", "row")]


class Reading:
    """The reading of one formula."""

    def __init__(
        self,
        text: str,
        sizes: Dimensions,
        shapes: Mapping[str, Sequence[int | None]],
        symmetric: frozenset[str],
        names: tuple[str, ...],
    ):
        self.context = Context(text, sizes, symmetric)
        self._sizes, self._text = sizes, text
        self._names = {name: self._argument(name, shapes.get(name)) for name in names}
        self._products: dict[str, Node] = {}

    def whole(self, node: Node) -> Part:
        """Read the formula, and find the sizes in it."""
        part = self._part(node)
        if {"*", "@"} <= self._products.keys():
            _checks.formula(
                self._text,
                self._products["*"].span,
                "A formula with `@` needs `.*` for the product of entries, and `@` for that of "
                "matrices, since NumPy reads `*` as the former and matrixcalculus.org as the "
                "latter; got `*`.",
            )
        blame = self._sizes.solve()
        if blame is not None:
            self.context.without_sizes(blame)
        return part

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an argument, once the sizes are found."""
        kind, rows, columns = self._names[name]
        sizes = {"scalar": (), "column": (rows,), "matrix": (rows, columns)}[kind]
        return tuple(map(self._sizes.value, sizes))

    def _part(self, node: Node) -> Part:
        match node.kind:
            case "number":
                part = _number(node, float(node.value))
            case "name":
                part = self._name(node)
            case "call":
                operands = [self._part(operand) for operand in node.operands]
                part = applied(self.context, node, operands)
            case "negative":
                inner = self._part(node.operands[0])
                if inner.number is None:
                    part = like(node, inner, lambda values: -inner.run(values))
                else:
                    part = _number(node, -inner.number)
            case "transpose":
                part = _transposed(node, self._part(node.operands[0]))
            case _:
                left, right = map(self._part, node.operands)
                if node.kind in POWERS:
                    part = self._power(node, left, right)
                elif node.kind in SUMS:
                    part = self._entrywise(node, left, right, "scalar" in (left.kind, right.kind))
                else:
                    part = self._product(node, left, right)
        self.context.kinds[id(node)] = part.kind
        return part

    # Names and numbers

    def _argument(
        self, name: str, shape: Sequence[int | None] | None
    ) -> tuple[str, Dimension, Dimension]:
        first = name.lstrip("_")[:1]
        symmetric = name in self.context.symmetric
        if shape is not None:
            given = _checks.formula_shape(name, shape)
        elif first.isupper() or symmetric:
            given = (None, None)
        else:
            given = (None,) if "h" <= first <= "z" else ()
        kind = ("scalar", "column", "matrix")[len(given)]
        rows, columns = [*map(self._sizes.size, given), ONE, ONE][:2]
        if symmetric:
            square = kind == "matrix" and self._sizes.equal(rows, columns, None)
            _checks.declared_square(name, square, given)
        return kind, rows, columns

    def _name(self, node: Node) -> Part:
        name = str(node.value)
        if name == "pi":
            return _number(node, math.pi)
        if name == "eye":
            return identity(self.context, node, self._sizes.size())
        if name in vocabulary.FUNCTIONS:
            end = node.span[1]
            _checks.expected(self._text, (end, end + 1), f"`(` after `{name}`")
        kind, rows, columns = self._names[name]
        return Part(node, kind, rows, columns, lambda values: values[name])

    # Operators

    def _entrywise(self, node: Node, left: Part, right: Part, needs_hint: bool = False) -> Part:
        """An operation on entries. A scalar stands for equal entries, but not in a sum."""
        function = _ARITHMETIC.get(node.kind, jnp.power)
        if left.number is not None and right.number is not None:
            return _number(node, self._folded(node, left.number, right.number))
        number, array = (left, right) if left.kind == "scalar" else (right, left)
        if number.kind != "scalar" or (node.kind in SUMS and array.kind != "scalar"):
            constant = "matrix" if array.kind == "matrix" else "vector"
            hint = f"equal entries are written `{constant}({spelled(number.node)})`"
            self.context.same(node, node.kind, left, right, hint if needs_hint else "")
        return like(node, array, lambda values: function(left.run(values), right.run(values)))

    def _folded(self, node: Node, left: float, right: float) -> float:
        operation = operator.pow if node.kind in POWERS else _ARITHMETIC[node.kind]
        try:
            value = operation(left, right)
        except ArithmeticError:
            value = math.nan
        if isinstance(value, complex) or not math.isfinite(value):
            _checks.formula(self._text, node.span, f"`{spelled(node)}` is not a real number.")
        return value

    def _product(self, node: Node, left: Part, right: Part) -> Part:
        scalars = "scalar" in (left.kind, right.kind)
        if node.kind == "@":
            return self._numpy_product(node, left, right)
        if node.kind == "/" and right.kind != "scalar":
            need = "a scalar on its right (`./` divides entries, `inv` inverts a matrix)"
            self.context.wrong("/", need, right)
        if node.kind in ("/", "./", ".*") or scalars:
            return self._entrywise(node, left, right)
        return self._matrix_product(node, left, right)

    def _matrix_product(self, node: Node, left: Part, right: Part) -> Part:
        self._products.setdefault(node.kind, node)
        kinds = left.kind, right.kind
        hint = ""
        if kinds == ("column", "column"):
            a, b = spelled(left.node), spelled(right.node)
            hint = f"`{a}'*{b}` is a number and `{a}.*{b}` multiplies entries"
        inner = self._sizes.resolved(left.columns), self._sizes.resolved(right.rows)
        if (kinds in _UNFIT and inner != (ONE, ONE)) or not self._sizes.equal(
            *inner, (node.kind, _FIT, left, right)
        ):
            self.context.unfit(node, node.kind, _FIT, left, right, hint)

        def run(values: Values) -> Any:
            x, y = left.run(values), right.run(values)
            if left.kind == "column":
                return x[:, None] * (y if y.ndim == 1 else y[0])
            if right.kind == "row":  # after a matrix of one column
                return x * y
            return matmul(x, y)

        known = {
            ("row", "column"): "scalar",
            ("row", "matrix"): "row",
            ("matrix", "column"): "column",
            ("column", "column"): "column",
            ("row", "row"): "row",
        }
        return Part(node, known.get(kinds, "matrix"), left.rows, right.columns, run)

    def _numpy_product(self, node: Node, left: Part, right: Part) -> Part:
        for part in (left, right):
            if part.kind == "scalar":
                self.context.wrong("@", "vectors or matrices", part)
        if left.kind != "column":
            return self._matrix_product(node, left, right)
        if right.kind == "row":
            a, b = spelled(left.node), spelled(right.node)
            hint = f"`{a}*{b}` is the outer product and `{a} @ {b[:-1]}` the inner one"
            self.context.unfit(node, "@", _FIT, left, right, hint)
        # As in NumPy, a vector on the left has no direction.
        turned = dataclasses.replace(left, kind="row", rows=left.columns, columns=left.rows)
        product = self._matrix_product(node, turned, right)
        return _transposed(node, product) if product.kind == "row" else product

    def _power(self, node: Node, base: Part, exponent: Part) -> Part:
        k = exponent.number
        if base.number is not None and k is not None:
            return _number(node, self._folded(node, base.number, k))
        if node.kind == "^" and not base.kind == exponent.kind == "scalar":
            return self._matrix_power(node, base, exponent)
        if k is None:
            return self._entrywise(node, base, exponent)
        if k == 2 and base.squared is not None:
            return like(node, base, base.squared)
        return like(node, base, lambda values: vocabulary.number_power(base.run(values), k))

    def _matrix_power(self, node: Node, base: Part, exponent: Part) -> Part:
        k = exponent.number
        if base.kind != "matrix" or k is None or k != int(k):
            need = "two scalars, or a square matrix and a whole number"
            hint = "`.^` raises entries"
            self.context.unfit(node, "^", need, base, exponent, hint)
        self.context.square(base, "^")
        return like(node, base, lambda values: vocabulary.matrix_power(base.run(values), int(k)))


def _number(node: Node, value: float) -> Part:
    return Part(node, "scalar", ONE, ONE, lambda values: value, value)


def _transposed(node: Node, part: Part) -> Part:
    kind = {"column": "row", "row": "column"}.get(part.kind, part.kind)
    if kind == "matrix":
        return Part(node, kind, part.columns, part.rows, lambda values: part.run(values).T)
    return dataclasses.replace(part, node=node, kind=kind, rows=part.columns, columns=part.rows)
