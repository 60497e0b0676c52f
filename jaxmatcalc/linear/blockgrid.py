"""Blocks in rows and columns between two pytrees, as a pytree itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.linear import elimination
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.structure import Structure

Rows = tuple[tuple[LinearOperator, ...], ...]


class BlockGrid:
    """What a block operator is, and what can be read off it; its methods stand elsewhere."""

    __slots__ = ("rows", "out_tree", "in_tree")

    rows: Rows
    out_tree: Any
    in_tree: Any

    def __init__(self, rows: Sequence[Sequence[LinearOperator]], out_tree: Any, in_tree: Any):
        depth = max((op.batch_shape for row in rows for op in row), key=len, default=())
        self.rows = tuple(tuple(_over(op, depth) for op in row) for row in rows)
        self.out_tree, self.in_tree = out_tree, in_tree

    def tree_flatten(self) -> tuple[Rows, Any]:
        """The blocks; the pytrees are static."""
        return self.rows, (self.out_tree, self.in_tree)

    @classmethod
    def tree_unflatten(cls, aux: Any, rows: Any) -> Self:
        """The operator with these blocks, whatever they are."""
        self = object.__new__(cls)
        self.rows, (self.out_tree, self.in_tree) = tuple(rows), aux
        return self

    @property
    def blocks(self) -> Any:
        """The blocks in the pytrees of JAX: the result's, with the argument's at each leaf."""
        return self._nested(lambda op: op)

    def _nested(self, function: Callable[[LinearOperator], Any]) -> Any:
        rows = [jax.tree.unflatten(self.in_tree, list(map(function, row))) for row in self.rows]
        return jax.tree.unflatten(self.out_tree, rows)

    def __getitem__(self, key: Any) -> Any:
        return self.blocks[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def columns(self) -> Rows:
        """The blocks by column, one for each leaf of the argument."""
        return tuple(zip(*self.rows, strict=True))

    @property
    def out_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the result's leaves, without batch axes."""
        return tuple(row[0].out_shape for row in self.rows if row)

    @property
    def in_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the argument's leaves, without batch axes."""
        return tuple(op.in_shape for op in self.rows[0]) if self.rows else ()

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the matrix: that of all blocks together."""
        found = [op.dtype for row in self.rows for op in row]
        return np.dtype(functools.reduce(jnp.promote_types, found or [jnp.zeros(()).dtype]))

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the factors, where the operator is the result of a `vmap`."""
        return max((op.batch_shape for row in self.rows for op in row), key=len, default=())

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The operations that lost structure in a block, each with its source line."""
        return tuple(
            dict.fromkeys(line for row in self.rows for op in row for line in op.fallbacks)
        )

    @property
    def structure(self) -> Structure:
        """What the blocks are made of, and how `solve` and `logdet` go about them.

        The kind is "block"; the formula has the rows of blocks one after another. The method is
        "blocks" (each alone), "eliminate" (block elimination, by Schur complement), "dense" or
        "gmres", as in `Structure`; "none" if the operator is not square.
        """
        found = [[op.structure.formula for op in row] for row in self.rows]
        formula = "; ".join(", ".join(row) for row in found)
        name = "none"
        if self._is_square:
            name = elimination.method(elimination.plan(self.rows, lambda op: op.structure.method))
        return Structure("block", f"[{formula}]", name, self.fallbacks)

    @property
    def _is_square(self) -> bool:
        return self.out_tree == self.in_tree and self.out_shapes == self.in_shapes

    def __repr__(self) -> str:
        head = f"BlockOperator({len(self.rows)} × {self.in_tree.num_leaves} blocks"
        arrays = [a for row in self.rows for op in row for a in getattr(op, "arrays", (None,))]
        if not all(hasattr(a, "shape") for a in arrays):  # a tree of placeholders
            return f"{head})"
        batch = f", batch {self.batch_shape}" if self.batch_shape else ""
        return f"{head}, {self.dtype.name}{batch}: {self.structure.formula})"

    def rebuilt(self, rows: Sequence[Sequence[LinearOperator]], swap: bool = False) -> Self:
        """An operator between the same pytrees, or with the two exchanged."""
        trees = (self.in_tree, self.out_tree) if swap else (self.out_tree, self.in_tree)
        return type(self)(rows, *trees)

    def part(self, indices: Sequence[int]) -> Self:
        """Some of the rows, and the same columns."""
        tree = jax.tree.structure([0] * len(indices))
        return type(self)([[self.rows[i][j] for j in indices] for i in indices], tree, tree)


def _over(op: LinearOperator, batch: tuple[int, ...]) -> LinearOperator:
    """An operator with these batch axes, where it has factors and none."""
    if not op.arrays or op.batch_shape == batch:
        return op
    leaves, tree = jax.tree.flatten(op)
    return jax.tree.unflatten(tree, [jnp.broadcast_to(a, batch + jnp.shape(a)) for a in leaves])
