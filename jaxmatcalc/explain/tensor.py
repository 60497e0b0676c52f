"""Sums of products of named arrays in index notation: what a formula is while it is worked on.

A tensor is a sum of terms, a term a number times a product of factors whose axes carry labels. A
label that two factors share and the result has not is summed over; one that the result has twice is
a diagonal; one that no factor has means "constant along it". So transposes, products, traces,
diagonals and broadcasting are label work, and equal terms are found by renaming labels.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jaxmatcalc.explain.atoms import Atom

Number = Fraction | float

# Orders of labels that are tried when a term looks the same from several of them
_TRIES = 24


class Label:
    """An axis; two of them are equal only if they are one."""

    __slots__ = ("size",)

    def __init__(self, size: int):
        self.size = size


class Factor(NamedTuple):
    """An atom with labels on its axes, to a power that is taken entry by entry."""

    atom: Atom
    labels: tuple[Label, ...]
    power: Number = Fraction(1)


class Term(NamedTuple):
    """A number times a product of factors."""

    scale: Number
    factors: tuple[Factor, ...]
    out: tuple[Label, ...]

    def renamed(self, names: Mapping[Label, Label]) -> Term:
        """The same term with other labels."""
        factors = tuple(
            f._replace(labels=tuple(names.get(x, x) for x in f.labels)) for f in self.factors
        )
        return Term(self.scale, factors, tuple(names.get(x, x) for x in self.out))

    def fresh(self, out: Sequence[Label] | None = None) -> Term:
        """The same term with labels of its own, but those of the result as given.

        Where the term is a diagonal, the labels given for its axes become one; the names it goes by
        then follow from :func:`unified`.
        """
        names = {x: Label(x.size) for f in self.factors for x in f.labels}
        names |= {x: names.get(x, Label(x.size)) for x in self.out}
        term = self.renamed(names)
        return term if out is None else term.renamed(dict(zip(term.out, out, strict=True)))


class Tensor:
    """A sum of terms of one shape, with equal terms merged.

    Attributes:
        shape: sizes of the axes.
        terms: the terms, in the order they were first written.
        key: text that equal tensors share.
    """

    __slots__ = ("shape", "terms", "__dict__")

    def __init__(self, shape: Sequence[int], terms: Iterable[Term] = ()):
        self.shape = tuple(shape)
        merged: dict[str, Term] = {}
        for term in terms:
            key, term = canonical(term)
            if key in merged:
                term = term._replace(scale=number(merged[key].scale + term.scale))
            merged[key] = term
        self.terms = tuple(t for t in merged.values() if t.scale != 0)
        self._keys = tuple(k for k, t in merged.items() if t.scale != 0)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @functools.cached_property
    def key(self) -> str:
        """Text that equal tensors share."""
        parts = sorted(zip(self._keys, (str(t.scale) for t in self.terms), strict=True))
        return f"{self.shape}" + "".join(f"+{scale}*{key}" for key, scale in parts)

    @property
    def order(self) -> list[int]:
        """Positions of the terms in the order of their keys."""
        return sorted(range(len(self.terms)), key=lambda k: self._keys[k])

    @functools.cached_property
    def constant(self) -> Number | None:
        """The number that every entry is, or None."""
        if not self.terms:
            return Fraction(0)
        (term, *more) = self.terms
        plain = not more and not term.factors and len(set(term.out)) == len(term.out)
        return term.scale if plain else None

    def scaled(self, by: Number) -> Tensor:
        """The tensor times a number."""
        return Tensor(self.shape, [t._replace(scale=number(t.scale * by)) for t in self.terms])

    def __add__(self, other: Tensor) -> Tensor:
        return Tensor(self.shape, [*self.terms, *other.terms])

    def by_terms(self, function: Callable[[Term], Tensor]) -> Tensor:
        """The sum of what a function makes of each term, in its shape."""
        return sum(map(function, self.terms), Tensor(self.shape))

    def permuted(self, axes: Sequence[int]) -> Tensor:
        """The tensor with its axes in another order; an axis left out must be of size 1."""
        terms = [t._replace(out=tuple(t.out[a] for a in axes)) for t in self.terms]
        return Tensor([self.shape[a] for a in axes], terms)

    @functools.cached_property
    def transposed(self) -> Tensor:
        """A matrix transposed."""
        return self.permuted((1, 0))

    @functools.cached_property
    def symmetric(self) -> bool:
        """Whether this is a square matrix that equals its transpose."""
        return self.ndim == 2 and self.shape[0] == self.shape[1] and self.key == self.transposed.key

    @property
    def atoms(self) -> Iterable[Atom]:
        """Every atom in the terms, not those inside of atoms."""
        return (f.atom for t in self.terms for f in t.factors)


def number(value: Any) -> Number:
    """A number as a fraction of small integers where it is one, else as a float."""
    if isinstance(value, Fraction):
        return value if value.denominator < 10**6 else float(value)
    if math.isfinite(value):
        near = Fraction(float(value)).limit_denominator(1000)
        if abs(float(near) - value) <= 1e-14 * abs(value):
            return near
    return float(value)


def labels(shape: Iterable[int]) -> tuple[Label, ...]:
    """New labels, one an axis."""
    return tuple(map(Label, shape))


def scalar(value: Any, shape: Sequence[int] = ()) -> Tensor:
    """An array that is the same number everywhere."""
    return Tensor(shape, [Term(number(value), (), labels(shape))])


def of_atom(atom: Atom, power: Number = Fraction(1)) -> Tensor:
    """An atom alone."""
    out = labels(atom.shape)
    return Tensor(atom.shape, [Term(Fraction(1), (Factor(atom, out, power),), out)])


def operands(factors: Iterable[Factor]) -> list[tuple[Tensor, tuple[Label, ...]]]:
    """Factors as tensors with their labels, as a product takes them."""
    return [(of_atom(f.atom, f.power), f.labels) for f in factors]


def identity(n: int) -> Tensor:
    """The identity matrix."""
    i = Label(n)
    return Tensor((n, n), [Term(Fraction(1), (), (i, i))])


def unified(
    scale: Number, factors: Iterable[Factor], out: Sequence[Label], pairs: Iterable[Any]
) -> Term:
    """A term in which the labels of each pair are one."""
    parent: dict[Label, Label] = {}

    def root(x: Label) -> Label:
        while x in parent:
            x = parent[x]
        return x

    for a, b in pairs:
        a, b = root(a), root(b)
        if a is not b:
            parent[b] = a
    term = Term(scale, tuple(factors), tuple(out))
    seen = {x for f in term.factors for x in f.labels} | set(out)
    return term.renamed({x: root(x) for x in seen})


# --- renaming -------------------------------------------------------------------------------------


def canonical(term: Term) -> tuple[str, Term]:
    """A key that a term shares with every renaming of it, and the term in the order of the key."""
    used = {x for f in term.factors for x in f.labels}
    summed = [x for x in used if x not in term.out]
    colour = {x: (0, term.out.index(x)) for x in set(term.out)}
    colour |= {x: (1, x.size) for x in summed}
    ranks = _refined(term, colour)
    best: tuple[str, Term] | None = None
    for order in itertools.islice(_orders(term, ranks, summed), _TRIES):
        found = _written(term, order)
        if best is None or found[0] < best[0]:
            best = found
    assert best is not None
    return best


def _signature(f: Factor, ranks: Mapping[Label, int]) -> tuple[Any, ...]:
    places = [ranks[x] for x in f.labels]
    return (f.atom.key, str(f.power), *(sorted(places) if f.atom.symmetric else places))


def _refined(term: Term, colour: Mapping[Label, Any]) -> dict[Label, int]:
    """Ranks of labels by all that can be said of them without a name."""
    ranks = _ranked(colour)
    while True:
        about: dict[Label, Any] = {x: [] for x in ranks}
        for f in term.factors:
            signature = _signature(f, ranks)
            for place, x in enumerate(f.labels):
                about[x].append((signature, 0 if f.atom.symmetric else place))
        finer = _ranked({x: (ranks[x], tuple(sorted(about[x]))) for x in ranks})
        if len(set(finer.values())) == len(set(ranks.values())):
            return finer
        ranks = finer


def _ranked(colour: Mapping[Label, Any]) -> dict[Label, int]:
    places = {c: k for k, c in enumerate(sorted(set(colour.values())))}
    return {x: places[c] for x, c in colour.items()}


def _orders(term: Term, ranks: dict[Label, int], summed: list[Label]) -> Iterable[dict]:
    """Names for the labels; several where some of them look alike."""
    counts: dict[int, list[Label]] = {}
    for x in summed:
        counts.setdefault(ranks[x], []).append(x)
    tied = min((r for r, xs in counts.items() if len(xs) > 1), default=None)
    if tied is None:
        yield ranks
        return
    for x in counts[tied]:
        single = {y: (r, y is not x) for y, r in ranks.items()}
        yield from _orders(term, _refined(term, single), summed)


def _written(term: Term, ranks: Mapping[Label, int]) -> tuple[str, Term]:
    factors = []
    for f in term.factors:
        if f.atom.symmetric and ranks[f.labels[0]] > ranks[f.labels[1]]:
            f = f._replace(labels=f.labels[::-1])
        places = [ranks[x] for x in f.labels]
        power = "" if f.power == 1 else f"^{f.power}"
        factors.append((f"{f.atom.key}{power}{places}", f))
    factors.sort(key=lambda pair: pair[0])
    key = f"{[ranks[x] for x in term.out]}" + ".".join(text for text, _ in factors)
    return key, term._replace(factors=tuple(f for _, f in factors))
