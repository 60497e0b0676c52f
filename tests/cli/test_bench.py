"""``jaxmatcalc bench`` measures, compares, and says where the results differ."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxmatcalc.cli import main, measuring
from jaxmatcalc.cli.bench import _table, is_wrong
from jaxmatcalc.cli.cases import CASES, Case
from jaxmatcalc.cli.measuring import QUANTITIES, Cost, Row, rows


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, in the folder where the command is run."""
    (tmp_path / "my_losses.py").write_text(
        "import jax.numpy as jnp\n"
        "def cubes(x, weights):\n"
        "    return jnp.sum(weights * x**3) + jnp.sum(x**2)\n"
        "def vector(x):\n"
        "    return 2 * x\n"
        "def nowhere(x):\n"
        "    return jnp.sum(jnp.log(-(x**2)))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return "my_losses"


def bench(*words: str) -> int:
    return main(["bench", "--seconds", "0", *words])


def test_function_of_the_user(module, tmp_path, capsys):
    file = tmp_path / "figures.json"
    words = [f"{module}:cubes", "--shape", "x=4", "--shape", "weights=4", "--json", str(file)]
    x64 = jax.config.jax_enable_x64
    assert bench(*words, "--dtype", "float64") == 0
    assert jax.config.jax_enable_x64 == x64
    text = capsys.readouterr().out
    assert "my_losses:cubes: 4 unknowns" in text
    assert all(quantity in text for quantity in QUANTITIES)
    assert max(map(len, text.splitlines())) <= 80
    record = json.loads(file.read_text(encoding="utf-8"))
    assert (record["dtype"], record["jax"]) == ("float64", jax.__version__)
    assert [row["quantity"] for row in record["rows"]] == list(QUANTITIES)
    for row in record["rows"]:
        assert 0 <= row["error"] < 1e-12
        assert row["ratio"] == row["jax"]["seconds"] / row["ours"]["seconds"]
        assert row["ours"]["bytes"] >= 8 * 4


def test_a_wrong_result_is_red_and_the_status_1(module, monkeypatch, capsys):
    right = measuring.jmc.hvp
    monkeypatch.setattr(
        measuring.jmc, "hvp", lambda f, argnum: lambda *args: 1.1 * right(f, argnum)(*args)
    )
    words = [f"{module}:cubes", "--shape", "4", "--shape", "4"]
    assert bench(*words, "--wrt", "weights") == 0  # linear in these: both products are zero
    assert "Newton step: `solve` needs an operator that is not" in capsys.readouterr().out
    assert bench(*words, "--json", "figures.json") == 1
    assert "the HVP differs by 1.0e-01" in capsys.readouterr().out
    record = json.loads(Path("figures.json").read_text(encoding="utf-8"))
    assert [row["error"] > 0.01 for row in record["rows"]] == [False, True, False, False]


def test_a_hessian_that_does_not_fit_is_not_formed(monkeypatch):
    monkeypatch.setattr(measuring, "LARGEST_HESSIAN", 8)
    x = jnp.arange(1.0, 4)
    found = list(rows("quartic", lambda x: jnp.sum(x**4), [x], 0, 0.0))
    assert [row.quantity for row in found] == ["gradient", "HVP", "Newton step"]
    assert found[-1].jax is None and found[-1].ratio is None
    assert found[-1].error < 1e-5
    assert found[-1].note == "JAX's Hessian is too large"


def test_a_newton_step_that_nobody_has_is_not_called_wrong():
    x = jnp.array([1.0, 2.0])
    *_, newton = rows("flat", lambda x: jnp.sum(x) ** 3 + x[0], [x], 0, 0.0)
    assert not newton.error < 1e-2 and not newton.peer_error < 1e-2
    assert not is_wrong(newton, "float32")
    assert is_wrong(dataclasses.replace(newton, peer_error=1e-7), "float32")


def test_costs_are_counted_in_seconds_and_bytes():
    x = jnp.ones((50, 50), jnp.float32)
    (result,), (cost,) = measuring._measured([lambda x: x @ x], [x], 0.01)
    np.testing.assert_array_equal(result, np.full((50, 50), 50))
    assert 1e-7 < cost.seconds < 10 and 0 <= cost.spread < 10 and 0 < cost.compile_seconds < 100
    assert cost.bytes is not None and cost.bytes >= 4 * 2500
    row = Row("square", "gradient", 2500, Cost(4.0, 0, 0, None), Cost(2.0, 0, 0, None), 0.0)
    assert row.ratio == 2


def test_the_widest_line_fits_into_80_characters():
    cost = Cost(58.84e-3, 0.0, 9.87e-3, int(1022.6 * 2**20))
    ours = Cost(1.0234e-6, 0.0, 707.3e-3, int(16.54 * 2**10))
    widest = Row("f", "Newton step", 10, cost, ours, 1.2e-7)
    console = Console(width=80, file=io.StringIO())
    console.print(_table("f", [widest], []))
    line = console.file.getvalue().splitlines()[2]
    cells = ["Newton step", "58.8 ms", "1.02 µs", "57,495×", "1023 MiB", "17 KiB", "9.9 ms",
             "707 ms", "1e-07"]  # fmt: skip
    assert re.split(r"\s{2,}", line.strip()) == cells


def test_programs_take_turns_and_short_calls_are_averaged(monkeypatch):
    log, now = [], 0.0

    def program(name, seconds):
        def run():
            nonlocal now
            log.append(name)
            now += seconds

        run.trace = run.lower = run.compile = lambda *_: run
        run.memory_analysis = lambda: None
        return run

    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now)
    monkeypatch.setattr(measuring.jax, "jit", lambda f: f)
    programs = [program("a", measuring._SAMPLE / 1.5), program("b", 2 * measuring._SAMPLE)]
    _, costs = measuring._measured(programs, [], 0.0)
    assert "".join(log) == "ab" + "aaabbb" + "aaabbaaa" * 2 + "aaab"
    assert [cost.seconds for cost in costs] == pytest.approx([2e-3 / 1.5, 4e-3])


