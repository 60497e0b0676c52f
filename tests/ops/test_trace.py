import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc import ops


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("batch", [(), (0,), (3,), (2, 3)])
def test_trace_is_numpys(n, batch, sample, close):
    X = sample(*batch, n, n)
    close(ops.trace(X), np.trace(X, axis1=-2, axis2=-1))


def test_trace_keeps_integers():
    X = jnp.arange(9).reshape(3, 3)
    assert ops.trace(X).dtype == X.dtype
    assert ops.trace(X) == 12


def test_trace_of_half_precision_is_summed_in_single():
    X = jnp.diag(jnp.ones(3000, jnp.bfloat16))
    assert ops.trace(X).dtype == jnp.bfloat16
    assert ops.trace(X) == jnp.asarray(3000, jnp.bfloat16)


def test_trace_derivatives(agree, sample):
    agree(ops.trace, jnp.trace, sample(3, 3))
    agree(lambda X: ops.trace(X @ X @ X), lambda X: jnp.trace(X @ X @ X), sample(3, 3))


def test_trace_is_complex_linear(sample, close):
    X, V = sample(3, 3, complex=True), sample(3, 3, complex=True, seed=1)
    value, tangent = jax.jvp(ops.trace, (X,), (V,))
    close(value, np.trace(X))
    close(tangent, np.trace(V))


SHAPES = [
    [(3, 3)],
    [(2, 3), (3, 2)],
    [(2, 3), (3, 4), (4, 2)],
    [(1, 3), (3, 3), (3, 1)],
    [(2, 2), (2, 2), (2, 2), (2, 2), (2, 2)],
    [(0, 3), (3, 0)],
    [(3, 0), (0, 3)],
]


def chain(factors):
    return functools.reduce(jnp.matmul, factors)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)])
def test_trace_product_is_the_trace_of_the_product(shapes, batch, sample, close):
    factors = [sample(*batch, *shape, seed=i) for i, shape in enumerate(shapes)]
    product = functools.reduce(np.matmul, map(np.asarray, factors))
    close(ops.trace_product(*factors), np.trace(product, axis1=-2, axis2=-1))


def test_trace_product_broadcasts(sample, close):
    A, B = sample(2, 1, 3, 2), sample(4, 2, 3)
    close(ops.trace_product(A, B), np.trace(np.asarray(A) @ np.asarray(B), axis1=-2, axis2=-1))
    close(
        jax.grad(lambda A: ops.trace_product(A, B).sum())(A),
        jax.grad(lambda A: jnp.trace(A @ B, axis1=-2, axis2=-1).sum())(A),
    )


@pytest.mark.parametrize("shapes", SHAPES[1:4], ids=str)
def test_trace_product_derivatives_in_each_factor(shapes, agree, sample):
    factors = [sample(*shape, seed=i, square=False) for i, shape in enumerate(shapes)]
    for i in range(len(factors)):

        def placed(function, X, i=i):
            return function([*factors[:i], X, *factors[i + 1 :]])

        agree(
            functools.partial(placed, lambda f: ops.trace_product(*f) ** 2),
            functools.partial(placed, lambda f: jnp.trace(chain(f)) ** 2),
            factors[i],
        )


def test_trace_product_of_one_matrix_with_itself(agree, sample):
    A = sample(3, 3, seed=1)
    agree(
        lambda X: ops.trace_product(X, A, X.T, X),
        lambda X: jnp.trace(X @ A @ X.T @ X),
        sample(3, 3),
    )


def test_trace_product_mixed_derivatives(sample, close):
    A, B, C = sample(2, 3), sample(3, 4), sample(4, 2)
    actual, expected = (
        jax.jit(jax.hessian(f, argnums=(0, 1, 2)))(A, B, C)
        for f in (ops.trace_product, lambda *f: jnp.trace(chain(f)))
    )
    jax.tree.map(close, actual, expected)


def test_trace_product_forms_no_product():
    X = jax.ShapeDtypeStruct((256, 256), jnp.float32)
    ours = jax.jit(jax.value_and_grad(ops.trace_product)).lower(X, X).compile()
    plain = jax.jit(jax.value_and_grad(lambda A, B: jnp.trace(A @ B))).lower(X, X).compile()
    assert ours.cost_analysis()["flops"] < plain.cost_analysis()["flops"] / 20


def test_trace_product_adds_no_term_for_a_constant_factor(sample):
    A, X = sample(3, 3), sample(3, 3, seed=1)
    tangent = jax.make_jaxpr(lambda dX: jax.jvp(lambda X: ops.trace_product(A, X), (X,), (dX,))[1])
    assert str(tangent(X)).count("add") == 0


def test_trace_product_is_complex_linear(sample, close):
    A, B = sample(2, 3, complex=True), sample(3, 2, complex=True)
    V = sample(2, 3, complex=True, seed=1)
    value, tangent = jax.jvp(lambda A: ops.trace_product(A, B), (A,), (V,))
    close(value, np.trace(np.asarray(A) @ np.asarray(B)))
    close(tangent, np.trace(np.asarray(V) @ np.asarray(B)))


def test_trace_product_promotes(sample):
    ones = jnp.ones((2, 2), int)
    assert ops.trace_product(ones, ones).dtype == ones.dtype
    assert ops.trace_product(ones, sample(2, 2)).dtype == sample(2, 2).dtype
    half = ops.trace_product(jnp.ones((64, 64), jnp.float16), jnp.ones((64, 64), jnp.float16))
    assert half.dtype == jnp.float16
    assert half == 4096
