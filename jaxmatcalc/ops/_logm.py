"""The principal logarithm of one matrix, by inverse scaling and squaring.

Square roots bring X near I, where the Padé approximant is summed as partial fractions: it is the
Gauss–Legendre rule for log(I + A) = ∫₀¹ A (I + t A)⁻¹ dt.

Source: Higham, Functions of Matrices (2008), section 11.4 and 11.5, eq. (11.18).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.ops import _lu
from jaxmatcalc.ops._sqrtm import sqrtm

Array = jax.Array

_COUNT = 8  # nodes of the quadrature
_LARGEST = 0.34  # the 1-norm of A up to which eight nodes are right to rounding
_LONGEST = 60


def logm(X: Array) -> Array:
    """log X of X (n, n); NaN where a square root is."""
    identity = jnp.eye(X.shape[-1], dtype=X.dtype)
    exponent = jnp.round(jnp.mean(jnp.log2(jnp.abs(_lu.pivots(lax.stop_gradient(X))))))
    exponent = jnp.where(jnp.isfinite(exponent), exponent, 0)
    half = jnp.exp2(jnp.trunc(exponent / 2)).astype(X.dtype)
    rest = jnp.exp2(exponent - jnp.trunc(exponent / 2)).astype(X.dtype)

    def far(A: Array) -> Array:
        return jnp.max(jnp.sum(jnp.abs(lax.stop_gradient(A) - identity), axis=0)) > _LARGEST

    roots, A = lax.while_loop(
        lambda state: (state[0] < _LONGEST) & far(state[1]),
        lambda state: (state[0] + 1, sqrtm(state[1])),
        (0 * exponent, X / half / rest),
    )
    logarithm = _near_identity(A - identity) * jnp.exp2(roots).astype(X.dtype)
    return logarithm + identity * (exponent * float(np.log(2))).astype(X.dtype)


def _near_identity(A: Array) -> Array:
    """log(I + A) of small A."""
    places, weights = np.polynomial.legendre.leggauss(_COUNT)
    nodes, weights = (jnp.asarray(x / 2, A.dtype)[:, None, None] for x in (1 + places, weights))
    shifted = jnp.eye(A.shape[-1], dtype=A.dtype) + nodes * A
    return jnp.sum(weights * jnp.linalg.solve(shifted, jnp.broadcast_to(A, shifted.shape)), axis=0)
