"""The methods of a block operator, as functions of lists of arrays: one for each leaf."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul, vdot
from jaxmatcalc.linear import arithmetic, elimination, iterative, solving
from jaxmatcalc.linear.blockdense import Arrays, cut, formed, joined, matrix, split
from jaxmatcalc.linear.elimination import Piece
from jaxmatcalc.linear.structure import LARGE
from jaxmatcalc.linear.term import Array

if TYPE_CHECKING:
    from jaxmatcalc.linear.block import BlockOperator
    from jaxmatcalc.linear.operator import LinearOperator

# From a block to the function that solves with it
Solver = Callable[["LinearOperator"], Callable[[Array], Array]]


def apply(H: BlockOperator, xs: Arrays) -> Arrays:
    """The product with one array for every column of blocks."""
    images = []
    for row, shape in zip(H.rows, H.out_shapes, strict=True):
        dtype = jnp.result_type(*(op.dtype for op in row), *xs)
        pairs = zip(row, xs, strict=True)
        parts = [arithmetic.apply(op, x).astype(dtype) for op, x in pairs if op.terms]
        images.append(functools.reduce(jnp.add, parts) if parts else jnp.zeros(shape, dtype))
    return images


def compose(left: BlockOperator, right: BlockOperator) -> list[list[LinearOperator]]:
    """The blocks of the product, left after right."""
    return [
        [
            functools.reduce(
                arithmetic.add,
                (arithmetic.compose(a, b) for a, b in zip(row, column, strict=True)),
            )
            for column in zip(*right.rows, strict=True)
        ]
        for row in left.rows
    ]


def transpose(H: BlockOperator) -> BlockOperator:
    """Exchange rows and columns."""
    return H.rebuilt([list(map(arithmetic.transpose, c)) for c in H.columns], swap=True)


def solve(
    H: BlockOperator,
    bs: Arrays,
    method: str | None,
    assume_a: str,
    symmetric: tuple[bool, ...] = (),
) -> Arrays:
    """The solution, one array for every row of blocks, in the dtype of all.

    dx = A⁻¹ (db - dA x), as for one operator. Leaves that are `symmetric` matrices stay such.
    """
    if not bs:
        return bs
    if any(symmetric):
        xs = solve(_on_symmetric(H, symmetric), bs, method, assume_a)
        return [(x + x.T) / 2 if s else x for x, s in zip(xs, symmetric, strict=True)]
    dtype = jnp.result_type(H.dtype, *bs)
    pieces = planned(H, method, assume_a, "solve")
    nonzero(H, pieces)

    def product(xs: Arrays) -> Arrays:
        return [y.astype(dtype) for y in apply(H, xs)]

    return lax.custom_linear_solve(
        product,
        [b.astype(dtype) for b in bs],
        lambda _, bs: _solved(H, bs, pieces, assume_a),
        lambda _, bs: _solved(transpose(H), bs, pieces, assume_a),
    )


def _on_symmetric(H: BlockOperator, symmetric: tuple[bool, ...]) -> BlockOperator:
    """An operator that agrees with this one where these leaves are symmetric matrices."""
    rows = [list(row) for row in H.rows]
    for k, (row, only) in enumerate(zip(rows, symmetric, strict=True)):
        if only:
            row[k] = row[k].rebuilt(solving.on_symmetric(row[k].terms))
    return H.rebuilt(rows)


def nonzero(H: BlockOperator, pieces: Sequence[Piece]) -> None:
    """No leaf is mapped to zero."""
    for piece in pieces:
        if not any(H.rows[i][j].terms for i in piece.indices for j in piece.indices):
            raise _checks.zero_block(piece.indices[0])


def planned(H: BlockOperator, method: str | None, assume_a: str, operation: str) -> list[Piece]:
    """What is solved together, and how."""

    def of_block(op: LinearOperator) -> str:
        return solving.choose(op.terms, op.structure, None, assume_a) if op.terms else "none"

    if method is None:
        return elimination.plan(H.rows, of_block, assume_a)
    found = elimination.plan(H.rows, of_block, assume_a, above=0)
    words = ("dense", *elimination.named(found))
    words += iterative.METHODS if operation == "solve" else ()
    _checks.option(operation, "method, for these blocks,", method, words)
    if method in elimination.BY_BLOCKS:
        return found
    return [Piece(tuple(range(len(H.rows))), (), method)]


def _solved(H: BlockOperator, bs: Arrays, pieces: Sequence[Piece], assume_a: str) -> Arrays:
    xs = list(bs)
    for piece in pieces:
        part, b = H.part(piece.indices), [bs[i] for i in piece.indices]
        if piece.method == "single":
            x = [arithmetic._solution(part.rows[0][0], b[0], None, assume_a)]
        elif piece.method == "eliminate":
            x = _eliminated(part, b, piece.places, assume_a)
        elif piece.method == "dense":
            x = dense_solution(part, b)
        else:
            maps = preconditioners(part, assume_a)
            dtype = b[0].dtype
            x = iterative.solve(
                lambda xs, part=part, dtype=dtype: [y.astype(dtype) for y in apply(part, xs)],
                b,
                piece.method,
                *maps,
            )
        for i, value in zip(piece.indices, x, strict=True):
            xs[i] = value
    return xs


def dense_solution(H: BlockOperator, bs: Arrays) -> Arrays:
    """By the matrix of all blocks."""
    return cut(jnp.linalg.solve(matrix(H).astype(bs[0].dtype), joined(bs)), bs)


def preconditioners(H: BlockOperator, assume_a: str) -> tuple[iterative.Map, iterative.Map]:
    """Those of the blocks on the diagonal, and division by the whole diagonal."""
    blocks = [row[k] for k, row in enumerate(H.rows)]
    each = [arithmetic._preconditioners(op, assume_a)[0] if op.terms else None for op in blocks]

    def by_block(rs: Arrays) -> Arrays:
        return [r if M is None else M(r) for M, r in zip(each, rs, strict=True)]

    return by_block, iterative.jacobi([arithmetic.diagonal(op) for op in blocks])


# Block elimination: [E U; V R], with E of blocks that structure solves


def _complement(
    H: BlockOperator, eliminated: Sequence[int], solver: Solver
) -> tuple[list[int], dict[int, Array], Array]:
    """The rest, E⁻¹ U by blocks of E, and the Schur complement R - V E⁻¹ U.

    Source: Horn and Johnson, Matrix Analysis (2013), section 0.8.5.
    """
    rest = [k for k in range(len(H.rows)) if k not in eliminated]
    complement, reduced = matrix(H, rest, rest), {}
    for e in eliminated:
        block = H.rows[e][e]
        solve = solver(block)

        def solved(column: Array, solve: Any = solve, shape: Any = block.out_shape) -> Array:
            return solve(column.reshape(shape)).reshape(-1)

        if any(H.rows[e][k].terms for k in rest):
            reduced[e] = jax.vmap(solved, 1, 1)(matrix(H, [e], rest))
            complement = complement - matmul(matrix(H, rest, [e]), reduced[e])
    return rest, reduced, complement


def plain(assume_a: str) -> Solver:
    """By `solve`, as each block's structure has it."""
    return lambda op: lambda b: arithmetic._solution(op, b, None, assume_a)


