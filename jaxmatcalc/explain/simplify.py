"""What a product of factors may be written as instead: fewer of them, and never a longer one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from jaxmatcalc.explain.atoms import Constant, Elementwise, Group, Inverse, Merge
from jaxmatcalc.explain.tensor import Factor, Label, Number, Tensor, Term, number, unified


def tensor(shape: Sequence[int], terms: Iterable[Term]) -> Tensor:
    """The sum of terms, each simplified."""
    return Tensor(shape, map(simplified, terms))


def simplified(term: Term) -> Term:
    """A term in as few factors as it can be written with."""
    while True:
        shorter = _merged(term)
        for rule in (_without_inverse, _without_merge, _without_constant):
            shorter = rule(shorter)
        if shorter is term:
            break
        term = shorter
    return term


def without(
    term: Term,
    factors: Iterable[Factor],
    pairs: Sequence[tuple[Label, Label]] = (),
    spent: Sequence[Label] = (),
) -> Term:
    """A term with other factors and labels joined; a label that is summed over nothing counts.

    Args:
        term: the term as it was.
        factors: those it has now.
        pairs: labels that are one now.
        spent: labels whose sum has been taken.
    """
    summed = list(dict.fromkeys(x for f in term.factors for x in f.labels))
    summed = [x for x in summed if x not in spent]
    count = len(term.out)
    found = unified(term.scale, factors, (*term.out, *summed), pairs)
    left = {x for f in found.factors for x in f.labels} | set(found.out[:count])
    lost = math.prod(x.size for x in dict.fromkeys(found.out[count:]) if x not in left)
    return Term(number(found.scale * lost), found.factors, found.out[:count])


def _merged(term: Term) -> Term:
    """Powers of one array merged."""
    powers: dict[tuple[str, tuple[int, ...]], Factor] = {}
    for f in term.factors:
        places = tuple(map(id, f.labels))
        if f.atom.symmetric:
            places = tuple(sorted(places))
        place = (f.atom.key, places)
        if place in powers:
            if isinstance(f.atom, Merge):
                continue
            f = f._replace(power=number(powers[place].power + f.power))
        if _is(f, "step") and f.power > 0:
            f = f._replace(power=Fraction(1))  # 0 or 1
        powers[place] = f
    factors = [f for f in powers.values() if f.power != 0]
    open_ = {_place(f) for f in factors if _is(f, "relu") and f.power > 0}
    factors = [f for f in factors if not (_is(f, "step") and _place(f) in open_)]
    return term if len(factors) == len(term.factors) else without(term, factors)


def _is(f: Factor, name: str) -> bool:
    return isinstance(f.atom, Elementwise) and f.atom.name == name


def _place(f: Factor) -> tuple[Any, ...]:
    """What a function of entries is taken of, and where."""
    return (f.atom.parts[0].key, *map(id, f.labels))


def _uses(term: Term, label: Label) -> list[tuple[Factor, int]]:
    return [(f, k) for f in term.factors for k, x in enumerate(f.labels) if x is label]


def _without_inverse(term: Term) -> Term:
    """E⁻¹ E = I."""
    for f in term.factors:
        if not isinstance(f.atom, Inverse) or f.power != 1:
            continue
        inner = f.atom.inner
        if len(inner.terms) != 1 or len(inner.terms[0].factors) != 1:
            wanted = f"({inner.key})", (0, 1)
        else:
            (only,) = inner.terms[0].factors
            if only.power != 1 or inner.terms[0].scale != 1 or len(only.labels) != 2:
                continue
            wanted = only.atom.key, tuple(inner.terms[0].out.index(x) for x in only.labels)
        for place, x in enumerate(f.labels):
            uses = _uses(term, x)
            if x in term.out or len(uses) != 2:
                continue
            other, k = next((u for u in uses if u[0] is not f), (f, 0))
            if other is f or other.power != 1 or other.atom.key != wanted[0]:
                continue
            # f[i, x] other[x, j] needs other's axis k to be E's row, f's column to be summed
            row = wanted[1].index(0)
            straight = other.atom.symmetric or f.atom.symmetric
            if not straight and (place == 1) != (k == row):
                continue
            rest = [g for g in term.factors if g is not f and g is not other]
            i, j = f.labels[1 - place], other.labels[1 - k]
            if i is x or j is x:
                continue
            return without(term, rest, [(i, j)], [x])
    return term


def _without_merge(term: Term) -> Term:
    """Axes that are merged and split again."""
    merges = [f for f in term.factors if isinstance(f.atom, Merge)]
    for n, f in enumerate(merges):
        for g in merges[n + 1 :]:
            if f.labels[0] is g.labels[0] and f.atom.key == g.atom.key:
                pairs = list(zip(f.labels[1:], g.labels[1:], strict=True))
                rest = [h for h in term.factors if h is not g]
                return without(term, rest, pairs)
            same = f.atom.key == g.atom.key and all(
                a is b for a, b in zip(f.labels[1:], g.labels[1:], strict=True)
            )
            if same and all(x not in term.out and len(_uses(term, x)) == 2 for x in f.labels[1:]):
                rest = [h for h in term.factors if h is not g and h is not f]
                return without(term, rest, [(f.labels[0], g.labels[0])], f.labels[1:])
        if f.labels[0] not in term.out and len(_uses(term, f.labels[0])) == 1:
            rest = [h for h in term.factors if h is not f]
            return without(term, rest, spent=f.labels[:1])  # a sum over all of it
    return term


def _without_constant(term: Term) -> Term:
    """The sum of the entries of a constant vector, or of the products of two."""
    for f in term.factors:
        if not isinstance(f.atom, Constant) or len(f.labels) != 1 or f.labels[0] in term.out:
            continue
        own = [g for g, _ in _uses(term, f.labels[0])]
        if all(isinstance(g.atom, Constant) and len(g.labels) == 1 for g in own):
            entries = [g.atom.value ** float(g.power) for g in own if isinstance(g.atom, Constant)]
            total = number(math.prod(entries, start=np.ones(f.atom.shape)).sum())
            rest = [g for g in term.factors if g not in own]
            shorter = without(term, rest, spent=f.labels)
            return shorter._replace(scale=number(shorter.scale * total))
    return term


def opened(value: Tensor) -> Tensor:
    """A sum without the brackets of sums that stand alone in it."""
    terms = [inner for term in value.terms for inner in _opened(term)]
    return value if len(terms) == len(value.terms) else Tensor(value.shape, terms)


def _opened(term: Term) -> list[Term]:
    """The terms of a sum that is in brackets alone."""
    if len(term.factors) == 1:
        (f,) = term.factors
        alone = len(set(f.labels)) == len(f.labels)
        if isinstance(f.atom, Group) and f.power == 1 and alone and set(f.labels) <= set(term.out):
            found = []
            for inner in f.atom.inner.terms:
                fresh = inner.fresh()
                pairs = list(zip(f.labels, fresh.out, strict=True))
                whole = unified(fresh.scale, fresh.factors, term.out, pairs)
                found += _opened(whole._replace(scale=number(whole.scale * term.scale)))
            return found
    return [term]


def positive(value: Tensor) -> bool:
    """Whether every entry is certainly positive or zero."""
    return all(t.scale > 0 and all(map(_positive, t.factors)) for t in value.terms)


def _positive(f: Factor) -> bool:
    if isinstance(f.power, Fraction) and f.power.denominator == 1 and f.power % 2 == 0:
        return True
    atom = f.atom
    if isinstance(atom, Elementwise) and atom.name in ("exp", "sigmoid", "abs", "softplus"):
        return True
    if isinstance(f.power, Fraction) and f.power.denominator % 2 == 0:
        return True
    if isinstance(atom, Constant):
        return bool((atom.value >= 0).all())
    if getattr(atom, "name", "") == "svdvals":
        return True
    return isinstance(atom, Merge) or (isinstance(atom, Group) and positive(atom.inner))


def root(scale: Number, power: Number) -> Number | None:
    """``scale ** power`` if it is as plain a number as the scale is, else None."""
    if power == int(power):
        return number(Fraction(scale) ** int(power)) if scale != 0 or power > 0 else None
    if scale <= 0:
        return None
    found = number(float(scale) ** float(power))
    return found if isinstance(found, Fraction) else None
