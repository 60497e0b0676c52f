"""Sums of products of small arrays, against NumPy, in the loops that a CPU runs and in XLA's."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.kernels.forming import Product, formed


def expected(products, shape):
    """The sum in float64, every entry by itself."""
    total = np.zeros(shape)
    index = np.indices(shape)
    for arrays, equal in products:
        value = np.ones(shape)
        for X in arrays:
            value = value * np.asarray(X, np.float64)
        for i, j in equal:
            value = value * (index[i] == index[j])
        total += value
    return total


def drawn(shape, dtype, *patterns):
    """An array for each pattern: a letter where it has the axis, a dot where it is constant."""
    rng = np.random.default_rng(len(patterns))
    sizes = [[n if x != "." else 1 for x, n in zip(p, shape, strict=True)] for p in patterns]
    return tuple(jnp.asarray(rng.normal(size=size), dtype) for size in sizes)


@pytest.mark.parametrize("shape", [(16, 16, 16, 16), (24, 4, 24, 24), (9, 30, 5, 9, 32), (700, 50)])
def test_every_pattern_of_axes(shape, float_dtype):
    lead, ones = "." * (len(shape) - 2), "x" * (len(shape) - 2)
    patterns = [lead + "kl", ones + "kl", ones + "k.", ones + ".l", lead + "..", lead + ".l"]
    single = [Product(drawn(shape, float_dtype, p), ()) for p in patterns]
    together = [Product(drawn(shape, float_dtype, *patterns[2:5]), ()), *single[1:3]]
    tolerance = 100 * float(jnp.finfo(float_dtype).eps)
    for products in ([p] for p in single), [together]:
        for terms in products:
            found = jax.jit(lambda terms=terms: formed(terms, shape))()
            assert found.shape == shape and found.dtype == float_dtype
            wanted = expected(terms, shape)
            np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("equal", [((0, 2),), ((1, 3),), ((0, 2), (1, 3)), ((2, 3),), ((0, 3),)])
def test_pairs_of_equal_axes(equal, float_dtype):
    shape = (16, 16, 16, 16)
    products = [
        Product(drawn(shape, float_dtype, "....", "x.k."), equal),
        Product(drawn(shape, float_dtype, "xk.l"), ()),
    ]
    tolerance = 100 * float(jnp.finfo(float_dtype).eps)
    found = jax.jit(lambda: formed(products, shape))()
    np.testing.assert_allclose(found, expected(products, shape), rtol=tolerance, atol=tolerance)


def test_a_number_alone():
    (one,) = drawn((), jnp.float32, "")
    assert formed([Product((one,), ())], ()) == one


@pytest.mark.parametrize(("n", "loop"), [(16, "16,16,4,64"), (24, "24,24,8,72")])
def test_short_axes_are_joined(n, loop):
    """The loop of a CPU over a dense Hessian has a last axis of 64 entries or more."""

    def f(X, A, B):
        return jnp.trace(X.T @ A @ X @ B)

    rng = np.random.default_rng(n)
    X, A, B = jnp.asarray(rng.normal(size=(3, n, n)), jnp.float32)
    compiled = jax.jit(jmc.hessian(f)).lower(X, A, B).compile()
    text = compiled.as_text()
    assert re.search(rf"f32\[{loop}\]\S* fusion\(", text)
    assert not re.search(rf"f32\[{n},{n},{n},{n}\]\S* (fusion|copy)\(", text)
    wanted = np.einsum("ik,jl->ijkl", A.T, B) + np.einsum("ik,jl->ijkl", A, B.T)
    np.testing.assert_allclose(compiled(X, A, B), wanted, rtol=1e-4, atol=1e-4)
