"""Matrix products of the closed-form rules, at the highest precision unless the user chose one.

The default precision of a GPU or TPU rounds the factors to TF32 or bfloat16, which would leave a
derivative with three digits where its value has seven. So JAX's default is not taken, but a choice
is: under `jax.default_matmul_precision(...)` (or `jax_default_matmul_precision`) every product
here has that precision.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero


def _precision() -> lax.Precision | None:
    """None leaves the choice to JAX, which takes the user's."""
    chosen = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return lax.Precision.HIGHEST if chosen is None else None


def einsum(*operands: Any, optimize: Any = "auto") -> jax.Array:
    """`jax.numpy.einsum` at the precision of the rules."""
    return jnp.einsum(*operands, optimize=optimize, precision=_precision())


def matmul(A: jax.Array, B: jax.Array) -> jax.Array:
    """`jax.numpy.matmul` at the precision of the rules."""
    return jnp.matmul(A, B, precision=_precision())


def trace_of_product(A: jax.Array, B: jax.Array) -> jax.Array:
    """tr(A B) over the last two axes, without the product: O(n²)."""
    return einsum("...ij,...ji->...", A, B)


def product_rule(
    primal_out: jax.Array,
    tangents: Sequence[jax.Array | SymbolicZero],
    term: Callable[[int, jax.Array], jax.Array],
) -> jax.Array:
    """Σᵢ term(i, dXᵢ) over the arguments that vary.

    An argument that does not vary adds no term, so that the tangent program of tr(A X) in X has one
    product, not one and a product with zeros.
    """
    terms = [term(i, dX) for i, dX in enumerate(tangents) if not isinstance(dX, SymbolicZero)]
    return functools.reduce(operator.add, terms) if terms else jnp.zeros_like(primal_out)
