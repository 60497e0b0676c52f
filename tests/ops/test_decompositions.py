import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops.decompositions import cholesky


@pytest.fixture(scope="module")
def covariance(sample):
    def draw(*shape, **kwargs):
        X = sample(*shape, shape[-1], **kwargs)
        return X @ jnp.conj(jnp.swapaxes(X, -1, -2)) / shape[-1]

    return draw


@pytest.mark.parametrize("complex", [False, True])
@pytest.mark.parametrize("shape", [(0,), (1,), (0, 3), (2, 3, 5)])
def test_values_are_numpys(shape, complex, covariance, close):
    S = covariance(*shape, complex=complex)
    close(cholesky(S), np.linalg.cholesky(S))


def test_derivatives(agree, covariance, close):
    agree(cholesky, jnp.linalg.cholesky, covariance(3))
    third, expected = (
        jax.jit(jax.jacfwd(jax.jacrev(jax.jacfwd(f))))(covariance(2))
        for f in (cholesky, jnp.linalg.cholesky)
    )
    close(third, expected)


def test_complex_derivatives(covariance, sample, close):
    S, V = covariance(3, complex=True), sample(3, 3, complex=True, seed=1)
    actual, expected = (jax.jvp(f, (S,), (V,))[1] for f in (cholesky, jnp.linalg.cholesky))
    close(actual, expected)
    L, H = np.linalg.cholesky(S), np.asarray(V + V.conj().T) / 2
    close(actual @ L.conj().T + L @ np.conj(actual).T, H)


def test_what_is_not_positive_definite_is_nan_and_harms_no_other(covariance, close):
    S = covariance(3, 2).at[1].set(-jnp.eye(2))
    L = cholesky(S)
    assert jnp.isnan(L[1]).any()
    close(L[::2], np.linalg.cholesky(S[::2]))


def test_half_precision(covariance):
    S = covariance(4).astype(jnp.bfloat16)
    L = cholesky(S)
    assert L.dtype == jnp.bfloat16
    exact = np.linalg.cholesky(np.asarray(S, np.float64))
    np.testing.assert_allclose(np.asarray(L, np.float64), exact, atol=2**-7 * abs(exact).max())
