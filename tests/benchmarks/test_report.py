"""Tables of results; the README has those of the committed ones."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import benchmarks.text
from benchmarks import comparing, measure, report, results
from benchmarks.cases import CASES
from benchmarks.contenders import BASELINE

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"device": "cpu: cpu", "cpu": "a CPU", "cores": "2", "python": "3", "jax": "1"}


def record(ours: float, name: str = "energy-n3", theirs: float = 1.0) -> measure.Record:
    """A measurement with the given run times; jaxmatcalc takes thrice JAX's time to compile."""

    def contender(run: float, compile_: float) -> measure.Record:
        ratios = [theirs / run * spread for spread in (0.9, 1.0, 1.1)]
        times = {"run": measure.summary([run]), "compile": measure.summary([compile_])}
        return {"error": 0.0, **times, "ratio": measure.summary(ratios)}

    return {
        "name": name,
        "task": "hessian",
        "dtype": "float32",
        "date": "2026-01-02T03:04:05+00:00",
        "wanted": 10.0,
        "compile_limit": 2.0,
        "contenders": {BASELINE: contender(theirs, 0.1), report.OURS: contender(ours, 0.3)},
    }


def test_table_sets_missed_figures_in_bold() -> None:
    cells = report.row(record(0.01))
    assert cells[:4] == ("`energy-n3`", "1.00 s", "10.0 ms", "100×")
    assert cells[4:] == ("–", "**3.00×**", "≥ 10×, compile ≤ 2×")
    assert report.row(record(0.2))[3] == "**5.00×**"
    assert report.row({**record(0.2), "wanted": None, "compile_limit": None})[3:] == (
        "5.00×",
        "–",
        "3.00×",
        "–",
    )


def test_family_is_a_table_of_operations_by_size() -> None:
    members = [
        {
            **record(ours, name),
            "function": function,
            "sizes": {"b": b, "n": 4},
            "wanted": 1,
            "family": True,
        }
        for name, function, b, ours in (
            ("one", "many_norms", 1, 0.5),
            ("two", "many_norms", 1000, 2.0),
            ("three", "traces", 1, 0.25),
        )
    ]
    text = report.table([record(0.01), *members])
    assert "| `energy-n3` | 1.00 s | 10.0 ms |" in text
    assert "| operation | b = 1; n = 4 | b = 1,000; n = 4 |" in text
    assert "| many norms | 2.00× | **0.50×** |" in text
    assert "| traces | 4.00× | – |" in text


def point(n: int, **runs: float) -> measure.Record:
    """A point of a curve, with the run time of each contender."""
    one = record(0.5, f"energy-curve-n{n}")
    base = one["contenders"][BASELINE]
    ran = {name: {**base, "run": measure.summary([time])} for name, time in runs.items()}
    return {**one, "curve": True, "sizes": {"n": n}, "why": "why it is drawn", "contenders": ran}


def test_curve_is_a_table_of_times_by_n() -> None:
    points = [point(8, jax=1.0, jaxmatcalc=0.5, peer=2.0), point(4, jax=0.1, jaxmatcalc=0.2)]
    text = report.report(results.Results(ENVIRONMENT, [record(0.01), *points]))
    tables = text.split("Time against n, energy: why it is drawn.")
    assert "energy-curve" not in tables[0]
    lines = tables[1].splitlines()[2:6]
    assert lines[0] == "| point | jax | jaxmatcalc | peer |"
    assert lines[2] == "| `energy-curve-n4` | 100 ms | 200 ms | – |"
    assert lines[3] == "| `energy-curve-n8` | 1.00 s | 500 ms | 2.00 s |"


def test_memory_has_columns_where_it_was_measured() -> None:
    known = record(0.01)
    known["contenders"][BASELINE]["memory"] = {"peak": 2_500_000}
    known["contenders"][report.OURS]["memory"] = {"peak": 0}
    text = report.table([known, record(0.1, "other")])
    header, _, first, second = text.splitlines()
    assert "| ratio | fastest other | memory: JAX | jaxmatcalc | compile ratio |" in header
    assert "| 100× | – | 2.50 MB | 0 B |" in first
    assert "| 10.0× | – | – | – |" in second
    assert "memory" not in report.table([record(0.01)])


def test_every_contender_has_a_line_and_a_missing_one_its_reason() -> None:
    measured = {**record(0.01), "missing": {"torch": "torch: no module\nnamed 'torch'"}}
    measured["contenders"]["jax, chunked"] = {
        **measured["contenders"][BASELINE], "memory": {"peak": None, "why": "it died"},
    }  # fmt: skip
    lines = report.everyone([measured, point(4, jax=1.0)]).splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[:2] for row in cells] == [
        ["`energy-n3`", name] for name in (BASELINE, report.OURS, "jax, chunked", "torch")
    ]
    assert cells[1][2:] == ["10.0 ms (10.0 ms to 10.0 ms)", "100×", "300 ms", "–", "0e+00", ""]
    assert cells[2][-1] == "it died"
    assert cells[3][2:] == [*["–"] * 5, "torch: no module named 'torch'"]


