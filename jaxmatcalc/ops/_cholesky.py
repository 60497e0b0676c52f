"""Cholesky factorisation, as the operations see it: the factor, its logarithm, the inverse.

LAPACK stores by columns and JAX by rows. So Sᵀ is given to it and the transpose of its factor is
taken, which is upper triangular: neither is moved in memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _jax, kernels
from jaxmatcalc.kernels import triangles
from jaxmatcalc.kernels.triangles import Triangle
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


def solved(implementation: str | None, A: jax.Array, U: jax.Array, B: jax.Array) -> jax.Array:
    """S⁻¹ B, where S = Uᴴ U is the mean of A and Aᴴ; B has all leading axes of A."""
    A = jnp.broadcast_to(A, (*B.shape[:-2], *A.shape[-2:]))
    return _solved(implementation, A, U, B)[0]


@kernel_leaf("cholesky_roots")
def _roots(X: jax.Array) -> list[jax.Array]:
    return [jnp.real(diagonal(_upper_factor(X)))[..., None, :]]


@kernel_leaf("cholesky_roots_inverse")
def _roots_inverse(X: jax.Array) -> list[jax.Array]:
    U = _upper_factor(X)
    return [jnp.real(diagonal(U))[..., None, :], _inverse_of_product(U)]


@kernel_leaf("cholesky_solve")
def _solved(_: jax.Array, U: jax.Array, B: jax.Array) -> list[jax.Array]:
    parts = Triangle(lower=True), Triangle(lower=True, transposed=True)
    return [divided(adjoint(U), B, *parts, adjointly=True)]  # LAPACK's factor, where it lies


def _upper_factor(X: jax.Array) -> jax.Array:
    def library(X: jax.Array) -> jax.Array:
        S = symmetrised(X)
        return transpose(lax.linalg.cholesky(transpose(S), symmetrize_input=False))

    def lane_wise(X: jax.Array) -> jax.Array:
        return found["cpu"](X)[0]

    found = kernels.select("cholesky_upper", X.shape, X.dtype, implementation="xla")
    if not found:
        return library(X)
    return lax.platform_dependent(X, cpu=lane_wise, default=library)


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
            return divided(T, identity, Triangle(lower, unit_diagonal=unit_diagonal))

        if not triangles.wins(T):
            return library(T)
        return lax.platform_dependent(T, cpu=kernel, default=library)
    first, upper, below, last = quarters(T)
    A = inverse_of_triangle(first, lower, unit_diagonal)
    D = inverse_of_triangle(last, lower, unit_diagonal)
    if lower:
        return joined(A, jnp.zeros_like(upper), -matmul(D, matmul(below, A)), D)
    return joined(A, -matmul(matmul(A, upper), D), jnp.zeros_like(below), D)


def divided(T: jax.Array, B: jax.Array, *parts: Triangle, adjointly: bool = False) -> jax.Array:
    """T₂⁻¹ T₁⁻¹ B of triangles T₁, T₂ of T (..., n, n), or of more; the leading axes broadcast.

    With ``adjointly``, those that are transposed are conjugated too.
    """
    batch = jnp.broadcast_shapes(T.shape[:-2], B.shape[:-2])
    T = jnp.broadcast_to(T, (*batch, *T.shape[-2:]))
    B = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))

    def by_library(T: jax.Array, B: jax.Array) -> jax.Array:
        for part in parts:
            B = triangles.by_library(T, B, part, conjugated=adjointly)
        return B

    if not triangles.divides(T.shape, T.dtype, B.shape[-1]):
        return by_library(T, B)

    def by_rows(T: jax.Array, B: jax.Array) -> jax.Array:
        return triangles.divided(T, B, *parts)

    return lax.platform_dependent(T, B, cpu=by_rows, default=by_library)


def divided_by_factor(L: jax.Array, B: jax.Array) -> jax.Array:
    """L⁻¹ B of L (..., n, n), lower triangular, and B (..., n, m) of the same leading axes."""
    L, B = _jax.varying_alike(L, B)
    fixed = lax.stop_gradient(L)
    return lax.custom_linear_solve(
        lambda X: matmul(L, X),
        B,
        lambda _, R: _divided_by_lower(fixed, R)[0],
        lambda _, R: _divided_by_transpose(fixed, R)[0],
    )


@functools.partial(leaf, by_columns=True)
def _divided_by_lower(L: jax.Array, B: jax.Array) -> list[jax.Array]:
    return [divided(L, B, Triangle(lower=True))]


@functools.partial(leaf, by_columns=True)
def _divided_by_transpose(L: jax.Array, B: jax.Array) -> list[jax.Array]:
    return [divided(L, B, Triangle(lower=True, transposed=True))]


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
