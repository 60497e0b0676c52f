"""The principal square root of one matrix, by the product form of Denman and Beavers' iteration.

It needs products and inverses only, so it runs on every device, where a Schur decomposition does
not. Source: Higham, Functions of Matrices (2008), section 6.3, eqs. (6.28) and (6.29).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc.ops import _lu
from jaxmatcalc.ops._products import matmul

Array = jax.Array

_LONGEST = 60


def sqrtm(X: Array) -> Array:
    """X^½ of X (n, n); NaN where the iteration does not converge."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(X)))
    usable = (largest > 0) & jnp.isfinite(largest)
    exponent = jnp.where(usable, jnp.floor(jnp.log2(jnp.where(usable, largest, 1)) / 2), 0)
    root = jnp.exp2(exponent).astype(X.dtype)
    M = X / root / root
    n = X.shape[-1]
    identity = jnp.eye(n, dtype=X.dtype)
    eps = float(jnp.finfo(X.dtype).eps)

    def distance(M: Array) -> Array:
        return jnp.max(jnp.sum(jnp.abs(lax.stop_gradient(M) - identity), axis=0))

    # Convergence is quadratic. Where half the digits are right, one step more makes all of them
    # so, and one after it those of the derivative.
    near = eps**0.5

    def unfinished(state: Any) -> Array:
        step, after, _, M = state
        return (step < _LONGEST) & (after < 2) & jnp.isfinite(distance(M))

    def advance(state: Any) -> Any:
        step, after, S, M = state
        away = distance(M)
        Y = _inverse(M)
        mu = jnp.where(away > 0.01, _scale(lax.stop_gradient(M)), 1).astype(X.dtype)
        S = mu / 2 * (S + matmul(S, Y / mu / mu))
        M = (identity + (M * mu * mu + Y / mu / mu) / 2) / 2
        return step + 1, after + (away <= near).astype(after.dtype), S, M

    start = (0 * exponent, 0 * exponent, M, M)
    _, after, S, M = lax.while_loop(unfinished, advance, start)
    return jnp.where(after >= 2, S * root, jnp.nan)


def _scale(M: Array) -> Array:
    """|det M|^(-1/2n), which brings the eigenvalues of M around 1."""
    logarithms = jnp.log2(jnp.abs(_lu.pivots(M)))
    found = jnp.exp2(-jnp.mean(logarithms) / 2)
    return jnp.where(jnp.isfinite(found) & (found > 0), found, 1)


@jax.custom_jvp
def _inverse(M: Array) -> Array:
    return _lu.inverse(M)


@_inverse.defjvp
def _inverse_jvp(primals: Any, tangents: Any) -> Any:
    Y = _inverse(primals[0])
    return Y, -matmul(matmul(Y, tangents[0]), Y)
