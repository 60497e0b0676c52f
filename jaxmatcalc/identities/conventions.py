"""The conventions of the catalogue, and the one place where they meet those of JAX.

Gradients have the shape of their variable. Jacobians and Hessians are two-dimensional arrays over
column-major ``vec``, as in Magnus and Neudecker. JAX's derivatives are arrays of shape
``out_shape + in_shape``; :func:`to_jax_layout` goes from the former to the latter.

The matrices of zeros and ones below hold integers, so that an expression takes the precision of
the arrays it is about.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


def eye(n: int) -> Array:
    """Return the identity matrix ``I_n``."""
    return jnp.asarray(np.eye(n, dtype=int))


def unit(i: int, n: int) -> Array:
    """Return ``e_i``, column ``i`` of the identity matrix ``I_n``."""
    return eye(n)[i]


def vec(X: Array) -> Array:
    """Return ``vec X``: the columns of ``X`` one below the other.

    >>> vec(jnp.array([[1, 2], [3, 4]])).tolist()
    [1, 3, 2, 4]
    """
    return X.T.ravel()


def unvec(v: Array, m: int, n: int) -> Array:
    """Return the (m, n) matrix whose ``vec`` is ``v``."""
    return v.reshape(n, m).T


def commutation(m: int, n: int) -> Array:
    """Return the commutation matrix ``K_mn``, for which ``K_mn vec A = vec Aᵀ`` for A of (m, n).

    Magnus and Neudecker (2019), section 3.7.

    >>> A = jnp.arange(6).reshape(2, 3)
    >>> bool((commutation(2, 3) @ vec(A) == vec(A.T)).all())
    True
    """
    places = np.arange(m * n).reshape(n, m).T.ravel()
    return jnp.asarray(np.eye(m * n, dtype=int)[places])


def vech(S: Array) -> Array:
    """Return ``vech S``: the columns of the lower triangle of ``S`` one below the other.

    >>> vech(jnp.array([[1, 2], [2, 3]])).tolist()
    [1, 2, 3]
    """
    columns, rows = np.triu_indices(S.shape[0])
    return S[rows, columns]


def unvech(v: Array) -> Array:
    """Return the symmetric matrix whose ``vech`` is ``v``.

    >>> unvech(jnp.array([1, 2, 3])).tolist()
    [[1, 2], [2, 3]]
    """
    return v[_places((math.isqrt(8 * v.shape[0] + 1) - 1) // 2)]


def _places(n: int) -> np.ndarray:
    """Return the matrix of the places in ``vech S`` where the entries of ``S`` stand."""
    columns, rows = np.triu_indices(n)
    places = np.zeros((n, n), int)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return places


def duplication(n: int) -> Array:
    """Return the duplication matrix ``D_n``, for which ``D_n vech S = vec S`` for symmetric S.

    Magnus and Neudecker (2019), section 3.8.
    """
    return jnp.asarray(np.eye(n * (n + 1) // 2, dtype=int)[_places(n).ravel()])


def elimination(n: int) -> Array:
    """Return the elimination matrix ``E_n``, for which ``E_n vec A = vech A`` for every A.

    Magnus and Neudecker (1980), The elimination matrix: some lemmas and applications.
    """
    columns, rows = np.triu_indices(n)
    return jnp.asarray(np.eye(n * n, dtype=int)[rows + n * columns])


def to_jax_layout(M: Array, out_shape: Sequence[int], in_shape: Sequence[int]) -> Array:
    """Bring a Jacobian or Hessian over column-major ``vec`` to JAX's layout.

    Args:
        M: array of shape (prod(out_shape), prod(in_shape)).
        out_shape: shape of the value.
        in_shape: shape of the variable.

    Returns:
        An array of shape ``out_shape + in_shape``, as ``jax.jacobian`` gives it.

    Example:
        >>> f = lambda X: X.T
        >>> X = jnp.ones((2, 3))
        >>> J = to_jax_layout(commutation(2, 3), (3, 2), (2, 3))
        >>> bool((J == jax.jacobian(f)(X)).all())
        True
    """
    out_ndim, ndim = len(out_shape), len(out_shape) + len(in_shape)
    columns_first = M.reshape(tuple(out_shape)[::-1] + tuple(in_shape)[::-1])
    return columns_first.transpose(
        tuple(range(out_ndim))[::-1] + tuple(range(out_ndim, ndim))[::-1]
    )


def cofactors(X: jax.Array) -> jax.Array:
    """The matrix of cofactors, minor by minor: the transposed adjugate, without an inverse."""
    n = len(X)
    rows = np.array([[k for k in range(n) if k != i] for i in range(n)], dtype=int)
    minors = X[rows[:, None, :, None], rows[:, None, :]]
    signs = (-1) ** (np.arange(n)[:, None] + np.arange(n))
    return signs * jnp.linalg.det(minors)


def sym(X: Array) -> Array:
    """Return the symmetric part ``(X + Xᵀ) / 2``."""
    return (X + X.T) / 2


def divided_differences(
    f: Callable[[Array], Array], derivative: Callable[[Array], Array], w: Array
) -> Array:
    """Return the matrix of ``(f(wᵢ) - f(wⱼ)) / (wᵢ - wⱼ)``, with ``f'(wᵢ)`` on the diagonal.

    Example:
        >>> divided_differences(lambda w: w**2, lambda w: 2 * w, jnp.array([1.0, 3.0])).tolist()
        [[2.0, 4.0], [4.0, 6.0]]
    """
    diagonal = eye(len(w)) == 1
    gaps = jnp.where(diagonal, 1, w[:, None] - w)
    return jnp.where(diagonal, derivative(w), (f(w)[:, None] - f(w)) / gaps)
