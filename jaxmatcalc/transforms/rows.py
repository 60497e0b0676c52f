"""The arguments of a mapped call: which arrays hold the batch, and what is passed on whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxmatcalc import _checks


class Form(NamedTuple):
    """What is static in a call, so that calls of one form share a program.

    Attributes:
        tree: the pytree of the positional and the keyword arguments.
        axes: the batch axis of each array, None if it is passed on whole.
        static: leaves that are no arrays, with their places among all leaves.
    """

    tree: Any
    axes: tuple[int | None, ...]
    static: tuple[tuple[int, Any], ...]

    @property
    def mapped(self) -> list[int]:
        """The places of the arrays that hold the batch."""
        return [k for k, axis in enumerate(self.axes) if axis is not None]

    def vmapped(self, function: Callable[..., Any]) -> Callable[[Sequence[Any]], Any]:
        """The function on all items of these arrays."""

        def one(*arrays: Any) -> Any:
            leaves = list(arrays)
            for place, value in self.static:
                leaves.insert(place, value)
            args, kwargs = jax.tree.unflatten(self.tree, leaves)
            return function(*args, **kwargs)

        def many(arrays: Sequence[Any]) -> Any:
            results = jax.vmap(one, self.axes)(*arrays)
            _checks.numeric_results("batched", jax.tree.leaves(results))
            return results

        return many


def flattened(
    in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Form, list[Any], int]:
    """The form of a call, its arrays, and the length of the batch."""
    paths, tree = jax.tree_util.tree_flatten_with_path((args, kwargs))
    axes = _checks.axes_fit("batched", in_axes, args)
    axes += [0] * (len(paths) - len(axes))  # keyword arguments, as jax.vmap has them
    static, kept, arrays, lengths = [], [], [], []
    for place, ((path, value), axis) in enumerate(zip(paths, axes, strict=True)):
        where = ("args", "kwargs")[path[0].idx] + jax.tree_util.keystr(path[1:])
        if axis is None and _checks.is_static("batched", where, value):
            static.append((place, value))
            continue
        if axis is not None:
            axis = _checks.batch_axis("batched", where, value, axis)
            lengths.append((where, np.shape(value)[axis]))
        kept.append(axis)
        arrays.append(value)
    length = _checks.one_length("batched", lengths)
    return Form(tree, tuple(kept), tuple(static)), arrays, length
