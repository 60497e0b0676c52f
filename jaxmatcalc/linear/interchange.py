"""An operator for others: as an array of `jax.numpy`, and as an operator of lineax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.linear import arithmetic, blockwise
from jaxmatcalc.linear.kinds import kind, parts_and_scale

if TYPE_CHECKING:
    import lineax

    from jaxmatcalc.linear.block import BlockOperator
    from jaxmatcalc.linear.operator import LinearOperator


class Formed:
    """What stands between an operator and its dense array.

    `jnp.asarray` asks for ``__jax_array__`` until it has an array. The operators of arrays ask
    once: ``array * op`` then finds something that it does not know, and is left to `LinearOperator`
    in place of a product with the dense array.
    """

    __slots__ = ("operator",)

    def __init__(self, operator: LinearOperator):
        self.operator = operator

    def __repr__(self) -> str:
        return f"{self.operator!r}, which `jax.numpy.asarray` forms"

    def __jax_array__(self) -> jax.Array:
        return self.operator.to_dense()


def to_lineax(op: LinearOperator, assume_a: str) -> lineax.AbstractLinearOperator:
    """A diagonal one, a multiple of the identity, or a function."""
    lineax = _lineax(op.batch_shape)
    structure = jax.ShapeDtypeStruct(op.in_shape, op.dtype)
    if op.terms and op.in_shape == op.out_shape:
        kinds = {kind(t) for t in op.terms}
        if kinds == {"identity"}:
            scale = sum(parts_and_scale(t, op.dtype)[1] for t in op.terms)
            return lineax.IdentityLinearOperator(structure) * scale
        if kinds <= {"identity", "diagonal"}:
            return lineax.DiagonalLinearOperator(op.diagonal())
    function = jax.tree_util.Partial(arithmetic.apply, op)
    return lineax.FunctionLinearOperator(function, structure, _tags(lineax, assume_a))


def blocks_to_lineax(H: BlockOperator, assume_a: str) -> lineax.AbstractLinearOperator:
    """A diagonal one, or a function of pytrees."""
    lineax = _lineax(H.batch_shape)
    shapes = [jax.ShapeDtypeStruct(shape, H.dtype) for shape in H.in_shapes]
    kinds = {kind(t) for i, row in enumerate(H.rows) for op in row[i : i + 1] for t in op.terms}
    beside = any(op.terms for i, row in enumerate(H.rows) for op in row[:i] + row[i + 1 :])
    square = H.in_tree == H.out_tree and H.in_shapes == H.out_shapes
    if square and not beside and kinds <= {"identity", "diagonal"}:
        return lineax.DiagonalLinearOperator(H.diagonal())
    structure = jax.tree.unflatten(H.in_tree, shapes)
    function = jax.tree_util.Partial(_image, H)
    return lineax.FunctionLinearOperator(function, structure, _tags(lineax, assume_a))


def _image(H: BlockOperator, x: Any) -> Any:
    ys = blockwise.apply(H, jax.tree.leaves(x))
    return jax.tree.unflatten(H.out_tree, [y.astype(H.dtype) for y in ys])


def _lineax(batch: tuple[int, ...]) -> Any:
    try:
        import lineax
    except ImportError as error:
        raise _checks.missing_extra("to_lineax", "lineax") from error
    _checks.no_batch("to_lineax", batch)
    return lineax


def _tags(lineax: Any, assume_a: str) -> Any:
    return {
        "gen": (),
        "sym": (lineax.symmetric_tag,),
        "pos": (lineax.symmetric_tag, lineax.positive_semidefinite_tag),
    }[assume_a]
