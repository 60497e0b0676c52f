"""Sums of two Kronecker products with factors of their own, A ⊗ B + C ⊗ D.

The reference forms the matrix and uses NumPy, or JAX's autodiff of the dense log-determinant.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.linear.structure import SMALL

M, N = 18, 16
assert M * N > SMALL


def definite(n, seed=0):
    a = np.random.default_rng((n, seed)).normal(size=(n, n))
    return a @ a.T / n + np.eye(n)


def general(n, seed=0):
    return np.random.default_rng((n, seed)).normal(size=(n, n)) / np.sqrt(n) + 2 * np.eye(n)


def factors(make, dtype, m=3, n=2):
    return tuple(jnp.asarray(make(k, seed), dtype) for seed, k in enumerate((m, n, m, n)))


def pencil(A, B, C, D):
    return jmc.kronecker(A, B) + 0.7 * jmc.kronecker(C, D)


def dense(A, B, C, D):
    return jnp.kron(A, B) + 0.7 * jnp.kron(C, D)


def test_general_factors(close, float_dtype):
    """A X Bᵀ + C X Dᵀ = E by Schur forms, and the gradient of solution and determinant."""
    args = factors(general, float_dtype, M, N)
    op = pencil(*args)
    assert (op.structure.kind, op.structure.method) == ("sum of 2 kronecker", "schur")
    matrix = np.asarray(dense(*args), float)
    E, W = np.random.default_rng(1).normal(size=(2, M, N))

    def total(args):
        op = pencil(*args)
        X = op.solve(E)
        return jnp.sum(W * X) + op.logdet(), X

    x = np.linalg.solve(matrix, E.reshape(-1))
    inverse = np.linalg.inv(matrix)
    # d(⟨W, X⟩ + log|det|) = ⟨G, dM⟩
    G = (inverse - np.outer(x, W.reshape(-1) @ inverse)).T.reshape(M, N, M, N)
    A, B, C, D = (np.asarray(F, float) for F in args)
    (_, solution), found = jax.jit(jax.value_and_grad(total, has_aux=True))(args)
    close(solution, x.reshape(M, N), 4)
    contracted = ("akbl,kl->ab", B), ("akbl,ab->kl", A), ("akbl,kl->ab", D), ("akbl,ab->kl", C)
    for k, (gradient, (spec, other)) in enumerate(zip(found, contracted, strict=True)):
        close(gradient, (1, 0.7)[k // 2] * np.einsum(spec, G, other), 4)
    close(op.logdet(), np.linalg.slogdet(matrix)[1], 4)


@pytest.mark.parametrize("singular", ["first", "second"])
def test_one_product_may_be_singular(singular, close, float_dtype):
    """The other one is taken out."""
    A, B, C, D = factors(general, float_dtype)
    S = jnp.asarray(np.outer(np.arange(1, 4), np.ones(3)), float_dtype)
    args = (S, B, C, D) if singular == "first" else (A, B, S, D)
    matrix = np.asarray(dense(*args), float)
    b = np.arange(6.0).reshape(3, 2)
    op = pencil(*args)
    close(op.solve(b, "schur"), np.linalg.solve(matrix, b.reshape(-1)).reshape(3, 2), 4)
    close(op.logdet("schur"), np.linalg.slogdet(matrix)[1], 4)


def test_definite_factors(close, float_dtype):
    """By Cholesky factors and eigenvectors: value, inverse, and derivatives to the second order."""
    args = factors(definite, float_dtype)
    b = jnp.arange(1.0, 7.0, dtype=float_dtype)

    def ours(args):
        quad, logdet = pencil(*args).inv_quad_logdet(b, "pos")
        return 3 * quad + logdet

    def truth(args):
        K = dense(*args)
        return 3 * b @ jnp.linalg.solve(K, b) + jnp.linalg.slogdet(K)[1]

    def along(f, t):
        A, B, C, D = args
        return f((A + t * C, B * (1 + t), C + t**2 * A, D * (1 - t) + t * B))

    def everything(f, t):
        value, slope = jax.value_and_grad(functools.partial(along, f))(t)
        return value, slope, jax.grad(jax.grad(functools.partial(along, f)))(t)

    zero = jnp.zeros((), float_dtype)
    found = jax.jit(functools.partial(everything, ours))(zero)
    expected = jax.jit(functools.partial(everything, truth))(zero)
    jax.tree.map(functools.partial(close, digits_lost=4), found, expected)


def test_diagonal_and_missing_factors(einsum_operator, close, float_dtype):
    """A ⊗ diag(d) + diag(u) ⊗ B, and A ⊗ B + C ⊗ I; diagonal factors of both stay vectors."""
    A, B, C, _ = factors(definite, float_dtype)
    u, d, s = (jnp.asarray(x, float_dtype) for x in ([1.0, 2.0, 3.0], [2.0, 5.0], 0.7))
    sizes = {"a": 3, "b": 3, "k": 2, "l": 2}
    eye, D = np.eye(2), np.diag(d)
    sums = [
        (
            (("ab,k:ak|bk", A, d), ("a,kl,.:ak|al", u, B, s)),
            np.kron(A, np.diag(d)),
            np.kron(np.diag(u), B),
        ),
        ((("ab,kl:ak|bl", A, B), ("ab,.:ak|bk", C, s)), np.kron(A, B), np.kron(C, eye)),
        ((("ab,k:ak|bk", A, d), ("ab,.:ak|bk", C, s)), np.kron(A, D), np.kron(C, eye)),
    ]
    b = np.arange(1.0, 7.0).reshape(3, 2)
    for k, (terms, first, second) in enumerate(sums):
        op, matrix = einsum_operator(sizes, *terms), first + float(s) * second
        x = np.linalg.solve(matrix, b.reshape(-1)).reshape(3, 2)
        if k == 0:
            close(op.solve(b, "schur"), x, 4)
            close(op.inv(assume_a="pos").as_matrix(), np.linalg.inv(matrix), 4)
        quad, logdet = op.inv_quad_logdet(b, assume_a="pos")
        close(quad, np.sum(b * x), 4)
        close(logdet, np.linalg.slogdet(matrix)[1], 4)


def test_a_hermitian_pair_and_a_batch(close, complex_dtype, float_dtype):
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(2, 4, 3, 3)) + 1j * rng.normal(size=(2, 4, 3, 3))
    pair = jnp.asarray(pair @ pair.conj().swapaxes(-1, -2) + np.eye(3), complex_dtype)
    ops = jax.vmap(lambda F: pencil(*F))(pair)
    matrices = np.stack([np.asarray(dense(*F)) for F in pair])
    b = rng.normal(size=(2, 9)) + 1j * rng.normal(size=(2, 9))
    b = jnp.asarray(b, complex_dtype)
    close(ops.solve(b, assume_a="pos"), np.linalg.solve(matrices, b[..., None])[..., 0], 4)
    close(ops.logdet(assume_a="pos"), np.linalg.slogdet(matrices)[1], 4)


def test_stein(close, float_dtype):
    """X - A X Bᵀ = Q is a sum with one matrix an axis."""
    A, B, *_ = factors(general, float_dtype)
    A, B = A / 3, B / 3
    op = jmc.identity((3, 2), float_dtype) - jmc.kronecker(A, B)
    Q = np.arange(6.0).reshape(3, 2)
    X = np.asarray(op.solve(Q, "schur"))
    close(X - np.asarray(A) @ X @ np.asarray(B).T, Q, 4)
