"""Names for parts of a long formula that it has more than once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from jaxmatcalc.explain.matrices import Node

LONG = 14  # symbols and operators: a shorter formula is read at a glance
_PART = 4  # and so is a shorter part
_MATRICES, _VECTORS, _SCALARS = "MPQRSTUVWGHEFN", "uvwzpqrh", "stcαβγδ"


def named(formula: Node, taken: Iterable[str]) -> dict[Node, str]:
    """Names of repeated parts, in the order in which they are best explained."""
    names: dict[Node, str] = {}
    used = set(taken)
    if formula.length < LONG:
        return names
    while True:
        counts = Counter(_parts(formula, names))
        gains = {
            x: (n - 1) * (x.length - 1) - 2
            for x, n in counts.items()
            if n > 1 and x.length >= _PART
        }
        gains = {x: gain for x, gain in gains.items() if gain > 0}
        if not gains:
            break
        best = max(gains, key=lambda x: (gains[x], x.length))
        letters = _SCALARS if not best.shape else _VECTORS if best.is_vector else _MATRICES
        name = next((c for c in letters if c not in used), None)
        if name is None:
            break
        names[best] = name
        used.add(name)
    # the outermost part first: what it is made of is named after it
    return dict(sorted(names.items(), key=lambda pair: -pair[0].length))


def _parts(x: Node, names: dict[Node, str]) -> Iterable[Node]:
    """Every part of an expression, not those of named parts but once."""
    seen: set[Node] = set()

    def walk(y: Node) -> Iterable[Node]:
        if y in names:
            if y not in seen:
                seen.add(y)
                for a in y.args:
                    yield from walk(a)
            return
        if y.kind not in (
            "symbol",
            "constant",
            "number",
            "identity",
            "ones",
            "commutation",
            "transpose",
        ):
            yield y
        for a in y.args:
            yield from walk(a)

    return walk(x)
