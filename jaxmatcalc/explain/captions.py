"""What stands around formulas: left sides, shapes, and what signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmatcalc.explain.atoms import Symbol
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.formula import Formula
from jaxmatcalc.explain.latex import Latex
from jaxmatcalc.explain.unicode import written

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
    "svdvals": "svdvals are singular values",
    "svdu": "svdu and svdv have singular vectors in their columns",
    "eigenvectors": "eigenvectors are columns",
}


def shown_shape(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    return "scalar" if not shape else f"({', '.join(map(str, shape))})"


def gradient_left(name: str, flip: bool) -> tuple[str, str]:
    """∂f/∂X in Unicode and LaTeX."""
    latex = Latex().symbol(name)
    mark, latex_mark = ("ᵀ", r"^\top") if flip else ("", "")
    return f"∂f/∂{name}{mark}", rf"\frac{{\partial f}}{{\partial {latex}{latex_mark}}}"


def jacobian_left(X: Any, shape: tuple[int, ...], flip: bool) -> tuple[tuple[str, str], str]:
    """∂vec f/∂(vec X)ᵀ or its transpose, and its layout in words."""
    latex = Latex().symbol(X.name)
    if not X.full:
        mark, latex_mark = ("ᵀ", r"^\top") if flip else ("", "")
        left = f"∂f{mark}/∂{X.name}", rf"\frac{{\partial f{latex_mark}}}{{\partial {latex}}}"
        return left, "the shape of the value" + (", transposed" if flip else "")
    over, under = ("f", X.name) if len(shape) == 1 else ("vec f", X.name)
    if len(X.full) > 1:
        under = f"vec {X.name}"
    down = under if flip else f"(∂{under})ᵀ" if len(X.full) > 1 else f"∂{under}ᵀ"
    text = f"∂({over})ᵀ/∂{under}" if flip else f"∂{over}/{down}"
    tall = r"\operatorname{vec} f" if len(shape) > 1 else "f"
    wide = rf"\operatorname{{vec}} {latex}" if len(X.full) > 1 else latex
    bottom = rf"\partial {wide}" if flip else rf"\partial ({wide})^\top"
    top = rf"\partial ({tall})^\top" if flip else rf"\partial {tall}"
    form = "∂(vec F)ᵀ / ∂vec X" if flip else "∂vec F / ∂(vec X)ᵀ"
    return (text, rf"\frac{{{top}}}{{{bottom}}}"), f"{form}, vec by columns"


def hessian_left(X: Any, Y: Any) -> tuple[str, str]:
    """∂²f/∂vec X ∂(vec Y)ᵀ."""

    def one(S: Any) -> tuple[str, str]:
        latex = Latex().symbol(S.name)
        if len(S.full) < 2:
            return S.name, latex
        return f"vec {S.name}", rf"\operatorname{{vec}} {latex}"

    (a, a_latex), (b, b_latex) = one(X), one(Y)
    if not X.full and X.name == Y.name:
        return f"∂²f/∂{a}²", rf"\frac{{\partial^2 f}}{{\partial {a_latex}^2}}"
    last = f"({b})ᵀ" if " " in b else f"{b}ᵀ" if Y.full else b
    last_latex = rf"({b_latex})^\top" if Y.full else b_latex
    text = f"∂²f/∂{a} ∂{last}"
    return text, rf"\frac{{\partial^2 f}}{{\partial {a_latex}\, \partial {last_latex}}}"


def code(derivative: str, names: Sequence[str], value: int, ndim: int, matrix: bool) -> str:
    """A derivative of `f` by JAX, as a matrix over vec by columns if asked for.

    Args:
        derivative: the transformed function.
        names: its arguments.
        value: number of axes of the value.
        ndim: number of axes of the derivative.
        matrix: whether its axes are merged.
    """
    text = f"{derivative}({', '.join(names)})"
    if not matrix or (value < 2 and ndim - value < 2):
        return text
    order = (*range(value)[::-1], *range(value, ndim)[::-1])
    return f"(lambda D: D.transpose{order}.reshape(math.prod(D.shape[:{value}]), -1))({text})"


def legend(formulas: Sequence[Formula], symbols: Sequence[Symbol]) -> list[str]:
    """Lines about the signs and the symmetric arguments of formulas."""
    found: dict[str, None] = {}
    for formula in formulas:
        _collect(formula.expression, found)
    if "vec" not in found and any(len(s.full) == 2 for s in symbols) and "kron" in found:
        found["vec"] = None
    notes = [text for sign, text in _SIGNS.items() if sign in found]
    mirrored = [s.name for s in symbols if s.symmetric]
    lines = [f"{', '.join(mirrored)} symmetric"] if mirrored else []
    constants = {
        name: value
        for f in formulas
        for name, value in f.constants.items()
        if written(name) in f.unicode
    }
    units = [written(name) for name, value in constants.items() if _is_unit(value)]
    have = "have" if len(units) > 1 else "has"
    held = [f"{', '.join(sorted(units))} {have} a single 1, in that place"] if units else []
    others = [(name, value) for name, value in constants.items() if not _is_unit(value)]
    held += [f"{written(name)} {_described(value)}" for name, value in others]
    return [*lines, *(["; ".join(held)] if held else []), *(["; ".join(notes)] if notes else [])]


def _is_unit(value: np.ndarray) -> bool:
    return value.ndim == 1 and value.sum() == 1 and (value != 0).sum() == 1


def _described(value: np.ndarray) -> str:
    """What the entries of a constant are, in words."""
    if value.ndim == 2:
        ones = np.ones(value.shape)
        sides = {
            "on and below the diagonal": np.tril(ones),
            "below the diagonal": np.tril(ones, -1),
            "on and above the diagonal": np.triu(ones),
            "above the diagonal": np.triu(ones, 1),
        }
        for where, side in sides.items():
            if (value == side).all():
                return f"has ones {where}"
        if (value + np.eye(*value.shape) / 2 == np.tril(ones)).all():
            return "has ones below the diagonal and halves on it"
    return f"is a constant array, ({', '.join(map(str, value.shape))})"


def _collect(x: Node, found: dict[str, None]) -> None:
    found[x.kind] = None
    if x.kind == "entries":
        found[x.data] = None
    if x.kind == "call":
        found[x.data.name] = None
    for a in x.args:
        if x.kind == "einsum" and a.kind == "ones":
            continue
        _collect(a, found)
