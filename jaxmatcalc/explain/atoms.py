"""The factors of a term: named arrays, and functions of tensors that stand as one array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxmatcalc.explain.tensor import Tensor


class Atom:
    """An array in a term.

    Attributes:
        shape: sizes of the axes.
        key: text that equal atoms share.
        symmetric: whether it is a matrix that equals its transpose.
        parts: the tensors it is a function of.
    """

    shape: tuple[int, ...]
    key: str
    symmetric: bool = False
    parts: tuple[Tensor, ...] = ()


class Symbol(Atom):
    """An argument of the function; a matrix of one row or column has one axis, of one entry none.

    Attributes:
        full: shape of the argument.
    """

    def __init__(self, name: str, shape: Sequence[int], symmetric: bool = False):
        self.name, self.full = name, tuple(shape)
        self.shape = tuple(n for n in shape if n != 1) if len(shape) == 2 else self.full
        self.symmetric = symmetric and len(self.shape) == 2
        self.key = name


class Constant(Atom):
    """An array that the function holds."""

    def __init__(self, name: str, value: np.ndarray):
        self.name, self.value, self.shape = name, value, value.shape
        self.symmetric = (
            value.ndim == 2 and value.shape[0] == value.shape[1] and bool((value == value.T).all())
        )
        self.key = f"={name}"


class Merge(Atom):
    """The 0-1 array that makes one axis of several, the last of them fastest.

    M[r, a, b] = 1 where r = a · size(b) + b.
    """

    def __init__(self, sizes: Sequence[int]):
        self.sizes = tuple(sizes)
        self.shape = (math.prod(sizes), *sizes)
        self.key = f"#merge{list(sizes)}"

    @property
    def value(self) -> np.ndarray:
        """The array."""
        return np.eye(self.shape[0]).reshape(self.shape)


class Group(Atom):
    """A sum in brackets."""

    def __init__(self, inner: Tensor):
        self.inner, self.shape, self.parts = inner, inner.shape, (inner,)
        self.symmetric = inner.symmetric
        self.key = f"({inner.key})"


class Elementwise(Atom):
    """A function of every entry."""

    def __init__(self, name: str, inner: Tensor):
        self.name, self.inner, self.shape, self.parts = name, inner, inner.shape, (inner,)
        self.symmetric = inner.symmetric
        self.key = f"{name}({inner.key})"


class VariablePower(Atom):
    """aᵇ, entry by entry, where the exponent is no number."""

    def __init__(self, base: Tensor, exponent: Tensor):
        self.base, self.exponent, self.shape = base, exponent, base.shape
        self.parts = (base, exponent)
        self.key = f"pow({base.key};{exponent.key})"


class Inverse(Atom):
    """The inverse of a matrix."""

    def __init__(self, inner: Tensor):
        self.inner, self.shape, self.parts = inner, inner.shape, (inner,)
        self.symmetric = inner.symmetric
        self.key = f"inv({inner.key})"


class Determinant(Atom):
    """``det`` of a matrix, or ``logdet``, the logarithm of its absolute value.

    A determinant whose matrix may be singular is differentiated through the adjugate.
    """

    def __init__(self, name: str, inner: Tensor, singular: bool = False):
        self.name, self.inner, self.parts, self.singular = name, inner, (inner,), singular
        self.shape = inner.shape[:-2]
        self.key = f"{name}({inner.key})"


class MatrixFunction(Atom):
    """A function of a matrix: ``expm``, ``logm``, ``sqrtm``, ``adj``, ``pinv``, ``cholesky``."""

    def __init__(self, name: str, inner: Tensor):
        self.name, self.inner, self.parts = name, inner, (inner,)
        self.shape = inner.shape[::-1]
        self.symmetric = inner.symmetric and name != "cholesky"
        self.key = f"{name}({inner.key})"


class Frechet(Atom):
    """The derivative of a function of a matrix, with the axes of the value before the matrix's."""

    def __init__(self, name: str, inner: Tensor):
        self.name, self.inner, self.parts = name, inner, (inner,)
        self.shape = inner.shape[::-1] + inner.shape
        self.key = f"d{name}({inner.key})"


class Call(Atom):
    """A function that has no matrix form, by its name; its derivative is another such.

    `smooth` says which of its operands it can be differentiated in: not in integers.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        parts: Sequence[Tensor],
        shape: Sequence[int],
        line: str = "",
        detail: str = "",
        smooth: Sequence[bool] = (),
    ):
        self.name, self.function, self.parts, self.shape = (
            name,
            function,
            tuple(parts),
            tuple(shape),
        )
        self.line, self.detail = line, detail
        self.smooth = tuple(smooth) or (True,) * len(self.parts)
        self.key = f"{name}{detail}<{';'.join(p.key for p in parts)}>"
