"""Inverses of many triangles, and of the matrices that they are factors of, against LAPACK's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.kernels import triangles


@pytest.mark.parametrize(("n", "lower", "unit"), [(2, True, False), (13, False, True)])
def test_is_the_inverse_of_the_triangle(n, lower, unit, float_dtype):
    X = np.random.default_rng(n).normal(size=(2, 3, n, n)) / n + 2 * np.eye(n)
    T = np.tril(X) if lower else np.triu(X)
    if unit:
        T = T - np.eye(n) * T + np.eye(n)
    found = triangles.inverse(jnp.asarray(X, float_dtype), lower, unit)
    tolerance = 100 * float(jnp.finfo(float_dtype).eps)
    np.testing.assert_allclose(found, np.linalg.inv(T), rtol=tolerance, atol=tolerance)


def samples(n):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(100, n, n))
    U, _, Vh = np.linalg.svd(X)
    growing = np.tril(-np.ones((n, n)), -1) + np.eye(n)
    growing[:, -1] = 1
    return {
        "random": X,
        "graded": X * 10.0 ** -np.linspace(0, 5, n),
        "badly scaled rows": X * 10.0 ** rng.integers(-3, 4, size=(100, n, 1)),
        "ill-conditioned": (U * 10.0 ** np.linspace(0, -6, n)) @ Vh,
        "growing": growing + 1e-2 * X,
    }


@pytest.mark.parametrize("n", [16, 27])
def test_inverses_and_their_backward_error_are_lapacks(n, float_dtype):
    compiled = jax.jit(jmc.inv)
    for kind, sample in samples(n).items():
        X = jnp.asarray(sample, float_dtype)
        exact, found, theirs = (
            np.asarray(Y, np.float64) for Y in (X, compiled(X), np.linalg.inv(X))
        )

        def error(Y, X=exact):
            size = np.abs(X).sum(-1).max(-1)[:, None] * np.abs(Y).max(-2)
            return (np.abs(X @ Y - np.eye(n)).max(-2) / size).max()

        assert error(found) <= 4 * max(error(theirs), float(jnp.finfo(float_dtype).eps)), kind


def test_the_library_is_not_called_for_each_triangle():
    X = jax.ShapeDtypeStruct((100, 16, 16), jnp.float32)
    for word in ("gen", "pos"):
        inverse = jax.jit(lambda X, word=word: jmc.inv(X, word))
        assert "trsm" not in inverse.lower(X).compile().as_text()
    assert "trsm" in jax.jit(jmc.inv).lower(X.update(shape=(9, 16, 16))).compile().as_text()


def test_a_singular_matrix_harms_no_other():
    X = jnp.asarray(samples(16)["random"]).at[7].set(1)
    found = np.asarray(jmc.inv(X))
    assert np.isposinf(found[7]).all()
    assert np.isfinite(np.delete(found, 7, axis=0)).all()
