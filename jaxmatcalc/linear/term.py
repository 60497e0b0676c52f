"""The einsum term: one piece of a linear map, as arrays whose axes carry labels.

A term is a product of factors and two lists of axes, ``out`` and ``in_``. An axis is a *group* of
labels, read as their row-major merge; an axis of size one is the empty group. A label that stands
in ``out`` and in ``in_`` is a Kronecker delta; one in neither list is summed over; one in a list
but in no factor says that the map is constant along it.

    T[out, in] = Σ_summed  ∏ factor[labels]  ∏ δ(repeated labels)

Nothing here computes more than it must: renaming, splitting and identifying labels is bookkeeping,
and a sum is carried out only where its result is no larger than what it replaces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax.numpy as jnp

Array = Any  # a jax.Array, a tracer or a NumPy array: whatever jax.numpy takes


class Label:
    """The name of an axis; two labels are the same only if they are the same object."""

    __slots__ = ("size",)

    def __init__(self, size: int):
        self.size = size

    def __repr__(self) -> str:
        return f"ℓ{id(self) % 9973}:{self.size}"


Group = tuple[Label, ...]


class Factor(NamedTuple):
    """An array and the label of each of its axes.

    `symmetric` is set where a matrix is symmetric by the way it was made, as AᵀA is.
    """

    array: Array
    labels: Group
    symmetric: bool = False

    @property
    def size(self) -> int:
        """Entries of the array."""
        return extent(self.labels)


def extent(labels: Iterable[Label]) -> int:
    """Product of the sizes."""
    return math.prod(label.size for label in labels)


def flat(groups: Iterable[Group]) -> Group:
    """The labels of all groups, in order."""
    return tuple(itertools.chain.from_iterable(groups))


def fresh(shape: Iterable[int]) -> tuple[Group, ...]:
    """One new group for each axis; none of the labels has size one."""
    return tuple((Label(n),) if n != 1 else () for n in shape)


@dataclass(frozen=True, eq=False)
class Term:
    """One product of factors between the axes ``out`` and the axes ``in_``."""

    factors: tuple[Factor, ...]
    out: tuple[Group, ...]
    in_: tuple[Group, ...]

    @property
    def external(self) -> dict[Label, None]:
        """The labels that stand in a list, in order (a dict serves as an ordered set)."""
        return dict.fromkeys(flat(self.out) + flat(self.in_))

    @property
    def size(self) -> int:
        """Entries of all factors together."""
        return sum(f.size for f in self.factors)

    def transpose(self) -> Term:
        """The transposed term."""
        return replace(self, out=self.in_, in_=self.out)

    def map_arrays(self, function: Callable[[Array], Array]) -> Term:
        """The term with a function applied to each factor."""
        return replace(
            self, factors=tuple(f._replace(array=function(f.array)) for f in self.factors)
        )

    def times(self, array: Array, labels: Group = ()) -> Term:
        """The term with one more factor."""
        return replace(self, factors=(*self.factors, Factor(array, labels)))

    def substitute(self, mapping: dict[Label, Label]) -> Term:
        """Rename labels; renaming one label to another that is there identifies the two."""
        if not mapping:
            return self

        def renamed(group: Group) -> Group:
            return tuple(mapping.get(label, label) for label in group)

        return Term(
            tuple(f._replace(labels=renamed(f.labels)) for f in self.factors),
            tuple(map(renamed, self.out)),
            tuple(map(renamed, self.in_)),
        )

    def split(self, parts: dict[Label, Group]) -> Term:
        """Replace labels by several smaller ones (row-major): factors are reshaped."""
        if not parts:
            return self

        def refined(group: Group) -> Group:
            return flat(parts.get(label, (label,)) for label in group)

        def reshaped(factor: Factor) -> Factor:
            if not any(label in parts for label in factor.labels):
                return factor
            labels = refined(factor.labels)
            return Factor(jnp.reshape(factor.array, [k.size for k in labels]), labels)

        return Term(
            tuple(map(reshaped, self.factors)),
            tuple(map(refined, self.out)),
            tuple(map(refined, self.in_)),
        )


def refine(first: Sequence[Label], second: Sequence[Label]) -> dict[Label, Group] | None:
    """Splits that give two row-major merges of one axis the same sizes, or None if there are none.

    (6,) and (2, 3) agree once 6 is split; (2, 3) and (3, 2) cannot.
    """
    parts: dict[Label, Group] = {}
    left, right = list(first), list(second)

    def cut(label: Label, head: int) -> None:
        new = (Label(head), Label(label.size // head))
        for group in (left, right):
            group[:] = flat((new if k is label else (k,)) for k in group)
        for key, group in parts.items():
            parts[key] = flat((new if k is label else (k,)) for k in group)
        parts.setdefault(label, new)

    position = 0
    while position < min(len(left), len(right)):
        a, b = left[position], right[position]
        if a is not b and a.size != b.size:
            if a.size > b.size and a.size % b.size == 0:
                cut(a, b.size)
            elif b.size > a.size and b.size % a.size == 0:
                cut(b, a.size)
            else:
                return None
            continue  # the splits may have changed both sequences
        position += 1
    return parts if len(left) == len(right) else None


def identify(term: Term, pairs: Iterable[tuple[int, int]], where: Callable[[Term], Any]) -> Term:
    """Make groups equal, label by label; `where(term)` lists the groups that `pairs` index.

    Raises `Misaligned` where two groups split their axis in ways that do not agree.
    """
    for i, j in pairs:
        groups = where(term)
        parts = refine(groups[i], groups[j])
        if parts is None:
            raise Misaligned
        term = term.split(parts)
        groups = where(term)
        mapping: dict[Label, Label] = {}
        for a, b in zip(groups[i], groups[j], strict=True):
            a, b = _root(mapping, a), _root(mapping, b)
            if a is not b:
                mapping[b] = a
        term = term.substitute({label: _root(mapping, label) for label in mapping})
    return term


def _root(mapping: dict[Label, Label], label: Label) -> Label:
    while label in mapping:
        label = mapping[label]
    return label


class Misaligned(Exception):
    """Two row-major merges of one axis that no splitting brings together."""


def shape(groups: Iterable[Group]) -> tuple[int, ...]:
    """The sizes of the axes."""
    return tuple(map(extent, groups))


@dataclass(frozen=True, eq=False)
class Component:
    """Factors that hang together by their labels: one Kronecker factor of a term."""

    factors: tuple[Factor, ...]
    labels: Group  # those that stand in a list, in their order there


def components(term: Term) -> list[Component]:
    """Connected components of the graph of labels, scalars first (as one, if there are any)."""
    external = term.external
    leader: dict[Label, Label] = {}
    for f in term.factors:
        for k in f.labels[1:]:
            a, b = _root(leader, f.labels[0]), _root(leader, k)
            if a is not b:
                leader[b] = a
    found: dict[Label | None, tuple[list[Factor], list[Label]]] = {}
    for f in term.factors:
        key = _root(leader, f.labels[0]) if f.labels else None
        found.setdefault(key, ([], []))[0].append(f)
    for k in external:
        found.setdefault(_root(leader, k), ([], []))[1].append(k)
    ordered = sorted(found.items(), key=lambda item: item[0] is not None)
    return [Component(tuple(fs), tuple(ls)) for _, (fs, ls) in ordered]


def relabelled(term: Term) -> Term:
    """A copy with new labels: a term may then be joined with itself."""
    labels = dict.fromkeys(k for f in term.factors for k in f.labels) | term.external
    return term.substitute({k: Label(k.size) for k in labels})


def walk_labels(term: Term) -> Iterator[Label]:
    """Labels in canonical order: ``out``, ``in_``, then the factors' own."""
    seen: dict[Label, None] = term.external
    seen.update(dict.fromkeys(k for f in term.factors for k in f.labels))
    return iter(seen)
