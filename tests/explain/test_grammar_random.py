"""Random typed formulas: values against NumPy, sizes, text read again, printed derivatives."""

from __future__ import annotations

import math
import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxmatcalc.explain import explain
from jaxmatcalc.explain.grammar import parse

FORMULAS = int(os.environ.get("JAXMATCALC_TEST_FORMULAS", "100"))  # or 1000, by hand
SIZES = (2, 3)
SUM, PRODUCT, SIGN, POWER, ATOM = range(5)

rng = np.random.default_rng(7)
VALUES = {name: np.full((1, 1), value) for name, value in [("a", 0.7), ("b", -1.2), ("c", 1.9)]}
VALUES |= {f"{v}{n}": rng.uniform(-1, 1, (n, 1)) for v in "xy" for n in (2, 3, 4)}
VALUES |= {
    f"{M}{m}{n}": rng.uniform(-1, 1, (m, n)) for M in "AB" for m in (2, 3, 4) for n in (2, 3, 4)
}
SHAPES = {
    name: () if name in "abc" else value.shape[:1] if name[0] in "xy" else value.shape
    for name, value in VALUES.items()
}

ENTRYWISE = {
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "arctan": np.arctan,
    "abs": np.abs,
    "sign": np.sign,
    "relu": lambda X: np.maximum(X, 0),
    "sigmoid": lambda X: 1 / (1 + np.exp(-X)),
}
POSITIVE = {"log": np.log, "sqrt": np.sqrt, "log1p": np.log1p}
SCALARS = {
    "sum": np.sum,
    "norm1": lambda X: np.sum(np.abs(X)),
    "norm2": np.linalg.norm,
    "normF": np.linalg.norm,
}


