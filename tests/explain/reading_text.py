"""Reads the Unicode that `explain` prints, as a reader of it would, and computes what it says.

It shares nothing with the printer. Everything has two axes here, vectors are columns, numbers are
(1, 1). 𝟏 and I are printed without their sizes, which follow from what stands beside them; hence a
formula is read as a function of the shape that is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Size = int | None
Array = np.ndarray


class Unreadable(Exception):
    """What is not written in the notation that is read here."""


@dataclass(frozen=True)
class Part:
    """A part of a formula: its sizes, where they are known, and its value for sizes."""

    rows: Size
    columns: Size
    value: Callable[[Size, Size], Array]

    def of(self, rows: Size = None, columns: Size = None) -> Array:
        """The value, in the sizes that are wanted where its own are not known."""
        found = self.value(joined(self.rows, rows), joined(self.columns, columns))
        assert rows in (None, found.shape[0]) and columns in (None, found.shape[1])
        return found

    @property
    def is_number(self) -> bool:
        return self.rows == self.columns == 1


def joined(a: Size, b: Size) -> Size:
    assert None in (a, b) or a == b, f"sizes {a} and {b} do not fit"
    return b if a is None else a


def known(value: Any) -> Part:
    value = np.asarray(value, float)
    value = value.reshape(-1, 1) if value.ndim < 2 else value
    if value.ndim > 2:
        raise Unreadable("an array of more axes")
    rows, columns = value.shape
    return Part(rows, columns, lambda rows, columns: value)


def needed(size: Size) -> int:
    if size is None:
        raise Unreadable("a size that follows from nothing")
    return size


IDENTITY = Part(None, None, lambda m, n: np.eye(needed(joined(m, n))))
ONES = Part(None, 1, lambda m, n: np.ones((needed(m), 1)))


def mapped(f: Callable[[Array], Any], a: Part) -> Part:
    """A function of every entry."""
    return Part(a.rows, a.columns, lambda m, n: f(a.of(m, n)))


def both(f: Callable[[Array, Array], Array], a: Part, b: Part) -> Part:
    """A function of two entries in the same place."""
    m, n = joined(a.rows, b.rows), joined(a.columns, b.columns)
    return Part(m, n, lambda m, n: f(a.of(m, n), b.of(m, n)))


def times(a: Part, b: Part) -> Part:
    if a.is_number or b.is_number:
        number, rest = (a, b) if a.is_number else (b, a)
        return mapped(lambda value: number.of() * value, rest)
    for one, other in ((a, b), (b, a)):
        if one is IDENTITY:
            return other
    inner = joined(a.columns, b.rows)
    return Part(a.rows, b.columns, lambda m, n: a.of(m, inner) @ b.of(inner, n))


def crossed(a: Part, b: Part) -> Part:
    """A Kronecker product; the size of one factor follows from that of the other."""

    def divided(whole: Size, other: Size) -> Size:
        return None if whole is None or other is None else whole // other

    def value(m: Size, n: Size) -> Array:
        left = a.of(a.rows or divided(m, b.rows), a.columns or divided(n, b.columns))
        return np.kron(left, b.of(divided(m, len(left)), divided(n, left.shape[1])))

    def multiplied(a: Size, b: Size) -> Size:
        return None if a is None or b is None else a * b

    return Part(multiplied(a.rows, b.rows), multiplied(a.columns, b.columns), value)


def by_columns(a: Part, b: Part) -> Part:
    """A Kronecker product column by column."""
    left, right = a.of(None, b.columns), b.of(None, a.columns)
    return known(np.stack([np.kron(*c) for c in zip(left.T, right.T, strict=True)], axis=1))


def transposed(a: Part) -> Part:
    return Part(a.columns, a.rows, lambda m, n: a.of(n, m).T)


def diagonal(a: Part) -> Part:
    if a.columns == 1:
        return Part(a.rows, a.rows, lambda m, n: np.diag(a.of(joined(m, n), 1)[:, 0]))
    return Part(a.rows, 1, lambda m, n: np.diagonal(a.of(m, m))[:, None])


def commutation(rows: int, columns: int) -> Array:
    """K vec A = vec Aᵀ for every A of this shape."""
    units = np.eye(rows * columns).reshape(-1, columns, rows)  # each the Aᵀ of a vec A that is one
    return np.stack([turned.T.ravel() for turned in units], axis=1)


ENTRIES: dict[str, Callable[[Array], Any]] = {
    "exp": np.exp, "log": np.log, "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh,
    "sinh": np.sinh, "cosh": np.cosh, "sign": np.sign, "arctan": np.arctan,
    "σ": lambda u: 1 / (1 + np.exp(-u)), "softplus": lambda u: np.log(1 + np.exp(u)),
    "step": lambda u: np.where(u > 0, 1.0, 0.0), "relu": lambda u: np.maximum(u, 0),
}  # fmt: skip
ARRAYS: dict[str, Callable[[Array], Any]] = {
    "tr": np.trace, "det": np.linalg.det, "tril": np.tril, "triu": np.triu,
    "vec": lambda A: A.T.reshape(-1, 1), "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
    "adj": lambda A: np.linalg.det(A) * np.linalg.inv(A),
}  # fmt: skip
FRACTIONS = {
    "½": 1 / 2, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 1 / 4, "¾": 3 / 4, "⅕": 1 / 5, "⅙": 1 / 6, "⅛": 1 / 8,
}  # fmt: skip
ABOVE = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ·", "0123456789-/.")
BELOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
FUNCTION = rf"({'|'.join([*ENTRIES, *ARRAYS, 'diag'])})(?=[(|])"
NUMBER = r"[0-9]+(\.[0-9]+)?(e[-+][0-9]+|/[0-9]+)?"  # 𝟏 is a digit as well
EXPONENT = r"⁻?[⁰¹²³⁴-⁹]+(?:[ᐟ·][⁰¹²³⁴-⁹]+)?"


def ratio(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


class Reader:
    """Reads a formula from left to right: a sum of crosses of products of entries of products."""

    def __init__(self, text: str, names: dict[str, Part]):
        self.rest = text
        self.names = names
        self.closing = ""  # the bar that ends what is being read

    def take(self, pattern: str) -> str:
        """What stands here, if it is this; else nothing."""
        found = re.match(pattern, self.rest)
        self.rest = self.rest[found.end() :] if found else self.rest
        return found.group() if found else ""

    def whole(self) -> Part:
        found = self.sum()
        if self.rest:
            raise Unreadable(f"{self.rest} is left")
        return found

    def joined_by(self, signs: dict[str, Callable[[Part, Part], Part]], part: Any) -> Part:
        found = part()
        while sign := self.take(f" [{''.join(signs)}] "):
            found = signs[sign.strip()](found, part())
        return found

    def sum(self) -> Part:
        negative = self.take("−")
        found = self.joined_by({"⊗": crossed, "⊙": by_columns}, self.entries)
        found = mapped(np.negative, found) if negative else found
        while sign := self.take(" [+−] "):
            term = self.joined_by({"⊗": crossed, "⊙": by_columns}, self.entries)
            found = both(np.add if "+" in sign else np.subtract, found, term)
        return found

    def entries(self) -> Part:
        def multiplied(a: Part, b: Part) -> Part:
            return both(np.multiply, a, b)

        def divided(a: Part, b: Part) -> Part:
            return both(np.divide, a, b)

        return self.joined_by({"∘": multiplied, "⊘": divided}, self.product)

    def product(self) -> Part:
        found = self.factor()
        while self.rest and not re.match(r"[),]| ", self.rest) and self.rest[0] != self.closing:
            self.take("·")
            found = times(found, self.factor())
        if self.take(" / "):
            under = self.factor()
            assert under.is_number
            found = times(known(1 / under.of()), found)
        return found

    def factor(self) -> Part:
        found = self.atom()
        while True:
            if self.take("ᵀ"):
                found = transposed(found)
            elif self.take("⁻ᵀ"):
                found = transposed(mapped(np.linalg.inv, found))
            elif self.take("⁺"):
                found = known(np.linalg.pinv(found.of()))
            elif above := self.take(f"∘{EXPONENT}"):
                power = ratio(above[1:].translate(ABOVE))
                found = mapped(lambda A, p=power: A**p, found)
            elif above := self.take(EXPONENT):
                found = self.power(found, ratio(above.translate(ABOVE)))
            elif self.take(r"\.?\^"):
                found = both(np.power, found, self.atom())
            else:
                return found

    def power(self, a: Part, exponent: float) -> Part:
        if a.is_number:
            return mapped(lambda A: A**exponent, a)
        n = joined(a.rows, a.columns)
        assert exponent == int(exponent)
        return Part(n, n, lambda m, n: np.linalg.matrix_power(a.of(m, n), int(exponent)))

    def until(self, closing: str) -> Part:
        outer, self.closing = self.closing, closing if closing in "|‖" else ""
        found = self.sum()
        self.closing = outer
        if not self.take(re.escape(closing)):
            raise Unreadable(f"no {closing}")
        return found

    def atom(self) -> Part:
        if digits := self.take(NUMBER):
            return known(ratio(digits))
        if self.rest[:1] in FRACTIONS:
            return known(FRACTIONS[self.take(".")])
        if self.take(r"\("):
            return self.until(")")
        if self.take(r"\|"):
            return mapped(np.abs, self.until("|"))
        if self.take("‖"):
            norm = np.sqrt(np.sum(self.until("‖").of() ** 2))
            self.take("F")
            return known(norm)
        if self.take("√"):
            return mapped(np.sqrt, self.atom())
        if sizes := self.take("K[₀-₉]{2}"):
            return known(commutation(*map(int, sizes[1:].translate(BELOW))))
        if name := self.take(FUNCTION):
            return self.function(name)
        for name in sorted(self.names, key=len, reverse=True):
            if self.take(re.escape(name)):
                return self.names[name]
        for sign, part in (("𝟏", ONES), ("I", IDENTITY), ("π", known(np.pi))):
            if self.take(sign):
                return part
        raise Unreadable(self.rest)

    def function(self, name: str) -> Part:
        inner = self.atom()  # brackets, or bars
        if name == "diag":
            return diagonal(inner)
        if name in ENTRIES:
            return mapped(ENTRIES[name], inner)
        return known(ARRAYS[name](inner.of()))


def read(text: str, values: dict[str, Any], shape: tuple[int, ...]) -> Array:
    """The value of a printed formula in a shape.

    Args:
        text: the formula, with ", where M = ..." behind it for parts that have names.
        values: the arrays in it.
        shape: what the value has to be of.
    """
    if re.search(r"[\[⟨]", text):
        raise Unreadable("indices")
    names = {name: known(value) for name, value in values.items()}
    right, *parts = re.split(r", (?:where )?(?=\S+ = )", text)
    for part in reversed(parts):  # what is inside of others stands behind them
        name, _, meaning = part.partition(" = ")
        names[name] = Reader(meaning, names).whole()
    if right == "0":
        return np.zeros(shape)
    rows, columns = (*shape, 1, 1)[:2]
    return Reader(right, names).whole().of(rows, columns).reshape(shape)
