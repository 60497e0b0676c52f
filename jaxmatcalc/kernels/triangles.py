"""Many triangular systems, and inverses of many triangles, on a CPU.

The library would be called for each triangle. Here every step is taken for all of a batch at once,
one matrix in each lane. Measured in float32 with two cores, on 4,096 of order 8, 1,024 of order 16,
256 of order 32 and 64 of order 64: solutions are 1.3 to 3 times faster, inverses 3 to 20 times.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxmatcalc import _jax
from jaxmatcalc._precision import matmul
from jaxmatcalc.kernels import lanes, products, xla
from jaxmatcalc.kernels.apart import apart

_BLOCK = 8
_LARGEST = 64
_LARGEST_SUBSTITUTED = 32  # of more rows it takes seconds to compile
_FEWEST = 2**14  # entries
_MANY = 1024  # triangles, of which it pays at every order up to the next
_LARGEST_ALONE = 24  # with few right-hand sides: a triangle is moved for little work
_SEVERAL = 64


def wins(T: jax.Array) -> bool:
    """Whether the triangles of T (..., n, n) are inverted faster by `inverse`."""
    return _known(T.shape, T.dtype) and 1 < T.shape[-1] <= _LARGEST and T.size >= _FEWEST


def divides(shape: tuple[int, ...], dtype: DTypeLike, columns: int) -> bool:
    """Whether `divided` is faster for triangles (..., n, n) and that many right-hand sides."""
    n, count = shape[-1], math.prod(shape[:-2])
    if not _known((*shape, columns), dtype) or not 0 < n <= _LARGEST or columns == 0:
        return False
    if 2 * columns < n:
        return count >= _MANY and n <= _LARGEST_ALONE
    return count >= _MANY or (count >= _SEVERAL and count * n * n >= _FEWEST)


def _known(shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    return _jax.is_known(shape) and bool(jnp.issubdtype(dtype, jnp.floating))


class Triangle(NamedTuple):
    """A triangle of a matrix T, or its transpose: what is divided by."""

    lower: bool = False
    transposed: bool = False
    unit_diagonal: bool = False


def divided(T: jax.Array, B: jax.Array, *parts: Triangle) -> jax.Array:
    """T₂⁻¹ T₁⁻¹ B of triangles T₁, T₂ of T (..., n, n), or of more, for B (..., n, m).

    By substitution, a row of all matrices after the other, up to order 32.
    """
    batch, (n, m) = B.shape[:-2], B.shape[-2:]
    if n > _LARGEST_SUBSTITUTED:
        return functools.reduce(functools.partial(_by_product, T), parts, B)
    extra = -n % _size(n)
    T, B = T.reshape(-1, n, n), B.reshape(-1, n, m)
    if extra:
        added = jnp.diag(jnp.arange(n + extra) >= n).astype(T.dtype)
        T = jnp.pad(T, ((0, 0), (0, extra), (0, extra))) + added
        B = jnp.pad(B, ((0, 0), (0, extra), (0, 0)))
    T, Y = jnp.moveaxis(T, 0, -1), jnp.moveaxis(B, 0, -1)
    for part in parts:
        Y = apart(_SUBSTITUTED[part], T, Y)
    return apart(_outermost, Y[:n]).reshape(*batch, n, m)


def _by_product(T: jax.Array, B: jax.Array, part: Triangle) -> jax.Array:
    """As `by_library`, but a unit triangle is inverted, once for all that it divides.

    It is the L of a factorisation with partial pivoting, hence well-conditioned, and a product with
    its inverse as accurate as substitution.
    """
    if not part.unit_diagonal:
        return by_library(T, B, part)
    V = inverse(T, part.lower, unit_diagonal=True)
    return matmul(jnp.swapaxes(V, -1, -2) if part.transposed else V, B)


def by_library(T: jax.Array, B: jax.Array, part: Triangle, conjugated: bool = False) -> jax.Array:
    """T₁⁻¹ B by a call for each matrix."""
    return lax.linalg.triangular_solve(
        T,
        B,
        left_side=True,
        lower=part.lower,
        transpose_a=part.transposed,
        conjugate_a=conjugated and part.transposed,
        unit_diagonal=part.unit_diagonal,
    )


def _outermost(X: jax.Array) -> jax.Array:
    """(rows, columns, lanes) as (lanes, rows, columns), flat: so that it is moved in memory.

    Otherwise what reads it would read it in the other layout, again and again.
    """
    return jnp.moveaxis(X, -1, 0).reshape(-1)


def _size(n: int) -> int:
    """The size of a block, of as few as there can be."""
    return -(-n // -(-n // _BLOCK))


def _substituted(part: Triangle, T: jax.Array, B: jax.Array) -> jax.Array:
    """A triangle of T (n, n, lanes) divides B (n, m, lanes), where n is a multiple of the block.

    A row is a loop of its own, which reads those that are known: XLA would compute them anew for
    every row that reads them. The rows of a block are compiled once, for all blocks and cases.
    """
    n, size = T.shape[0], _size(T.shape[0])
    forward = part.lower != part.transposed
    row, remaining = _ROWS[forward], _REMAINING[forward]

    def block(i: slice, j: slice) -> jax.Array:
        return jnp.swapaxes(T[j, i], 0, 1) if part.transposed else T[i, j]

    rows: list[jax.Array] = []
    for start in range(0, n, size)[:: 1 if forward else -1]:
        here = slice(start, start + size)
        others = slice(start + size, n) if forward else slice(0, start)
        D, own = block(here, here), []
        if part.unit_diagonal:
            D = jnp.where(jnp.eye(size, dtype=bool)[:, :, None], 1, D)
        right = B[:size] if forward else B[-size:]
        for _ in range(size):
            own.append(apart(row, D, right, *own))
        if others.stop > others.start:
            B = apart(remaining, block(others, here), B, *own)
        rows += own
    return apart(_stacked, *rows[:: 1 if forward else -1])


def _row(forward: bool, D: jax.Array, B: jax.Array, *rows: jax.Array) -> jax.Array:
    """The next row of D⁻¹ B."""
    order = range(len(B))[:: 1 if forward else -1]
    i = order[len(rows)]
    total = B[i]
    for k, row in zip(order, rows, strict=False):
        total = total - D[i, k] * row
    return total / D[i, i]


def _remaining(forward: bool, C: jax.Array, B: jax.Array, *rows: jax.Array) -> jax.Array:
    """The rows of B beside C, minus C times the rows that are known."""
    total = B[len(rows) :] if forward else B[: len(C)]
    for k, row in zip(range(len(rows))[:: 1 if forward else -1], rows, strict=True):
        total = total - C[:, k, None] * row
    return total


def _stacked(*rows: jax.Array) -> jax.Array:
    return jnp.stack(rows)


# Each one object, so that every call of it is the same program
_ROWS = [functools.partial(_row, forward) for forward in (False, True)]
_REMAINING = [functools.partial(_remaining, forward) for forward in (False, True)]
_SUBSTITUTED = {
    part: functools.partial(_substituted, part)
    for part in itertools.starmap(Triangle, itertools.product((False, True), repeat=3))
}


def inverse(T: jax.Array, lower: bool, unit_diagonal: bool) -> jax.Array:
    """The inverse of a triangle of T (..., n, n), of which the other triangle is not read."""
    batch, n = T.shape[:-2], T.shape[-1]
    T = T.reshape(-1, n, n)
    if unit_diagonal:
        T = jnp.where(jnp.eye(n, dtype=bool), 1, T)
    count = 1
    while n > count * _BLOCK:
        count *= 2
    size = -(-n // count)
    extra = count * size - n
    if extra:
        added = jnp.arange(n + extra) >= n
        T = jnp.pad(T, ((0, 0), (0, extra), (0, extra))) + jnp.diag(added.astype(T.dtype))
    blocks = jnp.stack([_block(T, size, k, k) for k in range(count)])
    innermost = jnp.moveaxis(blocks.reshape(-1, size, size), 0, -1)
    body = lanes.lower_inverse if lower else lanes.upper_inverse
    (found,) = xla.run(body, [(size, size)], innermost)
    found = jnp.moveaxis(found, -1, 0).reshape(blocks.shape)
    while len(found) > 1:  # [[A, 0], [C, D]]⁻¹ = [[A⁻¹, 0], [-D⁻¹ C A⁻¹, D⁻¹]], and its transpose
        A, D = found[::2], found[1::2]
        left, right = (D, A) if lower else (A, D)
        places = [(2 * k + 1, 2 * k) if lower else (2 * k, 2 * k + 1) for k in range(len(A))]
        C = jnp.stack([_block(T, size, *place) for place in places])
        product = products.product if size <= _BLOCK else matmul
        corner, zero = -product(product(left, C), right), jnp.zeros_like(A)
        rows = ((A, zero), (corner, D)) if lower else ((A, corner), (zero, D))
        found = jnp.concatenate([jnp.concatenate(row, axis=-1) for row in rows], axis=-2)
        size *= 2
    return found[0, :, :n, :n].reshape(*batch, n, n)


def _block(T: jax.Array, size: int, i: int, j: int) -> jax.Array:
    return T[:, i * size : (i + 1) * size, j * size : (j + 1) * size]
