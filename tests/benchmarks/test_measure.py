"""The method: answers are checked before anything is timed, and contenders take turns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxmatcalc as jmc
from benchmarks import apart, measure, timing
from benchmarks.cases import Case
from benchmarks.contenders import BASELINE, OURS, Contender

pytestmark = pytest.mark.usefixtures("no_processes")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_measurement_of_a_case(dtype: str, energy: Case, brief: measure.Settings) -> None:
    x64 = jax.config.values["jax_enable_x64"]
    stages: list[str] = []
    few = {BASELINE: Contender(jax.hessian), OURS: Contender(jmc.hessian)}
    record = measure.measure(energy, dtype, brief, few, stages.append)
    assert stages[-3:] == ["trace and compile", "run", "memory"]
    assert stages.index("checking answers") < stages.index("run")
    assert json.loads(json.dumps(record)) == record
    assert (record["name"], record["dtype"], record["x64"]) == (
        "energy-n3",
        dtype,
        dtype[-2:] == "64",
    )
    assert record["answer_bytes"] == 9 * jnp.dtype(dtype).itemsize
    assert set(record["contenders"]) == set(few)
    for contender in record["contenders"].values():
        assert (contender["framework"], contender["memory"]) == ("jax", {"peak": 24})
        assert contender["error"] <= record["tolerance"]
        assert contender["compile"]["samples"] == brief.compiles
        assert contender["run"]["samples"] == brief.fewest
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
    wrong: Callable[..., Any],
    energy: Case,
    brief: measure.Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "time_compiling", lambda *_: pytest.fail("timed"))
    monkeypatch.setattr(measure, "time_running", lambda *_: pytest.fail("timed"))
    contenders = {BASELINE: Contender(jax.hessian), OURS: Contender(wrong)}
    with pytest.raises(measure.WrongAnswer, match="jaxmatcalc differs from jax"):
        measure.measure(energy, "float32", brief, contenders)


def failing(f: Callable[..., Any]) -> Callable[..., Any]:
    raise NotImplementedError("no such\nfunction")


def test_peers_that_cannot_be_timed_are_missing_with_a_reason(
    energy: Case, brief: measure.Settings
) -> None:
    contenders = {
        BASELINE: Contender(jax.hessian),
        "wrong": Contender(doubled),
        "failing": Contender(failing),
        "not there": Contender(jax.hessian, needs="no_such_package"),
        "not there either": Contender("hessian", needs="no_such_package", framework="torch"),
        OURS: Contender(jax.hessian),
    }
    record = measure.measure(energy, "float32", brief, contenders)
    assert set(record["contenders"]) == {BASELINE, OURS}
    missing = record["missing"]
    assert missing["wrong"].startswith("wrong differs from jax by 1.0e+00")
    assert missing["failing"] == "NotImplementedError: no such"
    assert missing["not there"] == missing["not there either"] == "no_such_package is not installed"


@pytest.mark.parametrize("name", [BASELINE, OURS])
def test_case_stops_where_jax_or_jaxmatcalc_fails(
    name: str, energy: Case, brief: measure.Settings
) -> None:
    contenders = {BASELINE: Contender(jax.hessian), OURS: Contender(jax.hessian)}
    with pytest.raises(measure.WrongAnswer, match=f"{name} fails: NotImplementedError: no such"):
        measure.measure(energy, "float32", brief, {**contenders, name: Contender(failing)})


@pytest.mark.parametrize("kind", ["family", "curve"])
def test_points_and_members_are_measured_briefly(
    kind: str, energy: Case, brief: measure.Settings
) -> None:
    contenders = {BASELINE: Contender(jax.hessian), OURS: Contender(jax.hessian)}
    record = measure.measure(replace(energy, **{kind: True}), "float32", brief, contenders)
    assert record[kind]
    assert record["settings"]["compiles"] == 2
    for contender in record["contenders"].values():
        assert contender["compile"]["samples"] == 1
        assert "memory" not in contender


class Clock:
    """Time that passes only in calls."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def runner(self, duration: float, name: str = "", log: list[str] | None = None) -> timing.Here:
        def passing() -> None:
            self.now += duration
            if log is not None:
                log.append(name)

        return timing.Here(passing, ())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing, "time", found)
    return found


def test_contenders_take_turns_in_both_orders(brief: measure.Settings, clock: Clock) -> None:
    log: list[str] = []
    runners = {name: clock.runner(2 * timing.SAMPLE, name, log) for name in "AB"}
    times, failed = timing.time_running(runners, brief)
    turns = "ABBA" * brief.fewest
    assert "".join(log) == "AB" + turns[: 2 * brief.fewest]  # calibration, then turns
    assert not failed
    for name in "AB":
        assert times[name] == pytest.approx([2 * timing.SAMPLE] * brief.fewest)


@pytest.mark.parametrize(("budget", "rounds"), [(0.0, 2), (5.0, 6), (60.0, 9)])
def test_rounds_fill_the_budget(budget: float, rounds: int, clock: Clock) -> None:
    settings = measure.Settings(budget, fewest=2, most=9, compiles=1)
    times, _ = timing.time_running({"A": clock.runner(1.0)}, settings)
    assert len(times["A"]) == rounds


def test_short_calls_are_averaged(brief: measure.Settings, clock: Clock) -> None:
    log: list[str] = []
    short = timing.SAMPLE / 9.5
    times, _ = timing.time_running({"A": clock.runner(short, "A", log)}, brief)
    assert len(log) == 3 + (1 + 10) * brief.fewest  # calibration, then a sample after one call
    assert times["A"] == pytest.approx([short] * brief.fewest)


@pytest.mark.parametrize("calls", [0, 2])
def test_peer_that_dies_while_it_is_timed_leaves_the_others(
    calls: int, brief: measure.Settings, clock: Clock
) -> None:
    class Dying:
        left = calls

        def seconds(self, count: int) -> float:
            self.left -= 1
            if self.left < 0:
                raise apart.Failed("its process died (SIGKILL)")
            return 1.0

    runners = {"A": clock.runner(1.0), "dying": Dying(), "B": clock.runner(1.0)}
    times, failed = timing.time_running(runners, brief)
    assert failed == {"dying": "its process died (SIGKILL)"}
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys("AB", brief.fewest)


def test_every_compilation_traces_anew(energy: Case) -> None:
    traced = 0

    def f(x: jax.Array, a: jax.Array) -> jax.Array:
        nonlocal traced
        traced += 1
        return jnp.sum(a * x**3)

    case = Case("traced", "hessian", f, energy.inputs, energy.sizes, why="it counts")
    contenders = {BASELINE: Contender(lambda f: lambda *args: f(*args))}
    inputs = {BASELINE: case.arguments("float32")}
    times = timing.time_compiling(contenders, case, inputs, 3)
    assert traced == len(times[BASELINE]) == 3
