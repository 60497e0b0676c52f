"""Derivatives of Kronecker products: independent parts of a term in their order, and K."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.graph import Graph
from jaxmatcalc.explain.tensor import Label

_MOST = 4  # parts, and axes that rows or columns are made of


class Part(NamedTuple):
    """Labels that hang together, and what they are as a matrix."""

    rows: tuple[Label, ...]
    columns: tuple[Label, ...]
    node: Node


def separated(graph: Graph) -> Node | None:
    """A term of independent parts as (I ⊗ K ⊗ I)(A ⊗ B ⊗ C), or None."""
    if len(graph.out) != 2 or any(h.kind != "merge" for h in graph.hypers):
        return None
    merges = {h.labels[0]: h.labels[1:] for h in graph.hypers}
    if len(merges) != len(graph.hypers):
        return None

    def split(x: Label) -> list[Label]:
        return [z for y in merges[x] for z in split(y)] if x in merges else [x]

    rows, columns = map(split, graph.out)
    if any(len(side) > _MOST for side in (rows, columns)):
        return None
    labels = list(dict.fromkeys([*rows, *columns]))
    ends = {x for e in graph.edges for x in (e.row, e.column)}
    if not {*ends, *graph.weights} <= set(labels) or len(graph.edges) != len(
        {frozenset((e.row, e.column)) for e in graph.edges}
    ):
        return None
    parts = []
    while labels:
        part = _part(graph, labels[0], rows, columns)
        if part is None:
            return None
        labels = [x for x in labels if x not in {*part.rows, *part.columns}]
        parts.append(part)
    found = _arranged(parts, rows, columns)
    return None if found is None else mx.product([*graph.scalars, found])


def _part(graph: Graph, x: Label, rows: Sequence[Label], columns: Sequence[Label]) -> Part | None:
    edges = graph.at(x)
    if len(edges) > 1 or (edges and len(graph.at(edges[0].other(x))) > 1):
        return None
    own = [x] if not edges else [edges[0].row, edges[0].column]
    above = tuple(y for y in rows if y in own)
    across = tuple(y for y in columns if y in own)
    if not edges and len(own) < len(above) + len(across) - (above != () and across != ()):
        whole = len(above) + len(across) == 2 and x not in graph.weights
        stacked = mx.vec(mx.identity(x.size))
        return Part(above, across, stacked if above else mx.transpose(stacked)) if whole else None
    if not edges:
        column = mx.hadamard(graph.weights[x]) if x in graph.weights else mx.ones(x.size)
        if above and across:
            node = mx.diag(column) if column.shape else mx.identity(x.size)
        else:
            node = column if above else mx.transpose(column)
        return Part(above, across, node)
    if (
        len(above) + len(across) != 2
        or any(y in graph.weights for y in own)
        or edges[0].row is edges[0].column
    ):
        return None
    (e,) = edges
    if len(above) == len(across) == 1 and above != across:
        return Part(above, across, e.start(above[0]))
    for inner, flip in ((above, False), (across, True)):
        other = across if inner is above else above
        if len(inner) == 2 and not other:  # the first of the two is the slower one
            stacked = mx.vec(e.start(inner[1]))
            return Part(above, across, mx.transpose(stacked) if flip else stacked)
    return None


def _arranged(
    parts: Sequence[Part], rows: Sequence[Label], columns: Sequence[Label]
) -> Node | None:
    """The parts in an order that is that of the rows or of the columns, and K for the other."""
    if not 1 < len(parts) <= _MOST:
        return None
    for order in itertools.permutations(parts):
        above = [x for p in order for x in p.rows]
        across = [x for p in order for x in p.columns]
        left = _swap(rows, above) if across == list(columns) else None
        right = _swap(across, columns) if above == list(rows) else None
        if left is None and right is None:
            continue
        whole = mx.kron(*(p.node for p in order))
        return mx.product([left, whole] if left is not None else [whole, right or whole])
    return None


def _swap(wanted: Sequence[Label], given: Sequence[Label]) -> Node | None:
    """The matrix that brings axes into another order by swapping two groups of neighbours."""
    wanted, given = list(wanted), list(given)
    n = len(wanted)
    for i, j, k in itertools.combinations(range(n + 1), 3):
        if [*given[:i], *given[j:k], *given[i:j], *given[k:]] == wanted:
            first, second, before, after = given[i:j], given[j:k], given[:i], given[k:]
            K = mx.commutation(_size(second), _size(first))
            return mx.kron(mx.identity(_size(before)), K, mx.identity(_size(after)))
    return None


def _size(labels: Sequence[Label]) -> int:
    return math.prod(x.size for x in labels)
