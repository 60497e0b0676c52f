"""The functions that ``jaxmatcalc bench`` measures where it is given none, in plain JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Case(NamedTuple):
    """A function and its arguments, of which the first is differentiated in."""

    f: Callable[..., Any]
    args: Callable[[np.random.Generator], tuple[np.ndarray, ...]]


def _precision(X: jax.Array, S: jax.Array) -> jax.Array:
    return -jnp.linalg.slogdet(X)[1] + jnp.trace(S @ X) + 0.05 * jnp.sum(X**2)


def _design(X: jax.Array, A: jax.Array) -> jax.Array:
    return jnp.trace(jnp.linalg.solve(X, A))


def _two_sided(X: jax.Array, A: jax.Array, B: jax.Array, C: jax.Array) -> jax.Array:
    return jnp.sum((A @ X @ B - C) ** 2)


def _factorisation(U: jax.Array, V: jax.Array, T: jax.Array) -> jax.Array:
    return jnp.sum((T - U @ V.T) ** 2)


def _logistic(w: jax.Array, X: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.sum(jnp.logaddexp(0, -y * (X @ w))) + 0.5 * jnp.sum(w**2)


def _positive(rng: np.random.Generator, n: int) -> np.ndarray:
    W = rng.normal(size=(n, n))
    return np.eye(n) + W @ W.T / n


def _near_identity(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.eye(n) + 0.1 * rng.normal(size=(n, n)) / np.sqrt(n)


CASES = {
    "precision matrix, n = 32": Case(
        _precision, lambda rng: (_positive(rng, 32), _positive(rng, 32))
    ),
    "optimal design tr(X⁻¹A), n = 32": Case(
        _design, lambda rng: (_positive(rng, 32), _positive(rng, 32))
    ),
    "least squares ‖AXB - C‖², n = 32": Case(
        _two_sided,
        lambda rng: (
            rng.normal(size=(32, 32)),
            _near_identity(rng, 32),
            _near_identity(rng, 32),
            rng.normal(size=(32, 32)),
        ),
    ),
    "factorisation ‖T - UVᵀ‖², n = 200, k = 5": Case(
        _factorisation,
        lambda rng: (
            rng.normal(size=(200, 5)),
            rng.normal(size=(200, 5)),
            rng.normal(size=(200, 200)),
        ),
    ),
    "logistic regression, m = 1000, d = 200": Case(
        _logistic,
        lambda rng: (
            0.1 * rng.normal(size=200),
            rng.normal(size=(1000, 200)),
            np.sign(rng.normal(size=1000)),
        ),
    ),
}
