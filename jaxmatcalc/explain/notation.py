"""How an expression is written in mathematical notation: order, brackets, signs, fractions.

What a style draws, Unicode or LaTeX, is its own; where brackets go is the same for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from jaxmatcalc.explain.drawing import ATOM, CROSS, ENTRIES, PRODUCT, SIGNED, SUM, Drawing, Text
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.matrices import coefficient, constant_value, hadamard, product, scalar


class Style(Drawing):
    """Writes expressions.

    Args:
        names: names of expressions that are not written out.
    """

    plus, minus, hadamard, division, kron, khatri_rao = " + ", " − ", " ∘ ", " ⊘ ", " ⊗ ", " ⊙ "

    def __init__(self, names: dict[Node, str] | None = None):
        self.names = names or {}
        self.used: set[Node] = set()  # those of the names that were written

    def write(self, x: Node) -> str:
        """The text of an expression."""
        return self.text(x)[0]

    def inside(self, x: Node, level: int) -> str:
        """The text of a part, in brackets if it holds together less than the whole."""
        text, own = self.text(x)
        return text if own >= level else self.brackets(text)

    def text(self, x: Node) -> Text:
        """The text of an expression, and how strongly it holds together."""
        if x in self.names:
            self.used.add(x)
            return self.symbol(self.names[x]), ATOM
        method = getattr(self, f"_{x.kind.replace('-', '_')}", None)
        assert method is not None, x.kind
        return method(x)

    def _symbol(self, x: Node) -> Text:
        return self.symbol(x.data), ATOM

    def _constant(self, x: Node) -> Text:
        return self.constant(x.data[0]), ATOM

    def _zero(self, x: Node) -> Text:
        return "0", ATOM

    def _number(self, x: Node) -> Text:
        text = self.number(abs(x.data))
        return (self.minus.strip() + text, SIGNED) if x.data < 0 else (text, ATOM)

    def _identity(self, x: Node) -> Text:
        return self.indexed("I", (x.data,)), ATOM

    def _ones(self, x: Node) -> Text:
        return self.one, ATOM

    def _commutation(self, x: Node) -> Text:
        return self.indexed("K", x.data), ATOM

    def _sum(self, x: Node) -> Text:
        text = ""
        for k, term in enumerate(x.args):
            scale, rest = coefficient(term)
            negative = scale < 0
            shown = product([scalar(abs(scale)), rest]) if negative else term
            written = self.inside(shown, CROSS)
            if k:
                text += self.minus if negative else self.plus
            elif negative:
                text += self.minus.strip()
            text += written
        return text, SUM

    def _product(self, x: Node) -> Text:
        scale, rest = coefficient(x)
        factors = rest.args if rest.kind == "product" else (rest,)
        over = [f for f in factors if not _divides(f) and not f.shape]
        under = [_flipped(f) for f in factors if _divides(f) and not f.shape]
        chain = [f for f in factors if f.shape]
        sign = self.minus.strip() if scale < 0 else ""
        scale = abs(scale)
        if under:
            if isinstance(scale, Fraction) and scale.denominator != 1:
                under.insert(0, scalar(scale.denominator))
                scale = Fraction(scale.numerator)
            above = [*([scalar(scale)] if scale != 1 else []), *over, *chain]
            top = self._row(above) if len(above) > 1 else (self.text(above[0]) if above else None)
            bottom = self._row(under) if len(under) > 1 else self.text(under[0])
            text = self.fraction(top or ("1", ATOM), bottom)
        elif scale != 1:
            parts = [*over, *chain]
            if len(parts) == 1:
                first, shown = parts[0], self.inside(parts[0], CROSS + 1)
            else:
                first, shown = parts[0], self._row(parts)[0]
            number = self.number(scale)
            tight = "/" not in number and (self._starts_short(first) or not shown[0].isdigit())
            text = self.times(number, shown, tight), PRODUCT
        else:
            text = self._row([*over, *chain])
        return (sign + text[0], min(text[1], PRODUCT)) if sign else text

    def _row(self, factors: Sequence[Node]) -> Text:
        """Factors side by side, repeated ones as powers."""
        runs: list[tuple[Node, int]] = []
        for f in factors:
            if runs and runs[-1][0] == f and f.shape and f.shape[0] == f.shape[1]:
                runs[-1] = f, runs[-1][1] + 1
            else:
                runs.append((f, 1))
        parts = [self._repeated(f, n) if n > 1 else self.inside(f, PRODUCT + 1) for f, n in runs]
        text = parts[0]
        for (left, _), (right, _), part in zip(runs, runs[1:], parts[1:], strict=False):
            text = self.times(text, part, self._is_short(left) and self._starts_short(right))
        return text, PRODUCT if len(parts) > 1 else SIGNED if runs[0][1] > 1 else ATOM

    def _is_short(self, x: Node) -> bool:
        """Whether a factor ends so that a letter after it is another factor."""
        if x.kind == "constant":
            return True
        if x in self.names or x.kind == "symbol":
            return len(self.write(x)) == 1
        if x.kind in ("transpose", "inverse", "power"):
            return self._is_short(x.args[0])
        return True

    def _starts_short(self, x: Node) -> bool:
        """Whether a factor is a letter, or begins with a bracket."""
        if x.kind == "constant":
            return True
        if x in self.names or x.kind == "symbol":
            return len(self.write(x)) == 1
        if x.kind in ("transpose", "inverse", "power"):
            return self._starts_short(x.args[0])
        written = (
            "sum",
            "product",
            "hadamard",
            "kron",
            "khatri-rao",
            "norm",
            "identity",
            "ones",
            "commutation",
        )
        return x.kind in (*written, "einsum")

    def _repeated(self, x: Node, n: int) -> str:
        if x.kind == "inverse":
            return self.raised(x.args[0], self.exponent(Fraction(-n)))
        if x.kind == "transpose" and x.args[0].kind == "inverse":
            base = self.raised(x.args[0].args[0], self.exponent(Fraction(-n)))
            return self.superscript(self.brackets(base), self.transposed)
        if x.kind == "transpose":
            base = self.raised(x.args[0], self.exponent(Fraction(n)))
            return self.superscript(self.brackets(base), self.transposed)
        return self.raised(x, self.exponent(Fraction(n)))

    def raised(self, base: Node, exponent: str) -> str:
        """An expression with something above it."""
        text, level = self.text(base)
        if level < ATOM or (base.kind == "power" and base not in self.names):
            text = self.brackets(text)
        return self.superscript(text, exponent)

    def _transpose(self, x: Node) -> Text:
        (inner,) = x.args
        if inner.kind == "inverse" and inner not in self.names:
            return self.raised(inner.args[0], self.inverse_transposed), ATOM
        if inner.kind == "power" and inner not in self.names:
            return self.superscript(self.brackets(self.write(inner)), self.transposed), ATOM
        text, level = self.text(inner)
        raised = inner.kind == "inverse" or (inner.kind == "function" and inner.data == "pinv")
        if level < ATOM or (raised and inner not in self.names):
            text = self.brackets(text)
        return self.superscript(text, self.transposed), ATOM

    def _inverse(self, x: Node) -> Text:
        return self.raised(x.args[0], self.exponent(Fraction(-1))), ATOM

    def _hadamard(self, x: Node) -> Text:
        sides = [(f, side) for f in x.args if (side := _triangle(f))]
        if sides:
            mask, side = sides[0]
            rest = [f for f in x.args if f is not mask]
            return self.function(side, self.write(hadamard(rest))), ATOM
        over = [f for f in x.args if not _divides(f)]
        under = [_flipped(f) for f in x.args if _divides(f)]
        text = self.hadamard.join(self.inside(f, ENTRIES + 1) for f in over) or self.one
        for f in under:
            text += self.division + self.inside(f, ENTRIES + 1)
        return text, ENTRIES

    def _kron(self, x: Node) -> Text:
        return self.kron.join(self.inside(a, CROSS + 1) for a in x.args), CROSS

    def _khatri_rao(self, x: Node) -> Text:
        return self.khatri_rao.join(self.inside(a, CROSS + 1) for a in x.args), CROSS

    def _power(self, x: Node) -> Text:
        (base,) = x.args
        if x.data == Fraction(1, 2):
            return self.root(self.write(base)), ATOM
        if x.data == -1 and base.shape:
            return self.one + self.division + self.inside(base, ENTRIES + 1), ENTRIES
        if x.data < 0 and not base.shape:
            return self.fraction(("1", ATOM), self.text(_flipped(x)))
        exponent = self.exponent(x.data)
        if base.shape:
            exponent = self.entrywise(exponent)
        inner = self.inside(base, ATOM)
        wide = ("transpose", "inverse", "power", "entries", "trace", "det", "logdet")
        if base.kind in wide and base not in self.names:
            inner = self.brackets(self.write(base))
        return self.superscript(inner, exponent), ATOM

    def _entries(self, x: Node) -> Text:
        if x.data == "power":
            base, exponent = x.args
            above = self.write(exponent)
            return self.to_the(self.inside(base, ATOM), above, bool(x.shape)), ATOM
        if x.data == "abs":
            return self.absolute(self.write(x.args[0])), ATOM
        return self.function(x.data, self.write(x.args[0])), ATOM

    def _diag(self, x: Node) -> Text:
        return self.function("diag", self.write(x.args[0])), ATOM

    _diagonal = _diag

    def _vec(self, x: Node) -> Text:
        return self.function("vec", self.write(x.args[0])), ATOM

    def _trace(self, x: Node) -> Text:
        return self.function("tr", self.write(x.args[0])), ATOM

    def _det(self, x: Node) -> Text:
        return self.function("det", self.write(x.args[0])), ATOM

    def _logdet(self, x: Node) -> Text:
        return self.function(
            "log", self.absolute(self.function("det", self.write(x.args[0])))
        ), ATOM

    def _norm(self, x: Node) -> Text:
        return self.norm(self.write(x.args[0]), x.args[0].shape[1] == 1), ATOM

    def _function(self, x: Node) -> Text:
        if x.data == "pinv":
            return self.raised(x.args[0], "⁺" if self.plain else "+"), ATOM
        return self.function(x.data, self.write(x.args[0])), ATOM

    def _frechet(self, x: Node) -> Text:
        arguments = ", ".join(self.write(a) for a in x.args)
        return self.function(f"L_{x.data}", arguments), ATOM

    def _frechet_matrix(self, x: Node) -> Text:
        return self.function(f"D_{x.data}", self.write(x.args[0])), ATOM

    def _call(self, x: Node) -> Text:
        return self.function(x.data.name, ", ".join(self.write(a) for a in x.args)), ATOM

    def _einsum(self, x: Node) -> Text:
        *operands, result = x.data.groups
        factors = [
            self.with_indices(self.inside(a, ATOM), group)
            for a, group in zip(x.args, operands, strict=True)
        ]
        kept = set("".join(result))
        pairs = zip(x.args, operands, factors, strict=True)
        factors = [f for a, g, f in pairs if a.kind != "ones" or not kept.issuperset("".join(g))]
        letters = dict.fromkeys("".join("".join(g) for g in operands))
        text = self.summation("".join(c for c in letters if c not in kept), factors)
        return (self.with_indices(f"[{text}]", result), ATOM) if result else (text, PRODUCT)


def _divides(x: Node) -> bool:
    return x.kind == "power" and x.data < 0


def _flipped(x: Node) -> Node:
    """The reciprocal of a power with a negative exponent."""
    if x.data == -1:
        return x.args[0]
    return Node("power", x.args, x.shape, -x.data, x.symmetric)


def _triangle(x: Node) -> str:
    """The name of the triangle that a constant of zeros and ones keeps, if it is one."""
    turned = x.kind == "transpose"
    inner = x.args[0] if turned else x
    if inner.kind != "constant" or 1 in inner.shape:
        return ""
    value = constant_value(inner).T if turned else constant_value(inner)
    ones = np.ones(value.shape)
    return next((name for name, side in _SIDES.items() if (value == side(ones)).all()), "")


_SIDES = {"tril": np.tril, "triu": np.triu}
