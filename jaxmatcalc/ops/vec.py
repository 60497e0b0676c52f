"""vec and vech with their inverses: a matrix as a vector of its columns, whole or halved."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc._multilinear import Multilinear

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


def vech(X: Any) -> jax.Array:
    """The columns of the lower triangle of a square matrix, stacked into a vector.

    vech X = (X₁₁, …, Xₙ₁, X₂₂, …, Xₙ₂, …, Xₙₙ), with differential vech dX. The entries above the
    diagonal are not read. For symmetric X, D vech X = vec X with the duplication matrix D.

    Args:
        X: array of shape (..., n, n).

    Returns:
        Array of shape (..., n(n+1)/2).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.vech(jnp.array([[1, 2], [2, 3]])).tolist()
        [1, 2, 3]

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), section 3.8.
    """
    return _vech((2,), _checks.square("vech", X))


def _lower_triangle(X: jax.Array) -> jax.Array:
    n = X.shape[-1]
    rows, columns = np.triu_indices(n)
    X = jnp.swapaxes(X, -1, -2).reshape(*X.shape[:-2], n * n)  # read in the order of memory
    return jnp.take(X, rows * n + columns, axis=-1, mode="clip")


def unvech(x: Any) -> jax.Array:
    """The symmetric matrix whose lower triangle, by columns, is a given vector.

    vech(unvech(x)) = x, and unvech(vech(X)) = X for symmetric X; the differential is unvech dx. So
    the derivatives of f(unvech(x)) are those in the independent entries of a symmetric matrix; see
    `symmetric` for those in the inner product of matrices. A complex x is not conjugated.

    Args:
        x: array of shape (..., n(n+1)/2).

    Returns:
        Array of shape (..., n, n), equal to its transpose.

    Raises:
        TypeError: x is not an array.
        ValueError: the last axis of x does not have n(n+1)/2 entries for any n.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.unvech(jnp.array([1, 2, 3])).tolist()
        [[1, 2], [2, 3]]

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), section 3.8.
    """
    x, n = _checks.half_vectorised("unvech", x)
    return _unvech((1,), x, n=n)


def _mirrored(x: jax.Array, n: int) -> jax.Array:
    i, j = np.indices((n, n))
    low, high = np.minimum(i, j), np.maximum(i, j)
    places = low * n - low * (low + 1) // 2 + high
    return jnp.take(x, places.ravel(), axis=-1, mode="clip").reshape(*x.shape[:-1], n, n)


def _filled(x: jax.Array, n: int) -> jax.Array:
    return jnp.tril(_mirrored(x, n))


def _folded(X: jax.Array) -> jax.Array:
    both = _lower_triangle(X) + _lower_triangle(jnp.swapaxes(X, -1, -2))
    return both * _lower_triangle(jnp.asarray(1 - np.eye(X.shape[-1]) / 2, X.dtype))


# A derivative of a choice of entries scatters what it gets, one entry at a time. Each of these
# primitives is transposed into another choice of entries instead.
_vech = Multilinear(
    "vech",
    _lower_triangle,
    lambda primals, tangents: _vech((2,), tangents[0]),
    lambda cotangent, operands, k: _vech_transpose((1,), cotangent, n=_order(cotangent)),
)
_vech_transpose = Multilinear(
    "vech_transpose",
    _filled,
    lambda primals, tangents, n: _vech_transpose((1,), tangents[0], n=n),
    lambda cotangent, operands, k, n: _vech((2,), cotangent),
)
_unvech = Multilinear(
    "unvech",
    _mirrored,
    lambda primals, tangents, n: _unvech((1,), tangents[0], n=n),
    lambda cotangent, operands, k, n: _unvech_transpose((2,), cotangent),
)
_unvech_transpose = Multilinear(
    "unvech_transpose",
    _folded,
    lambda primals, tangents: _unvech_transpose((2,), tangents[0]),
    lambda cotangent, operands, k: _unvech((1,), cotangent, n=_order(cotangent)),
)


def _order(x: jax.Array) -> int:
    """The n of a vector of n(n+1)/2 entries."""
    return (math.isqrt(8 * x.shape[-1] + 1) - 1) // 2
