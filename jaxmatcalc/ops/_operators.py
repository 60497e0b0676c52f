"""Linear operators, as the operations that take one see them: by their methods.

`ops` and `linear` do not import each other. An operator does its own work; an operation passes its
arguments on.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import jax


class Operator(Protocol):
    """What an operation asks of a linear operator."""

    def logdet(self, *, assume_a: str) -> jax.Array:
        """log |det A|."""
        ...

    def solve(self, b: Any, *, assume_a: str) -> jax.Array:
        """The x with A x = b."""
        ...

    def inv_quad(self, y: Any, *, assume_a: str) -> jax.Array:
        """yᴴ A⁻¹ y."""
        ...

    def inv_quad_logdet(self, y: Any, *, assume_a: str) -> tuple[jax.Array, jax.Array]:
        """yᴴ A⁻¹ y and log |det A|."""
        ...


def is_operator(A: Any) -> TypeGuard[Operator]:
    """Whether A is a linear operator, and not an array."""
    return hasattr(type(A), "inv_quad_logdet")
