"""Cases as programs that are compiled and not run."""

from __future__ import annotations

from pathlib import Path

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks import compiled, report, targets
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE


def test_cases_that_are_compiled_where_none_is_named_exist() -> None:
    assert set(compiled.SOME) <= {case.name for case in CASES}


def test_programs_are_of_plain_jax_and_of_jaxmatcalc() -> None:
    for _, builds, inputs in compiled.programs():
        assert set(builds) == set(inputs) == {BASELINE, report.OURS}


def test_what_a_case_prepares_is_not_computed() -> None:
    case = next(case for case in CASES if case.task == "solve").at(n=3)
    name, builds, inputs = compiled.of_case(case)
    assert name == case.name
    assert set(builds) == set(inputs) == {BASELINE, report.OURS}
    for given in inputs.values():
        assert all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(given))
    assert [leaf.shape for leaf in inputs[BASELINE]] == [(9, 9), (9,)]
    found = compiled.program("cpu", builds, inputs)
    assert found[report.OURS]["bytes"] > 0


def test_case_is_compiled_for_the_processor_once(
    energy: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(command, "CASES", (energy, energy.at(n=2)))
    out = tmp_path / "compiled.json"
    line = ["compiled", "--targets", "cpu", "--cases", "energy-n3", "--out", str(out)]
    assert targets.missing("cpu") is None
    assert command.main(line) == 0
    (record,) = compiled.read(out)["programs"]
    assert (record["target"], record["name"]) == ("cpu", "energy-n3")
    for name in (BASELINE, report.OURS):
        assert record[name]["launches"] >= 1
        assert record[name]["bytes"] >= 4 * 9
        assert record[name]["flops"] > 0

    monkeypatch.setattr(compiled, "program", lambda *_: pytest.fail("compiled again"))
    assert command.main(line) == 0
    capsys.readouterr()
    assert command.main(["report", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "Compiled for these devices, not measured on them" in printed
    assert "| `energy-n3` | cpu |" in printed


def test_columns_without_a_count_have_a_dash() -> None:
    counted = {"launches": 1, "bytes": 8, "temporaries": 0}
    record = {"name": "energy-n3", "target": "h100", BASELINE: counted, report.OURS: counted}
    assert compiled._row(record)[-2:] == ("–", "–")
    flops = {**counted, "flops": 1.5e9}
    assert compiled._row({**record, BASELINE: flops, report.OURS: flops})[-2:] == ("1.50 G",) * 2
