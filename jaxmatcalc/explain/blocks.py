"""Kronecker form: what merged axes, and derivatives of matrix functions, are as matrices."""

from __future__ import annotations

from fractions import Fraction

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.graph import Edge, Graph, Hyper
from jaxmatcalc.explain.tensor import Label


def contract(graph: Graph) -> bool:
    """One step by a rule about an array of several axes; whether there was one."""
    merges = [h for h in graph.hypers if h.kind == "merge"]
    for k, first in enumerate(merges):
        for second in merges[k + 1 :]:
            if _pair(graph, first, second) or _sandwich(graph, first, second):
                return True
    if any(_single(graph, h) for h in merges):
        return True
    return any(_frechet(graph, h) for h in graph.hypers if h.kind == "frechet")


def _private(graph: Graph, x: Label, *own: Hyper) -> bool:
    """Whether a label is in nothing but edges and these arrays, once in each."""
    others = [h for h in graph.hypers if h not in own]
    once = all(h.labels.count(x) <= 1 for h in own)
    return once and x not in graph.out and not any(x in h.labels for h in others)


def _pair(graph: Graph, first: Hyper, second: Hyper) -> bool:
    """Two merged axes, what is between them: B ⊗ A, and (B ⊗ A) K where they are crossed."""
    r, a, b = first.labels
    c, a2, b2 = second.labels
    inside = [a, b, a2, b2]
    if r is c or not all(_private(graph, x, first, second) for x in inside):
        return False
    edges = [e for x in dict.fromkeys(inside) for e in graph.at(x)]
    edges = list(dict.fromkeys(edges))
    if not all(e.row in inside and e.column in inside for e in edges):
        return False
    if any(e.row is e.column for e in edges):
        return False
    shared = [x for x in (a, b) if x in (a2, b2)]

    def linked(x: Label, y: Label) -> bool:
        return x is y or (x not in shared and y not in shared and bool(_between(edges, x, y)))

    straight, crossed = linked(a, a2) or linked(b, b2), linked(a, b2) or linked(b, a2)
    if not straight and not crossed:
        return False
    weights = {x: graph.weight(x) for x in dict.fromkeys(inside)}
    pieces = []
    if straight:
        pieces.append(mx.kron(_link(edges, a, a2, weights), _link(edges, b, b2, weights)))
    if crossed:
        swapped = mx.kron(_link(edges, a, b2, weights), _link(edges, b, a2, weights))
        pieces.append(mx.product([swapped, mx.commutation(b2.size, a2.size)]))
    chain = [mx.hadamard(pieces)]
    for x, y, left in ((a, b, True), (a2, b2, False)):
        own = _between(edges, x, y)
        if own and not (left is False and {x, y} == {a, b}):
            entries = mx.diag(mx.vec(mx.hadamard([e.start(y) for e in own])))
            chain = [entries, *chain] if left else [*chain, entries]
    graph.edges = [e for e in graph.edges if e not in edges]
    graph.hypers = [h for h in graph.hypers if h is not first and h is not second]
    graph.add_edge(r, c, mx.product(chain))
    return True


def _between(edges: list[Edge], x: Label, y: Label) -> list[Edge]:
    return [e for e in edges if (e.row is x and e.column is y) or (e.row is y and e.column is x)]


def _link(edges: list[Edge], x: Label, y: Label, weights: dict[Label, Node | None]) -> Node:
    """The matrix between two labels, with the weights that nothing has used."""
    if x is y:
        weight, weights[x] = weights[x], None
        return mx.identity(x.size) if weight is None else mx.diag(weight)
    found = _between(edges, x, y)
    left, right = weights[x], weights[y]
    weights[x] = weights[y] = None
    if not found:
        column = left or mx.ones(x.size)
        return mx.product([column, mx.transpose(right or mx.ones(y.size))])
    chain = [mx.hadamard([e.start(x) for e in found])]
    if left is not None:
        chain.insert(0, mx.diag(left))
    if right is not None:
        chain.append(mx.diag(right))
    return mx.product(chain)


def _single(graph: Graph, merge: Hyper) -> bool:
    """One merged axis: vec of a matrix, a ⊗ b, a ⊗ B, or columns multiplied by ⊗."""
    r, a, b = merge.labels
    if r is a or r is b:
        return False
    if a is b and not graph.at(a) and not any(
        a in h.labels for h in graph.hypers if h is not merge
    ) and a not in graph.out:  # fmt: skip
        weight = graph.weight(a)
        graph.hypers.remove(merge)
        square = mx.identity(a.size) if weight is None else mx.diag(weight)
        graph.add_weight(r, mx.vec(square))
        return True
    if a is b:
        graph.hypers.remove(merge)
        graph.add_edge(r, a, mx.khatri_rao(mx.identity(a.size), mx.identity(a.size)))
        return True
    inner = _between(graph.edges, a, b)
    ends: list[tuple[Label, Node] | None] = []
    used: list[Edge] = list(inner)
    for x in (a, b):
        outer = [e for e in graph.at(x) if e not in inner]
        if any(e.row is e.column for e in outer):
            return False
        if not _private(graph, x, merge):
            if outer or inner:
                return False
            ends.append((x, mx.identity(x.size)))
        elif not outer:
            ends.append(None)
        elif len({e.other(x) for e in outer}) == 1:
            used += outer
            ends.append((outer[0].other(x), mx.hadamard([e.start(x) for e in outer])))
        else:
            return False
    first, second = ends
    if first and second and first[0] is not second[0]:
        return False
    columns = []
    for x, end in ((a, first), (b, second)):
        weight = None if end and end[0] is x else graph.weight(x)
        if end is None:
            columns.append(weight or mx.ones(x.size))
        else:
            columns.append(end[1] if weight is None else mx.product([mx.diag(weight), end[1]]))
    graph.edges = [e for e in graph.edges if e not in used]
    graph.hypers.remove(merge)
    entries = mx.vec(mx.hadamard([e.start(b) for e in inner])) if inner else None
    if first is None and second is None:
        plain = all(c.kind == "ones" for c in columns)
        parts = [] if entries is not None and plain else [mx.kron(*columns)]
        graph.add_weight(r, mx.hadamard([*([entries] if entries is not None else []), *parts]))
        return True
    node = mx.khatri_rao(*columns) if first and second else mx.kron(*columns)
    if entries is not None:
        node = mx.product([mx.diag(entries), node])
    target = (first or second or (r, node))[0]
    graph.add_edge(r, target, node)
    return True


