"""What a derivative costs as a structured operator, beside the dense array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc.transforms.hessian import hessian_operator
from jaxmatcalc.transforms.jacobian import jacobian_operator


class Cost(NamedTuple):
    """Operations of one product with a derivative, and bytes that hold it.

    Attributes:
        flops: of a product with the structured operator, as XLA counts them.
        bytes: of the arrays that the operator holds.
        dense_flops: of a product with the dense matrix.
        dense_bytes: of the dense matrix.
    """

    flops: int
    bytes: int
    dense_flops: int
    dense_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.flops:,} flops a product and {self.bytes:,} bytes; "
            f"dense {self.dense_flops:,} flops and {self.dense_bytes:,} bytes"
        )


def operator(
    f: Callable[..., Any], args: Sequence[Any], positions: Sequence[int], shape: tuple[int, ...]
) -> Any:
    """The Hessian operator of a scalar function, the Jacobian operator of another."""
    argnums = positions[0] if len(positions) == 1 else tuple(positions)
    transform = hessian_operator if shape == () else jacobian_operator
    return transform(f, argnums)(*args)


def cost(H: Any) -> Cost:
    """The cost of an operator, by its shapes alone."""
    leaves = jax.tree.leaves(H)
    held = sum(x.size * x.dtype.itemsize for x in leaves)
    tangent = jax.tree.map(lambda s: jnp.zeros(s), H.in_shape, is_leaf=_is_shape)
    counted = jax.jit(lambda H, v: H @ v).lower(H, tangent).cost_analysis()
    flops = int((counted or {}).get("flops", 0))
    columns = sum(math.prod(s) for s in jax.tree.leaves(H.in_shape, is_leaf=_is_shape))
    rows = sum(math.prod(s) for s in jax.tree.leaves(H.out_shape, is_leaf=_is_shape))
    itemsize = jnp.zeros(()).dtype.itemsize
    return Cost(flops, held, 2 * rows * columns, rows * columns * itemsize)


def _is_shape(x: Any) -> bool:
    return isinstance(x, tuple) and all(isinstance(n, int) for n in x)
