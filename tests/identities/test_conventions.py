"""Column-major vec and its matrices, and the way from it to JAX's layout."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.identities import conventions as c

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("m", "n"), [(2, 3), (3, 2), (1, 4), (3, 3)])
def test_the_commutation_matrix_transposes(m, n):
    A = RNG.standard_normal((m, n))
    K = np.asarray(c.commutation(m, n))
    np.testing.assert_array_equal(K @ A.ravel(order="F"), A.T.ravel(order="F"))
    np.testing.assert_array_equal(K.T, c.commutation(n, m))


def test_vec_stacks_columns_and_unvec_undoes_it():
    X = jnp.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(c.vec(X), np.asarray(X).ravel(order="F"))
    np.testing.assert_array_equal(c.unvec(c.vec(X), 2, 3), X)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_vech_takes_the_lower_triangle_and_duplication_gives_it_back(n):
    S = RNG.integers(-9, 9, (n, n))
    S = S + S.T
    lower = np.concatenate([S[j:, j] for j in range(n)])
    np.testing.assert_array_equal(c.vech(jnp.asarray(S)), lower)
    np.testing.assert_array_equal(c.unvech(jnp.asarray(lower)), S)
    np.testing.assert_array_equal(np.asarray(c.duplication(n)) @ lower, S.ravel(order="F"))


@pytest.mark.parametrize("out_shape", [(), (2,), (2, 3), (2, 3, 2)])
@pytest.mark.parametrize("in_shape", [(), (3,), (3, 2)])
def test_a_column_major_jacobian_comes_to_the_layout_of_jax(out_shape, in_shape):
    J = RNG.standard_normal((*out_shape, *in_shape))
    columns = np.array(
        [
            J[..., *index].ravel(order="F")
            for index in sorted(np.ndindex(in_shape), key=lambda index: index[::-1])
        ]
    ).T
    np.testing.assert_allclose(c.to_jax_layout(jnp.asarray(columns), out_shape, in_shape), J, 1e-6)


def test_the_layout_agrees_with_jax_on_a_linear_map():
    A, B, X = (jnp.asarray(RNG.standard_normal(s)) for s in ((2, 3), (4, 2), (3, 4)))
    J = c.to_jax_layout(jnp.kron(B.T, A), (2, 2), (3, 4))
    np.testing.assert_allclose(J, jax.jacobian(lambda X: A @ X @ B)(X), 1e-5, 1e-6)