class Formulas:
    """Draws formulas of a shape as pairs of text and value; every value here has two axes."""

    def __init__(self, draw):
        self.draw = draw

    def one_of(self, *choices):
        return self.draw(st.sampled_from(choices))

    def at_least(self, level, shape, depth):
        text, own, value = self.formula(shape, depth)
        redundant = depth > 1 and self.one_of(False, False, True)
        return (f"({text})" if own < level or redundant else text), value

    def leaf(self, shape):
        if shape == (1, 1):
            name = self.one_of("a", "b", "c", "2", "0.5", "1e-1", "pi")
            number = np.pi if name == "pi" else VALUES[name] if name in "abc" else float(name)
            return name, ATOM, np.full((1, 1), number)
        if 1 not in shape:
            name = f"{self.one_of('A', 'B')}{shape[0]}{shape[1]}"
            return name, ATOM, VALUES[name]
        name = f"{self.one_of('x', 'y')}{max(shape)}"
        if shape[1] == 1:
            return name, ATOM, VALUES[name]
        return f"{name}{self.one_of(chr(39), '.T', 'ᵀ')}", POWER, VALUES[name].T

    def constant(self, shape):
        if shape == (1, 1):
            return "1"
        if 1 not in shape:
            return "matrix(1)"
        return "vector(1)" if shape[1] == 1 else "vector(1)'"

    def formula(self, shape, depth):
        """Text, how tightly it binds, and value."""
        if depth == 0:
            return self.leaf(shape)
        ways = [self.sum, self.product, self.scaled, self.entries, self.function, self.positive]
        ways += [self.transposed, self.negative, self.entry_power]
        if shape == (1, 1):
            ways += [self.scalar, self.scalar_of_square, self.quotient]
        elif shape[0] == shape[1]:
            ways += [self.square, self.square]
        elif shape == (4, 1):
            ways += [self.stacked, self.stacked]
        return self.one_of(*ways)(shape, depth - 1)

    def sum(self, shape, depth):
        symbol, space = self.one_of("+", "-"), self.one_of("", " ")
        left, A = self.at_least(SUM, shape, depth)
        right, B = self.at_least(PRODUCT, shape, depth)
        return f"{left}{space}{symbol}{space}{right}", SUM, A + B if symbol == "+" else A - B

    def product(self, shape, depth):
        inner = self.one_of(*SIZES) if 1 in shape else self.one_of(1, *SIZES)
        left, A = self.at_least(PRODUCT, (shape[0], inner), depth)
        right, B = self.at_least(SIGN, (inner, shape[1]), depth)
        return f"{left}{self.one_of('*', ' * ')}{right}", PRODUCT, A @ B

    def scaled(self, shape, depth):
        number, a = self.at_least(SIGN, (1, 1), depth)
        array, A = self.at_least(SIGN, shape, depth)
        first, second = self.one_of((number, array), (array, number))
        return f"{first}{self.one_of('*', '.*')}{second}", PRODUCT, a * A

    def quotient(self, shape, depth):
        numerator, a = self.at_least(PRODUCT, shape, depth)
        denominator, b = self.at_least(SUM, shape, depth)
        symbol = self.one_of("/", "./")
        return f"{numerator}{symbol}(1 + ({denominator})^2)", PRODUCT, a / (1 + b**2)

    def entries(self, shape, depth):
        left, A = self.at_least(PRODUCT, shape, depth)
        if self.one_of(True, False):
            right, B = self.at_least(SIGN, shape, depth)
            return f"{left}{self.one_of('.*', ' ⊙ ')}{right}", PRODUCT, A * B
        right, B = self.at_least(SUM, shape, depth)
        below = f"({self.constant(shape)} + ({right}).^2)"
        return f"{left}./{below}", PRODUCT, A / (1 + B**2)

    def entry_power(self, shape, depth):
        base, A = self.at_least(ATOM, shape, depth)
        if self.one_of(True, False):
            k = self.one_of(0, 1, 2, 3)
            return f"{base}{self.one_of('.^', '**')}{k}", POWER, A**k
        exponent, B = self.at_least(ATOM, shape, depth)
        base, symbol = f"({self.constant(shape)} + {base}.^2)", self.one_of(".^", "**")
        return f"{base}{symbol}-tanh({exponent})", POWER, (1 + A**2) ** -np.tanh(B)

    def function(self, shape, depth):
        inner, A = self.at_least(SUM, shape, depth)
        if self.one_of(True, False):
            name = self.one_of(*ENTRYWISE)
            return f"{name}({inner})", ATOM, ENTRYWISE[name](A)
        return f"np.exp(np.tanh({inner}))", ATOM, np.exp(np.tanh(A))

    def positive(self, shape, depth):
        inner, A = self.at_least(SUM, shape, depth)
        name = self.one_of(*POSITIVE)
        return f"{name}(({inner}).^2 + {self.constant(shape)})", ATOM, POSITIVE[name](A**2 + 1)

    def transposed(self, shape, depth):
        if self.one_of(True, False):
            inner, A = self.at_least(ATOM, shape[::-1], depth)
            return f"{inner}.T", ATOM, A.T
        inner, A = self.at_least(POWER, shape[::-1], depth)
        return f"{inner}'", POWER, A.T

    def negative(self, shape, depth):
        inner, A = self.at_least(SIGN, shape, depth)
        return f"-{inner}", SIGN, -A

    def scalar(self, shape, depth):
        inner, A = self.at_least(SUM, (self.one_of(*SIZES), self.one_of(1, *SIZES)), depth)
        name = self.one_of(*SCALARS)
        value = np.full((1, 1), SCALARS[name](A))
        if name == "norm2" and self.one_of(True, False):
            return f"{name}({inner})^2", POWER, value**2
        return f"{name}({inner})", ATOM, value

    def scalar_of_square(self, shape, depth):
        n = self.one_of(*SIZES)
        inner, A = self.at_least(SUM, (n, n), depth)
        name = self.one_of("tr", "np.trace", "det", "logdet")
        if "tr" in name:
            return f"{name}({inner})", ATOM, np.full((1, 1), np.trace(A))
        value = np.linalg.det(np.eye(n) + A.T @ A)
        value = np.log(value) if name == "logdet" else value
        return f"{name}(eye + ({inner})'*({inner}))", ATOM, np.full((1, 1), value)

    def square(self, shape, depth):
        n = shape[0]
        way = self.one_of("diag", "inv", "power", "expm", "sqrtm", "logm", "eye", "adj")
        if way == "diag":
            vector, x = self.at_least(SUM, (n, 1), depth)
            return f"diag({vector})", ATOM, np.diag(x[:, 0])
        if way == "eye":
            return f"eye({n})", ATOM, np.eye(n)
        inner, A = self.at_least(SUM, shape, depth)
        if way == "expm":
            return f"expm(tanh({inner}))", ATOM, scipy.linalg.expm(np.tanh(A))
        positive, P = f"0.01*({inner})'*({inner}) + eye", 0.01 * A.T @ A + np.eye(n)
        if way == "power":
            k = self.one_of(-2, -1, 2, 3)
            return f"({positive})^{k}", POWER, np.linalg.matrix_power(P, k)
        value = {
            "inv": np.linalg.inv,
            "adj": lambda P: np.linalg.inv(P) * np.linalg.det(P),
            "sqrtm": scipy.linalg.sqrtm,
            "logm": scipy.linalg.logm,
        }[way](P)
        return f"{way}({positive})", ATOM, value

    def stacked(self, shape, depth):
        way = self.one_of("vec", "kron", "diag", "eigvals", "pinv")
        if way == "vec":
            inner, A = self.at_least(SUM, (2, 2), depth)
            return f"vec({inner})", ATOM, A.T.reshape(4, 1)
        if way == "kron":
            (left, x), (right, y) = (self.at_least(SUM, (2, 1), depth) for _ in range(2))
            return f"kron({left}, {right})", ATOM, np.kron(x, y)
        A = VALUES["A44"]
        if way == "diag":
            return "diag(A44)", ATOM, np.diag(A)[:, None]
        if way == "eigvals":
            return "eigvals(A44 + A44')", ATOM, np.linalg.eigvalsh(A + A.T)[:, None]
        B, x = VALUES["B43"], VALUES["x4"]
        return "B43*pinv(B43)*x4", PRODUCT, B @ np.linalg.pinv(B) @ x


