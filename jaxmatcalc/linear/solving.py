"""Solves, inverses and log-determinants from structure.

Everything works on the components of a term: an inverse is again a sum of terms, and `solve` takes
one factorisation a component. Nothing here is differentiated; the rules live with the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.scipy.linalg import lu_factor, lu_solve

from jaxmatcalc import _checks
from jaxmatcalc.linear import iterative
from jaxmatcalc.linear.commuting import Commuting, layout
from jaxmatcalc.linear.contraction import contract, dense_sum
from jaxmatcalc.linear.crossed import Crossed, transposes
from jaxmatcalc.linear.kinds import (
    aligned,
    parts_and_scale,
    sides,
    stored_matrix,
)
from jaxmatcalc.linear.pencil import Pencil, pair
from jaxmatcalc.linear.structure import Structure, methods
from jaxmatcalc.linear.term import Array, Factor, Term, components, extent, flat, fresh, shape


def choose(
    terms: Sequence[Term],
    found: Structure,
    method: str | None,
    assume_a: str = "gen",
    operation: str = "solve",
) -> str:
    """The method in force, or a sentence that says why it cannot be.

    An operator said to be symmetric has symmetric Kronecker factors, as far as one exists; those of
    a sum of two products are then taken to be positive definite where it is.
    """
    if method is None:
        if assume_a != "gen" and layout(terms) is not None:
            return "eigen"
        if assume_a == "pos" and pair(terms) is not None:
            return "eigen"
        return "cg" if assume_a == "pos" and found.method == "gmres" else found.method
    words = methods(terms)
    if operation == "solve":
        words += iterative.METHODS
    _checks.option(operation, f"method, for the structure {found.kind},", method, words)
    return method


def direct(
    terms: Sequence[Term],
    found: Structure,
    method: str | None,
    assume_a: str = "gen",
    operation: str = "logdet",
) -> str:
    """The same for what is not iterated, as a determinant."""
    name = choose(terms, found, method, assume_a, operation)
    return "dense" if name in iterative.METHODS else name


def solve(terms: Sequence[Term], dtype: Any, b: Array, name: str) -> Array:
    """x with (Σ terms) x = b, by a method chosen before."""
    if name == "dense":
        x = jnp.linalg.solve(_matrix(terms, dtype).astype(b.dtype), b.reshape(-1))
        return x.reshape(shape(terms[0].in_))
    if name in ("eigen", "schur"):
        problem = _sum(terms, dtype)
        return problem.solve_eigen(b) if name == "eigen" else problem.schur_solver()(b)
    return _solve_term(terms[0], b)


def inverse(terms: Sequence[Term], dtype: Any, name: str) -> list[Term]:
    """The terms of the inverse."""
    if name == "eigen":
        return _sum(terms, dtype).inverse()
    if name == "dense":
        return [_dense_inverse(terms, dtype)]
    return [_inverse_term(terms[0], dtype)]


def logdet(terms: Sequence[Term], dtype: Any, name: str, vectors: bool = False) -> Array:
    """log |det Σ terms|.

    Args:
        terms: the operator.
        dtype: its dtype.
        name: the method, chosen before.
        vectors: whether the program has eigenvectors of the factors elsewhere.
    """
    if name in ("eigen", "schur"):
        value = _sum(terms, dtype).logdet(name, vectors)
    elif name == "dense":
        value = jnp.linalg.slogdet(_matrix(terms, dtype))[1]
    else:
        value = _logdet_term(terms[0], dtype)
    return value.astype(jnp.finfo(dtype).dtype)


def schur_solver(terms: Sequence[Term], dtype: Any) -> Callable[[Array], Array]:
    """b ↦ x by "schur", with the decompositions taken once."""
    return _sum(terms, dtype).schur_solver()


def differentiable(terms: Sequence[Term]) -> bool:
    """Whether the log-determinant by "eigen" has all its derivatives."""
    return layout(terms) is not None or pair(terms) is not None


def _sum(terms: Sequence[Term], dtype: Any) -> Commuting | Crossed | Pencil:
    """A sum that eigen- or Schur vectors take apart."""
    if layout(terms) is not None:
        return Commuting.read(terms, dtype)
    return (Crossed if pair(terms) is None else Pencil).read(terms, dtype)


def on_symmetric(terms: Sequence[Term]) -> list[Term]:
    """Terms that agree with these on symmetric matrices, V = Vᵀ: commutations drop out.

    M Vᵀ M maps symmetric V to symmetric matrices only if M is symmetric, so its factors are then
    known to be.
    """
    result = []
    for term in terms:
        parts = [c for c in components(term) if c.labels]
        swapped = Term(term.factors, term.out, term.in_[::-1])
        if not aligned(term, parts) and aligned(swapped, parts):
            if len(parts) == 2 and transposes(parts[0], parts[1], term):
                factors = tuple(f._replace(symmetric=bool(f.labels)) for f in term.factors)
                swapped = Term(factors, swapped.out, swapped.in_)
            term = swapped
        result.append(term)
    return result


# The dense way


def _matrix(terms: Sequence[Term], dtype: Any) -> Array:
    return dense_sum(terms, dtype).reshape(extent(flat(terms[0].out)), -1)


def _dense_inverse(terms: Sequence[Term], dtype: Any) -> Term:
    inv = jnp.linalg.inv(_matrix(terms, dtype))
    out, in_ = fresh(shape(terms[0].in_)), fresh(shape(terms[0].out))
    labels = flat(out) + flat(in_)
    return Term((Factor(inv.reshape([k.size for k in labels]), labels),), out, in_)


# One term, component by component


def _solve_term(term: Term, b: Array) -> Array:
    parts, scale = parts_and_scale(term, b.dtype)
    labels = flat(term.out)
    x = b.reshape([k.size for k in labels])
    for c in parts:
        rows, columns, both = sides(c, term)
        rest = tuple(k for k in labels if k not in c.labels)
        order = both + rows + rest
        x = x.transpose([labels.index(k) for k in order])
        if not rows:
            d = contract(c.factors, both)
            x = x / d.reshape(d.shape + (1,) * len(rest))
        else:
            matrix, transposed = stored_matrix(c, term)
            x = x.reshape([k.size for k in both] + [extent(rows), -1])
            x = lu_solve(lu_factor(matrix.astype(x.dtype)), x, trans=int(transposed))
        labels = both + columns + rest
        x = x.reshape([k.size for k in labels])
    order = [labels.index(k) for k in flat(term.in_)]
    return (x / scale).transpose(order).reshape(shape(term.in_))


def _inverse_term(term: Term, dtype: Any) -> Term:
    parts, scale = parts_and_scale(term, dtype)
    factors = [Factor(1 / scale, ())]
    for c in parts:
        rows, columns, both = sides(c, term)
        if not rows:
            factors.append(Factor(1 / contract(c.factors, both), both))
            continue
        matrix, transposed = stored_matrix(c, term)
        inv = jnp.linalg.inv(matrix)
        labels = both + (rows + columns if transposed else columns + rows)
        factors.append(Factor(inv.reshape([k.size for k in labels]), labels))
    return Term(tuple(factors), term.in_, term.out)


def _logdet_term(term: Term, dtype: Any) -> Array:
    parts, scale = parts_and_scale(term, dtype)
    order = extent(flat(term.out))
    total = order * jnp.log(jnp.abs(scale))
    for c in parts:
        rows, _, both = sides(c, term)
        if rows:
            logs = jnp.linalg.slogdet(stored_matrix(c, term)[0])[1]
        else:
            logs = jnp.log(jnp.abs(contract(c.factors, both)))
        total = total + order // extent(both + rows) * jnp.sum(logs)
    return total
