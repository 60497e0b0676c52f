"""LU factorisation with partial pivoting, as the operations see it: pivots, inverse, solution.

LAPACK stores by columns and JAX by rows. So it is Xᵀ that is factored, and the transpose of the
factors that is read: neither is moved in memory.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _precision
from jaxmatcalc.kernels import triangles
from jaxmatcalc.ops._cholesky import (
    LARGEST_SOLVED,
    diagonal,
    divided,
    inverse_of_triangle,
    joined,
    quarters,
)
from jaxmatcalc.ops._leaf import kernel_leaf, leaf
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops._transpose import transpose


def pivots(X: jax.Array, implementation: str | None = None) -> jax.Array:
    """The n pivots of X (..., n, n), the first with the sign of the row permutation.

    Their product is det X.
    """
    return _pivots(implementation, X)[0][..., 0, :]


def pivots_inverse(X: jax.Array, implementation: str | None = None) -> tuple[jax.Array, jax.Array]:
    """The pivots of X (..., n, n), and X⁻¹, which is inf and NaN where a pivot is zero.

    One factorisation gives both. Two calls would be two programs, which XLA may find to be one, but
    not before it has spent seconds on each.
    """
    found, Y = _pivots_inverse(implementation, X)
    return found[..., 0, :], Y


def library_pivots_inverse(X: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What `pivots_inverse` gives, by no kernel: for what is rare, and need not compile long."""
    lu, _, permutation = lax.linalg.lu(transpose(X))
    identity = jnp.broadcast_to(jnp.eye(X.shape[-1], dtype=X.dtype), X.shape)
    return _library_pivots(X)[..., 0, :], divide(lu, permutation, identity, transposed=False)


def inverse(X: jax.Array) -> jax.Array:
    """X⁻¹ of X (..., n, n); inf and NaN where a pivot is zero."""
    return pivots_inverse(X)[1]


def solved(
    A: jax.Array, B: jax.Array, transposed: bool, implementation: str | None = None
) -> jax.Array:
    """A⁻¹ B, or A⁻ᵀ B, of small matrices; the leading axes are the same."""
    if transposed:
        return _solved_transposed(implementation, transpose(A), B)[0]
    return _solved(implementation, A, B)[0]


@kernel_leaf("lu_pivots")
def _pivots(X: jax.Array) -> list[jax.Array]:
    return [_library_pivots(X)]


@kernel_leaf("lu_pivots_inverse")
def _pivots_inverse(X: jax.Array) -> list[jax.Array]:
    return [_library_pivots(X), _library_inverse(X)]


@kernel_leaf("lu_solve")
def _solved(A: jax.Array, B: jax.Array) -> list[jax.Array]:
    lu, _, permutation = lax.linalg.lu(transpose(A))
    return [divide(lu, permutation, B, transposed=False)]


@kernel_leaf("lu_solve")
def _solved_transposed(A: jax.Array, B: jax.Array) -> list[jax.Array]:
    """A⁻¹ B, of an A that is the transpose of one that is factored elsewhere."""
    lu, _, permutation = lax.linalg.lu(A)
    return [divide(lu, permutation, B, transposed=True)]


@leaf
def factors(A: jax.Array) -> tuple[jax.Array, jax.Array]:
    """L and U in one matrix, and P as the order of the rows, with P Aᵀ = L U."""
    lu, _, permutation = lax.linalg.lu(transpose(A))
    return lu, permutation


def divide(lu: jax.Array, permutation: jax.Array, B: jax.Array, transposed: bool) -> jax.Array:
    """A⁻¹ B, where A = Uᵀ Lᵀ P, or A⁻ᵀ B; linear in B, whose leading axes are those of A."""
    return (_substituted_transposed if transposed else _substituted)(lu, permutation, B)[0]


@functools.partial(leaf, by_columns=True)
def _substituted(lu: jax.Array, permutation: jax.Array, B: jax.Array) -> list[jax.Array]:
    Z = _lower_substituted(lu, divided(lu, B, transposed=True), transposed=True)
    return [_rows(Z, _inverse_permutation(permutation))]


@functools.partial(leaf, by_columns=True)
def _substituted_transposed(lu: jax.Array, permutation: jax.Array, B: jax.Array) -> list[jax.Array]:
    return [divided(lu, _lower_substituted(lu, _rows(B, permutation), transposed=False))]


