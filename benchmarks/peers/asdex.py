"""asdex: Hessians by colouring, sparsity found in the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def coloured(f: Callable[..., Any]) -> Callable[..., Any]:
    """The Hessian, one product a colour."""

    def hessian(x: jax.Array, *data: jax.Array) -> jax.Array:
        import asdex

        flat = lambda x, *data: f(x.reshape(shape), *data)  # noqa: E731
        shape, x = x.shape, x.ravel()
        found = asdex.hessian(flat, x, *data, output_format="dense")(x, *data)
        return found.reshape(*shape, *shape)

    return hessian
