"""The functions of a formula: what each needs, and the kind, sizes and value that it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _checks, ops
from jaxmatcalc.explain import vocabulary
from jaxmatcalc.explain.dimensions import Dimension
from jaxmatcalc.explain.parts import ONE, Context, Part, Values, dtype, like, scalar
from jaxmatcalc.explain.syntax import Node


def applied(context: Context, node: Node, parts: list[Part]) -> Part:
    """Read a call, of which the arguments were read."""
    name = str(node.value)
    counts = vocabulary.PARTICULAR.get(name, (1,))
    _checks.arity(context.text, node.span, name, counts, len(parts))
    first = parts[0]
    if name in vocabulary.ELEMENTWISE:
        function = vocabulary.ELEMENTWISE[name]
        return like(node, first, lambda values: function(jnp.asarray(first.run(values))))
    if name in vocabulary.SCALAR:
        return _to_scalar(context, node, first)
    if name in vocabulary.SQUARE:
        return _of_square(context, node, first)
    return _PARTICULAR[name](context, node, parts)


def identity(context: Context, node: Node, size: Dimension) -> Part:
    """The identity matrix."""

    def run(values: Values) -> Any:
        return jnp.eye(context.sizes.value(size), dtype=dtype(values))

    return Part(node, "matrix", size, size, run)


def _to_scalar(context: Context, node: Node, part: Part) -> Part:
    name = str(node.value)
    rule = vocabulary.SCALAR[name]
    if part.kind == "scalar":
        return scalar(node, lambda values: rule.of_scalar(jnp.asarray(part.run(values))))
    if rule.square:
        context.square(part, name)
    squared = None
    if name in ("norm2", "normF"):
        squared = lambda values: vocabulary.squared_norm(part.run(values))  # noqa: E731
    return scalar(node, lambda values: rule.of_array(part.run(values)), squared)


def _of_square(context: Context, node: Node, part: Part) -> Part:
    name = str(node.value)
    of_matrix, of_scalar = vocabulary.SQUARE[name]
    if part.kind == "scalar" and of_scalar is not None:
        return scalar(node, lambda values: of_scalar(jnp.asarray(part.run(values))))
    context.square(part, name)
    return like(node, part, lambda values: of_matrix(part.run(values)))


def _eigvals(context: Context, node: Node, parts: list[Part]) -> Part:
    (part,) = parts
    context.square(part, "eigvals")
    if not context.is_symmetric(part):
        need = "a matrix that is symmetric by its form or declared so, as by `--sym X`"
        context.wrong("eigvals", need, part)
    return Part(node, "column", part.rows, ONE, lambda values: ops.eigvalsh(part.run(values)))


def _pinv(context: Context, node: Node, parts: list[Part]) -> Part:
    (part,) = parts
    if part.kind != "matrix":
        context.wrong("pinv", "a matrix", part)
    return Part(node, "matrix", part.columns, part.rows, lambda values: ops.pinv(part.run(values)))


def _diag(context: Context, node: Node, parts: list[Part]) -> Part:
    (part,) = parts
    if part.is_vector:
        size = part.rows if part.kind == "column" else part.columns
        return Part(node, "matrix", size, size, lambda values: jnp.diag(part.run(values)))
    if part.kind == "scalar":
        context.wrong("diag", "a vector or a square matrix", part)
    context.square(part, "diag")
    return Part(node, "column", part.rows, ONE, lambda values: jnp.diagonal(part.run(values)))


def _vec(context: Context, node: Node, parts: list[Part]) -> Part:
    (part,) = parts
    if part.kind == "scalar":
        context.wrong("vec", "a vector or a matrix", part)
    size = context.sizes.product(part.columns, part.rows)
    if part.is_vector:
        return Part(node, "column", size, ONE, part.run)
    return Part(node, "column", size, ONE, lambda values: ops.vec(part.run(values)))


def _kron(context: Context, node: Node, parts: list[Part]) -> Part:
    left, right = parts
    if "scalar" in (left.kind, right.kind):
        larger = right if left.kind == "scalar" else left
        return like(node, larger, lambda values: left.run(values) * right.run(values))
    rows = context.sizes.product(left.rows, right.rows)
    columns = context.sizes.product(left.columns, right.columns)
    kind = left.kind if left.kind == right.kind else "matrix"
    directions = (left.kind == "row", right.kind == "row")

    def run(values: Values) -> Any:
        return vocabulary.kronecker(left.run(values), right.run(values), directions)

    return Part(node, kind, rows, columns, run)


def _vector(context: Context, node: Node, parts: list[Part]) -> Part:
    entry = _entry(context, "vector", parts[0])
    rows = _given(context, "vector", parts[1]) if parts[1:] else context.sizes.size()

    def run(values: Values) -> Any:
        return jnp.full(context.sizes.value(rows), entry.run(values), dtype(values))

    return Part(node, "column", rows, ONE, run)


def _matrix(context: Context, node: Node, parts: list[Part]) -> Part:
    entry = _entry(context, "matrix", parts[0])
    given = [_given(context, "matrix", part) for part in parts[1:]]
    rows, columns = given or (context.sizes.size(), context.sizes.size())

    def run(values: Values) -> Any:
        shape = (context.sizes.value(rows), context.sizes.value(columns))
        return jnp.full(shape, entry.run(values), dtype(values))

    return Part(node, "matrix", rows, columns, run)


def _eye(context: Context, node: Node, parts: list[Part]) -> Part:
    return identity(context, node, _given(context, "eye", parts[0]))


def _entry(context: Context, name: str, part: Part) -> Part:
    if part.kind != "scalar":
        context.wrong(name, "a scalar for its entries", part)
    return part


def _given(context: Context, name: str, part: Part) -> Dimension:
    size = part.number
    if size is None or size != int(size) or size < 0:
        context.wrong(name, "a whole number for its size", part)
    return context.sizes.size(int(size))


_PARTICULAR: dict[str, Callable[[Context, Node, list[Part]], Part]] = {
    "eigvals": _eigvals,
    "pinv": _pinv,
    "diag": _diag,
    "vec": _vec,
    "kron": _kron,
    "vector": _vector,
    "matrix": _matrix,
    "eye": _eye,
}
