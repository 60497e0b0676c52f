"""Mistakes in a batch: its axes and lengths, and the options of a mapped transform."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def positive_count(operation: str, name: str, value: Any, word: str | None = None) -> int | None:
    """An integer of at least 1, or None; ``word`` is the one word that may stand for it."""
    if value is None or (word is not None and isinstance(value, str) and value == word):
        return None
    options = "None or a positive integer" if word is None else f'None, "{word}" or an integer ≥ 1'
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"`{operation}` needs {name} to be {options}; got {value!r}.")
    if value < 1:
        raise ValueError(f"`{operation}` needs {name} to be {options}; got {value!r}.")
    return int(value)


def memory_limit(operation: str, value: Any, is_auto: bool) -> int | None:
    """Bytes, from a number or a text such as "2GiB"."""
    if value is None:
        return None
    need = '`{}` needs memory_limit in bytes, or as text such as "2GiB"; got {!r}.'
    count = value
    if isinstance(value, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt]?)(i?)b)?\s*", value.lower())
        if found is None:
            raise ValueError(need.format(operation, value))
        number, unit, binary = found.groups()
        count = float(number) * (1024 if binary else 1000) ** _UNITS[unit or ""]
    elif isinstance(value, bool) or not isinstance(value, int | float | np.integer):
        raise TypeError(need.format(operation, value))
    if not 1 <= count < float("inf"):
        raise ValueError(need.format(operation, value))
    if not is_auto:
        raise ValueError(
            f'`{operation}` needs batch_size="auto" for a memory_limit, since only then is the '
            f"size of a chunk chosen by it; got memory_limit={value!r}."
        )
    return int(count)


def device_mesh(operation: str, value: Any) -> None:
    """A mesh of devices, or None."""
    if value is not None and not isinstance(value, jax.sharding.Mesh):
        raise TypeError(
            f"`{operation}` needs mesh to be a jax.sharding.Mesh or None; "
            f"got {type(value).__name__}."
        )


def mapped_function(operation: str, value: Any) -> None:
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"`{operation}` needs a function; got {type(value).__name__}.")


def axes_fit(operation: str, in_axes: Any, args: Sequence[Any]) -> list[int | None]:
    """The batch axis of each leaf of the arguments, from a pytree prefix as `jax.vmap` takes it."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise ValueError(
            f"`{operation}` needs one entry of in_axes for each of the {len(args)} positional "
            f"arguments; got {len(in_axes)}."
        )
    axes: list[Any] = []

    def spread(axis: Any, part: Any) -> None:
        axes.extend([axis] * jax.tree.structure(part).num_leaves)

    try:
        jax.tree.map(spread, in_axes, tuple(args), is_leaf=lambda axis: axis is None)
    except (ValueError, TypeError):
        raise ValueError(
            f"`{operation}` needs in_axes to be a prefix of the arguments' pytree, as for "
            f"jax.vmap; got {in_axes!r}."
        ) from None
    for axis in axes:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int | np.integer)):
            raise TypeError(f"`{operation}` needs integers and None in in_axes; got {axis!r}.")
    return [None if axis is None else int(axis) for axis in axes]


def batch_axis(operation: str, where: str, value: Any, axis: int) -> int:
    """``axis`` counted from the front, of an array that has it."""
    if not _is_array(value):
        raise TypeError(
            f"`{operation}` needs an array in every mapped argument (in_axes=None passes others "
            f"on whole); {where} is of type {type(value).__name__}."
        )
    shape = np.shape(value)
    if not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"`{operation}` needs a batch axis {axis} in every mapped argument (in_axes=None "
            f"passes others on whole); {where} has shape {tuple(shape)}."
        )
    return axis % len(shape)


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.dtype == object:
        return False
    known = jax.Array | np.ndarray | np.generic | int | float | complex
    return isinstance(value, known) or hasattr(value, "__jax_array__")


