"""Mistakes in the use of linear operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc._checks.arrays import Shape, array


def square_operator(operation: str, out_shape: Shape, in_shape: Shape) -> None:
    """The operator maps arrays of one shape to arrays of that shape."""
    if out_shape != in_shape:
        raise ValueError(
            f"`{operation}` needs a linear operator with equal in_shape and out_shape; "
            f"got {in_shape} → {out_shape}."
        )


def composable(in_shape: Shape, out_shape: Shape) -> None:
    """The right operator's values are what the left one takes."""
    if in_shape != out_shape:
        raise ValueError(
            f"`LinearOperator @` needs a right operator with out_shape {in_shape}, "
            f"the left one's in_shape; got {out_shape}."
        )


def same_operator_shapes(operation: str, left: tuple[Shape, Shape], right: Any) -> None:
    """Two operators are between the same shapes."""
    if left != right:
        raise ValueError(
            f"`LinearOperator {operation}` needs operators of the same shapes; "
            f"got {left[1]} → {left[0]} and {right[1]} → {right[0]}."
        )


def operand(operation: str, value: Any, shape: Shape, batch: Shape) -> jax.Array:
    """``value`` as an array of ``shape``, or flat, after the batch axes of the operator."""
    x = array(operation, value, "x")
    flat = (int(np.prod(shape)),)
    if x.shape in (shape, flat):
        return jnp.broadcast_to(x, batch + x.shape)
    if x.shape in (batch + shape, batch + flat):
        return x
    before = f" after batch axes {batch}" if batch else ""
    raise ValueError(
        f"`{operation}` needs an array of shape {shape}, or flat {flat}{before}; got {x.shape}."
    )


def scalar_factor(value: Any) -> None:
    """``value`` is a number or an array without axes."""
    if jnp.ndim(array("LinearOperator *", value, "the factor")):
        raise ValueError(
            "`LinearOperator *` needs a scalar; for an array of weights compose with "
            f"`diagonal(weights)`; got shape {jnp.shape(value)}."
        )


def nonzero_operator(operation: str, terms: Sequence[Any]) -> None:
    """The operator has terms."""
    if not terms:
        raise ValueError(
            f"`{operation}` needs an operator that is not identically zero; got the zero operator."
        )


def structured_inverse(kind: str) -> ValueError:
    """The error for an inverse that has no short form."""
    return ValueError(
        "`inv` and the derivative of `logdet` need symmetric Kronecker factors, "
        'assume_a="sym" to say that they are, or method="dense"; '
        f"got {kind} with general factors."
    )


def eigenvector_derivative() -> ValueError:
    """The error for a derivative that would go through eigenvectors."""
    return ValueError(
        "`inv` in eigenvectors, and `logdet` beyond the first order where a commutation is "
        'crossed, have no derivative; use `solve`, or method="dense".'
    )


def schur_platform(platform: str) -> None:
    """JAX has a Schur decomposition on this platform."""
    if platform != "cpu":
        raise ValueError(
            'the method "schur" needs a CPU, where JAX has a Schur decomposition; '
            f'got {platform} (method="eigen" for symmetric factors, or "dense", run there).'
        )


def shape(operation: str, value: Any) -> Shape:
    """``value`` as a tuple of sizes."""
    sizes = value if isinstance(value, tuple | list) else (value,)
    if not all(isinstance(n, int | np.integer) and n >= 0 for n in sizes):
        raise TypeError(f"`{operation}` needs a shape of integers ≥ 0; got {value!r}.")
    return tuple(int(n) for n in sizes)


def some(operation: str, values: Sequence[Any]) -> Sequence[Any]:
    """One or more values."""
    if not values:
        raise TypeError(f"`{operation}` needs at least one matrix; got none.")
    return values


def one_matrix(operation: str, value: Any, name: str) -> jax.Array:
    """``value`` as an array with two axes."""
    X = array(operation, value, name)
    if X.ndim != 2:
        raise ValueError(f"`{operation}` needs {name} to be a matrix (m, n); got shape {X.shape}.")
    return X


def same_columns(operation: str, U: jax.Array, V: jax.Array) -> None:
    """Two matrices have the same number of columns."""
    if U.shape[1] != V.shape[1]:
        raise ValueError(
            f"`{operation}` needs U and V with the same number of columns; "
            f"got shapes {U.shape} and {V.shape}."
        )


def symmetric_matrices(operation: str, in_shape: Shape) -> None:
    """The operator acts on square matrices."""
    if len(in_shape) != 2 or in_shape[0] != in_shape[1]:
        raise ValueError(
            f"`{operation}` with symmetric=True needs an operator on matrices (n, n); "
            f"got in_shape {in_shape}."
        )
