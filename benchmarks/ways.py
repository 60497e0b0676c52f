"""How plain JAX and jaxmatcalc do a task: from a function to the one that is compiled and timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxmatcalc as jmc

Function = Callable[..., Any]


def dense_newton(f: Function, hessian: Function = jax.hessian) -> Function:
    """The Newton direction by the dense Hessian."""

    def direction(x: jax.Array, *data: jax.Array) -> jax.Array:
        matrix = hessian(f)(x, *data).reshape(x.size, x.size)
        return -jnp.linalg.solve(matrix, jax.grad(f)(x, *data).ravel()).reshape(x.shape)

    return direction


def forward_over_reverse(f: Function) -> Function:
    """Hessian times the gradient, a product of the kind that conjugate gradients take."""
    return lambda x, *data: one_product(f)(jax.grad(f)(x, *data), x, *data)


def direction_first(f: Function, x: jax.Array, *data: jax.Array) -> tuple[jax.Array, ...]:
    """A direction at x, and the arguments of the case."""
    return _directions(x, 1)[0], x, *data


def directions_first(f: Function, x: jax.Array, *data: jax.Array) -> tuple[jax.Array, ...]:
    """64 directions at x, and the arguments of the case."""
    return _directions(x, 64), x, *data


def _directions(x: jax.Array, count: int) -> jax.Array:
    return jnp.sin(jnp.arange(1.0, count * x.size + 1, dtype=x.dtype)).reshape(count, *x.shape)


def one_product(f: Function) -> Function:
    """One product by forward over reverse."""
    return lambda v, x, *data: jax.jvp(lambda x: jax.grad(f)(x, *data), (x,), (v,))[1]


def many_products(f: Function) -> Function:
    """The same along many directions, one after the other."""
    product = one_product(f)
    return lambda V, x, *data: jax.lax.map(lambda v: product(v, x, *data), V)


def operator_product(f: Function) -> Function:
    """The same product through the Hessian operator."""

    def product(x: jax.Array, *data: jax.Array) -> jax.Array:
        _, gradient, H = jmc.value_grad_hessian_operator(f)(x, *data)
        return H @ gradient

    return product


def reverse_twice(f: Function) -> Function:
    """The dense Hessian by two reverse passes."""
    return jax.jacrev(jax.jacrev(f))


def linearised(f: Function) -> Function:
    """The dense Hessian by the gradient's linear part, once a column."""

    def hessian(x: jax.Array, *data: jax.Array) -> jax.Array:
        _, push = jax.linearize(lambda x: jax.grad(f)(x, *data), x)
        columns = jax.vmap(push, out_axes=-1)(jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape))
        return columns.reshape(*x.shape, *x.shape)

    return hessian


def column_by_column(f: Function) -> Function:
    """The same, one column after the other, in the memory of one."""

    def hessian(x: jax.Array, *data: jax.Array) -> jax.Array:
        _, push = jax.linearize(lambda x: jax.grad(f)(x, *data), x)
        columns = jax.lax.map(push, jnp.eye(x.size, dtype=x.dtype).reshape(-1, *x.shape))
        return jnp.moveaxis(columns, 0, -1).reshape(*x.shape, *x.shape)

    return hessian


def formed(f: Function) -> Function:
    """The Hessian as an operator, and its array from that."""
    return lambda *args: jmc.hessian_operator(f)(*args).to_dense()


def recovered_gradient(f: Function, symmetric: bool = False) -> Function:
    """The gradient as minus the Hessian times the Newton direction, which checks the direction."""

    def recovered(x: jax.Array, *data: jax.Array) -> jax.Array:
        H = jmc.hessian_operator(f)(x, *data)
        return -(H @ jmc.newton_direction(f, symmetric=symmetric)(x, *data))

    return recovered


def dense_diagonal(f: Function) -> Function:
    """The diagonal of the dense Hessian."""

    def diagonal(x: jax.Array, *data: jax.Array) -> jax.Array:
        return jnp.diagonal(jax.hessian(f)(x, *data).reshape(x.size, x.size)).reshape(x.shape)

    return diagonal


def over_batch(f: Function) -> Function:
    """Mapped over the leading axis of the first argument."""
    return lambda x, *data: jax.vmap(lambda x: f(x, *data))(x)


def dense_laplacian(f: Function) -> Function:
    """The trace of the dense Hessian."""
    return over_batch(lambda x, *data: jnp.sum(dense_diagonal(f)(x, *data)))


def matrix_and_gradient(f: Function, *args: jax.Array) -> tuple[Any, ...]:
    """The Hessian as a matrix, and the gradient as a vector."""
    size = args[0].size
    matrix = jax.jit(jax.hessian(f))(*args).reshape(size, size)
    return matrix, jax.jit(jax.grad(f))(*args).ravel()


def operator_and_gradient(f: Function, *args: jax.Array) -> tuple[Any, ...]:
    """The Hessian as an operator, and the gradient as a vector."""
    _, gradient, H = jax.jit(jmc.value_grad_hessian_operator(f))(*args)
    return H, gradient.ravel()


def gradient(f: Function) -> Function:
    """Value and gradient in every argument."""
    return lambda *args: jax.value_and_grad(f, tuple(range(len(args))))(*args)
