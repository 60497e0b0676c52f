"""A linear map that mixes some axes of a tangent and leaves the others alone.

Gathers, pools, convolutions and transforms act on a few axes and repeat themselves along the rest.
On a term such a map acts on the factors that carry its axes, where these are carried by nothing
else; otherwise it becomes a matrix between the old axes and the new. Both are the map applied to a
small array, and neither is larger than the dense columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc.interpret.memory import remembered
from jaxmatcalc.interpret.selected import Chosen, Selection, laid_out, unfit
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.linear.contraction import close, dense, densified, worthwhile
from jaxmatcalc.linear.term import Factor, Group, Label, Term, extent, flat, fresh, shape

Array = Any
Pairs = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Axes:
    """Where the axes of a result come from.

    Attributes:
        acted: the axes of the operand that the map mixes.
        made: the axes of the result that they become.
        batch: pairs (axis of the operand, axis of the result) along which the map differs.
        free: pairs along which it is the same.
    """

    acted: tuple[int, ...]
    made: tuple[int, ...]
    batch: Pairs = ()
    free: Pairs = ()


def along(
    operand: Tangent,
    aval: Any,
    axes: Axes,
    call: Callable[[Array], Array],
    selection: Selection | None = None,
    transposed: bool = False,
) -> Tangent:
    """Apply a linear map to some axes of a tangent.

    Args:
        operand: the tangent.
        aval: shape and dtype of the result.
        axes: what becomes of each axis.
        call: the map, from an array over (batch, acted) axes to one over (batch, made) axes.
        selection: the same map, or its transpose, where it only picks entries.
        transposed: whether the map is the selection's transpose.
    """

    def rule(t: Term) -> Term:
        step = _Step(t, operand.dtype, aval, axes, call, selection, transposed)
        return step.met() or step.chained() or step.applied()

    return operand.map(rule, aval)


@dataclass(frozen=True, eq=False)
class _Step:
    """The map on one term."""

    term: Term
    dtype: Any
    aval: Any
    axes: Axes
    call: Callable[[Array], Array]
    selection: Selection | None
    transposed: bool

    @property
    def batch(self) -> list[Group]:
        return [self.term.out[a] for a, _ in self.axes.batch]

    @property
    def acted(self) -> list[Group]:
        return [self.term.out[a] for a in self.axes.acted]

    @property
    def elsewhere(self) -> set[Label]:
        """Labels of all the axes that the map does not mix."""
        others = (self.term.out[a] for a, _ in (*self.axes.batch, *self.axes.free))
        return set(flat(others)) | set(flat(self.term.in_))

    def applied(self) -> Term:
        """On the factors that carry the axes, on the identity, or on the dense array."""
        mixed = dict.fromkeys(flat(self.acted))
        made = fresh(self.aval.shape[r] for r in self.axes.made)
        alone = not self.elsewhere & mixed.keys()
        carriers = [f for f in self.term.factors if mixed.keys() & set(f.labels)]
        others = [f for f in self.term.factors if not mixed.keys() & set(f.labels)]
        wide = math.prod(self.aval.shape) * extent(flat(self.term.in_))
        if alone:
            kept = _needed(carriers, others, mixed, self.elsewhere, flat(self.batch))
            size = extent(flat(self.batch) + flat(made)) * extent(kept)
            before = sum(f.size for f in carriers)
            if len(carriers) <= 1 or worthwhile(size, before, wide):
                return self.pushed(carriers, others, list(made))
        size = extent(flat(self.batch) + flat(made)) * extent(mixed)
        if size > wide:
            whole = densified(self.term, self.dtype)
            step = _Step(whole, self.dtype, self.aval, self.axes, self.call, None, False)
            return step.pushed(whole.factors, [], list(made))
        return self.pushed([], list(self.term.factors), list(made))

    def pushed(self, inside: Sequence[Factor], others: list[Factor], made: list[Group]) -> Term:
        """The map applied to a product of factors, column by column of what they hang on."""
        batch, acted = self.batch, self.acted
        mixed = dict.fromkeys(flat(acted))
        kept = _needed(inside, others, mixed, self.elsewhere, flat(batch))
        if not inside and self._picks(kept):
            assert self.selection is not None
            rows, columns = (acted, made) if self.transposed else (made, acted)
            array = self.selection.array(self.transposed, batch, rows, columns)
            new = Factor(array, flat(batch) + flat(rows) + flat(columns))
        else:
            columns = tuple((k,) for k in kept)
            term = Term(tuple(inside), (*batch, *acted), columns)
            array = dense(term, self.dtype)
            result = _over_columns(self.call, array, len(batch) + len(acted))
            labels = flat(batch) + flat(made) + kept
            new = Factor(result.reshape([k.size for k in labels]), labels)
        return close(Term((*others, new), self.out(made), self.term.in_))

    def _picks(self, kept: Group) -> bool:
        """Whether the array to be pushed is the identity, of which a selection is the matrix."""
        labels = flat(self.acted)
        return self.selection is not None and kept == labels and len(set(labels)) == len(labels)

    def met(self) -> Term | None:
        """A selection that meets its transpose: the one axis it came from is the one it makes.

        With M[n, s] the selection, Σₙ M[n, s] M[n, s'] r[n] is diagonal in s and s'; and
        Σₛ M[n, s] M[n', s] r[s] is diagonal in n and n' if M is injective.
        """
        if self.selection is None or not (self.transposed or self.selection.injective):
            return None
        batch, side = flat(self.batch), flat(self.acted)
        found = self.selection.met(self.term, batch, side, rows=self.transposed)
        if found is None or self.elsewhere & set(side) or len(set(side)) < len(side):
            return None
        rest = [f for f in self.term.factors if f is not found.factor]
        inside = [f for f in rest if set(side) & set(f.labels)]
        others = [f for f in rest if not set(side) & set(f.labels)]
        labels = set(flat(found.other))
        if any(labels & set(f.labels) for f in inside):
            return None
        return self.pushed(inside, others, found.other)

    def chained(self) -> Term | None:
        """A selection after another: one selection, and entries of what else has its rows.

        With p[n] the row picked for n, M[p[n], s] is the selection that picks what M picks there.
        """
        if self.selection is None or (self.transposed and not self.selection.injective):
            return None
        side = flat(self.batch) + flat(self.acted)
        carriers = [f for f in self.term.factors if set(flat(self.acted)) & set(f.labels)]
        chosen = {id(f): c for f in carriers if (c := Chosen.of(f)) and c.rows == side}
        others = [f for f in carriers if id(f) not in chosen]
        if not chosen or self.elsewhere & set(flat(self.acted)) or any(map(unfit, others)):
            return None
        made = fresh(self.aval.shape[r] for r in self.axes.made)
        factors = [f for f in self.term.factors if not any(f is g for g in carriers)]
        factors += [self.after(chosen[id(f)], made) for f in carriers if id(f) in chosen]
        for f in others:
            rest = tuple(k for k in f.labels if k not in side)
            picked = self.entries(laid_out(f, side + rest), rest)
            labels = flat(self.batch) + flat(made) + rest
            factors.append(Factor(picked.reshape([k.size for k in labels]), labels))
        return close(Term(tuple(factors), self.out(made), self.term.in_))

    def entries(self, array: Array, rest: Group = ()) -> Array:
        """The entries that the map picks of an array over its axes, and the labels `rest`."""
        lead = shape((*self.batch, *self.acted))
        array = array.reshape(*lead, *([extent(rest)] if rest else []))
        return _over_columns(self.call, array, len(lead))

    def after(self, chosen: Chosen, made: Sequence[Group]) -> Factor:
        """The selection that the map makes of one whose rows it picks."""
        assert self.selection is not None
        array, count = chosen.factor.array, extent(chosen.columns)

        def make() -> Array:
            place = count - self.entries(count - chosen.place)  # zero, where nothing is picked
            new = Selection(lambda _: place, array.dtype)
            return new.array(False, self.batch, made, [chosen.columns])

        key = "chained", id(array), id(self.selection), self.transposed
        new = remembered((array, self.selection), key, make)
        return Factor(new, flat(self.batch) + flat(made) + chosen.columns)

    def out(self, made: Sequence[Group]) -> tuple[Group, ...]:
        """The groups of the result, `made` among them."""
        out: list[Group] = [()] * len(self.aval.shape)
        for a, r in (*self.axes.batch, *self.axes.free):
            out[r] = self.term.out[a]
        for r, group in zip(self.axes.made, made, strict=True):
            out[r] = group
        return tuple(out)


def _needed(
    inside: Sequence[Factor],
    others: Sequence[Factor],
    mixed: dict[Label, None],
    elsewhere: set[Label],
    batch: Group,
) -> Group:
    """The labels by which a product of factors hangs together with the rest of its term."""
    rest = elsewhere.union(*(f.labels for f in others))
    ours = mixed | dict.fromkeys(k for f in inside for k in f.labels)
    return tuple(k for k in ours if k in rest and k not in batch)


def _over_columns(call: Callable[[Array], Array], array: Array, lead: int) -> Array:
    """A map of the first `lead` axes, for every index of the others."""
    if array.ndim == lead:
        return call(array)
    array = array.reshape(*array.shape[:lead], -1)
    return jax.vmap(call, in_axes=-1, out_axes=-1)(array)


def moved(
    call: Callable[[Array], Array], axes: Axes, rank: int, result_rank: int
) -> Callable[[Array], Array]:
    """A map of arrays in the operand's layout, with free axes of size one, for `along`."""
    order = [a for a, _ in axes.batch] + list(axes.acted)
    final = [r for _, r in axes.batch] + list(axes.made)

    def normalised(x: Array) -> Array:
        ranks = sorted(order)
        x = jnp.transpose(x, [order.index(a) for a in ranks])
        x = jnp.expand_dims(x, [a for a in range(rank) if a not in order])
        y = call(x)
        y = jnp.squeeze(y, tuple(r for r in range(result_rank) if r not in final))
        ranks = sorted(final)
        return jnp.transpose(y, [ranks.index(r) for r in final])

    return normalised


@dataclass(frozen=True, eq=False)
class Columns:
    """A term as the fewest columns that it makes of its inputs, and the factors that combine them.

    ``U Vᵀ`` has as many as U: a map that is applied to each, whatever it is, need not see V.
    """

    term: Term
    inside: tuple[Factor, ...]
    labels: Group
    others: tuple[Factor, ...]

    @classmethod
    def of(cls, term: Term) -> Columns:
        """The columns of a term."""
        mixed = dict.fromkeys(flat(term.out))
        inside = tuple(f for f in term.factors if mixed.keys() & set(f.labels))
        others = tuple(f for f in term.factors if not mixed.keys() & set(f.labels))
        return cls(term, inside, _needed(inside, others, mixed, set(flat(term.in_)), ()), others)

    @property
    def count(self) -> int:
        """How many there are."""
        return extent(self.labels)

    def array(self, dtype: Any) -> Array:
        """The columns, along a last axis."""
        term = Term(self.inside, self.term.out, tuple((k,) for k in self.labels))
        return dense(term, dtype).reshape(*shape(self.term.out), self.count)

    def mapped(self, image: Array) -> Term:
        """The term of the columns' images, along the last axis of `image`."""
        out = fresh(image.shape[:-1])
        labels = flat(out) + self.labels
        new = Factor(image.reshape([k.size for k in labels]), labels)
        return close(Term((*self.others, new), out, self.term.in_))
