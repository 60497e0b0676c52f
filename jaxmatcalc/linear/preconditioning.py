"""The part of a sum that is solved exactly: the preconditioner of the rest."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax

from jaxmatcalc.linear import contraction, solving
from jaxmatcalc.linear.kinds import kind
from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.structure import FORMED, methods, structure
from jaxmatcalc.linear.term import Factor, Term, extent, flat, shape

# Beyond so many products only single ones and pairs are tried
_MANY = 6


def exact_part(
    terms: Sequence[Term], dtype: Any, assume_a: str
) -> tuple[tuple[Term, ...], str] | None:
    """Terms near the sum, which structure solves, and its method; None if there are only diagonals.

    Kronecker products that are small in some directions, as covariances are, need the diagonal
    beside them: it comes in as its mean, with which the sum has eigenvectors, so that A ⊗ B + D is
    solved in as many steps as the spread of D asks for, whatever A and B are.
    """
    simple = [t for t in terms if kind(t) not in ("dense", "sparse")]
    firm = [t for t in simple if kind(t) not in ("identity", "diagonal", "low-rank")]
    if not firm:
        return None
    mean = merge(_mean(t, dtype) if kind(t) == "diagonal" else t for t in simple)
    base = [t for t in mean if kind(t) == "identity"]
    low = [t for t in mean if kind(t) == "low-rank"]
    found: list[Sequence[Term]] = [[*firm, *base, *low]]
    sizes = range(len(firm), 0, -1) if len(firm) <= _MANY else (2, 1)
    for size in sizes:
        found += [[*some, *base] for some in itertools.combinations(firm, size)]
    found += [[t] for t in firm]
    for some in map(merge, found):
        name = _method(some, assume_a)
        if name is not None:
            return some, name
    return None


def _mean(term: Term, dtype: Any) -> Term:
    """The mean of a diagonal, times the identity."""
    total = contraction.dense(contraction.trace(term), dtype)
    return replace(term, factors=(Factor(total / extent(flat(term.out)), ()),))


def _method(terms: Sequence[Term], assume_a: str) -> str | None:
    """How structure solves a sum, where it does: also where it is small."""
    found = structure(terms, shape(terms[0].out), shape(terms[0].in_))
    name = solving.choose(terms, found, None, assume_a)
    if name == "dense" and "schur" in methods(terms):
        name = "schur"
    if name == "schur" and jax.default_backend() != "cpu":
        return None
    return None if name in FORMED else name
