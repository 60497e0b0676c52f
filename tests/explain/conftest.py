"""What printed formulas are tried with: KaTeX for LaTeX, a reader for Unicode."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.numeric import evaluate
from tests.explain.reading_text import Unreadable, read

# Where the extra `test` brings it
HAS_KATEX = (
    sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 14)
)


@pytest.fixture(scope="session")
def typeset() -> Callable[[str], None]:
    """Typesets a formula, strictly: a command or bracket that LaTeX does not have is an error."""
    if not HAS_KATEX:
        pytest.skip("pykatex is built for Linux on x86-64")
    import pykatex

    def run(latex: str) -> None:
        try:
            html = pykatex.renderToString(latex, displayMode=True, strict="error")
        except pykatex.ParseError as error:
            raise AssertionError(f"{error}\n{latex}") from None
        assert "katex-html" in html

    return run


@pytest.fixture(scope="session")
def readable() -> Callable[[Formula, dict[str, Any]], bool]:
    """Whether the text of a formula can be read again; it then says what the formula is."""

    def run(formula: Formula, values: dict[str, Any]) -> bool:
        values = {name: np.asarray(value, float) for name, value in values.items()}
        expected = np.asarray(evaluate(formula.expression, values), float)
        below = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
        held = {name.translate(below): value for name, value in formula.constants.items()}
        try:
            actual = read(formula.unicode, values | held, expected.shape)
        except Unreadable:
            return False
        scale = max(1.0, float(np.abs(expected).max()))  # numbers are printed with six digits
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * scale)
        return True

    return run
