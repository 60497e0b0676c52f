"""sparsejac: Jacobians by colouring, told where entries may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def coloured(f: Callable[..., Any]) -> Callable[..., Any]:
    """The Jacobian of the gradient.

    Entries may be where the dense Hessian has them for arrays of these shapes that are nowhere
    zero; that is found while tracing, as asdex finds its own.
    """

    def hessian(x: jax.Array, *data: jax.Array) -> jax.Array:
        import sparsejac
        from jax.experimental.sparse import BCOO

        shape, x = x.shape, x.ravel()
        with jax.ensure_compile_time_eval():
            point, *others = (_nowhere_zero(a) for a in (x, *data))
            dense = jax.jit(jax.hessian(lambda x: f(x.reshape(shape), *others)))(point)
            gradient = jax.grad(lambda x: f(x.reshape(shape), *data))
            places = np.argwhere(np.asarray(dense))
            pattern = BCOO((np.ones(len(places)), jnp.asarray(places)), shape=dense.shape)
            derivative = sparsejac.jacfwd(gradient, pattern)
        return derivative(x).todense().reshape(*shape, *shape)

    return hessian


def _nowhere_zero(a: jax.Array) -> jax.Array:
    return jnp.sin(jnp.arange(1.0, a.size + 1, dtype=a.dtype)).reshape(a.shape)
