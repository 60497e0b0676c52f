"""The lists of operations agree: ops, the catalogue's comparisons, the exports, the README."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import jaxmatcalc as jmc
from jaxmatcalc import identities

ROOT = Path(__file__).parents[1]
FAMILIES = sorted(
    path.stem for path in (ROOT / "jaxmatcalc/ops").glob("*.py") if not path.stem.startswith("_")
)


def operations_of(family: str) -> set[str]:
    """The public functions of a file of ops: those with an example for their reader."""
    module = importlib.import_module(f"jaxmatcalc.ops.{family}")
    return {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "import jaxmatcalc as jmc" in (inspect.getdoc(function) or "")
    }


OPERATIONS = {name: family for family in FAMILIES for name in operations_of(family)}


def test_every_family_has_operations_and_identities() -> None:
    assert set(OPERATIONS.values()) == set(FAMILIES) <= set(identities.families())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_catalogue_compares_every_operation_of_the_family(family: str) -> None:
    assert {entry.name for entry in identities.operations(family)} == operations_of(family)


def test_every_operation_is_exported() -> None:
    assert set(OPERATIONS) <= set(jmc.__all__)
    exported = {
        name
        for name in jmc.__all__
        if inspect.isfunction(getattr(jmc, name))
        and getattr(jmc, name).__module__.startswith("jaxmatcalc.ops")
    }
    assert exported == set(OPERATIONS)
    assert all(
        getattr(jmc, name).__module__ == f"jaxmatcalc.ops.{family}"
        for name, family in OPERATIONS.items()
    )


def test_the_readme_lists_every_operation() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Operations\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    assert section
    rows = re.findall(r"^\| `(\w+)", section[1], re.MULTILINE)
    assert sorted(rows) == sorted(OPERATIONS)
