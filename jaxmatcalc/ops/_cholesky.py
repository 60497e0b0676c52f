"""Cholesky factorisation, as the operations see it: the factor, its logarithm, the inverse.

LAPACK stores by columns and JAX by rows. So Sᵀ is given to it and the transpose of its factor is
taken, which is upper triangular: neither is moved in memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc.kernels import triangles
from jaxmatcalc.ops._leaf import kernel_leaf, leaf
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops._transpose import adjoint, symmetrised, transpose

# A triangle of more rows is halved, so that products do the work; with fewer, calls cost more.
LARGEST_SOLVED = 64


@leaf
def upper_factor(X: jax.Array) -> jax.Array:
    """U, upper triangular, with Uᴴ U = S = (X + Xᴴ) / 2; NaN where S is not positive definite."""
    return _upper_factor(X)


def roots(X: jax.Array, implementation: str | None = None) -> jax.Array:
    """The n diagonal entries of U of X (..., n, n): real, positive, their product √det S."""
    return _roots(implementation, X)[0][..., 0, :]


def roots_inverse(X: jax.Array, implementation: str | None = None) -> tuple[jax.Array, jax.Array]:
    """The roots of X (..., n, n), and S⁻¹, which is NaN where S is not positive definite."""
    found, Y = _roots_inverse(implementation, X)
    return found[..., 0, :], Y


def solved(A: jax.Array, B: jax.Array, implementation: str | None = None) -> jax.Array:
    """S⁻¹ B of small matrices A; the leading axes are the same."""
    return _solved(implementation, A, B)[0]


@kernel_leaf("cholesky_roots")
def _roots(X: jax.Array) -> list[jax.Array]:
    return [jnp.real(diagonal(_upper_factor(X)))[..., None, :]]


@kernel_leaf("cholesky_roots_inverse")
def _roots_inverse(X: jax.Array) -> list[jax.Array]:
    U = _upper_factor(X)
    return [jnp.real(diagonal(U))[..., None, :], _inverse_of_product(U)]


@kernel_leaf("cholesky_solve")
def _solved(A: jax.Array, B: jax.Array) -> list[jax.Array]:
    return [divide(_upper_factor(A), B)]


def divide(U: jax.Array, B: jax.Array) -> jax.Array:
    """S⁻¹ B, where S = Uᴴ U; linear in B."""
    return divided(U, divided(U, B, adjointly=True))


def _upper_factor(X: jax.Array) -> jax.Array:
    S = symmetrised(X)
    return transpose(lax.linalg.cholesky(transpose(S), symmetrize_input=False))


def _inverse_of_product(U: jax.Array) -> jax.Array:
    """S⁻¹ of S = Uᴴ U, by halves.

    With H = S₁₁⁻¹ S₁₂ and P the inverse of the Schur complement, that of the last block of U,

    S⁻¹ = [[S₁₁⁻¹ + H P Hᴴ, -H P], [-P Hᴴ, P]].
    """
    if U.shape[-1] <= LARGEST_SOLVED:
        V = inverse_of_triangle(U, lower=False)
        return matmul(V, adjoint(V))
    first, corner, _, last = quarters(U)
    V = inverse_of_triangle(first, lower=False)
    H = matmul(V, corner)
    P = _inverse_of_product(last)
    right = -matmul(H, P)
    return joined(matmul(V, adjoint(V)) - matmul(right, adjoint(H)), right, adjoint(right), P)


def inverse_of_triangle(T: jax.Array, lower: bool, unit_diagonal: bool = False) -> jax.Array:
    """The inverse of a triangle of T (..., n, n), of which the other triangle is not read."""
    if T.shape[-1] <= LARGEST_SOLVED:
        kernel = functools.partial(triangles.inverse, lower=lower, unit_diagonal=unit_diagonal)

        def library(T: jax.Array) -> jax.Array:
            identity = jnp.eye(T.shape[-1], dtype=T.dtype)
            return divided(T, identity, lower, unit_diagonal=unit_diagonal)

        if not triangles.wins(T):
            return library(T)
        return lax.platform_dependent(T, cpu=kernel, default=library)
    first, upper, below, last = quarters(T)
    A = inverse_of_triangle(first, lower, unit_diagonal)
    D = inverse_of_triangle(last, lower, unit_diagonal)
    if lower:
        return joined(A, jnp.zeros_like(upper), -matmul(D, matmul(below, A)), D)
    return joined(A, -matmul(matmul(A, upper), D), jnp.zeros_like(below), D)


def divided(
    T: jax.Array,
    B: jax.Array,
    lower: bool = False,
    transposed: bool = False,
    adjointly: bool = False,
    unit_diagonal: bool = False,
) -> jax.Array:
    """T⁻¹ B, or T⁻ᵀ B, or T⁻ᴴ B, of a triangle of T (..., n, n); the leading axes broadcast."""
    batch = jnp.broadcast_shapes(T.shape[:-2], B.shape[:-2])
    return lax.linalg.triangular_solve(
        jnp.broadcast_to(T, (*batch, *T.shape[-2:])),
        jnp.broadcast_to(B, (*batch, *B.shape[-2:])),
        left_side=True,
        lower=lower,
        transpose_a=transposed or adjointly,
        conjugate_a=adjointly,
        unit_diagonal=unit_diagonal,
    )


def quarters(X: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The blocks X₁₁, X₁₂, X₂₁ and X₂₂ of X (..., n, n)."""
    h = X.shape[-1] // 2
    return X[..., :h, :h], X[..., :h, h:], X[..., h:, :h], X[..., h:, h:]


def joined(A: jax.Array, B: jax.Array, C: jax.Array, D: jax.Array) -> jax.Array:
    """The matrix [[A, B], [C, D]]."""
    return jnp.concatenate(
        [jnp.concatenate([A, B], axis=-1), jnp.concatenate([C, D], axis=-1)], axis=-2
    )


def diagonal(X: jax.Array) -> jax.Array:
    """The diagonal of X (..., n, n), of which nothing else is read."""
    n = X.shape[-1]
    return X.reshape(*X.shape[:-2], n * n)[..., :: n + 1]
