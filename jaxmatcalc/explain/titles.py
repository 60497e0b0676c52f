"""The left sides of formulas, and shapes, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxmatcalc.explain import matrices as mx
from jaxmatcalc.explain.latex import Latex


def plain_shape(x: mx.Node) -> tuple[int, ...]:
    """The shape as an array: a column has one axis."""
    return x.shape[:1] if len(x.shape) == 2 and x.shape[1] == 1 else x.shape


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
    if not X.shape:
        left = f"∂f/∂{X.name}", rf"\frac{{\partial f}}{{\partial {latex}}}"
        return left, "the shape of the value"
    over, under = ("f", X.name) if len(shape) == 1 else ("vec f", X.name)
    if len(X.shape) > 1:
        under = f"vec {X.name}"
    down = under if flip else f"(∂{under})ᵀ" if len(X.shape) > 1 else f"∂{under}ᵀ"
    text = f"∂({over})ᵀ/∂{under}" if flip else f"∂{over}/{down}"
    tall = r"\operatorname{vec} f" if len(shape) > 1 else "f"
    wide = rf"\operatorname{{vec}} {latex}" if len(X.shape) > 1 else latex
    bottom = rf"\partial {wide}" if flip else rf"\partial ({wide})^\top"
    top = rf"\partial ({tall})^\top" if flip else rf"\partial {tall}"
    form = "∂(vec F)ᵀ / ∂vec X" if flip else "∂vec F / ∂(vec X)ᵀ"
    return (text, rf"\frac{{{top}}}{{{bottom}}}"), f"{form}, vec by columns"


def hessian_left(X: Any, Y: Any) -> tuple[str, str]:
    """∂²f/∂vec X ∂(vec Y)ᵀ."""

    def one(S: Any) -> tuple[str, str]:
        latex = Latex().symbol(S.name)
        if len(S.shape) < 2:
            return S.name, latex
        return f"vec {S.name}", rf"\operatorname{{vec}} {latex}"

    (a, a_latex), (b, b_latex) = one(X), one(Y)
    if not X.shape and X.name == Y.name:
        return f"∂²f/∂{a}²", rf"\frac{{\partial^2 f}}{{\partial {a_latex}^2}}"
    last = f"({b})ᵀ" if " " in b else f"{b}ᵀ" if Y.shape else b
    last_latex = rf"({b_latex})^\top" if Y.shape else b_latex
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
