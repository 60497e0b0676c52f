"""vec and its inverse: a matrix as a vector of its stacked columns or rows."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks

_ORDERS = ("F", "C")


def vec(X: Any, order: str = "F") -> jax.Array:
    """The columns of a matrix stacked into a vector.

    (vec X)_{i + jm} = Xᵢⱼ, with differential d vec X = vec dX. With order="C" the rows are stacked.

    Args:
        X: array of shape (..., m, n).
        order: "F" stacks columns, as in Magnus and Neudecker; "C" stacks rows.

    Returns:
        Array of shape (..., m·n).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes, or the order is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.vec(jnp.array([[1, 2], [3, 4]])).tolist()
        [1, 3, 2, 4]

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), section 2.4.
    """
    X = _checks.matrix("vec", X)
    _checks.option("vec", "order", order, _ORDERS)
    return _vec(order, X)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _vec(order: str, X: jax.Array) -> jax.Array:
    return _stacked(order, X)


@_vec.defjvp
def _vec_jvp(order: str, primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _vec(order, X), _stacked(order, dX)


def _stacked(order: str, X: jax.Array) -> jax.Array:
    rows = jnp.swapaxes(X, -1, -2) if order == "F" else X
    return rows.reshape(*X.shape[:-2], X.shape[-2] * X.shape[-1])


def unvec(x: Any, shape: tuple[int, int], order: str = "F") -> jax.Array:
    """The matrix whose stacked columns are a given vector; the inverse of `vec`.

    Xᵢⱼ = x_{i + jm}, with differential dX = unvec dx. With order="C" the rows are filled.

    Args:
        x: array of shape (..., m·n).
        shape: (m, n).
        order: "F" fills columns, as `vec` stacks them by default; "C" fills rows.

    Returns:
        Array of shape (..., m, n).

    Raises:
        TypeError: x is not an array, or shape is not two integers.
        ValueError: x does not have m·n entries on its last axis, or the order is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.unvec(jnp.arange(6), (2, 3)).tolist()
        [[0, 2, 4], [1, 3, 5]]

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), section 2.4.
    """
    x, size = _checks.vectorised("unvec", x, shape)
    _checks.option("unvec", "order", order, _ORDERS)
    return _unvec(size, order, x)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _unvec(shape: tuple[int, int], order: str, x: jax.Array) -> jax.Array:
    return _unstacked(shape, order, x)


@_unvec.defjvp
def _unvec_jvp(shape: tuple[int, int], order: str, primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return _unvec(shape, order, x), _unstacked(shape, order, dx)


def _unstacked(shape: tuple[int, int], order: str, x: jax.Array) -> jax.Array:
    m, n = shape
    if order == "C":
        return x.reshape(*x.shape[:-1], m, n)
    return jnp.swapaxes(x.reshape(*x.shape[:-1], n, m), -1, -2)
