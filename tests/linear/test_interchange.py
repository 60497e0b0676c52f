"""Operators beside arrays and in lineax: what is formed, what is refused, and what goes through."""

from __future__ import annotations

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc import LinearOperator, commutation, diagonal, identity, kronecker


@pytest.fixture(scope="module")
def op():
    A = jnp.asarray([[2.0, 1.0], [1.0, 3.0]])
    return kronecker(A, A) + identity((2, 2))


X = np.arange(4.0).reshape(2, 2)


def test_an_operator_becomes_an_array_by_name(op):
    dense = np.asarray(op.to_dense())
    for array in (jnp.asarray(op), jnp.array(op), jax.jit(jnp.asarray)(op), np.asarray(op)):
        assert np.array_equal(array, dense)
    assert jnp.asarray(op, jnp.float16).dtype == jnp.float16
    batch = jax.vmap(lambda s: jnp.asarray(s * op))(jnp.arange(3.0))
    assert np.array_equal(batch, dense * np.arange(3.0).reshape(3, 1, 1, 1, 1))
    gradient = jax.grad(lambda A: jnp.sum(jnp.asarray(kronecker(A, A))))(jnp.ones((2, 2)))
    assert gradient.tolist() == [[8.0, 8.0], [8.0, 8.0]]


@pytest.mark.parametrize("scalar", [2, 2.0, np.float32(2), np.ones(()) * 2, jnp.float32(2)])
def test_scalars_scale_from_either_side(op, scalar):
    for scaled in (scalar * op, op * scalar):
        assert isinstance(scaled, LinearOperator)
        assert np.allclose(scaled.to_dense(), 2 * op.to_dense())
    traced = jax.jit(lambda s, op: s * op)(jnp.asarray(scalar), op)
    assert isinstance(traced, LinearOperator)


@pytest.mark.parametrize("array", [X, jnp.asarray(X)], ids=["numpy", "jax"])
def test_arrays_are_not_mixed_with_operators(op, array):
    assert np.allclose(op @ array, np.tensordot(op.to_dense(), X, 2))
    for mixed in (lambda: array + op, lambda: op + array, lambda: array - op, lambda: op - array):
        with pytest.raises(TypeError, match=r"has no \+ with an array or number there"):
            mixed()
    with pytest.raises(TypeError, match=r"has no @ with an array or number there .*op\.T @ array"):
        array @ op
    for mixed in (lambda: array * op, lambda: op * array):
        with pytest.raises(ValueError, match="needs a scalar; for an array of weights"):
            mixed()
    with pytest.raises(TypeError):
        array / op


def test_no_function_forms_an_operator_on_its_way(op):
    for function in (jnp.add, jnp.multiply, jnp.matmul):
        with pytest.raises(TypeError):
            function(op, jnp.asarray(X))
    for function in (jnp.sin, jnp.sum, jnp.trace):
        with pytest.raises(TypeError):
            function(op)
    for function in (jmc.trace, jmc.inv, diagonal):
        with pytest.raises(TypeError, match=r"needs an array for \w; got LinearOperator"):
            function(op)


@pytest.fixture(scope="module")
def lineax():
    return importlib.import_module("lineax")  # of the extra `test`


def test_lineax_solves_by_products(op, lineax, close):
    b = jnp.asarray(X)
    solver = lineax.CG(rtol=1e-6, atol=1e-6)

    def solved(t):
        operator = (op + t * identity((2, 2))).to_lineax(assume_a="pos")
        return lineax.linear_solve(operator, b, solver).value

    operator = op.to_lineax(assume_a="pos")
    assert isinstance(operator, lineax.FunctionLinearOperator)
    assert lineax.is_symmetric(operator) and lineax.is_positive_semidefinite(operator)
    assert not lineax.is_symmetric(op.to_lineax())
    assert operator.in_structure().shape == (2, 2)
    close(operator.mv(b), op @ b)
    close(operator.transpose().mv(b), op.T @ b)
    value, slope = jax.jvp(solved, (0.0,), (1.0,))
    np.testing.assert_allclose(value, op.solve(b), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(slope, -op.solve(op.solve(b)), rtol=1e-4, atol=1e-5)


def test_lineax_knows_diagonals(lineax, close):
    d = jnp.arange(1.0, 5.0).reshape(2, 2)
    b = jnp.asarray(X)
    weights = (diagonal(d) + identity((2, 2))).to_lineax()
    assert isinstance(weights, lineax.DiagonalLinearOperator)
    scaled = (2 * identity((2, 2))).to_lineax()
    assert lineax.is_diagonal(scaled)
    close(lineax.linear_solve(weights, b).value, X / (np.asarray(d) + 1))
    close(lineax.linear_solve(scaled, b).value, X / 2)
    exchanged = (diagonal(d) @ commutation(2, 2)).to_lineax()  # weights, but not in place
    assert not lineax.is_diagonal(exchanged)
    close(exchanged.mv(b), np.asarray(d) * X.T)
    wide = kronecker(jnp.ones((3, 2)), jnp.eye(2)).to_lineax()
    assert wide.out_structure().shape == (3, 2)


def test_lineax_mistakes(op, lineax, monkeypatch):
    with pytest.raises(ValueError, match="needs a single operator; got batch axes"):
        jax.vmap(lambda s: s * op)(jnp.arange(3.0)).to_lineax()
    with pytest.raises(ValueError, match="needs assume_a"):
        op.to_lineax("psd")
    monkeypatch.setitem(sys.modules, "lineax", None)
    with pytest.raises(
        ImportError, match=r"`to_lineax` needs .*pip install 'jaxmatcalc\[lineax\]'"
    ):
        op.to_lineax()
