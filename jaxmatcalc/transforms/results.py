"""Where the results of chunks go: to one array on the device or the host, or into a sum.

Each takes the results chunk by chunk, in order, and hands them over only when all are there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxmatcalc.transforms import sharding
from jaxmatcalc.transforms.chunks import Layout, Step


class OnDevice:
    """Results in arrays on the device, or sharded over the devices, each item where it was made."""

    def __init__(self, mesh: sharding.Mesh, layout: Layout):
        self._mesh, self._layout = mesh, layout
        self._results: Any = None

    def add(self, parts: Any, step: Step) -> None:
        """Put the results of one chunk in their place."""
        jax.block_until_ready(parts)  # else chunks would queue on the device, with their memory
        if self._results is not None:
            start = np.int32(step.start)
            self._results = sharding.written(self._mesh, self._results, parts, start)
        elif self._layout.chunk == self._layout.length:
            self._results = parts
        else:
            self._results = sharding.begun(self._mesh, self._layout.length, parts)

    def whole(self) -> Any:
        """All results."""
        return sharding.cut(self._mesh, self._layout, self._results)


class OnHost:
    """Results in NumPy arrays; a device holds those of two chunks."""

    def __init__(self, mesh: sharding.Mesh, layout: Layout):
        self._mesh, self._layout = mesh, layout
        self._results: list[np.ndarray] = []
        self._tree: Any = None

    def add(self, parts: Any, step: Step) -> None:
        """Copy the results of one chunk to their place."""
        leaves, self._tree = jax.tree.flatten(parts)
        if not self._results:
            items = self._layout.items
            self._results = [np.empty((items, *x.shape[1:]), x.dtype) for x in leaves]
        for result, part in zip(self._results, leaves, strict=True):
            for device, rows in sharding.blocks(self._mesh, part, self._layout.chunk):
                to, of = self._layout.target(device, step)
                result[to] = rows[of]

    def whole(self) -> Any:
        """All results."""
        return jax.tree.unflatten(self._tree, self._results)


class Total:
    """The sum or the mean of all results, added chunk by chunk."""

    def __init__(self, mesh: sharding.Mesh, layout: Layout, reduce: str, out: str):
        self._items, self._mesh = layout.items, mesh
        self._reduce, self._out = reduce, out
        self._sums: Any = None

    def add(self, parts: Any, step: Step) -> None:
        """Add the sums of one chunk, one for each device."""
        jax.block_until_ready(parts)
        self._sums = parts if self._sums is None else _added(self._sums, parts)

    def whole(self) -> Any:
        """The sum over all devices, divided by the number of items for the mean."""
        total = _summed(self._mesh)(self._sums, self._items if self._reduce == "mean" else None)
        return jax.tree.map(np.array, total) if self._out == "host" else total


def partial_sums(results: Any, is_new: Any) -> Any:
    """The sum over those items that are new, under a leading axis of length 1.

    What is shorter than 32 bits is added in float32.
    """

    def one(x: jax.Array) -> jax.Array:
        counted = jnp.where(is_new.reshape(-1, *[1] * (x.ndim - 1)), x, jnp.zeros((), x.dtype))
        dtype = jnp.promote_types(x.dtype, jnp.float32) if _is_short(x.dtype) else None
        return jnp.sum(counted, axis=0, keepdims=True, dtype=dtype)

    return jax.tree.map(one, results)


def _is_short(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32


@jax.jit
def _added(a: Any, b: Any) -> Any:
    return jax.tree.map(jnp.add, a, b)


@functools.lru_cache(maxsize=64)
def _summed(mesh: sharding.Mesh) -> Callable[[Any, int | None], Any]:
    """The sum over devices, divided by a number unless it is None; every device has the result."""
    everywhere = None if mesh is None else NamedSharding(mesh, PartitionSpec())
    return jax.jit(divided_sum, out_shardings=everywhere)


def divided_sum(sums: Any, divisor: Any) -> Any:
    """The sum over the leading axis, divided by a number unless it is None."""

    def one(x: jax.Array) -> jax.Array:
        total = jnp.sum(x, axis=0)
        return total if divisor is None else total / divisor

    return jax.tree.map(one, sums)
