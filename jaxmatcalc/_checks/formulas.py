"""Mistakes in a typed formula: a sentence, then the formula with the place underlined."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np


class FormulaError(ValueError):
    """A formula that cannot be read, or whose shapes do not fit.

    Attributes:
        sentence: what is wrong.
        picture: the formula, and below it a mark at the place; empty where no place is to blame.
    """

    def __init__(self, sentence: str, picture: str = ""):
        super().__init__(f"{sentence}\n{picture}" if picture else sentence)
        self.sentence, self.picture = sentence, picture


def formula(text: str, span: tuple[int, int], sentence: str) -> NoReturn:
    """The formula is wrong between these two places."""
    start, end = span
    line = text.replace("\n", " ").replace("\t", " ")
    raise FormulaError(sentence, f"  {line}\n  {' ' * start}{'^' * max(1, end - start)}")


def expected(text: str, span: tuple[int, int], what: str) -> NoReturn:
    """Another symbol was expected at this place."""
    start, end = span
    came = f"`{text[start:end]}`" if text[start:end].strip() else "the end of the formula"
    formula(text, span, f"The formula needs {what} at position {start + 1}; got {came}.")


def unknown_function(text: str, span: tuple[int, int], name: str, known: Iterable[str]) -> NoReturn:
    """The name before a parenthesis is not that of a function."""
    close = difflib.get_close_matches(name, [*known], 1)
    hint = f"did you mean `{close[0]}`?" if close else f"for a product write `{name}*(`."
    formula(text, span, f"The formula has no function `{name}`; {hint}")


def unused(names: Iterable[str], formula_names: Iterable[str], option: str) -> None:
    """What is said of names is said of names that the formula has."""
    have = list(formula_names)
    for name in names:
        if name not in have:
            listing = ", ".join(f"`{n}`" for n in have) or "no names"
            raise FormulaError(
                f"`{option}` needs a name of the formula, which has {listing}; got `{name}`."
            )


def arity(text: str, span: tuple[int, int], name: str, counts: tuple[int, ...], got: int) -> None:
    """The function has as many arguments as it can have."""
    if got not in counts:
        listing = " or ".join(map(str, counts))
        plural = "" if counts == (1,) else "s"
        formula(text, span, f"`{name}` needs {listing} argument{plural}; got {got}.")


def operand_kind(text: str, span: tuple[int, int], name: str, need: str, got: str) -> NoReturn:
    """A function or operator has an operand of a kind that it is not defined for."""
    formula(text, span, f"`{name}` needs {need}; got {got}.")


def mismatch(
    text: str, span: tuple[int, int], symbol: str, need: str, got: tuple[str, str], hint: str = ""
) -> NoReturn:
    """The shapes of two operands do not fit each other."""
    sentence = f"`{symbol}` needs {need}; got {got[0]} and {got[1]}"
    formula(text, span, f"{sentence}; {hint}." if hint else f"{sentence}.")


def matching_shape(name: str, got: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """An array has the shape that the formula was read for."""
    if got != shape:
        raise ValueError(f"The formula needs `{name}` of shape {shape}; got shape {got}.")


def formula_shape(name: str, shape: Any) -> tuple[int | None, ...]:
    """A shape of at most two sizes, each a whole number or None."""
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else None
    if (
        sizes is None
        or len(sizes) > 2
        or not all(s is None or (isinstance(s, int | np.integer) and s >= 0) for s in sizes)
    ):
        raise FormulaError(
            f"The formula needs a shape of at most two sizes for `{name}`; got {shape!r}."
        )
    return tuple(None if size is None else int(size) for size in sizes)


def declared_square(name: str, square: bool, shape: tuple[int | None, ...]) -> None:
    """A name that is declared symmetric is that of a square matrix."""
    if not square:
        raise FormulaError(
            f"The formula needs a square matrix for `{name}`, since it is declared symmetric; "
            f"got shape {shape}."
        )
