"""The nine cells of the matrix-calculus tables, against `jax.jacobian` entry by entry."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc

ARGUMENTS = {"scalar": (), "vector": (3,), "matrix": (3, 4)}
RESULTS = {"scalar": (), "vector": (2,), "matrix": (2, 5)}
# Shapes in numerator layout, as the docstring's table has them: m = 2, n = 5, p = 3, q = 4.
SHAPES = {
    ("scalar", "scalar"): (1, 1),
    ("scalar", "vector"): (1, 3),
    ("scalar", "matrix"): (4, 3),
    ("vector", "scalar"): (2, 1),
    ("vector", "vector"): (2, 3),
    ("vector", "matrix"): (2, 12),
    ("matrix", "scalar"): (2, 5),
    ("matrix", "vector"): (10, 3),
    ("matrix", "matrix"): (10, 12),
}


def sample(result, argument):
    """A function of this cell with every partial derivative different, and where to take it."""
    rng = np.random.default_rng(0)
    W = jnp.asarray(rng.normal(size=RESULTS[result] + ARGUMENTS[argument]), float)
    x = jnp.asarray(rng.normal(size=ARGUMENTS[argument]), float)
    return lambda x: jnp.sin(jnp.tensordot(W, x, x.ndim)), x


def entries(J, out_shape, in_shape):
    """(row, column, partial derivative) of the numerator layout, by its definition."""
    for i in itertools.product(*map(range, out_shape)):
        for j in itertools.product(*map(range, in_shape)):
            if len(in_shape) == 2 and not out_shape:
                place = j[::-1]
            elif len(out_shape) == 2 and not in_shape:
                place = i
            else:  # the first index runs fastest: columns are stacked
                place = tuple(
                    sum(k * math.prod(shape[:axis]) for axis, k in enumerate(index))
                    for index, shape in ((i, out_shape), (j, in_shape))
                )
            yield *place, J[i + j]


@pytest.mark.parametrize(("result", "argument"), SHAPES)
def test_cell(result, argument, close):
    f, x = sample(result, argument)
    J = np.asarray(jax.jacobian(f)(x))
    expected = np.full(SHAPES[result, argument], np.nan, J.dtype)
    for row, column, value in entries(J, RESULTS[result], ARGUMENTS[argument]):
        assert np.isnan(expected[row, column])
        expected[row, column] = value
    close(jmc.derivative(f)(x), expected)
    close(jmc.derivative(f, layout="numerator")(x), expected)
    close(jmc.derivative(f, layout="denominator")(x), expected.T)


def test_a_gradient_is_the_denominator_layout(close):
    f, X = sample("scalar", "matrix")
    close(jmc.derivative(f, layout="denominator")(X), jax.grad(f)(X))


def test_chain_rule_holds_in_numerator_layout(close):
    f, X = sample("matrix", "matrix")

    def g(Y):
        return jnp.tanh(Y @ Y.T)

    product = jmc.derivative(g)(f(X)) @ jmc.derivative(f)(X)
    close(jmc.derivative(lambda X: g(f(X)))(X), product)


def test_kronecker_products_are_the_textbook_s(close):
    A, B = (jnp.arange(1.0, 7).reshape(s) / 4 for s in ((2, 3), (3, 2)))
    X = jnp.ones((3, 3))
    close(jmc.derivative(lambda X: A @ X @ B)(X), jnp.kron(B.T, A))
    K = jmc.commutation(3, 3).as_matrix()
    close(jmc.derivative(jnp.transpose)(X), K)


def test_several_arguments_and_keywords():
    def f(x, Y, *, power):
        return Y @ x**power

    x, Y = jnp.ones(3), jnp.ones((2, 3))
    by_x, by_Y = jmc.derivative(f, argnums=(0, 1))(x, Y, power=2)
    assert (by_x.shape, by_Y.shape) == ((2, 3), (2, 6))
    np.testing.assert_allclose(jmc.derivative(f, argnums=-1)(x, Y, power=2), by_Y, rtol=1e-6)


@pytest.mark.parametrize(
    ("f", "x", "shape"),
    [
        (lambda x: x, (1,), (1, 1)),
        (jnp.sum, (0,), (1, 0)),
        (lambda X: X[0], (1, 1), (1, 1)),
    ],
)
def test_sizes_0_and_1(f, x, shape):
    assert jmc.derivative(f)(jnp.ones(x)).shape == shape
    assert jmc.derivative(f, layout="denominator")(jnp.ones(x)).shape == shape[::-1]


def test_under_jit_and_vmap(close):
    f, X = sample("vector", "matrix")
    many = jnp.stack([X, 2 * X])
    one_by_one = jnp.stack([jmc.derivative(f)(X) for X in many])
    close(jax.jit(jax.vmap(jmc.derivative(f)))(many), one_by_one)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (
            lambda: jmc.derivative(jnp.sum, layout="mixed"),
            ValueError,
            '`derivative` needs layout to be "numerator" or "denominator"; got \'mixed\'.',
        ),
        (
            lambda: jmc.derivative(jnp.sum)(jnp.ones((2, 3, 4))),
            ValueError,
            "`derivative` needs every argument to be a scalar, a vector or a matrix, of at most "
            "two axes; got shape (2, 3, 4).",
        ),
        (
            lambda: jmc.derivative(lambda X: X[None])(jnp.ones((2, 3))),
            ValueError,
            "`derivative` needs the function's result to be a scalar, a vector or a matrix, of at "
            "most two axes; got shape (1, 2, 3).",
        ),
        (
            lambda: jmc.derivative(lambda x: (x, x))(jnp.ones(2)),
            TypeError,
            "`derivative` needs an array for the function's result; got tuple.",
        ),
        (
            lambda: jmc.derivative(jnp.sum)({"a": jnp.ones(2)}),
            TypeError,
            "`derivative` needs an array for every argument; got dict.",
        ),
        (
            lambda: jmc.derivative(jnp.sum)(jnp.arange(2)),
            TypeError,
            "`derivative` needs arguments and results of a real floating-point dtype; "
            "got dtype int",
        ),
        (
            lambda: jmc.derivative(jnp.sum, argnums=1)(jnp.ones(2)),
            ValueError,
            "`derivative` needs argnums between 0 and 0, since 1 positional arguments were given; "
            "got 1.",
        ),
    ],
)
def test_mistake_is_one_sentence(call, error, sentence):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(sentence)


def test_a_variable_without_entries():
    """Columns of an identity of order 0 are formed, and are none."""
    X, B = jnp.ones((3, 0)), jnp.ones((0, 2))
    assert jmc.jacobian(lambda X: X @ B)(X).shape == (3, 2, 3, 0)
    assert jmc.derivative(lambda X: X @ B)(X).shape == (6, 0)
