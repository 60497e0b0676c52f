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


def cell(operation: str, value: Any, name: str) -> jax.Array:
    """``value`` as a scalar, column vector or matrix that can be differentiated."""
    x = array(operation, value, name)
    _differentiable_dtype(operation, x.dtype, False, "arguments and results")
    if x.ndim > 2:
        raise ValueError(
            f"`{operation}` needs {name} to be a scalar, a vector or a matrix, of at most two "
            f"axes; got shape {x.shape}."
        )
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


def inexact_results(operation: str, avals: Sequence[Any], holomorphic: bool) -> None:
    """Results are of a floating-point dtype, real or complex; complex if `holomorphic`."""
    for aval in avals:
        real = not jnp.issubdtype(aval.dtype, jnp.complexfloating)
        if holomorphic or real:
            _differentiable_dtype(operation, aval.dtype, holomorphic, "results")


def scalar_result(operation: str, tree: Any, avals: Sequence[Any], real: bool = True) -> None:
    """The function returned one scalar, a real one if asked for."""
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
    if real and not jnp.issubdtype(aval.dtype, jnp.floating):
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
    operation: str, value: Any, tree: Any, leaves: Sequence[jax.Array], stacked: bool = False
) -> list[jax.Array]:
    """``value`` as a flat list of arrays shaped as the differentiated argument, or stacks of it."""
    given, given_tree = jax.tree.flatten(value)
    if given_tree != tree:
        raise ValueError(
            f"`{operation}` needs a vector with the pytree of the argument, {tree}; "
            f"got {given_tree}."
        )
    vectors = [array(operation, v, "the vector") for v in given]
    shapes = [x.shape for x in leaves]
    if stacked:
        _stacks(operation, vectors, shapes)
    elif [v.shape for v in vectors] != shapes:
        raise ValueError(
            f"`{operation}` needs a vector of the argument's shape {listed(shapes)}; "
            f"got {listed([v.shape for v in vectors])}."
        )
    for v, x in zip(vectors, leaves, strict=True):
        if jnp.iscomplexobj(v) and not jnp.iscomplexobj(x):
            raise TypeError(
                f"`{operation}` needs a real vector for a real argument; got dtype {v.dtype}."
            )
    return [v.astype(x.dtype) for v, x in zip(vectors, leaves, strict=True)]


def _stacks(operation: str, vectors: Sequence[jax.Array], shapes: Sequence[Any]) -> None:
    """The vectors have the given shapes after one leading axis, which is the same in all."""
    found = [v.shape for v in vectors]
    if [v[1:] for v in found] != shapes or not all(found) or len({v[0] for v in found}) > 1:
        raise ValueError(
            f"`{operation}` with many=True needs vectors of the argument's shape "
            f"{listed(shapes)} after one leading axis; got {listed(found)}."
        )


def orders(operation: str, value: Any) -> tuple[int, ...]:
    """Orders of a derivative, as a tuple of integers ≥ 0."""
    given = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(k, int | np.integer) and not isinstance(k, bool) for k in given):
        raise TypeError(
            f"`{operation}` needs order to be an integer or a tuple of them; got {value!r}."
        )
    if not given or not all(k >= 0 for k in given):
        raise ValueError(f"`{operation}` needs orders of at least 0; got {value!r}.")
    return tuple(map(int, given))


def symmetric_leaves(
    operation: str, value: Any, tree: Any, shapes: Sequence[Any]
) -> tuple[bool, ...]:
    """Which leaves of a pytree are symmetric matrices, from True, False or a pytree of these."""
    try:
        like = jax.tree.unflatten(tree, range(len(shapes)))
        found: tuple[Any, ...] = tuple(jax.tree.leaves(jax.tree.broadcast(value, like)))
    except ValueError:
        found = (None,)
    if not all(isinstance(leaf, bool) for leaf in found):
        raise ValueError(
            f"`{operation}` needs symmetric to be True, False, or a pytree of these like the "
            f"argument; got {value!r}."
        )
    for only, shape in zip(found, shapes, strict=True):
        if only and (len(shape) != 2 or shape[0] != shape[1]):
            raise ValueError(
                f"`{operation}` with symmetric=True needs matrices (n, n); got shape {shape}."
            )
    return found
