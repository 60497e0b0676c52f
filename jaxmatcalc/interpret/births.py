"""Where two tangents meet: values of second order, and the tangents that are ready for it.

In the program of d²/dt² f(x + tv) a value is of degree 0, 1 or 2 in v. One of degree 2 is born
where a product takes two tangents; over v = e₁, e₂, … it is the product of their terms with the
labels of the input identified. For the Laplacian those labels are summed as well, and an array is
left, which the rest of the program, linear in it, is simply run on. For the diagonal of the Hessian
they stay, and what is left is terms between the output and the input again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.interpret.selected import closed, merged, picked
from jaxmatcalc.interpret.settling import aligned, clusters
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.value import Known
from jaxmatcalc.linear.contraction import common_dtype, contract, dense, densified
from jaxmatcalc.linear.term import (
    Factor,
    Group,
    Label,
    Misaligned,
    Term,
    extent,
    flat,
    fresh,
    identify,
    relabelled,
    shape,
)


@dataclass(frozen=True, eq=False)
class Second(Known):
    """A value of degree 2, summed over the directions."""

    @classmethod
    def of(cls, known: Known) -> Second:
        """The same value, marked."""
        return cls(known.array, known.shape, known.axes, known.varying)


# From the groups of the left operand's axes and the right's to those of the product
Arrange = Callable[[tuple[Group, ...], tuple[Group, ...]], tuple[Group, ...]]


@dataclass(frozen=True)
class Bilinear:
    """How a product puts its operands' axes together.

    Attributes:
        pairs: axes of the left and the right operand that are identified.
        arrange: the axes of the product.
        symmetric: whether exchanging the operands makes no difference.
    """

    pairs: tuple[tuple[int, int], ...]
    arrange: Arrange
    symmetric: bool = False


def bilinear(eqn: Any, left: Sequence[int], right: Sequence[int]) -> Bilinear | None:
    """The product that an equation is, of operands of shapes `left` and `right`; None if none."""
    if eqn.primitive.name == "mul":
        return _entrywise(tuple(eqn.outvars[0].aval.shape), left, right)
    if eqn.primitive.name == "dot_general":
        return _dot(eqn.params["dimension_numbers"], len(left), len(right))
    return None


def _entrywise(full: tuple[int, ...], left: Sequence[int], right: Sequence[int]) -> Bilinear:
    """An operand may be a scalar, or have axes of size one that broadcast."""
    ours, theirs = (
        {a for a, n in enumerate(s) if n == full[a]} if len(s) == len(full) else set()
        for s in (left, right)
    )

    def arrange(a: tuple[Group, ...], b: tuple[Group, ...]) -> tuple[Group, ...]:
        return tuple(
            a[k] if k in ours else b[k] if k in theirs else fresh([n])[0]
            for k, n in enumerate(full)
        )

    return Bilinear(tuple((k, k) for k in sorted(ours & theirs)), arrange, left == right)


def _dot(numbers: Any, left_rank: int, right_rank: int) -> Bilinear:
    (left_sum, right_sum), (left_batch, right_batch) = numbers
    free = [a for a in range(left_rank) if a not in (*left_sum, *left_batch)]
    right_free = [a for a in range(right_rank) if a not in (*right_sum, *right_batch)]

    def arrange(a: tuple[Group, ...], b: tuple[Group, ...]) -> tuple[Group, ...]:
        return (*(a[k] for k in (*left_batch, *free)), *(b[k] for k in right_free))

    joined = [*zip(left_sum, right_sum, strict=True), *zip(left_batch, right_batch, strict=True)]
    return Bilinear(tuple(joined), arrange)


def born(
    product: Bilinear, left: Tangent, right: Tangent, aval: Any, summed: bool
) -> Tangent | Second:
    """The product of two tangents along each direction, or summed over the directions."""
    terms: dict[int, list[Term]] = {}
    for k in left.terms.keys() & right.terms.keys():
        found = terms.setdefault(k, [])
        for i, a in enumerate(left.terms[k]):
            for j, b in enumerate(right.terms[k]):
                twice = product.symmetric and left is right
                if twice and j < i:
                    continue
                try:
                    term = _multiplied(product, a, b, summed)
                except Misaligned:
                    formed = densified(a, left.dtype), densified(b, right.dtype)
                    term = _multiplied(product, *formed, summed)
                found.append(term.times(np.asarray(2)) if twice and i < j else term)
    if not summed:
        kept = {k: merged(map(closed, ts)) for k, ts in terms.items()}
        return Tangent(tuple(aval.shape), aval.dtype, kept)
    pieces = [_evaluated(t, aval.dtype) for ts in terms.values() for t in ts]
    return Second.of(_total(pieces, aval))


def _multiplied(product: Bilinear, left: Term, right: Term, summed: bool) -> Term:
    """The product of two terms, the labels of their inputs identified, and summed if asked for."""
    right = relabelled(right)
    n, m, k = len(left.out), len(right.out), len(left.in_)
    axes = left.out + right.out + left.in_ + right.in_
    pairs = [(a, n + b) for a, b in product.pairs]
    pairs += [(n + m + j, n + m + k + j) for j in range(k)]
    joined = identify(Term(left.factors + right.factors, axes, ()), pairs, lambda t: t.out)
    groups = joined.out
    out = product.arrange(groups[:n], groups[n : n + m])
    in_ = () if summed else groups[n + m : n + m + k]
    # a label that is now nowhere was a sum of ones
    present = {*flat(out), *flat(in_)}.union(*(f.labels for f in joined.factors))
    lost = extent(set(flat(groups)) - present)
    factors = joined.factors if lost == 1 else (*joined.factors, Factor(np.asarray(lost), ()))
    return picked(Term(factors, out, in_))


def _evaluated(term: Term, dtype: Any) -> Known:
    """A term without input as a value that remembers where it varies."""
    out = dict.fromkeys(flat(term.out))
    pieces = [f for f in term.factors if set(f.labels) <= out.keys()]
    for group in clusters(term.factors, out):
        kept = tuple(k for k in out if any(k in f.labels for f in group))
        pieces.append(Factor(_sum_of_products(group, kept), kept))
    axes = tuple(term.out.index(g) if g else a for a, g in enumerate(term.out))
    once = [g for a, g in enumerate(term.out) if axes[a] == a]
    if len(flat(once)) != len(out) or any(len(set(f.labels)) < len(f.labels) for f in pieces):
        return Known.full(dense(Term(tuple(pieces), term.out, ()), dtype))
    used = {k for f in pieces for k in f.labels}
    varying = tuple(a for a, g in enumerate(term.out) if axes[a] == a and used & set(g))
    labels = flat(term.out[a] for a in varying)
    array: Any = jnp.ones((), dtype)
    for f in pieces:
        array = array * aligned(f, labels).astype(dtype)
    array = jnp.broadcast_to(array, [k.size for k in labels])
    array = array.reshape([extent(term.out[a]) for a in varying])
    return Known(array, shape(term.out), axes, varying)


def _sum_of_products(factors: Sequence[Factor], kept: Group) -> Any:
    """Σ of the product of factors over the labels that are not kept.

    Where one factor has the labels of all others, as in Σₖ Jᵢₖ Jᵢₖ, that is one pass over it and
    not a product of matrices.
    """
    dtype = common_dtype(factors)
    alike: dict[frozenset[Label], Factor] = {}
    for f in factors:
        if len(set(f.labels)) < len(f.labels):
            return contract(factors, kept)
        array, labels = jnp.asarray(f.array, dtype), f.labels
        other = alike.get(frozenset(labels))
        if other is not None:
            array, labels = other.array * aligned(f, other.labels).astype(dtype), other.labels
        alike[frozenset(labels)] = Factor(array, labels)
    remaining = sorted(alike.values(), key=lambda f: f.size)
    largest = remaining[-1]
    if len(remaining) > 2 or not all(set(f.labels) <= set(largest.labels) for f in remaining):
        return contract(remaining, kept)
    value = largest.array
    for f in remaining[:-1]:
        value = value * aligned(f, largest.labels)
    summed = [a for a, k in enumerate(largest.labels) if k not in kept]
    rest = tuple(k for k in largest.labels if k in kept)
    return aligned(Factor(jnp.sum(value, summed), rest), kept)


def _total(pieces: Sequence[Known], aval: Any) -> Known:
    """The sum of values of one shape."""
    full = tuple(aval.shape)
    axes = tuple(range(len(full)))
    if len(pieces) == 1:
        return pieces[0]
    if any(k.has_delta for k in pieces):
        return Known.full(sum(k.value() for k in pieces))
    varying = tuple(a for a in axes if any(a in k.varying for k in pieces))
    array: Any = np.zeros((), aval.dtype)
    for k in pieces:
        array = array + jnp.reshape(k.array, [full[a] if a in k.varying else 1 for a in varying])
    return Known(array, full, axes, varying)
