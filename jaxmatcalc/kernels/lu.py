"""LU factorisation with partial pivoting of many small real matrices, one in each lane.

The batch is the innermost axis: an entry Xᵢⱼ is a vector over the matrices, elimination is unrolled
over the entries, and the choice of a pivot is a select in every lane. The compiler fuses all of it
into a few loops over the batch, where the library calls LAPACK once for each matrix.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

Lanes = list[list[jax.Array]]

# With more rows XLA splits the elimination into loops that repeat each other's work: at 5 it takes
# 10 s to compile, at 6 the pivots lose to LAPACK. Below a few hundred matrices both cost the same.
_LARGEST = 4
_FEWEST = 256


def wins(shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    """Whether elimination in lanes was measured to beat LAPACK for X (..., n, n) on a CPU."""
    real = jnp.issubdtype(dtype, jnp.floating)
    return bool(real) and shape[-1] <= _LARGEST and math.prod(shape[:-2]) >= _FEWEST


def pivots(X: jax.Array) -> jax.Array:
    """The n pivots of X (..., n, n), the first with the sign of the row permutation."""
    found, _ = _eliminate(_lanes(X), None)
    return _stacked(found).reshape(X.shape[:-1])


def inverse(X: jax.Array) -> jax.Array:
    """X⁻¹ of X (..., n, n); inf and NaN where a pivot is zero."""
    lanes = _lanes(X)
    one, zero = jnp.ones_like(lanes[0][0]), jnp.zeros_like(lanes[0][0])
    identity = [[one if i == j else zero for j in range(len(lanes))] for i in range(len(lanes))]
    _, rows = _eliminate(lanes, identity)
    return _stacked([entry for row in rows for entry in row]).reshape(X.shape)


def _lanes(X: jax.Array) -> Lanes:
    n = X.shape[-1]
    # What computes X stays outside of the elimination, which reads every entry many times.
    innermost = lax.optimization_barrier(jnp.moveaxis(X.reshape(-1, n, n), 0, -1))
    return [[innermost[i, j] for j in range(n)] for i in range(n)]


def _stacked(lanes: list[jax.Array]) -> jax.Array:
    # Without the barrier the whole elimination is computed again for each entry of the stack.
    return jnp.stack(lax.optimization_barrier(tuple(lanes)), axis=-1)


def _eliminate(X: Lanes, right: Lanes | None) -> tuple[list[jax.Array], Lanes]:
    """The signed pivots of X, and X⁻¹ times the right-hand side by Gauss-Jordan elimination."""
    n = len(X)
    jordan = right is not None
    rows = [[*row, *extra] for row, extra in zip(X, right or [[]] * n, strict=True)]
    sign = jnp.ones_like(rows[0][0])
    found = []
    for k in range(n):
        for i in range(k + 1, n):
            larger = jnp.abs(rows[i][k]) > jnp.abs(rows[k][k])
            sign = jnp.where(larger, -sign, sign)
            for j in range(k, len(rows[0])):
                upper, lower = rows[k][j], rows[i][j]
                rows[k][j] = jnp.where(larger, lower, upper)
                rows[i][j] = jnp.where(larger, upper, lower)
        pivot = rows[k][k]
        found.append(pivot)
        divisor = pivot if jordan else jnp.where(pivot == 0, 1, pivot)
        for i in range(n):
            if i > k or (jordan and i != k):
                factor = rows[i][k] / divisor
                for j in range(k + 1, len(rows[0])):
                    rows[i][j] = rows[i][j] - factor * rows[k][j]
    solution = [[entry / found[i] for entry in row[n:]] for i, row in enumerate(rows)]
    found[0] = found[0] * sign
    return found, solution
