"""lineax: iterative solves with the Hessian of a function, from products alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

Function = Callable[..., Any]
TOLERANCE = {"float32": 3e-5, "float64": 1e-10}  # of residuals; half the digits are to be right


def newton(f: Function) -> Function:
    """The Newton direction by conjugate gradients."""

    def direction(x: jax.Array, *data: jax.Array) -> jax.Array:
        import lineax

        H = _hessian(f, x, *data)
        tolerance = TOLERANCE[x.dtype.name]
        solver = lineax.CG(rtol=tolerance, atol=tolerance)
        definite = lineax.TaggedLinearOperator(H, lineax.positive_semidefinite_tag)
        return -lineax.linear_solve(definite, jax.grad(f)(x, *data), solver).value

    return direction


def solve(f: Function) -> Function:
    """The Hessian's inverse times a vector, by conjugate gradients on the normal equations.

    The Hessian need not be definite.
    """

    def solution(v: jax.Array, x: jax.Array, *data: jax.Array) -> jax.Array:
        import lineax

        H = _hessian(f, x, *data)
        tolerance = TOLERANCE[x.dtype.name]
        solver = lineax.Normal(lineax.CG(rtol=tolerance, atol=tolerance))
        return lineax.linear_solve(H, v.reshape(x.shape), solver).value.ravel()

    return solution


def gradient_first(f: Function, *args: jax.Array) -> tuple[Any, ...]:
    """The gradient as a vector, and the arguments."""
    return jax.jit(jax.grad(f))(*args).ravel(), *args


def _hessian(f: Function, x: jax.Array, *data: jax.Array) -> Any:
    import lineax

    return lineax.JacobianLinearOperator(
        lambda x, _: jax.grad(f)(x, *data), x, tags=lineax.symmetric_tag
    )
