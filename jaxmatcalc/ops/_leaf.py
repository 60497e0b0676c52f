"""Functions that compute values only, and see every batch axis at once.

``vmap`` of a loop over matrices, or of a choice made by looking at all of them, is another, slower
program. A leaf takes leading batch axes itself, so mapping it only adds one more of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import kernels

F = TypeVar("F", bound=Callable[..., Any])


def leaf(function: F, by_columns: bool = False) -> F:
    """``function``, of arrays with leading batch axes, as a leaf: mapped as a whole.

    ``by_columns``: done to each column of the last, B, so that many B for one of the rest are one.

    A leaf has no derivative. It is called with `jax.lax.stop_gradient` of its arguments, or inside
    an operation that has a rule.
    """
    mapped = jax.custom_batching.custom_vmap(function)

    @mapped.def_vmap
    def _(axis_size: int, in_batched: list[bool], *arguments: jax.Array) -> tuple[Any, Any]:
        if not any(in_batched):  # so JAX 0.10 asks from within a scan
            out = function(*arguments)
            return out, jax.tree.map(lambda _: False, out)
        if by_columns and not any(in_batched[:-1]):
            *rest, B = arguments
            columns = jnp.moveaxis(B, 0, -1)
            (out,) = mapped(*rest, columns.reshape(*B.shape[1:-1], -1))
            return [jnp.moveaxis(out.reshape(columns.shape), -1, 0)], [True]
        merged = [
            X if batched else jnp.broadcast_to(X, (axis_size, *X.shape))
            for X, batched in zip(arguments, in_batched, strict=True)
        ]
        out = mapped(*merged)
        return out, jax.tree.map(lambda _: True, out)

    return mapped  # type: ignore[return-value]


class Choice(NamedTuple):
    """How an operation computes its value: what it takes for granted, and by which kernels."""

    assume_a: str
    implementation: str | None = None


def _run(kernel: Callable[..., Any], matrices: jax.Array, *others: jax.Array) -> Any:
    return kernel(matrices, *others[-1:])


def kernel_leaf(operation: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function of arrays as a leaf, which is computed by kernels for `operation` if any are.

    The leaf takes an implementation, then the matrices, then what the library needs to know of
    them, then right-hand sides if there are any.
    """

    def decorate(library: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def chosen(implementation: str | None) -> Callable[..., Any]:
            @functools.wraps(library)
            def computed(*arrays: jax.Array) -> Any:
                X = arrays[0]
                columns = arrays[-1].shape[-1] if len(arrays) > 1 else None
                runs = kernels.select(operation, X.shape, X.dtype, implementation, columns)
                found = {where: functools.partial(_run, run) for where, run in runs.items()}
                if not found:
                    return library(*arrays)
                if implementation == "pallas":  # which says, when compiled, what it is not for
                    return next(iter(found.values()))(*arrays)
                # a walk over the program takes the first branch, which runs anywhere
                first = {"cpu": found.pop("cpu", library)}
                return lax.platform_dependent(*arrays, **first, **found, default=library)

            return leaf(computed, by_columns=operation.endswith("_solve"))

        def called(implementation: str | None, *arrays: jax.Array) -> Any:
            return chosen(implementation)(*arrays)

        return functools.update_wrapper(called, library)

    return decorate
