"""From a function to the formulas of its derivatives, in Unicode, LaTeX and Python."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from jaxmatcalc.explain.explaining import explain
from jaxmatcalc.explain.explanation import Explanation
from jaxmatcalc.explain.formula import Formula

__all__ = ["Explanation", "Formula", "explain"]


class _Package(ModuleType):
    """This package, which may be called as the function that has its name.

    ``jaxmatcalc.explain`` is the function. Whoever imports a module of this package by its path, as
    test runners do, sets that name to the package.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        return explain(*args, **kwargs)


sys.modules[__name__].__class__ = _Package
