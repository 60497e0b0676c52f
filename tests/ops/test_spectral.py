import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxmatcalc.ops.spectral import eigvalsh, spectral_function

W = np.array([[0.3, -1.0, 0.4], [0.8, 0.2, -0.5], [-0.7, 0.6, 1.0]])


def symmetric(eigenvalues, dtype):
    Q = np.linalg.qr(np.array([[1.0, 2, 3], [0, 1, -1], [2, 0, 1]]))[0]
    return jnp.asarray(Q @ np.diag(eigenvalues) @ Q.T, dtype)


def hermitian_part(X):
    return (X + jnp.conj(X.T)) / 2


@pytest.fixture(scope="module")
def derivatives(every_mode):
    """Value and derivatives of Σ W ∘ f(X)², of ours and of an independent program."""

    def ours(X):
        return jnp.sum(jnp.asarray(W, X.dtype) * spectral_function(jnp.exp, X) ** 2)

    def theirs(X):
        return jnp.sum(jnp.asarray(W, X.dtype) * jax.scipy.linalg.expm(hermitian_part(X)) ** 2)

    reference = jax.jit(lambda X: (theirs(X), jax.grad(theirs)(X), jax.hessian(theirs)(X)))
    return every_mode(ours), reference


@pytest.mark.parametrize("gap", [0, 1e-8, 1e-3, 0.1, 1.0])
def test_derivatives_at_every_gap(gap, derivatives, float_dtype, close):
    ours, theirs = derivatives
    X = symmetric([0.5, 0.5 + gap, -0.5], float_dtype)
    value, jacobians, hessians = ours(X)
    expected = theirs(X)
    close(value, expected[0])
    for jacobian in jacobians:
        close(jacobian, expected[1])
    for hessian in hessians:
        close(hessian, expected[2])


def test_at_the_identity(float_dtype, close):
    # d² tr f(X) at I is f''(1) ‖sym V‖²
    def f(X):
        return jnp.trace(spectral_function(lambda x: x * jnp.log(x) + x**4, X))

    hessian = jax.hessian(f)(jnp.eye(3, dtype=float_dtype)).reshape(9, 9)
    swap = np.eye(9).reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)
    close(hessian, (13 * (np.eye(9) + swap) / 2).astype(float_dtype))


def test_third_derivative(float_dtype, close):
    # d³ tr X⁴ along V at I is 24 tr V³
    def f(X):
        return jnp.trace(spectral_function(lambda x: x**4, X))

    third = jax.jit(jax.jacfwd(jax.jacrev(jax.jacrev(f))))(jnp.eye(2, dtype=float_dtype))
    V = jnp.asarray([[1.0, 2], [2, -1.5]], float_dtype)
    close(jnp.einsum("abcdef,ab,cd,ef", third, V, V, V), 24 * jnp.trace(V @ V @ V))


def test_what_f_closes_over(float_dtype, close):
    X = symmetric([0.5, 0.5, -0.5], float_dtype)

    def ours(s, p, X):
        f = spectral_function(lambda x: jnp.exp(s * x) + p[0] * p[1] * x**2, X)
        return jnp.sum(jnp.asarray(W, X.dtype) * f**2)

    def theirs(s, p, X):
        S = hermitian_part(X)
        f = jax.scipy.linalg.expm(s * S) + p[0] * p[1] * S @ S
        return jnp.sum(jnp.asarray(W, X.dtype) * f**2)

    s, p = jnp.asarray([0.7, 1.1], float_dtype), jnp.asarray([0.3, 0.2], float_dtype)
    found, expected = (
        jax.jit(lambda s, f=f: jax.jvp(jax.grad(f, (0, 1, 2)), (s, p, X), (s, p, X)))(s[0])
        for f in (ours, theirs)
    )
    jax.tree.map(close, found, expected)
    mapped = jax.vmap(jax.grad(ours), (0, None, None))(s, p, X)
    close(mapped, jnp.stack([jax.grad(theirs)(one, p, X) for one in s]))


def test_complex(complex_dtype, close, sample):
    H = hermitian_part(sample(3, 3, complex=True, square=False))

    def ours(H):
        return jnp.abs(spectral_function(jnp.exp, H)[0, 1]) ** 2

    def theirs(H):
        return jnp.abs(jax.scipy.linalg.expm(hermitian_part(H))[0, 1]) ** 2

    V = sample(3, 3, complex=True, seed=1)
    along = [jax.jit(lambda H, f=f: jax.jvp(jax.grad(f), (H,), (V,)))(H) for f in (ours, theirs)]
    jax.tree.map(close, *along)
    evolution = spectral_function(lambda x: jnp.exp(-1j * x), H)
    close(evolution, scipy.linalg.expm(-1j * np.asarray(H)).astype(complex_dtype))
    X = jnp.real(H)
    assert spectral_function(lambda x: jnp.exp(-1j * x), X).dtype == complex_dtype
    assert (
        jax.grad(lambda X: jnp.real(spectral_function(lambda x: jnp.exp(-1j * x), X)).sum())(
            X
        ).dtype
        == X.dtype
    )


