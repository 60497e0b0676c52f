"""The method: answers are checked, then compile and run times are taken in turns.

1. Every contender is compiled and run once. An answer that differs from the baseline's by more than
   `tolerance` is not timed: the case stops where it is jaxmatcalc's, and a peer is left out, with
   the reason in the record.
2. Trace and compile time: `jit(f).lower(...).compile()` of a new function object after
   `jax.clear_caches()`, with JAX's compilation cache on disk off; the contenders take turns. The
   first time is that of the first run, so nothing is compiled twice where one time is enough.
3. Run time: rounds of one sample of each contender, A-B-A-B, until the budget is spent. A sample
   is the mean of so many calls, each waited for, that it lasts `SAMPLE` seconds or more; where that
   is more than one, a call before them is not counted, since it finds the caches full of the other
   contender's data. Contenders that are not JAX take their turns in processes of their own.
4. Memory: the bytes at the peak of one call, in a fresh process, beyond those in use before it.

Reported are median and quartiles, and the ratio of the medians; the spread of the ratio is that of
the ratios within the rounds.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from io import StringIO
from typing import Any

import jax
import numpy as np

from benchmarks import memory
from benchmarks.apart import START, Apart, Failed, OneCall, sentence
from benchmarks.cases import Case
from benchmarks.contenders import BASELINE, OURS, Contender, entered
from benchmarks.environment import cores
from benchmarks.timing import (
    Here,
    Record,
    Settings,
    There,
    compiled,
    no_compilation_cache,
    time_compiling,
    time_running,
)

NOT_INSTALLED = "is not installed"
Notify = Callable[[str], None]


class WrongAnswer(Exception):
    """jaxmatcalc does not agree with the baseline, so no time would mean anything."""


FULL = Settings(budget=5.0, fewest=5, most=200, compiles=2)
QUICK = Settings(budget=2.0, fewest=3, most=50, compiles=1)


def measure(
    case: Case,
    dtype: str,
    settings: Settings,
    contenders: Mapping[str, Contender] | None = None,
    notify: Notify = lambda stage: None,
) -> Record:
    """Check and time a case; `notify` hears which stage it is at.

    Raises `WrongAnswer` where jaxmatcalc does not agree with the baseline.
    """
    wanted = entered(case.task, case.function) if contenders is None else contenders
    missing = {name: reason for name, c in wanted.items() if (reason := absent(c))}
    present = {name: c for name, c in wanted.items() if name not in missing}
    brief = replace(settings, budget=settings.budget / 8, compiles=1)
    chosen = brief if case.family or case.curve else settings
    with jax.enable_x64(dtype == "float64"), no_compilation_cache(), ExitStack() as processes:
        arguments = case.arguments(dtype)
        inputs: dict[str, tuple[Any, ...]] = {}
        answers: dict[str, list[np.ndarray]] = {}
        runners: dict[str, Here | There] = {}
        first: dict[str, float] = {}

        def enter(name: str, contender: Contender) -> None:
            if contender.framework == "jax":
                inputs[name] = contender.prepare(case.function, *arguments)
                call, first[name] = compiled(contender, case, inputs[name])
                runners[name] = Here(call, inputs[name])
            else:
                runners[name] = peer = There(contender, case.function.__name__, arguments)
                processes.callback(peer.close)
            answers[name] = runners[name].answer()

        for name, contender in present.items():
            notify(f"first run of {name}")
            try:
                enter(name, contender)
            except Exception as error:
                missing[name] = refused(name, error)
        notify("checking answers")
        errors = check(answers, tolerance(dtype))
        missing |= {n: why for n, why in errors.items() if isinstance(why, str)}
        answer_bytes = sum(array.nbytes for array in answers.pop(BASELINE))
        answers.clear()
        ready = {name: c for name, c in present.items() if name not in missing}
        ours = {name: c for name, c in ready.items() if c.framework == "jax"}
        notify("trace and compile")
        compile_times = time_compiling(ours, case, inputs, chosen.compiles - 1)
        notify("run")
        run_times, failed = time_running({name: runners[name] for name in ready}, chosen)
        missing |= failed
        ready = {name: c for name, c in ready.items() if name not in failed}
        taken: dict[str, Record] = {}
        if not (case.family or case.curve):
            notify("memory")
            taken = {n: r.memory for n, r in runners.items() if isinstance(r, There)}
            processes.close()
            taken |= memory_of(ours, case, arguments, dtype)
        return {
            "name": case.name,
            "task": case.task,
            "function": case.function.__name__,
            "sizes": dict(case.sizes),
            "why": case.why,
            "wanted": case.wanted,
            "family": case.family,
            "curve": case.curve,
            "compile_limit": case.compile_limit,
            "dtype": dtype,
            "x64": dtype == "float64",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            # Other work on the machine makes times longer, and is seen here.
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "settings": asdict(settings),
            "tolerance": tolerance(dtype),
            "answer_bytes": answer_bytes,
            "versions": versions(ready.values()),
            "missing": missing,
            "contenders": {
                name: {
                    "framework": contender.framework,
                    "error": errors[name],
                    "compile": summary([first[name], *compile_times[name]])
                    if name in first
                    else None,
                    "run": summary(run_times[name]),
                    "ratio": summary(np.divide(run_times[BASELINE], run_times[name])),
                    **({"memory": taken[name]} if name in taken else {}),
                }
                for name, contender in ready.items()
            },
        }


def absent(contender: Contender) -> str | None:
    """Why a contender cannot be measured here."""
    if contender.needs is None:
        return None
    if importlib.util.find_spec(contender.needs) is None:
        return f"{contender.needs} {NOT_INSTALLED}"
    if contender.framework == "jax":
        try:
            with redirect_stdout(StringIO()):
                importlib.import_module(contender.needs)
        except Exception as error:  # a package that does not fit this JAX says so in many ways
            return f"{contender.needs}: {sentence(error)}"
    return None


def versions(contenders: Iterable[Contender]) -> dict[str, str]:
    """The versions of the packages that contenders come from."""
    names = sorted({c.needs for c in contenders if c.needs})
    return {name: metadata.version(name) for name in names}


def refused(name: str, error: Exception) -> str:
    """Why a contender is left out; the baseline and jaxmatcalc never are."""
    reason = str(error) if isinstance(error, Failed) else sentence(error)
    if essential(name):
        raise WrongAnswer(f"{name} fails: {reason}") from error
    return reason


def essential(name: str) -> bool:
    """Whether a case means nothing without this contender."""
    return name == BASELINE or name.startswith(OURS)


def tolerance(dtype: str) -> float:
    """The largest relative error that passes: half the digits."""
    return math.sqrt(np.finfo(dtype).eps)


def check(answers: Mapping[str, list[np.ndarray]], limit: float) -> dict[str, float | str]:
    """Relative errors of answers against the baseline's; of a peer that is wrong, a sentence."""
    truth = answers[BASELINE]
    errors: dict[str, float | str] = {}
    for name, answer in answers.items():
        pairs = zip(answer, truth, strict=True) if len(answer) == len(truth) else ()
        error = max((relative_error(*pair) for pair in pairs), default=math.inf)
        errors[name] = error
        if not error <= limit:  # NaN is wrong as well
            sentence = (
                f"{name} differs from {BASELINE} by {error:.1e} of its norm; {limit:.1e} is allowed"
            )
            if essential(name):
                raise WrongAnswer(sentence)
            errors[name] = sentence
    return errors


