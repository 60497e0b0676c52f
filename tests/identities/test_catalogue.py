"""The catalogue is complete, consistent and says where each of its statements comes from."""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

import jaxmatcalc.identities as identities
from jaxmatcalc.identities.sample import DIMS, FLAGS

ENTRIES = identities.catalogue()
EVERY = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
STRUCTURES = {
    "zero",
    "identity",
    "diagonal",
    "permutation",
    "kronecker",
    "kronecker+commutation",
    "low-rank",
    "dense",
}
# Numbers of the list of 188 checked identities from which the catalogue was made.
KEYS = {
    "A": "01 02 03 04 06 08 12 13 14 15 17 18 20 22 23 25 26 27 28 29 32 33 34 36 37",
    "B": "01 03 04 05 06 07 08 10 11 13",
    "C": "02 03 04 10 11 12 13 15 16 17 19 20 22 23 24 26 28 30 31 32 34 35 36 37 38 40 42 43 44 45"
    " 46",
    "D": "01 03 04 08 09 10 11 12 13 14 16 17 18 22 24 25 27 29 30 31 32 33 34",
    "E": "01 02 05 06 08 09 11 12 13 14",
    "F": "03 04 06 07 08 09 10 13 14 17 18 20 21 22 23 24 25 26 27 28 30 31 35 36",
    "G": "01 04 05 06 07 08 12 13 14 15 17 18 19 20",
    "H": "01 03 05 06 07 09 11 12",
    "I": "01 02 03 04 05 07 08 09 10 14 16",
    "J": "01 02 03 04 06 08 09 12",
    "K": "01 02 03 04 05 06 07 08",
    "L": "01 02 03 05 06 07",
    "M": "04 05 06 07 08 09 10 13 14 15",
}
SOURCE = re.compile(r"MC ?\(\d+\)|MC section|MN |WP|derived|\(\d{4}\)|arXiv:\d|rule")


def test_there_are_enough_entries_in_every_family():
    assert len(ENTRIES) >= 240
    assert all(len(identities.catalogue(family)) >= 10 for family in identities.families())


def test_names_and_keys_are_unique():
    names = Counter(entry.name for entry in ENTRIES)
    keys = Counter(entry.key for entry in ENTRIES if entry.key)
    assert [name for name, count in (names + keys).items() if count > 1] == []


def test_the_identities_that_the_catalogue_grew_from_are_all_there():
    wanted = {letter + number for letter, text in KEYS.items() for number in text.split()}
    assert {entry.key for entry in ENTRIES} - {""} == wanted and len(wanted) == 188


def test_the_catalogue_lists_every_file_of_its_folder():
    folder = Path(inspect.getfile(identities)).parent
    files = {path.stem for path in folder.glob("*.py") if "IDENTITIES = " in path.read_text()}
    assert files == set(identities.families())


@pytest.mark.parametrize("family", identities.families())
def test_closed_forms_use_no_automatic_differentiation_and_nothing_of_the_package(family):
    folder = Path(inspect.getfile(identities)).parent
    tree = ast.parse((folder / f"{family}.py").read_text())
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not attributes & {"grad", "jvp", "vjp", "jacobian", "jacfwd", "jacrev", "hessian"}
    imports = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {name for name in imports if name and name.startswith("jaxmatcalc")}
    assert ours <= {"jaxmatcalc.identities.conventions", "jaxmatcalc.identities.record"}


@EVERY
def test_the_record_is_complete(entry):
    assert re.fullmatch(r"[\w+-]+", entry.name)
    assert entry.family in identities.families()
    assert entry.kind in identities.KINDS
    assert SOURCE.search(entry.source)
    assert not entry.key or re.fullmatch(r"[A-M]\d\d", entry.key)
    assert not entry.structure or entry.structure in STRUCTURES
    assert entry.layout
    assert entry.variable == entry.sample[0].name


@EVERY
def test_the_statement_is_an_equation_in_balanced_latex(entry):
    assert " = " in entry.statement
    assert entry.expression and entry.result
    for text in (entry.expression, entry.result, entry.statement):
        depths = list(_depths(text))
        assert min(depths, default=0) >= 0 and (depths or [0])[-1] == 0
        assert text.count(r"\left") == text.count(r"\right")


@EVERY
def test_functions_take_the_sample_by_name(entry):
    names = [argument.name for argument in entry.sample]
    last = {"vjp": ["Cbar"]}.get(entry.kind, ["dX"] if "differential" in entry.kind else [])
    assert list(inspect.signature(entry.function).parameters) == names
    assert list(inspect.signature(entry.derivative).parameters) == names + last
    for argument in entry.sample:
        assert argument.flag in (*FLAGS, "same")
        assert all(letter in DIMS for dim in argument.dims for letter in dim.split("*"))


@pytest.mark.parametrize("number", [92, 95, 127, 524, 51, 55])
def test_misprints_of_the_matrix_cookbook_are_noted(number):
    entries = [entry for entry in ENTRIES if f"MC({number})" in entry.source]
    assert entries and all(f"MC({number})" in entry.note for entry in entries)


def test_the_catalogue_can_be_filtered():
    assert {entry.family for entry in identities.catalogue("trace")} == {"trace"}
    hessians = identities.catalogue(kind="hessian")
    assert {entry.kind for entry in hessians} == {"hessian"}
    both = identities.catalogue("inverse", "hessian")
    assert both == tuple(entry for entry in hessians if entry.family == "inverse")
    assert identities.get(ENTRIES[7].name) is ENTRIES[7]


def test_mistakes_are_answered_in_a_sentence():
    with pytest.raises(ValueError, match="needs family to be"):
        identities.catalogue("tensors")
    with pytest.raises(ValueError, match="needs kind to be"):
        identities.catalogue(kind="integral")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"near are .*trace-of-XA"):
        identities.get("trace-of-XAA")


def _depths(text: str):
    depth = 0
    for character in text:
        depth += {"{": 1, "}": -1}.get(character, 0)
        yield depth
