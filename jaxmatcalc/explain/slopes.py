"""Functions of every entry: their derivatives, which are functions of every entry again."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from jaxmatcalc.explain.building import elementwise, grouped, power, times
from jaxmatcalc.explain.tensor import Tensor, scalar

Slope = Callable[[Tensor], Tensor]


def _one(u: Tensor) -> Tensor:
    return scalar(1, u.shape)


def _square(u: Tensor) -> Tensor:
    return power(u, 2)


def _bump(u: Tensor, scale: float) -> Tensor:
    return elementwise("exp", _square(u).scaled(-1)).scaled(scale)


def _sigmoid(u: Tensor) -> Tensor:
    s = elementwise("sigmoid", u)
    return times(s, grouped(_one(u) + s.scaled(-1)))


def _root(u: Tensor, constant: int, square: int) -> Tensor:
    return power(scalar(constant, u.shape) + _square(u).scaled(square), Fraction(-1, 2))


SLOPES: dict[str, Slope] = {
    "exp": lambda u: elementwise("exp", u),
    "log": lambda u: power(u, -1),
    "sin": lambda u: elementwise("cos", u),
    "cos": lambda u: elementwise("sin", u).scaled(-1),
    "tan": lambda u: _one(u) + _square(elementwise("tan", u)),
    "asin": lambda u: _root(u, 1, -1),
    "acos": lambda u: _root(u, 1, -1).scaled(-1),
    "atan": lambda u: power(_one(u) + _square(u), -1),
    "sinh": lambda u: elementwise("cosh", u),
    "cosh": lambda u: elementwise("sinh", u),
    "tanh": lambda u: _one(u) + _square(elementwise("tanh", u)).scaled(-1),
    "asinh": lambda u: _root(u, 1, 1),
    "acosh": lambda u: _root(u, -1, 1),
    "atanh": lambda u: power(_one(u) + _square(u).scaled(-1), -1),
    "sigmoid": _sigmoid,
    "softplus": lambda u: elementwise("sigmoid", u),
    "abs": lambda u: elementwise("sign", u),
    "sign": lambda u: scalar(0, u.shape),
    "relu": lambda u: elementwise("step", u),
    "step": lambda u: scalar(0, u.shape),
    "floor": lambda u: scalar(0, u.shape),
    "ceil": lambda u: scalar(0, u.shape),
    "round": lambda u: scalar(0, u.shape),
    "cbrt": lambda u: power(elementwise("cbrt", u), -2).scaled(Fraction(1, 3)),
    "erf": lambda u: _bump(u, 2 / math.sqrt(math.pi)),
    "erfc": lambda u: _bump(u, -2 / math.sqrt(math.pi)),
    "lgamma": lambda u: elementwise("digamma", u),
}


def slope(name: str, u: Tensor) -> Tensor:
    """f'(u) of the function of this name; where there is no formula it is a function of its own."""
    known = SLOPES.get(name)
    return elementwise(f"{name}'", u) if known is None else known(u)
