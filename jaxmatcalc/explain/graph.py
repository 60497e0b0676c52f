"""From index notation to matrices: a term is a graph that is contracted label by label.

Labels are vertices, matrices are edges, vectors are weights of vertices. A summed label of two
edges is a matrix product, one of a single edge a matrix times a vector, one of none a dot product;
a loop is a diagonal or a trace, parallel edges are a Hadamard product or a trace. What is left when
nothing more can be contracted is written with indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.factoring import dot
from jaxmatcalc.explain.tensor import Label


@dataclass(eq=False)
class Edge:
    """A matrix between two labels: its rows belong to the first."""

    row: Label
    column: Label
    node: Node

    def start(self, label: Label) -> Node:
        """The matrix with its rows at this end."""
        return self.node if self.row is label else mx.transpose(self.node)

    def other(self, label: Label) -> Label:
        """The other end."""
        return self.column if self.row is label else self.row


@dataclass(eq=False)
class Hyper:
    """An array of three axes or more, or a merge of axes."""

    kind: str  # "merge", "frechet" or "array"
    labels: tuple[Label, ...]
    node: Node | None = None
    name: Any = None
    array: Node | None = None  # the array itself, where the node is what it is a function of


class Graph:
    """A term that is being contracted."""

    def __init__(self, out: Sequence[Label]):
        self.out = tuple(out)
        self.edges: list[Edge] = []
        self.weights: dict[Label, list[Node]] = {}
        self.scalars: list[Node] = []
        self.hypers: list[Hyper] = []

    @property
    def labels(self) -> list[Label]:
        """All labels."""
        ends = [x for e in self.edges for x in (e.row, e.column)]
        inner = [x for h in self.hypers for x in h.labels]
        return list(dict.fromkeys([*ends, *self.weights, *inner, *self.out]))

    def public(self, x: Label) -> bool:
        """Whether a label belongs to the result or to an array of several axes."""
        return x in self.out or any(x in h.labels for h in self.hypers)

    def at(self, x: Label) -> list[Edge]:
        """The edges that end at a label."""
        return [e for e in self.edges if x is e.row or x is e.column]

    def weight(self, x: Label) -> Node | None:
        """The weight of a label, taken off it."""
        found = self.weights.pop(x, [])
        return mx.hadamard(found) if found else None

    def add_edge(self, row: Label, column: Label, node: Node) -> None:
        """Add a matrix between two labels."""
        self.edges.append(Edge(row, column, node))

    def add_weight(self, x: Label, node: Node) -> None:
        """Multiply a label by a vector."""
        if not node.shape:  # of an axis of size 1
            self.scalars.append(node)
        elif node.kind != "ones":
            self.weights.setdefault(x, []).append(node)

    def contract(self) -> bool:
        """One step by a rule about one label; whether there was one."""
        for rule in (self._loop, self._dot, self._leaf, self._inner_product, self._chain):
            for x in self.labels:
                if rule(x):
                    return True
        return any(map(self._parallel, self.labels))

    def _loop(self, x: Label) -> bool:
        """A matrix both ends of which are one label: its trace or its diagonal."""
        for e in self.at(x):
            if e.row is e.column:
                self.edges.remove(e)
                if not self.at(x) and not self.public(x):
                    self.scalars.append(self._traced(e.node, self.weight(x)))
                else:
                    self.add_weight(x, mx.diagonal(e.node))
                return True
        return False

    def _traced(self, node: Node, weight: Node | None) -> Node:
        return mx.trace(node) if weight is None else mx.trace(mx.product([mx.diag(weight), node]))

    def _dot(self, x: Label) -> bool:
        """A summed label without edges: a sum of entries."""
        if self.public(x) or self.at(x) or x not in self.weights:
            return False
        found = self.weights.pop(x)
        self.scalars.append(dot(found))
        return True

    def _leaf(self, x: Label) -> bool:
        """A summed label of one edge: a matrix times a vector."""
        edges = self.at(x)
        if self.public(x) or len(edges) != 1:
            return False
        (e,) = edges
        y = e.other(x)
        self.edges.remove(e)
        closed = not self.public(y) and not self.at(y) and y not in self.weights
        if closed and x not in self.weights and _is_square(e.node):
            self.scalars.append(mx.power(mx.function("norm", e.node.args[0]), 2))
            return True
        weight = self.weight(x) or mx.ones(x.size)
        self.add_weight(y, mx.product([e.start(y), weight]))
        return True

    def _inner_product(self, x: Label) -> bool:
        """Two edges between two summed labels and nothing else: tr(M N)."""
        edges = self.at(x)
        if self.public(x) or len(edges) != 2:
            return False
        y = edges[0].other(x)
        if edges[1].other(x) is not y or self.public(y) or len(self.at(y)) != 2:
            return False
        first, second = edges
        left, right = self.weight(y), self.weight(x)
        chain = [first.start(y), second.start(x)]
        if right is not None:
            chain.insert(1, mx.diag(right))
        if left is not None:
            chain.insert(0, mx.diag(left))
        self.edges = [e for e in self.edges if e not in edges]
        self.scalars.append(mx.trace(mx.product(chain)))
        return True

    def _chain(self, x: Label) -> bool:
        """A summed label of two edges: a matrix product."""
        edges = self.at(x)
        if self.public(x) or len(edges) != 2 or edges[0].other(x) is edges[1].other(x):
            return False
        first, second = edges
        weight = self.weight(x)
        middle = [] if weight is None else [mx.diag(weight)]
        if weight is not None and mx.is_unit(weight):
            middle = [weight, mx.transpose(weight)]
        y, z = first.other(x), second.other(x)
        self.edges = [e for e in self.edges if e not in edges]
        self.add_edge(y, z, mx.product([first.start(y), *middle, second.start(x)]))
        return True

    def _parallel(self, x: Label) -> bool:
        """Two edges between the same labels: a Hadamard product."""
        edges = self.at(x)
        for k, e in enumerate(edges):
            for f in edges[k + 1 :]:
                if e.other(x) is f.other(x):
                    node = mx.hadamard([e.node, f.start(e.row)])
                    self.edges = [g for g in self.edges if g is not e and g is not f]
                    self.add_edge(e.row, e.column, node)
                    return True
        return False

    def assembled(self) -> Node | None:
        """The matrix that the contracted graph is, or None if it is none."""
        distinct = list(dict.fromkeys(self.out))
        left = [x for x in self.labels if x not in distinct]
        if self.hypers or left or len(self.out) > 2:
            return None
        if not self.out:
            return mx.product(self.scalars)
        if len(distinct) == 1:
            (x,) = distinct
            node = self.weight(x) or mx.ones(x.size)
            if len(self.out) == 2:
                node = mx.diag(node)
            return mx.product([*self.scalars, node])
        i, j = distinct
        left_weight, right_weight = self.weight(i), self.weight(j)
        if self.edges:
            chain = [self.edges[0].start(i)]
            if left_weight is not None:
                chain.insert(0, mx.diag(left_weight))
            if right_weight is not None:
                chain.append(mx.diag(right_weight))
        else:
            rows = left_weight or mx.ones(i.size)
            chain = [rows, mx.transpose(right_weight or mx.ones(j.size))]
        return mx.product([*self.scalars, *chain])


def _is_square(node: Node) -> bool:
    return node.kind == "power" and node.data == 2
