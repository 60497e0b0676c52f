"""Lane-wise bodies as plain XLA, in one loop over the matrices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Matrices in a block: fewer where there would be one block only, which is no loop
_BLOCK = 512
_SMALL_BLOCK = 128
_AT_ONCE = 4  # rows: their few results cost nothing to compute anew


def run(
    body: Callable[..., Any], outs: Sequence[tuple[int, int]], *arrays: jax.Array
) -> list[jax.Array]:
    """A body on arrays (rows, columns, matrices): its results, as such arrays of the shapes `outs`.

    What the body returns, in the order of `jax.tree.leaves`, fills the results row by row.
    """
    shapes = [(X.shape[0], X.shape[1]) for X in arrays]
    entries = [X[i, j] for X in arrays for i in range(X.shape[0]) for j in range(X.shape[1])]
    results = _in_one_loop(
        lambda flat: jax.tree.leaves(body(*_shaped(flat, shapes))),
        entries,
        sum(rows * columns for rows, columns in outs),
    )
    found = iter(results)
    return [
        jnp.stack([next(found) for _ in range(rows * columns)]).reshape(rows, columns, -1)
        for rows, columns in outs
    ]


def run_in_blocks(
    body: Callable[..., Any], outs: Sequence[tuple[int, int]], *arrays: jax.Array
) -> list[jax.Array]:
    """`run` on arrays (matrices, rows, columns), a block at a time, with such arrays as results.

    A block stays in the cache. And what is made in a loop is in memory after it: else XLA would
    compute the whole stack of results anew in whatever reads them.
    """
    batch, n = arrays[0].shape[:2]
    if n <= _AT_ONCE:
        return [
            jnp.moveaxis(Y, -1, 0)
            for Y in run(body, outs, *(jnp.moveaxis(X, 0, -1) for X in arrays))
        ]
    size = _SMALL_BLOCK if batch < 2 * _BLOCK else _BLOCK
    blocks = -(-batch // size)

    def cut(X: jax.Array) -> jax.Array:
        padded = jnp.pad(X, ((0, blocks * size - batch), (0, 0), (0, 0)))
        return padded.reshape(size, blocks, *X.shape[1:])

    # a block is every blocks-th matrix: where the batch is sharded, each device has a part of each
    cuts = [cut(X) for X in arrays]

    def block(k: jax.Array) -> list[jax.Array]:
        parts = [lax.dynamic_index_in_dim(X, k, axis=1, keepdims=False) for X in cuts]
        return run(body, outs, *(jnp.moveaxis(X, 0, -1) for X in parts))

    made = lax.map(block, jnp.arange(blocks))
    return [jnp.moveaxis(Y, -1, 0).reshape(blocks * size, *Y.shape[1:3])[:batch] for Y in made]


def _shaped(flat: Sequence[Any], shapes: Sequence[tuple[int, int]]) -> list[list[list[Any]]]:
    entries = iter(flat)
    return [[[next(entries) for _ in range(c)] for _ in range(r)] for r, c in shapes]


def _in_one_loop(
    body: Callable[[list[Any]], list[Any]], entries: list[jax.Array], results: int
) -> list[jax.Array]:
    """`body` of scalars, at every lane of `entries`.

    XLA has one loop with many results whose body is any program of scalars: a reduction. Written
    entry by entry, elimination is instead split into loops that repeat each other's work. Every
    lane holds its entries twice, and what combines two tuples is `body` of the second. That relies
    on XLA's order on a CPU, from the first to the last; this runner is for no other platform.
    """
    size, dtype = max(len(entries), results), entries[0].dtype
    given = [*entries, *([jnp.zeros_like(entries[0])] * (size - len(entries)))]
    twice = [jnp.broadcast_to(x, (2, *x.shape)) for x in given]

    def combine(_: tuple[Any, ...], last: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*body(list(last[: len(entries)])), *last[results:])

    zero = np.zeros((), dtype)
    made = lax.reduce(tuple(twice), (zero,) * size, combine, (0,))
    # Results that nobody reads stay: without them XLA rewrites the body, and compiles for a minute.
    return list(lax.optimization_barrier(tuple(made)))[:results]
