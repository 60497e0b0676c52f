"""Products of arrays, at the highest precision unless the user chose one.

The default precision of a GPU or TPU rounds the factors to TF32 or bfloat16, which would leave a
derivative with three digits where its value has seven. So JAX's default is not taken, but a choice
is: under `jax.default_matmul_precision(...)` (or `jax_default_matmul_precision`) every product
of the library has that precision.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def _precision() -> lax.Precision | None:
    """None leaves the choice to JAX, which takes the user's."""
    chosen = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return lax.Precision.HIGHEST if chosen is None else None


def current() -> str:
    """The name of the precision that a product has here."""
    chosen = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return chosen or "highest"


def einsum(*operands: Any, optimize: Any = "auto") -> jax.Array:
    """`jax.numpy.einsum`."""
    return jnp.einsum(*operands, optimize=optimize, precision=_precision())


def matmul(A: jax.Array, B: jax.Array, precision: str | None = None) -> jax.Array:
    """`jax.numpy.matmul`."""
    return jnp.matmul(A, B, precision=precision or _precision())


def vdot(x: jax.Array, y: jax.Array) -> jax.Array:
    """`jax.numpy.vdot`, xᴴ y."""
    return jnp.vdot(x, y, precision=_precision())


def along(A: jax.Array, x: jax.Array, axis: int) -> jax.Array:
    """A matrix times x along one of its axes."""
    return jnp.moveaxis(jnp.tensordot(A, x, (1, axis), precision=_precision()), 0, axis)
