import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops

sizes = pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
batches = pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])


def plain_logdet(X):
    return jnp.linalg.slogdet(X)[1]


@sizes
@batches
def test_values_are_numpys(n, batch, sample, close):
    X = sample(*batch, n, n)
    X = X * jnp.where(jnp.arange(n) == 0, -1, 1)
    sign, logabsdet = np.linalg.slogdet(X)
    close(ops.det(X), np.linalg.det(X))
    close(ops.logdet(X), logabsdet)
    close(ops.slogdet(X).sign, sign)
    close(ops.slogdet(X).logabsdet, logabsdet)


@pytest.mark.parametrize("n", [1, 3, 4])
def test_derivatives(n, agree, sample):
    X = sample(n, n)
    agree(ops.det, jnp.linalg.det, X)
    agree(ops.logdet, plain_logdet, X)


def test_slogdet_derivatives(agree, sample):
    agree(
        lambda X: jnp.stack(ops.slogdet(X)),
        lambda X: jnp.stack(jnp.linalg.slogdet(X)),
        sample(2, 2),
    )


def test_derivatives_in_a_batch(agree, sample):
    X, Y = sample(2, 2, 2), sample(2, 4, 4) / 4
    agree(lambda X: ops.logdet(X) ** 2, lambda X: plain_logdet(X) ** 2, X)
    agree(lambda X: ops.det(X) ** 2, lambda X: jnp.linalg.det(X) ** 2, Y)


def test_third_derivatives(sample, close):
    X = sample(2, 2)
    for f, g in [(ops.logdet, plain_logdet), (ops.det, jnp.linalg.det)]:
        third, expected = (jax.jit(jax.jacfwd(jax.jacfwd(jax.jacrev(h))))(X) for h in (f, g))
        close(third, expected)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_complex(n, sample, close):
    X, V = sample(n, n, complex=True), sample(n, n, complex=True, seed=1)
    sign, logabsdet = np.linalg.slogdet(X)
    t = np.trace(np.linalg.solve(X, V))

    value, tangent = jax.jvp(ops.det, (X,), (V,))
    close(value, np.linalg.det(X))
    close(tangent, np.linalg.det(X) * t)
    value, tangent = jax.jvp(ops.logdet, (X,), (V,))
    assert not jnp.iscomplexobj(value)
    close(value, logabsdet)
    close(tangent, t.real)
    value, tangent = jax.jvp(ops.slogdet, (X,), (V,))
    close(value.sign, sign)
    close(tangent.sign, 1j * t.imag * sign)
    close(tangent.logabsdet, t.real)


def test_second_derivative_of_the_complex_sign(sample, close):
    # exp(iφ) with φ = Im log det has the second derivative (i φ'' - φ'²) exp(iφ).
    X, V = sample(3, 3, complex=True), sample(3, 3, complex=True, seed=1)
    t = np.trace(np.linalg.solve(X, V))
    second = -np.trace(np.linalg.matrix_power(np.linalg.solve(X, V), 2))

    def along(f):
        return lambda Y: jax.jvp(f, (Y,), (V,))[1]

    actual = along(along(lambda Y: ops.slogdet(Y).sign))(X)
    close(actual, (1j * second.imag - t.imag**2) * ops.slogdet(X).sign)
    close(along(along(ops.logdet))(X), second.real)
    close(along(along(ops.det))(X), ops.det(X) * (second + t**2))


def test_complex_gradients_are_jaxs(sample, close):
    X = sample(3, 3, complex=True)
    for f, g in [
        (ops.logdet, plain_logdet),
        (lambda X: jnp.imag(ops.slogdet(X).sign), lambda X: jnp.imag(jnp.linalg.slogdet(X)[0])),
        (lambda X: jnp.abs(ops.det(X)), lambda X: jnp.abs(jnp.linalg.det(X))),
    ]:
        close(jax.grad(f)(X), jax.grad(g)(X))


SINGULAR = {
    "zero": np.zeros((3, 3)),
    "rank 1": np.ones((3, 3)),
    "zero pivot": np.diag([1.0, 0, 2]),
    "one by one": np.zeros((1, 1)),
}


@pytest.mark.parametrize("X", SINGULAR.values(), ids=SINGULAR)
def test_logarithm_at_a_singular_matrix(X, float_dtype, every_mode):
    X = jnp.asarray(X, float_dtype)
    assert ops.slogdet(X).sign == 0
    assert ops.slogdet(X).logabsdet == -jnp.inf
    value, gradients, hessians = every_mode(ops.logdet)(X)
    assert value == -jnp.inf
    for derivative in (*gradients, *hessians):
        np.testing.assert_array_equal(derivative, np.zeros_like(derivative))
    assert ops.det(X) == 0


