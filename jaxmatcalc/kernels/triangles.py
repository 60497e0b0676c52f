"""Inverses of many triangles on a CPU, by halves.

The blocks on the diagonal are inverted lane-wise, all of a batch at once, and products do the rest.
The library would be called for each triangle: measured in float32 with two cores, 3 to 20 times
slower for 1,024 of order 16, 256 of order 32 and 64 of order 64.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxmatcalc._precision import matmul
from jaxmatcalc.kernels import lanes, products, xla

_BLOCK = 8
_LARGEST = 64
_FEWEST = 2**14  # entries


def wins(T: jax.Array) -> bool:
    """Whether the triangles of T (..., n, n) are inverted faster this way."""
    n = T.shape[-1]
    real = jnp.issubdtype(T.dtype, jnp.floating)
    return bool(real) and 1 < n <= _LARGEST and T.size >= _FEWEST


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
