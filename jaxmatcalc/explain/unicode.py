"""Expressions in Unicode, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from jaxmatcalc.explain.drawing import ATOM, PRODUCT, Text, multiple_of_pi
from jaxmatcalc.explain.notation import Style
from jaxmatcalc.explain.tensor import Number

_ABOVE = str.maketrans("0123456789-+/.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ᐟ·")
_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_FRACTIONS = {
    Fraction(1, 2): "½", Fraction(1, 3): "⅓", Fraction(2, 3): "⅔", Fraction(1, 4): "¼",
    Fraction(3, 4): "¾", Fraction(1, 5): "⅕", Fraction(1, 6): "⅙", Fraction(1, 8): "⅛",
}  # fmt: skip
_FUNCTIONS = {"sigmoid": "σ", "digamma": "ψ"}


def written(name: str) -> str:
    """The name of a constant, with its number below the line."""
    return name.translate(_BELOW)


class Unicode(Style):
    """Writes expressions in Unicode."""

    one, plain, transposed, inverse_transposed = "𝟏", True, "ᵀ", "⁻ᵀ"

    def symbol(self, name: str) -> str:
        """A name."""
        return name

    def constant(self, name: str) -> str:
        """The name of a constant."""
        return written(name)

    def number(self, value: Number) -> str:
        """A positive number."""
        turns = multiple_of_pi(value)
        if turns is not None:
            return ("" if turns == 1 else self.number(turns)) + "π"
        if value in _FRACTIONS:
            return _FRACTIONS[Fraction(value)]
        return str(value) if isinstance(value, Fraction) else f"{value:.6g}"

    def exponent(self, value: Number) -> str:
        """A number above the line."""
        text = str(value) if isinstance(value, Fraction) else f"{value:.6g}"
        return text.translate(_ABOVE)

    def entrywise(self, exponent: str) -> str:
        """An exponent of every entry."""
        return f"∘{exponent}"

    def superscript(self, base: str, above: str) -> str:
        """Something above the line."""
        return base + above

    def to_the(self, base: str, exponent: str, entrywise: bool) -> str:
        """A power whose exponent is an expression."""
        above = exponent if exponent.isalnum() else f"({exponent})"
        return f"{base}.^{above}" if entrywise else f"{base}^{above}"

    def indexed(self, name: str, sizes: Sequence[int]) -> str:
        """A matrix that is known by its size."""
        if name == "I":
            return name
        joint = "" if all(n < 10 for n in sizes) else ","
        return name + joint.join(str(n).translate(_BELOW) for n in sizes)

    def with_indices(self, base: str, groups: Sequence[str]) -> str:
        """An array with a letter, or several, on each axis."""
        text = ",".join(g if len(g) == 1 else f"({g})" for g in groups)
        return f"{base}[{text}]" if groups else base

    def summation(self, letters: str, factors: Sequence[str]) -> str:
        """A sum over letters."""
        text = " ".join(factors)
        return f"Σ_{letters} {text}" if letters else text

    def brackets(self, text: str) -> str:
        """Something in brackets."""
        return f"({text})"

    def times(self, left: str, right: str, tight: bool) -> str:
        """Two factors side by side, with a sign between them unless they are letters."""
        return left + ("" if tight else "·") + right

    def fraction(self, over: Text, under: Text) -> Text:
        """A quotient."""
        top = over[0] if over[1] >= PRODUCT else f"({over[0]})"
        bottom = under[0] if under[1] >= ATOM else f"({under[0]})"
        return f"{top} / {bottom}", PRODUCT

    def root(self, text: str) -> str:
        """A square root."""
        return f"√{text}" if len(text) == 1 else f"√({text})"

    def absolute(self, text: str) -> str:
        """An absolute value."""
        return f"|{text}|"

    def norm(self, text: str, vector: bool) -> str:
        """A norm."""
        return f"‖{text}‖" if vector else f"‖{text}‖F"

    def function(self, name: str, text: str) -> str:
        """A function of something."""
        name = _FUNCTIONS.get(name, name)
        return name + text if text.startswith("|") and text.endswith("|") else f"{name}({text})"
