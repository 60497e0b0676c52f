"""Mistakes in the arguments of a transform, and in what the function returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc._checks.arrays import array, listed


def argnums(operation: str, value: Any, count: int) -> tuple[int, ...]:
    """``argnums`` as positions among ``count`` arguments."""
    numbers = (value,) if isinstance(value, int | np.integer) else value
    if not isinstance(numbers, Sequence) or not all(
        isinstance(n, int | np.integer) for n in numbers
    ):
        raise TypeError(
            f"`{operation}` needs argnums to be an integer or a tuple of them; got {value!r}."
        )
    if not numbers or not all(-count <= n < count for n in numbers):
        raise ValueError(
            f"`{operation}` needs argnums between 0 and {count - 1}, since {count} positional "
            f"arguments were given; got {value!r}."
        )
    return tuple(int(n) % count for n in numbers)


def differentiable(operation: str, value: Any, holomorphic: bool) -> jax.Array:
    """``value`` as an array of a dtype that can be differentiated."""
    x = array(operation, value, "every differentiated argument")
    _differentiable_dtype(operation, x.dtype, holomorphic, "arguments")
    return x


def differentiable_results(operation: str, avals: Sequence[Any], holomorphic: bool) -> None:
    """Results are of a dtype that can be differentiated."""
    for aval in avals:
        _differentiable_dtype(operation, aval.dtype, holomorphic, "results")


def _differentiable_dtype(operation: str, dtype: Any, holomorphic: bool, what: str) -> None:
    if holomorphic and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"`{operation}` needs complex {what} with holomorphic=True; got dtype {dtype}."
        )
    if not holomorphic and not jnp.issubdtype(dtype, jnp.floating):
        hint = (
            " (holomorphic=True is for complex ones)"
            if jnp.issubdtype(dtype, jnp.complexfloating)
            else ""
        )
        raise TypeError(
            f"`{operation}` needs {what} of a real floating-point dtype{hint}; got dtype {dtype}."
        )


def scalar_result(operation: str, tree: Any, avals: Sequence[Any]) -> None:
    """The function returned one real scalar."""
    if len(avals) != 1 or not jax.tree_util.treedef_is_leaf(tree):
        raise TypeError(
            f"`{operation}` needs a function that returns a scalar; it returned {tree}."
        )
    (aval,) = avals
    if aval.shape != ():
        raise TypeError(
            f"`{operation}` needs a function that returns a scalar; "
            f"its result has shape {tuple(aval.shape)}."
        )
    if not jnp.issubdtype(aval.dtype, jnp.floating):
        raise TypeError(
            f"`{operation}` needs a function that returns a real scalar; "
            f"its result has dtype {aval.dtype}."
        )


def has_vector(operation: str, args: Sequence[Any]) -> None:
    """At least one argument and a vector were given."""
    if len(args) < 2:
        raise TypeError(
            f"`{operation}` needs the function's arguments followed by the vector; "
            f"got {len(args)} arguments."
        )


def like_argument(
    operation: str, value: Any, tree: Any, leaves: Sequence[jax.Array]
) -> list[jax.Array]:
    """``value`` as a flat list of arrays shaped as the differentiated argument."""
    given, given_tree = jax.tree.flatten(value)
    if given_tree != tree:
        raise ValueError(
            f"`{operation}` needs a vector with the pytree of the argument, {tree}; "
            f"got {given_tree}."
        )
    vectors = [array(operation, v, "the vector") for v in given]
    shapes = [x.shape for x in leaves]
    if [v.shape for v in vectors] != shapes:
        raise ValueError(
            f"`{operation}` needs a vector of the argument's shape {listed(shapes)}; "
            f"got {listed([v.shape for v in vectors])}."
        )
    return [v.astype(x.dtype) for v, x in zip(vectors, leaves, strict=True)]
