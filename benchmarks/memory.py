"""The memory of one call: bytes in use at its peak, beyond those in use before it.

It is taken in a fresh process, which has compiled the program and run nothing: an allocator that
has worked before hides what a call needs. The process may be one without JAX.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def record(count: int | None, why: str = "") -> dict[str, Any]:
    """The record of a call's memory."""
    return {"peak": count, "why": why} if count is None else {"peak": count}


def device_peak(device: Any, call: Callable[[], Any]) -> int:
    """Bytes that a call takes of a device's memory.

    The device keeps its highest count only. So memory is filled up to that first, and the call
    makes a higher one.
    """
    import jax

    before = device.memory_stats()
    spare = before["peak_bytes_in_use"] - before["bytes_in_use"]
    filling = jax.device_put(np.zeros(spare, np.uint8), device)
    jax.block_until_ready(filling)
    in_use = device.memory_stats()["bytes_in_use"]
    answer = call()
    found = device.memory_stats()["peak_bytes_in_use"] - in_use
    del filling, answer
    return max(found, 0)


def peak(call: Callable[[], Any]) -> tuple[Any, int | None, str]:
    """A call's answer, and the bytes that the process took at its peak beyond those before it."""
    give_back()
    before, code = status("VmRSS"), status("RssFile")
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return _peak_of_a_life(call)
    answer = call()
    # Pages of libraries that the call was the first to touch are not its own.
    return answer, max(status("VmHWM") - before - (status("RssFile") - code), 0), ""


def _peak_of_a_life(call: Callable[[], Any]) -> tuple[Any, int | None, str]:
    """The same where the system keeps the highest count of a process's life only."""
    if sys.platform == "win32":
        return call(), None, "this system does not say"
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = call()
    grown = unit * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return (answer, grown, "") if grown else (answer, None, "less than was in use before the call")


def give_back() -> None:
    """Let glibc return what is free, at once from now on: what it keeps would hide a peak."""
    try:
        libc = ctypes.CDLL(None)
        trim_threshold, mmap_threshold = -1, -3  # the names of mallopt's parameters
        libc.mallopt(trim_threshold, 2**17)
        libc.mallopt(mmap_threshold, 2**17)
        libc.malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library
        pass


def status(name: str) -> int:
    """A count of /proc/self/status, in bytes; 0 where the system has no such file."""
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name)), 0)
