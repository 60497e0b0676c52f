"""KaTeX, which formulas in LaTeX are typeset with."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

import pytest

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
