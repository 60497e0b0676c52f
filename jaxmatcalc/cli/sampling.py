"""Arguments for a function of which only the shapes are known, where it has a derivative."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.cli.subject import Shape

_ENTRIES: Sequence[Callable[[np.random.Generator, Shape], np.ndarray]] = (
    lambda rng, shape: rng.normal(size=shape),
    lambda rng, shape: rng.uniform(0.5, 1.5, size=shape),
    lambda rng, shape: _near_identity(rng, shape, 1.0),
    lambda rng, shape: rng.uniform(-0.9, 0.9, size=shape),
    lambda rng, shape: rng.uniform(0.1, 0.9, size=shape),
    lambda rng, shape: _near_identity(rng, shape, 2.0),
)
_DRAWS = 4  # of each kind, since a determinant has one sign as often as the other


def sample(
    f: Callable[..., Any],
    shapes: Mapping[str, Shape],
    symmetric: Collection[str] = (),
    positive: Collection[str] = (),
) -> tuple[jax.Array, ...] | None:
    """Arrays of these shapes where the function and its derivative are finite, or None.

    Args:
        f: function of one array for each name, in their order.
        shapes: the shapes by name.
        symmetric: names whose arrays are symmetric matrices.
        positive: names whose arrays are symmetric positive definite matrices.
    """
    rng = np.random.default_rng(0)
    for _ in range(_DRAWS):
        for entries in _ENTRIES:
            arrays = []
            for name, shape in shapes.items():
                X = entries(rng, shape)
                if name in positive:
                    X = np.eye(shape[0]) + X @ X.T / max(1, shape[0])
                elif name in symmetric:
                    X = (X + X.T) / 2
                arrays.append(jnp.asarray(X, float))
            if _is_regular(f, arrays):
                return tuple(arrays)
    return None


@functools.partial(jax.jit, static_argnums=0)
def _is_regular(f: Callable[..., Any], arrays: Sequence[jax.Array]) -> jax.Array:
    value, pullback = jax.vjp(f, *arrays)
    leaves = jax.tree.leaves((value, pullback(jax.tree.map(jnp.ones_like, value))))
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


def _near_identity(rng: np.random.Generator, shape: Shape, scale: float) -> np.ndarray:
    noise = rng.uniform(-0.3, 0.3, size=shape)
    square = len(shape) == 2 and shape[0] == shape[1]
    return scale * np.eye(shape[0]) + noise if square else scale + noise
