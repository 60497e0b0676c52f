"""The contenders of each task: how plain JAX does it, and how jaxmatcalc does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxmatcalc as jmc
from benchmarks import cases

Function = Callable[..., Any]
BASELINE = "jax"


def given(f: Function, *args: jax.Array) -> tuple[Any, ...]:
    """The arguments of the case as they are."""
    return args


class Contender(NamedTuple):
    """One way to do a task.

    Attributes:
        build: from the case's function to the function that is compiled and timed. A new function
            object every time, so that no cache of JAX knows it.
        prepare: from the case's function and arguments to that function's inputs; not timed.
    """

    build: Callable[[Function], Function]
    prepare: Callable[..., tuple[Any, ...]] = given


def dense_newton(f: Function) -> Function:
    """The Newton direction by the dense Hessian."""

    def direction(x: jax.Array, *data: jax.Array) -> jax.Array:
        matrix = jax.hessian(f)(x, *data).reshape(x.size, x.size)
        return -jnp.linalg.solve(matrix, jax.grad(f)(x, *data).ravel()).reshape(x.shape)

    return direction


def forward_over_reverse(f: Function) -> Function:
    """Hessian times the gradient, a product of the kind that conjugate gradients take."""

    def product(x: jax.Array, *data: jax.Array) -> jax.Array:
        gradient = lambda x: jax.grad(f)(x, *data)  # noqa: E731
        return jax.jvp(gradient, (x,), (gradient(x),))[1]

    return product


def operator_product(f: Function) -> Function:
    """The same product through the Hessian operator."""

    def product(x: jax.Array, *data: jax.Array) -> jax.Array:
        _, gradient, H = jmc.value_grad_hessian_operator(f)(x, *data)
        return H @ gradient

    return product


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


def _kronecker_sum(A: jax.Array, B: jax.Array, s: jax.Array) -> jmc.LinearOperator:
    return jmc.kronecker_sum(A, B, assume_a="pos") + s * jmc.identity((len(A), len(B)))


# The functions of the cases that have another spelling with jaxmatcalc
SPELLINGS: dict[Function, Function] = {
    cases.logdet: jmc.logdet,
    cases.positive_logdet: lambda X: jmc.logdet(X, assume_a="pos"),
    cases.inverse_quadratic_form: lambda A, y: sum(jmc.inv_quad_logdet(A, y, assume_a="pos")),
    cases.trace_of_product: jmc.trace_product,
    cases.kronecker_product: lambda A, B, x: jnp.sum((jmc.kronecker(A, B) @ x) ** 2),
    cases.kronecker_solve: lambda A, B, x: jnp.sum(jmc.kronecker(A, B).solve(x) ** 2),
    cases.kronecker_logdet: lambda A, B: jmc.kronecker(A, B).logdet(),
    cases.kronecker_sum_logdet: lambda A, B, s: _kronecker_sum(A, B, s).logdet(),
    cases.kronecker_sum_solve: lambda A, B, s, x: jnp.sum(_kronecker_sum(A, B, s).solve(x) ** 2),
    cases.traces: lambda X: jnp.sum(jmc.trace(X) ** 2),
    cases.determinants: lambda X: jnp.sum(jmc.det(X / 2)),
    cases.logdets: lambda X: jnp.sum(jmc.logdet(X)),
    cases.positive_logdets: lambda X: jnp.sum(jmc.logdet(X, assume_a="pos")),
    cases.inverses: lambda X: jnp.sum(jmc.inv(X) ** 2),
    cases.solutions: lambda X: jnp.sum(jmc.solve(X, jnp.swapaxes(X, -1, -2)) ** 2),
    cases.pseudo_inverses: lambda X: jnp.sum(jmc.pinv(X) ** 2),
    cases.frobenius_norms: lambda X: jnp.sum(jmc.frobenius_norm(X)),
    cases.nuclear_norms: lambda X: jnp.sum(jmc.nuclear_norm(X)),
    cases.spectral_norms: lambda X: jnp.sum(jmc.spectral_norm(X)),
    cases.cubes: lambda X: jnp.sum(jmc.matrix_power(X, 3) ** 2),
    cases.exponentials: lambda X: jnp.sum(jmc.expm(X) ** 2),
    cases.eigenvalues: lambda X: jnp.sum(jmc.eigvalsh(X) ** 3),
    cases.cholesky_factors: lambda X: jnp.sum(jmc.cholesky(X) ** 3),
}

TASKS: dict[str, dict[str, Contender]] = {
    "hessian": {
        BASELINE: Contender(jax.hessian),
        "jaxmatcalc": Contender(jmc.hessian),
    },
    "value": {
        BASELINE: Contender(lambda f: lambda *args: f(*args)),
        "jaxmatcalc": Contender(lambda f: lambda *args: SPELLINGS[f](*args)),
    },
    "gradient": {
        BASELINE: Contender(gradient),
        "jaxmatcalc": Contender(lambda f: gradient(SPELLINGS[f])),
    },
    "newton": {
        BASELINE: Contender(dense_newton),
        # among symmetric matrices, as the demonstration takes it
        "jaxmatcalc": Contender(lambda f: jmc.newton_direction(f, symmetric=True)),
    },
    "hvp": {
        BASELINE: Contender(forward_over_reverse),
        "jaxmatcalc": Contender(operator_product),
    },
    "product": {
        BASELINE: Contender(lambda f: lambda H, v: H @ v, matrix_and_gradient),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H @ v, operator_and_gradient),
    },
    "solve": {
        BASELINE: Contender(lambda f: lambda H, v: jnp.linalg.solve(H, v), matrix_and_gradient),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H.solve(v), operator_and_gradient),
    },
    "logdet": {
        BASELINE: Contender(lambda f: lambda H, v: jnp.linalg.slogdet(H)[1], matrix_and_gradient),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H.logdet(), operator_and_gradient),
    },
}
