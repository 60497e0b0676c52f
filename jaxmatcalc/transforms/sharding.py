"""A batch over the devices of a mesh: each device maps its own items, and nothing is gathered.

Without a mesh the same functions do the same on one device.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxmatcalc.transforms.chunks import Layout, Step

Mesh = jax.sharding.Mesh | None
Axes = tuple[int | None, ...]


def count(mesh: Mesh) -> int:
    """The number of devices that share the batch."""
    return 1 if mesh is None else mesh.size


def spec(mesh: jax.sharding.Mesh, axis: int | None) -> P:
    """A batch axis over all axes of the mesh; no batch axis, the same on every device."""
    return P() if axis is None else P(*[None] * axis, mesh.axis_names)


def over_devices(mesh: Mesh, function: Callable[..., Any], *axes: Any) -> Callable[..., Any]:
    """A function run by each device on its own items, where each result leads with a batch axis.

    Args:
        mesh: the devices.
        function: takes as many arguments as there are `axes`.
        axes: for each argument its batch axis; a tuple of them if the argument is a sequence.
    """
    if mesh is None:
        return function
    specs = jax.tree.map(lambda axis: spec(mesh, axis), axes, is_leaf=lambda axis: axis is None)
    # What a user's function does is not checked for what differs between devices: it has no way
    # to communicate, so that its results may always differ.
    return jax.shard_map(
        function, mesh=mesh, in_specs=specs, out_specs=P(mesh.axis_names), check_vma=False
    )


def whole(mesh: Mesh, x: Any) -> Any:
    """An argument that is not mapped, where every device has it."""
    if mesh is None or not isinstance(x, jax.Array) or not x.committed:
        return x
    return _moved(x, NamedSharding(mesh, P()))


def placed(mesh: Mesh, layout: Layout, x: Any, axis: int) -> Any:
    """A mapped argument with each item where it is worked on; NumPy's are left on the host."""
    if not isinstance(x, jax.Array):
        return x if isinstance(x, np.ndarray) else np.asarray(x)
    if mesh is None:
        return x
    sharding = NamedSharding(mesh, spec(mesh, axis))
    if not layout.is_padded:
        return x if x.sharding.is_equivalent_to(sharding, x.ndim) else _moved(x, sharding)
    if x.sharding.device_set == set(mesh.devices.flat):
        return _padded(layout, axis, sharding)(x)
    return _moved(_padded(layout, axis)(x), sharding)


def _moved(x: jax.Array, sharding: NamedSharding) -> jax.Array:
    if sharding.is_fully_addressable or not x.is_fully_addressable:
        return jax.device_put(x, sharding)
    local = np.asarray(x)  # of this process, and equal in the others
    return jax.make_array_from_callback(x.shape, sharding, lambda index: local[index])


@functools.lru_cache(maxsize=256)
def _padded(layout: Layout, axis: int, sharding: Any = None) -> Callable[..., Any]:
    missing = layout.devices * layout.length - layout.items
    return jax.jit(lambda x: lengthened(x, axis, missing), out_shardings=sharding)


def lengthened(x: Any, axis: int, missing: int) -> Any:
    """An array with its last item repeated at the end, so many times.

    The copies are constants to a derivative, so that what happens to them reaches nothing.
    """
    if not missing:
        return x
    x = gathered(x)
    last = lax.stop_gradient(lax.slice_in_dim(x, x.shape[axis] - 1, None, axis=axis))
    copies = jnp.broadcast_to(last, (*x.shape[:axis], missing, *x.shape[axis + 1 :]))
    return jnp.concatenate([x, copies], axis=axis)


def gathered(x: Any) -> Any:
    """An array without sharding in its type, which a mesh with explicit axes puts there.

    Such a type admits only equal shards, so that a length they do not divide needs it whole.
    """
    mesh = jax.typeof(x).sharding.mesh
    return jax.sharding.reshard(x, NamedSharding(mesh, P())) if _is_explicit(mesh) else x


def expected(mesh: Mesh, x: Any, axis: int | None) -> Any:
    """An array whose type says that each device takes its part of it, if types say such things."""
    if mesh is None or not _is_explicit(mesh):
        return x
    return jax.sharding.reshard(x, NamedSharding(mesh, spec(mesh, axis)))


def _is_explicit(mesh: Any) -> bool:
    return AxisType.Explicit in mesh.axis_types


