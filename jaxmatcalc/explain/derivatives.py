"""The formulas of a function, each compared with automatic differentiation before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.explain.arguments import Arguments
from jaxmatcalc.explain.atoms import Symbol
from jaxmatcalc.explain.axes import merged, with_ones, without_ones
from jaxmatcalc.explain.building import multiplied_out
from jaxmatcalc.explain.checking import (
    LARGEST,
    Check,
    compare,
    jacobian,
    symmetrised,
    tolerance,
    vectorised,
)
from jaxmatcalc.explain.differentiate import Derivative
from jaxmatcalc.explain.expression import Node
from jaxmatcalc.explain.factoring import turned
from jaxmatcalc.explain.formula import read_length
from jaxmatcalc.explain.recover import Recovery
from jaxmatcalc.explain.replacing import replaced
from jaxmatcalc.explain.tensor import Tensor
from jaxmatcalc.explain.tracing import Reader
from jaxmatcalc.transforms.rewrite import rewrite

_ALONG = "along symmetric changes of symmetric arguments"
_MANY = 300  # terms of a derivative; what has more is not read by anyone
_OPENED = 12  # likewise, once brackets are multiplied out
_LONG = 400  # symbols and operators of a formula: likewise, unless it is short once parts have
_LONGEST, _READ = 3000, 150  # names
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
        self._samples, self._known = self._finite_samples()
        self._modes = [Mode(arguments, *mode) for mode in _MODES[:1]]
        self.shape = self._modes[0].value.shape

    def _finite_samples(self) -> tuple[list[jax.Array], Any]:
        """Arguments where the function and its first derivatives are finite, if any are found.

        With the value there, and the derivatives of the sum of its entries, from one program.
        """

        @jax.jit
        def slopes(*args: Any) -> Any:
            value, pullback = jax.vjp(self.arguments.function, *args)
            return value, pullback(jnp.ones_like(value))

        if self.arguments.given is not None:
            samples = list(self.arguments.given)
            return samples, slopes(*samples)
        tried = []
        for seed in range(_SEEDS):
            samples = self.arguments.sample(seed)
            tried.append((samples, slopes(*samples)))
            if all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(tried[-1][1])):
                return tried[-1]
        return tried[0]

    def value(self) -> Found:
        """The function itself."""
        return self._checked(lambda mode: mode.value, lambda f: f, "value", None, self._known[0])

    def first(self, position: int, matrix: bool) -> Found:
        """The derivative in one argument, as a Jacobian or in the shape of that argument."""

        def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
            if self.shape == ():
                return jax.jit(jax.grad(f, position))
            return lambda *args: jacobian(f, args, position)

        columns = len(self.shape) if matrix else None
        known = self._known[1][position] if self.shape == () else None
        self._through = (position,)
        return self._checked(lambda mode: mode.first(position), derivative, "first", columns, known)

    def second(self, position: int, other: int) -> Found:
        """The second derivative of a scalar function in two arguments, as a matrix."""

        def derivative(f: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *args: jacobian(jax.grad(f, position), args, other)

        columns = len(self.arguments.shapes[position].shape)
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
        known: Any = None,
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
            expression = mode.expression(found, columns)
            if expression.length > _LONG and (
                expression.length > _LONGEST or read_length(expression) > _READ
            ):
                break
            if np.prod(found.shape, dtype=float) > LARGEST:
                reason = f"it has {int(np.prod(found.shape)):,} entries"
                return Found(expression, Check(None, reason=reason))
            if reference is None:
                reference = self._truth(derivative, columns, known)
            values = {
                s.name: np.asarray(x, float)
                for s, x in zip(self.arguments.symbols, self._samples, strict=True)
            }
            close = tolerance(self._samples[0].dtype)
            check = compare(expression, values, reference, close)
            if check.right is False and self._mirrored_through:
                check = compare(expression, values, reference, close, self._symmetrised)
                check = replace(check, reason=_ALONG) if check.right else check
            if check.right:
                return Found(expression, check)
            if check.right is None and best is None:
                best = Found(expression, check)
        return best or self._by_name(name, columns)

    @property
    def _mirrored_through(self) -> list[tuple[int, int]]:
        """The axes, from the last, of symmetric matrices that are differentiated in, and orders."""
        symbols = [self.arguments.symbols[k] for k in self._through]
        return [(k - len(symbols), s.shape[0]) for k, s in enumerate(symbols) if s.symmetric]

    def _symmetrised(self, array: np.ndarray) -> np.ndarray:
        shape = array.shape
        if len(self._through) == 1 and len(self.shape) == 0:
            array = array.reshape(1, -1)
        for axis, n in self._mirrored_through:
            array = symmetrised(array, axis + array.ndim, n)
        return array.reshape(shape)

    def _truth(self, derivative: Callable[..., Any], columns: int | None, known: Any) -> np.ndarray:
        """What automatic differentiation says; by our rules where the plain ones are not finite."""
        found = np.asarray(
            derivative(self.arguments.function)(*self._samples) if known is None else known
        )
        if not np.isfinite(found).all():
            found = np.asarray(derivative(rewrite(self.arguments.function))(*self._samples))
        return found if columns is None else vectorised(found, columns)

    def _by_name(self, name: str, columns: int | None) -> Found:
        """The derivative as JAX gives it, under a name: shown in place of a wrong formula."""
        what = name if name == "value" else f"{name} derivative"
        self.lost.append(f"the {what} has no formula that is right and short")
        mode = self._modes[0]
        found = mode.reader.named(self.arguments.function, mode.symbols, self.shape)
        for position in self._through:
            found = mode.slope(found, position)
        found = found if columns is None else as_matrix(found, columns)
        return Found(Recovery().expression(found), Check(True))


class Mode:
    """One way of reading the function."""

    def __init__(self, arguments: Arguments, unshifted: bool = True, singular: bool = False):
        self.reader = Reader(unshifted, singular)
        self.recovery = Recovery()
        self.symbols = [Symbol(s.name, s.full) for s in arguments.symbols]
        self._mirrored = {s.name: s for s in arguments.symbols if s.symmetric}
        self._shapes = [s.shape for s in arguments.shapes]
        self.value = self.reader.read(arguments.function, list(arguments.shapes), self.symbols)
        self._derivatives = [Derivative(s) for s in self.symbols]
        self._first: dict[int, Tensor] = {}

    def expression(self, value: Tensor, columns: int | None = None) -> Node:
        """The shortest expression of a tensor, or of a derivative as a matrix.

        Symmetric arguments are used, Xᵀ = X: after the last differentiation. Brackets are
        multiplied out where the whole is shorter so.

        Args:
            value: the tensor.
            columns: for a matrix, the number of axes that its rows are made of.
        """
        value = replaced(value, self._mirrored) if self._mirrored else value
        value = value if columns is None else as_matrix(value, columns)
        best = turned(self.recovery.expression(value))
        opened = multiplied_out(value)
        if opened is not None and len(opened.terms) <= _OPENED:
            other = turned(self.recovery.expression(opened))
            best = other if other.length < best.length else best
        return best

    def first(self, position: int) -> Tensor:
        """The derivative in one argument."""
        if position not in self._first:
            self._first[position] = self.slope(self.value, position)
        return self._first[position]

    def slope(self, value: Tensor, position: int) -> Tensor:
        """A derivative with all axes of the value and of the argument, those of size 1 too."""
        found = self._derivatives[position](value)
        shape = (*value.shape, *self._shapes[position])
        return found if found.shape == shape else with_ones(without_ones(found), shape)

    def second(self, position: int, other: int) -> Tensor:
        """The second derivative in two arguments; the first where that is long already."""
        first = self.first(position)
        if len(first.terms) > _MANY:
            return first
        return self.slope(first, other)


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
