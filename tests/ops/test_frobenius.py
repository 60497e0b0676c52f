import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops

shapes = pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (2, 3), (5, 5)])
batches = pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])


def plain_norm(X):
    return jnp.sqrt(jnp.sum(jnp.real(X * jnp.conj(X)), axis=(-2, -1)))


@shapes
@batches
def test_values_are_numpys(shape, batch, sample, close):
    X, Y = np.asarray(sample(*batch, *shape)), np.asarray(sample(*batch, *shape, seed=1))
    close(ops.frobenius_norm(X), np.linalg.norm(X, axis=(-2, -1)))
    close(ops.squared_frobenius_norm(X), np.linalg.norm(X, axis=(-2, -1)) ** 2)
    close(ops.frobenius_inner(X, Y), (X * Y).sum((-2, -1)))


def test_inner_broadcasts(sample, close):
    A, B = sample(2, 1, 2, 3), sample(4, 2, 3)
    close(ops.frobenius_inner(A, B), (np.asarray(A) * np.asarray(B)).sum((-2, -1)))
    close(jax.grad(lambda A: ops.frobenius_inner(A, B).sum())(A)[1, 0], np.asarray(B).sum(0))


def test_derivatives(agree, sample):
    X, B = sample(2, 3), sample(2, 3, seed=1)
    agree(ops.frobenius_norm, plain_norm, X)
    agree(lambda X: ops.frobenius_norm(X * X - B), lambda X: plain_norm(X * X - B), X)
    agree(ops.squared_frobenius_norm, lambda X: jnp.sum(X * X), X)
    agree(lambda X: ops.frobenius_inner(X, X * B), lambda X: jnp.sum(X * X * B), X)
    agree(lambda X: ops.frobenius_inner(B, X), lambda X: jnp.sum(X * B), X)


def test_third_derivative_of_the_norm(sample, close):
    X = sample(2, 2)
    third, expected = (
        jax.jit(jax.jacfwd(jax.jacfwd(jax.jacrev(f))))(X) for f in (ops.frobenius_norm, plain_norm)
    )
    close(third, expected)


def test_complex_values_are_real_and_derivatives_are_right(sample, close):
    X, V, W = (sample(2, 3, complex=True, seed=i) for i in range(3))
    for f, g in [
        (ops.frobenius_norm, plain_norm),
        (ops.squared_frobenius_norm, lambda X: jnp.sum(jnp.real(X * jnp.conj(X)))),
    ]:
        assert not jnp.iscomplexobj(f(X))

        def along(f, X, V=V):
            return jax.jvp(f, (X,), (V,))[1]

        close(f(X), g(X))
        close(jax.grad(f)(X), jax.grad(g)(X))
        close(along(f, X), along(g, X))
        close(along(lambda Y, f=f: along(f, Y), X, W), along(lambda Y, g=g: along(g, Y), X, W))
    close(ops.frobenius_inner(X, V), np.vdot(X, V))
    close(jax.jvp(lambda A: ops.frobenius_inner(A, W), (X,), (V,))[1], np.vdot(V, W))
    close(jax.jvp(lambda B: ops.frobenius_inner(W, B), (X,), (V,))[1], np.vdot(W, V))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_norm_at_zero_has_gradient_and_hessian_zero(shape, float_dtype, every_mode):
    value, gradients, hessians = every_mode(ops.frobenius_norm)(jnp.zeros(shape, float_dtype))
    assert value == 0
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros(shape))
    for hessian in hessians:
        np.testing.assert_array_equal(hessian, np.zeros(shape * 2))


def test_norm_at_zero_inside_a_chain_and_a_batch(sample, close):
    A, X = sample(2, 2), sample(3, 2, 2)
    X = X.at[1].set(0)

    def f(X):
        return jnp.sum(jnp.tanh(ops.frobenius_norm(A @ X)) + ops.frobenius_norm(X) ** 2)

    both = jax.jit(lambda X: (jax.grad(f)(X), jax.hessian(f)(X)))
    gradient, hessian = both(X)
    np.testing.assert_array_equal(gradient[1], 0)
    assert np.isfinite(hessian).all()
    for i in (0, 2):
        alone = both(X[i])
        close(gradient[i], alone[0])
        close(hessian[i, :, :, i], alone[1])


def test_norm_at_zero_of_a_complex_matrix(complex_dtype):
    zero = jnp.zeros((2, 2), complex_dtype)
    np.testing.assert_array_equal(jax.grad(ops.frobenius_norm)(zero), 0)


@pytest.mark.parametrize("power", [-0.8, 0.8])
def test_norm_far_from_one(power, sample, close, float_dtype, every_mode):
    scale = float(jnp.finfo(float_dtype).max) ** power
    X = np.asarray(sample(2, 3), np.float64)
    scaled = jnp.asarray(X * scale, float_dtype)
    norm = np.linalg.norm(X)
    U = X / norm
    value, gradients, hessians = every_mode(ops.frobenius_norm)(scaled)
    close(value / scale, np.asarray(norm, float_dtype))
    for gradient in gradients:
        close(gradient, np.asarray(U, float_dtype))
    expected = (np.eye(6) - np.outer(U, U)).reshape(2, 3, 2, 3) / norm
    for hessian in hessians:
        close(hessian * scale, expected.astype(float_dtype))


def test_norm_of_what_is_not_finite(float_dtype):
    assert ops.frobenius_norm(jnp.array([[jnp.inf, 1]], float_dtype)) == jnp.inf
    assert jnp.isnan(ops.frobenius_norm(jnp.array([[jnp.nan, 1]], float_dtype)))


def test_promotion():
    X = jnp.full((64, 64), 2)
    for f in (ops.frobenius_norm, ops.squared_frobenius_norm):
        assert f(X).dtype == jnp.linalg.norm(X).dtype
        assert f(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert ops.frobenius_inner(X, X).dtype == jnp.linalg.norm(X).dtype
    assert ops.frobenius_norm(X.astype(jnp.float16)) == 128
    assert ops.squared_frobenius_norm(X.astype(jnp.float16)) == 16384
    assert jax.grad(ops.frobenius_norm)(X.astype(jnp.float16)).dtype == jnp.float16
