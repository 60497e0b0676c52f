"""Lane-wise bodies as kernels of an NVIDIA GPU, one thread a matrix, through Mosaic GPU.

A matrix lives in the registers of its thread, or where it does not fit, in shared memory, of which
each thread uses a column of its own; threads share nothing. A block takes 128 consecutive matrices.
The last block is moved back until it ends with the batch: what it has in common with its neighbour
is written twice, alike, and nothing is read or written out of bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from jaxmatcalc import _jax
from jaxmatcalc.kernels import looped

_THREADS = 128  # of a warpgroup, which is what Mosaic calls a thread
_SHARED_BYTES = 226 * 1024  # of shared memory that a block may have, on Hopper and Blackwell

# The largest n whose unrolled body takes no more than the 255 registers of a thread; the figures
# are in benchmarks/results/compiled.json.
_IN_REGISTERS = {
    "float32": {"lu_pivots": 14, "lu_solve": 14, "lu_inverse": 11, "lu_pivots_inverse": 11}
    | dict.fromkeys(("cholesky_roots", "cholesky_solve"), 16)
    | dict.fromkeys(("cholesky_inverse", "cholesky_roots_inverse"), 16),
    "float64": {"lu_pivots": 9, "lu_solve": 9, "lu_inverse": 8, "lu_pivots_inverse": 8}
    | dict.fromkeys(("cholesky_roots", "cholesky_solve"), 9)
    | dict.fromkeys(("cholesky_inverse", "cholesky_roots_inverse"), 9),
}
_LARGEST = 16  # beyond, a multiprocessor holds one block at most, in float32 up to 20


def admits(operation: str, n: int, dtype: DTypeLike) -> str | None:
    """Why there is no kernel for an operation on n × n matrices, or None where there is one."""
    name = jnp.dtype(dtype).name
    if operation not in looped.BODIES:
        return f"there is no Mosaic GPU kernel for {operation}"
    if name not in _IN_REGISTERS:
        return f"Mosaic GPU kernels compute in float32 and float64, not in {name}"
    if operation.startswith("cholesky") and not _jax.MOSAIC_HAS_SQUARE_ROOTS:
        return "Mosaic GPU has square roots from JAX 0.12 on"
    if (capability := _jax.gpu_capability()) is not None and capability < (9, 0):
        return "Mosaic GPU needs an NVIDIA GPU of the Hopper generation or newer"
    if n > _LARGEST:
        return (
            f"Mosaic GPU kernels end at {_LARGEST} × {_LARGEST} matrices, and these are {n} × {n}"
        )
    if _held_columns(operation, n, 1, name) < 1:
        return f"{n} × {n} matrices in {name} do not fit into the shared memory of a GPU"
    return None


def in_memory(operation: str, n: int, dtype: DTypeLike) -> bool:
    """Whether the kernel that is admitted keeps its matrices in shared memory.

    It is there for that it does not spill; it moves as few bytes as one that uses registers, so it
    is no reason to prefer the library.
    """
    return n > _IN_REGISTERS[jnp.dtype(dtype).name][operation]


def run(
    body: Callable[..., Any],
    outs: Sequence[tuple[int, int]],
    *arrays: jax.Array,
    interpret: Any = False,
) -> list[jax.Array]:
    """What `kernels.pallas.run` does; with `interpret` the kernel is interpreted, on a CPU too."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import mosaic_gpu as plgpu

    X, *rest = arrays
    n, dtype, matrices = len(X), X.dtype, X.shape[-1]
    batch = max(matrices, _THREADS)
    padded = [jnp.pad(A, ((0, 0), (0, 0), (0, batch - matrices))) for A in arrays]
    # Right-hand sides are dealt to blocks, each with a factorisation of its own, as many as fit.
    m = rest[0].shape[1] if rest else 1
    groups = pl.cdiv(m, min(m, _held_columns(body.__name__, n, m, dtype.name)))
    columns = pl.cdiv(m, groups)
    shapes = [(n, n), *((n, columns) for _ in rest)]
    scratch = [*shapes, (n, 1), (n, 2)] if in_memory(body.__name__, n, dtype) else []

    def kernel(*refs: Any) -> None:
        start = jnp.minimum(lax.axis_index("block") * _THREADS, batch - _THREADS)
        first = jnp.minimum(lax.axis_index("group") * columns, m - columns)
        at = pl.ds(start, _THREADS)
        given, made, memory = _split(refs, len(arrays), len(outs))
        windows = [
            [[A[i, j + (first if rest and A is not given[0] else 0), at] for j in range(width)]
             for i in range(height)]
            for A, (height, width) in zip(given, shapes, strict=True)
        ]  # fmt: skip
        if scratch:
            for window, M in zip(windows, memory, strict=False):
                for i, row in enumerate(window):
                    for j, entry in enumerate(row):
                        M[i, j] = entry
            results = looped.BODIES[body.__name__](*memory)
            entries = (M[i, j] for M in results for i in range(n) for j in range(M.shape[1]))
        else:
            entries = iter(jax.tree.leaves(body(*windows)))
        for Y in made:
            for i in range(Y.shape[0]):
                for j in range(columns if rest else Y.shape[1]):
                    Y[i, j + first if rest else j, at] = next(entries)

    call = plgpu.kernel(
        kernel,
        out_type=[jax.ShapeDtypeStruct((*shape, batch), dtype) for shape in outs],
        scratch_types=[plgpu.SMEM((*shape, _THREADS), dtype) for shape in scratch],
        grid=(pl.cdiv(batch, _THREADS), groups),
        grid_names=("block", "group"),
        compiler_params=plgpu.CompilerParams(
            lowering_semantics=plgpu.LoweringSemantics.Lane, unsafe_no_auto_barriers=True
        ),
        interpret=_jax.mosaic_interpreter() if interpret else None,
        kernel_name=f"jaxmatcalc_{body.__name__}",
    )
    return [Y[..., :matrices] for Y in call(*padded)]


def _held_columns(operation: str, n: int, m: int, dtype: str) -> int:
    """How many of m right-hand sides a block takes; 0 where not even the matrix fits."""
    if in_memory(operation, n, dtype):
        entries = _SHARED_BYTES // (_THREADS * jnp.dtype(dtype).itemsize)
        left = entries - n * (n + 3)
    else:
        largest = _IN_REGISTERS[dtype][operation]
        left = largest * (largest + 1) - n * n
    if not operation.endswith("solve"):
        return m if left >= 0 else 0
    return max(left // n, 0)


def _split(refs: Sequence[Any], *counts: int) -> list[Sequence[Any]]:
    parts, start = [], 0
    for count in counts:
        parts.append(refs[start : start + count])
        start += count
    return [*parts, refs[start:]]