def chunk(
    mesh: Mesh, layout: Layout, arrays: Sequence[Any], axes: Sequence[int], step: Step
) -> list[Any]:
    """The rows of one chunk of each mapped argument."""
    on_device = [isinstance(x, jax.Array) for x in arrays]
    if layout.chunk == layout.length and all(on_device):
        return list(arrays)
    device = [(x, a) for x, a, is_on in zip(arrays, axes, on_device, strict=True) if is_on]
    taken = iter(())
    if device:
        xs, axes_ = zip(*device, strict=True)
        taken = iter(_taken(mesh, layout.chunk, axes_, xs, np.int32(step.start)))
    return [
        next(taken) if is_on else _from_host(mesh, layout, x, axis, step)
        for x, axis, is_on in zip(arrays, axes, on_device, strict=True)
    ]


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _taken(mesh: Mesh, size: int, axes: tuple[int, ...], arrays: Any, start: Any) -> Any:
    def local(arrays: Any, start: Any) -> tuple[Any, ...]:
        return tuple(
            lax.dynamic_slice_in_dim(lengthened(x, a, max(0, size - x.shape[a])), start, size, a)
            for x, a in zip(arrays, axes, strict=True)
        )

    if mesh is None:
        return local(arrays, start)
    specs = tuple(spec(mesh, a) for a in axes)
    split = jax.shard_map(local, mesh=mesh, in_specs=(specs, P()), out_specs=specs, check_vma=False)
    return split(arrays, start)


def _from_host(mesh: Mesh, layout: Layout, x: np.ndarray, axis: int, step: Step) -> Any:
    before = (slice(None),) * axis

    def rows(device: int) -> np.ndarray:
        return x[(*before, layout.rows(device, step.start))]

    if mesh is None:
        return rows(0)
    shape = (*x.shape[:axis], layout.devices * layout.chunk, *x.shape[axis + 1 :])
    dtype = jax.dtypes.canonicalize_dtype(x.dtype)

    def of_device(index: Any) -> np.ndarray:
        return rows((index[axis].start or 0) // layout.chunk).astype(dtype, copy=False)

    sharding = NamedSharding(mesh, spec(mesh, axis))
    return jax.make_array_from_callback(shape, sharding, of_device)


def on_devices(mesh: Mesh, rows: np.ndarray) -> Any:
    """A host array of the rows of one chunk, device after device."""
    if mesh is None:
        return rows
    sharding = NamedSharding(mesh, P(mesh.axis_names))
    return jax.make_array_from_callback(rows.shape, sharding, lambda index: rows[index])


def blocks(mesh: Mesh, x: jax.Array, size: int) -> list[tuple[int, np.ndarray]]:
    """The part of a chunk's result that each device has, by the device's place in the batch."""
    if mesh is None:
        return [(0, np.asarray(x))]
    return [((s.index[0].start or 0) // size, np.asarray(s.data)) for s in x.addressable_shards]


@functools.partial(jax.jit, static_argnums=(0, 1))
def begun(mesh: Mesh, length: int, parts: Any) -> Any:
    """Room for all results on each device, with those of the first chunk in it."""

    def local(parts: Any) -> Any:
        return jax.tree.map(lambda x: _with_room(x, length), parts)

    return over_devices(mesh, local, 0)(parts)


def _with_room(x: jax.Array, length: int) -> jax.Array:
    if length <= x.shape[0]:
        return x[:length]
    return jnp.zeros((length, *x.shape[1:]), x.dtype).at[: x.shape[0]].set(x)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def written(mesh: Mesh, results: Any, parts: Any, start: Any) -> Any:
    """Results with those of one more chunk, in place."""

    def local(results: Any, parts: Any, start: Any) -> Any:
        def one(x: jax.Array, part: jax.Array) -> jax.Array:
            return lax.dynamic_update_slice_in_dim(x, part, start, 0)

        return jax.tree.map(one, results, parts)

    return over_devices(mesh, local, 0, 0, None)(results, parts, start)


def cut(mesh: Mesh, layout: Layout, results: Any) -> Any:
    """Results without the items that were filled in.

    JAX has equal shards only: the batch is left over those axes of the mesh that divide it.
    """
    if mesh is None or not layout.is_padded:
        return results
    choices = (
        names
        for size in range(len(mesh.axis_names), -1, -1)
        for names in itertools.combinations(mesh.axis_names, size)
        if layout.items % math.prod(mesh.shape[name] for name in names) == 0
    )
    names = max(choices, key=lambda names: math.prod(mesh.shape[name] for name in names))
    return _shortened(layout.items, NamedSharding(mesh, P(names) if names else P()))(results)


@functools.lru_cache(maxsize=256)
def _shortened(items: int, sharding: NamedSharding) -> Callable[..., Any]:
    return jax.jit(
        lambda results: jax.tree.map(lambda x: gathered(x)[:items], results),
        out_shardings=sharding,
    )
