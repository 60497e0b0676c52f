"""LU factorisation with partial pivoting, as the operations see it: pivots, inverse, solution.

LAPACK stores by columns and JAX by rows. So it is Xᵀ that is factored, and the transpose of the
factors that is read: neither is moved in memory.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _precision, kernels
from jaxmatcalc.kernels import exchanges, triangles
from jaxmatcalc.kernels.triangles import Triangle
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
    lu, _, order = lax.linalg.lu(transpose(X))
    Y = _divided(lu, _inverse_permutation(order), jnp.eye(X.shape[-1], dtype=X.dtype))
    return _library_pivots(X)[..., 0, :], Y


def inverse(X: jax.Array) -> jax.Array:
    """X⁻¹ of X (..., n, n); inf and NaN where a pivot is zero."""
    return pivots_inverse(X)[1]


def solved(
    implementation: str | None,
    A: jax.Array,
    factors: tuple[jax.Array, jax.Array, jax.Array],
    B: jax.Array,
    transposed: bool,
) -> jax.Array:
    """A⁻¹ B, or A⁻ᵀ B, of A and its `factors`; linear in B, which has all leading axes of A."""
    lu, order, places = factors
    A = jnp.broadcast_to(A, (*B.shape[:-2], *A.shape[-2:]))
    if transposed:
        return _solved_transposed(implementation, transpose(A), lu, order, B)[0]
    return _solved(implementation, A, lu, places, B)[0]


@kernel_leaf("lu_pivots")
def _pivots(X: jax.Array) -> list[jax.Array]:
    return [_library_pivots(X)]


@kernel_leaf("lu_pivots_inverse")
def _pivots_inverse(X: jax.Array) -> list[jax.Array]:
    return [_library_pivots(X), _library_inverse(X)]


@kernel_leaf("lu_solve")
def _solved(_: jax.Array, lu: jax.Array, places: jax.Array, B: jax.Array) -> list[jax.Array]:
    return [_divided(lu, places, B)]


@kernel_leaf("lu_solve")
def _solved_transposed(
    _: jax.Array, lu: jax.Array, order: jax.Array, B: jax.Array
) -> list[jax.Array]:
    Y = divided(lu, _rows(B, order), Triangle(lower=True, unit_diagonal=True), Triangle())
    return [Y]


def _divided(lu: jax.Array, places: jax.Array, B: jax.Array) -> jax.Array:
    """A⁻¹ B, where A = Uᵀ Lᵀ P."""
    Y = divided(lu, B, Triangle(transposed=True), Triangle(True, True, unit_diagonal=True))
    return _rows(Y, places)


@leaf
def factors(A: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """L and U in one matrix, and P with P Aᵀ = L U, as in `_factored`."""
    return _factored(transpose(A))


def _factored(A: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """L and U in one matrix, and P, with P A = L U, as the order of the rows and as its inverse."""

    def library(A: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        lu, swaps, order = lax.linalg.lu(A)
        if exchanges.wins(swaps):
            order, places = lax.platform_dependent(swaps, order, cpu=followed, default=given)
        else:
            order, places = given(swaps, order)
        return lu, order, places

    def given(_: jax.Array, order: jax.Array) -> tuple[jax.Array, jax.Array]:
        return order, _inverse_permutation(order)

    def followed(swaps: jax.Array, _: jax.Array) -> tuple[jax.Array, jax.Array]:
        return exchanges.followed(swaps, True), exchanges.followed(swaps, False)

    def lane_wise(A: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        lu, exchanged = found["cpu"](A)
        swaps = exchanged[..., 0, :].astype(np.int32)
        order, places = followed(swaps, swaps)
        return lu, order, places

    found = kernels.select("lu_factors", A.shape, A.dtype, implementation="xla")
    if not found:
        return library(A)
    return lax.platform_dependent(A, cpu=lane_wise, default=library)


def _inverse_permutation(permutation: jax.Array) -> jax.Array:
    n = permutation.shape[-1]
    if n > 128:
        return jnp.argsort(permutation, axis=-1).astype(permutation.dtype)
    places = jnp.arange(n, dtype=permutation.dtype)
    found = permutation[..., None, :] == places[:, None]
    return jnp.sum(jnp.where(found, places, 0), axis=-1, dtype=permutation.dtype)


def _rows(B: jax.Array, order: jax.Array) -> jax.Array:
    """The rows of B (..., n, k) in the order (..., n); the leading axes broadcast."""
    if order.ndim == 1:
        return jnp.take(B, order, axis=-2, mode="clip")
    batch = jnp.broadcast_shapes(order.shape[:-1], B.shape[:-2])
    B = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    order = jnp.broadcast_to(order, (*batch, order.shape[-1]))[..., None]
    return jnp.take_along_axis(B, order, axis=-2, mode="promise_in_bounds")


def _library_pivots(X: jax.Array) -> jax.Array:
    lu, rows, _ = lax.linalg.lu(transpose(X))
    found = diagonal(transpose(lu))
    swaps = jnp.count_nonzero(rows != jnp.arange(X.shape[-1], dtype=rows.dtype), axis=-1)
    sign = (1 - 2 * (swaps % 2)).astype(X.dtype)
    found = jnp.concatenate([found[..., :1] * sign[..., None], found[..., 1:]], axis=-1)
    return found[..., None, :]


def _library_inverse(X: jax.Array) -> jax.Array:
    lu, _, places = _factored(transpose(X))
    return _rows(_inverse_of_product(transpose(lu)), places)


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
        return divided(F, C, Triangle(unit_diagonal=True))
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
