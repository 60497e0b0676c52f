"""pykronecker: products with a Kronecker product, compiled by JAX.

Its own inverse is NumPy's of each factor, which does not compile; here JAX inverts them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import jax
import jax.numpy as jnp


def value(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function in the words of pykronecker."""
    return SPELLINGS[f.__name__]


def gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Value and gradient in every argument."""
    return lambda *args: jax.value_and_grad(value(f), tuple(range(len(args))))(*args)


def _kronecker(A: jax.Array, B: jax.Array) -> Any:
    with redirect_stdout(StringIO()):  # it says which backend it found
        from pykronecker import KroneckerProduct
    return KroneckerProduct([A, B])


def _product(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum((_kronecker(A, B) @ x) ** 2)


def _solve(A: jax.Array, B: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.sum((_kronecker(jnp.linalg.inv(A), jnp.linalg.inv(B)) @ x) ** 2)


SPELLINGS = {"kronecker_product": _product, "kronecker_solve": _solve}
