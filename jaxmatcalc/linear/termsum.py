"""A sum of terms between two shapes, as a pytree whose leaves are the factors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.linear.merge import merge
from jaxmatcalc.linear.packing import Spec, pack, unpack
from jaxmatcalc.linear.structure import Structure, structure
from jaxmatcalc.linear.term import Array, Term


class TermSum:
    """What a linear operator is, and what can be read off it; its methods stand elsewhere."""

    __slots__ = ("arrays", "fallbacks", "in_shape", "out_shape", "spec", "_dtype")

    arrays: tuple[Array, ...]
    spec: Spec
    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]
    fallbacks: tuple[str, ...]

    def __init__(
        self,
        terms: Iterable[Term],
        out_shape: tuple[int, ...],
        in_shape: tuple[int, ...],
        dtype: Any,
        fallbacks: tuple[str, ...] = (),
    ):
        self.arrays, self.spec = pack(merge(terms), dtype)
        self.out_shape, self.in_shape = tuple(out_shape), tuple(in_shape)
        self.fallbacks = tuple(dict.fromkeys(fallbacks))
        self._dtype = np.dtype(dtype)

    def tree_flatten(self) -> tuple[tuple[Array, ...], Any]:
        """The factors, and everything static."""
        return self.arrays, (
            self.spec,
            self.out_shape,
            self.in_shape,
            self.fallbacks,
            self._dtype,
        )

    @classmethod
    def tree_unflatten(cls, aux: Any, arrays: Iterable[Array]) -> Self:
        """The operator with these leaves, whatever they are."""
        self = object.__new__(cls)
        self.arrays = tuple(arrays)
        self.spec, self.out_shape, self.in_shape, self.fallbacks, self._dtype = aux
        return self

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the sum, with labels of their own."""
        return unpack(self.arrays, self.spec)

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the dense array."""
        return self._dtype

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the factors, where the operator is the result of a `vmap`."""
        if not self.arrays:
            return ()
        rank = next(
            len(labels) for factors, *_ in self.spec for index, labels, _ in factors if index == 0
        )
        full = jnp.shape(self.arrays[0])
        return full[: len(full) - rank]

    @property
    def shape(self) -> tuple[int, ...]:
        """``out_shape + in_shape``: the shape of `to_dense`, after the batch axes."""
        return self.out_shape + self.in_shape

    @property
    def _shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.out_shape, self.in_shape

    @property
    def structure(self) -> Structure:
        """What the operator is made of, and how `solve` and `logdet` go about it."""
        return structure(self._unbatched_terms(), self.out_shape, self.in_shape, self.fallbacks)

    def _unbatched_terms(self) -> tuple[Term, ...]:
        if not self.batch_shape:
            return self.terms
        drop = len(self.batch_shape)
        shapes = [jax.ShapeDtypeStruct(jnp.shape(a)[drop:], a.dtype) for a in self.arrays]
        return unpack(tuple(shapes), self.spec)

    def __repr__(self) -> str:
        if not all(hasattr(a, "shape") for a in self.arrays):  # a tree of placeholders
            return f"LinearOperator({self.in_shape} → {self.out_shape})"
        batch = f", batch {self.batch_shape}" if self.batch_shape else ""
        return (
            f"LinearOperator({self.in_shape} → {self.out_shape}, {self.dtype.name}{batch}: "
            f"{self.structure.formula})"
        )

    def rebuilt(
        self,
        terms: Iterable[Term],
        *others: TermSum,
        out_shape: tuple[int, ...] | None = None,
        in_shape: tuple[int, ...] | None = None,
        dtype: Any = None,
    ) -> Self:
        """An operator made from this one and others, which remembers every fallback on the way."""
        return type(self)(
            terms,
            self.out_shape if out_shape is None else out_shape,
            self.in_shape if in_shape is None else in_shape,
            self.dtype if dtype is None else dtype,
            sum((other.fallbacks for other in others), self.fallbacks),
        )
