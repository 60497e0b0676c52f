"""Eigenvalues and eigenvectors of maps that exchange entries: V ↦ s M Vᵀ M + ρV, permutations.

What exchanges two entries has their sum and their difference for eigenvectors. The singular vectors
of M = U σ Zᵀ bring the first map to this form: for V = U Y Zᵀ it takes Y to s σ Yᵀ σ + ρY, so that
symmetric Y have the eigenvalues ρ + s σᵢσⱼ, and skew Y have ρ - s σᵢσⱼ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.linear.crossed import Crossed, crossed_plus_identity
from jaxmatcalc.linear.decomposition import Decomposition, over
from jaxmatcalc.linear.kinds import parts_and_scale, sides
from jaxmatcalc.linear.term import Array, Factor, Term, extent, flat, fresh, shape


def involution(term: Term) -> np.ndarray | None:
    """p with (P x)ᵢ = x at pᵢ for a permutation P that is symmetric, or None."""
    out, in_ = flat(term.out), flat(term.in_)
    places = np.arange(extent(in_)).reshape([k.size for k in in_])
    p = places.transpose([in_.index(k) for k in out]).reshape(-1)
    return p if np.array_equal(p[p], np.arange(p.size)) else None


def of_permutation(term: Term, dtype: Any) -> Decomposition:
    """1 on sums of two entries that are exchanged, and -1 on their differences."""
    p = involution(term)
    assert p is not None
    own, other = _sums_and_differences(p)
    _, scale = parts_and_scale(term, dtype)
    signs = np.where(np.arange(p.size) <= p, 1, -1)
    grid = jnp.real(scale) * jnp.asarray(signs, jnp.finfo(dtype).dtype)
    labels = flat(term.out)
    terms = [
        Term((over(jnp.asarray(own, dtype), labels),), term.out, term.out),
        Term((over(jnp.asarray(other, dtype), labels),), term.out, term.in_),
    ]
    return Decomposition(grid.reshape(shape(term.in_)), terms)


def _sums_and_differences(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of xᵢ and of x at pᵢ in entry i: of two that are exchanged, the first is the sum."""
    i = np.arange(p.size)
    half = math.sqrt(0.5)
    own = np.where(i == p, 1, np.where(i < p, half, -half))
    return own, np.where(i == p, 0, half)


def no_shift(term: Term) -> Term:
    """The zero multiple of the identity, between the shapes of a term."""
    groups = fresh(shape(term.in_))
    return Term((Factor(np.asarray(0), ()),), groups, groups)


def is_crossed(terms: Sequence[Term]) -> bool:
    """Whether a sum is s·(M ⊗ Mᵀ)·K, with or without ρ·I."""
    found = crossed_plus_identity(_with_shift(terms))
    return found is not None and found[2]


def _with_shift(terms: Sequence[Term]) -> Sequence[Term]:
    return [*terms, no_shift(terms[0])] if len(terms) == 1 else terms


def crossed_eigenvalues(terms: Sequence[Term], dtype: Any) -> Array:
    """The eigenvalues of s·(M ⊗ Mᵀ)·K + ρ·I."""
    problem = Crossed.read(_with_shift(terms), dtype)
    return _grid(problem, jnp.linalg.svd(problem.matrices()[0], compute_uv=False))


def _grid(problem: Crossed, sigma: Array) -> Array:
    """ρ + s σᵢσⱼ for i ≤ j, and ρ - s σᵢσⱼ for i > j."""
    c = jnp.real(problem.scale) * jnp.outer(sigma, sigma)
    lower = jnp.tril(jnp.ones(c.shape, bool), -1)
    return jnp.real(problem.shift) + jnp.where(lower, -c, c)


def of_crossed(terms: Sequence[Term], dtype: Any) -> Decomposition:
    """The same with V = U Y Zᵀ, for the symmetric and the skew Y of two entries."""
    problem = Crossed.read(_with_shift(terms), dtype)
    term = problem.term
    U, sigma, Zt = jnp.linalg.svd(problem.matrices()[0])
    n = sigma.shape[0]
    first, second = problem.parts
    (i, l, _), (j, k, _) = sides(first, term), sides(second, term)
    swapped = np.arange(n * n).reshape(n, n).T.reshape(-1)
    own, other = (jnp.asarray(w, dtype).reshape(n, n) for w in _sums_and_differences(swapped))
    vectors = [
        Term((over(weight, a, b), over(U, i, a), over(Zt.T, j, b)), term.out, term.in_)
        for weight, a, b in ((own, k, l), (other, l, k))
    ]
    return Decomposition(_grid(problem, sigma).reshape(shape(term.in_)), vectors)
