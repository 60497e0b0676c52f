import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxmatcalc.ops.functions import expm, logm, matrix_power, sqrtm

SCIPY = {expm: scipy.linalg.expm, logm: scipy.linalg.logm, sqrtm: scipy.linalg.sqrtm}
functions = pytest.mark.parametrize("function", SCIPY, ids=["expm", "logm", "sqrtm"])


@pytest.fixture(scope="module")
def general(float_dtype, complex_dtype):
    """general(n): a matrix with no eigenvalue near the negative real axis."""

    def draw(n, complex=False, seed=0):
        rng = np.random.default_rng((n, seed))
        X = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if complex else 0)
        dtype = complex_dtype if complex else float_dtype
        return jnp.asarray(scipy.linalg.expm(0.6 * X / np.sqrt(n)), dtype)

    return draw


@functions
@pytest.mark.parametrize("complex", [False, True])
def test_values_and_derivatives_are_scipys(function, complex, general, close):
    X, E = general(5, complex), general(5, complex, seed=1)
    value, derivative = jax.jit(lambda X: jax.jvp(function, (X,), (E,)))(X)
    wide = np.complex128 if complex else np.float64
    x, e = np.asarray(X, wide), np.asarray(E, wide)
    block = SCIPY[function](np.block([[x, e], [0 * x, x]])).astype(X.dtype)
    close(value, block[:5, :5])
    close(derivative, block[:5, 5:])


def test_derivatives_of_expm(general, close):
    W = general(2, seed=2)

    def scalar(f):
        return lambda X: jnp.sum(W * f(X) ** 2)

    ours = jax.jit(lambda X: [mode(jax.grad(scalar(expm)))(X) for mode in (jax.jacfwd, jax.jacrev)])
    theirs = jax.jit(jax.hessian(scalar(jax.scipy.linalg.expm)))
    for X in (general(2), 0 * general(2)):
        for hessian in ours(X):
            close(hessian, theirs(X))


def test_second_derivatives_of_logm_and_sqrtm(general, close):
    # they undo exp and the square, so the second derivative of the composition is 0
    X = general(2)
    W = general(2, seed=2)
    for mode, f in (
        (jax.jacfwd, lambda X: jnp.sum(W * logm(jax.scipy.linalg.expm(X)))),
        (jax.jacrev, lambda X: jnp.sum(W * sqrtm(X @ X))),
    ):
        close(jax.jit(mode(jax.grad(f)))(X), np.zeros((2,) * 4, X.dtype))


def test_third_derivative(float_dtype, close):
    # d³ of X ↦ X^½ at I is 3/8 of the sum over permutations / 6 of V V V: 3/8 V³ along V
    eye, V = jnp.eye(2, dtype=float_dtype), jnp.asarray([[1, 2], [-1, 0.5]], float_dtype)

    def along(f):
        return lambda X: jax.jvp(f, (X,), (V,))[1]

    for f, factor in ((sqrtm, 3 / 8), (logm, 2.0)):
        close(jax.jit(along(along(along(f))))(eye), (factor * V @ V @ V).astype(float_dtype))


@functions
def test_symmetric_and_general_agree(function, general, close):
    A, W = general(3), general(3, seed=3)
    for S in (A @ A.T, jnp.eye(3, dtype=A.dtype)):

        def scalar(X, assume_a):
            return jnp.sum(W * function((X + X.T) / 2, assume_a=assume_a))

        def both(X, assume_a):
            return scalar(X, assume_a), jax.grad(scalar)(X, assume_a)

        results = [jax.jit(both, static_argnums=1)(S, a) for a in ("gen", "sym", "pos")]
        for other in results[1:]:
            jax.tree.map(lambda x, y: close(x, y, digits_lost=4), other, results[0])


def test_hessian_of_sqrtm_at_a_repeated_eigenvalue(float_dtype, close):
    # d² tr X^½ at I is -‖V‖² / 4
    def f(X):
        return jnp.trace(sqrtm(X, assume_a="pos"))

    hessian = jax.hessian(f)(jnp.eye(2, dtype=float_dtype))
    V = jnp.asarray([[1, 2], [2, -3]], float_dtype)
    close(jnp.einsum("ij,ijkl,kl", V, hessian, V), -jnp.sum(V**2) / 4)


def test_sqrtm_at_a_singular_semidefinite_matrix(general, close):
    A = general(4)[:, :2]
    root = sqrtm(A @ A.T, assume_a="pos")
    close(root @ root, A @ A.T)
    gradient = jax.grad(lambda X: sqrtm(X, assume_a="pos").sum())(A @ A.T)
    assert not jnp.isfinite(gradient).all()


