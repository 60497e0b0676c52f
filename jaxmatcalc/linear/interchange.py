"""An operator for others: as an array of `jax.numpy`, and as an operator of lineax."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from jaxmatcalc import _checks
from jaxmatcalc.linear import arithmetic
from jaxmatcalc.linear.kinds import kind, parts_and_scale

if TYPE_CHECKING:
    import lineax

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
    try:
        import lineax
    except ImportError as error:
        raise _checks.missing_extra("to_lineax", "lineax") from error
    _checks.no_batch("to_lineax", op.batch_shape)
    structure = jax.ShapeDtypeStruct(op.in_shape, op.dtype)
    if op.terms and op.in_shape == op.out_shape:
        kinds = {kind(t) for t in op.terms}
        if kinds == {"identity"}:
            scale = sum(parts_and_scale(t, op.dtype)[1] for t in op.terms)
            return lineax.IdentityLinearOperator(structure) * scale
        if kinds <= {"identity", "diagonal"}:
            return lineax.DiagonalLinearOperator(op.diagonal())
    tags: Any = {
        "gen": (),
        "sym": (lineax.symmetric_tag,),
        "pos": (lineax.symmetric_tag, lineax.positive_semidefinite_tag),
    }[assume_a]
    function = jax.tree_util.Partial(arithmetic.apply, op)
    return lineax.FunctionLinearOperator(function, structure, tags)
