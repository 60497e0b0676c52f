"""The shortest of the ways in which an expression may be written."""

from __future__ import annotations

from collections.abc import Sequence

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.matrices import Node


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
