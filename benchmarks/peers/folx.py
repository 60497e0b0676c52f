"""folx: the forward Laplacian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def laplacian(f: Callable[..., Any]) -> Callable[..., Any]:
    """Over the leading axis of the first argument, with the sparsity limit of folx's README."""

    def batch(x: jax.Array, *data: jax.Array) -> jax.Array:
        import folx

        def one(x: jax.Array) -> jax.Array:
            forward = folx.forward_laplacian(lambda flat: f(flat.reshape(x.shape), *data), 6)
            return forward(x.reshape(-1)).laplacian

        return jax.vmap(one)(x)

    return batch
