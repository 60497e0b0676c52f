"""Mistakes in the arrays given to an operation."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Shape = tuple[int, ...]

_ARRAY_LIKE = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


def array(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of numbers; a list is refused, as `jax.numpy.linalg` refuses it."""
    known = isinstance(value, _ARRAY_LIKE) or hasattr(value, "__jax_array__")
    if not known or hasattr(value, "to_dense"):  # an operator is formed by name only
        raise TypeError(f"`{operation}` needs an array for {name}; got {type(value).__name__}.")
    dtype = getattr(value, "dtype", None)
    if dtype is not None and not _numeric(dtype):
        raise TypeError(f"`{operation}` needs an array of numbers for {name}; got dtype {dtype}.")
    return jnp.asarray(value)


def matrix(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of shape (..., m, n)."""
    X = array(operation, value, name)
    if X.ndim < 2:
        raise ValueError(
            f"`{operation}` needs {_article(name)}matrix of shape (..., m, n); got shape {X.shape}."
        )
    return X


def square(operation: str, value: Any, name: str = "X") -> jax.Array:
    """``value`` as an array of shape (..., n, n)."""
    X = array(operation, value, name)
    if X.ndim < 2 or X.shape[-1] != X.shape[-2]:
        raise ValueError(
            f"`{operation}` needs a square matrix of shape (..., n, n)"
            f"{'' if name == 'X' else f' for {name}'}; got shape {X.shape}."
        )
    return X


def factors(operation: str, values: Sequence[Any]) -> list[jax.Array]:
    """One or more matrices whose leading axes broadcast against each other."""
    if not values:
        raise TypeError(f"`{operation}` needs at least one matrix; got none.")
    matrices = [matrix(operation, value, f"factor {i}") for i, value in enumerate(values, 1)]
    batches(operation, matrices)
    return matrices


def batches(operation: str, matrices: Iterable[jax.Array]) -> None:
    """The leading axes of the matrices broadcast against each other."""
    shapes = [X.shape for X in matrices]
    try:
        jnp.broadcast_shapes(*(shape[:-2] for shape in shapes))
    except ValueError:
        raise ValueError(
            f"`{operation}` needs leading axes that broadcast; got shapes {listed(shapes)}."
        ) from None


def cycle(operation: str, matrices: Sequence[jax.Array]) -> None:
    """The product of the matrices, in their order, exists and is square."""
    shapes = [X.shape for X in matrices]
    followers = [*shapes[1:], shapes[0]]
    if any(left[-1] != right[-2] for left, right in zip(shapes, followers, strict=True)):
        raise ValueError(
            f"`{operation}` needs factors whose product exists and is square; "
            f"got shapes {listed(shapes)}."
        )


def same_matrix_shape(operation: str, A: jax.Array, B: jax.Array) -> None:
    """A and B have the same last two axes, and leading axes that broadcast."""
    if A.shape[-2:] != B.shape[-2:]:
        raise ValueError(
            f"`{operation}` needs A and B with the same last two axes; "
            f"got shapes {listed([A.shape, B.shape])}."
        )
    batches(operation, [A, B])


def right_hand_side(operation: str, A: jax.Array, value: Any, name: str = "B") -> jax.Array:
    """``value`` as the right-hand side of A X = B: of shape (n,) or (..., n, k)."""
    B = array(operation, value, name)
    n = A.shape[-1]
    if B.ndim == 0 or B.shape[-2:][0] != n:
        raise ValueError(
            f"`{operation}` needs {name} of shape ({n},) or (..., {n}, k), since A has shape "
            f"{A.shape}; got shape {B.shape}."
        )
    if B.ndim > 1:
        batches(operation, [A, B])
    return B


def vectors(operation: str, value: Any, A: jax.Array, name: str = "x") -> jax.Array:
    """``value`` as vectors (..., n) that A (..., n, n) multiplies."""
    x = array(operation, value, name)
    n = A.shape[-1]
    if x.ndim == 0 or x.shape[-1] != n:
        raise ValueError(
            f"`{operation}` needs {name} of shape (..., {n}), since A has shape {A.shape}; "
            f"got shape {x.shape}."
        )
    batches(operation, [x[..., None], A])
    return x


def squares(operation: str, values: Sequence[Any]) -> list[jax.Array]:
    """One or more square matrices whose leading axes broadcast against each other."""
    matrices = factors(operation, values)
    for i, X in enumerate(matrices, 1):
        square(operation, X, f"factor {i}")
    return matrices


def equal_columns(operation: str, matrices: Sequence[jax.Array]) -> None:
    """The matrices have one number of columns."""
    if len({X.shape[-1] for X in matrices}) > 1:
        raise ValueError(
            f"`{operation}` needs factors with the same number of columns; "
            f"got shapes {listed([X.shape for X in matrices])}."
        )


def half_vectorised(operation: str, value: Any) -> tuple[jax.Array, int]:
    """``value`` as an array of shape (..., n(n+1)/2), and n."""
    x = array(operation, value, "x")
    n = (math.isqrt(8 * x.shape[-1] + 1) - 1) // 2 if x.ndim else -1
    if x.ndim == 0 or n * (n + 1) // 2 != x.shape[-1]:
        raise ValueError(
            f"`{operation}` needs x of shape (..., n(n+1)/2) for some n; got shape {x.shape}."
        )
    return x, n


def vectorised(operation: str, value: Any, shape: Any) -> tuple[jax.Array, tuple[int, int]]:
    """``value`` as an array of shape (..., m·n), and (m, n) as two integers."""
    x = array(operation, value, "x")
    try:
        m, n = map(operator.index, shape)
    except (TypeError, ValueError):
        raise TypeError(
            f"`{operation}` needs two integers (m, n) for shape; got {shape!r}."
        ) from None
    if m < 0 or n < 0 or x.ndim == 0 or x.shape[-1] != m * n:
        raise ValueError(
            f"`{operation}` needs x of shape (..., m·n) for the matrix shape {(m, n)}; "
            f"got shape {x.shape}."
        )
    return x, (m, n)


def option(operation: str, name: str, value: Any, allowed: Sequence[str]) -> None:
    """``value`` is one of the allowed words."""
    if value not in allowed:
        words = " or ".join(f'"{word}"' for word in allowed)
        raise ValueError(f"`{operation}` needs {name} to be {words}; got {value!r}.")


def tolerance(operation: str, value: Any, X: jax.Array) -> jax.Array:
    """``value`` as a relative tolerance: a number, or one for each matrix of X (..., m, n)."""
    rtol = array(operation, value, "rtol")
    try:
        fits = np.broadcast_shapes(rtol.shape, X.shape[:-2]) == X.shape[:-2]
    except ValueError:
        fits = False
    if not fits or jnp.iscomplexobj(rtol):
        raise ValueError(
            f"`{operation}` needs rtol to be a real number, or an array of shape {X.shape[:-2]}; "
            f"got shape {rtol.shape} and dtype {rtol.dtype}."
        )
    return rtol


def assumption(operation: str, value: Any) -> None:
    """``value`` is a word for what is known of a square matrix."""
    option(operation, "assume_a", value, ("gen", "sym", "pos"))


def _numeric(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.number) or jnp.issubdtype(dtype, jnp.bool_)


def _article(name: str) -> str:
    return "a " if name == "X" else f"{name} to be a "


def listed(shapes: Sequence[Shape]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, shapes[:-1])), str(shapes[-1])]))
