"""Mistakes in the functions and exponents given to functions of matrices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def exponent(operation: str, value: Any) -> int:
    """``value`` as an integer."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"`{operation}` needs an integer for k; got {value!r}.") from None


def scalar_function(operation: str, value: Any, dtype: Any) -> Any:
    """What the function gives for a real scalar, as a shape and dtype: one number."""
    if not callable(value):
        raise TypeError(f"`{operation}` needs a function for f; got {type(value).__name__}.")
    out = jax.eval_shape(value, jax.ShapeDtypeStruct((), dtype))
    if not isinstance(out, jax.ShapeDtypeStruct) or out.shape != ():
        raise TypeError(
            f"`{operation}` needs an f that maps a number to a number; "
            f"for a scalar it returned {out}."
        )
    if not (jnp.issubdtype(out.dtype, jnp.number) or jnp.issubdtype(out.dtype, jnp.bool_)):
        raise TypeError(f"`{operation}` needs an f that returns a number; got dtype {out.dtype}.")
    return out


def one_array(operation: str, result: Any) -> None:
    """A function returned one array of real floating-point numbers."""
    if not isinstance(result, jax.ShapeDtypeStruct):
        kind = jax.tree.structure(result)
        raise TypeError(
            f"`{operation}` needs a function that returns one array; it returned {kind}."
        )
    if not jnp.issubdtype(result.dtype, jnp.floating):
        raise TypeError(
            f"`{operation}` needs a function that returns real floating-point numbers; "
            f"its result has dtype {result.dtype}."
        )


def one_name_each(operation: str, names: Sequence[str], count: int) -> None:
    """There are as many names as arguments, all different and fit for a variable."""
    if len(names) != count:
        raise ValueError(
            f"`{operation}` needs one name an argument; got {len(names)} names for {count}."
        )
    wrong = [n for k, n in enumerate(names) if not n.isidentifier() or n in names[:k]]
    if wrong:
        raise ValueError(
            f"`{operation}` needs names that are identifiers, all different; got {wrong[0]!r}."
        )


def array_argument(
    operation: str, value: Any, parameters: Sequence[str], arrays: Sequence[str]
) -> str:
    """The name of an argument that is an array, given by its name or its position."""
    name = value
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"`{operation}` needs wrt to be a name or a position; got {value!r}.")
        if not -len(parameters) <= value < len(parameters):
            raise ValueError(
                f"`{operation}` needs wrt between 0 and {len(parameters) - 1}, since "
                f"{len(parameters)} arguments were given; got {value}."
            )
        name = parameters[int(value)]
    if name not in arrays:
        raise ValueError(
            f"`{operation}` needs wrt to name an argument that is an array of real numbers, one "
            f"of {', '.join(arrays) or 'none here'}; got {value!r}."
        )
    return name


def symmetric_arguments(operation: str, names: Sequence[str], arrays: dict[str, Any]) -> None:
    """The names are those of square matrices that equal their transposes, where they are given."""
    for name in names:
        if name not in arrays:
            raise ValueError(
                f"`{operation}` needs symmetric to name arguments that are arrays, of "
                f"{', '.join(arrays) or 'none here'}; got {name!r}."
            )
        value = arrays[name]
        if len(value.shape) != 2 or value.shape[0] != value.shape[1]:
            raise ValueError(
                f"`{operation}` needs a symmetric argument to be a square matrix; "
                f"{name} has shape {tuple(value.shape)}."
            )
        if isinstance(value, jax.ShapeDtypeStruct):
            continue
        X = np.asarray(value)
        if not np.allclose(X, X.T, atol=1e-5 * max(1.0, float(np.abs(X).max(initial=0)))):
            raise ValueError(
                f"`{operation}` needs the argument {name} to equal its transpose, since "
                f"`symmetric` names it; it does not."
            )
