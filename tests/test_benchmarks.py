"""The benchmarks measure what they say and refuse wrong answers; the README has their figures."""

from __future__ import annotations

import ast
import doctest
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from benchmarks import __main__ as command
from benchmarks import functions, measure, report, results
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE, TASKS, Contender
from benchmarks.samples import normal

ROOT = Path(__file__).parents[1]
SMALL = {
    "n": 3, "k": 2, "m": 5, "d": 3, "b": 2, "l": 2, "v": 9, "c": 2, "e": 2, "f": 8, "g": 6, "i": 3,
    "p": 4, "q": 2, "s": 3, "t": 3,
}  # fmt: skip
BRIEF = measure.Settings(budget=0.0, fewest=2, most=3, compiles=2)


def small(case: Case) -> Case:
    return case.at(**{letter: SMALL[letter] for letter in case.sizes})


def energy(x: jax.Array, a: jax.Array) -> jax.Array:
    return jnp.sum(a * x**3)


ENERGY = Case("energy", "hessian", energy, (normal("n"), normal("n")), {"n": 3}, why="it is tiny")


# Cases


KEYS = {case.key: small(case) for case in CASES}  # cases of one key differ in size only


@pytest.mark.parametrize("case", KEYS.values(), ids=lambda case: case.key)
def test_contenders_of_each_case_agree(case: Case) -> None:
    dtype = "float64" if jax.config.values["jax_enable_x64"] else "float32"
    arguments = case.arguments(dtype)
    contenders = {n: c for n, c in TASKS[case.task].items() if not measure.absent(c)}
    inputs = {name: c.prepare(case.function, *arguments) for name, c in contenders.items()}
    calls = {name: jax.jit(c.build(case.function)) for name, c in contenders.items()}
    errors = measure.check(calls, inputs, measure.tolerance(dtype))
    assert errors[BASELINE] == 0
    assert {BASELINE, report.OURS} <= set(errors)


def test_cases_are_told_apart_by_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert ENERGY.at(n=7).name == "energy-n7"


def test_functions_of_cases_are_plain_jax() -> None:
    tree = ast.parse(Path(functions.__file__).read_text(encoding="utf-8"))
    imported = {
        a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names
    }
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith("jaxmatcalc") for name in imported)
    assert all(case.function.__module__ == functions.__name__ for case in CASES)


def test_arguments_are_the_same_in_every_run() -> None:
    for first, second in zip(ENERGY.arguments("float32"), ENERGY.arguments("float32"), strict=True):
        assert first.dtype == jnp.float32
        assert (first == second).all()


# Method


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_measurement_of_a_case(dtype: str) -> None:
    x64 = jax.config.values["jax_enable_x64"]
    stages: list[str] = []
    record = measure.measure(ENERGY, dtype, BRIEF, notify=stages.append)
    assert stages[-3:] == ["checking answers", "trace and compile", "run"]
    assert json.loads(json.dumps(record)) == record
    assert (record["name"], record["dtype"], record["x64"]) == (
        "energy-n3",
        dtype,
        dtype[-2:] == "64",
    )
    for contender in record["contenders"].values():
        assert contender["error"] <= record["tolerance"]
        assert contender["compile"]["samples"] == BRIEF.compiles
        assert contender["run"]["samples"] == BRIEF.fewest
        for times in (contender["compile"], contender["run"]):
            assert 0 < times["lower"] <= times["median"] <= times["upper"]
    assert record["contenders"][BASELINE]["ratio"]["median"] == 1
    assert jax.config.values["jax_enable_x64"] == x64


