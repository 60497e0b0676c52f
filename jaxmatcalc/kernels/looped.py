"""Factorisations of small real matrices in the memory of a kernel, looped over the rows.

For sizes whose n² entries do not fit into registers, where the bodies of `lanes` would spill. The
arguments are references to memory on the chip, indexed by row and column; an entry is an array over
the matrices, as in `lanes`. No more than two rows are held in registers. A function overwrites its
arguments and returns the references that hold its results.

LU is that of `lanes`; the Cholesky factorisation is here L D Lᵀ, elimination without pivoting, of
which the square roots of D are the roots. Both keep L⁻¹ in the place of L, so that every step does
the same to whole rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Ref = Any
Row = list[jax.Array]

_HELD = 16  # entries of a row that are held in registers; two rows fill half of those of a TPU


def lu_pivots(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """The n pivots of X, the first with the sign of the row permutation."""
    _eliminate(X, [X], pivots, work)
    first = pivots[0, 0]
    for k in range(X.shape[0] - 1):
        first = jnp.where(work[k, 0] == k, first, -first)
    pivots[0, 0] = first
    return (pivots,)


def lu_inverse(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """X⁻¹, all inf where a pivot is zero."""
    _, inverse = lu_pivots_inverse(X, pivots, work)
    return (inverse,)


def lu_pivots_inverse(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """What `lu_pivots` and `lu_inverse` give, from one elimination."""
    n = X.shape[0]
    lu_pivots(X, pivots, work)
    regular = _all(pivots, lambda pivot: pivot != 0)

    def lower(i: Any, j: int) -> jax.Array:  # an entry of L⁻¹
        return jnp.where(j < i, X[i, j], _filled(X, j == i))

    def permute(i: Any, nothing: None) -> None:  # exchanged rows of X are columns of its inverse
        row = [X[i, j] for j in range(n)]
        for k in reversed(range(n)):
            swap = work[k, 0]
            for j in range(k + 1, n):
                here = swap == j
                row[k], row[j] = jnp.where(here, row[j], row[k]), jnp.where(here, row[k], row[j])
        for j, y in enumerate(row):
            X[i, j] = jnp.where(regular, y, jnp.inf)

    _substitute(X, X, work, lower)
    _loop(0, n, permute, None)
    return pivots, X


def lu_solve(X: Ref, B: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """X⁻¹ B; inf and NaN where a pivot is zero."""
    _eliminate(X, [X, B], pivots, work)
    _substitute(X, B, work, lambda i, j: B[i, j])
    return (B,)


def cholesky_roots(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """The diagonal of L with L Lᵀ = (X + Xᵀ) / 2; all NaN where that is not positive definite."""
    _average(X)
    _eliminate(X, [X], pivots, work, pivoting=False)
    definite = _all(pivots, lambda pivot: pivot > 0)
    for k in range(X.shape[0]):
        pivots[k, 0] = jnp.where(definite, jnp.sqrt(pivots[k, 0]), jnp.nan)
    return (pivots,)


def cholesky_inverse(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """The inverse of (X + Xᵀ) / 2; all NaN where that is not positive definite."""
    _, inverse = cholesky_roots_inverse(X, pivots, work)
    return (inverse,)


def cholesky_roots_inverse(X: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """What `cholesky_roots` and `cholesky_inverse` give, from one factorisation."""
    n = X.shape[0]
    cholesky_roots(X, pivots, work)
    definite = pivots[0, 0] == pivots[0, 0]

    def multiply(i: Any, nothing: None) -> None:  # Y = L⁻ᵀ D⁻¹ L⁻¹, of which row i needs the later
        d = X[i, i]
        first = [jnp.where(j < i, X[i, j] / d, 1 / d) for j in range(n)]

        def add(k: Any, row: Row) -> Row:
            factor = X[k, i] / X[k, k]
            return [y + factor * X[k, j] for j, y in enumerate(row)]

        for j, y in enumerate(_loop(i + 1, n, add, first)):
            y = jnp.where(definite, y, jnp.nan)
            X[i, j] = jnp.where(j <= i, y, X[i, j])
            X[j, i] = jnp.where(j <= i, y, X[j, i])

    _loop(0, n, multiply, None)
    return pivots, X


def cholesky_solve(X: Ref, B: Ref, pivots: Ref, work: Ref) -> tuple[Ref, ...]:
    """((X + Xᵀ) / 2)⁻¹ B; all NaN where that is not positive definite."""
    _average(X)
    _eliminate(X, [X, B], pivots, work, pivoting=False)
    definite = _all(pivots, lambda pivot: pivot > 0)
    _substitute(X, B, work, lambda i, j: B[i, j])

    def mark(i: Any, nothing: None) -> None:
        for j in range(B.shape[1]):
            B[i, j] = jnp.where(definite, B[i, j], jnp.nan)

    _loop(0, B.shape[0], mark, None)
    return (B,)


def _average(X: Ref) -> None:
    n = X.shape[0]

    def average(i: Any, nothing: None) -> None:
        for j in range(n):
            X[i, j] = X[j, i] = X[i, j] / 2 + X[j, i] / 2

    _loop(0, n, average, None)


def _eliminate(X: Ref, parts: list[Ref], pivots: Ref, work: Ref, pivoting: bool = True) -> None:
    """U in the upper triangle of X, L⁻¹ below, and in B, a further part, L⁻¹ P B.

    With partial pivoting, `work` gets in its first column the row each step was exchanged with.
    """
    n = X.shape[0]

    def step(k: Any, nothing: None) -> None:
        # Read back from memory, for Mosaic GPU carries no value that is the same in all lanes.
        work[k, 0] = _filled(X, k)
        swap, pivot, corner = work[k, 0], X[k, k], X[k, k]

        def seek(i: Any, best: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            larger = jnp.abs(X[i, k]) > jnp.abs(best[1])
            return jnp.where(larger, _filled(X, i), best[0]), jnp.where(larger, X[i, k], best[1])

        if pivoting:
            swap, pivot = _loop(k + 1, n, seek, (swap, pivot))
            work[k, 0] = swap
        pivots[k, 0] = pivot
        divisor = jnp.where(pivot == 0, 1, pivot)

        def exchanged(i: Any, entry: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(swap == _filled(X, i), old, entry) if pivoting else entry

        def divide(i: Any, nothing: None) -> None:
            work[i, 1] = exchanged(i, X[i, k], corner) / divisor

        _loop(k + 1, n, divide, None)
        for part in parts:
            for columns in _few(part):
                _update(part, columns, k, exchanged, work, pivoting)

        def store(i: Any, nothing: None) -> None:
            X[i, k] = -work[i, 1]

        _loop(k + 1, n, store, None)

    _loop(0, n, step, None)


def _update(
    A: Ref, columns: range, k: Any, exchanged: Callable[..., Any], work: Ref, pivoting: bool
) -> None:
    """Step k of the elimination in some columns."""
    n = A.shape[0]
    leaving = arriving = [A[k, j] for j in columns]

    def pick(i: Any, row: Row) -> Row:
        here = work[k, 0] == _filled(A, i)
        return [jnp.where(here, A[i, j], r) for j, r in zip(columns, row, strict=True)]

    if pivoting:
        arriving = _loop(k + 1, n, pick, leaving)
        for j, entry in zip(columns, arriving, strict=True):
            A[k, j] = entry

    def eliminate(i: Any, nothing: None) -> None:
        factor = work[i, 1]
        for j, old, new in zip(columns, leaving, arriving, strict=True):
            A[i, j] = exchanged(i, A[i, j], old) - factor * new

    _loop(k + 1, n, eliminate, None)


def _substitute(U: Ref, Y: Ref, work: Ref, start: Callable[[Any, int], jax.Array]) -> None:
    """U⁻¹ times the entries that `start` gives, in Y, from the last row; Y may be U itself."""
    n = U.shape[0]

    def step(later: Any, nothing: None) -> None:
        i = n - 1 - later

        def keep(k: Any, nothing: None) -> None:
            work[k, 1] = U[i, k]

        _loop(i, n, keep, None)
        for columns in _few(Y):

            def subtract(k: Any, row: Row, columns: range = columns) -> Row:
                factor = work[k, 1]
                return [y - factor * Y[k, j] for j, y in zip(columns, row, strict=True)]

            row = _loop(i + 1, n, subtract, [start(i, j) for j in columns])
            divisor = work[i, 1]
            for j, y in zip(columns, row, strict=True):
                Y[i, j] = y / divisor

    _loop(0, n, step, None)


def _few(A: Ref) -> list[range]:
    """The columns of A in groups of which two rows fit into registers."""
    columns = A.shape[1]
    return [range(start, min(start + _HELD, columns)) for start in range(0, columns, _HELD)]


def _all(pivots: Ref, condition: Callable[[jax.Array], jax.Array]) -> jax.Array:
    result = condition(pivots[0, 0])
    for k in range(1, pivots.shape[0]):
        result = result & condition(pivots[k, 0])
    return result


def _loop(start: Any, stop: int, body: Callable[..., Any], carry: Any) -> Any:
    # No TPU counts in 64 bits, which JAX does by default where they are switched on.
    return lax.fori_loop(jnp.int32(start), jnp.int32(stop), body, carry)


def _filled(like: Ref, value: Any) -> jax.Array:
    return jnp.full(like.shape[2:], value, like.dtype)


BODIES: dict[str, Callable[..., tuple[Ref, ...]]] = {
    body.__name__: body
    for body in (
        lu_pivots,
        lu_inverse,
        lu_pivots_inverse,
        lu_solve,
        cholesky_roots,
        cholesky_inverse,
        cholesky_roots_inverse,
        cholesky_solve,
    )
}
