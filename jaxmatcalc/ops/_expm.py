"""The exponential of one matrix, by scaling and squaring.

Source: Higham, The scaling and squaring method for the matrix exponential revisited (2005).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc.ops._products import matmul

Array = jax.Array

# Degree of the Padé approximant, and the largest 1-norm for which it is right to rounding
_DEGREES = {4: (7, 3.925724783138660), 8: (13, 5.371920351148152)}


def expm(X: Array) -> Array:
    """exp X of X (n, n); where an entry is out of range it is ±inf."""
    degree, largest = _DEGREES[jnp.finfo(X.dtype).dtype.itemsize]
    norm = lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(X), axis=0)))
    halvings = jnp.ceil(jnp.log2(jnp.maximum(norm / largest, 1)))
    halvings = jnp.where(jnp.isfinite(halvings), halvings, 0)
    Y = _pade(X * jnp.exp2(-halvings).astype(X.dtype), degree)

    squared = lax.while_loop(lambda state: state[0] < halvings, _bounded_square, (0 * halvings, Y))[
        1
    ]
    # Out of range, ∞ - ∞ is NaN. Then the squares are taken again, of a matrix that is divided by a
    # power of 2 each time; what is lost there beside the largest entry stays NaN.
    again = jnp.where(jnp.any(jnp.isnan(squared)), halvings, 0)
    _, Z, exponent = lax.while_loop(
        lambda state: state[0] < again, _scaled_square, (0 * again, Y, 0 * again)
    )
    for _ in range(3):
        step = jnp.clip(exponent, -1000, 1000) if degree == 13 else jnp.clip(exponent, -120, 120)
        Z, exponent = Z * jnp.exp2(step).astype(Z.dtype), exponent - step
    return jnp.where(jnp.isnan(squared) & (again > 0) & (Z != 0), Z, squared)


def _bounded_square(state: Any) -> Any:
    """The square, where ∞ stands for a number so large that 0 times it is 0."""
    i, Y = state
    top = float(jnp.finfo(Y.dtype).max)
    if jnp.iscomplexobj(Y):
        Y = lax.complex(jnp.clip(jnp.real(Y), -top, top), jnp.clip(jnp.imag(Y), -top, top))
    else:
        Y = jnp.clip(Y, -top, top)
    return i + 1, matmul(Y, Y)


def _scaled_square(state: Any) -> Any:
    i, Z, exponent = state
    Z = matmul(Z, Z)
    largest = lax.stop_gradient(jnp.max(jnp.abs(Z)))
    step = jnp.floor(jnp.log2(jnp.where(largest > 0, largest, 1)))
    return i + 1, Z * jnp.exp2(-step).astype(Z.dtype), 2 * exponent + step


def _pade(A: Array, degree: int) -> Array:
    """The diagonal Padé approximant of exp: (V + U) / (V - U), V even and U odd in A."""
    b = [_coefficient(degree, j) for j in range(degree + 1)]
    identity = jnp.eye(A.shape[-1], dtype=A.dtype)
    A2 = matmul(A, A)
    A4 = matmul(A2, A2)
    A6 = matmul(A4, A2)
    odd = b[7] * A6 + b[5] * A4 + b[3] * A2 + b[1] * identity
    even = b[6] * A6 + b[4] * A4 + b[2] * A2 + b[0] * identity
    if degree == 13:
        odd = odd + matmul(A6, b[13] * A6 + b[11] * A4 + b[9] * A2)
        even = even + matmul(A6, b[12] * A6 + b[10] * A4 + b[8] * A2)
    odd = matmul(A, odd)
    return jnp.linalg.solve(even - odd, even + odd)


def _coefficient(degree: int, j: int) -> float:
    """Of Aʲ, with that of A⁰ taken to be 1."""
    q = math.factorial
    whole = q(2 * degree) * q(degree - j) * q(j)
    return q(2 * degree - j) * q(degree) / whole
