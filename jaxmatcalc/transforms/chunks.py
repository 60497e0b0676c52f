"""A batch in chunks: which rows each one has, and how large it may be in the memory there is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmatcalc import _checks

# Of the memory that is free, the part to plan with: the rest is for libraries and other programs.
FRACTION = 0.5
# Chunks to have room for: one is computed while another is carried away, and the memory of the one
# before may not have been given back by the allocator.
IN_FLIGHT = 3
# A chunk chosen before is kept, and its program with it, as long as it pads no more than this.
WASTE = 1 / 8
# The larger of two trials; the other is an eighth of it.
TRIAL = 128


class Step(NamedTuple):
    """One chunk: where its rows begin on each device, and how many of them were had before."""

    start: int
    skip: int


class Layout(NamedTuple):
    """How the items of a batch lie on the devices, and in chunks on each.

    Device d has the items from ``d * length`` on. What is missing at the end is filled with the
    last item, a real one: zeros would be singular matrices. All chunks are of one size, so that one
    program serves them; the last begins early enough to be full.
    """

    items: int
    devices: int
    chunk: int  # items at a time on each device

    @property
    def length(self) -> int:
        """Items on each device."""
        return -(-self.items // self.devices)

    @property
    def is_padded(self) -> bool:
        """Whether the last devices have items that were filled in."""
        return self.items != self.devices * self.length

    @property
    def steps(self) -> list[Step]:
        """The chunks, in order."""
        latest = max(0, self.length - self.chunk)
        return [Step(min(s, latest), max(0, s - latest)) for s in range(0, self.length, self.chunk)]

    def rows(self, device: int, start: int) -> slice | np.ndarray:
        """Which items one device has in the chunk that begins at `start`."""
        first = device * self.length + start
        if start + self.chunk <= self.length and first + self.chunk <= self.items:
            return slice(first, first + self.chunk)
        own = np.minimum(start + np.arange(self.chunk), self.length - 1)
        return np.minimum(device * self.length + own, self.items - 1)

    def is_new(self, step: Step) -> np.ndarray:
        """Which rows of a chunk, device after device, are items that no other chunk has."""
        own = np.arange(self.chunk) + step.start
        items = np.arange(self.devices)[:, None] * self.length + own
        fresh = (own >= step.start + step.skip) & (own < self.length)
        return (fresh & (items < self.items)).ravel()

    def target(self, device: int, step: Step) -> tuple[slice, slice]:
        """Where rows of a chunk belong in the results, and which of its rows they are."""
        first = device * self.length + step.start + step.skip
        end = min(step.start + self.chunk, self.length) + device * self.length
        count = max(0, min(end, self.items) - first)
        return slice(first, first + count), slice(step.skip, step.skip + count)


class Sizes:
    """The chunk for a memory limit, from what the compiler says that two trial chunks take."""

    def __init__(self):
        self._known: dict[int, int] = {}  # the bytes of a chunk's program, by the chunk's size
        self._last = 0

    def choose(self, needs: Callable[[int], int], length: int, held: int, limit: int) -> int:
        """How many of `length` items to take at a time.

        Args:
            needs: from a chunk's size to the bytes of its program on one device: arguments, results
                and everything between.
            length: items on each device.
            held: bytes of the results that stay on each device.
            limit: bytes that a device has.
        """

        def bytes_of(chunk: int) -> int:
            if chunk not in self._known:
                self._known[chunk] = needs(chunk)
            return self._known[chunk]

        _checks.room_for_results("batched", held, limit)
        large = min(length, TRIAL)
        # The results of a batch that is one chunk are those that stay.
        if bytes_of(large) * length <= limit * large and bytes_of(length) <= limit:
            return length
        small = max(1, large // 8)
        each = (bytes_of(large) - bytes_of(small)) / max(1, large - small)  # one item's bytes
        beside = bytes_of(small) - each * small  # and what there is beside the items
        if each > 0 and beside + each * length <= limit and bytes_of(length) <= limit:
            return length
        room = (limit - held) / IN_FLIGHT
        fitting = math.floor((room - beside) / each) if each > 0 else length
        fitting = min(max(1, fitting), length)
        if not self._serves(length, fitting):
            self._last = -(-length // -(-length // fitting))
        while (needed := bytes_of(self._last)) > room:
            if self._last == 1:
                _checks.room_for_one("batched", IN_FLIGHT * needed + held, limit)
            self._last = max(1, min(self._last - 1, math.floor(self._last * room / needed)))
        return self._last

    def _serves(self, length: int, fitting: int) -> bool:
        """Whether the chunk that was chosen before is good for this batch."""
        chunk = self._last
        if not 0 < chunk <= fitting or 2 * chunk < fitting:
            return False
        return -(-length // chunk) * chunk <= (1 + WASTE) * length


def free_memory(devices: Sequence[Any]) -> int:
    """The bytes that each of these devices may use, of the memory that is free now."""
    local = [d for d in devices if d.process_index == jax.process_index()]
    found = min(map(_free, local), default=2**62)
    if len(local) < len(devices):  # every process must come to the same chunk
        from jax.experimental.multihost_utils import process_allgather

        # in KiB, since integers may have 32 bits
        shared = process_allgather(np.asarray(min(found >> 10, 2**31 - 1), np.int32))
        found = int(np.min(shared)) << 10
    return math.floor(FRACTION * found)


def _free(device: Any) -> int:
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    sharing = len(jax.local_devices(backend=device.platform))
    return _checks.known_memory("batched", _host_memory()) // sharing


def _host_memory() -> int | None:
    """Free bytes of this machine, or of the container it runs in."""
    found = [_available(), *map(_container, _LIMITS)]
    return min((n for n in found if n is not None), default=None)


def _available() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


# What a container may use and what it uses, in version 2 and version 1 of Linux control groups
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def _container(files: tuple[str, str]) -> int | None:
    try:
        limit, used = (int(Path(file).read_text("ascii")) for file in files)
    except (OSError, ValueError):  # no such file, or the word "max"
        return None
    return max(0, limit - used)
