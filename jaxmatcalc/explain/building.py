"""Tensors from tensors: products, powers, inverses and functions, in the form that is shortest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from jaxmatcalc.explain.atoms import (
    Atom,
    Determinant,
    Elementwise,
    Group,
    Inverse,
    VariablePower,
)
from jaxmatcalc.explain.simplify import opened, positive, root, simplified, tensor
from jaxmatcalc.explain.tensor import (
    Factor,
    Label,
    Number,
    Tensor,
    Term,
    labels,
    number,
    of_atom,
    scalar,
    unified,
)

Operand = tuple[Tensor, Sequence[Label]]


def product(out: Sequence[Label], *operands: Operand, expand: bool = True) -> Tensor:
    """The product of tensors, summed over the labels that the result has not.

    Args:
        out: labels of the result.
        operands: tensors with a label on each axis.
        expand: whether sums are multiplied out; otherwise they are put in brackets.
    """
    sums = [Term(Fraction(1), (), ())]
    pairs: list[list[tuple[Label, Label]]] = [[]]
    for value, places in operands:
        known = value if expand or len(value.terms) == 1 else grouped(value)
        grown, joined = [], []
        for whole, links in zip(sums, pairs, strict=True):
            for term in known.terms:
                fresh = term.fresh()
                grown.append(
                    Term(number(whole.scale * fresh.scale), whole.factors + fresh.factors, ())
                )
                joined.append([*links, *zip(places, fresh.out, strict=True)])
        sums, pairs = grown, joined
    shape = [x.size for x in out]
    given = {x for _, places in operands for x in places}
    terms: list[Term] = []
    for whole, links in zip(sums, pairs, strict=True):
        count = len(out)
        term = unified(whole.scale, whole.factors, (*out, *given), links)
        left = {x for f in term.factors for x in f.labels} | set(term.out[:count])
        lost = math.prod(x.size for x in dict.fromkeys(term.out[count:]) if x not in left)
        term = Term(number(term.scale * lost), term.factors, term.out[:count])
        terms.append(simplified(term))
    return Tensor(shape, terms)


def multiplied_out(value: Tensor) -> Tensor | None:
    """A tensor without brackets in its products, or None if it has none."""
    if not any(isinstance(f.atom, Group) and f.power == 1 for t in value.terms for f in t.factors):
        return None

    def of_term(term: Term) -> Tensor:
        factors = ((_opened(f), f.labels) for f in term.factors)
        return product(term.out, *factors).scaled(term.scale)

    return value.by_terms(of_term)


def _opened(f: Factor) -> Tensor:
    """A sum without its brackets, or another factor as it is."""
    return f.atom.inner if isinstance(f.atom, Group) and f.power == 1 else of_atom(f.atom, f.power)


def times(a: Tensor, b: Tensor) -> Tensor:
    """The product entry by entry of tensors of one shape; a sum stays in brackets."""
    for one, other in ((a, b), (b, a)):
        if one.constant is not None:
            return other.scaled(one.constant)
    out = labels(a.shape)
    return product(out, (a, out), (b, out), expand=False)


def grouped(value: Tensor, power: Number = Fraction(1)) -> Tensor:
    """A tensor as one factor, to a power: a sum in brackets.

    Axes along which it is constant are left out of the brackets; so is the number that the
    coefficients have in common, with the sign that makes equal brackets of (A − B) and (B − A).
    """
    value = opened(value)
    out = labels(value.shape)
    if not value.terms or (power == 1 and len(value.terms) == 1):
        return value
    used = [
        k
        for k in range(value.ndim)
        if any(any(t.out[k] in f.labels for f in t.factors) or t.out.count(t.out[k]) > 1
               for t in value.terms)
    ]  # fmt: skip
    small = value.permuted(used) if len(used) < value.ndim else value
    places = [out[k] for k in used]
    linear = power == 1
    if linear and small.ndim == 2 and all(t.out[0] is t.out[1] for t in small.terms):
        small = tensor(small.shape[:1], [t._replace(out=t.out[:1]) for t in small.terms])
        term = unified(1, (), out, [tuple(places)])
        inner = grouped(small)
        return product(term.out, (inner, term.out[:1]))
    small, outer = _content(small, power)
    flip = small.ndim == 2 and reads_better(small.transposed, small)
    inner = small.transposed if flip else small
    factor = Factor(Group(inner), tuple(places[::-1] if flip else places), power)
    return Tensor(value.shape, [Term(outer, (factor,), out)])


def reads_better(a: Tensor, b: Tensor) -> bool:
    """Which of a matrix and its transpose is written; the same one, whichever came first."""
    return (_turns(a), a.key) < (_turns(b), b.key)


def _turns(value: Tensor) -> int:
    """How many matrices are transposed at the ends of the products of a sum."""
    count = 0
    for t in value.terms:
        i, j = t.out
        for f in t.factors:
            if len(f.labels) == 2 and not f.atom.symmetric:
                count += (f.labels[1] is i) + (f.labels[0] is j)
                count -= (f.labels[0] is i) + (f.labels[1] is j)
    return count


def _content(value: Tensor, power: Number) -> tuple[Tensor, Number]:
    """A sum without the number its terms share, and that number to the power."""
    scales = [value.terms[k].scale for k in value.order]
    shared: Number = Fraction(1)
    if all(isinstance(s, Fraction) for s in scales):
        fractions = [Fraction(s) for s in scales]
        shared = Fraction(
            math.gcd(*(f.numerator for f in fractions)),
            math.lcm(*(f.denominator for f in fractions)),
        )
    elif len(scales) == 1:
        shared = abs(scales[0])
    if power == int(power) and scales[0] < 0:
        shared = -shared
    outer = root(shared, power)
    if outer is None or shared == 1:
        return value, Fraction(1)
    return value.scaled(1 / shared), outer


def one_factor(value: Tensor) -> Factor | None:
    """The factor that a tensor is, apart from a number, over all of its axes and no others."""
    if len(value.terms) != 1 or len(value.terms[0].factors) != 1:
        return None
    (term,) = value.terms
    (f,) = term.factors
    whole = set(f.labels) == set(term.out) and len(set(f.labels)) == len(f.labels)
    return f if whole and len(term.out) == len(f.labels) else None


def power(value: Tensor, exponent: Number) -> Tensor:
    """Every entry to a power that is a number."""
    value, exponent = opened(value), number(exponent)
    if exponent == 1:
        return value
    if exponent == 0:
        return scalar(1, value.shape)
    if value.constant is not None:
        known = root(value.constant, exponent)
        if known is not None:
            return scalar(known, value.shape)
    whole = exponent == int(exponent)
    grown = _exponent_beside_one(value) if whole else None
    if grown is not None:
        return power(elementwise("sigmoid", grown.scaled(-1)), -exponent)
    if len(value.terms) == 1:
        (term,) = value.terms
        outer = root(term.scale, exponent)
        plain = len(set(term.out)) == len(term.out) and all(
            set(f.labels) <= set(term.out) for f in term.factors
        )
        safe = whole or (
            len(term.factors) == 1
            and (term.factors[0].power == 1 or term.factors[0].power != int(term.factors[0].power))
        )
        if plain and outer is not None and safe:
            factors = [f._replace(power=number(f.power * exponent)) for f in term.factors]
            return tensor(value.shape, [Term(outer, tuple(factors), term.out)])
    return grouped(value, exponent)


def variable_power(base: Tensor, exponent: Tensor) -> Tensor:
    """Every entry to a power of its own."""
    if exponent.constant is not None:
        return power(base, exponent.constant)
    return of_atom(VariablePower(base, exponent))


def elementwise(name: str, value: Tensor) -> Tensor:
    """A function of every entry, in the table of ``slopes``."""
    value = opened(value)
    if name == "log":
        known = _logarithm(value)
        if known is not None:
            return known
    if name in ("abs", "relu") and positive(value):
        return value
    if name in ("relu", "step"):
        if value.constant is not None:
            above = value.constant > 0
            return scalar((value.constant if name == "relu" else 1) if above else 0, value.shape)
        value = _beyond(value)
    exponent: Number = Fraction(1)
    if name == "exp" and value.terms and value.terms[value.order[0]].scale < 0:
        value, exponent = value.scaled(-1), Fraction(-1)  # e⁻ᵘ is a power of eᵘ
    used = [
        k
        for k in range(value.ndim)
        if any(any(t.out[k] in f.labels for f in t.factors) or t.out.count(t.out[k]) > 1
               for t in value.terms)
    ]  # fmt: skip
    small = value.permuted(used)
    out = labels(value.shape)
    places = tuple(out[k] for k in used)
    if small.ndim == 2 and reads_better(small.transposed, small):
        small, places = small.transposed, places[::-1]
    factor = Factor(Elementwise(name, small), places, exponent)
    return Tensor(value.shape, [Term(Fraction(1), (factor,), out)])


def _logarithm(value: Tensor) -> Tensor | None:
    """The logarithm of a power of a determinant, of an exponential or of 1 + eᵘ, or None."""
    f = one_factor(value)
    grown = _exponent_beside_one(value)
    if grown is not None:
        return elementwise("softplus", grown)
    if f is None or value.terms[0].scale != 1:
        return None
    if isinstance(f.atom, Determinant) and f.atom.name == "det":
        return determinant("logdet", f.atom.inner).scaled(f.power)
    if isinstance(f.atom, Elementwise) and f.atom.name == "exp":
        opened = f.atom.inner.scaled(f.power)
        axes = [f.labels.index(x) for x in value.terms[0].out]
        return opened.permuted(axes)
    if f.power == -1:
        return elementwise("log", power(value, -1)).scaled(-1)
    return None


def _beyond(value: Tensor) -> Tensor:
    """u − c for relu(u) − c, which are positive together."""
    for k, term in enumerate(value.terms):
        f = one_factor(Tensor(value.shape, [term]))
        rest = Tensor(value.shape, [t for t in value.terms if t is not term])
        if f is None or f.power != 1 or not isinstance(f.atom, Elementwise) or term.scale != 1:
            continue
        if f.atom.name == "relu" and rest.constant is not None and rest.constant <= 0:
            axes = [f.labels.index(x) for x in value.terms[k].out]
            return f.atom.inner.permuted(axes) + rest
    return value


def _exponent_beside_one(value: Tensor) -> Tensor | None:
    """The u of 1 + eᵘ, or None."""
    if len(value.terms) != 2:
        return None
    parts = [Tensor(value.shape, [t]) for t in value.terms]
    for one, other in (parts, parts[::-1]):
        f = one_factor(other)
        if one.constant != 1 or f is None or other.terms[0].scale != 1:
            continue
        if isinstance(f.atom, Elementwise) and f.atom.name == "exp":
            axes = [f.labels.index(x) for x in other.terms[0].out]
            return f.atom.inner.scaled(f.power).permuted(axes)
    return None


def determinant(name: str, value: Tensor, singular: bool = False) -> Tensor:
    """``det`` or ``logdet`` of a matrix, or of each along leading axes."""
    value = opened(value)
    if value.ndim > 2:
        return of_atom(Determinant(name, value))
    if value.shape == (1, 1):
        entry = value.permuted(())
        return entry if name == "det" else elementwise("log", elementwise("abs", entry))
    f = one_factor(value)
    if f is not None and isinstance(f.atom, Inverse) and value.terms[0].scale == 1:
        inner = determinant(name, f.atom.inner)
        return power(inner, -1) if name == "det" else inner.scaled(-1)
    if reads_better(value.transposed, value):
        value = value.transposed
    return of_atom(Determinant(name, value, singular))


def is_atom(value: Tensor) -> Atom | None:
    """The atom that a tensor is, apart from a number and the order of axes."""
    f = one_factor(value)
    return None if f is None or f.power != 1 else f.atom
