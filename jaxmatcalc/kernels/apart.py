"""Parts of a program that the compiler of a CPU keeps apart.

XLA fuses what it can into one loop, also where that loop is then slow: one that computes a value
anew for every entry that reads it, or reads an array across its rows. A call that it is told not to
inline (`jax.experimental.xla_metadata`) is where its loops end.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def apart(function: Callable[..., Any], *arrays: Any) -> Any:
    """`function` of arrays as a call that XLA keeps, for programs of a CPU.

    Nothing inside is fused with anything outside, where `lax.optimization_barrier` is gone before a
    CPU's loops are made; and all calls of one function, which is to be one object, with the same
    shapes are compiled once.
    """
    with set_xla_metadata(inlineable="false"):
        return _kept(function)(*arrays)


@functools.cache
def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    def kept(*arrays: Any) -> Any:
        with set_xla_metadata(inlineable="true"):  # but not the calls inside, also when mapped
            return function(*arrays)

    kept.__name__ = getattr(function, "func", function).__name__  # of a partial, what it calls
    return jax.jit(kept)