def one_length(operation: str, lengths: Sequence[tuple[str, int]]) -> int:
    """The batch length, which is the same in all mapped arrays; there is at least one."""
    if not lengths:
        raise ValueError(
            f"`{operation}` needs at least one mapped argument with an array; got none."
        )
    for where, length in lengths:
        if length != lengths[0][1]:
            raise ValueError(
                f"`{operation}` needs one batch length in all mapped arguments; "
                f"{lengths[0][0]} has {lengths[0][1]} and {where} has {length}."
            )
    return lengths[0][1]


def is_static(operation: str, where: str, value: Any) -> bool:
    """Whether a leaf that is passed on whole is no array; it must then be hashable."""
    if _is_array(value):
        return False
    try:
        hash(value)
    except TypeError:
        raise TypeError(
            f"`{operation}` needs arrays or hashable values in what in_axes=None passes on; "
            f"{where} is of type {type(value).__name__}."
        ) from None
    return True


def numeric_results(operation: str, leaves: Sequence[Any]) -> None:
    """Results are arrays of numbers."""
    for leaf in leaves:
        if _is_extended(leaf.dtype):
            raise TypeError(
                f"`{operation}` needs a function whose results are arrays of numbers; "
                f"got dtype {leaf.dtype}."
            )


def _is_extended(dtype: Any) -> bool:
    """Whether a dtype is JAX's own, as that of random keys."""
    return jnp.issubdtype(dtype, jax.dtypes.extended)


def reducible(operation: str, reduce: str, results: Any, is_operator: Callable[..., bool]) -> None:
    """Results can be added leaf by leaf: arrays, no operators."""
    for leaf in jax.tree.leaves(results, is_leaf=is_operator):
        if is_operator(leaf):
            raise TypeError(
                f'`{operation}` needs arrays for reduce="{reduce}", since the sum of operators is '
                f"not that of their factors; the function returned a {type(leaf).__name__}."
            )


def mean_of_something(operation: str, reduce: str | None, length: int) -> None:
    """A mean is of one item or more."""
    if reduce == "mean" and length == 0:
        raise ValueError(f'`{operation}` needs one item or more for reduce="mean"; got 0.')


def outside_of_transforms(operation: str, batch_size: Any, out: str, progress: bool) -> None:
    """What a loop inside a traced program cannot do."""
    for given, reason in (
        (progress, "progress=True draws between chunks"),
        (out == "host", 'out="host" copies between chunks'),
        (batch_size == "auto", 'batch_size="auto" compiles to measure memory'),
    ):
        if given:
            raise ValueError(
                f"`{operation}` needs to be called outside of `jit`, `grad` and `vmap` where "
                f"{reason}; inside of them take an integer batch_size and results on the device."
            )


def addressable(operation: str, mesh: Any) -> None:
    """All devices of the mesh belong to this process, as results on the host need it."""
    if mesh is not None and mesh.is_multi_process:
        raise ValueError(
            f'`{operation}` needs a mesh of this process alone for out="host"; with more processes '
            "leave results on their devices, where `addressable_shards` has each one's own."
        )


def room_for_results(operation: str, held: int, limit: int) -> None:
    """Results that stay on a device fit in its memory."""
    if held > limit:
        raise ValueError(
            f'`{operation}` needs out="host", reduce= or a higher memory_limit for results that '
            f"take {_size(held)} on a device; got {_size(limit)}."
        )


def room_for_one(operation: str, needed: int, limit: int) -> None:
    """One item at a time fits in the memory, beside the results that stay on the device."""
    if needed > limit:
        raise ValueError(
            f"`{operation}` needs a memory_limit of {_size(needed)} or more to take one item at a "
            f"time; got {_size(limit)}."
        )


def known_memory(operation: str, value: int | None) -> int:
    """Free memory, where the platform says it."""
    if value is None:
        raise ValueError(
            f'`{operation}` needs memory_limit for batch_size="auto" on a platform that does not '
            "say how much memory is free; got None."
        )
    return value


def _size(count: int) -> str:
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:.3g} {unit}"
    return f"{count} bytes"
