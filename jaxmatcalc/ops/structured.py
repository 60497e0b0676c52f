"""Ways to say that the variable of a function has a structure."""

from __future__ import annotations

from typing import Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import inexact
from jaxmatcalc.ops._transpose import symmetrised


def symmetric(X: Any) -> jax.Array:
    """The symmetric part of a square matrix: the way to say that a variable is symmetric.

    P(X) = (X + Xᴴ) / 2, with differential P(dX); it leaves a symmetric (Hermitian) X as it is.

    Where f takes a symmetric matrix, derivatives of f(symmetric(X)) are those among the symmetric
    matrices, in the Frobenius inner product. If the entries of X were independent f would have a
    gradient G and a Hessian H; f(symmetric(X)) has the gradient P(G) = (G + Gᵀ) / 2, the direction
    of steepest ascent, and the Hessian P H P.

    The other convention takes derivatives in the n(n+1)/2 entries of the lower triangle. It is
    that of f(unvech(v)) at v = vech(X), with the gradient vech(G + Gᵀ - Diag G): an entry off the
    diagonal moves two entries of X. It is no gradient in the inner product of matrices: the step
    unvech(gradient) is not one of steepest ascent.

    Args:
        X: array of shape (..., n, n). Integers are promoted as by `jnp.linalg`.

    Returns:
        Array of shape (..., n, n), Hermitian if X is complex.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> X = jnp.array([[2.0, 1.0], [1.0, 2.0]])
        >>> jax.grad(lambda X: jmc.symmetric(X)[0, 1])(X).tolist()
        [[0.0, 0.5], [0.5, 0.0]]

    Source: Magnus and Neudecker, Matrix Differential Calculus (2019), section 3.7 (the
    symmetrizer N); Srinivasan and Panda, What is the gradient of a scalar function of a symmetric
    matrix? (2023).
    """
    (X,) = inexact(_checks.square("symmetric", X))
    return _symmetric(X)


@jax.custom_jvp
def _symmetric(X: jax.Array) -> jax.Array:
    return symmetrised(X)


@_symmetric.defjvp
def _symmetric_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _symmetric(X), symmetrised(dX)