def substitution(
    H: BlockOperator, eliminated: Sequence[int], solver: Solver
) -> Callable[[Arrays], Arrays]:
    """E x + U y = b, V x + R y = c: (R - V E⁻¹ U) y = c - V E⁻¹ b first."""
    rest, reduced, complement = _complement(H, eliminated, solver)

    def solved(bs: Arrays) -> Arrays:
        dtype = bs[0].dtype
        xs = list(bs)
        right = [bs[k] for k in rest]
        for e in eliminated:
            xs[e] = solver(H.rows[e][e])(bs[e])
            for position, k in enumerate(rest):
                if H.rows[k][e].terms:
                    moved = arithmetic.apply(H.rows[k][e], xs[e])
                    right[position] = right[position] - moved.astype(dtype)
        flat = jnp.linalg.solve(complement.astype(dtype), joined(right))
        for k, y in zip(rest, cut(flat, right), strict=True):
            xs[k] = y
        for e, Y in reduced.items():
            xs[e] = xs[e] - matmul(Y.astype(dtype), flat).reshape(xs[e].shape)
        return xs

    return solved


def is_solution(H: BlockOperator, xs: Arrays, bs: Arrays) -> Array:
    """Whether the relative residual is at most √ε."""
    residual = [b - y.astype(b.dtype) for b, y in zip(bs, apply(H, xs), strict=True)]
    return iterative.is_small(residual, bs)


