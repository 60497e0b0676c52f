"""Functions that compute values only, and see every batch axis at once.

``vmap`` of a loop over matrices, or of a choice made by looking at all of them, is another, slower
program. A leaf takes leading batch axes itself, so mapping it only adds one more of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

F = TypeVar("F", bound=Callable[..., Any])


def leaf(function: F) -> F:
    """``function``, of arrays with leading batch axes, as a leaf: mapped as a whole.

    A leaf has no derivative. It is called with `jax.lax.stop_gradient` of its arguments, or inside
    an operation that has a rule.
    """
    mapped = jax.custom_batching.custom_vmap(function)

    @mapped.def_vmap
    def _(axis_size: int, in_batched: list[bool], *arguments: jax.Array) -> tuple[Any, Any]:
        if not any(in_batched):  # so JAX 0.10 asks from within a scan
            out = function(*arguments)
            return out, jax.tree.map(lambda _: False, out)
        merged = [
            X if batched else jnp.broadcast_to(X, (axis_size, *X.shape))
            for X, batched in zip(arguments, in_batched, strict=True)
        ]
        out = mapped(*merged)
        return out, jax.tree.map(lambda _: True, out)

    return mapped  # type: ignore[return-value]
