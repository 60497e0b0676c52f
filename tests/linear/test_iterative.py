"""Solves by products: convergence, what preconditions them, derivatives, and what fails.

The reference is NumPy's dense solve, or JAX's derivative of the dense solve.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.linear import preconditioning
from jaxmatcalc.linear.constructors import from_dense
from jaxmatcalc.linear.structure import LARGE


def positive_definite(n, seed=0):
    a = np.random.default_rng((n, seed)).normal(size=(n, n))
    return a @ a.T / n + np.eye(n)


def general(n, seed=0):
    return np.random.default_rng((n, seed)).normal(size=(n, n)) / n + 2 * np.eye(n)


def weights(shape, seed=0):
    return np.random.default_rng((*shape, seed)).uniform(0.5, 2, shape)


def noisy(A, B, d):
    """A ⊗ B plus a diagonal that no eigenvectors share."""
    return jmc.kronecker(A, B) + jmc.diagonal(d)


def unstructured(A, B, d):
    return from_dense(jnp.kron(A, B) + jnp.diag(d.reshape(-1)), 1)


CASES = {"kronecker + diagonal": noisy, "dense": unstructured}


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("kronecker + diagonal", "cg"),
        ("kronecker + diagonal", "gmres"),
        ("dense", "bicgstab"),
    ],
)
def test_value_and_gradient(kind, method, close, float_dtype):
    """The solution, and its gradient in everything."""
    made = CASES[kind]
    square = positive_definite if method == "cg" else general
    args = tuple(jnp.asarray(x, float_dtype) for x in (square(3), square(2), weights((3, 2))))
    b, w = jnp.asarray(np.random.default_rng(1).normal(size=(2, 6)), float_dtype)

    def ours(A, B, d, b):
        x = made(A, B, d).solve(b, method)
        return w @ x, x

    (_, x), found = jax.jit(jax.value_and_grad(ours, (0, 1, 2, 3), has_aux=True))(*args, b)
    A, B, d = (np.asarray(F, float) for F in args)
    K = np.kron(A, B) + np.diag(d.reshape(-1))
    X, y = np.linalg.solve(K, b).reshape(3, 2), np.linalg.solve(K.T, w)
    Y = y.reshape(3, 2)
    close(x, X.reshape(-1), 4)
    for G, truth in zip(found, (-Y @ B @ X.T, -Y.T @ A @ X, -X * Y, y), strict=True):
        close(G, truth, 4)


def test_the_choice_by_size(float_dtype):
    """Above 4,096 unknowns what has no structure is iterated; the determinant never is."""
    n = 65
    assert (n - 1) ** 2 == LARGE

    def chosen(n):
        made = jax.eval_shape(noisy, *(jax.ShapeDtypeStruct((n, n), float_dtype),) * 3)
        return made.structure.method

    assert (chosen(n - 1), chosen(n)) == ("dense", "gmres")
    op = noisy(*(jnp.ones((n, n), float_dtype),) * 3)
    with pytest.raises(ValueError, match=r"`inv` needs structure, .* got order 4,225"):
        op.inv()
    with pytest.raises(ValueError, match=r'`logdet` needs method.* to be "dense"; got \'gmres\''):
        op.logdet("gmres")


def kernel(n, dtype):
    x = np.linspace(0, 1, n)
    return jnp.asarray(np.exp(-((x[:, None] - x) ** 2) / 0.02), dtype)


def test_a_large_solve(close, float_dtype):
    """Covariances that are singular to rounding, and noise of its own in each place."""
    A, B = kernel(66, float_dtype), kernel(64, float_dtype)
    d = jnp.asarray(weights((66, 64)), float_dtype)
    op = noisy(A, B, d)
    x = np.random.default_rng(0).normal(size=(66, 64))
    b = np.asarray(A, float) @ x @ np.asarray(B, float).T + np.asarray(d) * x
    close(op.solve(jnp.asarray(b, float_dtype), assume_a="pos"), x, 4)
    small = noisy(A[:3, :3], B[:2, :2], d[:3, :2])
    found = preconditioning.exact_part(small.terms, small.dtype, "pos")
    assert found is not None
    assert (len(found[0]), found[1]) == (2, "eigen")


def test_what_preconditions(float_dtype):
    """The largest part of the sum that structure solves."""
    A, B, d = (jnp.asarray(x, float_dtype) for x in (general(3), general(3, 1), weights((3, 3))))
    plain, pair = jmc.diagonal(d), jmc.kronecker(A, B)

    def method(op, assume_a="gen"):
        found = preconditioning.exact_part(op.terms, op.dtype, assume_a)
        return found[1] if found else None

    assert method(plain) is None
    assert method(pair) == "kronecker"
    assert method(pair + plain) == "schur"
    assert method(pair + plain, "sym") == "eigen"
    three = pair + jmc.kronecker(B, A) + jmc.kronecker(A @ B, B @ A)
    assert method(three) == "schur"  # two of the three
    assert method(three + plain, "sym") == "eigen"  # one of them, and the mean of the diagonal


def test_what_does_not_converge_is_not_a_number(float_dtype):
    """As conjugate gradients on an indefinite matrix, and all on a singular one."""
    K = jnp.asarray(np.diag([1.0, 0.0, 2.0, 3.0]), float_dtype)
    op = from_dense(K + 0 * K.T, 1)
    for method in ("cg", "gmres"):
        assert np.isnan(np.asarray(op.solve(jnp.ones(4, float_dtype), method))).all()
    zero = op.solve(jnp.zeros(4, float_dtype), "gmres")
    np.testing.assert_array_equal(zero, np.zeros(4))


def test_scales_and_a_batch(close, float_dtype):
    """Neither the size of the matrix nor that of b matters, and each of a batch is solved."""
    K = jnp.asarray(general(5), float_dtype)
    b = jnp.arange(1.0, 6.0, dtype=float_dtype)
    x = np.linalg.solve(np.asarray(K, float), b)
    ops = jax.vmap(lambda s: s * from_dense(K, 1))(jnp.asarray([1e-8, 1.0, 1e8], float_dtype))
    found = ops.solve(jnp.stack([b * 1e-8, b * 0, b]), "gmres")
    close(found * jnp.asarray([[1.0], [1.0], [1e8]], float_dtype), np.stack([x, 0 * x, x]), 4)


def test_complex(close, complex_dtype):
    rng = np.random.default_rng(0)
    G = rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5))
    b = jnp.asarray(rng.normal(size=5) + 1j * rng.normal(size=5), complex_dtype)
    for method, K in (("gmres", G + 5 * np.eye(5)), ("cg", G @ G.conj().T + np.eye(5))):
        op = from_dense(jnp.asarray(K, complex_dtype), 1)
        close(op.solve(b, method), np.linalg.solve(K, b), 4)
