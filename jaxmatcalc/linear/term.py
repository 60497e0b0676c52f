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
import numpy as np
from jax import lax

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
        return extent(self.labels)


def extent(labels: Iterable[Label]) -> int:
    """Product of the sizes."""
    return math.prod(label.size for label in labels)


def flat(groups: Iterable[Group]) -> Group:
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
        return replace(self, out=self.in_, in_=self.out)

    def map_arrays(self, function: Callable[[Array], Array]) -> Term:
        return replace(
            self, factors=tuple(f._replace(array=function(f.array)) for f in self.factors)
        )

    def times(self, array: Array, labels: Group = ()) -> Term:
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


def close(term: Term, removed: Iterable[Label] = ()) -> Term:
    """Tidy a term after label work.

    `removed` names labels taken off a list: one that is now nowhere was a sum of ones. Scalars are
    gathered, and a summed label is contracted where the result is no larger than its factors.
    """
    factors = list(term.factors)
    external = term.external
    present = set(external).union(*(f.labels for f in factors))
    lost = extent(set(removed) - present)
    if lost != 1:
        factors.append(Factor(np.asarray(lost), ()))

    undecided = dict.fromkeys(k for f in factors for k in f.labels if k not in external)
    while undecided:
        label = next(iter(undecided))
        del undecided[label]
        touching = [f for f in factors if label in f.labels]
        others = [f for f in factors if label not in f.labels]
        kept = dict.fromkeys(k for f in touching for k in f.labels)
        elsewhere = set(external).union(*(f.labels for f in others))
        result = tuple(k for k in kept if k in elsewhere)
        if extent(result) > sum(f.size for f in touching):
            continue
        merged = Factor(contract(touching, result), result, is_symmetric(touching, result))
        factors = [*others, merged]
        for k in kept:
            undecided.pop(k, None)
        undecided.update(dict.fromkeys(k for k in result if k not in external))
    return replace(term, factors=_gather_scalars(_multiply_alike(factors)))


def is_symmetric(factors: Sequence[Factor], labels: Group) -> bool:
    """Whether exchanging two labels maps a product of factors to itself, as in AᵀA and AᵀDA."""
    if len(labels) != 2 or labels[0].size != labels[1].size:
        return False
    if len(factors) == 1 and factors[0].symmetric and set(factors[0].labels) == set(labels):
        return True
    swap = dict(zip(labels, reversed(labels), strict=True))

    def signature(renaming: dict[Label, Label]) -> list[tuple[int, ...]]:
        rows = []
        for f in factors:
            renamed = [id(renaming.get(k, k)) for k in f.labels]
            rows.append((id(f.array), *(sorted(renamed) if f.symmetric else renamed)))
        return sorted(rows)

    return signature({}) == signature(swap)


def is_static(array: Array) -> bool:
    """Whether an array is a scalar known at trace time; such a one takes the others' dtype."""
    return isinstance(array, np.ndarray | np.generic) and array.ndim == 0


# So many factors over the same axes are multiplied: chains of entrywise functions stay short, and
# below it factors keep their identity, by which like terms are told.
_MANY_ALIKE = 4


def _multiply_alike(factors: Sequence[Factor]) -> list[Factor]:
    groups: dict[frozenset[Label], list[Factor]] = {}
    for f in factors:
        groups.setdefault(frozenset(f.labels), []).append(f)
    result: list[Factor] = []
    for labels, alike in groups.items():
        if labels and len(alike) >= _MANY_ALIKE:
            order = alike[0].labels
            same = is_symmetric(alike, order)
            result.append(Factor(contract(alike, order), order, same))
        else:
            result += alike
    return result


def _gather_scalars(factors: Sequence[Factor]) -> tuple[Factor, ...]:
    """One scalar factor at most, and none for the number one."""
    scalars = [f.array for f in factors if not f.labels]
    number = math.prod(s.item() for s in scalars if is_static(s))
    traced = [s for s in scalars if not is_static(s)]
    rest = tuple(f for f in factors if f.labels)
    if not traced:
        return rest if number == 1 else (*rest, Factor(np.asarray(number), ()))
    if len(traced) == 1 and number == 1:  # the same object: terms that share it can be merged
        return (*rest, Factor(traced[0], ()))
    return (*rest, Factor(math.prod(traced, start=number), ()))


