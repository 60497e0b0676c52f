"""Decompositions whose factors are differentiable functions of the matrix."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _checks
from jaxmatcalc.ops import _cholesky
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops._transpose import adjoint, symmetrised


def cholesky(X: Any) -> jax.Array:
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix.

    X = L Lᴴ with L lower triangular and a positive diagonal. Its differential is

    dL = L Φ(L⁻¹ dX L⁻ᴴ),

    where Φ takes the lower triangle and halves the diagonal.

    The factor is that of (X + Xᴴ) / 2, as in `jnp.linalg.cholesky`, so its gradients are symmetric.
    Where that is not positive definite L and its derivatives are NaN; the rest of a batch is not
    affected.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        Array of shape (..., n, n), zero above the diagonal.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.cholesky(jnp.array([[4.0, 2.0], [2.0, 10.0]])).tolist()
        [[2.0, 0.0], [1.0, 3.0]]

    Source: Murray, Differentiation of the Cholesky decomposition (2016), eqs. (7) and (8).
    """
    (X,) = inexact(_checks.square("cholesky", X))
    return narrow(_cholesky_factor(widen(X)), X)


@jax.custom_jvp
def _cholesky_factor(X: jax.Array) -> jax.Array:
    return adjoint(_cholesky.upper_factor(X))


@_cholesky_factor.defjvp
def _cholesky_factor_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    L = _cholesky_factor(X)
    n = X.shape[-1]
    half = jnp.asarray(np.tril(np.ones((n, n))) - np.eye(n) / 2, X.dtype)
    right = _cholesky.divided_by_factor(L, symmetrised(dX))
    M = _cholesky.divided_by_factor(L, adjoint(right))
    return L, matmul(L, half * M)
