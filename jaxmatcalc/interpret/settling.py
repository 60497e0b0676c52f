"""Tangents made ready to be multiplied: their sums carried out, their factors in order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp

from jaxmatcalc.interpret.selected import Chosen, held, merged, picked
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.linear.contraction import common_dtype, contract, dense
from jaxmatcalc.linear.term import Factor, Group, Label, Term, extent, flat, fresh, shape


def settled(tangent: Tangent) -> Tangent:
    """The same tangent with its sums carried out, as far as that makes it cheaper to multiply.

    A tangent that meets others in one layer after another is best an array over the output and
    those inputs that each entry of it depends on; a chain of factors would be multiplied out anew
    at each birth.
    """
    terms = {}
    for k, ts in tangent.terms.items():
        ts = tuple(map(_contracted, ts))
        terms[k] = _together(ts, tangent.dtype) if len(ts) > 1 else ts
    return Tangent(tangent.shape, tangent.dtype, terms)


def _contracted(term: Term) -> Term:
    """A term without its summed labels, except where they are what keeps it of low rank."""
    term = picked(term)
    out, in_ = set(flat(term.out)), set(flat(term.in_))
    factors = list(term.factors)
    for group in clusters(term.factors, term.external):
        inner = dict.fromkeys(k for f in group for k in f.labels)
        kept = tuple(k for k in term.external if k in inner)
        rows = extent(k for k in kept if k not in in_)
        columns = extent(k for k in kept if k not in out)
        bond = extent(k for k in inner if k not in kept)
        # a product of two such terms by their factors costs bond² (rows + columns), by entries
        # bond · rows · columns once
        if rows * columns <= bond * (rows + columns):
            factors = [f for f in factors if not any(f is g for g in group)]
            order = tuple(k for k in kept if k in in_) + tuple(k for k in kept if k not in in_)
            factors.append(Factor(contract(group, order), order))
    return Term(tuple(factors), term.out, term.in_)


def lined_up(tangent: Tangent, axes: Sequence[int], free: int) -> Tangent:
    """The tangent with what varies on axes that a product will sum held by one factor a term.

    Left apart, an entrywise derivative c and a Jacobian J would be put together with the matrix W
    of the product, Σₕ cₑₕ Jₙₕ Wₕₖ, in an order that is not a product of matrices. The axes come
    last, the inputs first.

    Args:
        axes: those that the product sums.
        free: entries of the other operand along the axes that it keeps.
    """

    def rule(term: Term) -> Term:
        last = dict.fromkeys(flat(term.out[a] for a in axes))
        group = [f for f in term.factors if last.keys() & set(f.labels)]
        out, in_ = dict.fromkeys(flat(term.out)), dict.fromkeys(flat(term.in_))
        labels = {k for f in group for k in f.labels}
        order = tuple(k for k in (*in_, *(k for k in out if k not in in_ and k not in last), *last))
        order = tuple(k for k in order if k in labels)
        rows = extent(k for k in order if k in out and k not in in_ and k not in last) * free
        columns, bond = extent(k for k in order if k not in out), extent(last)
        if (
            not group
            or last.keys() & in_.keys()
            or len(labels) > len(order)
            or any(len(set(f.labels)) < len(f.labels) or Chosen.of(f) for f in group)
            or (len(group) == 1 and group[0].labels == order)
            or rows * columns > bond * (rows + columns)
        ):
            return term
        dtype = common_dtype(group)
        array = math.prod(aligned(f, order).astype(dtype) for f in group)
        array = jnp.broadcast_to(array, [k.size for k in order])
        rest = tuple(f for f in term.factors if not any(f is g for g in group))
        return Term((*rest, Factor(array, order)), term.out, term.in_)

    terms = {k: tuple(map(rule, ts)) for k, ts in tangent.terms.items()}
    return Tangent(tangent.shape, tangent.dtype, terms)


# So many terms are added up if their sum is not much larger than they are
_MANY_TERMS = 4


def _together(terms: tuple[Term, ...], dtype: Any) -> tuple[Term, ...]:
    """The terms as one, over the inputs that every output depends on in any of them.

    That is done where one of them fills this array already, or where they are many.
    """
    pairs = shared(terms)
    first = terms[0]
    rest = [b for b in range(len(first.in_)) if b not in {b for _, b in pairs}]
    size = math.prod(shape(first.out)) * math.prod(extent(first.in_[b]) for b in rest)
    full = any(f.size >= size and not Chosen.of(f) for t in terms for f in t.factors)
    if not full and not (len(terms) > _MANY_TERMS and size <= 16 * sum(map(held, terms))):
        return merged(terms)
    return (spread(over(terms, pairs, dtype), pairs, shape(first.out), shape(first.in_)),)


# Pairs of an axis of the output and an axis of the input on which the two are the same
Shared = frozenset[tuple[int, int]]


def shared(terms: Sequence[Term]) -> Shared:
    """The axes of the input that are axes of the output in all terms, each with the first such."""
    found = set.intersection(
        *(
            {(a, b) for a, g in enumerate(t.out) for b, h in enumerate(t.in_) if g and g == h}
            for t in terms
        )
    )
    return frozenset((a, b) for a, b in found if not any(b == d and c < a for c, d in found))


def over(terms: Sequence[Term], pairs: Shared, dtype: Any, lead: int = 0) -> Any:
    """The sum of terms as an array over the output and the axes of the input that are not shared.

    The first `lead` axes of the output come first, then those of the input, then the others.
    """
    kept = {b for _, b in pairs}

    def groups(t: Term) -> tuple[Group, ...]:
        free = (g for b, g in enumerate(t.in_) if b not in kept)
        return (*t.out[:lead], *free, *t.out[lead:])

    return sum(dense(Term(t.factors, groups(t), ()), dtype) for t in terms)


def spread(
    array: Any, pairs: Shared, out_shape: Sequence[int], in_shape: Sequence[int], lead: int = 0
) -> Term:
    """The term of such an array; the axes of `pairs` are counted after the first `lead`."""
    out = fresh(out_shape)
    kept = {b: out[a + lead] for a, b in pairs}
    in_ = tuple(kept.get(b, group) for b, group in enumerate(fresh(in_shape)))
    free = flat(group for b, group in enumerate(in_) if b not in kept)
    labels = flat(out[:lead]) + free + flat(out[lead:])
    return Term((Factor(jnp.reshape(array, [k.size for k in labels]), labels),), out, in_)


def clusters(factors: Iterable[Factor], kept: Iterable[Label]) -> list[list[Factor]]:
    """The factors that summed labels hold together; one with no summed label is in none."""
    outside = set(kept)
    clusters: list[tuple[set[Label], list[Factor]]] = []
    for f in factors:
        labels = set(f.labels) - outside
        if not labels:
            continue
        touching = [c for c in clusters if c[0] & labels]
        clusters = [c for c in clusters if not c[0] & labels]
        members = [g for _, group in touching for g in group]
        clusters.append((labels.union(*(c[0] for c in touching)), [*members, f]))
    return [group for _, group in clusters]


def aligned(factor: Factor, labels: Group) -> Any:
    """The array of a factor with an axis for each label, of size one where it has none."""
    order = [factor.labels.index(k) for k in labels if k in factor.labels]
    array = jnp.asarray(factor.array)
    if order != sorted(order):
        array = jnp.transpose(array, order)
    return array.reshape([k.size if k in factor.labels else 1 for k in labels])