def contract(factors: Sequence[Factor], result: Group) -> Array:
    """einsum of factors to an array over `result`, in the highest precision."""
    if len(factors) == 1 and factors[0].labels == result:
        return factors[0].array
    dtype = common_dtype(factors)
    number: dict[Label, int] = {}
    operands: list[Any] = []
    for f in factors:
        operands.append(jnp.asarray(f.array, dtype))
        operands.append([number.setdefault(k, len(number)) for k in f.labels])
    return jnp.einsum(*operands, [number[k] for k in result], precision=lax.Precision.HIGHEST)


def common_dtype(factors: Iterable[Factor]) -> np.dtype:
    """Result type of the arrays; static scalars count only by kind (real or complex)."""
    arrays = [f.array for f in factors]
    typed = [a for a in arrays if not is_static(a)] or [jnp.zeros(())]
    weak = [1j for a in arrays if is_static(a) and np.iscomplexobj(a)]
    return jnp.result_type(*typed, *weak)


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


def dense(term: Term, dtype: Any) -> Array:
    """The term as an array over its ``out`` and ``in_`` axes, in one pass over the output.

    Each component is one einsum; their product, and the deltas, are left to a single fusion.
    """
    axes = flat(term.out) + flat(term.in_)
    first = {k: axes.index(k) for k in term.external}
    full = tuple(k.size for k in axes)
    value: Array | None = None
    for component in components(term):
        if not component.factors:
            continue
        array = contract(component.factors, component.labels).astype(dtype)
        position = {first[k] for k in component.labels}
        array = array.reshape([n if i in position else 1 for i, n in enumerate(full)])
        value = array if value is None else value * array
    if value is None:
        value = jnp.ones((), dtype)
    mask: Array | None = None
    for position, label in enumerate(axes):
        if first[label] != position:
            equal = lax.broadcasted_iota(np.int32, full, first[label]) == lax.broadcasted_iota(
                np.int32, full, position
            )
            mask = equal if mask is None else mask & equal
    value = jnp.broadcast_to(value, full)
    if mask is not None:
        value = jnp.where(mask, value, jnp.zeros((), dtype))
    return value.reshape(shape(term.out) + shape(term.in_))


def shape(groups: Iterable[Group]) -> tuple[int, ...]:
    return tuple(map(extent, groups))


def apply(term: Term, x: Array, dtype: Any) -> Array:
    """The term times an array of the shape of ``in_``."""
    labels = flat(term.in_)
    operand = Factor(x.reshape([k.size for k in labels]), labels)
    result = Term((*term.factors, operand), term.out, ())
    external = result.external
    present = set().union(*(f.labels for f in result.factors))
    kept = tuple(k for k in external if k in present)
    return dense(Term((Factor(contract(result.factors, kept), kept),), term.out, ()), dtype)


def compose(left: Term, right: Term) -> Term:
    """The term of the product, `left` after `right`."""
    n, m = len(left.out), len(left.in_)
    joined = Term(
        left.factors + right.factors, left.out + left.in_ + right.out + right.in_, ()
    )
    joined = identify(joined, [(n + k, n + m + k) for k in range(m)], lambda t: t.out)
    removed = flat(joined.out[n : n + 2 * m])
    return close(Term(joined.factors, joined.out[:n], joined.out[n + 2 * m :]), removed)


def diagonal(term: Term) -> Term:
    """The diagonal (axis k of ``out`` equal to axis k of ``in_``), as a term without inputs."""
    n = len(term.out)
    joined = Term(term.factors, term.out + term.in_, ())
    joined = identify(joined, [(k, n + k) for k in range(n)], lambda t: t.out)
    return close(Term(joined.factors, joined.out[:n], ()))


def trace(term: Term) -> Term:
    """Sum of the diagonal, as a term without axes."""
    d = diagonal(term)
    return close(Term(d.factors, (), ()), flat(d.out))


def densified(term: Term, dtype: Any) -> Term:
    """The same term as one factor with one label an axis."""
    out, in_ = fresh(shape(term.out)), fresh(shape(term.in_))
    labels = flat(out) + flat(in_)
    return Term((Factor(dense(term, dtype).reshape([k.size for k in labels]), labels),), out, in_)


def relabelled(term: Term) -> Term:
    """A copy with new labels: a term may then be joined with itself."""
    labels = dict.fromkeys(k for f in term.factors for k in f.labels) | term.external
    return term.substitute({k: Label(k.size) for k in labels})


def walk_labels(term: Term) -> Iterator[Label]:
    """Labels in canonical order: ``out``, ``in_``, then the factors' own."""
    seen: dict[Label, None] = term.external
    seen.update(dict.fromkeys(k for f in term.factors for k in f.labels))
    return iter(seen)

