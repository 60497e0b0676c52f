"""Random formulas: what is printed is what NumPy and finite differences give."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxmatcalc.explain.arguments import arguments
from jaxmatcalc.explain.derivatives import Mode, as_matrix
from jaxmatcalc.explain.numeric import evaluate
from jaxmatcalc.explain.tensor import Tensor

COUNT = int(os.environ.get("JAXMATCALC_FORMULAS", "200"))
N = 3

UNARY: dict[str, dict[str, tuple[str, Any]]] = {
    "matrix": {
        "transpose": ("matrix", lambda xp, X: X.T),
        "sin": ("matrix", lambda xp, u: xp.sin(u)),
        "exp": ("matrix", lambda xp, X: xp.exp(0.3 * X)),
        "square": ("matrix", lambda xp, X: X**2),
        "inv": ("matrix", lambda xp, X: xp.linalg.inv(X)),
        "diag": ("vector", lambda xp, X: xp.diagonal(X)),
        "rows": ("vector", lambda xp, X: xp.sum(X, axis=1)),
        "trace": ("scalar", lambda xp, X: xp.trace(X)),
        "logdet": ("scalar", lambda xp, X: xp.linalg.slogdet(X)[1]),
        "det": ("scalar", lambda xp, X: xp.linalg.det(X)),
        "sum": ("scalar", lambda xp, u: xp.sum(u)),
        "norm": ("scalar", lambda xp, X: xp.linalg.norm(X)),
        "shifted": ("matrix", lambda xp, X: X + 2 * xp.eye(N)),
        "triangle": ("matrix", lambda xp, X: xp.tril(X)),
    },
    "vector": {
        "tanh": ("vector", lambda xp, u: xp.tanh(u)),
        "softplus": ("vector", lambda xp, x: xp.log(1 + xp.exp(x))),
        "reciprocal": ("vector", lambda xp, x: 1 / (2 + x**2)),
        "diag": ("matrix", lambda xp, u: xp.diag(u)),
        "sum": ("scalar", lambda xp, u: xp.sum(u)),
        "length": ("scalar", lambda xp, x: xp.sum(x**2)),
        "norm": ("scalar", lambda xp, x: xp.linalg.norm(x)),
        "softmax": ("vector", lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x))),
        "reversed": ("vector", lambda xp, x: x[::-1]),
        "shifted": ("vector", lambda xp, x: x - 0.5),
    },
    "scalar": {
        "sin": ("scalar", lambda xp, u: xp.sin(u)),
        "exp": ("scalar", lambda xp, s: xp.exp(0.2 * s)),
        "root": ("scalar", lambda xp, s: xp.sqrt(s**2 + 1)),
        "log": ("scalar", lambda xp, s: xp.log(s**2 + 1)),
        "square": ("scalar", lambda xp, s: s * s),
        "negative": ("scalar", lambda xp, s: -s / 3),
    },
}

BINARY: dict[tuple[str, str], dict[str, tuple[str, Any]]] = {
    ("matrix", "matrix"): {
        "product": ("matrix", lambda xp, A, B: A @ B),
        "sum": ("matrix", lambda xp, A, B: A + B),
        "difference": ("matrix", lambda xp, A, B: A - 2 * B),
        "entries": ("matrix", lambda xp, A, B: A * B),
        "inner": ("scalar", lambda xp, A, B: xp.sum(A * B)),
        "solve": ("matrix", lambda xp, A, B: xp.linalg.solve(A, B)),
        "kron": ("scalar", lambda xp, A, B: xp.sum(xp.kron(A, B) ** 2)),
    },
    ("matrix", "vector"): {
        "product": ("vector", lambda xp, A, x: A @ x),
        "left": ("vector", lambda xp, A, x: x @ A),
        "quadratic": ("scalar", lambda xp, A, x: x @ A @ x),
        "columns": ("matrix", lambda xp, A, x: A * x),
    },
    ("vector", "vector"): {
        "dot": ("scalar", lambda xp, x, y: x @ y),
        "outer": ("matrix", lambda xp, x, y: xp.outer(x, y)),
        "sum": ("vector", lambda xp, x, y: x + y),
        "entries": ("vector", lambda xp, x, y: x * y),
    },
    ("scalar", "matrix"): {"times": ("matrix", lambda xp, s, A: s * A)},
    ("scalar", "vector"): {"times": ("vector", lambda xp, s, x: s * x)},
    ("scalar", "scalar"): {
        "sum": ("scalar", lambda xp, s, t: s + t),
        "product": ("scalar", lambda xp, s, t: s * t),
        "quotient": ("scalar", lambda xp, s, t: s / (1 + t**2)),
    },
}

LEAVES = {"matrix": ["X", "A"], "vector": ["x", "y"], "scalar": ["s"]}


@st.composite
def formulas(draw: Any, kind: str, depth: int) -> tuple[str, Any]:
    """A formula of a kind: its text and a function of `jax.numpy` or NumPy and a dict of arrays."""
    if depth == 0:
        name = draw(st.sampled_from(LEAVES[kind]))
        return name, lambda xp, values: values[name]
    made: list[Any] = [
        (f"{op}", (of,), g) for of in UNARY for op, (to, g) in UNARY[of].items() if to == kind
    ]
    made += [(op, pair, g) for pair in BINARY for op, (to, g) in BINARY[pair].items() if to == kind]
    op, of, g = draw(st.sampled_from(made))
    parts = [draw(formulas(k, draw(st.integers(0, depth - 1)))) for k in of]
    text = f"{op}({', '.join(t for t, _ in parts)})"
    return text, lambda xp, values: g(xp, *(f(xp, values) for _, f in parts))


@functools.cache
def samples(seed: int) -> dict[str, np.ndarray]:
    """Arrays at which the inverses in most formulas exist."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-0.5, 0.5, (N, N)) + 1.5 * np.eye(N)
    A = rng.uniform(-0.5, 0.5, (N, N)) + np.eye(N)
    x, y = rng.uniform(-1, 1, N), rng.uniform(0.2, 1, N)
    return {"X": X, "A": A, "x": x, "y": y, "s": np.asarray(0.7)}


