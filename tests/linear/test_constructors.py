"""The constructors against the matrices that they stand for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc


def normal(*shape):
    return jnp.asarray(np.random.default_rng(shape).normal(size=shape))


@pytest.mark.parametrize("orders", [(2,), (2, 3), (1, 3), (2, 3, 2)])
def test_kronecker_sum(orders, close):
    factors = [normal(n, n) for n in orders]
    op = jmc.kronecker_sum(*factors)
    size = int(np.prod(orders))
    matrix = np.zeros((size, size))
    for k, F in enumerate(factors):
        before, after = (np.eye(int(np.prod(part))) for part in (orders[:k], orders[k + 1 :]))
        matrix += np.kron(np.kron(before, np.asarray(F)), after)
    close(op.as_matrix(), matrix)
    x = normal(*orders)
    close(op @ x, (matrix @ np.asarray(x).ravel()).reshape(orders))
    close(op.diagonal(), np.diag(matrix).reshape(orders))
    close(op.trace(), np.trace(matrix))
    gradient = jax.grad(lambda factors: jnp.sum((jmc.kronecker_sum(*factors) @ x) ** 2))(factors)
    truth = jax.grad(lambda factors: jnp.sum((dense_sum(factors) @ x.ravel()) ** 2))(factors)
    jax.tree.map(close, gradient, truth)


def dense_sum(factors):
    total = 0
    for k, F in enumerate(factors):
        one = [jnp.eye(len(G)) if j != k else F for j, G in enumerate(factors)]
        product = one[0]
        for G in one[1:]:
            product = jnp.kron(product, G)
        total = total + product
    return total


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_low_rank(rank, close):
    U, V = normal(5, rank), normal(4, rank)
    close(jmc.low_rank(U, V).as_matrix(), np.asarray(U) @ np.asarray(V).T)
    close(jmc.low_rank(U).as_matrix(), np.asarray(U) @ np.asarray(U).T)
    Z = U + 1j * normal(5, rank)[::-1]
    close(jmc.low_rank(Z).as_matrix(), np.asarray(Z) @ np.asarray(Z).conj().T)
    close(jmc.low_rank(U, V) @ jnp.ones(4), np.asarray(U) @ np.asarray(V).sum(0))
    columns = U.reshape(5, 1, rank), V.reshape(2, 2, rank)  # of several axes
    assert jmc.low_rank(*columns).in_shape == (2, 2)
    close(jmc.low_rank(*columns).as_matrix(), np.asarray(U) @ np.asarray(V).T)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_duplication_and_elimination(n, close):
    S = np.arange(n * n, dtype=float).reshape(n, n)
    S = S + S.T
    rows, columns = np.tril_indices(n)
    order = np.lexsort((rows, columns))
    packed = S[rows[order], columns[order]]  # the lower triangle, column by column
    D, L = jmc.duplication(n), jmc.elimination(n)
    close(D @ packed, S)
    close(L @ S, packed)
    size = len(packed)
    matrix = np.zeros((n, n, size))
    for k, (i, j) in enumerate(zip(rows[order], columns[order], strict=True)):
        matrix[i, j, k] = matrix[j, i, k] = 1
    close(D.to_dense(), matrix)
    close((L @ D).as_matrix(), np.eye(size))


def test_hessian_in_the_independent_entries(close):
    """Dᵀ H D is the Hessian of f(unvech(v)): the vech convention."""
    A = normal(3, 3)
    X = A @ A.T + jnp.eye(3)
    D, L = jmc.duplication(3), jmc.elimination(3)

    def f(X):
        return jnp.linalg.slogdet(X)[1] + jnp.sum(A * X) ** 2

    H = jmc.hessian_operator(f)(X)
    truth = jax.hessian(lambda v: f(D.to_dense() @ v))(L @ X)
    close((D.T @ H @ D).as_matrix(), truth)


def test_factors_are_kept_apart():
    op = jmc.kronecker_sum(normal(3, 3), normal(4, 4)) + jmc.identity((3, 4))
    assert {array.shape for array in op.arrays} == {(), (3, 3), (4, 4)}
    D = jmc.duplication(6)
    assert max(array.size for array in D.arrays) == 6 * 21


def test_mistakes():
    with pytest.raises(ValueError, match=r"`kronecker_sum` needs a square matrix .* factor 2"):
        jmc.kronecker_sum(jnp.eye(2), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match=r'`kronecker` needs assume_a to be "gen" or "sym" or'):
        jmc.kronecker(jnp.eye(2), assume_a="spd")
    with pytest.raises(ValueError, match="the same number of columns"):
        jmc.low_rank(jnp.ones((3, 2)), jnp.ones((3, 1)))
    with pytest.raises(ValueError, match="needs V to have two axes or more"):
        jmc.low_rank(jnp.ones((3, 2)), jnp.ones(3))
    with pytest.raises(TypeError, match="`duplication` needs a shape of integers"):
        jmc.duplication(2.5)
    with pytest.raises(ValueError, match="`solve` needs assume_a"):
        jmc.identity(3).solve(jnp.ones(3), assume_a="psd")
    with pytest.raises(ValueError, match="`inv_quad` needs an array of shape"):
        jmc.identity(3).inv_quad(jnp.ones(4))
