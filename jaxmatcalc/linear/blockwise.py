"""The methods of a block operator, as functions of lists of arrays: one for each leaf."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc._precision import matmul, vdot
from jaxmatcalc.linear import arithmetic, elimination, iterative, solving
from jaxmatcalc.linear.elimination import Piece
from jaxmatcalc.linear.structure import LARGE
from jaxmatcalc.linear.term import Array, Factor, Term, flat, fresh

if TYPE_CHECKING:
    from jaxmatcalc.linear.block import BlockOperator
    from jaxmatcalc.linear.operator import LinearOperator

Arrays = list[Array]


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


def matrix(H: BlockOperator, rows: Sequence[int] | None = None, columns: Any = None) -> Array:
    """Some of the blocks, or all, as one array with two axes."""
    rows = range(len(H.out_shapes)) if rows is None else rows
    columns = range(len(H.in_shapes)) if columns is None else columns
    heights, widths = (list(map(math.prod, shapes)) for shapes in (H.out_shapes, H.in_shapes))
    strips = [jnp.zeros((0, sum(widths[j] for j in columns)), H.dtype)]
    for i in rows:
        dense = [
            arithmetic.to_dense(H.rows[i][j]).reshape(heights[i], widths[j]).astype(H.dtype)
            for j in columns
        ]
        strips.append(jnp.concatenate([jnp.zeros((heights[i], 0), H.dtype), *dense], axis=1))
    return jnp.concatenate(strips)


def transpose(H: BlockOperator) -> BlockOperator:
    """Exchange rows and columns."""
    return H.rebuilt([list(map(arithmetic.transpose, c)) for c in H.columns], swap=True)


def solve(H: BlockOperator, bs: Arrays, method: str | None, assume_a: str) -> Arrays:
    """The solution, one array for every row of blocks, in the dtype of all.

    dx = A⁻¹ (db - dA x), as for one operator.
    """
    if not bs:
        return bs
    dtype = jnp.result_type(H.dtype, *bs)
    pieces = _pieces(H, method, assume_a, "solve")
    for piece in pieces:
        if not any(H.rows[i][j].terms for i in piece.indices for j in piece.indices):
            raise _checks.zero_block(piece.indices[0])

    def product(xs: Arrays) -> Arrays:
        return [y.astype(dtype) for y in apply(H, xs)]

    return lax.custom_linear_solve(
        product,
        [b.astype(dtype) for b in bs],
        lambda _, bs: _solved(H, bs, pieces, assume_a),
        lambda _, bs: _solved(transpose(H), bs, pieces, assume_a),
    )


def _pieces(H: BlockOperator, method: str | None, assume_a: str, operation: str) -> list[Piece]:
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
            x = _back_substituted(part, b, piece.places, assume_a)
        elif piece.method == "dense":
            x = _dense_solution(part, b)
        else:
            maps = _preconditioners(part, assume_a)
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


def _dense_solution(H: BlockOperator, bs: Arrays) -> Arrays:
    return _cut(jnp.linalg.solve(matrix(H).astype(bs[0].dtype), _joined(bs)), bs)


def _joined(xs: Sequence[Array]) -> Array:
    return jnp.concatenate([x.reshape(-1) for x in xs])


def _cut(flat: Array, like: Sequence[Array]) -> Arrays:
    ends = [sum(x.size for x in like[: k + 1]) for k in range(len(like) - 1)]
    return [x.reshape(y.shape) for x, y in zip(jnp.split(flat, ends), like, strict=True)]


def _preconditioners(H: BlockOperator, assume_a: str) -> tuple[iterative.Map, iterative.Map]:
    """Those of the blocks on the diagonal, and division by the whole diagonal."""
    blocks = [row[k] for k, row in enumerate(H.rows)]
    each = [arithmetic._preconditioners(op, assume_a)[0] if op.terms else None for op in blocks]

    def by_block(rs: Arrays) -> Arrays:
        return [r if M is None else M(r) for M, r in zip(each, rs, strict=True)]

    return by_block, iterative.jacobi([arithmetic.diagonal(op) for op in blocks])


# Block elimination: [E U; V R], with E of blocks that structure solves


def _complement(
    H: BlockOperator, eliminated: Sequence[int], assume_a: str
) -> tuple[list[int], dict[int, Array], Array]:
    """The rest, E⁻¹ U by blocks of E, and the Schur complement R - V E⁻¹ U.

    Source: Horn and Johnson, Matrix Analysis (2013), section 0.8.5.
    """
    rest = [k for k in range(len(H.rows)) if k not in eliminated]
    complement, reduced = matrix(H, rest, rest), {}
    for e in eliminated:
        block = H.rows[e][e]

        def solved(column: Array, block: LinearOperator = block) -> Array:
            b = column.reshape(block.out_shape)
            return arithmetic._solution(block, b, None, assume_a).reshape(-1)

        if any(H.rows[e][k].terms for k in rest):
            reduced[e] = jax.vmap(solved, 1, 1)(matrix(H, [e], rest))
            complement = complement - matmul(matrix(H, rest, [e]), reduced[e])
    return rest, reduced, complement


def _back_substituted(
    H: BlockOperator, bs: Arrays, eliminated: Sequence[int], assume_a: str
) -> Arrays:
    """E x + U y = b, V x + R y = c: (R - V E⁻¹ U) y = c - V E⁻¹ b first."""
    rest, reduced, complement = _complement(H, eliminated, assume_a)
    dtype = bs[0].dtype
    xs = list(bs)
    right = [bs[k] for k in rest]
    for e in eliminated:
        xs[e] = arithmetic._solution(H.rows[e][e], bs[e], None, assume_a)
        for position, k in enumerate(rest):
            if H.rows[k][e].terms:
                moved = arithmetic.apply(H.rows[k][e], xs[e])
                right[position] = right[position] - moved.astype(dtype)
    flat = jnp.linalg.solve(complement.astype(dtype), _joined(right))
    for k, y in zip(rest, _cut(flat, right), strict=True):
        xs[k] = y
    for e, Y in reduced.items():
        xs[e] = xs[e] - matmul(Y.astype(dtype), flat).reshape(xs[e].shape)
    residual = [b - y.astype(dtype) for b, y in zip(bs, apply(H, xs), strict=True)]
    small = iterative.is_small(residual, bs)
    if _may_form(H, assume_a):
        return lax.cond(small, lambda: xs, lambda: _dense_solution(H, bs))
    return [jnp.where(small, x, jnp.nan) for x in xs]


def _may_form(H: BlockOperator, assume_a: str) -> bool:
    """Whether the matrix is formed where elimination fails, as it may unless A is definite."""
    return assume_a != "pos" and sum(map(math.prod, H.out_shapes)) <= LARGE


def logabsdet(H: BlockOperator, method: str | None, assume_a: str) -> Array:
    """log |det|: of the blocks that were taken out, and of their Schur complement."""
    total = jnp.zeros((), jnp.finfo(H.dtype).dtype)
    for piece in _pieces(H, method, assume_a, "logdet"):
        part = H.part(piece.indices)
        if piece.method == "single":
            value = arithmetic.logabsdet(part.rows[0][0], None, assume_a)
        elif piece.method == "eliminate":
            _, _, complement = _complement(part, piece.places, assume_a)
            blocks = [part.rows[e][e] for e in piece.places]
            logs = [arithmetic.logabsdet(op, None, assume_a) for op in blocks]
            value = sum(log.astype(total.dtype) for log in logs)
            value = value + jnp.linalg.slogdet(complement)[1].astype(total.dtype)
            if _may_form(part, assume_a):
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
    for piece in _pieces(H, method, assume_a, "inv"):
        part = H.part(piece.indices)
        if piece.method == "single":
            (k,) = piece.indices
            rows[k][k] = arithmetic.inv(part.rows[0][0], None, assume_a)
            continue
        if piece.method in iterative.METHODS:
            raise _checks.iterated_inverse(sum(map(math.prod, part.out_shapes)))
        inv = jnp.linalg.inv(matrix(part))
        columns = _split(inv, part.in_shapes, part.out_shapes)
        for i, found in zip(piece.indices, columns, strict=True):
            for j, array in zip(piece.indices, found, strict=True):
                rows[i][j] = _formed(array, rows[i][j])
    return rows


def _formed(array: Array, like: LinearOperator) -> LinearOperator:
    """A matrix as an operator between the shapes of another."""
    out, in_ = fresh(like.out_shape), fresh(like.in_shape)
    labels = flat(out) + flat(in_)
    factor = Factor(array.reshape([k.size for k in labels]), labels)
    return like.rebuilt([Term((factor,), out, in_)], dtype=array.dtype)


def _split(array: Array, out_shapes: Any, in_shapes: Any) -> list[Arrays]:
    """A matrix cut into blocks."""

    def ends(shapes: Any) -> list[int]:
        return [sum(map(math.prod, shapes[: k + 1])) for k in range(len(shapes) - 1)]

    return [
        jnp.split(strip, ends(in_shapes), axis=1) for strip in jnp.split(array, ends(out_shapes))
    ]


def inv_quad(H: BlockOperator, ys: Arrays, assume_a: str, method: str | None = None) -> Array:
    """yᴴ A⁻¹ y."""
    pairs = zip(ys, solve(H, ys, method, assume_a), strict=True)
    return sum((vdot(y.astype(x.dtype), x) for y, x in pairs), jnp.zeros((), H.dtype))


def inv_quad_logdet(H: BlockOperator, ys: Arrays, assume_a: str) -> tuple[Array, Array]:
    """yᴴ A⁻¹ y and log |det A|; what the determinant has formed is not iterated with."""
    pieces = _pieces(H, None, assume_a, "solve")
    iterated = any(piece.method in iterative.METHODS for piece in pieces)
    quad = inv_quad(H, ys, assume_a, "dense" if iterated else None)
    return quad, logabsdet(H, None, assume_a)
