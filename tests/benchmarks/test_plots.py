"""The pictures show what the results hold, and say which results they are of."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import measure, plot_ratios, plots, report, results
from benchmarks.cases import CASES
from benchmarks.contenders import BASELINE

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"device": "cpu: cpu", "cpu": "a CPU", "cores": "2", "python": "3", "jax": "1"}


def record(name: str, n: int, task: str = "hessian", **more: Any) -> measure.Record:
    """A measurement in which each contender is half as fast as the one before it."""
    names = (report.OURS, BASELINE, "peer")
    spread = n * 1e-6 * np.array([0.9, 1, 1.2])
    run = {c: measure.summary(spread * 2**i) for i, c in enumerate(names)}
    return {
        "name": f"{name}-n{n}",
        "task": task,
        "sizes": {"n": n},
        "why": f"why {name}",
        "wanted": None,
        "dtype": "float32",
        "date": "2026-01-02T03:04:05+00:00",
        "contenders": {c: {"run": run[c]} for c in names},
        **more,
    }


def some(**changes: Any) -> results.Results:
    """Two cases and a curve."""
    points = [record("cubic-curve", n, curve=True, answer_bytes=4 * n * n) for n in (32, 8, 16)]
    main = [record("energy", 3, wanted=4.0), record("energy-value", 3, "value", **changes)]
    return results.Results(ENVIRONMENT, [*main, *points])


def test_every_task_has_a_group() -> None:
    grouped = [task for tasks in plot_ratios.GROUPS.values() for task in tasks]
    assert len(set(grouped)) == len(grouped)
    assert {case.task for case in CASES} <= set(grouped)


def test_what_is_shown_is_in_the_results() -> None:
    rows = plots.shown(some(), "float32", "ratios")["rows"]
    assert [row["name"] for row in rows] == ["energy-n3", "energy-value-n3"]
    assert (rows[0]["peer"], rows[0]["wanted"]) == (BASELINE, 4.0)
    assert rows[0]["ratio"] == pytest.approx(2)
    assert rows[0]["lower"] < 2 < rows[0]["upper"]
    found = plots.shown(some(), "float32", "curves")["curves"]
    assert list(found) == ["cubic"]
    assert [point["n"] for point in found["cubic"]["points"]] == [8, 16, 32]
    assert found["cubic"]["points"][0]["times"]["peer"][1] == pytest.approx(32e-6)


def test_other_data_have_another_digest() -> None:
    digests = {
        plots.digest(plots.shown(found, "float32", "ratios"))
        for found in (some(), some(), some(wanted=3.0))
    }
    assert len(digests) == 2


def test_committed_pictures_are_of_the_committed_results() -> None:
    committed = results.load(results.COMMITTED / "cpu.json")
    files = report.pictures(committed, "cpu")
    for (dtype, kind), name in files.items():
        expected = plots.digest(plots.shown(committed, dtype, kind))
        assert plots.digest_in(results.COMMITTED / name) == expected, (
            f"{name} is not of these results: python -m benchmarks report --readme"
        )
    assert {path.name for path in results.COMMITTED.glob("*.svg")} == set(files.values())


def test_pictures_need_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(results.UnusableResults, match="pictures need matplotlib"):
        plots.write(some(), tmp_path, "cpu")


@pytest.fixture
def drawn(tmp_path: Path) -> list[Path]:
    pytest.importorskip("matplotlib")
    return plots.write(some(), tmp_path / "new", "here")


def test_pictures_have_names_as_text_and_the_digest_of_their_data(drawn: list[Path]) -> None:
    ratios, curves = drawn
    assert (ratios.name, curves.name) == ("here.svg", "here-curves.svg")
    said = [set(re.findall(r">([^<>]+)</text>", path.read_text("utf-8"))) for path in drawn]
    assert {"energy-n3", "energy-value-n3", "2.00×", "Hessians", "Values and gradients"} <= said[0]
    assert {"cubic", "why cubic-curve", "8", "16", "32", BASELINE, report.OURS, "peer"} <= said[1]
    for path, kind in zip(drawn, ("ratios", "curves"), strict=True):
        assert plots.digest_in(path) == plots.digest(plots.shown(some(), "float32", kind))


def test_equal_data_give_equal_files(drawn: list[Path], tmp_path: Path) -> None:
    again = plots.write(some(), tmp_path / "again", "here")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in drawn]


def test_the_time_to_write_the_answer_is_drawn_where_it_is_known(
    drawn: list[Path], tmp_path: Path
) -> None:
    known = some()
    known.bandwidth = {"write": 9.3e9, "bytes": 2**28}
    picture = plots.write(known, tmp_path, "here")[1]
    line = "the answer written at 9.30 GB/s"
    assert line in picture.read_text("utf-8")
    assert line not in drawn[1].read_text("utf-8")


def test_report_draws_into_a_folder(
    drawn: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "here.json"
    some().save(file)
    assert command.main(["report", str(file), "--plots", str(tmp_path / "drawn")]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written == [str(tmp_path / "drawn" / path.name) for path in drawn]
    assert all(Path(path).exists() for path in written)


def test_readme_and_pictures_come_from_one_command(
    drawn: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme, folder = tmp_path / "README.md", tmp_path / "results"
    readme.write_text(f"# A page\n{report.OPENING}\n{report.CLOSING}\nend\n", "utf-8")
    monkeypatch.setattr(command, "README", readme)
    monkeypatch.setattr(command, "COMMITTED", folder)
    whole = some()
    for found in whole.records:
        for contender in found["contenders"].values():
            contender["compile"] = measure.summary([1.0])
        found["compile_limit"] = None
    whole.save(folder / "cpu.json")
    assert command.main(["report", str(folder / "cpu.json"), "--readme"]) == 0
    text = readme.read_text("utf-8")
    assert report.into_readme(text, whole) == text
    assert "](benchmarks/results/cpu.svg)" in text
    assert "](benchmarks/results/cpu-curves.svg)" in text
    assert {path.name for path in folder.iterdir()} == {"cpu.json", "cpu.svg", "cpu-curves.svg"}
