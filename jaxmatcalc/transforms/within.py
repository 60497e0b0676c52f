"""A batch in chunks inside of another transformation, where the loop is part of its program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.transforms import sharding
from jaxmatcalc.transforms.chunks import Layout
from jaxmatcalc.transforms.results import divided_sum

Local = Callable[[Any, Any], Any]  # arrays and which items are new, to results or their sums


def looped(
    local: Local,
    mesh: sharding.Mesh,
    layout: Layout,
    axes: sharding.Axes,
    arrays: list[Any],
    reduce: str | None,
) -> Any:
    """The results of all items by one loop over chunks on each device, as `jax.lax.map` has it."""
    missing = layout.devices * layout.length - layout.items
    filled = tuple(
        x if axis is None else sharding.lengthened(jnp.asarray(x), axis, missing)
        for x, axis in zip(arrays, axes, strict=True)
    )
    filled = tuple(sharding.expected(mesh, *pair) for pair in zip(filled, axes, strict=True))
    rows = -(-layout.length // layout.chunk) * layout.chunk  # on each device
    own = np.arange(rows)
    items = np.arange(layout.devices)[:, None] * layout.length + own
    is_new = ((own < layout.length) & (items < layout.items)).ravel()

    def device(arrays: Any, is_new: Any) -> Any:
        if rows == layout.chunk:
            return local(arrays, is_new)
        results = _scanned(local, layout, axes, arrays, is_new, rows)
        if reduce is not None:
            return jax.tree.map(lambda x: jnp.sum(x, axis=0), results)
        return jax.tree.map(lambda x: x.reshape(rows, *x.shape[2:])[: layout.length], results)

    marks = None if reduce is None else sharding.expected(mesh, jnp.asarray(is_new), 0)
    results = sharding.over_devices(mesh, device, axes, 0)(filled, marks)
    if reduce is not None:
        return divided_sum(results, layout.items if reduce == "mean" else None)
    if not missing:
        return results
    return jax.tree.map(lambda x: sharding.gathered(x)[: layout.items], results)


def _scanned(
    local: Local, layout: Layout, axes: sharding.Axes, arrays: Any, is_new: Any, rows: int
) -> Any:
    """The results of each chunk, stacked: an array a chunk of those that hold the batch."""

    def split(x: jax.Array, axis: int) -> jax.Array:
        front = jnp.moveaxis(sharding.lengthened(x, axis, rows - layout.length), axis, 0)
        return front.reshape(-1, layout.chunk, *front.shape[1:])

    chunks = [split(x, a) for x, a in zip(arrays, axes, strict=True) if a is not None]
    marks = None if is_new is None else is_new.reshape(-1, layout.chunk)

    def step(carry: None, chunk: Any) -> tuple[None, Any]:
        rest, marks = iter(chunk[0]), chunk[1]
        whole = tuple(
            x if a is None else jnp.moveaxis(next(rest), 0, a)
            for x, a in zip(arrays, axes, strict=True)
        )
        return carry, local(whole, marks)

    return lax.scan(step, None, (chunks, marks))[1]
