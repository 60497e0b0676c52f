"""What a notation draws: letters, numbers, brackets, fractions."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from fractions import Fraction

from jaxmatcalc.explain.tensor import Number

# How strongly a form holds together: a part of a weaker one stands in brackets.
SUM, CROSS, ENTRIES, PRODUCT, SIGNED, ATOM = range(6)

Text = tuple[str, int]  # what is written, and how strongly it holds together


class Drawing(abc.ABC):
    """The signs of a notation."""

    one: str
    plain: bool
    transposed: str
    inverse_transposed: str

    @abc.abstractmethod
    def symbol(self, name: str) -> str:
        """A name."""

    @abc.abstractmethod
    def constant(self, name: str) -> str:
        """The name of a constant."""

    @abc.abstractmethod
    def number(self, value: Number) -> str:
        """A positive number."""

    @abc.abstractmethod
    def exponent(self, value: Number) -> str:
        """A number above the line."""

    @abc.abstractmethod
    def entrywise(self, exponent: str) -> str:
        """An exponent of every entry."""

    @abc.abstractmethod
    def superscript(self, base: str, above: str) -> str:
        """Something above the line."""

    @abc.abstractmethod
    def to_the(self, base: str, exponent: str, entrywise: bool) -> str:
        """A power whose exponent is an expression."""

    @abc.abstractmethod
    def indexed(self, name: str, sizes: Sequence[int]) -> str:
        """A matrix that is known by its size."""

    @abc.abstractmethod
    def with_indices(self, base: str, groups: Sequence[str]) -> str:
        """An array with a letter, or several, on each axis."""

    @abc.abstractmethod
    def summation(self, letters: str, factors: Sequence[str]) -> str:
        """A sum over letters."""

    @abc.abstractmethod
    def brackets(self, text: str) -> str:
        """Something in brackets."""

    @abc.abstractmethod
    def times(self, left: str, right: str, tight: bool) -> str:
        """Two factors side by side, with a sign between them unless they are letters."""

    @abc.abstractmethod
    def fraction(self, over: Text, under: Text) -> Text:
        """A quotient."""

    @abc.abstractmethod
    def root(self, text: str) -> str:
        """A square root."""

    @abc.abstractmethod
    def absolute(self, text: str) -> str:
        """An absolute value."""

    @abc.abstractmethod
    def norm(self, text: str, vector: bool) -> str:
        """A norm."""

    @abc.abstractmethod
    def function(self, name: str, text: str) -> str:
        """A function of something."""


def multiple_of_pi(value: Number) -> Fraction | None:
    """How many times π a number is, if that is a small fraction."""
    if isinstance(value, Fraction):
        return None
    turns = Fraction(value / math.pi).limit_denominator(8)
    near = turns != 0 and abs(float(turns) * math.pi - value) < 1e-6 * abs(value)
    return turns if near else None
