"""Eigenvalues and eigenvectors of a symmetric (Hermitian) sum of terms, read off its structure.

A decomposition is kept on the grid of `in_shape`: a Kronecker product has the products of its
factors' eigenvalues, each at the place of its pair, so that A = V diag(λ) Vᴴ with V = Q₁ ⊗ Q₂.

Source: Horn and Johnson, Topics in Matrix Analysis (1991), theorems 4.2.12 and 4.4.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear import decomposition, exchanging, schur, shifted
from jaxmatcalc.linear.commuting import Commuting, layout
from jaxmatcalc.linear.contraction import dense, dense_sum
from jaxmatcalc.linear.decomposition import LARGEST, Decomposition, eigenpairs, over
from jaxmatcalc.linear.kinds import (
    component_matrix,
    in_place,
    is_invertible,
    kind,
    parts_and_scale,
    sides,
)
from jaxmatcalc.linear.term import (
    Array,
    Factor,
    Group,
    Label,
    Term,
    extent,
    flat,
    fresh,
    shape,
)


def way(terms: Sequence[Term]) -> str:
    """How the eigenvalues of a sum of one or more terms are found.

    "term" and "commuting" by the matrices on the axes, "permutation", "crossed" by the singular
    values of M in M ⊗ Mᵀ, "shifted" for low rank + scaled identity, or "dense".
    """
    if shifted.is_shifted(terms):
        return "shifted"
    if len(terms) == 1:
        (term,) = terms
        name = kind(term)
        if name == "permutation" and exchanging.involution(term) is not None:
            return "permutation"
        if in_place(term) and is_invertible(term) and name != "dense":
            return "term"
    if layout(terms) is not None:
        return "commuting"
    return "crossed" if exchanging.is_crossed(terms) else "dense"


def eigenvalues(terms: Sequence[Term], dtype: Any) -> Array:
    """The eigenvalues, in no order, as a flat real array."""
    name = way(terms)
    if name == "term":
        grid, _ = _of_term(terms[0], dtype, False)
    elif name == "commuting":
        grid = _commuting_eigenvalues(terms, dtype)
    elif name == "permutation":
        grid, _ = exchanging.of_permutation(terms[0], dtype)
    elif name == "crossed":
        grid = exchanging.crossed_eigenvalues(terms, dtype)
    elif name == "shifted":
        grid = shifted.eigenvalues(terms, dtype)
    else:
        grid = decomposition.eigenvalues(_matrix(terms, dtype))
    return grid.reshape(-1)


def decompose(terms: Sequence[Term], dtype: Any) -> Decomposition:
    """Eigenvalues and orthonormal eigenvectors."""
    name = way(terms)
    if name == "term":
        return _of_term(terms[0], dtype, True)
    if name == "commuting":
        return _of_commuting(terms, dtype)
    if name == "permutation":
        return exchanging.of_permutation(terms[0], dtype)
    if name == "crossed":
        return exchanging.of_crossed(terms, dtype)
    if name == "shifted":
        return shifted.decompose(terms, dtype)
    values, Q = eigenpairs(_matrix(terms, dtype))
    out, in_ = fresh(shape(terms[0].out)), fresh(shape(terms[0].in_))
    return Decomposition(values.reshape(shape(in_)), [Term((over(Q, *out, *in_),), out, in_)])


def symmetric_parts(terms: Sequence[Term], dtype: Any) -> list[Array]:
    """Matrices, and entries of diagonals, that are all Hermitian where the operator is."""
    name = way(terms)
    if name == "term":
        parts, scale = parts_and_scale(terms[0], dtype)
        return [*(component_matrix(c, terms[0]) for c in parts), scale]
    if name == "commuting":
        problem = Commuting.read(terms, dtype)
        return [*problem.matrices, *problem.scales]
    if name == "shifted":
        return shifted.small_matrices(terms, dtype)
    if name == "dense":
        return [_matrix(terms, dtype)]
    return [parts_and_scale(term, dtype)[1] for term in terms]


def _matrix(terms: Sequence[Term], dtype: Any) -> Array:
    order = extent(flat(terms[0].out))
    _checks.decomposable_order(order, LARGEST)
    return dense_sum(terms, dtype).reshape(order, order)


def _grid(factors: Sequence[Factor], in_: tuple[Group, ...], dtype: Any) -> Array:
    """A product of factors over the labels of ``in_``, as an array of its shape."""
    return dense(Term(tuple(factors), in_, ()), jnp.finfo(dtype).dtype)


def _of_term(term: Term, dtype: Any, vectors: bool) -> Decomposition:
    """Component by component; the eigenvectors take the places of the matrices."""
    parts, scale = parts_and_scale(term, dtype)
    values, bases = [Factor(jnp.real(scale), ())], []
    for c in parts:
        rows, columns, both = sides(c, term)
        M = component_matrix(c, term)
        if not rows:
            values.append(over(jnp.real(M), both))
        elif not vectors:
            values.append(over(decomposition.eigenvalues(M), both, columns))
        else:
            w, Q = eigenpairs(M)
            values.append(over(w, both, columns))
            bases.append(over(Q, both, rows, columns))
    return Decomposition(
        _grid(values, term.in_, dtype), [Term(tuple(bases), term.out, term.in_)] if vectors else []
    )


def _commuting_eigenvalues(terms: Sequence[Term], dtype: Any) -> Array:
    problem = Commuting.read(terms, dtype)
    spectra = [
        jnp.real(M) if slot.diagonal else decomposition.eigenvalues(M)
        for M, slot in zip(problem.matrices, problem.layout.slots, strict=True)
    ]
    return jnp.repeat(_combined(problem, spectra).reshape(-1), problem.repeats)


def _combined(problem: Commuting, spectra: Sequence[Array]) -> Array:
    """The eigenvalues of the sum, an axis for each matrix."""
    return schur.combined(spectra, [jnp.real(s) for s in problem.scales], problem.layout.exponents)


def _of_commuting(terms: Sequence[Term], dtype: Any) -> Decomposition:
    """In the eigenvectors of each matrix, at the place of its columns."""
    problem = Commuting.read(terms, dtype)
    rows, acting = problem.labels()
    column_of: dict[Label, Label] = {}
    eigen: list[Label] = []
    spectra, bases = [], []
    for slot, group, M in zip(problem.layout.slots, acting, problem.matrices, strict=True):
        if slot.diagonal:
            spectra.append(jnp.real(M))
            eigen += group
            continue
        w, Q = eigenpairs(M)
        columns = tuple(Label(k.size) for k in group)
        column_of.update(zip(group, columns, strict=True))
        spectra.append(w)
        eigen += columns
        bases.append(over(Q, group, columns))
    in_ = tuple(tuple(column_of.get(k, k) for k in group) for group in rows)
    values = _grid([over(_combined(problem, spectra), tuple(eigen))], in_, dtype)
    return Decomposition(values, [Term(tuple(bases), rows, in_)])
