"""Solves by products, with the iterations of `jax.scipy.sparse.linalg`.

The wanted relative residual ‖b - A x‖ / ‖b‖ is 100 ε, ε the spacing of the dtype at one. The
residual is measured, and what is left of it is solved for again, until it is so small, or no longer
falls, or there were as many products as unknowns (1,000 where there are fewer): for a matrix
without structure that is the work of a direct solve. A solution with a relative residual above √ε
is not one, and comes back as NaN.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.sparse import linalg

from jaxmatcalc._precision import vdot
from jaxmatcalc.linear.term import Array

METHODS = ("cg", "gmres", "bicgstab")

# Vectors that GMRES keeps until it starts again
_RESTART = 50
# Runs of the others: what a residual by recurrence has lost is small after the first
_ROUNDS = 3

Tree = Any  # arrays of one dtype
Map = Callable[[Tree], Tree]


def solve(product: Map, b: Tree, name: str, preconditioner: Map, fallback: Map) -> Tree:
    """x with A x = b, for arrays of one dtype.

    Args:
        product: x ↦ A x.
        b: the right-hand side.
        name: one of `METHODS`; "cg" takes A to be symmetric (Hermitian) and positive definite.
        preconditioner: a linear map near A⁻¹.
        fallback: another, in its place where that of b is not finite.

    Returns:
        A tree as b, NaN where the relative residual is above √ε.
    """
    leaves = jax.tree.leaves(b)
    unknowns = sum(leaf.size for leaf in leaves)
    if not unknowns:
        return b
    eps = float(jnp.finfo(leaves[0].dtype).eps)
    limit = max(unknowns, 1000)
    restart = min(_RESTART, unknowns)
    rounds = -(-limit // restart) if name == "gmres" else _ROUNDS

    def improved(state: tuple[Tree, Tree, Array, Array, Array]) -> Any:
        x, r, left, _, count = state
        step = _correction(product, _over(r, left), name, preconditioner, fallback, limit, restart)
        new = jax.tree.map(lambda a, d: a + left.astype(d.dtype) * d, x, step)
        new_r = jax.tree.map(jnp.subtract, b, product(new))
        new_left = _norm(new_r)
        better = new_left < left  # false also for NaN
        x, r = _chosen(better, new, x), _chosen(better, new_r, r)
        return x, r, jnp.where(better, new_left, left), left, count + 1

    def unfinished(state: tuple[Tree, Tree, Array, Array, Array]) -> Array:
        _, _, left, before, count = state
        return (left > 100 * eps) & (left < 0.9 * before) & (count < rounds)

    size = _norm(b)
    b = _over(b, size)
    start = (jax.tree.map(jnp.zeros_like, b), b, _norm(b), jnp.full_like(size, jnp.inf), 0)
    x, _, left, _, _ = lax.while_loop(unfinished, improved, start)
    solved = left <= math.sqrt(eps)
    return jax.tree.map(lambda a: jnp.where(solved, a * size.astype(a.dtype), jnp.nan), x)


def _correction(
    product: Map, r: Tree, name: str, preconditioner: Map, fallback: Map, limit: int, restart: int
) -> Tree:
    """An approximate A⁻¹ r, for r of norm one: one run of an iteration."""
    first = preconditioner(r)
    sound = functools.reduce(
        operator.and_, (jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(first))
    )
    # JAX's GMRES takes what is below ε for zero: the preconditioned residual has norm one as well
    unit = _norm(_chosen(sound, first, fallback(r)))

    def scaled(r: Tree) -> Tree:
        return _over(_chosen(sound, preconditioner(r), fallback(r)), unit)

    tol = 100 * float(jnp.finfo(unit.dtype).eps)
    if name == "gmres":
        x, _ = linalg.gmres(
            product,
            r,
            tol=tol,
            restart=restart,
            maxiter=1,
            M=scaled,
            solve_method="incremental",
        )
        return x
    iteration = linalg.cg if name == "cg" else linalg.bicgstab
    return iteration(product, r, tol=tol, maxiter=limit, M=scaled)[0]


def jacobi(diagonal: Tree) -> Map:
    """Division by a diagonal, whose zeros count as its largest entry."""
    largest = functools.reduce(
        jnp.maximum, (jnp.max(jnp.abs(d), initial=0) for d in jax.tree.leaves(diagonal))
    )
    filled = jax.tree.map(
        lambda d: jnp.where(d == 0, _nonzero(largest).astype(d.dtype), d), diagonal
    )
    return lambda r: jax.tree.map(lambda a, d: a / d.astype(a.dtype), r, filled)


def is_small(residual: Tree, b: Tree) -> Array:
    """Whether a residual is at most √ε, relative to b."""
    size = _norm(b)
    return _norm(residual) <= math.sqrt(float(jnp.finfo(size.dtype).eps)) * size


def _norm(x: Tree) -> Array:
    return jnp.sqrt(sum(vdot(leaf, leaf).real for leaf in jax.tree.leaves(x)))


def _nonzero(size: Array) -> Array:
    return jnp.where(size == 0, 1, size)


def _over(x: Tree, size: Array) -> Tree:
    return jax.tree.map(lambda leaf: leaf / _nonzero(size).astype(leaf.dtype), x)


def _chosen(first: Array, x: Tree, y: Tree) -> Tree:
    return jax.tree.map(functools.partial(jnp.where, first), x, y)
