"""Fast ways to compute a value on one kind of hardware, and the choice among them.

A kernel takes leading batch axes and is never differentiated. It is chosen where a measurement, or
on an accelerator what the compiler reports, shows that it beats the library, which otherwise stays.
The bodies are those of `lanes`; `xla` runs them on a CPU, and `pallas` on accelerators. What else a
CPU needs is in `triangles`, `exchanges`, `products`, `transposes` and `forming`: loops that its
compiler would not find, and that `apart` keeps.

In a kernel the matrices are the last axis. Data that stay in that layout are given by `jax.vmap`,
as in ``jax.vmap(inv, in_axes=-1, out_axes=-1)``, of which the program has no transposition.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxmatcalc import _checks, _jax
from jaxmatcalc.kernels import lanes, pallas, xla
from jaxmatcalc.kernels.pallas import refusal

Kernel = Callable[..., list[jax.Array]]
Body = Callable[..., Any]
Runner = Callable[..., list[jax.Array]]

_BODIES: dict[str, Body] = {
    body.__name__: body
    for body in (
        lanes.lu_pivots,
        lanes.lu_pivots_inverse,
        lanes.lu_factors,
        lanes.lu_solve,
        lanes.cholesky_roots,
        lanes.cholesky_roots_inverse,
        lanes.cholesky_upper,
        lanes.cholesky_solve,
    )
}

# On a CPU: below so many matrices a library call for each costs no more; of more rows the unrolled
# elimination takes seconds to compile. Larger systems are factored so, and solved by `triangles`.
# Fewer of the smallest are faster written out, with no loop of their own.
_FEWEST = 256
_FEWEST_IN_ONE_LOOP: dict[int, float] = {1: _FEWEST, 2: math.inf, 3: _FEWEST}
_LARGEST = 8
_LARGEST_SOLVED = {"lu_solve": 4, "cholesky_solve": 0}


def select(
    operation: str,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    implementation: str | None = None,
    columns: int | None = None,
) -> dict[str, Kernel]:
    """The kernels for matrices (..., n, n) by platform; where none is named the library stays.

    Args:
        operation: the name of a body of `lanes`.
        shape: of the matrices, with all batch axes.
        dtype: of the matrices.
        implementation: None, whatever is fastest; "xla", no Pallas kernel; "pallas", nothing else.
        columns: the number of right-hand sides, if there are any.

    Raises:
        ValueError: implementation is "pallas" and no platform has such a kernel.
    """
    if not _jax.is_known(shape) or 0 in (*shape, columns):
        return {}
    n, batch = shape[-1], math.prod(shape[:-2])
    found = {}
    runs = functools.partial(_kernel, operation)
    if implementation != "pallas" and on_cpu(operation, shape, dtype, columns):
        found["cpu"] = runs(_innermost(xla.inline if _is_inline(n, batch) else xla.run))
    if implementation == "xla" or (implementation is None and batch < _FEWEST):
        return found
    reasons = {p: refusal(p, operation, n, dtype) for p in pallas.PLATFORMS}
    if implementation == "pallas" and all(reasons.values()):
        _checks.no_kernel([reason for reason in reasons.values() if reason])
    for platform, reason in reasons.items():
        if reason is None:
            found[platform] = runs(_innermost(pallas.run))
    return found


def on_cpu(
    operation: str, shape: tuple[int, ...], dtype: DTypeLike, columns: int | None = None
) -> bool:
    """Whether a lane-wise body was measured to beat the library on a CPU."""
    n, batch = shape[-1], math.prod(shape[:-2])
    if operation not in _BODIES or not jnp.issubdtype(dtype, jnp.floating):
        return False
    largest = _LARGEST_SOLVED.get(operation, _LARGEST)
    few = batch < _FEWEST and not _is_inline(n, batch)
    return 0 < max(n, columns or 0) <= largest and not few


def _is_inline(n: int, batch: int) -> bool:
    return batch < _FEWEST_IN_ONE_LOOP.get(n, 0)


def _kernel(operation: str, run: Runner) -> Kernel:
    """A runner, of arrays (matrices, rows, columns), of a body as a function of many batch axes."""

    def kernel(*arrays: jax.Array) -> list[jax.Array]:
        batch, n = arrays[0].shape[:-2], arrays[0].shape[-1]
        flat = [X.reshape(-1, *X.shape[-2:]) for X in arrays]
        results = run(_BODIES[operation], _shapes(operation, n, arrays[-1].shape[-1]), *flat)
        return [Y.reshape(*batch, *Y.shape[1:]) for Y in results]

    return kernel


def _innermost(run: Runner) -> Runner:
    """A runner of arrays (rows, columns, matrices) as one of arrays (matrices, rows, columns)."""

    def moved(body: Body, outs: Sequence[tuple[int, int]], *arrays: jax.Array) -> list[jax.Array]:
        results = run(body, outs, *(jnp.moveaxis(X, 0, -1) for X in arrays))
        return [jnp.moveaxis(Y, -1, 0) for Y in results]

    return moved


def _shapes(operation: str, n: int, columns: int) -> list[tuple[int, int]]:
    """Rows and columns of what a body returns."""
    if operation.endswith("_solve"):
        return [(n, columns)]
    if operation == "lu_factors":
        return [(n, n), (1, n)]
    if operation == "cholesky_upper":
        return [(n, n)]
    return [(1, n), (n, n)] if operation.endswith("_inverse") else [(1, n)]
