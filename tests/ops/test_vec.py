import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops

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


@orders
def test_in_every_program(order, every_program, sample):
    every_program(lambda X: ops.vec(X, order), sample(3, 2, 3))
    every_program(lambda x: ops.unvec(x, (2, 3), order), sample(3, 6))


def test_complex(sample, close):
    X = sample(2, 3, complex=True)
    close(jax.jvp(ops.vec, (X,), (1j * X,))[1], 1j * np.asarray(X).ravel("F"))
