"""The Pallas kernels as one primitive, whose program is made when it is compiled for its platform.

A branch of `lax.platform_dependent` is traced wherever the choice is made, on a CPU too. Tracing a
Pallas kernel takes longer than all else in the program, and packages that only an accelerator
needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import mlir
from jax.typing import DTypeLike

from jaxmatcalc import _checks
from jaxmatcalc.kernels import lanes, mosaic, tpu

Shapes = Sequence[tuple[int, int]]

# Where a body of `lanes` runs as a Pallas kernel: `run` and `admits` of these modules
PLATFORMS = {"cuda": mosaic, "tpu": tpu}


def refusal(platform: str, operation: str, n: int, dtype: DTypeLike) -> str | None:
    """Why a platform has no Pallas kernel for an operation, or None where it has one."""
    return PLATFORMS[platform].admits(operation, n, dtype)


def run(body: Callable[..., Any], outs: Shapes, *arrays: jax.Array) -> list[jax.Array]:
    """A body on arrays (rows, columns, matrices): its results, as such arrays of the shapes `outs`.

    Args:
        body: one of `lanes`. What it returns, in the order of `jax.tree.leaves`, fills the results
            row by row.
        outs: numbers of rows and columns.
        *arrays: X (n, n, b), and for a solution the right-hand sides B (n, m, b).

    Raises:
        ValueError: when compiled for a platform that has no such kernel.
    """
    return _kernel.bind(*arrays, operation=body.__name__, outs=tuple(outs))


_kernel = core.Primitive("pallas_kernel")
_kernel.multiple_results = True


@_kernel.def_impl
def _compiled(*arrays: jax.Array, operation: str, outs: Shapes) -> list[jax.Array]:
    return jax.jit(lambda *Xs: _kernel.bind(*Xs, operation=operation, outs=outs))(*arrays)


@_kernel.def_abstract_eval
def _results(*avals: Any, operation: str, outs: Shapes) -> list[Any]:
    return [avals[0].update(shape=(*shape, avals[0].shape[-1])) for shape in outs]


def _for_platform(platform: str) -> Callable[..., Any]:
    def program(*arrays: jax.Array, operation: str, outs: Shapes) -> list[jax.Array]:
        reason = refusal(platform, operation, len(arrays[0]), arrays[0].dtype)
        if reason is not None:
            _checks.no_kernel([reason])
        return PLATFORMS[platform].run(getattr(lanes, operation), outs, *arrays)

    return mlir.lower_fun(program, multiple_results=True)


def _for_no_platform(context: Any, *operands: Any, operation: str, outs: Shapes) -> Any:
    names = " and ".join(PLATFORMS)
    _checks.no_kernel([f"{operation} has one for {names} only"])


for _platform in PLATFORMS:
    mlir.register_lowering(_kernel, _for_platform(_platform), platform=_platform)
mlir.register_lowering(_kernel, _for_no_platform)
