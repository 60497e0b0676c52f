"""Selections: 0/1 matrices with at most one 1 in each row, as slices, gathers and pads are.

Their products need no matrix: two over the same axes meet where both pick the same entry, a sum
over columns takes entries, and a sum over rows adds them up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.interpret.memory import recalled, remembered
from jaxmatcalc.linear.contraction import close, worthwhile
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.term import Factor, Group, Label, Term, extent, flat

Array = Any


@dataclass(frozen=True, eq=False)
class Selection:
    """A 0/1 matrix with at most one 1 in each row, as the map that picks an entry for each row.

    Attributes:
        index: ``index(transposed)`` is the column of the 1 over (batch axes, row axes), for the
            map or for the map whose transpose is wanted; where there is none, how many columns
            there are.
        dtype: of the matrix.
        injective: whether every column has at most one 1 as well.
        two_faced: whether these two differ, as they do for indices that are out of bounds.
        known: the arrays made so far, by the sizes of their labels. Terms made from one selection
            share one array, by which they are merged, and by which a selection is seen to meet its
            transpose.
    """

    index: Callable[[bool], Array]
    dtype: Any
    injective: bool = False
    two_faced: bool = False
    known: dict[Any, Array] = field(default_factory=dict)

    def array(self, transposed: bool, *parts: Sequence[Group]) -> Array:
        """The matrix, its axes split as the groups of batch, rows and columns are."""
        face = transposed and self.two_faced
        key = face, tuple(tuple(tuple(k.size for k in g) for g in groups) for groups in parts)
        if key not in self.known:
            batch, rows, columns = map(flat, parts)
            place = self.index(face).reshape([k.size for k in batch + rows])
            full = (*place.shape, extent(columns))
            ones = place[..., None] == lax.broadcasted_iota(place.dtype, full, len(full) - 1)
            array = ones.astype(self.dtype).reshape(*place.shape, *(k.size for k in columns))
            self.known[key] = remembered(array, ("selected", id(array)), lambda: (array, place))[0]
        return self.known[key]

    def met(self, term: Term, batch: Group, side: Group, rows: bool) -> Meeting | None:
        """The factor of a term that is this selection, standing on `side`, its rows or columns."""
        for f in term.factors:
            found = (k for k, array in self.known.items() if array is f.array and not k[0])
            key = next(found, None)
            if key is None:
                continue
            labels = list(f.labels)
            parts = [[tuple(labels.pop(0) for _ in axis) for axis in part] for part in key[1]]
            ours, theirs = (parts[1], parts[2]) if rows else (parts[2], parts[1])
            if flat(parts[0]) == batch and flat(ours) == side:
                return Meeting(f, theirs)
        return None


@dataclass(frozen=True)
class Meeting:
    """A factor that is a selection, and the groups of its other side."""

    factor: Factor
    other: list[Group]


class Chosen(NamedTuple):
    """A factor that is a selection.

    Attributes:
        factor: the factor.
        place: the column of the 1 over `rows`, or how many columns there are.
        rows: its labels, those of a batch among them.
        columns: the others.
    """

    factor: Factor
    place: Array
    rows: Group
    columns: Group

    @classmethod
    def of(cls, factor: Factor) -> Chosen | None:
        """A factor as the selection that it is; None if it is none, or a mere vector."""
        found = recalled(("selected", id(factor.array)))
        if found is None or not found[1].ndim:
            return None
        rank = found[1].ndim
        return cls(factor, found[1], factor.labels[:rank], factor.labels[rank:])

    @property
    def repeats(self) -> bool:
        """Whether a label stands in it twice: rows and columns have been identified."""
        return len(set(self.factor.labels)) < len(self.factor.labels)

    def ones(self, inside: Array) -> Factor:
        """A mask over the rows, as a factor."""
        return Factor(inside.astype(self.factor.array.dtype), self.rows)


# So many columns make a selection wide: a sum of narrower ones, as Xᵢ - Xⱼ of a few points, is
# better one dense array than terms that all further steps go through one by one
_WIDE = 256


def held(term: Term) -> int:
    """Entries of the factors of a term, of a selection its rows only."""
    chosen = ((f, Chosen.of(f)) for f in term.factors)
    return sum(extent(c.rows) if c else f.size for f, c in chosen)


def merged(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The same sum in fewer terms; different selections that are wide are not added up."""
    kinds: dict[frozenset[int], list[Term]] = {}
    for t in terms:
        chosen = filter(None, map(Chosen.of, t.factors))
        kind = frozenset(id(c.factor.array) for c in chosen if extent(c.columns) > _WIDE)
        kinds.setdefault(kind, []).append(t)
    return tuple(t for alike in kinds.values() for t in merge(alike))


def closed(term: Term, removed: Iterable[Label] = ()) -> Term:
    """`close`, where sums over the rows or the columns of a selection need no matrix."""
    if not any(map(Chosen.of, term.factors)):
        return close(term, removed)
    present = set(term.external).union(*(f.labels for f in term.factors))
    lost = extent(set(removed) - present)
    return close(picked(term if lost == 1 else term.times(np.asarray(lost))))


