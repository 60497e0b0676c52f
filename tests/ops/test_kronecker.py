import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops
from jaxmatcalc.ops.kronecker import khatri_rao, kron_sum

SHAPES = [
    [(2, 3)],
    [(2, 3), (3, 1)],
    [(2, 2), (2, 1), (1, 3)],
    [(2, 2), (2, 2), (2, 2), (2, 2)],
    [(0, 2), (3, 3)],
    [(1, 1), (1, 1)],
]


def plain(*factors):
    return functools.reduce(jnp.kron, factors)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_kron_is_numpys_per_matrix(shapes, batch, sample, close):
    factors = [np.asarray(sample(*batch, *shape, seed=i)) for i, shape in enumerate(shapes)]
    actual = ops.kron(*factors)
    rows, columns = np.prod(shapes, axis=0)
    assert actual.shape == (*batch, rows, columns)
    for index in np.ndindex(batch):
        close(actual[index], functools.reduce(np.kron, [A[index] for A in factors]))


def test_kron_broadcasts(sample, close):
    A, B = sample(2, 1, 2, 2), sample(3, 1, 2)
    actual = ops.kron(A, B)
    assert actual.shape == (2, 3, 2, 4)
    close(actual[1, 2], np.kron(A[1, 0], B[2]))


@pytest.mark.parametrize("shapes", SHAPES[1:3], ids=str)
def test_derivatives_in_each_factor(shapes, agree, sample):
    factors = [sample(*shape, seed=i) for i, shape in enumerate(shapes)]
    for i in range(len(factors)):

        def placed(kron, X, i=i):
            return kron(*factors[:i], X * X, *factors[i + 1 :])

        agree(functools.partial(placed, ops.kron), functools.partial(placed, plain), factors[i])


def test_derivatives_of_a_matrix_with_itself(agree, sample):
    agree(lambda X: ops.kron(X, X), lambda X: jnp.kron(X, X), sample(2, 2))


def test_mixed_derivatives(sample, close):
    A, B = sample(2, 1), sample(1, 2)
    actual, expected = (jax.jit(jax.hessian(f, argnums=(0, 1)))(A, B) for f in (ops.kron, jnp.kron))
    jax.tree.map(close, actual, expected)


def test_complex(sample, close):
    A, B = sample(2, 2, complex=True), sample(2, 1, complex=True)
    value, tangent = jax.jvp(lambda A: ops.kron(A, B), (A,), (1j * A,))
    close(value, np.kron(A, B))
    close(tangent, 1j * np.kron(A, B))


def test_promotes_and_keeps_integers(sample):
    ones = jnp.ones((2, 2), int)
    assert ops.kron(ones, ones).dtype == ones.dtype
    assert ops.kron(ones, sample(2, 2)).dtype == sample(2, 2).dtype
    assert ops.kron(ones.astype(jnp.bfloat16), ones).dtype == jnp.bfloat16


def plain_sum(A, B, C):
    I, J, K = (np.eye(len(X)) for X in (A, B, C))
    return (
        functools.reduce(jnp.kron, [A, J, K])
        + functools.reduce(jnp.kron, [I, B, K])
        + functools.reduce(jnp.kron, [I, J, C])
    )


def plain_khatri_rao(A, B):
    return jnp.stack([jnp.kron(a, b) for a, b in zip(A.T, B.T, strict=True)], axis=1)


def test_kron_sum_is_a_sum_of_kroneckers(sample, close):
    A, B, C = sample(2, 2, 2), sample(3, 1, 3, 3), sample(1, 1)
    actual = kron_sum(A, B, C)
    assert actual.shape == (3, 2, 6, 6)
    close(actual[2, 1], plain_sum(*map(np.asarray, (A[1], B[2, 0], C))))
    close(kron_sum(A), A)
    assert kron_sum(jnp.ones((2, 2), int), jnp.zeros((0, 0), int)).shape == (0, 0)
    assert kron_sum(jnp.ones((2, 2), int)).dtype == jnp.ones((), int).dtype


def test_khatri_rao_is_kronecker_by_columns(sample, close):
    A, B = sample(2, 3), sample(2, 4, 3)
    close(khatri_rao(A, B)[1], plain_khatri_rao(A, B[1]))
    close(khatri_rao(A, B, A)[0], plain_khatri_rao(plain_khatri_rao(A, B[0]), A))
    assert khatri_rao(A[:, :0], A[:, :0]).shape == (4, 0)


def test_derivatives_of_sum_and_khatri_rao(agree, sample):
    A, B, C = sample(2, 2), sample(3, 3), sample(1, 1)
    agree(lambda X: kron_sum(A, X * X, C), lambda X: plain_sum(A, X * X, C), B)
    agree(lambda X: khatri_rao(X, X[:1]), lambda X: plain_khatri_rao(X, X[:1]), sample(2, 2))


def test_factors_that_do_not_fit():
    with pytest.raises(ValueError, match="`kron_sum` needs a square matrix"):
        kron_sum(jnp.eye(2), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="the same number of columns"):
        khatri_rao(jnp.eye(2), jnp.eye(3))
