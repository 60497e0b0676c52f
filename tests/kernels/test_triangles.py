"""Many triangles: systems, inverses, and the matrices that they are factors of; beside LAPACK."""

import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.kernels import triangles
from jaxmatcalc.kernels.triangles import Triangle


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


def backward_error(X, Y, right):
    """The largest of all columns of X Y - right, beside the norm of X and the column of Y."""
    size = np.abs(X).sum(-1).max(-1)[:, None] * np.abs(Y).max(-2)
    return (np.abs(X @ Y - right).max(-2) / size).max()


@pytest.mark.parametrize("n", [16, 27])
def test_inverses_and_solutions_have_the_backward_error_of_lapacks(n, float_dtype):
    inverse, solution = jax.jit(jmc.inv), jax.jit(jmc.solve)
    least = float(jnp.finfo(float_dtype).eps)
    identity = np.broadcast_to(np.eye(n), (100, n, n))
    for kind, sample in samples(n).items():
        X = jnp.asarray(sample, float_dtype)
        exact, found, theirs = (
            np.asarray(Y, np.float64) for Y in (X, inverse(X), np.linalg.inv(X))
        )
        bar = 4 * max(backward_error(exact, theirs, identity), least)
        assert backward_error(exact, found, identity) <= bar, kind
        smooth = jnp.asarray(exact @ np.ones((n, n)), float_dtype)  # of a small solution
        for right in (smooth, jnp.asarray(identity[:, ::-1], float_dtype)):
            ours, theirs = (f(X, right) for f in (solution, np.linalg.solve))
            ours, theirs, right = (np.asarray(Y, np.float64) for Y in (ours, theirs, right))
            bar = 4 * max(backward_error(exact, theirs, right), least)
            assert backward_error(exact, ours, right) <= bar, kind


@pytest.mark.parametrize("n", [1, 3, 8, 13, 24, 37])
def test_divides_as_the_library(n, float_dtype):
    """Every case of a triangle, also of a number of rows that is no multiple of a block."""
    rng = np.random.default_rng(n)
    T = jnp.asarray(rng.normal(size=(2, 5, n, n)) / n + 2 * np.eye(n), float_dtype)
    B = jnp.asarray(rng.normal(size=(2, 5, n, 2)), float_dtype)
    tolerance = 100 * float(jnp.finfo(float_dtype).eps)
    parts = [Triangle(*case) for case in itertools.product((False, True), repeat=3)]
    for part in parts:
        matrix = np.tril(T) if part.lower else np.triu(T)
        if part.unit_diagonal:
            matrix = matrix * (1 - np.eye(n)) + np.eye(n)
        matrix = np.swapaxes(matrix, -1, -2) if part.transposed else matrix
        found = jax.jit(triangles.divided, static_argnums=2)(T, B, part)
        np.testing.assert_allclose(
            found, np.linalg.solve(matrix, B), rtol=tolerance, atol=tolerance
        )
    both = triangles.divided(T, B, *parts[:2])
    one_by_one = triangles.divided(T, triangles.divided(T, B, parts[0]), parts[1])
    np.testing.assert_allclose(both, one_by_one, rtol=tolerance, atol=tolerance)


def test_the_rows_of_all_blocks_and_triangles_are_compiled_once():
    T = jax.ShapeDtypeStruct((64, 24, 24), jnp.float32)

    def rows(*parts):
        lowered = jax.jit(lambda T, B: triangles.divided(T, B, *parts)).lower(T, T)
        return len(re.findall(r"func.func private @_row", lowered.as_text()))

    forward = Triangle(lower=True), Triangle(transposed=True)
    assert rows(forward[0]) == rows(*forward) == 8


def test_solutions_and_their_gradients_call_the_library_for_one_factorisation(float_dtype):
    X = jnp.asarray(samples(16)["random"] + 10 * np.eye(16), float_dtype)
    B = X[:, :, ::-1] + 1
    tolerance = 1e4 * float(jnp.finfo(float_dtype).eps)

    def gradient(solve):
        return jax.grad(lambda X, B: jnp.sum(jnp.sin(solve(X, B))), (0, 1))

    compiled = jax.jit(gradient(jmc.solve)).lower(X, B).compile()
    program = compiled.as_text()
    assert "trsm" not in program
    assert program.count("getrf") == 1
    expected = gradient(jnp.linalg.solve)(X, B)
    for found, reference in zip(compiled(X, B), expected, strict=True):
        np.testing.assert_allclose(found, reference, rtol=tolerance, atol=tolerance)
    every = jax.vmap(jax.vmap(jmc.solve, (None, 0)), (0, None))(X, B[:2])
    reference = np.linalg.solve(X[:, None], B[:2])
    np.testing.assert_allclose(every, reference, rtol=tolerance, atol=tolerance)


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