def test_no_principal_value_is_nan(complex_dtype, float_dtype):
    for dtype in (float_dtype, complex_dtype):
        batch = jnp.asarray([[[-1, 0], [0, 2]], [[4, 0], [0, 9]], [[0, 0], [0, 1]]], dtype)
        for function in (sqrtm, logm):
            good = jnp.isfinite(function(batch)).all((-2, -1))
            np.testing.assert_array_equal(good, [False, True, False])
    assert jnp.isnan(sqrtm(batch[0].real, assume_a="pos")).any()


def test_rotations(float_dtype, close):
    quarter = jnp.asarray([[0, -1], [1, 0]], float_dtype)
    close(sqrtm(quarter), np.asarray([[1, -1], [1, 1]] / np.sqrt(2), float_dtype))
    close(logm(quarter), np.pi / 2 * quarter)


def test_expm_of_large_norm(float_dtype, close):
    X = jnp.asarray(np.diag([1000.0, -1000, 0, 1]), float_dtype)
    close(expm(X), np.diag([np.inf, 0, 1, np.e]).astype(float_dtype))
    same, opposite = jnp.full((2, 2), 800.0, float_dtype), jnp.asarray([[1, -1], [-1, 1]])
    assert (expm(same) == jnp.inf).all()
    np.testing.assert_array_equal(expm(same * opposite), np.inf * opposite)
    assert jnp.isnan(jax.jvp(expm, (same,), (same,))[1]).all()
    nilpotent = jnp.asarray([[0, 1e30], [0, 0]], float_dtype)
    close(expm(nilpotent), np.asarray([[1, 1e30], [0, 1]], float_dtype))
    angle = 2.0**17
    turned = expm(jnp.asarray([[0, angle], [-angle, 0]], float_dtype))
    c, s = np.cos(angle), np.sin(angle)
    close(turned, np.asarray([[c, s], [-s, c]], float_dtype), digits_lost=6)


@pytest.mark.parametrize("power", [-0.48, 0.48])
def test_far_from_one(power, general, float_dtype, close):
    X = general(3)
    scale = 2.0 ** round(power * float(jnp.finfo(float_dtype).maxexp))
    close(sqrtm(X * scale) / np.sqrt(scale).astype(float_dtype), sqrtm(X))
    eye = np.eye(3, dtype=float_dtype)
    close(logm(X * scale), logm(X) + eye * np.log(scale).astype(float_dtype))
    gradient = jax.jit(jax.grad(lambda X: logm(X)[0, 1]))
    close(gradient(X * scale) * scale, gradient(X))


@pytest.mark.parametrize("k", [-3, -1, 0, 1, 2, 5])
def test_matrix_power(k, general, close):
    X = general(3)
    W = general(3, seed=1)
    ours, theirs = (
        jax.jit(lambda X, f=f: (f(X, k), jax.hessian(lambda X: jnp.sum(W * f(X, k)))(X)))(X)
        for f in (matrix_power, jnp.linalg.matrix_power)
    )
    jax.tree.map(close, ours, theirs)


def test_powers_of_integers_and_long_powers(float_dtype):
    np.testing.assert_array_equal(
        matrix_power(jnp.array([[1, 1], [1, 0]]), 10), [[89, 55], [55, 34]]
    )
    X = jnp.eye(2, dtype=float_dtype)
    program = jax.make_jaxpr(jax.grad(lambda X: matrix_power(X, 1000).sum()))(X)
    assert str(program).count("dot_general") < 100


@functions
def test_empty_shapes(function):
    assert function(jnp.zeros((0, 0))).shape == (0, 0)
    assert function(jnp.ones((0, 2, 2))).shape == (0, 2, 2)
    assert jax.grad(lambda X: function(X).sum())(jnp.ones((0, 2, 2))).shape == (0, 2, 2)


@functions
def test_narrow_dtypes(function):
    for dtype in (jnp.bfloat16, jnp.float16):
        X = jnp.asarray([[2, 1], [0, 1]], dtype)
        assert function(X).dtype == dtype
        assert jax.grad(lambda X: function(X).sum())(X).dtype == dtype


def test_mistakes():
    with pytest.raises(TypeError, match="`matrix_power` needs an integer for k; got"):
        matrix_power(jnp.eye(2), 0.5)
    with pytest.raises(ValueError, match='`sqrtm` needs assume_a to be "gen" or "sym" or "pos"'):
        sqrtm(jnp.eye(2), assume_a="herm")
    with pytest.raises(ValueError, match="`expm` needs a square matrix"):
        expm(jnp.ones((2, 3)))