def relative_error(answer: np.ndarray, truth: np.ndarray) -> float:
    """‖answer - truth‖ / ‖truth‖ in the Frobenius norm; infinite where the shapes differ."""
    if answer.shape != truth.shape:
        return math.inf
    distance = np.linalg.norm((answer - truth).ravel())
    return float(distance / max(np.linalg.norm(truth.ravel()), np.finfo(truth.dtype).tiny))


def memory_of(
    contenders: Mapping[str, Contender], case: Case, arguments: Sequence[jax.Array], dtype: str
) -> dict[str, Record]:
    """The memory of one call of each contender of JAX, in processes of their own.

    Nothing is timed here, so as many as there are cores may compile; a device has room for one.
    """
    platform = jax.default_backend()
    if platform == "tpu":
        return dict.fromkeys(contenders, memory.record(None, "a TPU admits one process at a time"))
    arrays, platforms = [np.asarray(a) for a in arguments], jax.config.values["jax_platforms"]
    at_once = cores() if platform == "cpu" else 1
    found: dict[str, Record] = {}
    waiting: deque[tuple[str, Apart]] = deque()
    with ExitStack() as processes:

        def collect() -> None:
            name, process = waiting.popleft()
            try:
                found[name] = process.ask("memory", patience=START)
            except Failed as error:
                found[name] = memory.record(None, str(error))
            process.close()

        for name in contenders:
            if len(waiting) == at_once:
                collect()
            what = (case.task, name, case.function, arrays, dtype == "float64", platforms)
            waiting.append((name, processes.enter_context(Apart(OneCall, *what))))
        while waiting:
            collect()
    return found


def summary(samples: Any) -> Record:
    """Median and quartiles."""
    lower, median, upper = np.quantile(samples, [0.25, 0.5, 0.75])
    return {
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "samples": len(samples),
    }
