"""The method: answers are checked, then compile and run times are taken in turns in one process.

1. Every contender is compiled and run once; an answer that differs from the baseline's by more than
   `tolerance` stops the case before anything is timed.
2. Trace and compile time: `jit(f).lower(...).compile()` of a new function object after
   `jax.clear_caches()`, with JAX's compilation cache on disk off; the contenders take turns.
3. Run time: rounds of one sample of each contender, A-B-A-B, until the budget is spent. A sample
   is the mean of so many calls, each waited for, that it lasts `SAMPLE` seconds or more; where that
   is more than one, a call before them is not counted, since it finds the caches full of the other
   contender's data.

Reported are median and quartiles, and the ratio of the medians; the spread of the ratio is that of
the ratios within the rounds.
"""

from __future__ import annotations

import gc
import importlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import jax
import numpy as np

from benchmarks.cases import Case
from benchmarks.contenders import BASELINE, TASKS, Contender

SAMPLE = 2e-2
Record = dict[str, Any]
Notify = Callable[[str], None]


class WrongAnswer(Exception):
    """A contender does not agree with the baseline, so its time would mean nothing."""


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        budget: seconds for the rounds of one case; the fewest rounds are made whatever they take.
        fewest, most: bounds on the rounds.
        compiles: how often each contender is traced and compiled.
    """

    budget: float
    fewest: int
    most: int
    compiles: int


FULL = Settings(budget=10.0, fewest=5, most=200, compiles=3)
QUICK = Settings(budget=2.0, fewest=3, most=50, compiles=1)


def measure(
    case: Case,
    dtype: str,
    settings: Settings,
    contenders: Mapping[str, Contender] | None = None,
    notify: Notify = lambda stage: None,
) -> Record:
    """Check and time a case; `notify` hears which stage it is at.

    Raises `WrongAnswer` where a contender does not agree with the baseline.
    """
    entered = TASKS[case.task] if contenders is None else contenders
    missing = {name: reason for name, c in entered.items() if (reason := absent(c))}
    contenders = {name: c for name, c in entered.items() if name not in missing}
    with jax.enable_x64(dtype == "float64"), no_compilation_cache():
        arguments = case.arguments(dtype)
        inputs, calls = {}, {}
        for name, contender in contenders.items():
            notify(f"first run of {name}")
            inputs[name] = contender.prepare(case.function, *arguments)
            calls[name] = compiled(contender, case, inputs[name])
        notify("checking answers")
        errors = check(calls, inputs, tolerance(dtype))
        notify("trace and compile")
        brief = replace(settings, budget=settings.budget / 8, compiles=1)
        chosen = brief if case.family else settings
        compile_times = time_compiling(contenders, case, inputs, chosen.compiles)
        notify("run")
        run_times = time_running(calls, inputs, chosen)
        return {
            "name": case.name,
            "task": case.task,
            "function": case.function.__name__,
            "sizes": dict(case.sizes),
            "why": case.why,
            "wanted": case.wanted,
            "family": case.family,
            "compile_limit": case.compile_limit,
            "dtype": dtype,
            "x64": dtype == "float64",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            # Other work on the machine makes times longer, and is seen here.
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "settings": asdict(settings),
            "tolerance": tolerance(dtype),
            "missing": missing,
            "contenders": {
                name: {
                    "error": errors[name],
                    "compile": summary(compile_times[name]),
                    "run": summary(run_times[name]),
                    "ratio": summary(np.divide(run_times[BASELINE], run_times[name])),
                }
                for name in contenders
            },
        }


def absent(contender: Contender) -> str | None:
    """Why a contender cannot be measured here."""
    try:
        if contender.needs:
            importlib.import_module(contender.needs)
    except ImportError as error:  # also what a package says that does not fit this JAX
        return f"{contender.needs}: {error}"
    return None


def tolerance(dtype: str) -> float:
    """The largest relative error that passes: half the digits."""
    return math.sqrt(np.finfo(dtype).eps)


def check(
    calls: Mapping[str, Callable[..., Any]], inputs: Mapping[str, tuple[Any, ...]], limit: float
) -> dict[str, float]:
    """Relative error of every answer against the baseline's, none above the limit."""
    truth = flat(calls[BASELINE](*inputs[BASELINE]))
    errors = {}
    for name, call in calls.items():
        answer = flat(call(*inputs[name]))
        pairs = zip(answer, truth, strict=True) if len(answer) == len(truth) else ()
        errors[name] = max((relative_error(*pair) for pair in pairs), default=math.inf)
        if not errors[name] <= limit:  # NaN is wrong as well
            raise WrongAnswer(
                f"{name} differs from {BASELINE} by {errors[name]:.1e} of its norm; "
                f"{limit:.1e} is allowed"
            )
    return errors


def flat(answer: Any) -> list[np.ndarray]:
    """The arrays of an answer: value and gradients have errors of their own."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(answer)]


def relative_error(answer: np.ndarray, truth: np.ndarray) -> float:
    """‖answer - truth‖ / ‖truth‖ in the Frobenius norm; infinite where the shapes differ."""
    if answer.shape != truth.shape:
        return math.inf
    distance = np.linalg.norm((answer - truth).ravel())
    return float(distance / max(np.linalg.norm(truth.ravel()), np.finfo(truth.dtype).tiny))


def compiled(contender: Contender, case: Case, inputs: tuple[Any, ...]) -> Callable[..., Any]:
    """A contender traced and compiled anew."""
    return jax.jit(contender.build(case.function)).lower(*inputs).compile()


def time_compiling(
    contenders: Mapping[str, Contender],
    case: Case,
    inputs: Mapping[str, tuple[Any, ...]],
    repeats: int,
) -> dict[str, list[float]]:
    """Seconds of tracing and compiling, the contenders in turns, nothing cached."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            jax.clear_caches()
            with no_garbage_collection():
                began = time.perf_counter()
                compiled(contender, case, inputs[name])
                times[name].append(time.perf_counter() - began)
    return times


def time_running(
    calls: Mapping[str, Callable[..., Any]],
    inputs: Mapping[str, tuple[Any, ...]],
    settings: Settings,
) -> dict[str, list[float]]:
    """Seconds of a call, one sample of each contender a round."""
    # The check was the first run; the fastest of three more says how many calls make a sample.
    counts = {
        name: math.ceil(SAMPLE / min(seconds(call, inputs[name], 1) for _ in range(3)))
        for name, call in calls.items()
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    began = time.perf_counter()
    with no_garbage_collection():
        for rounds in range(settings.most):
            spent = time.perf_counter() - began
            if rounds >= settings.fewest and spent > settings.budget:
                break
            for name, call in calls.items():
                if counts[name] > 1:
                    seconds(call, inputs[name], 1)
                times[name].append(seconds(call, inputs[name], counts[name]))
    return times


def seconds(call: Callable[..., Any], inputs: tuple[Any, ...], count: int) -> float:
    """Mean time of `count` calls, each waited for."""
    began = time.perf_counter()
    for _ in range(count):
        jax.block_until_ready(call(*inputs))
    return (time.perf_counter() - began) / count


def summary(samples: Any) -> Record:
    """Median and quartiles."""
    lower, median, upper = np.quantile(samples, [0.25, 0.5, 0.75])
    return {
        "median": float(median),
        "lower": float(lower),
        "upper": float(upper),
        "samples": len(samples),
    }


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector waits until the times are taken."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def no_compilation_cache() -> Iterator[None]:
    """JAX's compilation cache on disk is off: what it holds would not be compiled."""
    before = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
