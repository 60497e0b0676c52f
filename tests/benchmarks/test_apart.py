"""Processes of their own: they answer, and one that raises, dies or hangs is reported."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import apart, functions, measure
from benchmarks.cases import CASES
from benchmarks.contenders import BASELINE, TASKS


@pytest.fixture(autouse=True)
def nothing_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PRELOADED", [])


# A module will do for an object: its functions are asked for by name.


def test_process_answers_and_raises() -> None:
    with apart.Apart(importlib.import_module, "math") as process:
        assert process.ask("sqrt", 4.0) == 2
        with pytest.raises(apart.Failed, match="ValueError: "):
            process.ask("sqrt", -1.0)
        assert process.ask("sqrt", 9.0) == 3
    with (
        apart.Apart(importlib.import_module, "no.such.module") as process,
        pytest.raises(apart.Failed, match="ModuleNotFoundError: No module named 'no'"),
    ):
        process.ask("anything")


def test_process_that_dies_or_hangs_is_reported() -> None:
    with apart.Apart(importlib.import_module, "os") as process:
        number = process.ask("getpid")
        process.ask("kill", number, signal.SIGINT)  # as the terminal does when a run is stopped
        assert process.ask("getpid") == number
        with pytest.raises(apart.Failed, match=r"its process died \(SIGKILL\)"):
            process.ask("kill", number, signal.SIGKILL)
    with (
        apart.Apart(importlib.import_module, "os") as process,
        pytest.raises(apart.Failed, match=r"its process died \(exit code 3\)"),
    ):
        process.ask("_exit", 3)
    process = apart.Apart(importlib.import_module, "time")
    with pytest.raises(apart.Failed, match="no answer within 0 s"):
        process.ask("sleep", 600, patience=0.1)
    with pytest.raises(apart.Failed, match="its process died"):
        process.ask("time")


ORPHAN = """
import importlib
from benchmarks import apart
apart.PRELOADED = []
if __name__ == "__main__":
    process = apart.Apart(importlib.import_module, "time")
    print(process.number, flush=True)
    process.ask("sleep", 600)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="asks /proc who lives")
def test_process_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHAN, encoding="utf-8")
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=known) as parent:
        assert parent.stdout is not None
        number = int(parent.stdout.readline())
        assert Path(f"/proc/{number}").exists()
        parent.kill()
    limit = time.monotonic() + 30
    while Path(f"/proc/{number}").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not Path(f"/proc/{number}").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an earlier peak may hide a call's")
def test_memory_of_one_call_is_that_of_its_largest_array() -> None:
    A, x = np.eye(48, dtype="float32"), np.ones(48**2, "float32")
    asked = ("value", BASELINE, functions.kronecker_product, [A, A, x], False, "cpu")
    with apart.Apart(apart.OneCall, *asked) as process:
        found = process.ask("memory", patience=apart.START)
    whole = 4 * 48**4  # the Kronecker product is formed
    # The system counts pages in lots, so the last ones may not be in yet.
    assert 0.95 * whole <= found["peak"] < 2 * whole


def test_a_second_process_asks_nothing_of_a_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    monkeypatch.setattr(measure, "Apart", lambda *_: pytest.fail("started"))
    (case, *_) = CASES
    found = measure.memory_of(TASKS[case.task], case, (), "float32")
    assert {tuple(record) for record in found.values()} == {("peak", "why")}
    assert all("one process" in record["why"] for record in found.values())
