"""The transforms under `jit` and `vmap`: batches of operators, caches, shared factorisations."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import (
    det,
    frobenius_norm,
    hessian,
    hessian_operator,
    hvp,
    inv,
    jacobian_operator,
    logdet,
    newton_direction,
    value_grad_hessian_operator,
)


@pytest.fixture(scope="module")
def points(covariance):
    return jnp.stack([covariance, 2 * covariance, covariance + 1])


@pytest.fixture(scope="module")
def hessians(objective, points):
    """The matrices of `jax.hessian` at the points, one at a time."""
    return np.stack([np.asarray(jax.hessian(objective)(X)).reshape(9, 9) for X in points])


@pytest.fixture(scope="module")
def batch(objective, points):
    return jax.jit(jax.vmap(hessian_operator(objective)))(points)


def test_a_batch_of_operators(batch, points, hessians, close):
    """jit(vmap(hessian_operator(f))), and every method of what it returns."""
    dtype = points.dtype
    hessians = hessians.astype(dtype)
    assert batch.batch_shape == (3,)
    assert batch.shape == (3, 3, 3, 3)
    assert batch.structure.kind == "kronecker+commutation + identity"
    assert repr(batch).startswith("LinearOperator((3, 3) → (3, 3), float")
    assert "batch (3,)" in repr(batch)
    close(batch.to_dense(), jnp.asarray(hessians.reshape(3, 3, 3, 3, 3)))
    close(batch.as_matrix(), jnp.asarray(hessians))
    close(batch.T.as_matrix(), jnp.asarray(hessians.swapaxes(1, 2)))
    close(batch @ points, jnp.einsum("bij,bj->bi", hessians, points.reshape(3, 9)).reshape(3, 3, 3))
    close(batch @ points[0], jnp.asarray((hessians @ points[0].reshape(9)).reshape(3, 3, 3)), 4)
    close(batch.diagonal(), jnp.asarray(np.diagonal(hessians, 0, 1, 2).reshape(3, 3, 3)))
    close(batch.trace(), jnp.asarray(np.trace(hessians, 0, 1, 2)))
    close(batch.logdet(), jnp.asarray(np.linalg.slogdet(hessians)[1]), 4)
    flat = np.asarray(points).reshape(3, 9, 1)
    solved = np.linalg.solve(hessians, flat).reshape(3, 3, 3)
    close(batch.solve(points), jnp.asarray(solved), 5)
    close(batch.inv().as_matrix(), jnp.asarray(np.linalg.inv(hessians)), 5)
    close((batch @ batch).as_matrix(), jnp.asarray(hessians @ hessians), 4)
    close((2 * batch - batch).as_matrix(), jnp.asarray(hessians))
    weights = jnp.arange(1.0, 4.0, dtype=dtype)
    scaled = jax.vmap(lambda op, w: op * w)(batch, weights)
    close(scaled.as_matrix(), jnp.asarray(hessians) * weights[:, None, None])


def test_derivatives_of_batches(objective, points, close):
    """grad of vmap, through a structured solve."""

    def total(points):
        H = jax.vmap(hessian_operator(objective))(points)
        return jnp.sum(H.solve(points) ** 2) + jnp.sum(H.logdet())

    def one(X):
        H = jax.hessian(objective)(X).reshape(9, 9)
        x = jnp.linalg.solve(H, X.reshape(9))
        return jnp.sum(x**2) + jnp.linalg.slogdet(H)[1]

    expected = jnp.stack([jax.grad(one)(X) for X in points])
    close(jax.jit(jax.grad(total))(points), expected, 5)


def test_batches_over_one_of_two_arguments(points, close):
    f = lambda X, y: jnp.sum((X @ y) ** 2)  # noqa: E731
    y = points[0, 0]
    J = jax.vmap(jacobian_operator(lambda X, y: X @ y, 1), (0, None))(points, y)
    close(J.to_dense(), points)
    H = jax.vmap(hessian_operator(f, 1), (0, None))(points, y)
    close(H.to_dense(), 2 * jnp.einsum("bji,bjk->bik", points, points), 4)
    H = jax.vmap(hessian_operator(f), (None, 0))(points[0], points[:, 0])
    expected = [jax.hessian(f)(points[0], y) for y in points[:, 0]]
    close(H.to_dense(), jnp.stack(expected))


def test_a_batch_where_nothing_varies(close):
    """The Hessian of a quadratic is the same at each point, and still comes as a batch."""
    H = jax.jit(jax.vmap(hessian_operator(lambda x: x @ x)))(jnp.ones((4, 3)))
    assert H.to_dense().shape in ((4, 3, 3), (3, 3))
    assert H.batch_shape == (4,)
    close(H @ jnp.ones((4, 3)), 2 * jnp.ones((4, 3)))


def test_operators_out_of_scan_and_cond(objective, points, hessians, close):
    _, ops = jax.lax.scan(lambda c, X: (c, hessian_operator(objective)(X)), 0, points)
    close(ops.as_matrix(), jnp.asarray(hessians, points.dtype))
    H = hessian_operator(objective)(points[0])
    moved = jax.lax.cond(True, lambda H: 2 * H, lambda H: H, 1.0 * H)
    close(moved.as_matrix(), jnp.asarray(2 * hessians[0], points.dtype))


@pytest.mark.parametrize("operation", [inv, det, logdet, frobenius_norm])
def test_operations_inside_of_scan(operation, points, close):
    """JAX's own Hessian, and ours, of a loop over operations."""

    def f(X):
        def step(total, P):
            return total + jnp.sum(operation(X @ P + jnp.eye(3))) ** 2, None

        return jax.lax.scan(step, 0.0, points[:2])[0]

    def unrolled(X):
        return sum(jnp.sum(operation(X @ P + jnp.eye(3))) ** 2 for P in points[:2])

    X = points[0]
    expected = jax.hessian(unrolled)(X)
    close(jax.hessian(f)(X), expected, 5)
    close(hessian(f)(X), expected, 5)


