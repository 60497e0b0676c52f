import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops
from jaxmatcalc.ops.vec import unvech, vech

orders = pytest.mark.parametrize("order", ["F", "C"])


@orders
@pytest.mark.parametrize("shape", [(2, 3), (3, 1), (0, 3), (0, 0)])
@pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])
def test_vec_is_numpys_and_unvec_its_inverse(order, shape, batch, sample, close):
    X = sample(*batch, *shape)
    x = ops.vec(X, order)
    assert x.shape == (*batch, shape[0] * shape[1])
    for index in np.ndindex(batch):
        np.testing.assert_array_equal(x[index], np.asarray(X[index]).ravel(order))
    np.testing.assert_array_equal(ops.unvec(x, shape, order), X)


def test_vec_stacks_columns_by_default():
    X = jnp.array([[1, 2], [3, 4]])
    assert ops.vec(X).tolist() == [1, 3, 2, 4]
    assert ops.unvec(jnp.array([1, 3, 2, 4]), (2, 2)).tolist() == X.tolist()
    assert ops.vec(X).dtype == X.dtype


@orders
def test_derivatives(order, agree, sample):
    agree(
        lambda X: ops.vec(X * X, order),
        lambda X: (X * X).ravel() if order == "C" else (X * X).T.ravel(),
        sample(2, 3),
    )
    agree(
        lambda x: ops.unvec(x * x, (2, 3), order),
        lambda x: (x * x).reshape((2, 3), order=order),
        sample(6),
    )


def test_vec_of_a_product_is_kronecker(sample, close):
    A, X, B = sample(2, 3), sample(3, 4), sample(4, 2)
    close(ops.vec(A @ X @ B), np.kron(B.T, A) @ ops.vec(X))


def test_complex(sample, close):
    X = sample(2, 3, complex=True)
    close(jax.jvp(ops.vec, (X,), (1j * X,))[1], 1j * np.asarray(X).ravel("F"))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_vech_stacks_the_lower_triangle(n, batch, sample):
    X = np.asarray(sample(*batch, n, n))
    x = vech(X)
    assert x.shape == (*batch, n * (n + 1) // 2)
    for index in np.ndindex(batch):
        columns = [X[index][j:, j] for j in range(n)]
        np.testing.assert_array_equal(x[index], np.concatenate([np.zeros(0), *columns]))
    S = np.tril(X) + np.tril(X, -1).swapaxes(-1, -2)
    np.testing.assert_array_equal(unvech(x), S)


def test_vech_derivatives(agree, sample):
    i, j = (np.array(k) for k in zip(*[(i, j) for j in range(3) for i in range(j, 3)], strict=True))

    def plain_unvech(x):
        X = jnp.zeros((3, 3), x.dtype).at[i, j].set(x)
        return X + X.T - jnp.diag(jnp.diag(X))

    agree(lambda X: vech(X * X), lambda X: (X * X)[i, j], sample(3, 3))
    agree(lambda x: unvech(x**3), lambda x: plain_unvech(x**3), sample(6))


def test_vech_of_complex_and_integers(sample, close):
    X = sample(2, 2, complex=True)
    close(jax.jvp(vech, (X,), (1j * X,))[1], 1j * np.asarray(X)[[0, 1, 1], [0, 0, 1]])
    assert unvech(jnp.arange(3)).tolist() == [[0, 1], [1, 2]]


def test_a_length_that_is_not_triangular():
    with pytest.raises(ValueError, match=r"x of shape \(\.\.\., n\(n\+1\)/2\)"):
        unvech(jnp.ones(4))
