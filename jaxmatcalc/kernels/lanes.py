"""Factorisations of small real matrices, one matrix in each lane, unrolled over the entries.

A matrix is a list of rows of entries, and an entry is an array over the matrices: a vector, a tile,
any shape. Nothing but arithmetic, comparisons and selects is done with it, so the same functions
run as plain XLA, as a Mosaic kernel on a GPU and as a Pallas kernel on a TPU. What they return, in
the order of `jax.tree.leaves`, is what a kernel writes.

The methods are LAPACK's: partial pivoting by rows, the inverse by substitution with the triangles.
Gauss-Jordan elimination would be shorter, but its residual grows with the condition of the leading
columns. At n = 2 and 3 elimination costs no more than Cramer's rule, whose products leave the range
of float32 early.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Lane = jax.Array
Lanes = list[list[Lane]]


def lu_pivots(X: Lanes) -> list[Lane]:
    """The n pivots of X, the first with the sign of the row permutation."""
    rows, swaps = _eliminated(X, whole=False)
    return _pivots(rows, swaps)


def lu_inverse(X: Lanes) -> Lanes:
    """X⁻¹, all inf where a pivot is zero."""
    return lu_pivots_inverse(X)[1]


def lu_pivots_inverse(X: Lanes) -> tuple[list[Lane], Lanes]:
    """What `lu_pivots` and `lu_inverse` give, from one elimination, in the place of X."""
    n = len(X)
    rows, swaps = _eliminated(X, whole=True, inverted=True)
    pivots = _pivots(rows, swaps)
    regular = _all([p != 0 for p in pivots])
    for i in reversed(range(n)):  # Y = U⁻¹ L⁻¹, from the last row; U is read before it goes
        u = rows[i]
        divisor = _nonzero(u[i])
        rows[i] = [
            _minus_product(
                u[j] if j < i else None if j > i else jnp.ones_like(u[i]),
                [(u[k], rows[k][j]) for k in range(i + 1, n)],
            )
            / divisor
            for j in range(n)
        ]
    for k in reversed(range(n)):  # the rows of X that were exchanged are columns of its inverse
        for i in range(k + 1, n):
            here = swaps[k] == i
            for row in rows:
                row[k], row[i] = _exchanged(here, row[k], row[i])
    return pivots, [[jnp.where(regular, y, jnp.inf) for y in row] for row in rows]


def lu_factors(X: Lanes) -> tuple[Lanes, list[Lane]]:
    """L and U in one matrix, and the row that each was exchanged with, in turn."""
    return _eliminated(X, whole=True)


def lu_solve(X: Lanes, B: Lanes) -> Lanes:
    """X⁻¹ B; inf and NaN where a pivot is zero."""
    F, swaps = _eliminated(X, whole=True)
    Y = [list(row) for row in B]
    for k, swap in enumerate(swaps):
        for i in range(k + 1, len(Y)):
            here = swap == i
            for j in range(len(Y[0])):
                Y[k][j], Y[i][j] = _exchanged(here, Y[k][j], Y[i][j])
    Y = _substituted(F, Y, unit=True)
    return _substituted(_turned(F), Y[::-1], unit=False)[::-1]


def cholesky_roots(X: Lanes) -> list[Lane]:
    """The diagonal of L with L Lᵀ = (X + Xᵀ) / 2; all NaN where that is not positive definite."""
    L = cholesky_factor(X)
    return [L[i][i] for i in range(len(L))]


def cholesky_inverse(X: Lanes) -> Lanes:
    """The inverse of (X + Xᵀ) / 2; all NaN where that is not positive definite."""
    return cholesky_roots_inverse(X)[1]


def cholesky_roots_inverse(X: Lanes) -> tuple[list[Lane], Lanes]:
    """What `cholesky_roots` and `cholesky_inverse` give, from one factorisation."""
    L = cholesky_factor(X)
    n = len(L)
    V = lower_inverse(L)
    Y = [
        [_product([(V[k][i], V[k][j]) for k in range(i, n)]) for j in range(i + 1)]
        for i in range(n)
    ]
    return [L[i][i] for i in range(n)], [
        [Y[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)
    ]


def cholesky_factor(X: Lanes) -> Lanes:
    """The lower triangle of L with L Lᵀ = (X + Xᵀ) / 2; NaN where that is not positive definite."""
    n = len(X)
    L = [[X[i][i] if i == j else X[i][j] / 2 + X[j][i] / 2 for j in range(i + 1)] for i in range(n)]
    pivots = []
    for k in range(n):
        pivots.append(L[k][k])
        L[k][k] = jnp.sqrt(L[k][k])
        reciprocal = 1 / L[k][k]
        for i in range(k + 1, n):
            L[i][k] = L[i][k] * reciprocal
        for i in range(k + 1, n):
            for j in range(k + 1, i + 1):
                L[i][j] = L[i][j] - L[i][k] * L[j][k]
    definite = _all([p > 0 for p in pivots])
    return [[jnp.where(definite, entry, jnp.nan) for entry in row] for row in L]


def cholesky_upper(X: Lanes) -> Lanes:
    """The transpose of `cholesky_factor`, with zeros below the diagonal."""
    L = cholesky_factor(X)
    zero = jnp.zeros_like(X[0][0])
    return [[L[j][i] if j >= i else zero for j in range(len(L))] for i in range(len(L))]


def cholesky_divide(L: Lanes, B: Lanes) -> Lanes:
    """(L Lᵀ)⁻¹ B, of the lower triangle of L."""
    n = len(L)
    full = [[L[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    Y = _substituted(full, B, unit=False)
    return _substituted(_turned(full, transposed=True), Y[::-1], unit=False)[::-1]


def cholesky_solve(X: Lanes, B: Lanes) -> Lanes:
    """((X + Xᵀ) / 2)⁻¹ B; NaN where that is not positive definite."""
    return cholesky_divide(cholesky_factor(X), B)


def lower_inverse(T: Lanes) -> Lanes:
    """The inverse of the lower triangle of T; zeros above."""
    n = len(T)
    V: Lanes = []
    for i in range(n):
        reciprocal = 1 / T[i][i]
        row = [
            _minus_product(None, [(T[i][k], V[k][j]) for k in range(j, i)]) * reciprocal
            for j in range(i)
        ]
        V.append([*row, reciprocal, *[jnp.zeros_like(reciprocal)] * (n - i - 1)])
    return V


def upper_inverse(T: Lanes) -> Lanes:
    """The inverse of the upper triangle of T; zeros below."""
    return _transposed(lower_inverse(_transposed(T)))


def _eliminated(X: Lanes, whole: bool, inverted: bool = False) -> tuple[Lanes, list[Lane]]:
    """U in the upper triangle, and the row each step was exchanged with.

    The lower triangle is L, or L⁻¹ if `inverted`; without `whole` it is not computed.
    """
    n = len(X)
    rows = [list(row) for row in X]
    swaps = []
    for k in range(n):
        largest, swap = jnp.abs(rows[k][k]), jnp.full_like(rows[k][k], k)
        for i in range(k + 1, n):
            size = jnp.abs(rows[i][k])
            larger = size > largest
            largest, swap = jnp.where(larger, size, largest), jnp.where(larger, i, swap)
        swaps.append(swap)
        for i in range(k + 1, n):
            here = swap == i
            for j in range(0 if whole else k, n):
                rows[k][j], rows[i][j] = _exchanged(here, rows[k][j], rows[i][j])
        divisor = _nonzero(rows[k][k])
        for i in range(k + 1, n):
            factor = rows[i][k] / divisor
            for j in range(k + 1, n):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
            for j in range(k if inverted else 0):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
            rows[i][k] = -factor if inverted else factor
    return rows, swaps


def _pivots(rows: Lanes, swaps: list[Lane]) -> list[Lane]:
    sign = jnp.ones_like(rows[0][0])
    for k, swap in enumerate(swaps):
        sign = jnp.where(swap == k, sign, -sign)
    return [sign * rows[0][0], *(rows[k][k] for k in range(1, len(rows)))]


def _substituted(T: Lanes, B: Lanes, unit: bool) -> Lanes:
    """T⁻¹ B of the lower triangle of T, whose diagonal is taken as 1 if `unit`."""
    Y: Lanes = []
    for i, row in enumerate(B):
        sums = [
            _minus_product(b, [(T[i][k], Y[k][j]) for k in range(i)]) for j, b in enumerate(row)
        ]
        Y.append(sums if unit else [s / T[i][i] for s in sums])
    return Y


def _turned(T: Lanes, transposed: bool = False) -> Lanes:
    """T, or its transpose, with rows and columns in reverse: the upper triangle becomes lower."""
    rows = _transposed(T) if transposed else T
    return [row[::-1] for row in rows[::-1]]


def _transposed(T: Lanes) -> Lanes:
    return [list(row) for row in zip(*T, strict=True)]


def _exchanged(here: Lane, upper: Lane, lower: Lane) -> tuple[Lane, Lane]:
    return jnp.where(here, lower, upper), jnp.where(here, upper, lower)


def _nonzero(pivot: Lane) -> Lane:
    # below a zero pivot there are zeros only: any divisor does, and 1 harms no later pivot
    return jnp.where(pivot == 0, 1, pivot)


def _minus_product(start: Lane | None, pairs: list[tuple[Lane, Lane]]) -> Lane:
    if not pairs:
        assert start is not None
        return start
    if start is None:
        return -_product(pairs)
    for a, b in pairs:
        start = start - a * b
    return start


def _product(pairs: list[tuple[Lane, Lane]]) -> Lane:
    (a, b), *rest = pairs
    total = a * b
    for a, b in rest:
        total = total + a * b
    return total


def _all(conditions: list[Lane]) -> Lane:
    result = conditions[0]
    for condition in conditions[1:]:
        result = result & condition
    return result