def test_logarithm_at_a_singular_complex_matrix(complex_dtype):
    X = jnp.ones((2, 2), complex_dtype)
    assert ops.slogdet(X).sign == 0
    assert ops.logdet(X) == -jnp.inf
    np.testing.assert_array_equal(jax.grad(ops.logdet)(X), 0)


def test_a_singular_matrix_of_a_batch_harms_no_other(sample, close, every_mode):
    X = sample(3, 2, 2).at[1].set(1)
    value, gradients, hessians = every_mode(ops.logdet)(X)
    assert np.isneginf(value[1])
    for i in (0, 2):
        _, expected, second = every_mode(plain_logdet)(X[i])
        for gradient, hessian in zip(gradients, hessians, strict=False):
            close(gradient[i, i], expected[0])
            close(hessian[i, i, :, :, i], second[0])
    for derivative in (*gradients, *hessians):
        np.testing.assert_array_equal(derivative[1], 0)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_not_a_number_stays_one(n, float_dtype):
    X = jnp.eye(n, dtype=float_dtype).at[0, 0].set(jnp.nan)
    for f in (ops.det, ops.logdet, lambda X: ops.slogdet(X).sign):
        assert jnp.isnan(f(X))
    batch = jnp.stack([X, jnp.eye(n, dtype=float_dtype)])
    np.testing.assert_array_equal(jax.grad(lambda X: ops.det(X).sum())(batch)[1], np.eye(n))


def test_far_from_one(float_dtype, sample, close):
    scale = float(jnp.finfo(float_dtype).max) ** 0.4
    X = sample(4, 4)
    _, logabsdet = np.linalg.slogdet(X)
    for factor in (scale, 1 / scale):
        close(ops.logdet(X * factor), logabsdet + 4 * np.log(factor).astype(float_dtype))
        close(jax.grad(ops.logdet)(X * factor) * factor, np.linalg.inv(X).T)
    spread = jnp.diag(
        jnp.asarray([scale, scale, scale, 1 / scale, 1 / scale, 1 / scale], float_dtype)
    )
    np.testing.assert_allclose(ops.det(spread), 1, rtol=1e3 * jnp.finfo(float_dtype).eps)


def test_large(float_dtype):
    X = np.random.default_rng(0).normal(size=(500, 500))
    sign, logabsdet = np.linalg.slogdet(X)
    actual = ops.slogdet(jnp.asarray(X, float_dtype))
    assert actual.sign == sign
    np.testing.assert_allclose(actual.logabsdet, logabsdet, rtol=1e-5)


def test_promotion_is_jnps():
    X = jnp.array([[2, 1], [1, 1]])
    for dtype in (int, "int8", "int32", "uint8", "float16", "bfloat16"):
        for f, g in [(ops.det, jnp.linalg.det), (ops.logdet, plain_logdet)]:
            assert f(X.astype(dtype)).dtype == g(X.astype(dtype)).dtype
        assert (
            ops.slogdet(X.astype(dtype)).sign.dtype == jnp.linalg.slogdet(X.astype(dtype))[0].dtype
        )
    assert ops.det(X) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_factored_in_single(dtype, sample):
    X = sample(5, 5).astype(dtype)
    eps = float(jnp.finfo(dtype).eps)
    _, exact = np.linalg.slogdet(np.asarray(X, np.float64))
    np.testing.assert_allclose(float(ops.logdet(X)), exact, rtol=eps)
    gradient = jax.grad(ops.logdet)(X)
    assert gradient.dtype == X.dtype
    exact = np.linalg.inv(np.asarray(X, np.float64)).T
    np.testing.assert_allclose(np.asarray(gradient, np.float64), exact, atol=eps * abs(exact).max())


@pytest.mark.parametrize("shape", [(6, 6), (3, 6, 6)])
@pytest.mark.parametrize("f", [ops.logdet, lambda X: ops.slogdet(X)[1]], ids=["logdet", "slogdet"])
def test_value_and_gradient_factor_once(f, shape):
    X = jax.ShapeDtypeStruct(shape, jnp.float32)
    for program in (
        jax.value_and_grad(lambda X: f(X).sum()),
        lambda X: jax.vmap(jax.value_and_grad(f))(X) if X.ndim > 2 else jax.value_and_grad(f)(X),
        jax.value_and_grad(lambda X: jnp.sum(f(X)) + jnp.sum(ops.inv(X))),
    ):
        assert jax.jit(program).lower(X).compile().as_text().count("getrf") == 1
