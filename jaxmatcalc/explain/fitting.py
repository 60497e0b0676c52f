"""The factors of a formula with their shapes below them: which dimension joins which."""

from __future__ import annotations

from collections.abc import Iterator

from jaxmatcalc.explain.drawing import ATOM, CROSS, ENTRIES, PRODUCT
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.unicode import Unicode

# What stands between the factors, and what a factor is that needs no brackets
_SIGNS = {"product": "", "einsum": " ", "hadamard": "∘", "kron": "⊗", "khatri-rao": "⊙"}
_LEVELS = {"product": PRODUCT, "hadamard": ENTRIES, "kron": CROSS, "khatri-rao": CROSS}
JOINT = "─"
JOINED = f"{JOINT} joins the columns on its left to the rows on its right"

Factor = tuple[str, tuple[int, ...]]  # as it is written, and its shape


def fitting(formula: Formula) -> list[str]:
    """Two lines for each product in a formula, the outermost first: its factors, and their shapes.

    A term of one factor has the shape of its sum, and no lines.
    """
    style = Unicode(formula.names)
    lines: list[str] = []
    seen: set[Node] = set()
    waiting = [formula.expression]
    while waiting:
        x = waiting.pop(0)
        if x in seen:
            continue
        seen.add(x)
        for term in x.args if x.kind == "sum" else (x,):
            if term is not x and term in formula.names:
                waiting.append(term)
                continue
            factors = _written(term, style)
            if len(factors) > 1:
                lines += _lines(factors, _SIGNS.get(term.kind, ""))
            waiting += [part for a in term.args for part in _products(a, style)]
    return lines


def _products(x: Node, style: Unicode) -> Iterator[Node]:
    """The outermost products, and sums of them, in an expression."""
    if x.kind in ("sum", *_SIGNS) or x in style.names:
        yield x
    else:
        for a in x.args:
            yield from _products(a, style)


def _written(x: Node, style: Unicode) -> list[Factor]:
    """The factors of a product, without numbers; none of what is written as a function."""
    if x.kind == "einsum":
        drawn = zip(x.args, x.data.groups[:-1], x.data.shapes, strict=True)
        return [
            (style.with_indices(style.inside(a, ATOM), group), shape)
            for a, group, shape in drawn
            if a.kind != "ones"
        ]
    if x.kind not in _LEVELS or (x.kind == "hadamard" and Unicode().text(x)[1] == ATOM):
        return []
    level = _LEVELS[x.kind] + 1
    return [(style.inside(a, level), a.shape) for a in x.args if a.kind != "number"]


def _lines(factors: list[Factor], sign: str) -> list[str]:
    """Factors and their shapes, each below its own, and what joins them."""
    upper = lower = ""
    for k, (text, shape) in enumerate(factors):
        size = "×".join(map(str, shape)) or "scalar"
        if k:
            joins = len(shape) == 2 and factors[k - 1][1][1:] == shape[:1]
            upper += f" {sign or ' '} "
            lower += f" {sign or (JOINT if joins else ' ')} "
        width = max(len(text), len(size))
        upper, lower = upper + text.ljust(width), lower + size.ljust(width)
    return [upper.rstrip(), lower.rstrip()]