def picked(term: Term) -> Term:
    """The same term with fewer selections: those that meet, or are summed, are carried out."""
    factors, external = list(map(_diagonal, term.factors)), term.external
    done = False
    while not done:
        done = True
        for chosen in filter(None, map(Chosen.of, factors)):
            if chosen.repeats:
                continue
            others = [f for f in factors if f is not chosen.factor]
            for step in (_met, _gathered, _scattered):
                result = step(chosen, others, external)
                if result is not None:
                    factors, done = result, False
                    break
            if not done:
                break
    return Term(tuple(factors), term.out, term.in_)


Factors = list[Factor]


def _diagonal(factor: Factor) -> Factor:
    """The diagonal of a selection: where a row picks itself."""
    chosen = Chosen.of(factor)
    if chosen is None or chosen.rows != chosen.columns or len(set(chosen.rows)) < len(chosen.rows):
        return factor
    return chosen.ones(chosen.place == jnp.arange(chosen.place.size).reshape(chosen.place.shape))


def _met(chosen: Chosen, others: Factors, external: dict[Label, None]) -> Factors | None:
    """Two over the same axes: one of them, where both pick the same."""
    for f in others:
        other = Chosen.of(f)
        if other is None or (other.rows, other.columns) != (chosen.rows, chosen.columns):
            continue
        if f.array is chosen.factor.array:
            return others
        same = chosen.ones(chosen.place == other.place)
        return [*(g for g in others if g is not f), chosen.factor, same]
    return None


def _gathered(chosen: Chosen, others: Factors, external: dict[Label, None]) -> Factors | None:
    """Σ over all columns: entries of the factors over them are taken."""
    columns = chosen.columns
    touching = [f for f in others if set(columns) & set(f.labels)]
    if external.keys() & set(columns) or any(map(unfit, touching)):
        return None
    taken = []
    for f in touching:
        rest = tuple(k for k in f.labels if k not in columns and k not in chosen.rows)
        if extent(chosen.rows + rest) > chosen.factor.size + f.size:
            return None
        # the axes of the columns, spread where the factor does not vary along one; then the others
        batch = tuple(k for k in chosen.rows if k in f.labels)
        array = laid_out(f, columns + batch + rest)
        array = array.reshape(-1, *array.shape[len(columns) :])
        at = (chosen.place, *_counting(batch, chosen.rows))
        labels = chosen.rows + rest
        taken.append(Factor(array.at[at].get(mode="fill", fill_value=0), labels))
    if not touching:
        taken = [chosen.ones(chosen.place < extent(columns))]
    return [*(f for f in others if not any(f is g for g in touching)), *taken]


def _scattered(chosen: Chosen, others: Factors, external: dict[Label, None]) -> Factors | None:
    """Σ over rows: entries are added up where they are picked from."""
    columns, rows = chosen.columns, chosen.rows
    summed, kept = set(rows) - external.keys(), tuple(k for k in rows if k in external)
    touching = sorted((f for f in others if summed & set(f.labels)), key=lambda f: -f.size)
    rest_of = [f for f in others if not any(f is g for g in touching)]
    host = touching[0].labels if touching else ()
    rest = tuple(k for k in host if k not in rows)
    result = columns + kept + rest
    before = chosen.factor.size + sum(f.size for f in touching)
    if (
        not summed
        or any(map(unfit, touching))
        or set(columns) & set(host)
        or not all(set(f.labels) <= set(host) | set(rows) for f in touching)
        or not worthwhile(extent(result), before, extent(external))
    ):
        return None
    dtype = jnp.result_type(chosen.factor.array, *(f.array for f in touching))
    value: Any = jnp.ones((), dtype)
    for f in touching:
        value = value * laid_out(f, rows + rest, spread=False).astype(dtype)
    value = jnp.broadcast_to(value, [k.size for k in rows + rest])
    zeros = jnp.zeros([extent(columns), *(k.size for k in kept + rest)], dtype)
    at = (chosen.place, *_counting(kept, rows))
    total = zeros.at[at].add(value, mode="drop")
    return [*rest_of, Factor(total.reshape([k.size for k in result]), result)]


def unfit(factor: Factor) -> bool:
    """Whether a factor is a selection itself, or has a label twice."""
    return Chosen.of(factor) is not None or len(set(factor.labels)) < len(factor.labels)


def laid_out(factor: Factor, labels: Group, spread: bool = True) -> Array:
    """The array of a factor with an axis for each label: its size, or one if not `spread`."""
    order = [factor.labels.index(k) for k in labels if k in factor.labels]
    array = jnp.transpose(jnp.asarray(factor.array), order)
    array = array.reshape([k.size if k in factor.labels else 1 for k in labels])
    return jnp.broadcast_to(array, [k.size for k in labels]) if spread else array


def _counting(labels: Group, rows: Group) -> list[Array]:
    """For each label the index along it, over the rows."""
    full = tuple(k.size for k in rows)
    return [lax.broadcasted_iota(np.int32, full, rows.index(k)) for k in labels]
