import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops
from jaxmatcalc.ops.inverse import pinv

sizes = pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
batches = pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])


@sizes
@batches
def test_inv_is_numpys(n, batch, sample, close):
    X = sample(*batch, n, n)
    close(ops.inv(X), np.linalg.inv(X))


@sizes
@batches
def test_solve_is_numpys(n, batch, sample, close):
    A, B, b = sample(*batch, n, n), sample(*batch, n, 2, square=False), sample(n)
    close(ops.solve(A, B), np.linalg.solve(A, B))
    close(ops.solve(A, b), np.linalg.solve(A, b))


def test_solve_broadcasts(sample, close):
    A, B = sample(2, 1, 3, 3), sample(4, 3, 2)
    close(ops.solve(A, B), np.linalg.solve(A, B))
    close(ops.solve(A[0, 0], B), np.linalg.solve(A[0, 0], B))
    close(ops.solve(A, B[0]), np.linalg.solve(A, B[0]))


@pytest.mark.parametrize("batch", [(), (300,)])
def test_no_right_hand_side(batch, sample):
    assert ops.solve(sample(*batch, 3, 3), jnp.zeros((3, 0))).shape == (*batch, 3, 0)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_inv_derivatives(n, agree, sample):
    agree(ops.inv, jnp.linalg.inv, sample(n, n))


def test_inv_derivatives_in_a_batch(agree, sample):
    agree(ops.inv, jnp.linalg.inv, sample(2, 2, 2))


def test_inv_third_derivative(sample, close):
    X = sample(2, 2)
    third, expected = (
        jax.jit(jax.jacfwd(jax.jacrev(jax.jacfwd(f))))(X) for f in (ops.inv, jnp.linalg.inv)
    )
    close(third, expected)


@pytest.mark.parametrize("column", [slice(None), 0], ids=["matrix", "vector"])
def test_solve_derivatives(column, agree, sample):
    A, B = sample(3, 3), sample(3, 2)[:, column]
    agree(lambda A: ops.solve(A, B), lambda A: jnp.linalg.solve(A, B), A)
    agree(lambda B: ops.solve(A, B * B), lambda B: jnp.linalg.solve(A, B * B), B)


def test_solve_derivatives_in_both(agree, sample, close):
    A, B = sample(2, 2), sample(2, 1)
    agree(lambda A: ops.solve(A, A.T @ A), lambda A: jnp.linalg.solve(A, A.T @ A), A)
    actual, expected = (
        jax.jit(jax.hessian(f, argnums=(0, 1)))(A, B) for f in (ops.solve, jnp.linalg.solve)
    )
    jax.tree.map(close, actual, expected)


def test_solve_derivatives_under_broadcasting(sample, close):
    A, B, b = sample(3, 2, 2), sample(2, 1, square=False), sample(2)
    for right in (B, b):
        actual, expected = (
            jax.grad(lambda A, B, f=f: jnp.sum(f(A, B) ** 3), argnums=(0, 1))(A, right)
            for f in (ops.solve, jnp.linalg.solve)
        )
        jax.tree.map(close, actual, expected)


def test_complex(sample, close):
    X, V = sample(3, 3, complex=True), sample(3, 3, complex=True, seed=1)
    b = sample(3, complex=True)
    Y = np.linalg.inv(X)
    value, tangent = jax.jvp(ops.inv, (X,), (V,))
    close(value, Y)
    close(tangent, -Y @ np.asarray(V) @ Y)
    value, tangent = jax.jvp(ops.solve, (X, b), (V, 1j * b))
    close(value, Y @ b)
    close(tangent, Y @ (1j * np.asarray(b) - np.asarray(V) @ Y @ b))

    def loss(solve, A, b):
        return jnp.sum(jnp.abs(solve(A, b)) ** 2)

    actual, expected = (
        jax.grad(lambda A, b, f=f: loss(f, A, b), argnums=(0, 1))(X, b)
        for f in (ops.solve, jnp.linalg.solve)
    )
    jax.tree.map(close, actual, expected)


def test_real_matrix_and_complex_right_hand_side(sample, close):
    A, b = sample(3, 3), sample(3, complex=True)
    close(ops.solve(A, b), np.linalg.solve(A, b))


def test_a_singular_matrix_of_a_batch_harms_no_other(sample, close):
    X = np.array(sample(3, 3, 3))
    X[1] = np.diag([1, 0, 2])
    Y = ops.inv(X)
    assert np.isposinf(Y[1]).all()
    gradient = jax.grad(lambda X: jnp.sum(jnp.where(jnp.isfinite(Y), ops.inv(X), 0)))(
        jnp.asarray(X)
    )
    assert np.isnan(gradient[1]).all()
    for i in (0, 2):
        close(Y[i], np.linalg.inv(X[i]))
        close(gradient[i], -(Y[i].T @ np.ones((3, 3)) @ Y[i].T))


