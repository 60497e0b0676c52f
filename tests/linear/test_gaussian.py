"""Gaussian building blocks: sums of Kronecker products whose derivatives pass no eigenvector.

The reference forms the matrix, factors it, and is differentiated by JAX.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc

MODES = (jax.jacfwd, jax.jacrev)


def positive_definite(n, seed=0):
    a = np.random.default_rng((n, seed)).normal(size=(n, n))
    return a @ a.T / n + np.eye(n)


def product_plus_identity(A, B, C, s):
    return 2 * jmc.kronecker(A, B, C, assume_a="pos") + s * jmc.identity(sizes(A, B, C))


def sum_plus_identity(A, B, C, s):
    return jmc.kronecker_sum(A, B, C, assume_a="sym") + s * jmc.identity(sizes(A, B, C))


def sizes(*factors):
    return tuple(len(F) for F in factors)


def dense_product(A, B, C, s):
    K = functools.reduce(jnp.kron, (A, B, C))
    return 2 * K + s * jnp.eye(len(K))


def dense_sum(A, B, C, s):
    a, b, c = (jnp.eye(len(F)) for F in (A, B, C))
    terms = [(A, b, c), (a, B, c), (a, b, C)]
    total = sum(functools.reduce(jnp.kron, factors) for factors in terms)
    return total + s * jnp.eye(len(total))


KINDS = {
    "product": (product_plus_identity, dense_product),
    "sum": (sum_plus_identity, dense_sum),
}


def likelihood(operator, *args):
    """Quadratic form and log-determinant, so weighted that neither hides the other."""
    *parts, y = args
    quad, logdet = operator(*parts).inv_quad_logdet(y)
    return 3 * quad + logdet


def dense_likelihood(matrix, *args):
    *parts, y = args
    M = matrix(*parts)
    return 3 * (y @ jnp.linalg.solve(M, y)) + jnp.linalg.slogdet(M)[1]


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_derivatives_of_the_likelihood(kind, repeated, close, float_dtype):
    """Gradient and Hessian in every factor, in ρ and in y; the eigenvalues may all be equal."""
    operator, matrix = KINDS[kind]
    A, B, C = (positive_definite(n) for n in (2, 3, 2))
    if repeated:
        A, B = np.eye(2), 2 * np.eye(3)
    y = np.random.default_rng(1).normal(size=12)
    args = tuple(jnp.asarray(x, float_dtype) for x in (A, B, C, 0.3, y))
    assert operator(*args[:4]).structure.method == "eigen"
    every = tuple(range(5))
    f = functools.partial(likelihood, operator)
    g = functools.partial(dense_likelihood, matrix)
    found = jax.jit(lambda *a: (f(*a), jax.grad(f, every)(*a), jax.hessian(f, every)(*a)))(*args)
    truth = jax.jit(lambda *a: (g(*a), jax.grad(g, every)(*a), jax.hessian(g, every)(*a)))(*args)
    jax.tree.map(close, found, truth)


def test_every_composition_and_the_third_order(close, float_dtype):
    A, B = (jnp.asarray(positive_definite(n), float_dtype) for n in (2, 3))
    y = jnp.arange(1.0, 7.0, dtype=float_dtype)
    S = jnp.asarray([[0.3, 0.2], [-0.1, 0.4]], float_dtype)

    def ours(t):
        factors = A + t * S + t**2 * A @ A, B * (1 + t)
        op = jmc.kronecker(*factors, assume_a="pos") + (0.3 + t) * jmc.identity((2, 3))
        quad, logdet = op.inv_quad_logdet(y)
        return quad + logdet

    def dense(t):
        K = jnp.kron(A + t * S + t**2 * A @ A, B * (1 + t)) + (0.3 + t) * jnp.eye(6)
        return y @ jnp.linalg.solve(K, y) + jnp.linalg.slogdet(K)[1]

    @jax.jit
    def derivatives(t):
        seconds = [outer(inner(ours))(t) for outer in MODES for inner in MODES]
        return seconds, jax.grad(jax.grad(jax.grad(ours)))(t)

    zero = jnp.zeros((), float_dtype)
    seconds, third = derivatives(zero)
    truth = jax.jit(lambda t: (jax.hessian(dense)(t), jax.jacfwd(jax.hessian(dense))(t)))(zero)
    for second in seconds:
        close(second, truth[0], 4)
    close(third, truth[1], 4)


def test_a_batch_of_likelihoods(close, float_dtype):
    A = jnp.asarray([positive_definite(2, seed) for seed in range(3)], float_dtype)
    B, C = (jnp.asarray(positive_definite(n), float_dtype) for n in (3, 1))
    y = jnp.arange(1.0, 7.0, dtype=float_dtype)
    gradient = jax.grad(functools.partial(likelihood, product_plus_identity), (0, 3))
    mapped = jax.jit(jax.vmap(gradient, (0, None, None, 0, None)))
    shifts = jnp.asarray([0.1, 1.0, 2.0], float_dtype)
    found = mapped(A, B, C, shifts, y)
    for k in range(3):
        truth = jax.grad(functools.partial(dense_likelihood, dense_product), (0, 3))(
            A[k], B, C, shifts[k], y
        )
        jax.tree.map(lambda a, b, k=k: close(a[k], b), found, truth)


# The likelihood of a Gaussian process on a grid, which autodiff through `eigh` gets wrong


def radial(x, length):
    return jnp.exp(-((x[:, None] - x) ** 2) / (2 * length**2))


def periodic(x, length):
    return jnp.exp(-2 * jnp.sin(jnp.pi * (x[:, None] - x)) ** 2 / length**2)


def process(kernel, dtype):
    """Our likelihood and the dense one, of (two length scales, amplitude, noise)."""
    first, second = (jnp.linspace(0, 1, n, endpoint=False, dtype=dtype) for n in (20, 25))
    y = jnp.asarray(np.random.default_rng(0).normal(size=(20, 25)), dtype)

    def ours(p):
        K = jmc.kronecker(kernel(first, p[0]), kernel(second, p[1]), assume_a="pos")
        quad, logdet = (p[2] * K + p[3] * jmc.identity((20, 25), dtype)).inv_quad_logdet(y)
        return (quad + logdet) / 2

    def dense(p):
        K = p[2] * jnp.kron(kernel(first, p[0]), kernel(second, p[1]))
        L = jnp.linalg.cholesky(K + p[3] * jnp.eye(500, dtype=dtype))
        z = jax.scipy.linalg.solve_triangular(L, y.ravel(), lower=True)
        return z @ z / 2 + jnp.sum(jnp.log(jnp.diagonal(L)))

    def eigenvectors(p):
        w1, q1 = jnp.linalg.eigh(kernel(first, p[0]))
        w2, q2 = jnp.linalg.eigh(kernel(second, p[1]))
        w = p[2] * jnp.outer(w1, w2) + p[3]
        return jnp.sum((q1.T @ y @ q2) ** 2 / w + jnp.log(w)) / 2

    return ours, dense, eigenvectors


@pytest.mark.parametrize("kernel", [radial, periodic])
def test_length_scales_of_a_process_on_a_grid(kernel, x64, float_dtype):
    ours, dense, eigenvectors = process(kernel, float_dtype)
    p = jnp.asarray([0.3, 0.2, 1.0, 0.1], float_dtype)
    with jax.enable_x64(True):  # the truth has double precision in either pass
        truth = jax.jit(jax.grad(process(kernel, jnp.float64)[1]))(jnp.asarray(p, jnp.float64))
    found = jax.jit(jax.grad(ours))(p)
    np.testing.assert_allclose(found, truth, rtol=1e-6 if x64 else 1e-4)
    through_eigenvectors = np.asarray(jax.jit(jax.grad(eigenvectors))(p))
    assert not np.allclose(through_eigenvectors[:2], np.asarray(truth)[:2], rtol=1e-2)
    if x64 and kernel is radial:
        hessian = jax.jit(jax.hessian(ours))(p)
        np.testing.assert_allclose(hessian, jax.jit(jax.hessian(dense))(p), rtol=1e-6)


def test_single_precision_where_double_is_on(x64):
    ours, _, _ = process(radial, jnp.float32)
    value, gradient = jax.jit(jax.value_and_grad(ours))(jnp.asarray([0.3, 0.4, 1, 0.3], "float32"))
    assert value.dtype == gradient.dtype == jnp.float32


def test_one_decomposition_for_value_and_gradient(float_dtype):
    ours, _, _ = process(radial, float_dtype)
    p = jnp.asarray([0.3, 0.4, 1.0, 0.3], float_dtype)
    program = jax.jit(jax.value_and_grad(ours)).lower(p).compile().as_text()
    assert program.count("syevd") == 2  # one a factor
    assert "getrf" not in program and "potrf" not in program


# Factors that are not symmetric


def general(n, seed):
    return positive_definite(n, seed) + np.random.default_rng(seed).normal(size=(n, n)) / 3


def test_each_factor_of_a_product_is_factored_once(float_dtype):
    """The gradient solves with the transpose as well, whose factorisation is the same."""
    rng = np.random.default_rng(5)
    A, B, y = (
        jnp.asarray(rng.normal(size=s) + np.eye(*s), float_dtype) for s in [(3, 3), (4, 4), (3, 4)]
    )

    def f(A, B, y):
        return sum(jmc.inv_quad_logdet(jmc.kronecker(A, B), y))

    program = jax.jit(jax.value_and_grad(f, (0, 1, 2))).lower(A, B, y).compile().as_text()
    assert program.count('getrf_ffi"') == 2


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="JAX has Schur forms on a CPU")
@pytest.mark.parametrize("orders", [(3,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("kind", ["product", "sum"])
def test_general_factors_by_schur_forms(kind, orders, close, float_dtype):
    factors = [jnp.asarray(general(n, n), float_dtype) for n in orders]
    constructor = jmc.kronecker if kind == "product" else jmc.kronecker_sum
    b = jnp.asarray(np.random.default_rng(0).normal(size=orders), float_dtype)

    def operator(factors, s):
        return constructor(*factors) + s * jmc.identity(orders)

    def total(factors, s, b, method):
        return jnp.sum(jnp.sin(operator(factors, s).solve(b, method)))

    derivatives = jax.jit(jax.value_and_grad(total, (0, 1, 2)), static_argnums=3)
    found = derivatives(factors, jnp.asarray(0.4, float_dtype), b, "schur")
    truth = derivatives(factors, jnp.asarray(0.4, float_dtype), b, "dense")
    jax.tree.map(lambda a, t: close(a, t, 4), found, truth)
    op = operator(factors, 0.4)
    close(op.logdet("schur"), np.linalg.slogdet(np.asarray(op.as_matrix()))[1], 4)
    with pytest.raises(ValueError, match="need symmetric Kronecker factors"):
        jax.grad(lambda s: operator(factors, s).logdet("schur"))(0.4)


def test_large_general_factors_are_never_formed(float_dtype):
    A = jnp.asarray(general(20, 1), float_dtype)
    op = jmc.kronecker_sum(A, A) + jmc.identity((20, 20))
    assert op.structure.method == "schur"
    program = jax.jit(lambda op, b: op.solve(b)).lower(op, jnp.ones((20, 20), float_dtype))
    assert "400x400" not in program.as_text()
    same = jmc.kronecker_sum(A + A.T, A + A.T, assume_a="sym") + jmc.identity((20, 20))
    assert same.structure.method == "eigen"


# A diagonal, or anything that is solved by structure, plus low rank


@pytest.mark.parametrize("base", ["diagonal", "identity", "kronecker", "sum"])
def test_low_rank_added(base, close, float_dtype):
    rng = np.random.default_rng(0)
    A, B, U, V, y, d = (
        jnp.asarray(x, float_dtype)
        for x in (
            positive_definite(3),
            positive_definite(4),
            rng.normal(size=(12, 2)),
            rng.normal(size=(12, 2)),
            rng.normal(size=12),
            rng.uniform(1, 2, 12),
        )
    )
    shape = (12,) if base in ("diagonal", "identity") else (3, 4)

    def operator(A, U, V, d):
        low = jmc.low_rank(U, V)
        if base == "diagonal":
            return jmc.diagonal(d) + low
        if base == "identity":
            return d[0] * jmc.identity(12) + low
        # the same low rank, between matrices
        rows, columns = (W.reshape(3, 4, 2) for W in (U, V))
        low = jmc.jacobian_operator(lambda X: rows @ jnp.einsum("ijr,ij->r", columns, X))(y12)
        if base == "kronecker":
            return jmc.kronecker(A, B) + low
        return jmc.kronecker_sum(A, B, assume_a="pos") + d[0] * jmc.identity((3, 4)) + low

    y12 = jnp.zeros((3, 4), float_dtype)
    op = operator(A, U, V, d)
    assert op.structure.method == "woodbury"

    def total(A, U, V, d, y, method):
        op = operator(A, U, V, d)
        return jnp.sum(jnp.sin(op.solve(y.reshape(shape), method))) + op.logdet(method)

    every = (0, 1, 2, 3, 4)
    derivatives = jax.jit(jax.value_and_grad(total, every), static_argnums=5)
    found = derivatives(A, U, V, d, y, None)
    jax.tree.map(lambda a, t: close(a, t, 4), found, derivatives(A, U, V, d, y, "dense"))
    if base == "diagonal":  # the rest is the same program
        second = jax.jit(jax.hessian(total, (1, 3)), static_argnums=5)
        found, truth = (second(A, U, V, d, y, method) for method in (None, "dense"))
        jax.tree.map(lambda a, t: close(a, t, 5), found, truth)
    close(op.inv().as_matrix(), np.linalg.inv(np.asarray(op.as_matrix())), 4)


def test_a_term_and_its_transpose_have_one_rank(einsum_operator, close):
    """Where a summed label is on one side only, and where a matrix stands between the two."""
    rng = np.random.default_rng(0)
    v, U, C, V = (jnp.asarray(rng.normal(size=shape)) for shape in ((2,), (12, 2), (2, 3), (3, 12)))
    sizes = {"i": 12, "j": 12, "a": 2, "b": 3}
    for spec in (("a,ia:i|j", v, U), ("a,ja:i|j", v, U), ("ia,ab,bj:i|j", U, C, V)):
        op = 0.5 * jmc.identity(12) + einsum_operator(sizes, spec)
        assert op.structure.method == op.T.structure.method == "woodbury"
        matrix = np.asarray(op.as_matrix())
        b = np.arange(12.0)
        close(op.solve(b), np.linalg.solve(matrix, b), 4)
        close(op.T.solve(b), np.linalg.solve(matrix.T, b), 4)
        gradient = jax.grad(lambda b, op=op: jnp.sum(op.solve(b)))(b)
        close(gradient, np.linalg.solve(matrix.T, np.ones(12)), 4)


def test_what_is_assumed_holds_for_the_base_of_low_rank(float_dtype):
    """By eigenvectors if it is assumed, and formed if not: Schur forms give no derivative."""
    A = jnp.asarray(positive_definite(17), float_dtype)
    U = jnp.ones((289, 1), float_dtype)
    rows = U.reshape(17, 17)
    low = jmc.jacobian_operator(lambda X: rows * jnp.sum(rows * X))(jnp.zeros_like(rows))

    def logdet(s, assume_a):
        return (jmc.kronecker_sum(A, A) + s * jmc.identity((17, 17)) + low).logdet(
            assume_a=assume_a
        )

    one = jnp.ones((), float_dtype)
    matrix = np.kron(A, np.eye(17)) + np.kron(np.eye(17), A) + np.eye(289) + np.asarray(U @ U.T)
    for assume_a in ("pos", "gen"):
        slope = jax.grad(logdet)(one, assume_a)
        np.testing.assert_allclose(slope, np.trace(np.linalg.inv(matrix)), rtol=1e-5)


def test_crossed_log_determinant_has_one_derivative_only(float_dtype):
    """Beyond the first order its singular vectors would be differentiated: refused in words."""
    X = jnp.asarray(positive_definite(3), float_dtype)

    def logdet(X):
        H = jmc.hessian_operator(lambda X: -jnp.linalg.slogdet(X)[1])(X)
        return (H + 0.5 * jmc.identity((3, 3))).logdet("eigen")

    assert np.isfinite(np.asarray(jax.grad(logdet)(X))).all()
    with pytest.raises(ValueError, match="have no derivative"):
        jax.hessian(logdet)(X)
