"""Formulas as text: the sizes that are found, the spellings, and the function that comes out."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.explain.grammar import parse

# The formulas that matrixcalculus.org documents, with the shapes that follow for them.
DOCUMENTED = {
    "0.5*x'*A*x": {"x": (3,), "A": (3, 3)},
    "A*exp(x)": {"A": (3, 4), "x": (4,)},
    "(y.*v)'*x": {"y": (3,), "v": (3,), "x": (3,)},
    "a^b": {"a": (), "b": ()},
    "norm1(A*x-y)": {"A": (3, 4), "x": (4,), "y": (3,)},
    "norm2(A*x-y)^2": {"A": (3, 4), "x": (4,), "y": (3,)},
    "sum(log(exp(-y.*(X*w)) + vector(1)))": {"y": (3,), "X": (3, 4), "w": (4,)},
    "tr(A*X'*B*X*C)": {"A": (3, 4), "X": (5, 4), "B": (5, 5), "C": (4, 3)},
    "log(det(inv(X)))": {"X": (3, 3)},
}


@pytest.mark.parametrize("text", DOCUMENTED)
def test_documented_formula_has_the_shapes_that_follow(text):
    formula = parse(text)
    assert formula.shapes == DOCUMENTED[text]
    assert formula.names == tuple(DOCUMENTED[text])
    assert str(formula).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("text", "shapes", "found"),
    [
        ("vec(X) + y", {"X": (2, 3)}, {"X": (2, 3), "y": (6,)}),
        ("vec(X) + y", {"y": (6,), "X": (None, 2)}, {"X": (3, 2), "y": (6,)}),
        ("vec(X) + y", {"y": (35,)}, {"X": (5, 7), "y": (35,)}),
        ("vec(X) + vec(Y)", {}, {"X": (3, 4), "Y": (3, 4)}),
        ("vec(X) + vec(Y)", {"X": (2, 6), "Y": (None, 4)}, {"X": (2, 6), "Y": (3, 4)}),
        ("kron(A, B)*vec(X)", {"X": (3, 4)}, {"A": (5, 3), "B": (6, 4), "X": (3, 4)}),
        ("kron(A, A)*x", {"x": (9,)}, {"A": (3, 3), "x": (9,)}),
        ("kron(x, y)*y'", {}, {"x": (3,), "y": (4,)}),
        ("w*x'", {"x": (1,)}, {"w": (3,), "x": (1,)}),
        ("x*A", {"A": (1, 2)}, {"x": (3,), "A": (1, 2)}),
        ("A + eye", {}, {"A": (3, 3)}),
        ("A + matrix(2, 4, 5)", {}, {"A": (4, 5)}),
        ("diag(x)*A", {"A": (0, 2)}, {"x": (0,), "A": (0, 2)}),
        ("Mu*nu + β*_x", {}, {"Mu": (3, 4), "nu": (4,), "β": (), "_x": (3,)}),
        ("lam*A*x", {"lam": (), "x": (2, 5)}, {"lam": (), "A": (3, 2), "x": (2, 5)}),
    ],
)
def test_sizes_that_are_found(text, shapes, found):
    formula = parse(text, shapes)
    assert formula.shapes == found
    arrays = [
        jax.ShapeDtypeStruct(formula.shapes[name], jnp.result_type(float)) for name in formula.names
    ]
    jax.eval_shape(formula.function, *arrays)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x @ A @ y", "x'*A*y"),
        ("x.T @ np.linalg.inv(A) @ y", "x'*inv(A)*y"),
        ("x @ A", "A'*x"),
        ("jnp.sum((A @ x - y)**2)", "norm2(A*x - y)^2"),
        ("np.linalg.norm(A)**2", "norm2(A)^2"),
        ("-x'*-y", "x'*y"),
        ("-2^2*a - -a", "a - 4*a"),
        ("1./x", "vector(1)./x"),
        ("2.*x", "x + x"),
        ("2.^x", "exp(log(2)*x)"),
        ("A^2'", "A'*A'"),
        ("trace(A) − tr(A) · 1", "0*tr(A)"),
        ("trace(A.T)", "tr(A′)"),
        ("np.pi*a", "pi*a"),
    ],
)
def test_spellings(text, same):
    shapes = {"A": (3, 3), "x": (3,), "y": (3,)}
    values = {"A": np.eye(3) + 0.1, "x": np.arange(1.0, 4), "y": np.arange(3) - 0.5, "a": 0.3}

    def value(formula):
        return formula.function(*(jnp.asarray(values[name], float) for name in formula.names))

    first, second = (
        parse(t, {n: s for n, s in shapes.items() if re.search(rf"\b{n}\b", t)})
        for t in (text, same)
    )
    np.testing.assert_allclose(value(first), value(second), rtol=1e-5, atol=1e-5)


def test_function_checks_shapes_and_can_be_transformed():
    formula = parse("norm2(A*x)^2", {"A": (3, 2)})
    A, x = jnp.ones((3, 2)), jnp.zeros(2)
    assert jax.grad(formula.function, 1)(A, x).tolist() == [0, 0]  # of the norm it is NaN
    assert jax.jit(jax.vmap(formula.function, (None, 0)))(A, jnp.eye(2)).tolist() == [3, 3]
    assert jmc.hessian(formula.function, 1)(A, x).tolist() == [[6, 6], [6, 6]]
    with pytest.raises(ValueError, match=r"needs `x` of shape \(2,\); got shape \(3,\)\."):
        formula.function(A, jnp.ones(3))
    assert formula.function(A, np.ones(2, np.float32)).dtype == jnp.result_type(A)
