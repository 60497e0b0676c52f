"""Seconds of compiling and of running, the contenders in turns."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from benchmarks.apart import LONGEST, PATIENCE, START, Apart, Failed, Peer
from benchmarks.cases import Case
from benchmarks.contenders import Contender

Record = dict[str, Any]
SAMPLE = 2e-2
QUIET = 1e-1  # seconds in which the threads of a peer that has answered stop looking for work


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


class Here:
    """A contender of JAX, compiled, with its inputs."""

    def __init__(self, call: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
        self._call, self._inputs = call, inputs

    def answer(self) -> list[np.ndarray]:
        return flat(self._call(*self._inputs))

    def seconds(self, count: int) -> float:
        """Mean time of `count` calls, each waited for."""
        began = time.perf_counter()
        for _ in range(count):
            jax.block_until_ready(self._call(*self._inputs))
        return (time.perf_counter() - began) / count


class There:
    """A contender that is not JAX, in a process of its own."""

    def __init__(self, contender: Contender, function: str, arguments: Sequence[jax.Array]) -> None:
        arrays, platform = [np.asarray(a) for a in arguments], jax.default_backend()
        asked = (contender.framework, contender.build, function, arrays, platform)
        self._process = Apart(Peer, *asked)
        self._expected = 0.0
        self.memory: Record = {}

    def answer(self) -> list[np.ndarray]:
        self._process.ask("ready", patience=START)
        found, self.memory = self._process.ask("first", patience=LONGEST)
        return found

    def seconds(self, count: int) -> float:
        """Mean time of `count` calls, each waited for."""
        patience = PATIENCE + 10 * count * self._expected
        self._expected = self._process.ask("seconds", count, patience=patience)
        time.sleep(QUIET)
        return self._expected

    def close(self) -> None:
        self._process.close()


def flat(answer: Any) -> list[np.ndarray]:
    """The arrays of an answer: value and gradients have errors of their own."""
    return [np.asarray(leaf) for leaf in jax.tree.leaves(answer)]


class Runner(Protocol):
    """What is timed."""

    def seconds(self, count: int) -> float: ...


def compiled(
    contender: Contender, case: Case, inputs: tuple[Any, ...]
) -> tuple[Callable[..., Any], float]:
    """A contender traced and compiled anew, nothing cached, and the seconds that this took."""
    jax.clear_caches()
    with no_garbage_collection():
        began = time.perf_counter()
        call = jax.jit(contender.build(case.function)).lower(*inputs).compile()
        return call, time.perf_counter() - began


def time_compiling(
    contenders: Mapping[str, Contender],
    case: Case,
    inputs: Mapping[str, tuple[Any, ...]],
    repeats: int,
) -> dict[str, list[float]]:
    """Seconds of tracing and compiling, the contenders in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, contender in contenders.items():
            times[name].append(compiled(contender, case, inputs[name])[1])
    return times


def time_running(
    runners: Mapping[str, Runner], settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of a call, one sample of each contender a round; and why some have none.

    Every second round is in reverse: what runs after a peer, whose process was waited for, finds
    cold caches, and that must not always be the same one.
    """
    running = dict(runners)
    times: dict[str, list[float]] = {name: [] for name in running}
    failed: dict[str, str] = {}

    def sample(name: str, take: Callable[[Runner], Any]) -> Any:
        try:
            return take(running[name])
        except Failed as error:
            failed[name] = str(error)
            del running[name], times[name]

    counts = {name: sample(name, calls_of_a_sample) for name in runners}
    began = time.perf_counter()
    with no_garbage_collection():
        for rounds in range(settings.most):
            spent = time.perf_counter() - began
            if rounds >= settings.fewest and spent > settings.budget:
                break
            for name in [*running][:: -1 if rounds % 2 else 1]:
                taken = sample(name, lambda runner, count=counts[name]: one_sample(runner, count))
                if taken is not None:
                    times[name].append(taken)
    return times, failed


def calls_of_a_sample(runner: Runner) -> int:
    """How many calls last `SAMPLE` seconds, by the fastest of three; of long ones, one will do.

    The check was the first run.
    """
    fastest = math.inf
    for _ in range(3):
        fastest = min(fastest, runner.seconds(1))
        if fastest >= SAMPLE:
            return 1
    return math.ceil(SAMPLE / fastest)


def one_sample(runner: Runner, count: int) -> float:
    if count > 1:
        runner.seconds(1)
    return runner.seconds(count)


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
