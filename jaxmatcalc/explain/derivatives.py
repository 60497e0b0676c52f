"""The formulas of a function, each compared with automatic differentiation before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.explain.algebra import merged
from jaxmatcalc.explain.arguments import Arguments
from jaxmatcalc.explain.atoms import Call, Symbol
from jaxmatcalc.explain.checking import (
    LARGEST,
    Check,
    compare,
    jacobian,
    tolerance,
    vectorised,
)
from jaxmatcalc.explain.differentiate import Derivative, slope_of_call
from jaxmatcalc.explain.matrices import Node
from jaxmatcalc.explain.recover import Recovery
from jaxmatcalc.explain.replacing import replaced
from jaxmatcalc.explain.shortening import turned
from jaxmatcalc.explain.tensor import Tensor, of_atom
from jaxmatcalc.explain.tracing import Reader
from jaxmatcalc.transforms.rewrite import rewrite

_MANY = 300  # terms of a derivative; what has more is not read by anyone
_LONG = 400  # symbols and operators of a formula: likewise
_SEEDS = 3

# How programs are read: as plainly as can be, and where that is wrong as literally as can be
_MODES = ((True, False), (False, False), (True, True))


@dataclass(frozen=True)
class Found:
    """An expression and what came of its check."""

    expression: Node
    check: Check
    line: str = ""


class Formulas:
    """Expressions of a function and of its derivatives.

    Args:
        arguments: the function and its arrays.
    """

    def __init__(self, arguments: Arguments):
        self.arguments = arguments
        self.lost: list[str] = []
        self._through: tuple[int, ...] = ()  # the arguments that are being differentiated in
        self._reference = arguments.function
        self._samples = self._finite_samples()
        self._modes = [Mode(arguments, *mode) for mode in _MODES[:1]]
        self.shape = self._modes[0].value.shape

    def _finite_samples(self) -> list[jax.Array]:
        """Arguments where the function and its first derivatives are finite, if any are found."""
        if self.arguments.given is not None:
            return list(self.arguments.given)
        for seed in range(_SEEDS):
            samples = self.arguments.sample(seed)
            value, pullback = jax.vjp(jax.jit(self.arguments.function), *samples)
            slopes = pullback(jnp.ones_like(value))
            if all(np.isfinite(np.asarray(x)).all() for x in [value, *slopes]):
                return samples
        return self.arguments.sample(0)

    def value(self) -> Found:
        """The function itself."""
        return self._checked(lambda mode: mode.value, lambda f: f, "value", None)

    def first(self, position: int, matrix: bool) -> Found:
        """The derivative in one argument, as a Jacobian or in the shape of that argument."""

        def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
            if self.shape == ():
                return jax.jit(jax.grad(f, position))
            return lambda *args: jacobian(f, args, position)

        columns = len(self.shape) if matrix else None
        self._through = (position,)
        return self._checked(lambda mode: mode.first(position), derivative, "first", columns)

    def second(self, position: int, other: int) -> Found:
        """The second derivative of a scalar function in two arguments, as a matrix."""

        def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *args: jacobian(jax.grad(f, position), args, other)

        columns = len(self.arguments.symbols[position].shape)
        self._through = (position, other)
        return self._checked(
            lambda mode: mode.second(position, other), derivative, "second", columns
        )

    def _checked(
        self,
        formula: Callable[[Mode], Tensor],
        derivative: Callable[..., Any],
        name: str,
        columns: int | None,
    ) -> Found:
        """The first expression, by the ways of reading, that is right or cannot be checked."""
        reference: Any = None
        best: Found | None = None
        for k in range(len(_MODES)):
            if k == len(self._modes):
                self._modes.append(Mode(self.arguments, *_MODES[k]))
            mode = self._modes[k]
            found = formula(mode)
            if len(found.terms) > _MANY:
                break
            found = mode.mirrored(found)
            if columns is not None:
                found = as_matrix(found, columns)
            expression = turned(mode.recovery.expression(found))
            if expression.length > _LONG:
                break
            if np.prod(found.shape, dtype=float) > LARGEST:
                reason = f"it has {int(np.prod(found.shape)):,} entries"
                return Found(expression, Check(None, reason=reason))
            if reference is None:
                reference = self._truth(derivative, columns)
            values = {
                s.name: np.asarray(x, float)
                for s, x in zip(self.arguments.symbols, self._samples, strict=True)
            }
            check = compare(expression, values, reference, tolerance(self._samples[0].dtype))
            if check.right:
                return Found(expression, check)
            if check.right is None and best is None:
                best = Found(expression, check)
        return best or self._by_name(name, columns)

    def _truth(self, derivative: Callable[..., Any], columns: int | None) -> np.ndarray:
        """What automatic differentiation says; by our rules where the plain ones are not finite."""
        for f in (self._reference, rewrite(self._reference)):
            found = np.asarray(derivative(f)(*self._samples))
            if np.isfinite(found).all():
                break
        return found if columns is None else vectorised(found, columns)

    def _by_name(self, name: str, columns: int | None) -> Found:
        """The derivative as JAX gives it, under a name: shown in place of a wrong formula."""
        self.lost.append(f"the {name} derivative has no formula that is right and short")
        parts = [of_atom(s) for s in self.arguments.symbols]
        atom = Call("f", self.arguments.function, parts, self.shape)
        for position in self._through:
            atom = slope_of_call(atom, position)
        found = of_atom(atom) if columns is None else as_matrix(of_atom(atom), columns)
        return Found(Recovery().expression(found), Check(True))


class Mode:
    """One way of reading the function."""

    def __init__(self, arguments: Arguments, unshifted: bool = True, singular: bool = False):
        self.reader = Reader(unshifted, singular)
        self.recovery = Recovery()
        self.symbols = [Symbol(s.name, s.shape) for s in arguments.symbols]
        self._mirrored = {s.name: s for s in arguments.symbols if s.symmetric}
        self.value = self.reader.read(arguments.function, list(arguments.shapes), self.symbols)
        self._derivatives = [Derivative(s) for s in self.symbols]
        self._first: dict[int, Tensor] = {}

    def mirrored(self, value: Tensor) -> Tensor:
        """A tensor with Xᵀ = X for the symmetric arguments: after the last differentiation."""
        return replaced(value, self._mirrored) if self._mirrored else value

    def first(self, position: int) -> Tensor:
        """The derivative in one argument."""
        if position not in self._first:
            self._first[position] = self._derivatives[position](self.value)
        return self._first[position]

    def second(self, position: int, other: int) -> Tensor:
        """The second derivative in two arguments; the first where that is long already."""
        first = self.first(position)
        if len(first.terms) > _MANY:
            return first
        return self._derivatives[other](first)


def as_matrix(value: Tensor, first: int) -> Tensor:
    """A derivative as ∂vec F / ∂(vec X)ᵀ: both groups of axes reversed and merged."""
    order = (*range(first)[::-1], *range(first, value.ndim)[::-1])
    value = value.permuted(order)
    inside = value.ndim - first
    if inside > 1:
        value = merged(value, first, inside)
    if first > 1:
        value = merged(value, 0, first)
    return value
