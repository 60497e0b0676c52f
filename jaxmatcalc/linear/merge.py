"""Merging like terms: two terms alike but for one part add into one.

Without it the number of terms doubles at every product rule: a tanh network of five layers gives
two thousand terms; with it, one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.linear.contraction import (
    close,
    common_dtype,
    contract,
    is_static,
    is_symmetric,
    worthwhile,
)
from jaxmatcalc.linear.term import Array, Factor, Group, Label, Term, extent

# Beyond this many terms of one pattern a merge may also grow its factors: a bound on the work of
# tracing and of forming the result, reached by deep networks only.
_MANY = 8


def merge(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The same sum in fewer terms, where that costs no more than what it replaces."""
    buckets: dict[Any, list[Term]] = {}
    for term in terms:
        bucket = buckets.setdefault(_pattern(term), [])
        while True:
            grow = len(bucket) >= _MANY
            for k, other in enumerate(bucket):
                merged = _merged(other, _over(term, other), grow)
                if merged is not None:
                    del bucket[k]
                    term = merged  # may now match another
                    break
            else:
                bucket.append(term)
                break
    return tuple(term for bucket in buckets.values() for term in bucket)


def _pattern(term: Term) -> Any:
    """What two terms must share: their axes, with the labels numbered by first appearance."""
    number: dict[Label, int] = {}

    def numbered(groups: Sequence[Group]) -> Any:
        return tuple(
            tuple((number.setdefault(k, len(number)), k.size) for k in group) for group in groups
        )

    return numbered(term.out), numbered(term.in_)


def _over(term: Term, other: Term) -> Term:
    """`term` in the external labels of `other`, which has the same pattern.

    Summed labels are renamed as well: one of them may be an external label of the other term.
    """
    summed = {k: Label(k.size) for f in term.factors for k in f.labels}
    return term.substitute(summed | dict(zip(term.external, other.external, strict=True)))


def _matched(first: Term, second: Term) -> tuple[list[Factor], list[Factor], list[Factor]]:
    """The factors that two terms share, the others of the first, and the others of the second.

    A factor is shared if its array is, over the same external labels, and if its summed labels can
    be taken for the other's; the second's are renamed to them.
    """
    external = first.external
    renaming: dict[Label, Label] = {}
    taken: set[Label] = set()
    ours, theirs, shared = list(first.factors), [], []
    for g in second.factors:
        for k, f in enumerate(ours):
            if f.array is not g.array:
                continue
            pairs = [
                (a, b)
                for a, b in zip(f.labels, g.labels, strict=True)
                if renaming.get(b, b) is not a
            ]
            free = all(
                a not in external and b not in external and b not in renaming and a not in taken
                for a, b in pairs
            )
            if free and len({b for _, b in pairs}) == len({a for a, _ in pairs}) == len(pairs):
                renaming.update({b: a for a, b in pairs})
                taken.update(a for a, _ in pairs)
                shared.append(ours.pop(k))
                break
        else:
            theirs.append(g)
    theirs = [g._replace(labels=tuple(renaming.get(k, k) for k in g.labels)) for g in theirs]
    return shared, ours, theirs


def _merged(first: Term, second: Term, grow: bool) -> Term | None:
    """The sum of two terms with the same axes as one term, or None.

    What they share is taken out; the rest of each becomes one array, and the two are added.
    """
    shared, left, right = _matched(first, second)
    kept = first.external | dict.fromkeys(k for f in shared for k in f.labels)
    touched = {k for f in left + right for k in f.labels}
    labels = tuple(k for k in kept if k in touched)
    before = max(sum(f.size for f in side) for side in (left, right))
    if not grow and not worthwhile(extent(labels), before, extent(first.external)):
        return None
    both = is_symmetric(left, labels) and is_symmetric(right, labels)
    total = Factor(_sum(left, right, labels), labels, both)
    return close(Term((*shared, total), first.out, first.in_))


def _sum(left: Sequence[Factor], right: Sequence[Factor], labels: Group) -> Array:
    if all(is_static(f.array) for f in (*left, *right)):
        return np.asarray(
            math.prod(f.array.item() for f in left) + math.prod(f.array.item() for f in right)
        )
    dtype = common_dtype([*left, *right])
    a, b = _spread(left, labels, dtype), _spread(right, labels, dtype)
    return lax.add(a, b) if a.shape == b.shape else a + b


def _spread(factors: Sequence[Factor], labels: Group, dtype: Any) -> Any:
    """The product of factors as an array over `labels` (an axis it does not vary on has size 1)."""
    present = {k for f in factors for k in f.labels}
    kept = tuple(k for k in labels if k in present)
    array = contract(factors, kept) if factors else jnp.ones((), dtype)
    array = jnp.asarray(array, dtype)
    if len(kept) == len(labels):
        return array
    return array.reshape([k.size if k in present else 1 for k in labels])
