"""One formula of an explanation, in every notation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from jaxmatcalc.explain.latex import Latex
from jaxmatcalc.explain.matrices import Node
from jaxmatcalc.explain.naming import named
from jaxmatcalc.explain.python import Python
from jaxmatcalc.explain.unicode import Unicode


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
    """

    kind: str
    left: str
    left_latex: str
    shape: tuple[int, ...]
    expression: Node = field(repr=False)
    layout: str = ""
    taken: frozenset[str] = field(default=frozenset(), repr=False)
    by_jax: str = ""

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
        return Python(self.shape).write(self.expression)

    @property
    def length(self) -> int:
        """Number of symbols and operators, a named part counted once."""
        style = Unicode(self.names)
        return self.expression.length if style is None else _length(self.expression, self.names)

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Every factor of every term with its shape, in order: what fits to what."""
        style = Unicode(self.names)
        terms = self.expression.args if self.expression.kind == "sum" else (self.expression,)
        return tuple((style.write(f), f.shape) for t in terms for f in _factors(t))

    def _where(self, style: Unicode | Latex, first: str, equals: str) -> str:
        text = style.write(self.expression)
        for k, (node, name) in enumerate(self.names.items()):
            others = {x: n for x, n in self.names.items() if x is not node}
            inner = type(style)(others)
            text += (first if k == 0 else ", ") + style.symbol(name) + equals + inner.write(node)
        return text

    def __str__(self) -> str:
        return f"{self.left} = {self.unicode}"


def _has_call(x: Node) -> bool:
    return x.kind == "call" or any(map(_has_call, x.args))


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
