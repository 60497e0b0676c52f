"""The contenders of each task, by name: plain JAX, jaxmatcalc, and the peers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxmatcalc as jmc
from benchmarks import functions as fun
from benchmarks import peers, ways
from benchmarks.peers import asdex, folx, lineax, pykronecker, sparsejac

Function = Callable[..., Any]
BASELINE, OURS = "jax", "jaxmatcalc"


def given(f: Function, *args: jax.Array) -> tuple[Any, ...]:
    """The arguments of the case as they are."""
    return args


class Contender(NamedTuple):
    """One way to do a task.

    Attributes:
        build: from the case's function to the function that is compiled and timed. A new function
            object every time, so that no cache of JAX knows it. Where the framework is not JAX,
            the name of the task in that framework's module of `peers`.
        prepare: from the case's function and arguments to that function's inputs; not timed.
        needs: the package that it comes from, of the extra ``bench`` or ``bench-torch``.
        framework: "jax", or what runs in a process of its own.
        functions: the names of the functions that it has words for; None: it takes any.
    """

    build: Any
    prepare: Callable[..., tuple[Any, ...]] = given
    needs: str | None = None
    framework: str = "jax"
    functions: Collection[str] | None = None


def elsewhere(framework: str, task: str) -> Contender:
    """A contender that is not JAX, for the functions that it has words for."""
    known = peers.functions(framework)
    return Contender(task, needs=framework, framework=framework, functions=known)


def frameworks(task: str) -> dict[str, Contender]:
    """The contenders that are not JAX and have no structure."""
    return {"autograd": elsewhere("autograd", task), "PyTorch": elsewhere("torch", task)}


def entered(task: str, function: Function) -> dict[str, Contender]:
    """The contenders of a task that take a function."""
    return {
        name: contender
        for name, contender in TASKS[task].items()
        if contender.functions is None or function.__name__ in contender.functions
    }


def _kronecker_sum(A: jax.Array, B: jax.Array, s: jax.Array) -> jmc.LinearOperator:
    return jmc.kronecker_sum(A, B, assume_a="pos") + s * jmc.identity((len(A), len(B)))


def _gaussian(covariance: Any, y: jax.Array) -> jax.Array:
    quadratic, logdet = jmc.inv_quad_logdet(covariance, y, assume_a="pos")
    return (quadratic + logdet) / 2


def _grid_process(theta: jax.Array, x: jax.Array, Y: jax.Array) -> jax.Array:
    K = jnp.exp(-((x[:, None] - x) ** 2) / (2 * jnp.exp(2 * theta[0])))
    noise = (jnp.exp(theta[1]) + 0.1) * jmc.identity(Y.shape)
    return _gaussian(jmc.kronecker(K, K, assume_a="pos") + noise, Y)


def _kalman(mean: jax.Array, P: jax.Array, *model: jax.Array) -> jax.Array:
    A, Q, H, R, Y = model

    def step(state: tuple[jax.Array, jax.Array], y: jax.Array) -> tuple[Any, jax.Array]:
        mean, P = A @ state[0], A @ state[1] @ A.T + Q
        S, residual = H @ P @ H.T + R, y - H @ mean
        gain = jmc.solve(S, H @ P, assume_a="pos").T
        return (mean + gain @ residual, P - gain @ H @ P), _gaussian(S, residual)

    return jnp.sum(jax.lax.scan(step, (mean, P), Y)[1])


# The functions of the cases that have another spelling with jaxmatcalc
SPELLINGS: dict[Function, Function] = {
    fun.logdet: jmc.logdet,
    fun.positive_logdet: lambda X: jmc.logdet(X, assume_a="pos"),
    fun.inverse_quadratic_form: lambda A, y: sum(jmc.inv_quad_logdet(A, y, assume_a="pos")),
    fun.trace_of_product: jmc.trace_product,
    fun.kronecker_product: lambda A, B, x: jnp.sum((jmc.kronecker(A, B) @ x) ** 2),
    fun.kronecker_solve: lambda A, B, x: jnp.sum(jmc.kronecker(A, B).solve(x) ** 2),
    fun.kronecker_logdet: lambda A, B: jmc.kronecker(A, B).logdet(),
    fun.kronecker_sum_logdet: lambda A, B, s: _kronecker_sum(A, B, s).logdet(),
    fun.kronecker_sum_solve: lambda A, B, s, x: jnp.sum(_kronecker_sum(A, B, s).solve(x) ** 2),
    fun.graphical_lasso: lambda X, S: -jmc.logdet(X, assume_a="pos") + jmc.trace_product(S, X),
    fun.trace_inverse: lambda X, A: jmc.trace(jmc.solve(X, A)),
    fun.matrix_normal: lambda X, U, V: _gaussian(jmc.kronecker(U, V, assume_a="pos"), X),
    fun.kalman: _kalman,
    fun.grid_process: _grid_process,
    fun.traces: lambda X: jnp.sum(jmc.trace(X) ** 2),
    fun.determinants: lambda X: jnp.sum(jmc.det(X / 2)),
    fun.logdets: lambda X: jnp.sum(jmc.logdet(X)),
    fun.positive_logdets: lambda X: jnp.sum(jmc.logdet(X, assume_a="pos")),
    fun.inverses: lambda X: jnp.sum(jmc.inv(X) ** 2),
    fun.solutions: lambda X: jnp.sum(jmc.solve(X, jnp.swapaxes(X, -1, -2)) ** 2),
    fun.pseudo_inverses: lambda X: jnp.sum(jmc.pinv(X) ** 2),
    fun.frobenius_norms: lambda X: jnp.sum(jmc.frobenius_norm(X)),
    fun.nuclear_norms: lambda X: jnp.sum(jmc.nuclear_norm(X)),
    fun.spectral_norms: lambda X: jnp.sum(jmc.spectral_norm(X)),
    fun.cubes: lambda X: jnp.sum(jmc.matrix_power(X, 3) ** 2),
    fun.exponentials: lambda X: jnp.sum(jmc.expm(X) ** 2),
    fun.eigenvalues: lambda X: jnp.sum(jmc.eigvalsh(X) ** 3),
    fun.cholesky_factors: lambda X: jnp.sum(jmc.cholesky(X) ** 3),
}

HESSIANS = {
    BASELINE: Contender(jax.hessian),
    "jax, reverse twice": Contender(ways.reverse_twice),
    "jax, linearised": Contender(ways.linearised),
    "jax, column by column": Contender(ways.column_by_column),
    **frameworks("hessian"),
    "jaxmatcalc, operator": Contender(ways.formed),
    OURS: Contender(jmc.hessian),
}

TASKS: dict[str, dict[str, Contender]] = {
    "hessian": HESSIANS,
    "forms": HESSIANS,
    # at sizes where one column after the other takes seconds
    "large-forms": {n: c for n, c in HESSIANS.items() if n != "jax, column by column"},
    # of functions whose Hessian is mostly zeros
    "sparse-forms": {
        **HESSIANS,
        "asdex": Contender(asdex.coloured, needs="asdex"),
        "sparsejac": Contender(sparsejac.coloured, needs="sparsejac"),
    },
    # of many matrices; `python -m benchmarks.batches` has more of them, and outside of `jit`
    "batch": {
        BASELINE: Contender(lambda f: lambda X: jax.lax.map(jax.hessian(f), X, batch_size=1024)),
        "jax, vmapped": Contender(lambda f: jax.vmap(jax.hessian(f))),
        "PyTorch": elsewhere("torch", "batch"),
        "jaxmatcalc": Contender(lambda f: jmc.batched(jmc.hessian(f))),
    },
    "diagonal": {
        BASELINE: Contender(ways.dense_diagonal),
        **frameworks("diagonal"),
        "jaxmatcalc": Contender(jmc.hessian_diagonal),
    },
    "laplacian": {
        BASELINE: Contender(ways.dense_laplacian),
        "folx": Contender(folx.laplacian, needs="folx"),
        "jaxmatcalc": Contender(lambda f: ways.over_batch(jmc.laplacian(f))),
    },
    "value": {
        BASELINE: Contender(lambda f: lambda *args: f(*args)),
        **frameworks("value"),
        "linear_operator": elsewhere("linear_operator", "value"),
        "pykronecker": Contender(
            pykronecker.value, needs="pykronecker", functions=pykronecker.SPELLINGS
        ),
        "jaxmatcalc": Contender(lambda f: lambda *args: SPELLINGS[f](*args)),
    },
    "gradient": {
        BASELINE: Contender(ways.gradient),
        **frameworks("gradient"),
        "linear_operator": elsewhere("linear_operator", "gradient"),
        "pykronecker": Contender(
            pykronecker.gradient, needs="pykronecker", functions=pykronecker.SPELLINGS
        ),
        "jaxmatcalc": Contender(lambda f: ways.gradient(SPELLINGS[f])),
    },
    "newton": {
        BASELINE: Contender(ways.dense_newton),
        **frameworks("newton"),
        "lineax": Contender(lineax.newton, needs="lineax"),
        "jaxmatcalc, dense": Contender(lambda f: ways.dense_newton(f, jmc.hessian)),
        # among symmetric matrices, as the demonstration takes it
        "jaxmatcalc": Contender(lambda f: jmc.newton_direction(f, symmetric=True)),
    },
    "newton-in-gradients": {
        BASELINE: Contender(jax.grad),
        "jaxmatcalc": Contender(ways.recovered_gradient),
    },
    "symmetric-newton-in-gradients": {
        BASELINE: Contender(jax.grad),
        "jaxmatcalc": Contender(lambda f: ways.recovered_gradient(f, symmetric=True)),
    },
    "hvp": {
        BASELINE: Contender(ways.one_product, ways.direction_first),
        **frameworks("hvp"),
        "jaxmatcalc": Contender(lambda f: lambda v, *xs: jmc.hvp(f)(*xs, v), ways.direction_first),
    },
    "hvps": {
        BASELINE: Contender(ways.many_products, ways.directions_first),
        **frameworks("hvps"),
        "jaxmatcalc": Contender(
            lambda f: lambda V, *xs: jmc.hvp(f, many=True)(*xs, V), ways.directions_first
        ),
    },
    "operator-hvp": {
        BASELINE: Contender(ways.forward_over_reverse),
        "jaxmatcalc": Contender(ways.operator_product),
    },
    "product": {
        BASELINE: Contender(lambda f: lambda H, v: H @ v, ways.matrix_and_gradient),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H @ v, ways.operator_and_gradient),
    },
    "solve": {
        BASELINE: Contender(
            lambda f: lambda H, v: jnp.linalg.solve(H, v), ways.matrix_and_gradient
        ),
        "lineax": Contender(lineax.solve, lineax.gradient_first, needs="lineax"),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H.solve(v), ways.operator_and_gradient),
    },
    "logdet": {
        BASELINE: Contender(
            lambda f: lambda H, v: jnp.linalg.slogdet(H)[1], ways.matrix_and_gradient
        ),
        "jaxmatcalc": Contender(lambda f: lambda H, v: H.logdet(), ways.operator_and_gradient),
    },
}
