import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops.norms import nuclear_norm, spectral_norm

NORMS = {nuclear_norm: "nuc", spectral_norm: 2}
norms = pytest.mark.parametrize("norm", NORMS, ids=["nuclear", "spectral"])


def plain(norm):
    return lambda X: jnp.linalg.norm(X, NORMS[norm], axis=(-2, -1))


@norms
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (0, 2, 3), (2, 3, 3, 2)])
def test_values_are_numpys(norm, shape, sample, close):
    X = np.asarray(sample(*shape))
    expected = np.linalg.svd(X, compute_uv=False)
    close(norm(X), expected.sum(-1) if norm is nuclear_norm else expected.max(-1, initial=0))
    assert jax.grad(lambda X: norm(X).sum())(X).shape == X.shape


@norms
@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3, 2)])
def test_derivatives(norm, shape, agree, sample):
    agree(norm, plain(norm), sample(*shape, square=False))


@norms
def test_third_derivative(norm, sample, close):
    X = sample(2, 2, square=False)
    third, expected = (
        jax.jit(jax.jacfwd(jax.jacrev(jax.jacrev(f))))(X) for f in (norm, plain(norm))
    )
    close(third, expected, digits_lost=4)


@norms
def test_complex(norm, sample, close):
    X, V = sample(2, 3, complex=True), sample(2, 3, complex=True, seed=1)
    f, g = (jax.jit(lambda X, f=f: (f(X), jax.grad(f)(X))) for f in (norm, plain(norm)))
    close(f(X)[0], g(X)[0])
    close(f(X)[1], g(X)[1])
    assert not jnp.iscomplexobj(f(X)[0])
    found = jax.jvp(jax.grad(norm), (X,), (V,))[1]
    expected = jax.jvp(jax.grad(plain(norm)), (X,), (V,))[1]
    close(found, expected)


@norms
@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_at_zero_gradient_and_hessian_are_zero(norm, shape, float_dtype, every_mode, sample):
    zero = jnp.zeros(shape, float_dtype)
    value, gradients, hessians = every_mode(norm)(zero)
    assert value == 0
    for derivative in (*gradients, *hessians):
        np.testing.assert_array_equal(derivative, np.zeros(derivative.shape))
    A = sample(shape[1], 2)
    chain = jax.grad(lambda X: jnp.tanh(norm(X @ A)) + norm(X) ** 2)(zero)
    np.testing.assert_array_equal(chain, np.zeros(shape))


def test_nuclear_norm_at_repeated_singular_values(float_dtype, close, sample):
    # ‖I + εV‖ = n + ε tr V + ε² ‖skew V‖² / 2 + …
    eye, V = jnp.eye(3, dtype=float_dtype), sample(3, 3)
    gradient, hessian = jax.jit(
        lambda X: (jax.grad(nuclear_norm)(X), jax.hessian(nuclear_norm)(X))
    )(eye)
    close(gradient, np.eye(3, dtype=float_dtype))
    skew = (V - V.T) / 2
    close(jnp.einsum("ij,ijkl,kl", V, hessian, V), jnp.sum(skew**2))


@pytest.mark.parametrize("gap", [1e-8, 1e-3])
def test_nuclear_norm_at_nearly_repeated_singular_values(gap, float_dtype, close):
    # for positive definite X, d²‖X‖ along a skew K is the sum over i < j of 4 K²ᵢⱼ / (σᵢ + σⱼ)
    s = np.array([1.0, 1.0 + gap, 2.0], float_dtype)
    K = np.array([[0, 1, 2], [-1, 0, 3], [-2, -3, 0]], float_dtype)
    hessian = jax.hessian(nuclear_norm)(jnp.diag(jnp.asarray(s)))
    pairs = [(i, j) for i in range(3) for j in range(i)]
    expected = sum(4 * K[i, j] ** 2 / (s[i] + s[j]) for i, j in pairs)
    close(jnp.einsum("ij,ijkl,kl", K, hessian, K), np.asarray(expected, float_dtype))


def test_nuclear_norm_at_low_rank_has_the_subgradient_of_least_norm(sample, close):
    A, B = sample(4, 2), sample(2, 3)
    X = A @ B
    U, _, Vh = np.linalg.svd(np.asarray(X, np.float64))
    gradient = jax.grad(nuclear_norm)(X)
    close(gradient, (U[:, :2] @ Vh[:2]).astype(X.dtype), digits_lost=4)
    assert jnp.isfinite(jax.hessian(nuclear_norm)(X)).all()


def test_spectral_norm_at_a_tie(float_dtype, close):
    X = jnp.diag(jnp.asarray([3.0, 3.0, 1.0, 1.0], float_dtype))
    close(jax.grad(spectral_norm)(X), np.diag([0.5, 0.5, 0, 0]).astype(float_dtype))
    # the other singular values may repeat: σ₁'' along Xᵢⱼ is 2 σ₁ / (σ₁² - σ²) on the diagonal
    X = jnp.diag(jnp.asarray([3.0, 1.0, 1.0], float_dtype))
    hessian = jax.hessian(spectral_norm)(X)
    close(hessian[0, 1, 0, 1], np.asarray(3 / 8, float_dtype))
    close(hessian[0, 1, 1, 0], np.asarray(1 / 8, float_dtype))


@norms
@pytest.mark.parametrize("power", [-0.45, 0.45])
def test_far_from_one(norm, power, float_dtype, sample, close):
    X, scale = sample(2, 3), float(jnp.finfo(float_dtype).max) ** power
    both = jax.jit(lambda X: (norm(X), jax.grad(norm)(X), jax.hessian(norm)(X)))
    expected, found = both(X), both(X * scale)
    close(found[0] / scale, expected[0])
    close(found[1], expected[1])
    close(found[2] * scale, expected[2])


@norms
def test_one_decomposition_for_value_and_gradient(norm, sample):
    text = jax.jit(jax.value_and_grad(norm)).lower(sample(5, 4)).compile().as_text()
    assert text.count("custom_call_target=") == 1


@norms
def test_narrow_dtypes_and_integers(norm):
    X = jnp.array([[3, 0], [0, 4]])
    assert norm(X).dtype == jnp.linalg.norm(X).dtype
    for dtype in (jnp.bfloat16, jnp.float16):
        assert norm(X.astype(dtype)).dtype == dtype
        assert jax.grad(norm)(X.astype(dtype)).dtype == dtype
