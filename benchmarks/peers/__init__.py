"""The peers, one module a package.

Those that are not JAX have the cases' functions in their own words, under the names that these have
in `functions.py`, and `TASKS`, which says what each task is there. They run in processes of their
own, see `apart.py`, and are imported nowhere else.
"""

from __future__ import annotations

import ast
from pathlib import Path


def functions(framework: str) -> frozenset[str]:
    """The public functions of a framework's module, read without importing it."""
    source = Path(__file__).with_name(f"{framework}.py").read_text(encoding="utf-8")
    defined = (node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in defined if not node.name.startswith("_"))