def _frechet(graph: Graph, h: Hyper) -> bool:
    """The derivative of a matrix function along a matrix, or of its vec in that of its argument."""
    assert h.node is not None
    i, j, k, m = h.labels
    for value, moved, adjoint in (((i, j), (k, m), True), ((k, m), (i, j), False)):
        if value[0] is value[1] or not all(_private(graph, x, h) for x in value):
            continue
        edges = list(dict.fromkeys(e for x in value for e in graph.at(x)))
        if not all({e.row, e.column} == set(value) for e in edges):
            continue
        weights = {x: graph.weight(x) for x in value}
        along = _link(edges, *value, weights)
        graph.edges = [e for e in graph.edges if e not in edges]
        graph.hypers.remove(h)
        at = mx.transpose(h.node) if adjoint else h.node
        node = _along_itself(h.name, at) if at == along else None
        node = node or Node("frechet", (at, along), along.shape, h.name)
        graph.add_edge(*moved, node)
        return True
    return _frechet_matrix(graph, h)


def _along_itself(name: str, X: Node) -> Node | None:
    """The derivative of a function at X in the direction X: X f'(X)."""
    value = mx.function("function", X, name)
    match name:
        case "logm":
            return mx.identity(X.shape[0])
        case "expm":
            return mx.product([X, value])
        case "sqrtm":
            return mx.product([mx.scalar(Fraction(1, 2)), value])
    return None


def _sandwich(graph: Graph, first: Hyper, second: Hyper) -> bool:
    """(B ⊗ A) diag(vec S) (D ⊗ C): two merged axes that meet in the entries of a matrix S."""
    r, *rows = first.labels
    c, *columns = second.labels
    inside = [*rows, *columns]
    if r is c or len(set(inside)) < 4 or not all(_private(graph, x, first, second) for x in inside):
        return False
    for S in graph.edges:
        m, n = S.row, S.column
        if m is n or graph.public(m) or graph.public(n):
            continue
        legs = [e for x in inside for e in graph.at(x)]
        ends = {id(e): e.other(x) for x in inside for e in graph.at(x)}
        if len(legs) != 4 or any(ends[id(e)] not in (m, n) for e in legs):
            continue
        if len(graph.at(m)) != 3 or len(graph.at(n)) != 3:
            continue
        meets = {x: graph.at(x)[0].other(x) for x in inside}
        if meets[rows[0]] is meets[rows[1]] or meets[columns[0]] is meets[columns[1]]:
            continue
        p, q = meets[rows[0]], meets[rows[1]]  # the middle axis is merged in the order of the rows
        middle = mx.hadamard([S.start(q), *_outer(graph, q, p)])
        left = mx.kron(*(_weighted(graph, x) for x in rows))
        ordered = [next(x for x in columns if meets[x] is y) for y in (p, q)]
        right = mx.transpose(mx.kron(*(_weighted(graph, x) for x in ordered)))
        chain = [left, mx.diag(mx.vec(middle)), right]
        if ordered != columns:
            chain.append(mx.commutation(columns[1].size, columns[0].size))
        graph.edges = [e for e in graph.edges if e is not S and e not in legs]
        graph.hypers = [h for h in graph.hypers if h is not first and h is not second]
        graph.add_edge(r, c, mx.product(chain))
        return True
    return False


def _outer(graph: Graph, x: Label, y: Label) -> list[Node]:
    """The weights of two labels as a matrix, if they have any."""
    left, right = graph.weight(x), graph.weight(y)
    if left is None and right is None:
        return []
    return [mx.product([left or mx.ones(x.size), mx.transpose(right or mx.ones(y.size))])]


def _weighted(graph: Graph, x: Label) -> Node:
    """The one edge of a label, with its rows there and the label's weight."""
    node, weight = graph.at(x)[0].start(x), graph.weight(x)
    return node if weight is None else mx.product([mx.diag(weight), node])


def _frechet_matrix(graph: Graph, h: Hyper) -> bool:
    i, j, k, m = h.labels
    merges = [g for g in graph.hypers if g.kind == "merge"]
    rows = next((g for g in merges if g.labels[1:] == (j, i)), None)
    columns = next((g for g in merges if g.labels[1:] == (m, k)), None)
    if rows is None or columns is None or h.node is None:
        return False
    inside = {i, j, k, m}
    if any(e.row in inside or e.column in inside for e in graph.edges):
        return False
    if any(not _private(graph, x, h, rows, columns) or x in graph.weights for x in inside):
        return False
    order = i.size * j.size
    node = Node("frechet-matrix", (h.node,), (order, k.size * m.size), h.name)
    graph.hypers = [g for g in graph.hypers if g not in (h, rows, columns)]
    graph.add_edge(rows.labels[0], columns.labels[0], node)
    return True
