"""Sums and products made shorter: like terms, common factors on the left and on the right."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.tensor import Number, number

_LONG = 12  # terms; a longer sum is left as it is


def summed(terms: Sequence[Node]) -> Node:
    """The sum of expressions, as short as common factors make it."""
    parts = _like(terms)
    if len(parts) > _LONG or any(len(p.shape) > 2 for p in parts):
        return signed(parts)
    while len(parts) > 1:
        best: tuple[int, int, int, Node] | None = None
        for j, a in enumerate(parts):
            for k in range(j + 1, len(parts)):
                for joined in _joined(a, parts[k]):
                    gain = a.length + parts[k].length + 1 - joined.length
                    if gain > 0 and (best is None or gain > best[0]):
                        best = gain, j, k, joined
        if best is None:
            break
        _, j, k, joined = best
        parts = [joined if n == j else p for n, p in enumerate(parts) if n != k]
    return signed(parts)


def _like(terms: Sequence[Node]) -> list[Node]:
    scales: dict[Node, Number] = {}
    for t in terms:
        scale, rest = mx.coefficient(t)
        scales[rest] = number(scales.get(rest, 0) + scale)
    kept = [mx.product([mx.scalar(s), rest]) for rest, s in scales.items() if s != 0]
    return kept or [mx.product([mx.scalar(0), terms[0]])]


def signed(parts: Sequence[Node]) -> Node:
    """A sum with a positive term first, and the number that all terms share in front."""
    if len(parts) == 1:
        return parts[0]
    scales = [mx.coefficient(p)[0] for p in parts]
    first = sorted(range(len(parts)), key=lambda k: (scales[k] < 0,))
    ordered = [parts[k] for k in first]
    shared = _shared(scales)
    if shared != 1:
        ordered = [mx.product([mx.scalar(1 / shared), p]) for p in ordered]
        return mx.product([mx.scalar(shared), mx.total(ordered)])
    return mx.total(ordered)


def _shared(scales: Sequence[Number]) -> Number:
    """The number that all coefficients are, but for the sign."""
    sizes = {abs(s) for s in scales}
    if len(sizes) > 1:
        return Fraction(1)
    (size,) = sizes
    return -size if all(s < 0 for s in scales) else size


def _split(x: Node) -> tuple[Number, list[Node], list[Node]]:
    """Number, scalars and chain of matrices whose product an expression is."""
    factors = x.args if x.kind == "product" else (x,)
    scale: Number = Fraction(1)
    scalars, chain = [], []
    for f in factors:
        if f.kind == "number":
            scale = number(scale * f.data)
        elif not f.shape:
            scalars.append(f)
        else:
            chain.append(f)
    return scale, scalars, chain


def _joined(a: Node, b: Node) -> list[Node]:
    """Ways to write a + b with a common factor in front of or behind brackets."""
    found = []
    (s, x, u), (t, y, v) = _split(a), _split(b)
    shared = [f for f in x if f in y]
    x2, y2 = _minus(x, shared), _minus(y, shared)
    left = 0
    while left < min(len(u), len(v)) and u[left] == v[left]:
        left += 1
    right = 0
    while right < min(len(u), len(v)) - left and u[-1 - right] == v[-1 - right]:
        right += 1
    ends = {(left, 0), (0, right), (left, right)} if u and v else {(0, 0)}
    scale = s if abs(s) == abs(t) else Fraction(1)
    for first, last in sorted(ends):
        if not first and not last and not shared and scale == 1:
            continue
        inner = [
            _inner(number(c / scale), rest, chain[first : len(chain) - last], whole)
            for c, rest, chain, whole in ((s, x2, u, a), (t, y2, v, b))
        ]
        if any(i is None for i in inner):
            continue
        first_inner, second_inner = inner
        assert first_inner is not None and second_inner is not None
        if first_inner.shape != second_inner.shape:
            first_inner, second_inner = _matched(first_inner, second_inner)
            if first_inner.shape != second_inner.shape:
                continue
        brackets = signed(_like([first_inner, second_inner]))
        chain = [*u[:first], brackets, *u[len(u) - last :]]
        found.append(mx.product([mx.scalar(scale), *shared, *chain]))
    if (
        len(u) == len(v) == 1
        and not x2
        and not y2
        and u[0].kind == v[0].kind == "kron"
        and len(u[0].args) == len(v[0].args) == 2
    ):
        found += _kroneckers(s, t, shared, u[0], v[0])
    return found


def _inner(scale: Number, scalars: list[Node], chain: list[Node], whole: Node) -> Node | None:
    return mx.product([mx.scalar(scale), *scalars, *chain])


def _matched(a: Node, b: Node) -> tuple[Node, Node]:
    """A number beside a square matrix is that number times I."""
    if not a.shape and len(b.shape) == 2 and b.shape[0] == b.shape[1]:
        return mx.product([a, mx.identity(b.shape[0])]), b
    if not b.shape and len(a.shape) == 2 and a.shape[0] == a.shape[1]:
        return a, mx.product([b, mx.identity(a.shape[0])])
    return a, b


def _minus(factors: Sequence[Node], gone: Sequence[Node]) -> list[Node]:
    left = list(factors)
    for g in gone:
        left.remove(g)
    return left


def _kroneckers(s: Number, t: Number, shared: list[Node], a: Node, b: Node) -> list[Node]:
    """B ⊗ A + C ⊗ A = (B + C) ⊗ A."""
    (a1, a2), (b1, b2) = a.args, b.args
    scale = s if abs(s) == abs(t) else Fraction(1)
    s, t = number(s / scale), number(t / scale)
    if a1 == b1:
        joined = mx.kron(a1, signed(_like([_times(s, a2), _times(t, b2)])))
    elif a2 == b2:
        joined = mx.kron(signed(_like([_times(s, a1), _times(t, b1)])), a2)
    else:
        return []
    return [mx.product([mx.scalar(scale), *shared, joined])]


def _times(scale: Number, x: Node) -> Node:
    return mx.product([mx.scalar(scale), x])


def dot(factors: Sequence[Node]) -> Node:
    """The sum of the entries of a product of columns."""
    if len(factors) == 1:
        (x,) = factors
        if x.kind == "power" and x.data == 2:
            base = x.args[0]
            if base.kind == "symbol":
                return mx.product([mx.transpose(base), base])
            return mx.power(mx.function("norm", base), 2)
        return mx.product([mx.transpose(mx.ones(x.shape[0])), x])
    best = None
    for k, f in enumerate(factors):
        rest = mx.hadamard([g for j, g in enumerate(factors) if j != k])
        for left, right in ((f, rest), (rest, f)):
            found = mx.product([mx.transpose(left), right])
            if best is None or (found.length, _weight(found)) < (best.length, _weight(best)):
                best = found
    assert best is not None
    return best


def _weight(x: Node) -> int:
    """How many transposes and products by entries are in an expression."""
    own = x.kind in ("transpose", "hadamard")
    return own + sum(map(_weight, x.args))


def turned(x: Node) -> Node:
    """The transpose of the transpose, where that is much shorter to write."""
    if len(x.shape) != 2:
        return x
    scale, rest = mx.coefficient(x)
    inside = mx.transpose(rest)
    if rest.kind not in ("sum", "product") or _has(rest, "kron") or inside.length + 2 > rest.length:
        return x
    return mx.product([mx.scalar(scale), Node("transpose", (inside,), rest.shape)])


def _has(x: Node, kind: str) -> bool:
    return x.kind == kind or any(_has(a, kind) for a in x.args)


def negated(x: Node) -> Node:
    """The same with the other sign."""
    scale, rest = mx.coefficient(x)
    return mx.product([mx.scalar(-scale), rest])
