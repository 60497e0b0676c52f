"""Lane-wise bodies as kernels of a TPU, one lane a matrix, through Pallas.

The batch is folded to rows of 128 lanes, so that an entry of 1,024 matrices fills one vector
register. A step takes so many; in the last one Pallas pads what it reads beyond the rows and drops
what it would write there. Matrices whose entries do not fit into the 64 registers stay in the
memory on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxmatcalc.kernels import looped

_LANES, _ROWS = 128, 8
_MEMORY_BYTES = 14 * 2**20  # of the 16 MiB on the chip that a kernel gets without asking

# The largest n whose unrolled body takes no more than 64 registers; the figures are in
# benchmarks/results/compiled.json.
_IN_REGISTERS = {
    "lu_pivots": 5,
    "lu_inverse": 4,
    "lu_pivots_inverse": 4,
    "lu_solve": 6,
    "cholesky_roots": 7,
    "cholesky_inverse": 7,
    "cholesky_roots_inverse": 7,
    "cholesky_solve": 7,
}
# The largest n at all: the inverse by LU exchanges columns of a row in registers; beyond 24, a step
# does not fit into the memory on the chip.
_LARGEST = dict.fromkeys(_IN_REGISTERS, 24) | {"lu_inverse": 16, "lu_pivots_inverse": 16}


def admits(operation: str, n: int, dtype: DTypeLike) -> str | None:
    """Why there is no kernel for an operation on n × n matrices, or None where there is one."""
    if operation not in looped.BODIES:
        return f"there is no Pallas TPU kernel for {operation}"
    if jnp.dtype(dtype) != jnp.float32:
        return f"Pallas TPU kernels compute in float32, not in {jnp.dtype(dtype).name}"
    if n > _LARGEST[operation]:
        return f"{operation} of {n} × {n} matrices does not fit into the memory of a TPU core"
    return None


def in_memory(operation: str, n: int, dtype: DTypeLike = jnp.float32) -> bool:
    """Whether the kernel that is admitted keeps its matrices in memory on the chip.

    It is there for that it does not spill; it moves as few bytes as one that uses registers, so it
    is no reason to prefer the library.
    """
    return n > _IN_REGISTERS[operation]


def run(
    body: Callable[..., Any],
    outs: Sequence[tuple[int, int]],
    *arrays: jax.Array,
    interpret: Any = False,
) -> list[jax.Array]:
    """What `kernels.pallas.run` does; with `interpret` the kernel is interpreted, on a CPU too."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    X, *rest = arrays
    n, dtype, matrices = len(X), X.dtype, X.shape[-1]
    height = max(pl.cdiv(matrices, _LANES), 1)
    rows = min(_ROWS, height)
    padding = ((0, 0), (0, 0), (0, height * _LANES - matrices))
    folded = [jnp.pad(A, padding).reshape(*A.shape[:2], height, _LANES) for A in arrays]
    # Right-hand sides are dealt to steps, each with a factorisation of its own, as many as fit.
    m = rest[0].shape[1] if rest else 1
    columns = min(m, _held_columns(body.__name__, n))
    shapes = [(n, n), *((n, columns) for _ in rest)]
    scratch = [*shapes, (n, 1), (n, 2)] if in_memory(body.__name__, n) else []

    def kernel(*refs: Any) -> None:
        given, made = refs[: len(arrays)], refs[len(arrays) : len(arrays) + len(outs)]
        memory = refs[len(arrays) + len(outs) :]
        if scratch:
            for A, M in zip(given, memory, strict=False):
                M[...] = A[...]
            for M, Y in zip(looped.BODIES[body.__name__](*memory), made, strict=True):
                Y[...] = M[...].reshape(Y.shape)
            return
        windows = [[[A[i, j] for j in range(A.shape[1])] for i in range(A.shape[0])] for A in given]
        entries = iter(jax.tree.leaves(body(*windows)))
        for Y in made:
            for i in range(Y.shape[0]):
                for j in range(Y.shape[1]):
                    Y[i, j] = next(entries)

    zero = np.int32(0)  # Python's would have 64 bits where those are switched on

    def whole(shape: tuple[int, int]) -> Any:
        return pl.BlockSpec((*shape, rows, _LANES), lambda step, group: (zero, zero, step, zero))

    def some(shape: tuple[int, int]) -> Any:
        block = (shape[0], columns, rows, _LANES)
        return pl.BlockSpec(block, lambda step, group: (zero, group, step, zero))

    call = pl.pallas_call(
        kernel,
        grid=(pl.cdiv(height, rows), pl.cdiv(m, columns)),
        in_specs=[whole((n, n)), *(some((n, m)) for _ in rest)],
        out_specs=[some(shape) if rest else whole(shape) for shape in outs],
        out_shape=[
            # which says too over which axes of a mesh it varies
            jax.ShapeDtypeStruct(
                (*shape, height, _LANES), dtype, manual_axis_type=jax.typeof(X).manual_axis_type
            )
            for shape in outs
        ],
        scratch_shapes=[pltpu.VMEM((*shape, rows, _LANES), dtype) for shape in scratch],
        compiler_params=pltpu.CompilerParams(dimension_semantics=("parallel", "parallel")),
        interpret=interpret,
        name=f"jaxmatcalc_{body.__name__}",
    )
    return [Y.reshape(*Y.shape[:2], -1)[..., :matrices] for Y in call(*folded)]


def _held_columns(operation: str, n: int) -> int:
    """How many right-hand sides a step takes beside the matrix."""
    largest = _IN_REGISTERS[operation]
    if n <= largest:
        return largest * (largest + 1) // n - n
    # a matrix in two windows and the working memory, a right-hand side in four and that
    entries = _MEMORY_BYTES // (_ROWS * _LANES * 4)
    return max((entries - 3 * n * (n + 1)) // (5 * n), 1)
