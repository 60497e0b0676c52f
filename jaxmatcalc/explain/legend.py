"""What the signs in formulas mean, for those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jaxmatcalc.explain.atoms import Symbol
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.matrices import Node

_SIGNS = {
    "kron": "⊗ is the Kronecker product",
    "vec": "vec stacks columns",
    "hadamard": "∘ and ⊘ multiply and divide entry by entry",
    "khatri-rao": "⊙ is the Kronecker product column by column",
    "commutation": "Kₘₙ vec A = vec Aᵀ for A of (m, n)",
    "frechet": "L_f(X, E) is the derivative of f at X in the direction E",
    "frechet-matrix": "D_f(X) is ∂vec f(X) / ∂(vec X)ᵀ",
    "ones": "𝟏 is a column of ones",
    "sigmoid": "σ(u) = 1 / (1 + exp(−u))",
    "softplus": "softplus(u) = log(1 + exp(u))",
    "step": "step(u) is 1 where u > 0 and 0 elsewhere",
    "relu": "relu(u) is the larger of u and 0",
}


def legend(formulas: Iterable[Formula], symbols: Sequence[Symbol]) -> list[str]:
    """Lines about the signs and the symmetric arguments of formulas."""
    found: dict[str, None] = {}
    for formula in formulas:
        _collect(formula.expression, found)
    if "vec" not in found and any(len(s.shape) == 2 for s in symbols) and "kron" in found:
        found["vec"] = None
    notes = [text for sign, text in _SIGNS.items() if sign in found]
    mirrored = [s.name for s in symbols if s.symmetric]
    lines = [f"{', '.join(mirrored)} symmetric"] if mirrored else []
    return lines + (["; ".join(notes)] if notes else [])


def _collect(x: Node, found: dict[str, None]) -> None:
    found[x.kind] = None
    if x.kind == "entries":
        found[x.data] = None
    for a in x.args:
        _collect(a, found)
