"""What is measured in a process of its own: peers that are not JAX, and the memory of one call.

Two frameworks in one process would share its thread pools, and an allocator that has worked before
hides what a call needs. A process here obeys its parent over a pipe. One that dies or does not
answer raises `Failed` in the parent; none outlives it.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import connection
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.memory import device_peak, peak, record

# From a server that has imported everything and started nothing, a process comes in no time. Where
# the system's libraries do not bear a fork, each imports what it needs.
METHOD = "forkserver" if sys.platform == "linux" else "spawn"
PRELOADED = ["benchmarks.peers.preloaded"]

START = 180.0  # seconds in which a process starts, compiles where it does, and answers once
LONGEST = 5.0  # that the first call of a peer may take: one that is slower is not timed
PATIENCE = 60.0  # and in which it answers again, beyond what it is expected to take


class Failed(Exception):
    """A process raised, died or did not answer; the sentence says which."""


class Apart:
    """An object in a process of its own, whose methods are asked for by name.

    Args:
        make: what makes the object there, a class or function that can be pickled.
        arguments: what it is called with.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        context: Any = multiprocessing.get_context(METHOD)
        if METHOD == "forkserver":
            context.set_forkserver_preload(PRELOADED)
        self._pipe, theirs = context.Pipe()
        # daemons: this process ends them when it ends
        self._process = context.Process(target=_obey, args=(theirs, make), daemon=True)
        self._process.start()
        theirs.close()
        self._send(arguments)

    @property
    def number(self) -> int | None:
        """The system's number of the process."""
        return self._process.pid

    def ask(self, method: str, *arguments: Any, patience: float = PATIENCE) -> Any:
        """The object's answer; `Failed` where there is none."""
        self._send((method, arguments))
        try:
            if not self._pipe.poll(patience):
                self.close()
                raise Failed(f"no answer within {patience:.0f} s")
            done, answer = self._pipe.recv()
        except (EOFError, OSError):
            raise self._died() from None
        if not done:
            raise Failed(answer)
        return answer

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise self._died() from None

    def _died(self) -> Failed:
        self._process.join(PATIENCE)
        code = self._process.exitcode
        how = f"exit code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        self.close()
        return Failed(f"its process died ({how})")

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _obey(pipe: connection.Connection, make: Callable[..., Any]) -> None:
    """The life of a process: make the object, then answer until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is asked to stop, and ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    made: Any = None
    problem = ""
    try:
        made = make(*pipe.recv())
    except EOFError:
        return
    except Exception as error:
        problem = sentence(error)
    while True:
        try:
            method, arguments = pipe.recv()
        except EOFError:
            return
        try:
            reply = (False, problem) if problem else (True, getattr(made, method)(*arguments))
        except Exception as error:
            reply = (False, sentence(error))
        pipe.send(reply)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def sentence(error: BaseException) -> str:
    """An error in one line."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    text = f"{type(error).__name__}: {first}".removesuffix(": ")
    return text if len(text) <= 200 else text[:199] + "…"


class Frame:
    """What a process asks of its framework; NumPy's arrays where nothing else is said."""

    def __init__(self, platform: str) -> None:
        """Refuse a platform that the framework does not compute on."""

    def enter(self, array: np.ndarray) -> Any:
        """The framework's own array."""
        return array

    def leave(self, part: Any) -> np.ndarray:
        """NumPy's array of one of the framework's."""
        return np.asarray(part)

    def wait(self, answer: Any) -> None:
        """Return when the answer is there."""

    def peak(self, call: Callable[[], Any]) -> tuple[Any, int | None, str]:
        """The answer of a call, the bytes it took at its peak, or why they are not known."""
        return peak(call)


class Peer:
    """A contender that is not JAX, in its process."""

    def __init__(
        self, framework: str, task: str, function: str, arrays: Sequence[np.ndarray], platform: str
    ) -> None:
        module = importlib.import_module(f"benchmarks.peers.{framework}")
        self._frame: Frame = module.Framework(platform)
        self._inputs = [self._frame.enter(array) for array in arrays]
        self._call = module.TASKS[task](peers.function(framework, function))

    def ready(self) -> None:
        """There is an answer to this when everything is imported."""

    def first(self) -> tuple[list[np.ndarray], dict[str, Any]]:
        """The answer of the first call, and its memory."""
        answer, count, why = self._frame.peak(self._once)
        return [self._frame.leave(part) for part in leaves(answer)], record(count, why)

    def seconds(self, count: int) -> float:
        """Mean time of `count` calls, each waited for."""
        began = time.perf_counter()
        for _ in range(count):
            self._once()
        return (time.perf_counter() - began) / count

    def _once(self) -> Any:
        answer = self._call(*self._inputs)
        self._frame.wait(answer)
        return answer


def leaves(answer: Any) -> list[Any]:
    """The arrays of nested tuples and lists, in order."""
    if isinstance(answer, tuple | list):
        return [leaf for part in answer for leaf in leaves(part)]
    return [answer]


class OneCall:
    """A contender of JAX in a process of its own, which is compiled and called once."""

    def __init__(
        self,
        task: str,
        name: str,
        function: Callable[..., Any],
        arrays: Sequence[np.ndarray],
        x64: bool,
        platforms: str | None,
    ) -> None:
        import jax

        from benchmarks.contenders import TASKS

        jax.config.update("jax_platforms", platforms)
        jax.config.update("jax_enable_x64", x64)
        contender = TASKS[task][name]
        # The runtime's own memory comes with its first product, however small.
        jax.block_until_ready(jax.jit(jax.hessian(lambda x: x @ jax.numpy.eye(4) @ x))(np.ones(4)))
        self._inputs = contender.prepare(function, *map(jax.numpy.asarray, arrays))
        jax.block_until_ready(self._inputs)
        self._call = jax.jit(contender.build(function)).lower(*self._inputs).compile()

    def memory(self) -> dict[str, Any]:
        """Bytes at the peak of the first call beyond those in use before it."""
        import jax

        def call() -> Any:
            return jax.block_until_ready(self._call(*self._inputs))

        device = jax.devices()[0]
        if device.platform == "cpu":
            return record(*peak(call)[1:])
        if not device.memory_stats():
            return record(None, f"the {device.platform} does not say")
        return record(device_peak(device, call))
