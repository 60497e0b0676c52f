"""An operator that is easy to solve, plus one of low rank: B + U Vᵀ.

(B + U Vᵀ)⁻¹ = B⁻¹ - B⁻¹ U C⁻¹ Vᵀ B⁻¹ and det(B + U Vᵀ) = det B · det C, with C = I + Vᵀ B⁻¹ U.

Source: Petersen and Pedersen, The Matrix Cookbook (2012), eqs. (156) and (24) to (25).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxmatcalc.linear.contraction import contract
from jaxmatcalc.linear.kinds import kind, repeats, sides
from jaxmatcalc.linear.term import (
    Array,
    Factor,
    Group,
    Label,
    Term,
    components,
    extent,
    flat,
    fresh,
)


def split(terms: Sequence[Term]) -> tuple[list[Term], list[Term]] | None:
    """The terms of full rank and those of low rank; None if there are not both.

    The rank of the sum must be at most half of the order, or there is nothing to gain.
    """
    low = [t for t in terms if kind(t) == "low-rank"]
    full = [t for t in terms if kind(t) != "low-rank"]
    if not low or not full or any(map(repeats, low)):
        return None
    return (full, low) if 2 * sum(map(rank, low)) <= extent(flat(low[0].out)) else None


def rank(term: Term) -> int:
    """Columns of U and V for a term of low rank."""
    return extent(_bond(*_split_factors(term)))


def _bond(left: Sequence[Factor], right: Sequence[Factor]) -> Group:
    """The labels that join rows to columns."""
    others = {k for f in right for k in f.labels}
    return tuple(dict.fromkeys(k for f in left for k in f.labels if k in others))


def _split_factors(term: Term) -> tuple[list[Factor], list[Factor]]:
    """The factors that come with the rows, and those with the columns.

    One between the two goes to the side that leaves the smaller bond, so that a term and its
    transpose have one rank.
    """
    left, between, right = [], [], []
    for c in components(term):
        rows, columns, _ = sides(c, term)
        for f in c.factors:
            if not columns or set(f.labels) & set(rows):
                left.append(f)
            elif not rows or set(f.labels) & set(columns):
                right.append(f)
            else:
                between.append(f)
    ways = ((left + between, right), (left, between + right))
    return min(ways, key=lambda way: extent(_bond(*way)))


def factors(terms: Sequence[Term], dtype: Any) -> tuple[Array, Array]:
    """U and V of shape (size, rank) with Σ terms = U Vᵀ."""
    left, right = zip(*(_pair(term, dtype) for term in terms), strict=True)
    return jnp.concatenate(left, axis=1), jnp.concatenate(right, axis=1)


def term(U: Array, V: Array, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> Term:
    """U Vᵀ between arrays of these shapes."""
    out, in_, (bond,) = fresh(out_shape), fresh(in_shape), fresh(U.shape[1:])

    def factor(columns: Array, groups: Sequence[Group]) -> Factor:
        labels = flat(groups) + bond
        return Factor(columns.reshape([k.size for k in labels]), labels)

    return Term((factor(U, out), factor(V, in_)), out, in_)


def _pair(term: Term, dtype: Any) -> tuple[Array, Array]:
    own, other = _split_factors(term)
    bond = _bond(own, other)
    return (
        _columns(own, flat(term.out), bond, dtype),
        _columns(other, flat(term.in_), bond, dtype),
    )


def _columns(found: Sequence[Factor], rows: Group, bond: Group, dtype: Any) -> Array:
    """Factors as a matrix (rows, bond), constant along rows that no factor has."""
    present = {k for f in found for k in f.labels}
    kept: list[Label] = [k for k in (*rows, *bond) if k in present]
    array = contract(found, tuple(kept)) if found else jnp.ones((), dtype)
    sizes = [k.size if k in present else 1 for k in (*rows, *bond)]
    full = [k.size for k in (*rows, *bond)]
    wide = jnp.broadcast_to(jnp.asarray(array, dtype).reshape(sizes), full)
    return wide.reshape(extent(rows), extent(bond))
