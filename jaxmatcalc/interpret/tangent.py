"""Values that depend on the tangent: a sum of terms for each input that varies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.interpret.known import Known
from jaxmatcalc.interpret.selected import merged
from jaxmatcalc.linear.contraction import close, contract, dense_sum, densified
from jaxmatcalc.linear.term import Factor, Group, Misaligned, Term, flat, fresh, identify, refine


@dataclass(frozen=True, eq=False)
class Tangent:
    """A linear function of the inputs: `terms[k]` maps input k to an array of `shape`."""

    shape: tuple[int, ...]
    dtype: Any
    terms: Mapping[int, tuple[Term, ...]]

    @classmethod
    def seed(cls, index: int, aval: Any) -> Tangent:
        """Input `index` itself: the identity."""
        if not aval.size:
            return cls(aval.shape, aval.dtype, {})
        groups = fresh(aval.shape)
        return cls(aval.shape, aval.dtype, {index: (Term((), groups, groups),)})

    def map(
        self,
        function: Callable[[Term], Term],
        aval: Any,
    ) -> Tangent:
        """Apply a rule to each term; where its axes are split the wrong way, to its dense form."""

        def mapped(term: Term) -> Term:
            try:
                return function(term)
            except Misaligned:
                return function(densified(term, self.dtype))

        terms = {k: merged(map(mapped, ts)) for k, ts in self.terms.items()}
        return Tangent(tuple(aval.shape), aval.dtype, terms)

    def columns(self, index: int) -> Any:
        """The dense array for input `index`, of shape ``shape + (size of the input,)``."""
        return dense_sum(self.terms[index], self.dtype).reshape(*self.shape, -1)


def add(tangents: Sequence[Tangent], aval: Any) -> Tangent:
    """The sum of tangents of one shape."""
    together: dict[int, tuple[Term, ...]] = {}
    for t in tangents:
        for k, terms in t.terms.items():
            together[k] = together.get(k, ()) + terms
    sums = {k: merged(terms) for k, terms in together.items()}
    return Tangent(tuple(aval.shape), aval.dtype, {k: ts for k, ts in sums.items() if ts})


def join(
    term: Term, known: Known, pairs: Sequence[tuple[int, int]]
) -> tuple[tuple[Group, ...], tuple[Group, ...], tuple[Factor, ...], tuple[Group, ...]]:
    """A term times a known array, with axes identified, `pairs` of (axis of term, axis of known).

    Returns the groups of the term's axes, those of the known axes, the factors, and ``in_``.
    """
    classes = {c: fresh([known.shape[known.axes.index(c)]])[0] for c in known.axes}
    labels = flat(classes[c] for c in known.varying)
    array = known.array
    if np.ndim(array) != len(labels):
        array = jnp.reshape(array, [k.size for k in labels])
    n = len(term.out)
    joined = Term(
        (*term.factors, Factor(array, labels)),
        term.out + tuple(classes[c] for c in known.axes),
        term.in_,
    )
    joined = identify(joined, [(a, n + b) for a, b in pairs], lambda t: t.out)
    return joined.out[:n], joined.out[n:], joined.factors, joined.in_


def multiplied(term: Term, known: Known) -> Term:
    """Entrywise product with a known array of the same shape, or a scalar."""
    if known.shape == () and term.out:
        return close(term.times(known.array))
    axes = [(a, a) for a in range(len(term.out))]
    out, _, factors, in_ = join(term, known, axes)
    return close(Term(factors, out, in_))


def masked(term: Term, mask: Known, dtype: Any) -> Term:
    """Where `mask` is false the entry is zero, whatever the factors hold there (inf, NaN)."""
    if mask.has_delta or not mask.varying:
        one = jnp.where(mask.array, 1.0, 0.0) if not mask.has_delta else np.asarray(1)
        if not mask.has_delta:
            return _scalar_masked(term, mask, one.astype(dtype))
        return multiplied(term, Known(one, mask.shape, mask.axes, ()))
    axes = [(a, a) for a in range(len(term.out))] if mask.shape else []
    out, _, factors, in_ = join(term, mask, axes)
    *rest, chosen = map(_single, factors)
    within = [f for f in rest if f.labels and set(f.labels) <= set(chosen.labels)]
    rest = [f for f in rest if not (f.labels and set(f.labels) <= set(chosen.labels))]
    value: Any = jnp.ones((), _float(within, dtype))
    for f in within:
        order = [f.labels.index(k) for k in chosen.labels if k in f.labels]
        array = jnp.transpose(f.array, order)
        value = value * array.reshape([k.size if k in f.labels else 1 for k in chosen.labels])
    value = jnp.where(chosen.array, value, jnp.zeros((), value.dtype))
    return close(Term((*rest, Factor(value, chosen.labels)), out, in_))


def _single(factor: Factor) -> Factor:
    """The factor with each label once: where a label is repeated only the diagonal counts."""
    labels = tuple(dict.fromkeys(factor.labels))
    if len(labels) == len(factor.labels):
        return factor
    array = jnp.asarray(factor.array)
    if array.dtype == bool:
        numbers = contract([Factor(array.astype(np.int32), factor.labels)], labels)
        return Factor(numbers != 0, labels)
    return Factor(contract([factor], labels), labels)


def _scalar_masked(term: Term, mask: Known, one: Any) -> Term:
    """A condition that is the same everywhere: the smallest factor carries it."""
    factors = sorted(term.factors, key=lambda f: f.size)
    if not factors:
        return close(term.times(one))
    first = factors[0]
    value = jnp.where(mask.array, jnp.asarray(first.array), 0)
    return close(Term((first._replace(array=value), *factors[1:]), term.out, term.in_))


def _float(factors: Sequence[Factor], dtype: Any) -> Any:
    return jnp.result_type(*(f.array for f in factors)) if factors else dtype


def reshaped(term: Term, new_shape: tuple[int, ...]) -> Term:
    """Row-major reshape as regrouping of labels; a label is split where the new shape asks it."""
    target = fresh(new_shape)
    old = flat(term.out)
    parts = refine(old, flat(target))
    if parts is None:
        raise Misaligned
    pieces = iter(flat(parts.get(k, (k,)) for k in old))
    groups = tuple(
        tuple(next(pieces) for _ in flat(parts.get(k, (k,)) for k in group)) for group in target
    )
    term = term.split({k: v for k, v in parts.items() if k not in flat(target)})
    return Term(term.factors, groups, term.in_)
