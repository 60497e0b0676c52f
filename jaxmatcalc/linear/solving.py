"""Solves, inverses and log-determinants from structure.

Everything works on the components of a term: an inverse is again a sum of terms, and `solve` takes
one factorisation a component. Nothing here is differentiated; the rules live with the operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.linear.contraction import apply, contract, dense_sum
from jaxmatcalc.linear.shifted import Shifted, component_matrix, parts_and_scalars
from jaxmatcalc.linear.structure import (
    Structure,
    aligned,
    is_invertible,
    kronecker_plus_identity,
    sides,
    transposes,
)
from jaxmatcalc.linear.term import Array, Factor, Term, components, extent, flat, fresh, shape


def _choose(terms: Sequence[Term], found: Structure, method: str | None) -> str:
    """The method in force, or a sentence that says why it cannot be."""
    single = len(terms) == 1 and is_invertible(terms[0])
    shifted = kronecker_plus_identity(terms)
    allowed = ["dense"]
    if single:
        allowed += ["kronecker", found.method]
    if shifted is not None:
        term, _, symmetric = shifted
        # with a commutation, the eigenvectors are those of M ⊗ Mᵀ and of no other pair
        plain = aligned(term, [c for c in components(term) if c.labels])
        allowed += ["eigen", "schur"] if symmetric or plain else ["schur"]
    if method is None:
        return found.method
    words = list(dict.fromkeys(allowed))
    _checks.option("solve", f"method, for the structure {found.kind},", method, words)
    return method


def solve(
    terms: Sequence[Term], found: Structure, dtype: Any, b: Array, method: str | None
) -> Array:
    """x with (Σ terms) x = b."""
    _checks.nonzero_operator("solve", terms)
    name = _choose(terms, found, method)
    if name == "dense":
        x = jnp.linalg.solve(_matrix(terms, dtype).astype(b.dtype), b.reshape(-1))
        return x.reshape(shape(terms[0].in_))
    if name in ("eigen", "schur"):
        problem = Shifted.read(terms, dtype)
        if problem.crossed and name == "eigen":
            return problem.solve_crossed(b)
        if name == "schur":
            return problem.solve_schur(b)
        inverted = problem.inverse()
        return sum((apply(t, b, b.dtype) for t in inverted), start=jnp.zeros((), b.dtype))
    return _solve_term(terms[0], b)


def inverse(terms: Sequence[Term], found: Structure, dtype: Any, method: str | None) -> list[Term]:
    """The terms of the inverse."""
    _checks.nonzero_operator("inv", terms)
    name = _choose(terms, found, method)
    if name == "schur":
        raise _checks.structured_inverse(found.kind)
    if name == "eigen":
        return Shifted.read(terms, dtype).inverse()
    if name == "dense":
        return [_dense_inverse(terms, dtype)]
    return [_inverse_term(terms[0])]


def logdet(terms: Sequence[Term], found: Structure, dtype: Any, method: str | None) -> Array:
    """log |det Σ terms|."""
    real = jnp.finfo(dtype).dtype
    if not terms:
        return jnp.asarray(-jnp.inf, real)
    name = _choose(terms, found, method)
    if name in ("eigen", "schur"):
        return Shifted.read(terms, dtype).logdet(name).astype(real)
    if name == "dense":
        return jnp.linalg.slogdet(_matrix(terms, dtype))[1]
    return _logdet_term(terms[0]).astype(real)


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
    parts, scalars = parts_and_scalars(term)
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
            matrix = component_matrix(c, term)[0]
            x = x.reshape([k.size for k in both] + [extent(rows), -1])
            x = jnp.linalg.solve(matrix.astype(x.dtype), x)
        labels = both + columns + rest
        x = x.reshape([k.size for k in labels])
    for s in scalars:
        x = x / s
    target = flat(term.in_)
    return x.transpose([labels.index(k) for k in target]).reshape(shape(term.in_))


def _inverse_term(term: Term) -> Term:
    parts, scalars = parts_and_scalars(term)
    factors = [Factor(1 / s, ()) for s in scalars]
    for c in parts:
        rows, columns, both = sides(c, term)
        if not rows:
            factors.append(Factor(1 / contract(c.factors, both), both))
            continue
        inv = jnp.linalg.inv(component_matrix(c, term)[0])
        labels = both + columns + rows
        factors.append(Factor(inv.reshape([k.size for k in labels]), labels))
    return Term(tuple(factors), term.in_, term.out)


def _logdet_term(term: Term) -> Array:
    parts, scalars = parts_and_scalars(term)
    order = extent(flat(term.out))
    total = sum((order * jnp.log(jnp.abs(s)) for s in scalars), start=jnp.zeros(()))
    for c in parts:
        rows, _, both = sides(c, term)
        if rows:
            logs = jnp.linalg.slogdet(component_matrix(c, term)[0])[1]
        else:
            logs = jnp.log(jnp.abs(contract(c.factors, both)))
        total = total + order // extent(both + rows) * jnp.sum(logs)
    return total
