"""A transform over a batch that outgrows memory or one device: in chunks, and over a mesh."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from jaxmatcalc import _checks, _jax
from jaxmatcalc.linear.block import BlockOperator
from jaxmatcalc.linear.blockfactor import BlockFactored
from jaxmatcalc.linear.factor import Factored
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.transforms import sharding
from jaxmatcalc.transforms.chunks import TRIAL, Layout, Sizes, free_memory
from jaxmatcalc.transforms.progress import bar
from jaxmatcalc.transforms.results import OnDevice, OnHost, Total, partial_sums
from jaxmatcalc.transforms.rows import Form, flattened
from jaxmatcalc.transforms.within import looped


def batched(
    transform: Callable[..., Any],
    in_axes: Any = 0,
    batch_size: int | Literal["auto"] | None = None,
    memory_limit: int | str | None = None,
    mesh: jax.sharding.Mesh | None = None,
    out: Literal["device", "host"] = "device",
    reduce: Literal["sum", "mean"] | None = None,
    progress: bool = False,
) -> Callable[..., Any]:
    """A function over a batch: compiled once, in chunks that fit into memory, over many devices.

    Yᵢ = f(Xᵢ) for all items i of a batch, ΣYᵢ or their mean. f is any function: `hessian(f)`,
    `hessian_operator(f)`, `laplacian(f)`, `newton_direction(f)`, or none of ours. Chunks have one
    size, so that one compiled program serves them all, and with an integer `batch_size` batches of
    every length; a short last chunk is filled up with items of the batch, whose results are
    dropped. Results are handed over when all are there; an interrupted call leaves nothing behind,
    and no argument is changed. Keep the function that is returned: it holds the program.

    With a mesh, device d of the D maps items d ⌈N/D⌉ and up, by its own copy of the program, which
    has no communication. Arrays that come sharded in this way stay where they are, and results are
    sharded in the same way. JAX has equal shards only: where D does not divide N, the batch is
    filled up for the computation, and results are left over those axes of the mesh that divide N;
    with ``out="host"`` or `reduce` there is no such limit. Several processes call it alike, with
    arrays sharded over all of them or with equal arrays in each. With JAX 0.10, several host
    devices of one process can hang in jaxlib on large batches of LAPACK calls, without this
    function too; with JAX 0.12 they do not.

    Inside of `jit`, `grad` and `vmap` it is a loop like `jax.lax.map`.

    Args:
        transform: the function of one item, with a pytree of arrays or operators as its result.
        in_axes: the batch axis of each array, as for `jax.vmap`: an integer, None for what is
            passed on whole, or a pytree prefix of the arguments. Keyword arguments have it first.
            Arrays of NumPy stay on the host and are carried over chunk by chunk.
        batch_size: how many items to take at a time, on all devices together; None for all of them;
            "auto" for as many as the memory takes, from the compiler's own account of the program.
        memory_limit: for "auto", the bytes that a device may use for what the call puts there, or
            text such as "2GiB". By default half of what is free on the device, of which those of a
            host have equal parts.
        mesh: the devices to share the batch, over all axes of the mesh.
        out: "device", or "host" for NumPy arrays that are filled chunk by chunk.
        reduce: "sum" or "mean" over the batch, added chunk by chunk in order, in float32 or wider;
            None for the results of all items.
        progress: whether to draw a bar on standard error, if that is a terminal.

    Returns:
        A function like `transform` on arrays with one more axis. Its results have the batch as
        their leading axis; an operator carries it as `batch_shape`. Its attribute `lower` gives the
        program of one chunk for the same arguments, as that of `jax.jit` does.

    Raises:
        TypeError: an argument is not of its kind, a mapped argument is no array, or operators are
            to be added.
        ValueError: arrays have no such axis or different lengths, an option is not known, one item
            needs more memory than there is, or the call is inside of another transformation with
            ``out="host"``, ``progress=True`` or ``batch_size="auto"``.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> f = lambda x: jnp.sum(x**3)
        >>> xs = jnp.arange(10.0).reshape(5, 2)
        >>> jmc.batched(jmc.hessian(f), batch_size=2)(xs).shape
        (5, 2, 2)
        >>> jmc.batched(jmc.laplacian(f), batch_size=2, reduce="sum")(xs).item()
        270.0
    """
    _checks.mapped_function("batched", transform)
    size = _checks.positive_count("batched", "batch_size", batch_size, "auto")
    limit = _checks.memory_limit("batched", memory_limit, batch_size == "auto")
    _checks.device_mesh("batched", mesh)
    _checks.option("batched", "out", out, ("device", "host"))
    if reduce is not None:
        _checks.option("batched", "reduce", reduce, ("sum", "mean"))
    work = _Work(transform, mesh, reduce)

    def layout(form: Form, arrays: list[Any], items: int) -> Layout:
        devices = sharding.count(mesh)
        length = -(-items // devices)
        if batch_size == "auto":
            chunk = work.fitting(form, arrays, items, limit, stays=out == "device")
        else:
            chunk = length if size is None else max(1, size // devices)
        return Layout(items, devices, chunk)

    def call(*args: Any, **kwargs: Any) -> Any:
        form, arrays, items = flattened(in_axes, args, kwargs)
        _checks.mean_of_something("batched", reduce, items)
        tracing = _jax.is_tracing(arrays)
        if tracing:
            _checks.outside_of_transforms("batched", batch_size, out, progress)
        elif out == "host":
            _checks.addressable("batched", mesh)
        if not items:
            return work.empty(form, arrays, out)
        found = layout(form, arrays, items)
        if tracing:
            found = found._replace(chunk=min(found.chunk, found.length))
            return looped(work.local(form), mesh, found, form.axes, arrays, reduce)
        return work.run(form, arrays, found, out, progress)

    def lower(*args: Any, **kwargs: Any) -> jax.stages.Lowered:
        form, arrays, items = flattened(in_axes, args, kwargs)
        return work.lowered(form, arrays, layout(form, arrays, items).chunk)

    return _Batched(transform, call, lower)


class _Batched:
    """A function with a method `lower`: as an attribute, `jax.jit` would take it for its own."""

    def __init__(
        self,
        transform: Callable[..., Any],
        call: Callable[..., Any],
        lower: Callable[..., jax.stages.Lowered],
    ):
        functools.update_wrapper(self, transform, updated=())
        self._call, self._lower = call, lower

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> jax.stages.Lowered:
        """The program of a chunk at these arguments."""
        return self._lower(*args, **kwargs)


class _Work:
    """A function with the devices it is mapped over, and the program of one chunk."""

    def __init__(self, transform: Callable[..., Any], mesh: Any, reduce: str | None):
        self._transform, self._mesh, self._reduce = transform, mesh, reduce
        self._program = jax.jit(self._chunk, static_argnums=0)
        self._sizes: dict[Any, Sizes] = {}

    def local(self, form: Form) -> Callable[[Any, Any], Any]:
        """From the items of one device to their results, or the sums of those that are new."""
        many = form.vmapped(self._transform)

        def results(arrays: Any, is_new: Any) -> Any:
            found = many(arrays)
            if self._reduce is None:
                return found
            _checks.reducible("batched", self._reduce, found, _is_operator)
            return partial_sums(found, is_new)

        return results

    def _chunk(self, form: Form, arrays: Any, is_new: Any) -> Any:
        spread = sharding.over_devices(self._mesh, self.local(form), form.axes, 0)
        return spread(tuple(arrays), is_new)

    def run(self, form: Form, arrays: list[Any], layout: Layout, out: str, progress: bool) -> Any:
        """All chunks in order; one is computed while the results of the last are put away."""
        mesh, reduce = self._mesh, self._reduce
        arrays = [
            sharding.whole(mesh, x) if axis is None else sharding.placed(mesh, layout, x, axis)
            for x, axis in zip(arrays, form.axes, strict=True)
        ]
        batches = [arrays[k] for k in form.mapped]
        axes = [axis for axis in form.axes if axis is not None]
        if reduce is not None:
            results: Any = Total(mesh, layout, reduce, out)
        else:
            results = (OnHost if out == "host" else OnDevice)(mesh, layout)
        pending = None
        with bar(layout.items, progress) as reach:
            for done, step in enumerate(layout.steps):
                rows = sharding.chunk(mesh, layout, batches, axes, step)
                for place, x in zip(form.mapped, rows, strict=True):
                    arrays[place] = x
                del rows
                is_new = None
                if reduce is not None:
                    is_new = sharding.on_devices(mesh, layout.is_new(step))
                parts = self._program(form, arrays, is_new)
                if pending is not None:
                    results.add(*pending)
                    reach(min(layout.items, done * layout.devices * layout.chunk))
                pending = parts, step
            assert pending is not None
            results.add(*pending)
            reach(layout.items)
        return results.whole()

    def lowered(self, form: Form, arrays: list[Any], chunk: int) -> jax.stages.Lowered:
        """The program of one chunk, with so many items on each device."""
        mesh, rows = self._mesh, sharding.count(self._mesh) * chunk

        def described(x: Any, axis: int | None) -> Any:
            if axis is None:
                return sharding.whole(mesh, x)
            shape = (*x.shape[:axis], rows, *x.shape[axis + 1 :])
            return self._described(shape, jax.typeof(x).dtype, axis)

        chunks = [described(x, axis) for x, axis in zip(arrays, form.axes, strict=True)]
        is_new = None if self._reduce is None else self._described((rows,), jnp.bool_, 0)
        return self._program.lower(form, chunks, is_new)

    def _described(self, shape: tuple[int, ...], dtype: Any, axis: int) -> jax.ShapeDtypeStruct:
        mesh = self._mesh
        place = None if mesh is None else NamedSharding(mesh, sharding.spec(mesh, axis))
        return jax.ShapeDtypeStruct(shape, dtype, sharding=place)

    def fitting(
        self, form: Form, arrays: list[Any], items: int, limit: int | None, stays: bool
    ) -> int:
        """How many items each device takes at a time; results stay there, or are carried away."""
        if limit is None:
            mesh = self._mesh
            limit = free_memory(
                jax.local_devices()[:1] if mesh is None else list(mesh.devices.flat)
            )
        length = -(-items // sharding.count(self._mesh))
        shapes = [
            (x.dtype, x.shape if axis is None else (*x.shape[:axis], *x.shape[axis + 1 :]))
            for x, axis in zip(map(jax.typeof, arrays), form.axes, strict=True)
        ]
        key = form, tuple(shapes)
        if key not in self._sizes:
            self._sizes[key] = Sizes()
        held = 0
        if stays and self._reduce is None:
            held = length * _bytes_of_one(self.lowered(form, arrays, min(length, TRIAL)))

        def needs(chunk: int) -> int:
            found = self.lowered(form, arrays, chunk).compile().memory_analysis()
            assert found is not None
            whole = found.argument_size_in_bytes + found.output_size_in_bytes
            return whole + found.temp_size_in_bytes - found.alias_size_in_bytes

        return self._sizes[key].choose(needs, length, held, limit)

    def empty(self, form: Form, arrays: list[Any], out: str) -> Any:
        """The results of no items, shaped as those of one."""
        mesh, whole = self._mesh, self._reduce is not None

        def single(x: Any, axis: int | None) -> Any:
            if axis is None:
                return x
            x = jax.typeof(x)
            return jax.ShapeDtypeStruct((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)

        one = [single(*pair) for pair in zip(arrays, form.axes, strict=True)]
        shapes = jax.eval_shape(lambda xs: self.local(form)(xs, jnp.zeros(1, bool)), one)
        axis = None if whole else 0
        place = None if mesh is None else NamedSharding(mesh, sharding.spec(mesh, axis))

        def nothing(x: Any) -> Any:
            shape = x.shape[1:] if whole else (0, *x.shape[1:])
            found = jnp.zeros(shape, x.dtype, device=place)
            return jax.device_get(found) if out == "host" else found

        return jax.tree.map(nothing, shapes)


def _bytes_of_one(lowered: jax.stages.Lowered) -> int:
    """The bytes of the results of one item."""
    return sum(math.prod(x.shape[1:]) * x.dtype.itemsize for x in jax.tree.leaves(lowered.out_info))


def _is_operator(x: Any) -> bool:
    return isinstance(x, LinearOperator | BlockOperator | Factored | BlockFactored)
