"""Mistakes in the functions and exponents given to functions of matrices."""

from __future__ import annotations

import operator
from typing import Any

import jax
import jax.numpy as jnp


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