def test_promotion_is_jnps():
    X = jnp.array([[2, 1], [1, 1]])
    for dtype in (int, "int8", "int32", bool, "float16", "bfloat16"):
        A = X.astype(dtype) if dtype is not bool else jnp.eye(2, dtype=bool)
        assert ops.inv(A).dtype == jnp.linalg.det(A).dtype
        assert ops.solve(A, A[0]).dtype == jnp.linalg.det(A).dtype
    np.testing.assert_array_equal(ops.inv(X), [[1, -1], [-1, 2]])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_factored_in_single(dtype, sample):
    X = sample(5, 5).astype(dtype)
    exact = np.linalg.inv(np.asarray(X, np.float64))
    np.testing.assert_allclose(
        np.asarray(ops.inv(X), np.float64),
        exact,
        atol=float(jnp.finfo(dtype).eps) * abs(exact).max(),
    )
    assert jax.grad(lambda X: jnp.sum(ops.inv(X)))(X).dtype == X.dtype


def test_single_precision(sample, close):
    X = sample(5, 5).astype(jnp.float32)
    assert ops.inv(X).dtype == jnp.float32
    close(ops.inv(X), np.linalg.inv(X))


@pytest.mark.parametrize("shape", [(6, 6), (3, 6, 6)])
@pytest.mark.parametrize(
    "f", [lambda X: ops.inv(X).sum(), lambda X: ops.solve(X, X).sum()], ids=["inv", "solve"]
)
def test_value_and_gradient_factor_once(f, shape):
    X = jax.ShapeDtypeStruct(shape, jnp.float32)
    program = jax.jit(jax.value_and_grad(f)).lower(X).compile().as_text()
    assert program.count("getrf") == 1


@pytest.mark.parametrize("shape", [(0, 2), (1, 1), (2, 3), (3, 2), (2, 0, 3), (2, 3, 3)])
@pytest.mark.parametrize("complex", [False, True])
def test_pinv_is_numpys(shape, complex, sample, close):
    X = sample(*shape, complex=complex)
    close(pinv(X), np.linalg.pinv(X))


def test_pinv_at_a_matrix_of_smaller_rank(sample, close, float_dtype):
    X = sample(4, 2) @ sample(2, 3)
    close(pinv(X), np.linalg.pinv(X, rcond=1e-5))
    close(pinv(jnp.diag(jnp.array([4, 1], float_dtype)), rtol=0.5), np.diag([0.25, 0]))
    pair = jnp.broadcast_to(jnp.diag(jnp.array([4, 1], float_dtype)), (2, 2, 2))
    close(pinv(pair, rtol=jnp.array([0.1, 0.5], float_dtype))[:, 1, 1], np.array([1, 0]))
    np.testing.assert_array_equal(pinv(jnp.zeros((2, 3))), np.zeros((3, 2)))

    # among the matrices of one rank: along X(t) = (B + t B') C the inverse is smooth
    B, C, direction = sample(4, 2), sample(2, 3), sample(4, 2, seed=1)

    def along(t):
        return pinv((B + t * direction) @ C)

    def product_of_inverses(t):  # of a full column rank and of a full row rank
        left, right = B + t * direction, C
        return right.T @ jnp.linalg.inv(right @ right.T) @ jnp.linalg.inv(left.T @ left) @ left.T

    t = jnp.asarray(0.1, float_dtype)
    for mode in (jax.jacfwd, jax.jacrev, lambda f: jax.jacfwd(jax.jacrev(f))):
        close(mode(along)(t), mode(product_of_inverses)(t), digits_lost=4)


@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_pinv_derivatives(shape, agree, sample):
    def plain(X):
        m, n = X.shape
        left = jnp.linalg.inv(X.T @ X) @ X.T if m > n else X.T @ jnp.linalg.inv(X @ X.T)
        return left

    agree(pinv, plain, sample(*shape), digits_lost=4)


def test_pinv_complex_tangent(sample, close):
    X, V = sample(3, 2, complex=True), sample(3, 2, complex=True, seed=1)
    actual, expected = (jax.jvp(f, (X,), (V,))[1] for f in (pinv, jnp.linalg.pinv))
    close(actual, expected)


def test_a_tolerance_that_does_not_fit():
    with pytest.raises(ValueError, match="needs rtol to be a real number"):
        pinv(jnp.eye(2), rtol=jnp.ones(3))
