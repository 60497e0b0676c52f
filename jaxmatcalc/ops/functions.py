"""Powers, exponential, logarithm and square root of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._general import of_general
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops.inverse import inv
from jaxmatcalc.ops.spectral import on_spectrum


def matrix_power(X: Any, k: int) -> jax.Array:
    """An integer power of a square matrix.

    Xᵏ, with differential Σᵢ Xⁱ dX Xᵏ⁻¹⁻ⁱ over i = 0, …, k - 1; X⁰ = I, and X⁻ᵏ = (X⁻¹)ᵏ. Value and
    differential each take a number of products that grows as log k.

    Where X is singular a negative power is that of `inv`: inf, and NaN from products with 0.

    Args:
        X: array of shape (..., n, n). Integers stay integers if k ≥ 0. float16 and bfloat16 are
            multiplied in float32.
        k: integer, which is static.

    Returns:
        Array of shape (..., n, n).

    Raises:
        TypeError: X is not an array, or k is not an integer.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.matrix_power(jnp.array([[1.0, 1.0], [0.0, 1.0]]), -3).tolist()
        [[1.0, -3.0], [0.0, 1.0]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (90).
    """
    X = _checks.square("matrix_power", X)
    k = _checks.exponent("matrix_power", k)
    if X.dtype == jnp.bool_:
        (X,) = inexact(X)
    if k < 0:
        return matrix_power(inv(X), -k)
    return narrow(_power(widen(X), k), X)


def _power(X: jax.Array, k: int) -> jax.Array:
    # Plain products: the product rule on d(P P) = dP P + P dP is the closed form in log k steps.
    if k == 0:
        return jnp.broadcast_to(jnp.eye(X.shape[-1], dtype=X.dtype), X.shape)
    if k == 1:
        return X
    P = _power(X, k // 2)
    return matmul(matmul(P, P), X) if k % 2 else matmul(P, P)


def expm(X: Any, *, assume_a: str = "gen") -> jax.Array:
    """The exponential of a square matrix.

    exp X = Σₖ Xᵏ / k!, with differential ∫₀¹ exp((1 - t) X) dX exp(t X) dt.

    Norms of any size are taken; where an entry is out of range it is ±inf, and the derivative is
    then NaN. As with every method by scaling and squaring, the result is that of a
    matrix within rounding of X in norm: entries that matter must not be lost beside the largest.
    Derivatives of all orders are exact, at repeated eigenvalues too.

    Args:
        X: array of shape (..., n, n), real or complex. float16 and bfloat16 are computed in
            float32.
        assume_a: "gen", scaling and squaring; "sym" or "pos", by the eigenvalues of the Hermitian
            part of X, as `spectral_function`.

    Returns:
        Array of shape (..., n, n).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, or assume_a is another word.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.expm(jnp.array([[0.0, 1.0], [0.0, 0.0]])).tolist()
        [[1.0, 1.0], [0.0, 1.0]]

    Source: Higham, Functions of Matrices (2008), chapter 10, eq. (10.15) for the differential.
    """
    return _function("expm", X, assume_a, jnp.exp)


def logm(X: Any, *, assume_a: str = "gen") -> jax.Array:
    """The principal logarithm of a square matrix.

    log X is the one matrix with exp(log X) = X whose eigenvalues have imaginary parts in (-π, π).
    Its differential is ∫₀¹ (t (X - I) + I)⁻¹ dX (t (X - I) + I)⁻¹ dt.

    It exists where no eigenvalue of X is 0 or negative; elsewhere the result is NaN, for a real
    and a complex X alike. Derivatives of all orders are exact, at repeated eigenvalues too.

    Args:
        X: array of shape (..., n, n), real or complex. float16 and bfloat16 are computed in
            float32.
        assume_a: "gen", inverse scaling and squaring; "sym" or "pos", by the eigenvalues of the
            Hermitian part of X, as `spectral_function`.

    Returns:
        Array of shape (..., n, n), real if X is.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, or assume_a is another word.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> L = jmc.logm(jnp.array([[1.0, 1.0], [0.0, 1.0]]))
        >>> bool(jnp.allclose(L, jnp.array([[0.0, 1.0], [0.0, 0.0]])))
        True

    Source: Higham, Functions of Matrices (2008), chapter 11.
    """
    return _function("logm", X, assume_a, jnp.log)


def sqrtm(X: Any, *, assume_a: str = "gen") -> jax.Array:
    """The principal square root of a square matrix.

    S = X^½ is the one square root whose eigenvalues have positive real parts. Its differential dS
    solves the Sylvester equation S dS + dS S = dX.

    With "gen" it is computed where no eigenvalue of X is 0 or negative; elsewhere the result is
    NaN, for a real and a complex X alike. With "sym" and "pos", eigenvalues that are 0 to rounding
    are taken as 0: the value is right at a singular positive semidefinite X; its derivative, which
    does not exist there, holds inf or NaN. It is NaN where an eigenvalue is negative.
    Derivatives of all orders are exact, at repeated eigenvalues too.

    Args:
        X: array of shape (..., n, n), real or complex. float16 and bfloat16 are computed in
            float32.
        assume_a: "gen", a Newton iteration; "sym" or "pos", by the eigenvalues of the Hermitian
            part of X, as `spectral_function`.

    Returns:
        Array of shape (..., n, n), real if X is.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, or assume_a is another word.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.sqrtm(jnp.diag(jnp.array([4.0, 9.0])), assume_a="pos").tolist()
        [[2.0, 0.0], [0.0, 3.0]]

    Source: Higham, Functions of Matrices (2008), chapter 6.
    """
    return _function("sqrtm", X, assume_a, jnp.sqrt, _without_rounding)


def _without_rounding(eigenvalues: jax.Array) -> jax.Array:
    """Eigenvalues (..., n) with 0 for those that are 0 to rounding."""
    largest = jnp.max(jnp.abs(eigenvalues), axis=-1, keepdims=True, initial=0)
    rounding = eigenvalues.shape[-1] * float(jnp.finfo(eigenvalues.dtype).eps) * largest
    return jnp.where(jnp.abs(eigenvalues) <= rounding, 0, eigenvalues)


def _function(
    name: str, X: Any, assume_a: str, f: Callable[[jax.Array], jax.Array], *mend: Any
) -> jax.Array:
    (X,) = inexact(_checks.square(name, X))
    _checks.option(name, "assume_a", assume_a, ("gen", "sym", "pos"))
    if assume_a == "gen":
        return narrow(of_general(name, widen(X)), X)
    return narrow(on_spectrum(f, widen(X), False, *mend), X)