def test_a_record_without_jaxmatcalc_is_in_the_table_of_contenders_only() -> None:
    alone = record(0.01)
    del alone["contenders"][report.OURS]
    found = results.Results(ENVIRONMENT, [alone])
    assert report.table([alone]) == ""
    assert "| `energy-n3` | jax |" in report.report(found)
    assert not report.pictures(found, "cpu")
    assert "| 1.00 s → 1.00 s | – → 10.0 ms | – → 100× |" in comparing.compare(
        found, results.Results(ENVIRONMENT, [record(0.01)])
    )


def test_another_way_of_jaxmatcalc_is_no_peer_of_it() -> None:
    both = record(0.01)
    both["contenders"][f"{report.OURS}, operator"] = both["contenders"][report.OURS]
    assert report.fastest_peer(both) == BASELINE


def test_a_peer_that_is_not_compiled_has_no_compile_ratio() -> None:
    measured = record(0.01)
    measured["contenders"]["PyTorch"] = {
        **measured["contenders"][BASELINE], "run": measure.summary([0.5]), "compile": None,
    }  # fmt: skip
    against_jax = ("1.00 s", "10.0 ms", "100×", "PyTorch 50.0×", "**3.00×**")
    assert report.row(measured)[1:6] == against_jax
    to_beat = ("500 ms (PyTorch)", "10.0 ms", "50.0×", "–", "–")
    assert report.row({**measured, "task": "forms"})[1:6] == to_beat
    assert "| PyTorch | 500 ms (500 ms to 500 ms) | 1.00× | – |" in report.everyone([measured])


def test_compare_takes_files_of_other_cases_and_contenders() -> None:
    fewer, more = record(0.01), record(0.01)
    more["contenders"]["peer"] = {**more["contenders"][BASELINE], "run": measure.summary([1e-3])}
    points = [point(4, jax=1.0, jaxmatcalc=0.5), point(4, jax=1.0, jaxmatcalc=0.5, peer=0.1)]
    old = results.Results(ENVIRONMENT, [fewer, points[0], record(1.0, "gone")])
    new = results.Results(ENVIRONMENT, [more, points[1], record(1.0, "come")])
    text = comparing.compare(old, new)
    assert (
        "| `energy-n3` | float32 | 1.00 s → 1.00 s | 10.0 ms → 10.0 ms | 100× → 100× |  |" in text
    )
    assert "| `energy-curve-n4` |" in text
    assert "Only in the new results: come." in text
    assert "Only in the old results: gone." in text


def test_compare_finds_what_became_slower() -> None:
    environment = ENVIRONMENT
    old = results.Results(environment, [record(0.01), record(0.01, "same"), record(0.01, "gone")])
    # A machine of half the speed takes twice the time for both, and is no slower library.
    slower_machine = record(0.02, "same", theirs=2.0)
    new = results.Results({**environment, "jax": "2"}, [record(0.02), slower_machine])
    text = comparing.compare(old, new)
    lines = {line.split("`")[1]: line for line in text.splitlines() if "`" in line}
    assert set(lines) == {"energy-n3", "same"}
    assert "10.0 ms → 20.0 ms" in lines["energy-n3"]
    assert "**slower**" in lines["energy-n3"]
    assert "slower" not in lines["same"]
    assert "faster" in comparing.compare(new, old)
    assert "different jax" in text


def test_doctests_of_numbers() -> None:
    outcome = doctest.testmod(benchmarks.text)
    assert outcome.attempted
    assert not outcome.failed


def test_readme_without_markers_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(results.UnusableResults, match="no lines"):
        report.into_readme("# A page\n", results.Results({}, []))


def test_readme_shows_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    committed = results.load(results.COMMITTED / "cpu.json")
    assert report.into_readme(readme, committed) == readme


FIGURE = re.compile(
    r"\d[\d,.]*\s?(?:×(?!\s?\d)|-?fold\b|(?:ns|µs|ms|GB/s)\b|times (?:as|faster|less|slower)\b)"
)


def without_a_case(text: str) -> list[str]:
    """The paragraphs and lines of tables that give a time or a ratio and name no case."""
    names = {case.name for case in CASES}
    parts = re.sub(r"```.*?```", "", text, flags=re.DOTALL).replace("\n|", "\n\n|").split("\n\n")
    return [
        part for part in parts
        if FIGURE.search(part) and not names & set(re.findall(r"`([^`]+)`", part))
    ]  # fmt: skip


def test_no_figure_in_the_readme_is_without_a_case() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = readme.partition(report.OPENING)
    after = rest.partition(report.CLOSING)[2]
    assert not without_a_case(before + after)


@pytest.mark.parametrize("text", ["It is 20× faster.", "in 1.5 ms,", "4 times as fast", "10-fold"])
def test_a_figure_without_a_case_is_found(text: str) -> None:
    assert without_a_case(f"First.\n\n{text}\n\nThird: 8 × 8 and 4,096 × 4².") == [text]
    assert not without_a_case(f"`newton-n64`: {text}")


def test_committed_results_are_whole() -> None:
    committed = results.load(results.COMMITTED / "cpu.json")
    for case in CASES:
        ways = (measure.FULL, measure.QUICK)
        assert any(committed.has(case.name, "float32", way) for way in ways), case.name
    assert {r["name"] for r in committed.records} == {case.name for case in CASES}