@pytest.mark.parametrize("name", CASES)
def test_built_in_case_is_a_function_with_a_derivative(name):
    case = CASES[name]
    args = case.args(np.random.default_rng(0))
    assert all(np.isfinite(x).all() for x in args)
    shapes = [jax.ShapeDtypeStruct(x.shape, jnp.result_type(float)) for x in args]
    assert jax.eval_shape(jax.grad(case.f), *shapes).shape == args[0].shape
    numbers = [int(word.rstrip(",")) for word in name.split() if word.rstrip(",").isdigit()]
    assert set(numbers) == {n for x in args for n in x.shape}


def test_built_in_cases_are_measured_without_a_function(monkeypatch, capsys):
    small = Case(lambda x, y: jnp.sum(y * x**2), lambda rng: (rng.normal(size=3), np.ones(3)))
    monkeypatch.setattr("jaxmatcalc.cli.bench.CASES", {"a sum of squares": small})
    assert bench("--json", "-") == 0
    record = json.loads(capsys.readouterr().out)
    assert {(row["case"], row["unknowns"]) for row in record["rows"]} == {("a sum of squares", 3)}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{}:vector", "--shape", "3"], "needs a function that returns a scalar; my_losses:vector"),
        (["{}:nowhere", "--shape", "3"], "found no arrays of these shapes where the value and"),
        (["{}:cubes", "--shape", "3"], "--shape is needed for weights, as in --shape weights=3x4"),
        (["cubes"], "needs module:function; got cubes"),
        (["--shape", "3"], "--shape, --wrt, --sym and --spd need a module:function"),
        (["--seconds", "-1"], "needs seconds from 0 to 600; got '-1'"),
        (["--seconds", "soon"], "needs seconds from 0 to 600; got 'soon'"),
        (["--json", "absent/figures.json"], "needs a file in a folder that exists, or -;"),
        (["--dtype", "float16"], "invalid choice: 'float16'"),
    ],
)
def test_bad_value_gets_one_sentence_and_status_2(words, sentence, module, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["bench", *(word.format(module) for word in words)])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert sentence in captured.err
    assert captured.err.count("\n") == 1
    assert not captured.out
