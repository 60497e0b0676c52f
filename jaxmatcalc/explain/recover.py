"""From a tensor to the matrix expression that is shown."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import jax

from jaxmatcalc.explain import blocks, kroneckers
from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.atoms import (
    Atom,
    Call,
    Constant,
    Determinant,
    Elementwise,
    Frechet,
    Group,
    Inverse,
    MatrixFunction,
    Merge,
    Symbol,
    VariablePower,
)
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.factoring import negated, signed, summed
from jaxmatcalc.explain.graph import Graph, Hyper
from jaxmatcalc.explain.numeric import MATRIX_FUNCTIONS
from jaxmatcalc.explain.tensor import Factor, Label, Tensor, Term

_LETTERS = "ijklmnpqrstuvwxyzabcdefgh" + string.ascii_uppercase


@dataclass(frozen=True)
class Indices:
    """How the operands of an expression in indices are read.

    Attributes:
        subscripts: as `numpy.einsum` takes them.
        shapes: shapes of the operands, merged axes split.
        groups: for each operand, and last for the result, the letters of each of its axes.
    """

    subscripts: str
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CallData:
    """A function that has no matrix form."""

    name: str
    detail: str
    function: object
    operand_shapes: tuple[tuple[int, ...], ...]
    line: str = ""

    def __hash__(self) -> int:
        return hash((self.name, self.detail, self.operand_shapes))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CallData) and (self.name, self.detail, self.operand_shapes) == (
            other.name,
            other.detail,
            other.operand_shapes,
        )


class Recovery:
    """Expressions of tensors, each made once."""

    def __init__(self) -> None:
        self._known: dict[str, Node] = {}

    def expression(self, value: Tensor) -> Node:
        """The expression of a tensor: a scalar, a column, a matrix, or in indices."""
        if value.key not in self._known:
            terms = [self._term(t) for t in value.terms]
            if not terms:
                self._known[value.key] = _zero(value.shape)
            else:
                self._known[value.key] = summed(terms)
        return self._known[value.key]

    def _term(self, term: Term) -> Node:
        graph, scale = self._graph(term)
        while graph.contract() or blocks.contract(graph):
            pass
        graph.scalars.insert(0, mx.scalar(scale))
        node = graph.assembled()
        if node is None:
            graph, scale = self._graph(term)
            while graph.contract():
                pass
            graph.scalars.insert(0, mx.scalar(scale))
            node = kroneckers.separated(graph) or _in_indices(graph)
        return node

    def _graph(self, term: Term) -> tuple[Graph, object]:
        graph, scale = Graph(term.out), term.scale
        for f in _softmaxes(term.factors):
            if isinstance(f, tuple) and not isinstance(f, Factor):
                label, inner = f
                graph.add_weight(label, mx.entries("softmax", self.expression(inner)))
                continue
            if isinstance(f.atom, Merge):
                graph.hypers.append(Hyper("merge", f.labels, None, f.atom))
                continue
            node = self._factor(f)
            if scale < 0 and _turns(f) and sum(g.atom.key == f.atom.key for g in term.factors) == 1:
                node, scale = mx.power(_turned(self._atom(f.atom)), f.power), -scale
            match len(f.labels):
                case 0:
                    graph.scalars.append(node)
                case 1:
                    graph.add_weight(f.labels[0], node)
                case 2:
                    graph.add_edge(f.labels[0], f.labels[1], node)
                case _:
                    kind = "frechet" if isinstance(f.atom, Frechet) and f.power == 1 else "array"
                    name = f.atom.name if isinstance(f.atom, Frechet) else None
                    inner = self.expression(f.atom.parts[0]) if kind == "frechet" else node
                    graph.hypers.append(Hyper(kind, f.labels, inner, name, node))
        return graph, scale

    def _factor(self, f: Factor) -> Node:
        atom = f.atom
        if isinstance(atom, Elementwise) and atom.name == "exp" and f.power != 1:
            inner = self.expression(atom.inner)
            return mx.entries("exp", mx.product([mx.scalar(f.power), inner]))
        return mx.power(self._atom(atom), f.power)

    def _atom(self, atom: Atom) -> Node:
        inner = [self.expression(p) for p in atom.parts]
        match atom:
            case Symbol() if len(atom.full) == 2 and atom.full[0] == 1 and atom.shape:
                return mx.transpose(mx.symbol(atom.name, atom.full))
            case Symbol():
                return mx.symbol(atom.name, atom.shape, atom.symmetric)
            case Constant():
                return mx.symbol(atom.name, atom.shape, atom.symmetric, atom.value)
            case Group():
                return inner[0]
            case Elementwise():
                return mx.entries(atom.name, inner[0])
            case VariablePower():
                return mx.entries("power", *inner)
            case Inverse():
                return mx.inverse(inner[0])
            case Determinant():
                return mx.function(atom.name, inner[0])
            case MatrixFunction():
                return mx.function("function", inner[0], atom.name)
            case Frechet():
                function = jax.jacfwd(MATRIX_FUNCTIONS[atom.name])
                data = CallData(f"∂{atom.name}", "", function, (atom.inner.shape,))
                return Node("call", tuple(inner), atom.shape, data)
            case Call():
                shapes = tuple(p.shape for p in atom.parts)
                data = CallData(atom.name, atom.detail, atom.function, shapes, atom.line)
                shape = atom.shape if len(atom.shape) != 1 else (*atom.shape, 1)
                return Node("call", tuple(inner), shape, data)
        raise AssertionError(type(atom))


def _turns(f: Factor) -> bool:
    """Whether a factor is an odd power of a difference, which takes a sign."""
    odd = isinstance(f.power, Fraction) and f.power.denominator == 1 and f.power % 2 == 1
    return odd and isinstance(f.atom, Group) and len({t.scale > 0 for t in f.atom.inner.terms}) == 2


def _turned(x: Node) -> Node:
    scale, rest = mx.coefficient(x)
    if rest.kind != "sum":
        return negated(x)
    return mx.product([mx.scalar(scale), signed([negated(t) for t in rest.args])])


def _zero(shape: Sequence[int]) -> Node:
    full = (shape[0], 1) if len(shape) == 1 else tuple(shape)
    return Node("zero", (), full) if full else mx.scalar(0)


def _softmaxes(factors: Sequence[Factor]) -> list:
    """Factors with eᵘ / Σ eᵘ of a vector u made one, a pair (label, u)."""
    left: list = list(factors)
    for f in factors:
        if not isinstance(f.atom, Elementwise) or f.atom.name != "exp" or len(f.labels) != 1:
            continue
        found = next((g for g in left if isinstance(g, Factor) and _sums(g, f)), None)
        if f.power != 1 or found is None:
            continue
        rest = [] if found.power == -1 else [found._replace(power=found.power + 1)]
        left = [h for h in left if h is not f and h is not found]
        left += [*rest, (f.labels[0], f.atom.inner)]
    return left


def _sums(g: Factor, f: Factor) -> bool:
    """Whether g divides by the sum of the entries of f."""
    if not isinstance(g.atom, Group) or g.labels or g.power != int(g.power) or g.power > -1:
        return False
    terms = g.atom.inner.terms
    whole = len(terms) == 1 and terms[0].scale == 1 and len(terms[0].factors) == 1
    if not whole:
        return False
    (inner,) = terms[0].factors
    return inner.atom.key == f.atom.key and inner.power == f.power


def _in_indices(graph: Graph) -> Node:
    """What is left of a term, in index notation."""
    opened: dict[Label, list[Label]] = {}
    for h in graph.hypers:
        if h.kind == "merge" and h.labels[0] not in opened:
            opened[h.labels[0]] = list(h.labels[1:])
    pairs: list[tuple[Label, Label]] = []
    for h in graph.hypers:
        if h.kind == "merge" and opened[h.labels[0]] != list(h.labels[1:]):
            pairs += zip(opened[h.labels[0]], h.labels[1:], strict=True)

    def split(x: Label) -> list[Label]:
        parts = opened.get(x)
        return [x] if parts is None else [z for y in parts for z in split(y)]

    operands: list[tuple[Node, tuple[Label, ...]]] = []
    for e in graph.edges:
        operands.append((e.node, (e.row, e.column)))
    for x, nodes in graph.weights.items():
        operands.append((mx.hadamard(nodes), (x,)))
    for h in graph.hypers:
        if h.kind != "merge" and h.node is not None:
            operands.append((h.array or h.node, h.labels))
    joined = {b: a for a, b in pairs}
    names: dict[Label, str] = {}

    def letter(x: Label) -> str:
        while x in joined:
            x = joined[x]
        return names.setdefault(x, _LETTERS[len(names)])

    result = tuple("".join(map(letter, split(x))) for x in graph.out)
    groups = [tuple("".join(map(letter, split(x))) for x in places) for _, places in operands]
    present = {x for group in groups for text in group for x in text}
    sizes = {letter(x): x for y in graph.labels for x in split(y)}
    for text in result:
        for x in text:
            if x not in present:  # constant along an axis
                operands.append((mx.ones(sizes[x].size), (sizes[x],)))
                groups.append((x,))
                present.add(x)
    if len(set("".join(result))) < len("".join(result)):
        # einsum gives no diagonals: a second letter and an identity between the two
        seen: set[str] = set()
        renamed = []
        for text in result:
            new = ""
            for x in text:
                if x in seen:
                    y = _LETTERS[len(names)]
                    names[Label(0)] = y
                    size = sizes[x].size
                    operands.append((mx.identity(size), (sizes[x], sizes[x])))
                    groups.append((x, y))
                    sizes[y] = sizes[x]
                    x = y
                seen.add(x)
                new += x
            renamed.append(new)
        result = tuple(renamed)
    if len(operands) == 1 and groups[0] == result:
        return mx.product([*graph.scalars, operands[0][0]])
    shapes = tuple(tuple(sizes[x].size for text in group for x in text) for group in groups)
    subscripts = ",".join("".join(g) for g in groups) + "->" + "".join(result)
    shape = tuple(x.size for x in graph.out)
    full = (shape[0], 1) if len(shape) == 1 else shape
    data = Indices(subscripts, shapes, (*groups, result))
    node = Node("einsum", tuple(n for n, _ in operands), full, data)
    return mx.product([*graph.scalars, node])
