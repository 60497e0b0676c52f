"""One formula of an explanation, in every notation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.latex import Latex
from jaxmatcalc.explain.matrices import constant_value
from jaxmatcalc.explain.python import LITERAL, Python
from jaxmatcalc.explain.unicode import Unicode

LONG = 14  # symbols and operators: a shorter formula is read at a glance
_PART = 4  # and so is a shorter part
_MATRICES, _VECTORS, _SCALARS = "MPQRSTUVWGHEFN", "uvwzpqrh", "stcαβγδ"


@dataclass(frozen=True)
class Formula:
    """A formula: what it is of, and the expression.

    Attributes:
        kind: "value", "gradient", "jacobian" or "hessian".
        left: the left side in Unicode.
        left_latex: the left side in LaTeX.
        shape: shape of what the formula gives.
        expression: the matrix expression.
        layout: which axes belong to what.
        taken: names that no part may be given.
        by_jax: the code that gives the same by automatic differentiation of the function `f`.
        thin: names of matrices of one row or one column.
    """

    kind: str
    left: str
    left_latex: str
    shape: tuple[int, ...]
    expression: Node = field(repr=False)
    layout: str = ""
    taken: frozenset[str] = field(default=frozenset(), repr=False)
    by_jax: str = ""
    thin: frozenset[str] = field(default=frozenset(), repr=False)

    @cached_property
    def names(self) -> dict[Node, str]:
        """Parts that stand for longer ones, and their names; empty for a short formula."""
        return named(self.expression, self.taken)

    @cached_property
    def unicode(self) -> str:
        """The right side in Unicode, with what its names stand for."""
        return self._where(Unicode(self.names), ", where ", " = ")

    @cached_property
    def latex(self) -> str:
        """The right side in LaTeX, with what its names stand for."""
        return self._where(Latex(self.names), r", \quad ", " = ")

    @cached_property
    def python(self) -> str:
        """The right side as a Python expression of `jax.numpy` and the arguments.

        What has no matrix form is left to JAX, which differentiates the function, `f`.
        """
        if self.by_jax and _has_call(self.expression):
            return self.by_jax
        return Python(self.shape, self.thin).write(self.expression)

    @cached_property
    def constants(self) -> dict[str, Any]:
        """The arrays in the formula that are no arguments, by their names."""
        return dict(_constants(self.expression))

    @property
    def held(self) -> tuple[str, ...]:
        """Those of the constants that are too large to be written out as code."""
        if self.by_jax and _has_call(self.expression):
            return ()
        return tuple(name for name, value in self.constants.items() if value.size > LITERAL)

    @property
    def length(self) -> int:
        """Number of symbols and operators, a named part counted once."""
        return _length(self.expression, self.names)

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Every factor of every term with its shape, in order: what fits to what."""
        style = Unicode(self.names)
        terms = self.expression.args if self.expression.kind == "sum" else (self.expression,)
        return tuple((style.write(f), f.shape) for t in terms for f in _factors(t))

    def _where(self, style: Unicode | Latex, first: str, equals: str) -> str:
        text = style.write(self.expression)
        used, written = set(style.used), []
        for node, name in self.names.items():
            if node not in used:  # what is written another way than it was counted
                continue
            inner = type(style)({x: n for x, n in self.names.items() if x is not node})
            written.append(style.symbol(name) + equals + inner.write(node))
            used |= inner.used
        return text + (first + ", ".join(written) if written else "")

    def __str__(self) -> str:
        return f"{self.left} = {self.unicode}"


def read_length(x: Node) -> int:
    """Number of symbols and operators, once repeated parts have names."""
    return _length(x, named(x, ()))


def _has_call(x: Node) -> bool:
    return x.kind == "call" or any(map(_has_call, x.args))


def _constants(x: Node) -> Iterator[tuple[str, Any]]:
    if x.kind == "constant":
        yield x.data[0], constant_value(x)
    for a in x.args:
        yield from _constants(a)


def _factors(term: Node) -> Iterator[Node]:
    for f in term.args if term.kind == "product" else (term,):
        if f.kind != "number":
            yield f


def _length(x: Node, names: dict[Node, str]) -> int:
    def of(y: Node, whole: bool) -> int:
        if y in names and not whole:
            return 1
        return y.length - sum(a.length for a in y.args) + sum(of(a, False) for a in y.args)

    return of(x, True) + sum(2 + of(y, True) for y in names)


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
