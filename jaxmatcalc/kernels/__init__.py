"""Fast ways to compute a value on one kind of hardware: one file an operation, and the choice.

A kernel takes leading batch axes and is never differentiated. It is chosen only where a measurement
shows that it beats the library, which otherwise stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
from jax.typing import DTypeLike

from jaxmatcalc.kernels import lu

Kernel = Callable[[jax.Array], jax.Array]

_CPU: dict[str, tuple[Kernel, Callable[[tuple[int, ...], DTypeLike], bool]]] = {
    "pivots": (lu.pivots, lu.wins),
    "inverse": (lu.inverse, lu.wins),
}


def select(operation: str, shape: tuple[int, ...], dtype: DTypeLike) -> Kernel | None:
    """The kernel for an operation on a CPU at a shape and dtype; None where the library stays."""
    if math.prod(shape) == 0 or operation not in _CPU:
        return None
    kernel, wins = _CPU[operation]
    return kernel if wins(shape, dtype) else None