def doubled(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: 2 * jax.hessian(f)(*args)


def slightly_off(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: 1.001 * jax.hessian(f)(*args)


def not_a_number(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: jnp.nan * jax.hessian(f)(*args)


def misshapen(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: jax.hessian(f)(*args).ravel()


@pytest.mark.parametrize("wrong", [doubled, slightly_off, not_a_number, misshapen])
def test_wrong_answer_is_refused_before_it_is_timed(
    wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "time_compiling", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(measure, "time_running", lambda *_: pytest.fail("timed"))
    contenders = {BASELINE: Contender(jax.hessian), "wrong": Contender(wrong)}
    with pytest.raises(measure.WrongAnswer, match="wrong differs from jax"):
        measure.measure(ENERGY, "float32", BRIEF, contenders)


class Clock:
    """Time that passes only in calls."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def call(self, duration: float, log: list[str], name: str) -> Callable[[], None]:
        def passing() -> None:
            self.now += duration
            log.append(name)

        return passing


def test_contenders_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Clock(), []
    monkeypatch.setattr(measure, "time", clock)
    calls = {name: clock.call(2 * measure.SAMPLE, log, name) for name in "AB"}
    inputs = dict.fromkeys("AB", ())
    times = measure.time_running(calls, inputs, BRIEF)
    assert "".join(log) == "AAABBB" + "AB" * BRIEF.fewest  # calibration, then turns
    for name in "AB":
        assert times[name] == pytest.approx([2 * measure.SAMPLE] * BRIEF.fewest)


@pytest.mark.parametrize(("budget", "rounds"), [(0.0, 2), (5.0, 6), (60.0, 9)])
def test_rounds_fill_the_budget(
    budget: float, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(measure, "time", clock)
    settings = measure.Settings(budget, fewest=2, most=9, compiles=1)
    times = measure.time_running({"A": clock.call(1.0, [], "A")}, {"A": ()}, settings)
    assert len(times["A"]) == rounds


def test_short_calls_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Clock(), []
    monkeypatch.setattr(measure, "time", clock)
    short = measure.SAMPLE / 9.5
    times = measure.time_running({"A": clock.call(short, log, "A")}, {"A": ()}, BRIEF)
    assert len(log) == 3 + (1 + 10) * BRIEF.fewest  # calibration, then a sample after one call
    assert times["A"] == pytest.approx([short] * BRIEF.fewest)


def test_every_compilation_traces_anew() -> None:
    traced = 0

    def f(x: jax.Array, a: jax.Array) -> jax.Array:
        nonlocal traced
        traced += 1
        return energy(x, a)

    case = Case("traced", "hessian", f, ENERGY.inputs, ENERGY.sizes, why="it counts")
    contenders = {BASELINE: Contender(lambda f: lambda *args: f(*args))}
    inputs = {BASELINE: case.arguments("float32")}
    times = measure.time_compiling(contenders, case, inputs, 3)
    assert traced == len(times[BASELINE]) == 3


# Running


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two tiny cases on the command line, and the names of those that are measured."""
    measured: list[str] = []

    def counted(case: Case, *args: Any, **kwargs: Any) -> measure.Record:
        measured.append(case.name)
        return measure.measure(case, *args, **kwargs)

    monkeypatch.setattr(command, "CASES", (ENERGY, ENERGY.at(n=2)))
    monkeypatch.setattr(command, "QUICK", BRIEF)
    monkeypatch.setattr(command, "measure", counted)
    return measured


def test_stopped_run_is_finished_by_the_same_command(
    brief: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    assert brief == ["energy-n3", "energy-n2"]  # each once
    assert results.load(out).records[0] == kept[0]

    # A longer measurement is another one; so is one in another dtype.
    monkeypatch.setattr(command, "QUICK", measure.Settings(0.0, 3, 3, 1))
    assert command.main([*line, "--cases", "energy-n2"]) == 0
    assert command.main([*line, "--cases", "energy-n2", "--dtype", "float64"]) == 0
    assert brief[2:] == ["energy-n2", "energy-n2"]
    assert len(results.load(out).records) == 3


def test_run_keeps_no_time_of_a_wrong_answer(
    brief: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "results.json"
    wrong = {BASELINE: Contender(jax.hessian), report.OURS: Contender(doubled)}
    monkeypatch.setitem(TASKS, "hessian", wrong)
    assert command.main(["run", "--quick", "--out", str(out)]) == 1
    assert "energy-n2 not timed" in capsys.readouterr().err
    assert brief == ["energy-n3", "energy-n2"]
    assert not out.exists()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["run", "--cases", "energy", "unheard-of"], "no case is called 'unheard-of'"),
        (["report", "absent.json"], "there is no file absent.json"),
        (["report", "README.md"], "README.md is not a results file"),
    ],
)
def test_mistake_gets_one_sentence(
    line: list[str],
    sentence: str,
    brief: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert command.main(line) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not brief


def test_results_of_another_machine_are_not_continued(
    brief: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    results.Results({**command.environment(), "jaxlib": "0.0.1"}).save(out)
    assert command.main(["run", "--quick", "--out", str(out)]) == 2
    assert "was measured with jaxlib '0.0.1'" in capsys.readouterr().err
    assert not brief


# Reporting


def record(ours: float, name: str = "energy-n3", theirs: float = 1.0) -> measure.Record:
    """A measurement with the given run times; jaxmatcalc takes thrice JAX's time to compile."""

    def contender(run: float, compile_: float) -> measure.Record:
        ratios = [theirs / run * spread for spread in (0.9, 1.0, 1.1)]
        times = {"run": measure.summary([run]), "compile": measure.summary([compile_])}
        return {"error": 0.0, **times, "ratio": measure.summary(ratios)}

    return {
        "name": name,
        "dtype": "float32",
        "date": "2026-01-02T03:04:05+00:00",
        "wanted": 10.0,
        "compile_limit": 2.0,
        "contenders": {BASELINE: contender(theirs, 0.1), report.OURS: contender(ours, 0.3)},
    }


def test_table_sets_missed_figures_in_bold() -> None:
    cells = report.row(record(0.01))
    assert cells[:4] == ("`energy-n3`", "1.00 s", "10.0 ms", "100×")
    assert cells[4:] == ("**3.00×**", "≥ 10×, compile ≤ 2×")
    assert report.row(record(0.2))[3] == "**5.00×**"
    assert report.row({**record(0.2), "wanted": None, "compile_limit": None})[3:] == (
        "5.00×",
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


def test_compare_finds_what_became_slower() -> None:
    environment = {"device": "cpu: cpu", "jax": "1"}
    old = results.Results(environment, [record(0.01), record(0.01, "same"), record(0.01, "gone")])
    # A machine of half the speed takes twice the time for both, and is no slower library.
    slower_machine = record(0.02, "same", theirs=2.0)
    new = results.Results({**environment, "jax": "2"}, [record(0.02), slower_machine])
    text = report.compare(old, new)
    lines = {line.split("`")[1]: line for line in text.splitlines() if "`" in line}
    assert set(lines) == {"energy-n3", "same"}
    assert "10.0 ms → 20.0 ms" in lines["energy-n3"]
    assert "**slower**" in lines["energy-n3"]
    assert "slower" not in lines["same"]
    assert "faster" in report.compare(new, old)
    assert "different jax" in text


def test_doctests_of_the_report() -> None:
    outcome = doctest.testmod(report)
    assert outcome.attempted
    assert not outcome.failed


def test_readme_without_markers_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(results.UnusableResults, match="no lines"):
        report.into_readme("# A page\n", results.Results({}, []))


def test_readme_shows_the_committed_results() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    committed = results.load(results.COMMITTED / "cpu.json")
    assert report.into_readme(readme, committed) == readme


def test_committed_results_are_whole() -> None:
    committed = results.load(results.COMMITTED / "cpu.json")
    for case in CASES:
        assert committed.has(case.name, "float32", measure.FULL), case.name
    assert {r["name"] for r in committed.records} == {case.name for case in CASES}
