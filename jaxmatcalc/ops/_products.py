"""The products that the closed-form rules are written in."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxmatcalc import _precision
from jaxmatcalc._multilinear import Multilinear
from jaxmatcalc._precision import einsum
from jaxmatcalc.kernels import products
from jaxmatcalc.ops._transpose import transpose

__all__ = ["einsum", "matmul", "product_rule", "trace_of_product"]


def matmul(A: jax.Array, B: jax.Array) -> jax.Array:
    """A B over the last two axes; of many small matrices in the way that is fastest on a CPU."""
    dtype = jnp.result_type(A, B)
    inexact = jnp.issubdtype(dtype, jnp.inexact)
    if not inexact or min(A.ndim, B.ndim) < 2 or not products.may_win(A, B):
        return _precision.matmul(A, B)
    return _small((2, 2), A.astype(dtype), B.astype(dtype), precision=_precision.current())


def _computed(A: jax.Array, B: jax.Array, precision: str) -> jax.Array:
    library = functools.partial(_precision.matmul, precision=precision)
    if not products.wins(A, B):
        return library(A, B)
    return lax.platform_dependent(A, B, cpu=products.product, default=library)


def _differential(
    primals: Sequence[jax.Array], tangents: Sequence[jax.Array | None], precision: str
) -> jax.Array | None:
    (A, B), (dA, dB) = primals, tangents
    terms = [] if dA is None else [matmul(dA, B)]
    terms += [] if dB is None else [matmul(A, dB)]
    return functools.reduce(operator.add, terms) if terms else None


def _pullback(
    cotangent: jax.Array, operands: Sequence[jax.Array], k: int, precision: str
) -> jax.Array:
    A, B = operands
    return matmul(cotangent, transpose(B)) if k == 0 else matmul(transpose(A), cotangent)


# A primitive, so that the choice is made for the batch that `vmap` has merged, while derivatives
# and interpreters see one product.
_small = Multilinear("small_matmul", _precision.matmul, _differential, _pullback, compute=_computed)


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
