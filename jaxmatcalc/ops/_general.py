"""The ring of derivatives where X is any square matrix, by the block form.

Tₖ(X; E₁, …, Eₖ) is the last block of the first row of f of the block matrix

    [[X, E₁, 0, …], [0, X, E₂, …], …, [0, …, 0, X]],

so that a way to compute f is all that is needed. T₁ is computed without forming the block matrix:
it is the derivative of the program that computes f.

Source: Higham, Functions of Matrices (2008), theorems 3.6 and 4.12 (Mathias 1996 for k > 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxmatcalc._multilinear import over_batch
from jaxmatcalc.ops._expm import expm
from jaxmatcalc.ops._logm import logm
from jaxmatcalc.ops._ring import Ring
from jaxmatcalc.ops._sqrtm import sqrtm

Array = jax.Array

# Each takes one matrix. They are differentiated forward, never in reverse.
_PROGRAMS: dict[str, Callable[[Array], Array]] = {"expm": expm, "logm": logm, "sqrtm": sqrtm}


def _value(
    given: Sequence[Array], X: Array, Es: Sequence[Array], *, name: str, ranks: object
) -> Array:
    if X.shape[-1] == 0:
        return jnp.zeros(jnp.broadcast_shapes(X.shape, *(E.shape for E in Es)), X.dtype)
    program = _PROGRAMS[name]

    def one(X: Array, *Es: Array) -> Array:
        if not Es:
            return program(X)
        if len(Es) == 1:
            return _where_finite(*jax.jvp(program, (X,), Es))
        return _last_block(program, X, Es, jnp.ones((), X.dtype) if name == "expm" else _size(X))

    return over_batch(one, X, *Es, ranks=[2] * (1 + len(Es)))


def _last_block(
    program: Callable[[Array], Array], X: Array, Es: Sequence[Array], unit: Array
) -> Array:
    """f of the block matrix, with the Es scaled to ``unit``, so that none outgrows another."""
    n, k = X.shape[-1], len(Es)
    zero = jnp.zeros_like(X)
    sizes = [_size(E) / unit for E in Es]
    scaled = [E / size for E, size in zip(Es, sizes, strict=True)]
    rows = [
        [X if j == i else scaled[i] if j == i + 1 else zero for j in range(k + 1)]
        for i in range(k + 1)
    ]
    value = program(jnp.block(rows))
    result = _where_finite(value, value[:n, k * n :])
    for size in sizes:
        result = result * size
    return result


def _where_finite(value: Array, derivative: Array) -> Array:
    """The derivative, and NaN where the value is out of range or does not exist."""
    return jnp.where(jnp.all(jnp.isfinite(value)), derivative, jnp.nan)


def _size(E: Array) -> Array:
    """The largest entry's modulus; 1 where that is 0."""
    size = jnp.max(jnp.abs(E))
    return jnp.where(size > 0, size, 1).astype(E.dtype)


# The block form is linear in the Es as a whole, not step by step.
_function = Ring("function_of_matrix", _value, entered=False)


def of_general(name: str, X: Array) -> Array:
    """The function of that name of X (..., n, n)."""
    return _function((), (), X, name=name)
