"""The functions that a formula may name: their spellings, their shapes, and what computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import ops
from jaxmatcalc._precision import matmul

ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "exp": jnp.exp,
    "log": jnp.log,
    "sqrt": jnp.sqrt,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "arcsin": jnp.arcsin,
    "arccos": jnp.arccos,
    "arctan": jnp.arctan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "tanh": jnp.tanh,
    "log1p": jnp.log1p,
    "expm1": jnp.expm1,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
}


class Scalar(NamedTuple):
    """A function to scalars: of a vector or matrix, of a number, and whether only of squares."""

    of_array: Callable[[Any], Any]
    of_scalar: Callable[[Any], Any]
    square: bool


def _norm1(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.abs(x))


def _norm2(x: jax.Array) -> jax.Array:
    return jnp.linalg.norm(x) if x.ndim == 1 else ops.frobenius_norm(x)


def squared_norm(x: jax.Array) -> jax.Array:
    """The sum of squares, without the root that has no derivative at zero."""
    return matmul(x, x) if x.ndim == 1 else ops.squared_frobenius_norm(x)


def _itself(a: Any) -> Any:
    return a


SCALAR = {
    "sum": Scalar(jnp.sum, _itself, False),
    "norm1": Scalar(_norm1, jnp.abs, False),
    "norm2": Scalar(_norm2, jnp.abs, False),
    "normF": Scalar(_norm2, jnp.abs, False),
    "tr": Scalar(ops.trace, _itself, True),
    "det": Scalar(ops.det, _itself, True),
    "logdet": Scalar(ops.logdet, lambda a: jnp.log(jnp.abs(a)), True),
}

# From square matrices to square matrices, with what they are for a number, if anything.
SQUARE: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any] | None]] = {
    "inv": (ops.inv, lambda a: 1 / a),
    "adj": (ops.adjugate, None),
    "expm": (ops.expm, jnp.exp),
    "logm": (ops.logm, jnp.log),
    "sqrtm": (ops.sqrtm, jnp.sqrt),
}

# The others, with the numbers of arguments that they take.
PARTICULAR = {
    "eigvals": (1,),
    "pinv": (1,),
    "diag": (1,),
    "vec": (1,),
    "kron": (2,),
    "vector": (1, 2),
    "matrix": (1, 3),
    "eye": (1,),
}

_ALIASES = {
    "trace": "tr",
    "norm": "norm2",
    "adjugate": "adj",
    "eigvalsh": "eigvals",
    "identity": "eye",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "absolute": "abs",
}

FUNCTIONS = {name: name for name in (*ELEMENTWISE, *SCALAR, *SQUARE, *PARTICULAR)} | _ALIASES


def matrix_power(X: jax.Array, k: int) -> jax.Array:
    """X to an integer power, by plain products where it is a short one."""
    if k == 1:
        return X
    if k == -1:
        return ops.inv(X)
    return matmul(X, X) if k == 2 else ops.matrix_power(X, k)


def number_power(x: Any, k: float) -> Any:
    """Every entry to a power known when the formula is read."""
    if k == 0.5:
        return jnp.sqrt(x)
    return x ** (int(k) if k == int(k) else k)


def kronecker(x: jax.Array, y: jax.Array, rows: tuple[bool, bool]) -> jax.Array:
    """x ⊗ y of vectors and matrices; whether a vector is a row is said by ``rows``."""
    if x.ndim == y.ndim == 1:
        if rows[0] == rows[1]:
            return (x[:, None] * y).reshape(-1)
        return y[:, None] * x if rows[0] else x[:, None] * y
    x, y = (
        array if array.ndim == 2 else array[None] if row else array[:, None]
        for array, row in zip((x, y), rows, strict=True)
    )
    return ops.kron(x, y)
