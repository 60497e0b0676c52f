"""Products of many small matrices against NumPy, and what is compiled for them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.kernels import products
from jaxmatcalc.ops._products import matmul


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def normal(rng, *shape, dtype="float32"):
    real = rng.normal(size=shape)
    entries = real + 1j * rng.normal(size=shape) if dtype.startswith("complex") else real
    return jnp.asarray(entries, dtype)


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((9, 4, 4), (9, 4, 4)),
        ((3, 1, 5, 2), (4, 2, 7)),
        ((8, 1), (20, 1, 8)),
        ((0, 3, 3), (0, 3, 3)),
        ((16, 2, 0), (16, 0, 3)),
        ((16, 0, 2), (16, 2, 3)),
        ((4, 4), (4, 4)),
    ],
)
def test_is_the_product(rng, left, right, dtype):
    A, B = normal(rng, *left, dtype=dtype), normal(rng, *right, dtype=dtype)
    wanted = np.asarray(A, "complex128") @ np.asarray(B, "complex128")
    for product in (matmul, jax.jit(matmul)):
        found = product(A, B)
        assert found.dtype == A.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_differs_from_the_library_only_in_speed(rng):
    A, B = normal(rng, 9, 3, 4), normal(rng, 9, 4, 2)

    def squares(product):
        return lambda A, B: jnp.sum(jnp.sin(product(A, B)) ** 2)

    for derivative in (jax.grad, lambda f, k: jax.jacfwd(jax.jacrev(f, k), k)):
        for k in (0, 1):
            found = derivative(squares(matmul), k)(A, B)
            np.testing.assert_allclose(
                found, derivative(squares(jnp.matmul), k)(A, B), rtol=1e-4, atol=1e-5
            )


def test_vmap_reaches_it(rng):
    """The choice is that of the merged batch: a product of pairs is no library call."""
    A, B = normal(rng, 5, 20, 4, 4), normal(rng, 20, 4, 4)
    mapped = jax.vmap(jax.vmap(matmul), in_axes=(0, None))
    program = jax.jit(mapped).lower(A, B).compile()
    assert " dot(" not in program.as_text()
    np.testing.assert_allclose(program(A, B), np.asarray(A) @ np.asarray(B), rtol=1e-4, atol=1e-5)


def test_gradients_of_small_matrices_have_no_library_product(rng):
    X = normal(rng, 32, 4, 4)
    for operation in (jmc.inv, jmc.pinv, lambda X: jmc.matrix_power(X, 3)):
        gradient = jax.grad(lambda X, op=operation: jnp.sum(op(X) ** 2))
        assert " dot(" not in jax.jit(gradient).lower(X).compile().as_text()


def test_large_and_single_products_stay_with_the_library(rng):
    few, large = normal(rng, products._FEWEST - 1, 4, 4), normal(rng, 64, 17, 17)
    fewer = normal(rng, products._FEWEST_LARGER - 1, 9, 9)
    for X in (few, large, fewer):
        assert not products.wins(X, X)
        assert " dot(" in jax.jit(matmul).lower(X, X).compile().as_text()


def test_an_accelerator_takes_its_own_product(rng):
    """A program that is exported for a GPU keeps one product, in the precision chosen."""
    X = normal(rng, 32, 4, 4)

    def module(platform):
        exported = jax.export.export(jax.jit(lambda A, B: matmul(A, B)), platforms=[platform])
        return exported(X, X).mlir_module()

    assert "dot_general" not in module("cpu").split("#loc")[0]
    assert "precision = [HIGHEST, HIGHEST]" in module("cuda")
    for chosen, written in (("bfloat16", "dot_general"), ("TF32_TF32_F32", "tf32")):
        with jax.default_matmul_precision(chosen):
            program = module("cuda")
        assert "HIGHEST" not in program and written in program


def test_a_factor_that_is_a_product_is_computed_once(rng):
    X = normal(rng, 64, 8, 8)
    chained = jax.jit(lambda A, B: matmul(jnp.swapaxes(A, 1, 2), matmul(B, -2 * A)))
    text = chained.lower(X, X).compile().as_text()
    assert text.count("pred[64,8,8]") >= 2  # a loop of two results for each product
    assert all(part.count(" multiply(") <= 2 for part in text.split("\n}\n"))
