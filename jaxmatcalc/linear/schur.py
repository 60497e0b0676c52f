"""Sums of Kronecker products of one matrix an axis, solved by the Schur forms of the matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import along
from jaxmatcalc.linear.term import Array


def schur(a: Array) -> tuple[Array, Array]:
    """Complex Schur form, a = Q T Qᴴ, as (T, Q)."""
    _checks.schur_platform(jax.default_backend())
    t, q = jax.scipy.linalg.schur(a, output="complex")
    return t, q


def triangular_solver(
    matrices: Sequence[Array], scales: Sequence[Array], exponents: Sequence[tuple[int, ...]]
) -> Callable[[Array], Array]:
    """b ↦ x with Σₜ sₜ (⊗ᵢ Mᵢ^eₜᵢ) x = b, for b of shape (n₁, …, n_p, k): k right-hand sides.

    The Schur forms are taken once. In their vectors every term is triangular, so the last index of
    the last axis stands alone: what is left for it is a system of the same kind with one axis less.

    Source: Bartels and Stewart (1972), "Solution of the matrix equation AX + XB = C", for two axes.
    """
    forms = [schur(m) for m in matrices]
    is_real = not any(map(jnp.iscomplexobj, (*matrices, *scales)))

    def solved(b: Array) -> Array:
        x = b.astype(jnp.result_type(b, *(t for t, _ in forms)))
        for axis, (_, q) in enumerate(forms):
            x = along(q.conj().T, x, axis)
        x = _back_substitute([t for t, _ in forms], list(scales), list(exponents), x)
        for axis, (_, q) in enumerate(forms):
            x = along(q, x, axis)
        return x.real.astype(b.dtype) if is_real and not jnp.iscomplexobj(b) else x

    return solved


def eigenvalues(
    matrices: Sequence[Array], scales: Sequence[Array], exponents: Sequence[tuple[int, ...]]
) -> Array:
    """The eigenvalues of such a sum, an axis a matrix."""
    return combined([jnp.diagonal(schur(m)[0]) for m in matrices], scales, exponents)


def combined(
    spectra: Sequence[Array], scales: Sequence[Array], exponents: Sequence[tuple[int, ...]]
) -> Array:
    """Σₜ sₜ ∏ᵢ wᵢ^eₜᵢ over a grid with one axis for every spectrum wᵢ."""
    rank = len(spectra)
    spread = [
        w.reshape([-1 if k == axis else 1 for k in range(rank)]) for axis, w in enumerate(spectra)
    ]
    products = [
        math.prod([w for w, e in zip(spread, powers, strict=True) if e], start=scale)
        for scale, powers in zip(scales, exponents, strict=True)
    ]
    return jnp.broadcast_to(sum(products[1:], products[0]), [len(w) for w in spectra])


def _back_substitute(
    forms: list[Array], scales: list[Array], exponents: list[tuple[int, ...]], g: Array
) -> Array:
    """The triangular system, by recursion over the axes."""
    *rest, last = forms
    n = last.shape[0]
    if not rest:
        eye = jnp.eye(n, dtype=g.dtype)
        terms = [s * (last if e[0] else eye) for s, e in zip(scales, exponents, strict=True)]
        return jax.scipy.linalg.solve_triangular(sum(terms[1:], terms[0]), g)
    axis = len(rest)
    shorter = [e[:-1] for e in exponents]

    def step(count: Array, x: Array) -> Array:
        j = n - 1 - count
        reached = along(last[j][None], x, axis).squeeze(axis)  # x is 0 before j
        right = lax.dynamic_index_in_dim(g, j, axis, keepdims=False)
        for s, e in zip(scales, exponents, strict=True):
            if e[-1]:
                moved = reached
                for k, power in enumerate(e[:-1]):
                    moved = along(rest[k], moved, k) if power else moved
                right = right - s * moved
        pivots = [s * last[j, j] if e[-1] else s for s, e in zip(scales, exponents, strict=True)]
        found = _back_substitute(rest, pivots, shorter, right)
        return lax.dynamic_update_index_in_dim(x, found, j, axis)

    return lax.fori_loop(0, n, step, jnp.zeros_like(g))
