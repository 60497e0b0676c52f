"""The inverse of a matrix, and the solution of a linear system."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops import _lu
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._products import matmul, product_rule


def inv(X: Any) -> jax.Array:
    """The inverse of a square matrix.

    Y = X⁻¹, with differential dY = -Y dX Y.

    Where X is singular (a pivot of its LU factorisation is exactly zero) every entry of Y is inf
    and the derivative, which does not exist, is NaN; the rest of a batch is not affected.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        Array of shape (..., n, n).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.inv(jnp.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
        [[0.5, 0.0], [0.0, 0.25]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (40).
    """
    (X,) = inexact(_checks.square("inv", X))
    return narrow(_inv(widen(X)), X)


@jax.custom_jvp
def _inv(X: jax.Array) -> jax.Array:
    return jnp.where(_lu.is_singular(X)[..., None, None], jnp.inf, _lu.inverse(X))


@_inv.defjvp
def _inv_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    Y = _inv(X)
    return Y, -matmul(matmul(Y, dX), Y)


@jax.custom_jvp
def inv_or_zero(X: jax.Array) -> jax.Array:
    """X⁻¹, and 0 where X is singular: the coefficient of d log|det X|."""
    return jnp.where(_lu.is_singular(X)[..., None, None], 0, _lu.inverse(X))


@inv_or_zero.defjvp
def _inv_or_zero_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    Y = inv_or_zero(X)
    return Y, -matmul(matmul(Y, dX), Y)


def solve(A: Any, B: Any) -> jax.Array:
    """The solution X of the linear system A X = B.

    X = A⁻¹ B, with differential dX = A⁻¹ (dB - dA X). No inverse is formed: the derivative solves
    one more system with the same factorisation.

    Where A is singular, X and its derivative hold inf and NaN, as in `jnp.linalg.solve`.

    Args:
        A: array of shape (..., n, n). float16 and bfloat16 are factored in float32.
        B: array of shape (n,), one right-hand side, or (..., n, k), whose leading axes broadcast
            with those of A.

    Returns:
        Array of shape (..., n) or (..., n, k).

    Raises:
        TypeError: A or B is not an array.
        ValueError: A is not square, or B does not match it.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0])).tolist()
        [1.0, 0.5]

    Source: Giles, Collected matrix derivative results (2008), section 2.3.1.
    """
    A = _checks.square("solve", A, "A")
    B = _checks.right_hand_side("solve", A, B)
    A, B = inexact(A, B)
    one = B.ndim == 1
    X = narrow(_solve(widen(A), widen(B[:, None] if one else B)), A)
    return X[..., 0] if one else X


@jax.custom_jvp
def _solve(A: jax.Array, B: jax.Array) -> jax.Array:
    return jnp.linalg.solve(A, B)


@functools.partial(_solve.defjvp, symbolic_zeros=True)
def _solve_jvp(primals: Any, tangents: Any) -> Any:
    A, B = primals
    X = _solve(A, B)

    def right_hand_side(i: int, dX: jax.Array) -> jax.Array:
        return -matmul(dX, X) if i == 0 else dX

    return X, _solve(A, product_rule(X, tangents, right_hand_side))
