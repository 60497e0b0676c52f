"""Lane-wise bodies as plain XLA: in one loop over the matrices, or entry by entry."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc.kernels.apart import apart


def run(
    body: Callable[..., Any], outs: Sequence[tuple[int, int]], *arrays: jax.Array
) -> list[jax.Array]:
    """A body on arrays (rows, columns, matrices): its results, as such arrays of the shapes `outs`.

    What the body returns, in the order of `jax.tree.leaves`, fills the results row by row.
    """
    return apart(in_one_loop(body, tuple(outs)), *arrays)


def inline(
    body: Callable[..., Any], outs: Sequence[tuple[int, int]], *arrays: jax.Array
) -> list[jax.Array]:
    """What `run` gives, for XLA to fuse entry by entry with what is around it."""
    return _entry_by_entry(body, tuple(outs))(*arrays)


@functools.cache
def in_one_loop(
    body: Callable[..., Any], outs: tuple[tuple[int, int], ...]
) -> Callable[..., list[jax.Array]]:
    """A body as a program, one object for every call of the same kernel: it is compiled once."""
    count = sum(rows * columns for rows, columns in outs)

    def program(*arrays: jax.Array) -> list[jax.Array]:
        shapes, entries = _entries(arrays)
        return _filled(
            outs,
            _reduced(lambda flat: jax.tree.leaves(body(*_shaped(flat, shapes))), entries, count),
        )

    return program


@functools.cache
def _entry_by_entry(
    body: Callable[..., Any], outs: tuple[tuple[int, int], ...]
) -> Callable[..., list[jax.Array]]:
    def program(*arrays: jax.Array) -> list[jax.Array]:
        shapes, entries = _entries(arrays)
        return _filled(outs, jax.tree.leaves(body(*_shaped(entries, shapes))))

    return jax.jit(program)


def _entries(arrays: Sequence[jax.Array]) -> tuple[list[tuple[int, int]], list[jax.Array]]:
    """The shapes of the matrices in arrays (rows, columns, matrices), and their entries."""
    shapes = [(X.shape[0], X.shape[1]) for X in arrays]
    return shapes, [X[i, j] for X in arrays for i in range(X.shape[0]) for j in range(X.shape[1])]


def _filled(outs: Sequence[tuple[int, int]], entries: Sequence[jax.Array]) -> list[jax.Array]:
    """The arrays (rows, columns, matrices) of these entries."""
    rest = iter(entries)
    return [
        jnp.stack([next(rest) for _ in range(rows * columns)]).reshape(rows, columns, -1)
        for rows, columns in outs
    ]


def _shaped(flat: Sequence[Any], shapes: Sequence[tuple[int, int]]) -> list[list[list[Any]]]:
    entries = iter(flat)
    return [[[next(entries) for _ in range(c)] for _ in range(r)] for r, c in shapes]


def _reduced(
    body: Callable[[list[Any]], list[Any]], entries: list[jax.Array], results: int
) -> list[jax.Array]:
    """`body` of scalars, at every lane of `entries`.

    XLA has one loop with many results whose body is any program of scalars: a reduction. Written
    entry by entry, elimination is instead split into loops that repeat each other's work. Every
    lane holds its entries twice, and what combines two tuples is `body` of the second. That relies
    on XLA's order on a CPU, from the first to the last; this runner is for no other platform, and
    the tests compare every body with NumPy on the oldest and the newest JAX. A mark that says which
    of two tuples is a result would make the order matter no more, and the body be computed twice.
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
