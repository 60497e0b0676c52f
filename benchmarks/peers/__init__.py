"""The peers, one module a package.

Those that are not JAX have the cases' functions in their own words, under the names that these have
in `functions.py`, and `TASKS`, which says what each task is there. One that has `WORDS`, a module
with NumPy's names, has the functions of `shared` too. They run in processes of their own, see
`apart.py`, and are imported nowhere else.
"""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import shared


def functions(framework: str) -> frozenset[str]:
    """The names of the functions that a framework has words for, read without importing it."""
    body = _body(framework)
    assigned = {ast.unparse(node.targets[0]) for node in body if isinstance(node, ast.Assign)}
    return _public(body) | (_public(_body("shared")) if "WORDS" in assigned else frozenset())


def function(framework: str, name: str) -> Callable[..., Any]:
    """A function of the cases in a framework's words; the framework is imported."""
    module = importlib.import_module(f"{__name__}.{framework}")
    own = getattr(module, name, None)
    return own or functools.partial(getattr(shared, name), module.WORDS)


def _body(module: str) -> list[ast.stmt]:
    path = Path(__file__).with_name(f"{module}.py")
    return ast.parse(path.read_text(encoding="utf-8")).body


def _public(body: list[ast.stmt]) -> frozenset[str]:
    defined = (node for node in body if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in defined if not node.name.startswith("_"))