def test_nothing_is_compiled_twice(objective, points, counted):
    """Equal programs give equal trees, so that the second call is a cached one."""
    derived, derivations = counted(value_grad_hessian_operator(objective))
    consumer, solves = counted(lambda H, b: H.solve(b))
    trees = set()
    for X in points:
        _, gradient, H = derived(X)
        consumer(H, gradient)
        trees.add(jax.tree.structure(H))
    assert len(derivations) == len(solves) == 1
    assert len(trees) == 1
    # outside of jit the trace is new each time, the tree is not
    assert jax.tree.structure(hessian_operator(objective)(points[0])) in trees
    direction, directions = counted(newton_direction(objective))
    for X in points:
        direction(X)
    assert len(directions) == 1


def factorisations(function, *args):
    """How many LU factorisations the compiled program of a function calls."""
    text = jax.jit(function).lower(*args).compile().as_text()
    return len(re.findall(r'custom_call_target="\w*getrf\w*"', text))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="counts LAPACK's calls")
def test_a_factorisation_is_shared(objective):
    """Value, gradient and Hessian of log|X| come from one LU."""
    X = 3 * jnp.eye(12) + jnp.arange(144.0).reshape(12, 12) / 100  # above any unrolled size
    logdet = lambda X: jnp.linalg.slogdet(X)[1]  # noqa: E731
    assert factorisations(logdet, X) == 1
    assert factorisations(value_grad_hessian_operator(logdet), X) == 1
    penalised = lambda X: -logdet(X) + jnp.trace(X) + jnp.sum(X**2)  # noqa: E731
    assert factorisations(value_grad_hessian_operator(penalised), X) == 1
    assert factorisations(hessian(penalised), X) == 1
    assert factorisations(lambda X: hvp(penalised)(X, X), X) == 1


A, B = jnp.cos(jnp.arange(576.0)).reshape(24, 24), jnp.sin(jnp.arange(576.0)).reshape(24, 24)
T, V = jnp.cos(jnp.arange(3600.0)).reshape(60, 60), jnp.sin(jnp.arange(180.0)).reshape(60, 3)


def half_logdet(X):
    return jnp.linalg.slogdet(X)[1] / 2


@pytest.mark.parametrize(
    ("f", "point", "limit"),
    [
        (half_logdet, A + 5 * jnp.eye(24), 0.1),
        (lambda X: half_logdet(A @ X @ A.T), B + 5 * jnp.eye(24), 0.1),
        (lambda X: jnp.trace(A @ jnp.linalg.inv(X)), B + 5 * jnp.eye(24), 0.1),
        (lambda X: jnp.trace(X.T @ A @ X @ B), B, 0.1),
        (lambda X: jnp.trace(A @ X) + jnp.sum(X**2) - half_logdet(X), A + 5 * jnp.eye(24), 0.1),
        (lambda U: jnp.sum((T - U @ V.T) ** 2), V + 1, 1.5),
    ],
)
def test_temporaries_of_a_dense_hessian(f, point, limit):
    """It is written in one pass: next to nothing is held beside the output."""
    memory = jax.jit(hessian(f)).lower(point).compile().memory_analysis()
    assert memory.output_size_in_bytes >= point.size**2 * point.dtype.itemsize
    assert memory.temp_size_in_bytes <= limit * memory.output_size_in_bytes
