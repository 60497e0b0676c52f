"""The cases: contenders agree on each, names tell them apart, functions are plain JAX."""

from __future__ import annotations

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from benchmarks import functions, measure, report, timing
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE, entered

SMALL = {
    "n": 3, "k": 2, "m": 5, "d": 3, "b": 2, "l": 2, "v": 9, "c": 2, "e": 2, "f": 8, "g": 6, "i": 3,
    "p": 4, "q": 2, "s": 3, "t": 3,
}  # fmt: skip


def small(case: Case) -> Case:
    return case.at(**{letter: SMALL[letter] for letter in case.sizes})


# Cases of one key differ in size only, and points of curves from other cases too.
KEYS = {case.key: small(case) for case in CASES if not case.curve}
# Peers and variants once a task, as it takes long; each case checks them when it is measured.
WITH_PEERS = {case.task: case.key for case in reversed(KEYS.values())}


@pytest.mark.parametrize("case", KEYS.values(), ids=lambda case: case.key)
def test_contenders_of_each_case_agree(case: Case) -> None:
    dtype = "float64" if jax.config.values["jax_enable_x64"] else "float32"
    arguments = case.arguments(dtype)
    contenders = {
        name: contender
        for name, contender in entered(case.task, case.function).items()
        if name in (BASELINE, report.OURS) or WITH_PEERS[case.task] == case.key
        if contender.framework == "jax" and not measure.absent(contender)
    }
    inputs = {name: c.prepare(case.function, *arguments) for name, c in contenders.items()}
    calls = {name: jax.jit(c.build(case.function)) for name, c in contenders.items()}
    answers = {name: timing.flat(call(*inputs[name])) for name, call in calls.items()}
    errors = measure.check(answers, measure.tolerance(dtype))
    assert errors[BASELINE] == 0
    assert {BASELINE, report.OURS} <= set(errors)
    assert not [why for why in errors.values() if isinstance(why, str)]


def test_curves_are_of_functions_of_other_cases() -> None:
    points = [case for case in CASES if case.curve]
    assert {case.function for case in points} <= {c.function for c in CASES if not c.curve}
    for case in points:
        assert case.name.startswith(f"{case.key.removesuffix(report.CURVE)}{report.CURVE}-")
        assert "n" in case.sizes


def test_cases_are_told_apart_by_name(energy: Case) -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert energy.at(n=7).name == "energy-n7"


def test_functions_of_cases_are_plain_jax() -> None:
    tree = ast.parse(Path(functions.__file__).read_text(encoding="utf-8"))
    imported = {
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    }
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("jaxmatcalc") for name in imported)
    assert all(case.function.__module__ == functions.__name__ for case in CASES)


def test_arguments_are_the_same_in_every_run(energy: Case) -> None:
    for first, second in zip(energy.arguments("float32"), energy.arguments("float32"), strict=True):
        assert first.dtype == jnp.float32
        assert (first == second).all()