def _lower_substituted(lu: jax.Array, B: jax.Array, transposed: bool) -> jax.Array:
    """L⁻¹ B, or L⁻ᵀ B.

    On a CPU many small L are inverted, once for both: partial pivoting keeps them well-conditioned,
    so that products with the inverse are as accurate as substitution.
    """

    def library(lu: jax.Array, B: jax.Array) -> jax.Array:
        return divided(lu, B, lower=True, transposed=transposed, unit_diagonal=True)

    def product(lu: jax.Array, B: jax.Array) -> jax.Array:
        V = triangles.inverse(lu, lower=True, unit_diagonal=True)
        return matmul(transpose(V) if transposed else V, B)

    if not triangles.wins(lu) or 2 * B.shape[-1] < lu.shape[-1]:
        return library(lu, B)
    return lax.platform_dependent(lu, B, cpu=product, default=library)


def _inverse_permutation(permutation: jax.Array) -> jax.Array:
    n = permutation.shape[-1]
    if n > 128:
        return jnp.argsort(permutation, axis=-1)
    places = jnp.arange(n, dtype=permutation.dtype)
    found = permutation[..., None, :] == places[:, None]
    return jnp.sum(jnp.where(found, places, 0), axis=-1, dtype=permutation.dtype)


def _rows(B: jax.Array, order: jax.Array) -> jax.Array:
    """The rows of B (..., n, k) in the order (..., n); the leading axes broadcast."""
    if order.ndim == 1:
        return jnp.take(B, order, axis=-2)
    batch = jnp.broadcast_shapes(order.shape[:-1], B.shape[:-2])
    B = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    return jnp.take_along_axis(
        B, jnp.broadcast_to(order, (*batch, order.shape[-1]))[..., None], axis=-2
    )


def _library_pivots(X: jax.Array) -> jax.Array:
    lu, rows, _ = lax.linalg.lu(transpose(X))
    found = diagonal(transpose(lu))
    swaps = jnp.count_nonzero(rows != jnp.arange(X.shape[-1], dtype=rows.dtype), axis=-1)
    sign = (1 - 2 * (swaps % 2)).astype(X.dtype)
    found = jnp.concatenate([found[..., :1] * sign[..., None], found[..., 1:]], axis=-1)
    return found[..., None, :]


def _library_inverse(X: jax.Array) -> jax.Array:
    lu, _, permutation = lax.linalg.lu(transpose(X))
    return _rows(_inverse_of_product(transpose(lu)), _inverse_permutation(permutation))


def _inverse_of_product(F: jax.Array) -> jax.Array:
    """(C E)⁻¹, where F holds C, lower triangular, and E, unit upper triangular.

    By halves: with H = E₁₁⁻¹ E₁₂, K = C₂₁ C₁₁⁻¹ and Z = (C₂₂ E₂₂)⁻¹,

    (C E)⁻¹ = [[E₁₁⁻¹ C₁₁⁻¹ + H Z K, -H Z], [-Z K, Z]].
    """
    if F.shape[-1] <= LARGEST_SOLVED:
        C = inverse_of_triangle(F, lower=True)
        if triangles.wins(F):
            # a call of the library, which takes its factors from memory
            return _precision.matmul(inverse_of_triangle(F, lower=False, unit_diagonal=True), C)
        return divided(F, C, unit_diagonal=True)
    first, upper, lower, last = quarters(F)
    E = inverse_of_triangle(first, lower=False, unit_diagonal=True)
    C = inverse_of_triangle(first, lower=True)
    Z = _inverse_of_product(last)
    right = -matmul(matmul(E, upper), Z)
    K = matmul(lower, C)
    return joined(matmul(E, C) - matmul(right, K), right, -matmul(Z, K), Z)


def sign_and_logarithm(p: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(sign, log|·|) of the product of pivots (..., n); (0, -inf) if one is 0."""
    return jnp.prod(jnp.sign(p), axis=-1), jnp.sum(jnp.log(jnp.abs(p)), axis=-1)


def product(p: jax.Array) -> jax.Array:
    """The product of pivots (..., n), right wherever it is a normal number.

    A partial product may overflow or underflow although the product does not; then it is taken
    through logarithms, which costs some digits.
    """
    limits = jnp.finfo(p.dtype)
    partial = jnp.abs(jnp.cumprod(p, axis=-1))
    harmless = (partial < limits.max) & (partial > limits.tiny / limits.eps)
    sign, logarithm = sign_and_logarithm(p)
    through_logarithms = sign * jnp.exp(logarithm)
    return jnp.where(jnp.all(harmless, axis=-1), jnp.prod(p, axis=-1), through_logarithms)