def test_a_step_and_a_constant(float_dtype, close):
    X = symmetric([-1.0, 2.0, 3.0], float_dtype)
    projector = spectral_function(lambda x: x > 0, X)
    close(projector @ projector, projector)
    close(spectral_function(lambda x: 1.0, X), np.eye(3, dtype=float_dtype))


def test_one_decomposition_for_value_and_gradient(float_dtype):
    X = symmetric([1.0, 2, 3], float_dtype)
    for f in (lambda X: spectral_function(jnp.exp, X)[0, 1], lambda X: eigvalsh(X)[1] ** 2):
        text = jax.jit(jax.value_and_grad(f)).lower(X).compile().as_text()
        assert text.count("custom_call_target=") == 1


def test_equal_functions_are_compiled_once(float_dtype):
    X = symmetric([1.0, 2, 3], float_dtype)
    for s in (1.0, 1.0, 2.0):
        traced = jax.make_jaxpr(lambda X, s=s: spectral_function(lambda x: x**2 * s, X))(X)
        params = [e.params["params"] for e in traced.eqns if "hermitian" in e.primitive.name]
        if s == 1.0:
            first = params
        assert (params == first) == (s == 1.0)


def test_eigvalsh(agree, sample):
    w = jnp.asarray([1.0, -2, 0.5], sample(1).dtype)

    def ours(X):
        return jnp.sum(w * jnp.sin(eigvalsh(X)))

    agree(ours, lambda X: jnp.sum(w * jnp.sin(jnp.linalg.eigvalsh(X))), sample(3, 3))


def test_eigvalsh_at_repeated_eigenvalues(float_dtype, close):
    eye = jnp.eye(3, dtype=float_dtype)
    close(jax.grad(lambda X: jnp.sum(eigvalsh(X) ** 2))(eye), 2 * eye)
    # what the eigenvalues determine is right, what they do not is NaN
    close(jax.hessian(lambda X: jnp.sum(eigvalsh(X)))(eye), np.zeros((3,) * 4, float_dtype))
    assert jnp.isnan(jax.hessian(lambda X: jnp.sum((eigvalsh(X) - 1) ** 2))(eye)).all()
    assert jnp.isnan(jax.hessian(lambda X: eigvalsh(X)[0])(eye)).all()
    X = jnp.diag(jnp.asarray([1.0, 1, 3], float_dtype))
    # λ₃'' along V is 2 Σ V₃ᵢ² / (λ₃ - λᵢ)
    V = jnp.asarray([[0.5, 1, 2], [1, -1, 3], [2, 3, 1]], float_dtype)
    for second in (jax.hessian, lambda f: jax.jacfwd(jax.jacfwd(f))):
        hessian = second(lambda X: eigvalsh(X)[2])(X)
        close(jnp.einsum("ij,ijkl,kl", V, hessian, V), np.asarray(13, float_dtype))


def test_eigvalsh_of_a_complex_matrix(sample, close):
    H, V = (hermitian_part(sample(3, 3, complex=True, seed=i)) for i in range(2))

    def f(eigenvalues):
        return lambda X: jnp.sum(jnp.sin(eigenvalues(X)))

    found, expected = (jax.jvp(jax.grad(f(g)), (H,), (V,)) for g in (eigvalsh, jnp.linalg.eigvalsh))
    jax.tree.map(close, found, expected)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (0, 2, 2), (2, 3, 3, 3)])
def test_shapes(shape, sample, close):
    X = sample(*shape)
    expected = np.linalg.eigh((X + np.swapaxes(X, -1, -2)) / 2)
    close(eigvalsh(X), expected.eigenvalues)
    U = expected.eigenvectors
    value = U * np.tanh(expected.eigenvalues)[..., None, :] @ np.swapaxes(U, -1, -2)
    close(spectral_function(jnp.tanh, X), value.astype(X.dtype))
    assert jax.grad(lambda X: spectral_function(jnp.tanh, X).sum())(X).shape == shape


def test_narrow_dtypes():
    X = jnp.array([[2, 1], [1, 2]])
    assert eigvalsh(X).dtype == jnp.linalg.eigvalsh(X).dtype
    assert spectral_function(jnp.exp, X.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert jax.grad(lambda X: eigvalsh(X).sum())(X.astype(jnp.float16)).dtype == jnp.float16


def test_mistakes():
    X = jnp.eye(2)
    with pytest.raises(TypeError, match="needs a function for f; got str"):
        spectral_function("exp", X)
    with pytest.raises(TypeError, match="maps a number to a number"):
        spectral_function(lambda x: jnp.stack([x, x]), X)
    with pytest.raises(ValueError, match="`eigvalsh` needs a square matrix"):
        eigvalsh(jnp.ones((2, 3)))
