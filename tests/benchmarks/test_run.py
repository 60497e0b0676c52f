"""The command `run`: a stopped run is finished by the same command, and mistakes are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import pytest

from benchmarks import __main__ as command
from benchmarks import environment, measure, report, results
from benchmarks.cases import Case
from benchmarks.contenders import BASELINE, TASKS, Contender

pytestmark = pytest.mark.usefixtures("no_processes")
VARIANT = "jax, linearised"
BANDWIDTH = {"write": 1e9, "bytes": 8}


@pytest.fixture
def measured(energy: Case, brief: measure.Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two tiny cases of three contenders, and the names of those that are measured."""
    names: list[str] = []

    def counted(case: Case, *args: Any, **kwargs: Any) -> measure.Record:
        names.append(case.name)
        return measure.measure(case, *args, **kwargs)

    monkeypatch.setattr(command, "CASES", (energy, energy.at(n=2)))
    monkeypatch.setattr(command, "QUICK", brief)
    monkeypatch.setattr(command, "measure", counted)
    monkeypatch.setattr(command, "bandwidth", lambda: BANDWIDTH)
    few = {name: TASKS["hessian"][name] for name in (BASELINE, VARIANT, report.OURS)}
    monkeypatch.setitem(TASKS, "hessian", few)
    return names


def test_stopped_run_is_finished_by_the_same_command(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.json"
    line = ["run", "--quick", "--out", str(out)]
    with monkeypatch.context() as patch:
        whole = command.measure

        def stopped(case: Case, *args: Any, **kwargs: Any) -> measure.Record:
            if case.name == "energy-n2":
                raise KeyboardInterrupt
            return whole(case, *args, **kwargs)

        patch.setattr(command, "measure", stopped)
        assert command.main(line) == 130
    kept = results.load(out).records
    assert [record["name"] for record in kept] == ["energy-n3"]

    assert command.main(line) == 0
    assert measured == ["energy-n3", "energy-n2"]  # each once
    assert results.load(out).records[0] == kept[0]

    # A longer measurement is another one; so is one in another dtype.
    monkeypatch.setattr(command, "QUICK", measure.Settings(0.0, 3, 3, 1))
    assert command.main([*line, "--cases", "energy-n2"]) == 0
    assert command.main([*line, "--cases", "energy-n2", "--dtype", "float64"]) == 0
    assert measured[2:] == ["energy-n2", "energy-n2"]
    assert len(results.load(out).records) == 3


def test_bandwidth_is_measured_once_a_file(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.json"
    line = ["run", "--quick", "--out", str(out), "--cases"]
    assert command.main([*line, "energy-n2"]) == 0
    monkeypatch.setattr(command, "bandwidth", lambda: pytest.fail("again"))
    assert command.main([*line, "energy-n3"]) == 0
    assert results.load(out).bandwidth == BANDWIDTH


def test_record_of_fewer_contenders_is_measured_again(
    measured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.json"
    line = ["run", "--quick", "--out", str(out), "--cases", "energy-n2"]

    def names() -> set[str]:
        return set(results.load(out).records[0]["contenders"])

    assert command.main([*line, "--contenders", "jax, l*"]) == 0
    assert names() == {BASELINE, VARIANT}
    assert command.main([*line, "--contenders", VARIANT]) == 0
    assert len(measured) == 1  # it was there
    assert command.main([*line, "--contenders", report.OURS]) == 0
    assert names() == {BASELINE, VARIANT, report.OURS}  # none is lost
    assert command.main(line) == 0
    assert len(measured) == 2

    # One that could not be installed is measured when it is there, and not asked for before.
    few = {**TASKS["hessian"], "peer": Contender(jax.hessian, needs="no_such_package")}
    monkeypatch.setitem(TASKS, "hessian", few)
    assert command.main(line) == 0
    assert len(measured) == 2
    record = results.load(out).records[0]
    absent = {**record, "missing": {"peer": "no_such_package is not installed"}}
    refused = {**record, "missing": {"peer": "peer differs from jax"}}
    for kept, whole in ((absent, False), (refused, True)):
        found = results.Results({}, [kept])
        assert found.has(record["name"], "float32", command.QUICK, {BASELINE, "peer"}) == whole


def test_bandwidth_and_platform_of_this_machine() -> None:
    found = environment.bandwidth(size=2**20, repeats=3)
    assert found["bytes"] == 2**20
    assert 1e6 < found["write"] < 1e14
    assert environment.choose(jax.default_backend()) is None


def test_run_keeps_no_time_of_a_wrong_answer(
    measured: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "results.json"
    wrong = {
        BASELINE: Contender(jax.hessian),
        report.OURS: Contender(lambda f: lambda *args: 2 * jax.hessian(f)(*args)),
    }
    monkeypatch.setitem(TASKS, "hessian", wrong)
    assert command.main(["run", "--quick", "--out", str(out)]) == 1
    assert "energy-n2 not timed" in capsys.readouterr().err
    assert measured == ["energy-n3", "energy-n2"]
    assert not out.exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["run", "--cases", "energy", "unheard-of"], "no case is called 'unheard-of'"),
        (["run", "--contenders", "jax", "Fortran"], "no contender is called 'Fortran'"),
        (["run", "--platform", "tpu"], "JAX finds no tpu here: it computes on the cpu"),
        (["report", "absent.json"], "there is no file absent.json"),
        (["report", "README.md"], "README.md is not a results file"),
    ],
)
def test_mistake_gets_one_sentence(
    line: list[str],
    sentence: str,
    measured: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    assert command.main(line) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not measured


def test_results_of_another_machine_are_not_continued(
    measured: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    results.Results({**command.environment(), "jaxlib": "0.0.1"}).save(out)
    assert command.main(["run", "--quick", "--out", str(out)]) == 2
    assert "was measured with jaxlib '0.0.1'" in capsys.readouterr().err
    assert not measured