def _eliminated(H: BlockOperator, bs: Arrays, eliminated: Sequence[int], assume_a: str) -> Arrays:
    xs = substitution(H, eliminated, plain(assume_a))(bs)
    small = is_solution(H, xs, bs)
    if may_form(H, assume_a):
        return lax.cond(small, lambda: xs, lambda: dense_solution(H, bs))
    return [jnp.where(small, x, jnp.nan) for x in xs]


def may_form(H: BlockOperator, assume_a: str) -> bool:
    """Whether the matrix is formed where elimination fails, as it may unless A is definite."""
    return assume_a != "pos" and sum(map(math.prod, H.out_shapes)) <= LARGE


def logabsdet(H: BlockOperator, method: str | None, assume_a: str, vectors: bool = False) -> Array:
    """log |det|: of the blocks that were taken out, and of their Schur complement."""
    total = jnp.zeros((), jnp.finfo(H.dtype).dtype)
    for piece in planned(H, method, assume_a, "logdet"):
        part = H.part(piece.indices)
        if piece.method == "single":
            value = arithmetic.logabsdet(part.rows[0][0], None, assume_a, vectors)
        elif piece.method == "eliminate":
            _, _, complement = _complement(part, piece.places, plain(assume_a))
            blocks = [part.rows[e][e] for e in piece.places]
            logs = [arithmetic.logabsdet(op, None, assume_a, vectors) for op in blocks]
            value = sum(log.astype(total.dtype) for log in logs)
            value = value + jnp.linalg.slogdet(complement)[1].astype(total.dtype)
            if may_form(part, assume_a):
                value = lax.cond(jnp.isfinite(value), _itself, _dense_logdet, value, part)
        else:
            value = _dense_logdet(total, part)
        total = total + value.astype(total.dtype)
    return total


def _itself(value: Array, H: BlockOperator) -> Array:
    return value


def _dense_logdet(value: Array, H: BlockOperator) -> Array:
    return jnp.linalg.slogdet(matrix(H))[1].astype(value.dtype)


def inverse(H: BlockOperator, method: str | None, assume_a: str) -> list[list[LinearOperator]]:
    """The blocks of the inverse: structured where a block stands alone, else formed."""
    rows = [
        [op.rebuilt((), out_shape=op.in_shape, in_shape=op.out_shape) for op in column]
        for column in H.columns
    ]
    for piece in planned(H, method, assume_a, "inv"):
        part = H.part(piece.indices)
        if piece.method == "single":
            (k,) = piece.indices
            rows[k][k] = arithmetic.inv(part.rows[0][0], None, assume_a)
            continue
        if piece.method in iterative.METHODS:
            raise _checks.iterated_inverse(sum(map(math.prod, part.out_shapes)))
        inv = jnp.linalg.inv(matrix(part))
        columns = split(inv, part.in_shapes, part.out_shapes)
        for i, found in zip(piece.indices, columns, strict=True):
            for j, array in zip(piece.indices, found, strict=True):
                rows[i][j] = formed(array, rows[i][j])
    return rows


def inv_quad(H: BlockOperator, ys: Arrays, assume_a: str, method: str | None = None) -> Array:
    """yᴴ A⁻¹ y."""
    pairs = zip(ys, solve(H, ys, method, assume_a), strict=True)
    return sum((vdot(y.astype(x.dtype), x) for y, x in pairs), jnp.zeros((), H.dtype))


def inv_quad_logdet(H: BlockOperator, ys: Arrays, assume_a: str) -> tuple[Array, Array]:
    """yᴴ A⁻¹ y and log |det A|; what the determinant has formed is not iterated with."""
    pieces = planned(H, None, assume_a, "solve")
    iterated = any(piece.method in iterative.METHODS for piece in pieces)
    quad = inv_quad(H, ys, assume_a, "dense" if iterated else None)
    return quad, logabsdet(H, None, assume_a)
