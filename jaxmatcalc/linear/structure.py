"""Reading structure off a sum of terms: what it is called, and which solve it admits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from jaxmatcalc.linear.term import Component, Factor, Group, Label, Term, components, extent, flat

# A general matrix up to this order is solved by LU: an eigen- or Schur decomposition of its factors
# costs more calls than it saves flops.
SMALL = 256


@dataclass(frozen=True)
class Structure:
    """What an operator is made of.

    Attributes:
        kind: "zero", "identity" (scaled), "diagonal", "permutation", "block diagonal", "kronecker",
            "kronecker+commutation", "low-rank", "sparse", "dense", or such kinds joined by " + ".
        formula: one short formula, a piece a term; M is a matrix, d a diagonal, I an identity.
        method: how `solve` and `logdet` go: "scale", "divide", "permute", "kronecker" (factor by
            factor), "eigen" or "schur" (Kronecker + ρ·identity), "dense"; "none" if not square.
        fallbacks: the operations that lost structure on the way, each with its source line.

    Example:
        >>> import jaxmatcalc as jmc
        >>> found = jmc.commutation(2, 3).structure
        >>> found.kind, found.method
        ('permutation', 'permute')
    """

    kind: str
    formula: str
    method: str
    fallbacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lost = f"; dense at {', '.join(self.fallbacks)}" if self.fallbacks else ""
        return self.kind + lost


def structure(
    terms: Sequence[Term],
    out_shape: tuple[int, ...],
    in_shape: tuple[int, ...],
    fallbacks: tuple[str, ...] = (),
) -> Structure:
    """The structure of a sum of terms."""
    kinds = [kind(t) for t in terms]
    formula = " + ".join(map(_formula, terms)) or "0"
    square = math.prod(out_shape) == math.prod(in_shape)
    # the identity comes last: "kronecker + identity" whatever the order of the sum
    ordered = sorted(dict.fromkeys(kinds), key=lambda k: (k == "identity", kinds.index(k)))
    name = " + ".join(ordered) or "zero"
    if name in ("kronecker", "low-rank", "kronecker+commutation") and len(terms) > 1:
        name = f"sum of {len(terms)} {name}"
    return Structure(name, formula, method(terms) if square and terms else "none", fallbacks)


def kind(term: Term) -> str:
    """The kind of one term."""
    parts = [c for c in components(term) if c.labels]
    roles = [_role(c, term) for c in parts]
    if roles and all(r == "vector" for r in roles):
        return "low-rank"
    if _repeats(term):
        return "sparse"  # as the map from a vector to a diagonal matrix
    if all(r == "delta" for r in roles):
        return "identity" if aligned(term, parts) else "permutation"
    if all(r in ("delta", "diagonal") for r in roles) and aligned(term, parts):
        return "diagonal"
    if len(parts) == 1:
        if roles[0] == "block":
            return "block diagonal"
        if roles[0] == "rectangle" and sides(parts[0], term)[2]:
            return "sparse"
        return "low-rank" if _rank(parts[0], term) else "dense"
    solid = [c for c, r in zip(parts, roles, strict=True) if r != "vector"]
    return "kronecker" if aligned(term, solid) else "kronecker+commutation"


def _repeats(term: Term) -> bool:
    """Whether a list holds a label twice."""
    return any(len(set(labels)) < len(labels) for labels in (flat(term.out), flat(term.in_)))


def sides(component: Component, term: Term) -> tuple[Group, Group, Group]:
    """Labels of a component that stand in `out` alone, in `in_` alone, and in both."""
    out, in_ = flat(term.out), flat(term.in_)
    both = tuple(k for k in component.labels if k in out and k in in_)
    return (
        tuple(k for k in out if k in component.labels and k not in both),
        tuple(k for k in in_ if k in component.labels and k not in both),
        both,
    )


def _role(component: Component, term: Term) -> str:
    rows, columns, both = sides(component, term)
    if not rows and not columns:
        return "diagonal" if component.factors else "delta"
    if not both and (not rows or not columns):
        return "vector"
    if extent(rows) != extent(columns):
        return "rectangle"
    return "block" if both else "matrix"


def _rank(component: Component, term: Term) -> int:
    """Size of the bond between rows and columns where it is smaller than both, else 0."""
    rows, columns, _ = sides(component, term)
    row_set, column_set = set(rows), set(columns)
    if any(row_set & set(f.labels) and column_set & set(f.labels) for f in component.factors):
        return 0
    inner = {k for f in component.factors for k in f.labels} - set(component.labels)
    bond = extent(inner)
    return bond if bond < min(extent(rows), extent(columns)) else 0


def is_invertible(term: Term) -> bool:
    """Whether each component is a square matrix between its axes: the inverse is then a term."""
    if _repeats(term):
        return False
    parts = [c for c in components(term) if c.labels]
    return all(_role(c, term) in ("delta", "diagonal", "matrix", "block") for c in parts)


def aligned(term: Term, parts: Sequence[Component]) -> bool:
    """Whether each component joins the same rows as columns (no commutation)."""
    out, in_ = flat(term.out), flat(term.in_)
    if extent(out) != extent(in_) or any(_role(c, term) == "rectangle" for c in parts):
        return _order(out, parts) == _order(in_, parts)  # rows and columns have different strides
    strides_out, strides_in = _strides(out), _strides(in_)
    return all(_intervals(c.labels, strides_out) == _intervals(c.labels, strides_in) for c in parts)


def _order(labels: Group, parts: Sequence[Component]) -> list[int]:
    """The components in the order in which their labels come, neighbours joined."""
    places = [i for k in labels for i, c in enumerate(parts) if k in c.labels]
    return [i for i, _ in groupby(places)]


def _strides(labels: Group) -> dict[Label, int]:
    return {k: extent(labels[i + 1 :]) for i, k in enumerate(labels)}


def _intervals(labels: Group, strides: dict[Label, int]) -> list[tuple[int, int]]:
    """The (stride, size) of the labels in a row-major index, neighbours joined."""
    found = sorted(((strides[k], k.size) for k in labels if k in strides), reverse=True)
    joined: list[tuple[int, int]] = []
    for stride, size in found:
        if joined and joined[-1][0] == stride * size:
            joined[-1] = (stride, joined[-1][1] * size)
        else:
            joined.append((stride, size))
    return joined


def method(terms: Sequence[Term]) -> str:
    """Which solve a square sum of terms admits."""
    if len(terms) == 1 and is_invertible(terms[0]):
        of_kind = {"identity": "scale", "diagonal": "divide", "permutation": "permute"}
        name = kind(terms[0])
        return of_kind.get(name, "dense" if name == "dense" else "kronecker")
    shifted = kronecker_plus_identity(terms)
    if shifted is None:
        return "dense"
    term, _, symmetric = shifted
    if symmetric:
        return "eigen"
    return "dense" if extent(flat(term.out)) <= SMALL else "schur"


def kronecker_plus_identity(terms: Sequence[Term]) -> tuple[Term, Term, bool] | None:
    """The Kronecker term, the identity term, and whether orthogonal eigenvectors diagonalise both.

    The Kronecker term has matrices for components, two of them where it is crossed by a
    commutation; without one, any number, of which two at most may be not known to be symmetric.
    """
    if len(terms) != 2:
        return None
    shift = [t for t in terms if kind(t) == "identity"]
    rest = [t for t in terms if kind(t) != "identity"]
    if len(shift) != 1 or not is_invertible(rest[0]):
        return None
    term = rest[0]
    parts = [c for c in components(term) if c.labels]
    roles = [_role(c, term) for c in parts]
    if "block" in roles:
        return None
    if aligned(term, parts):
        symmetric = all(
            r in ("delta", "diagonal") or _known_symmetric(c, term)
            for c, r in zip(parts, roles, strict=True)
        )
        if not symmetric and len(parts) > 2:
            return None
        return term, shift[0], symmetric
    if roles == ["matrix", "matrix"] and all(crossed(a, b, term) for a, b in pairwise(parts)):
        return term, shift[0], transposes(parts[0], parts[1], term)
    return None


def crossed(first: Component, second: Component, term: Term) -> bool:
    """Whether two components exchange their axes, each other's rows for columns."""
    strides_out, strides_in = _strides(flat(term.out)), _strides(flat(term.in_))
    return _intervals(first.labels, strides_out) == _intervals(second.labels, strides_in) and (
        _intervals(first.labels, strides_in) == _intervals(second.labels, strides_out)
    )


