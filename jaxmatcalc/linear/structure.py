"""Reading structure off a sum of terms: what it is called, and which solve it admits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from jaxmatcalc.linear import commuting, crossed, iterative, pencil, woodbury
from jaxmatcalc.linear.kinds import aligned, is_invertible, kind, role, sides
from jaxmatcalc.linear.term import Component, Term, components, extent, flat

# A general matrix up to this order is solved by LU: an eigen- or Schur decomposition of its factors
# costs more calls than it saves flops. Schur forms there are on CPUs alone.
SMALL = 256
# A matrix without structure up to this order is formed and solved by LU; of order 4,096 that is 134
# MB in float64 and 46 Gflop, a second on two cores. Four times the order is 2 GB and a minute.
LARGE = 4096

# The methods that use no structure
FORMED = ("dense", *iterative.METHODS)


@dataclass(frozen=True)
class Structure:
    """What an operator is made of.

    Attributes:
        kind: "zero", "identity" (scaled), "diagonal", "permutation", "diagonal+commutation", "block
            diagonal", "kronecker", "kronecker+commutation", "low-rank", "sparse", "dense", or such
            kinds joined by " + ".
        formula: one short formula, a piece a term; M is a matrix, d a diagonal, I an identity.
        method: how `solve` and `logdet` go: "scale", "divide", "permute", "kronecker" (factor by
            factor), "eigen" or "schur" (sums of Kronecker products with one matrix an axis, as
            A ⊗ B + ρI and A ⊗ I + I ⊗ B, and of any two, A ⊗ B + C ⊗ D), "woodbury" (low rank added
            to one of these); without structure "dense", and "gmres" in more than 4,096 unknowns,
            which is "cg" where `solve` is told that the operator is positive definite; "none" if
            not square. A determinant is never iterated: there "gmres" is "dense".
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
    # "kronecker + identity" and "diagonal + low-rank", whatever the order of the sum
    ordered = sorted(dict.fromkeys(kinds), key=lambda k: (k == "identity", k == "low-rank"))
    name = " + ".join(ordered) or "zero"
    if name in ("kronecker", "low-rank", "kronecker+commutation") and len(terms) > 1:
        name = f"sum of {len(terms)} {name}"
    return Structure(name, formula, method(terms) if square and terms else "none", fallbacks)


def method(terms: Sequence[Term]) -> str:
    """Which solve a square sum of terms admits."""
    if len(terms) == 1 and is_invertible(terms[0]):
        of_kind = {"identity": "scale", "diagonal": "divide", "permutation": "permute"}
        name = kind(terms[0])
        order = extent(flat(terms[0].out))
        return of_kind.get(name, formed(order) if name == "dense" else "kronecker")
    parts = woodbury.split(terms)
    if parts is not None and method(parts[0]) not in FORMED:
        return "woodbury"
    order = extent(flat(terms[0].out))
    general = "schur" if order > SMALL and jax.default_backend() == "cpu" else formed(order)
    found = commuting.layout(terms)
    if found is not None:
        return "eigen" if found.symmetric else general
    pair = crossed.crossed_plus_identity(terms)
    if pair is not None:
        return "eigen" if pair[2] else general
    return formed(order) if pencil.pair(terms) is None else general


def formed(order: int) -> str:
    """How a matrix without structure is solved."""
    return "dense" if order <= LARGE else "gmres"


def methods(terms: Sequence[Term]) -> list[str]:
    """Every method that may be asked for, but the iterative ones."""
    chosen, allowed = method(terms), ["dense"]
    if len(terms) == 1 and is_invertible(terms[0]):
        allowed += ["kronecker"]
    if commuting.layout(terms) is not None or pencil.pair(terms) is not None:
        allowed += ["eigen", "schur"]
    pair = crossed.crossed_plus_identity(terms)
    if pair is not None:  # the singular vectors are those of M ⊗ Mᵀ and of no other pair
        allowed += ["eigen", "schur"] if pair[2] else ["schur"]
    if chosen not in FORMED:
        allowed.append(chosen)
    return list(dict.fromkeys(allowed))


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
        order = extent(rows)
        width = extent(columns)
        pieces.append(
            {
                "delta": f"I{extent(both)}",
                "diagonal": f"diag(d{extent(both)})",
                "vector": f"u{max(order, width)}",
            }.get(role(c, term))
            or ("" if not both else f"blocks{extent(both)}·") + f"M{order}×{width}"
        )
    square = [c for c in parts if role(c, term) != "vector"]
    crossing = "" if aligned(term, square) else "·K"
    return scaled + (" ⊗ ".join(pieces) or "1") + crossing
