"""The products that the closed-form rules are written in."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jaxmatcalc._precision import einsum, matmul

__all__ = ["einsum", "matmul", "product_rule", "trace_of_product"]


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
