"""Expressions in LaTeX, as KaTeX and MathJax read it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from jaxmatcalc.explain.drawing import PRODUCT, Text, multiple_of_pi
from jaxmatcalc.explain.notation import Style
from jaxmatcalc.explain.tensor import Number

_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "varphi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi",
    "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip
_KNOWN = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "det"}
_NAMED = {
    "sigmoid": r"\sigma",
    "digamma": r"\psi",
    "lgamma": r"\log\Gamma",
    "tr": r"\operatorname{tr}",
}


class Latex(Style):
    """Writes expressions in LaTeX."""

    one, plain = r"\mathbf{1}", False
    transposed, inverse_transposed = r"\top", r"-\top"
    plus, minus = " + ", " - "
    hadamard, division = r" \circ ", r" \oslash "
    kron, khatri_rao = r" \otimes ", r" \odot "

    def symbol(self, name: str) -> str:
        """A name."""
        head, _, index = name.partition("_")
        digits = head.rstrip("0123456789")
        if digits != head and not index and digits:
            head, index = digits, head[len(digits) :]
        text = "\\" + _GREEK[head] if head in _GREEK else head
        if head in _GREEK and not index:
            return "{" + text + "}"
        if len(head) > 1 and head not in _GREEK:
            text = r"\mathrm{{{}}}".format(head.replace("_", r"\_"))
        return text if not index else "{}_{{{}}}".format(text, index.replace("_", r"\_"))

    def constant(self, name: str) -> str:
        """The name of a constant."""
        return self.symbol(name)

    def number(self, value: Number) -> str:
        """A positive number."""
        turns = multiple_of_pi(value)
        if turns is not None:
            return ("" if turns == 1 else self.number(turns)) + r"\pi "
        if isinstance(value, Fraction) and value.denominator != 1:
            return rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}"
        return self._plain(value)

    def _plain(self, value: Number) -> str:
        if isinstance(value, Fraction):
            return str(value)
        text = f"{value:.6g}"
        if "e" in text:
            mantissa, _, exponent = text.partition("e")
            return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
        return text

    def exponent(self, value: Number) -> str:
        """A number above the line."""
        return self._plain(value)

    def entrywise(self, exponent: str) -> str:
        """An exponent of every entry."""
        return r"\circ " + exponent

    def superscript(self, base: str, above: str) -> str:
        """Something above the line."""
        kept = f"{{{base}}}" if "^" in base or "_" in base else base
        return f"{kept}^{{{above}}}"

    def to_the(self, base: str, exponent: str, entrywise: bool) -> str:
        """A power whose exponent is an expression."""
        return self.superscript(base, self.entrywise(exponent) if entrywise else exponent)

    def indexed(self, name: str, sizes: Sequence[int]) -> str:
        """A matrix that is known by its size."""
        if name == "I":
            return name
        joint = "" if all(n < 10 for n in sizes) else ","
        return f"{name}_{{{joint.join(map(str, sizes))}}}"

    def with_indices(self, base: str, groups: Sequence[str]) -> str:
        """An array with a letter, or several, on each axis."""
        if not groups:
            return base
        text = ",".join(g if len(g) == 1 else f"({g})" for g in groups)
        return f"{{{base}}}_{{{text}}}"

    def summation(self, letters: str, factors: Sequence[str]) -> str:
        """A sum over letters."""
        text = r"\, ".join(factors)
        return rf"\textstyle\sum_{{{letters}}} {text}" if letters else text

    def brackets(self, text: str) -> str:
        """Something in brackets."""
        return rf"\left({text}\right)"

    def times(self, left: str, right: str, tight: bool) -> str:
        """Two factors side by side."""
        return rf"{left} \cdot {right}" if right[0].isdigit() else rf"{left} {right}"

    def fraction(self, over: Text, under: Text) -> Text:
        """A quotient."""
        return rf"\frac{{{over[0]}}}{{{under[0]}}}", PRODUCT

    def root(self, text: str) -> str:
        """A square root."""
        return rf"\sqrt{{{text}}}"

    def absolute(self, text: str) -> str:
        """An absolute value."""
        return rf"\left|{text}\right|"

    def norm(self, text: str, vector: bool) -> str:
        """A norm."""
        return r"\left\|{}\right\|_{{{}}}".format(text, "2" if vector else "F")

    def function(self, name: str, text: str) -> str:
        """A function of something."""
        if name in _NAMED:
            head = _NAMED[name]
        elif name in _KNOWN:
            head = "\\" + name
        else:
            body, _, index = name.partition("_")
            head = rf"\operatorname{{{body}}}"
            if body.startswith("∂") or "'" in body:
                primes = body.count("'")
                plain = body.strip("∂'0123456789²").replace("_", r"\_")
                marks = r"\partial " * (body.count("∂") + 2 * body.count("²") - body.count("∂²"))
                head = "{" + marks + rf"\mathrm{{{plain}}}" + "'" * primes + "}"
            head += r"_{{\mathrm{{{}}}}}".format(index.replace("_", r"\_")) if index else ""
        inner = text if text.startswith(r"\left|") else rf"\left({text}\right)"
        return head + inner