STEP = 1e-3
Values = dict[str, np.ndarray]


def slopes(f: Callable[[Values], Any], values: Values, name: str) -> np.ndarray:
    """The derivative of f in one of its arrays, by differences of fourth order."""
    x = values[name]
    columns = []
    for k in range(x.size):
        h = np.zeros(x.size)
        h[k] = STEP

        def at(times: int, h: np.ndarray = h) -> np.ndarray:
            return np.asarray(f({**values, name: x + times * h.reshape(x.shape)}))

        with np.errstate(all="ignore"):  # what is not finite is not compared
            columns.append((8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP))
    return np.stack(columns, axis=-1).reshape(columns[0].shape + x.shape)


def difference(mode: Mode, tensor: Tensor, values: Values, truth: np.ndarray) -> float:
    """How far a formula is from what it should be; 0 where either is not finite."""
    expression = mode.recovery.expression(tensor)
    with np.errstate(all="ignore"):
        found = np.asarray(evaluate(expression, values)).reshape(truth.shape)
    if not (np.isfinite(found).all() and np.isfinite(truth).all()):
        return 0.0
    return float(np.abs(found - truth).max()) / max(1.0, float(np.abs(truth).max()))


def vectorised(truth: np.ndarray, rows: int) -> np.ndarray:
    """A derivative as a matrix over vec, both stacked by columns."""
    order = (*range(rows)[::-1], *range(rows, truth.ndim)[::-1])
    return truth.transpose(order).reshape(int(np.prod(truth.shape[:rows])), -1)


@settings(
    max_examples=COUNT, deadline=None, database=None, derandomize=COUNT == 200,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.data())
def test_random_formula(data: Any) -> None:
    kind = data.draw(st.sampled_from(["scalar", "scalar", "vector", "matrix"]))
    text, formula = data.draw(formulas(kind, 3))
    wrt = data.draw(st.sampled_from(["X", "x"]))
    values = samples(data.draw(st.integers(0, 3)))

    def f(*args: Any) -> Any:
        return formula(jnp, dict(zip(values, args, strict=True)))

    shapes = [jax.ShapeDtypeStruct(v.shape, jnp.zeros(()).dtype) for v in values.values()]
    mode = Mode(arguments(f, shapes, list(values), ()))
    position = list(values).index(wrt)
    first = mode.first(position)
    try:
        with np.errstate(all="ignore"):
            truth = np.asarray(formula(np, values))
        assert difference(mode, mode.value, values, truth) < 1e-5, text
        truth = slopes(lambda v: formula(np, v), values, wrt)
        assert difference(mode, first, values, truth) < 1e-5, (text, wrt)
        if kind != "scalar":
            rows = mode.value.ndim
            matrix = as_matrix(first, rows)
            assert difference(mode, matrix, values, vectorised(truth, rows)) < 1e-5, (text, wrt)
            return
        gradient = mode.recovery.expression(first)
        second = as_matrix(mode.second(position, position), first.ndim)
        shape = values[wrt].shape
        truth = slopes(lambda v: evaluate(gradient, v).reshape(shape), values, wrt)
        truth = vectorised(truth, len(shape))
        assert difference(mode, second, values, truth) < 1e-4, (text, wrt)
    except np.linalg.LinAlgError:
        return  # an inverse that does not exist


def test_a_wrong_formula_is_seen() -> None:
    mode = Mode(arguments(lambda X: jnp.sum(X**2), [jnp.ones((2, 2))], ["X"], ()))
    values = {"X": np.ones((2, 2))}
    truth = slopes(lambda v: np.sum(v["X"] ** 2), values, "X")
    assert difference(mode, mode.first(0), values, truth) < 1e-9
    assert difference(mode, mode.first(0).scaled(2), values, truth) > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_samples_are_regular(seed: int) -> None:
    assert np.linalg.cond(samples(seed)["X"]) < 50
