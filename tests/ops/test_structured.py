import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.ops.determinant import logdet
from jaxmatcalc.ops.structured import symmetric
from jaxmatcalc.ops.vec import unvech, vech


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (0, 2, 2), (2, 3, 3)])
@pytest.mark.parametrize("complex", [False, True])
def test_the_value_is_the_symmetric_part(shape, complex, sample, close):
    X = np.asarray(sample(*shape, complex=complex))
    close(symmetric(X), (X + X.conj().swapaxes(-1, -2)) / 2)
    np.testing.assert_array_equal(symmetric(symmetric(X)), symmetric(X))


def test_derivatives(agree, sample):
    agree(lambda X: symmetric(X) ** 3, lambda X: ((X + X.T) / 2) ** 3, sample(2, 2))


def test_gradient_and_hessian_are_projected(sample, close):
    X = symmetric(sample(3, 3))
    B = sample(3, 3, seed=1)

    def f(X):
        return logdet(X) + jnp.sum(B * X * X)

    def over_symmetric(X):
        return f(symmetric(X))

    G, H = jax.grad(f)(X), jax.hessian(f)(X).reshape(9, 9)
    K = np.eye(9).reshape(3, 3, 3, 3).swapaxes(0, 1).reshape(9, 9)
    P = (np.eye(9) + K) / 2
    close(jax.grad(over_symmetric)(X), np.asarray((G + G.T) / 2))
    close(jax.hessian(over_symmetric)(X).reshape(9, 9), (P @ H @ P).astype(X.dtype))


def test_the_vech_convention_is_the_other(sample, close):
    X = symmetric(sample(3, 3))
    G = np.asarray(jax.grad(logdet)(X))
    expected = G + G.T - np.diag(np.diag(G))
    close(jax.grad(lambda v: logdet(unvech(v)))(vech(X)), vech(expected))


def test_promotion():
    assert symmetric(jnp.array([[0, 1], [0, 0]]))[0, 1] == 0.5
    assert symmetric(jnp.eye(2, dtype=jnp.bfloat16)).dtype == jnp.bfloat16
