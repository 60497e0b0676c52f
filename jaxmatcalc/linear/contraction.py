"""Contraction: the sums that a term leaves open, and when they are worth carrying out.

A summed label is contracted as soon as the result is no larger than what it replaces, or little
larger and far from dense; everything else waits until the term is evaluated, as an array or on one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc._precision import einsum
from jaxmatcalc.kernels import forming, transposes
from jaxmatcalc.linear import pairwise
from jaxmatcalc.linear.term import (
    Array,
    Factor,
    Group,
    Label,
    Term,
    components,
    extent,
    flat,
    fresh,
    identify,
    shape,
)


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
        if not worthwhile(extent(result), sum(f.size for f in touching), extent(external)):
            continue
        merged = Factor(contract(touching, result), result, is_symmetric(touching, result))
        factors = [*others, merged]
        for k in kept:
            undecided.pop(k, None)
        undecided.update(dict.fromkeys(k for k in result if k not in external))
    return replace(term, factors=_gather_scalars(_multiply_alike(factors)))


def worthwhile(size: int, before: int, dense: int) -> bool:
    """Whether a product of factors may be carried out: entries it has, had, and those of the term.

    Without growth always. Otherwise bounded, and far below the dense array: the layers of a network
    over a batch leave chains of factors, each as long as the network is deep, whose common
    beginning would be multiplied once for every layer.
    """
    return size <= max(1, before) or (size <= 16 * before and 8 * size <= dense)


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
            order = tuple(dict.fromkeys(alike[0].labels))
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
    only = factors[0]
    if len(factors) == 1 and set(only.labels) == set(result) and not _repeats(only.labels):
        order = tuple(only.labels.index(k) for k in result)
        return transposes.transposed(jnp.asarray(only.array), order)
    dtype = common_dtype(factors)
    factors = _absorbed(factors)
    if len(factors) == 2 and not any(_repeats(f.labels) for f in factors):
        return pairwise.product(factors[0], factors[1], result, dtype)
    number: dict[Label, int] = {}
    operands: list[Any] = []
    for f in factors:
        operands.append(jnp.asarray(f.array, dtype))
        operands.append([number.setdefault(k, len(number)) for k in f.labels])
    return einsum(*operands, [number[k] for k in result])


def _absorbed(factors: Sequence[Factor]) -> list[Factor]:
    """Weights multiplied into the smallest factor that has their axes, until two factors are left.

    Left to itself einsum may put Σₖ dₖ Aₖᵢ Bₖⱼ together as a product of the vector d and an array
    over (k, i, j).
    """
    remaining = sorted(factors, key=lambda f: f.size)
    position = 0
    while len(remaining) > 2 and position < len(remaining):
        weight = remaining[position]
        fits = (
            k
            for k in range(position + 1, len(remaining))
            if set(weight.labels) <= set(remaining[k].labels)
        )
        place = next(fits, None)
        if place is None or _repeats(weight.labels) or _repeats(remaining[place].labels):
            position += 1
            continue
        host = remaining[place]
        array = pairwise.product(host, weight, host.labels, common_dtype([host, weight]))
        remaining[place] = Factor(array, host.labels)
        del remaining[position]
    return remaining


def _repeats(labels: Group) -> bool:
    return len(set(labels)) < len(labels)


def common_dtype(factors: Iterable[Factor]) -> np.dtype:
    """Result type of the arrays; static scalars count only by kind (real or complex)."""
    arrays = [f.array for f in factors]
    typed = [a for a in arrays if not is_static(a)] or [jnp.zeros(())]
    weak = [1j for a in arrays if is_static(a) and np.iscomplexobj(a)]
    return jnp.result_type(*typed, *weak)


def dense(term: Term, dtype: Any) -> Array:
    """The term as an array over its ``out`` and ``in_`` axes, in one pass over the output."""
    return dense_sum([term], dtype)


def dense_sum(terms: Sequence[Term], dtype: Any) -> Array:
    """The sum of one or more terms, as an array; in one pass, where they have the same axes."""
    result = shape(terms[0].out) + shape(terms[0].in_)
    alike: dict[tuple[int, ...], list[forming.Product]] = {}
    for term in terms:
        axes = flat(term.out) + flat(term.in_)
        alike.setdefault(tuple(k.size for k in axes), []).append(_product(term, axes, dtype))
    sums = (forming.formed(parts, full).reshape(result) for full, parts in alike.items())
    return functools.reduce(jnp.add, sums)


def _product(term: Term, axes: Group, dtype: Any) -> forming.Product:
    """The term over these axes: each component is one einsum, and the deltas are pairs of axes."""
    first = {k: axes.index(k) for k in term.external}
    arrays = []
    for component in components(term):
        if not component.factors:
            continue
        array = contract(component.factors, component.labels).astype(dtype)
        position = {first[k] for k in component.labels}
        arrays.append(array.reshape([k.size if i in position else 1 for i, k in enumerate(axes)]))
    equal = tuple((first[k], i) for i, k in enumerate(axes) if first[k] != i)
    return forming.Product(tuple(arrays or [jnp.ones((1,) * len(axes), dtype)]), equal)


def apply(term: Term, x: Array, dtype: Any) -> Array:
    """The term times an array of the shape of ``in_``.

    The factors go onto the array one by one, whichever leaves the least: a product of two factors
    is never formed.
    """
    labels = flat(term.in_)
    current = Factor(x.reshape([k.size for k in labels]), labels)
    out = dict.fromkeys(flat(term.out))
    remaining = list(term.factors)
    while remaining:
        others = [remaining[:k] + remaining[k + 1 :] for k in range(len(remaining))]
        results = [
            _left_over((current, f), rest, out) for f, rest in zip(remaining, others, strict=True)
        ]
        best = min(range(len(remaining)), key=lambda k: extent(results[k]))
        result = results[best]
        current = Factor(contract((current, remaining[best]), result), result)
        remaining = others[best]
    kept = _left_over((current,), (), out)
    final = Factor(contract((current,), kept), kept)
    return dense(Term((final,), term.out, ()), dtype)


def _left_over(factors: Iterable[Factor], others: Iterable[Factor], out: Iterable[Label]) -> Group:
    """The labels that a product of factors must keep, for others or for the result."""
    wanted = set(out).union(*(f.labels for f in others))
    return tuple(k for k in dict.fromkeys(k for f in factors for k in f.labels) if k in wanted)


def compose(left: Term, right: Term) -> Term:
    """The term of the product, `left` after `right`."""
    n, m = len(left.out), len(left.in_)
    joined = Term(left.factors + right.factors, left.out + left.in_ + right.out + right.in_, ())
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