@st.composite
def formulas(draw, deepest=3):
    """A formula and its value, a number, a vector or a matrix."""
    shapes = [(4, 1), *((m, n) for m in (1, *SIZES) for n in (1, *SIZES))]
    shape, depth = draw(st.sampled_from(shapes)), draw(st.integers(1, deepest))
    text, _, value = Formulas(draw).formula(shape, depth)
    return text, value


def arguments(formula):
    return [jnp.asarray(VALUES[name].reshape(SHAPES[name])) for name in formula.names]


def given_shapes(text):
    names = set(re.findall(r"\b[abcxyAB]\d*(?![0-9A-Za-z_])", text))
    return {name: SHAPES[name] for name in names}


@settings(max_examples=FORMULAS)
@given(formulas())
def test_random_formula_is_what_numpy_computes(pair):
    text, expected = pair
    with jax.enable_x64(True):
        formula = parse(text, given_shapes(text))
        actual = np.asarray(formula.function(*arguments(formula)))
        again = parse(str(formula), given_shapes(text))
        assert str(again) == str(formula)
        np.testing.assert_array_equal(again.function(*arguments(again)), actual)
    squeezed = expected[:, 0] if expected.shape[1] == 1 else expected
    squeezed = squeezed[0] if expected.shape[0] == 1 else squeezed
    assert actual.shape == squeezed.shape
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(actual, squeezed, rtol=0, atol=1e-8 * scale)


@settings(max_examples=FORMULAS // 2)
@given(formulas())
def test_sizes_are_found_where_some_fit(pair):
    text, expected = pair
    formula = parse(text)  # which sizes fit is known here; the reader has to find some
    kinds = {name: len(shape) for name, shape in given_shapes(text).items()}
    assert {name: len(shape) for name, shape in formula.shapes.items()} == kinds
    dtype = jnp.result_type(float)
    arrays = [jax.ShapeDtypeStruct(formula.shapes[name], dtype) for name in formula.names]
    result = jax.eval_shape(formula.function, *arrays)
    assert result.ndim == sum(n > 1 for n in expected.shape)


@settings(max_examples=FORMULAS // 5)
@given(formulas(deepest=2), st.integers(0, 9))
def test_printed_derivative_is_that_of_autodiff(pair, number):
    text, _ = pair
    with jax.enable_x64(True):
        formula = parse(text, given_shapes(text))
        assume(formula.names)
        k, arrays = number % len(formula.names), arguments(formula)
        expected = np.asarray(jax.jacobian(formula.function, k)(*arrays))
        assume(np.isfinite(expected).all())
        found = explain(formula.function, *arrays, wrt=k, names=formula.names)
        assert found.checked, found.check
        assume(not found.fallbacks)  # what has no matrix form is named, and has no code
        code: dict = {}
        exec(found.to("python"), code)
        actual = np.asarray((code.get("gradient") or code["jacobian"])(*arrays))
    outs = expected.ndim - arrays[k].ndim
    if outs and arrays[k].ndim:  # ∂vec F / ∂(vec X)ᵀ: both by columns
        axes = (*reversed(range(outs)), *reversed(range(outs, expected.ndim)))
        expected = expected.transpose(axes).reshape(math.prod(expected.shape[:outs]), -1)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-8 * scale)
