"""Functions of Hermitian matrices, and their eigenvalues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._eigenbasis import along_eigenvectors, decomposition, of_function
from jaxmatcalc.ops._scalar import scalar_function
from jaxmatcalc.ops._transpose import symmetrised


def spectral_function(f: Callable[[jax.Array], Any], X: Any) -> jax.Array:
    """A function of a symmetric or Hermitian matrix.

    f(X) = U diag(f(λ)) Uᴴ, where X = U diag(λ) Uᴴ, with differential

    d f(X) = U (F ∘ (Uᴴ dX U)) Uᴴ,    Fᵢⱼ = f[λᵢ, λⱼ] = (f(λᵢ) - f(λⱼ)) / (λᵢ - λⱼ).

    Where eigenvalues are equal, F is f', and the derivatives of every order are those of the smooth
    function X ↦ f(X); where they are close, F is computed without loss of digits. No
    eigenvector is differentiated. For a function of the eigenvalues alone, such as Σ f(λᵢ), take
    the trace of f(X).

    Only the Hermitian part (X + Xᴴ) / 2 is used, as in `jnp.linalg.eigh`: the gradient is that
    among Hermitian matrices. f is differentiated by JAX; to give its derivative, give it a
    `jax.custom_jvp` rule. Arrays that f closes over may be traced and differentiated. Where f has
    no derivative at a repeated eigenvalue (|x| at 0), what `jax.grad` says of f is used.

    Args:
        f: function of one real number, written in JAX; its value is a real or complex number.
        X: array of shape (..., n, n), real or complex. float16 and bfloat16 are factored in
            float32.

    Returns:
        Array of shape (..., n, n), complex if X or f is.

    Raises:
        TypeError: X is not an array, or f does not map a number to a number.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> def f(X):
        ...     return jnp.trace(jmc.spectral_function(lambda x: x**3, X))
        >>> bool(jnp.allclose(jax.grad(f)(2 * jnp.eye(2)), 12 * jnp.eye(2)))
        True

    Source: Higham, Functions of Matrices (2008), theorem 3.11; Bhatia, Matrix Analysis (1997),
    theorem V.3.3.
    """
    (X,) = inexact(_checks.square("spectral_function", X))
    real = jnp.finfo(widen(X).dtype).dtype
    out = _checks.scalar_function("spectral_function", f, real)
    return narrow(on_spectrum(f, widen(X), complex_values=_is_complex(out.dtype)), X)


def on_spectrum(
    f: Callable[[jax.Array], Any],
    X: jax.Array,
    complex_values: bool = False,
    mend: Callable[[jax.Array], jax.Array] = lambda eigenvalues: eigenvalues,
) -> jax.Array:
    """f of the Hermitian part of X, whose eigenvalues may be mended of rounding."""
    eigenvalues, U = decomposition(symmetrised(X))
    if complex_values and not _is_complex(X.dtype):
        X, U = (A.astype(jnp.result_type(A.dtype, jnp.complex64)) for A in (X, U))
    dtype = U.dtype if complex_values else eigenvalues.dtype
    function, parameters = scalar_function(f, eigenvalues.dtype, dtype)
    ranks = (1, 2, *(p.ndim for p in parameters))
    given = (mend(eigenvalues), U, *parameters)
    return of_function(given, ranks, symmetrised(X), function=function)


def _is_complex(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.complexfloating)


def eigvalsh(X: Any) -> jax.Array:
    """The eigenvalues of a symmetric or Hermitian matrix, in ascending order.

    X = U diag(λ) Uᴴ, with differential dλᵢ = (Uᴴ dX U)ᵢᵢ.

    A repeated eigenvalue has no derivative; there U is one basis of eigenvectors out of many. The
    first derivative is then right for every function that does not depend on the order of the
    equal eigenvalues (their sum, log-determinant, …). The second derivative is right for simple
    eigenvalues, and for sums with constant weights that are equal where eigenvalues are (the sum
    of all, or of the k largest if it is separated from the rest) when it is taken
    forward over reverse, as `jax.hessian` does. Elsewhere it is NaN: that of Σ f(λᵢ) at a repeated
    eigenvalue cannot be had from the eigenvalues; take the trace of `spectral_function`, whose
    derivatives are right everywhere.

    Only the Hermitian part (X + Xᴴ) / 2 is used, as in `jnp.linalg.eigvalsh`.

    Args:
        X: array of shape (..., n, n), real or complex. float16 and bfloat16 are factored in
            float32.

    Returns:
        Real array of shape (..., n).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.eigvalsh(jnp.diag(jnp.array([3.0, 1.0]))).tolist()
        [1.0, 3.0]
        >>> jax.grad(lambda X: jmc.eigvalsh(X).sum())(jnp.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Magnus, On differentiating eigenvalues and eigenvectors (1985), theorem 1.
    """
    (X,) = inexact(_checks.square("eigvalsh", X))
    return narrow(_eigvalsh(symmetrised(widen(X))), X)


@jax.custom_jvp
def _eigvalsh(X: jax.Array) -> jax.Array:
    return jnp.linalg.eigvalsh(X, symmetrize_input=False)


@_eigvalsh.defjvp
def _eigvalsh_jvp(primals: Any, tangents: Any) -> Any:
    (X,) = primals
    return _at_hand_jvp((X, *decomposition(X)), tangents)


@jax.custom_jvp
def _at_hand(X: jax.Array, eigenvalues: jax.Array, U: jax.Array) -> jax.Array:
    """The eigenvalues of X, whose values are at hand."""
    return eigenvalues


@_at_hand.defjvp
def _at_hand_jvp(primals: Any, tangents: Any) -> Any:
    X, eigenvalues, U = primals
    along = along_eigenvectors(eigenvalues, U, X, tangents[0])
    return _at_hand(X, eigenvalues, U), jnp.real(along)
