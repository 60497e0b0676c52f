"""Functions of one real number, as a static parameter of a primitive.

A user's function is kept as its program. Two functions with one program are equal, so that a
lambda written in a loop is compiled once; and the arrays it closes over become operands, so that
they may be traced, mapped and differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc import _equality, _jax

Array = jax.Array


class ScalarFunction:
    """A function x, *parameters → number, equal to any other with the same program."""

    def __init__(self, program: Any, dtype: Any):
        self._program = program
        self._dtype = jnp.dtype(dtype)
        names = tuple(eqn.primitive.name for eqn in program.eqns)
        self._hash = hash((names, tuple(str(v.aval) for v in program.constvars), self._dtype))

    def __call__(self, x: Array, *parameters: Array) -> Array:
        """The number for x, in the dtype of the function."""
        env = dict(zip(self._program.constvars, parameters, strict=True))
        env[self._program.invars[0]] = x

        def read(atom: Any) -> Any:
            return jnp.asarray(_jax.literal(atom)) if isinstance(atom, _jax.Literal) else env[atom]

        for eqn in self._program.eqns:
            env.update(zip(eqn.outvars, _jax.bind(eqn, list(map(read, eqn.invars))), strict=True))
        return read(self._program.outvars[0]).astype(self._dtype)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ScalarFunction)
            and self._hash == other._hash
            and self._dtype == other._dtype
            and _equality.same_program(self._program, other._program)
        )


def scalar_function(
    f: Callable[[Array], Array], dtype: Any, out_dtype: Any
) -> tuple[ScalarFunction, list[Array]]:
    """f on numbers of ``dtype``, and the arrays that it closes over."""
    program, parameters = _jax.trace(f, jax.ShapeDtypeStruct((), dtype))
    return ScalarFunction(program, out_dtype), [jnp.asarray(p) for p in parameters]


@dataclass(frozen=True)
class Along:
    """The derivative of a function along its parameter j; the direction is its last parameter."""

    function: Any
    j: int

    def __call__(self, x: Array, *parameters: Array) -> Array:
        """The number for x."""
        *fixed, direction = parameters
        before, after = fixed[: self.j], fixed[self.j + 1 :]

        def of_one(p: Array) -> Array:
            return self.function(x, *before, p, *after)

        return jax.jvp(of_one, (fixed[self.j],), (direction,))[1]