def _known_symmetric(component: Component, term: Term) -> bool:
    rows, columns, _ = sides(component, term)
    factors = component.factors
    if len(factors) != 1 or not factors[0].symmetric or _is_complex(factors[0]):
        return False
    return len(rows) == len(columns) == 1


def _is_complex(factor: Factor) -> bool:
    """Whether symmetric does not mean Hermitian, of which orthogonal eigenvectors come."""
    return np.issubdtype(factor.array.dtype, np.complexfloating)


def transposes(first: Component, second: Component, term: Term) -> bool:
    """Whether the second matrix (rows to columns) is the first one transposed: the same array."""
    if len(first.factors) != 1 or len(second.factors) != 1:
        return False
    (f,), (g,) = first.factors, second.factors
    if f.array is not g.array or len(f.labels) != 2 or _is_complex(f):
        return False
    row_first = [k in flat(term.out) for k in f.labels]
    return f.symmetric or row_first == [k in flat(term.in_) for k in g.labels]


def _place(component: Component, term: Term) -> int:
    """Where a component first stands among the axes of ``out``, or of ``in_``."""
    groups = (flat(term.out), flat(term.in_))
    return next(i for labels in groups for i, k in enumerate(labels) if k in component.labels)


def _formula(term: Term) -> str:
    parts = sorted((c for c in components(term) if c.labels), key=lambda c: _place(c, term))
    scaled = "s·" if any(not f.labels for f in term.factors) else ""
    pieces = []
    for c in parts:
        rows, columns, both = sides(c, term)
        role = _role(c, term)
        order = extent(rows)
        width = extent(columns)
        pieces.append(
            {
                "delta": f"I{extent(both)}",
                "diagonal": f"diag(d{extent(both)})",
                "vector": f"u{max(order, width)}",
            }.get(role)
            or ("" if not both else f"blocks{extent(both)}·") + f"M{order}×{width}"
        )
    square = [c for c in parts if _role(c, term) != "vector"]
    crossing = "" if aligned(term, square) else "·K"
    return scaled + (" ⊗ ".join(pieces) or "1") + crossing
