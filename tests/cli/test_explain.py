"""``jaxmatcalc explain``: formulas and functions in, formulas that equal the derivative out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmatcalc.cli import main
from jaxmatcalc.explain.grammar import parse

# The inputs that matrixcalculus.org documents: the variable, and its gradient or Jacobian in NumPy.
DOCUMENTED = {
    ("0.5*x'*A*x", "x"): lambda x, A: (A + A.T) @ x / 2,
    ("A*exp(x)", "x"): lambda A, x: A @ np.diag(np.exp(x)),
    ("(y.*v)'*x", "x"): lambda y, v, x: y * v,
    ("a^b", "a"): lambda a, b: b * a ** (b - 1),
    ("norm1(A*x-y)", "x"): lambda A, x, y: A.T @ np.sign(A @ x - y),
    ("norm2(A*x-y)^2", "x"): lambda A, x, y: 2 * A.T @ (A @ x - y),
    ("sum(log(exp(-y.*(X*w)) + vector(1)))", "w"): lambda y, X, w: (
        -X.T @ (y / (1 + np.exp(y * (X @ w))))
    ),
    ("tr(A*X'*B*X*C)", "X"): lambda A, X, B, C: B @ X @ C @ A + B.T @ X @ A.T @ C.T,
    ("log(det(inv(X)))", "X"): lambda X: -np.linalg.inv(X).T,
}


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("formula", "wrt"), DOCUMENTED)
def test_documented_formula_as_code_equals_the_gradient(formula, wrt, capsys):
    code = printed(capsys, formula, "--wrt", wrt, "--format", "python")
    found: dict = {}
    exec(code, found)
    derivative = found.get("gradient") or found["jacobian"]
    rng = np.random.default_rng(5)
    arrays = [rng.uniform(0.5, 1.5, size=shape) for shape in parse(formula).shapes.values()]
    actual = derivative(*(jnp.asarray(x, float) for x in arrays))
    tolerance = 200 * float(jnp.finfo(actual.dtype).eps)
    expected = DOCUMENTED[formula, wrt](*arrays)
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_unicode_shows_formulas_shapes_and_the_check(capsys):
    text = printed(capsys, "norm2(A*x - y)^2")
    assert re.search(r"∂f/∂x = 2Aᵀ\(Ax − y\) +\(4\)\n", text)
    assert re.search(r"= 2AᵀA +\(4, 4\)\n", text)
    assert "A (3, 4), x (4), y (3)" in text
    assert "checked: value, gradient and hessian" in text


def test_shapes_of_the_factors(capsys):
    text = printed(capsys, "norm2(A*x - y)^2", "--shapes")
    assert re.search(r"∂f/∂x = 2Aᵀ\(Ax − y\) .*\n +Aᵀ +\(Ax − y\)\n +4×3 ─ 3×1\n", text)
    assert "─ joins the columns on its left to the rows on its right\n" in text


def test_declared_symmetry_shortens_the_formula(capsys):
    assert re.search(r"∂f/∂x = Ax ", printed(capsys, "0.5*x'*A*x", "--wrt", "x", "--sym", "A"))
    text = printed(capsys, "logdet(X) + tr(S*X)", "--spd", "X,S", "--shape", "X=2x2")
    assert re.search(r"∂f/∂X = (X⁻¹ \+ S|S \+ X⁻¹) ", text)
    assert "X (2, 2)" in text


def test_layouts_are_transposes(capsys):
    def shape(layout):
        text = printed(capsys, "A*x", "--wrt", "x", "--layout", layout, "--format", "json")
        return json.loads(text)["formulas"][1]["shape"]

    assert shape("numerator") == shape("denominator")[::-1] == [3, 4]


def test_latex(capsys):
    text = printed(capsys, "tr(A*X)", "--format", "latex")
    assert text.startswith("\\begin{aligned}") and "\\frac{\\partial f}{\\partial X}" in text


def test_json_has_what_the_text_has(capsys):
    record = json.loads(printed(capsys, "x'*x", "--format", "json"))
    assert record["checked"] is True
    assert record["variables"] == ["x"]
    assert record["formulas"][1]["unicode"] == "2x"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's, in the folder where the command is run."""
    (tmp_path / "their_module.py").write_text(
        "import jax.numpy as jnp\n"
        "def loss(X, S, scale=0.5):\n"
        "    return scale * (jnp.trace(S @ X) - jnp.linalg.slogdet(X)[1])\n"
        "def star(*args):\n"
        "    return args[0]\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*__import__("sys").path])
    return "their_module"


def test_function_of_the_user(module, capsys):
    words = [f"{module}:loss", "--shape", "3x3", "--shape", "S=3x3", "--sym", "S", "--spd", "X"]
    text = printed(capsys, *words)
    assert re.search(r"∂f/∂X = ½\(S − X⁻¹\) ", text)
    assert re.search(r"∂f/∂S = ½X ", printed(capsys, *words, "--wrt", "S"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{}:loss", "--shape", "3x3"], "--shape is needed for S, as in --shape S=3x4"),
        (["{}:loss", "--shape", "Y=3"], "has the arguments X, S, scale; got a --shape for Y"),
        (["{}:loss", *["--shape", "3"] * 4], "has 3 arguments; got a --shape for one more"),
        (["{}:loss", "--shape", "?"], "needs every size as a number; got ? for X"),
        (
            ["{}:loss", "--shape", "3x3", "--shape", "3x3", "--wrt", "Z"],
            "--wrt needs one of the names, X, S; got Z",
        ),
        (
            ["{}:loss", "--shape", "3x3", "--shape", "3x4", "--sym", "S"],
            "--sym and --spd need a name whose --shape is that of a square; got S",
        ),
        (["{}:star", "--shape", "3"], "got a --shape for one more"),
        (["{}:number"], "needs a function for their_module:number; got int"),
        (["{}:absent"], "cannot import their_module:absent"),
        (["no_such_module:f"], "cannot import no_such_module:f: No module named"),
    ],
)
def test_function_that_cannot_be_explained(words, sentence, module, capsys):
    refused(capsys, sentence, 1, *(word.format(module) for word in words))


@pytest.mark.parametrize(
    ("words", "sentence", "lines"),
    [
        (["A*x + "], "needs a number, a name or `(` at position 6; got the end", 3),
        (["A*x", "--shape", "A=3x4", "--shape", "x=5"], "got `A` (3×4) and `x` (5×1).", 3),
        (["x'*x", "--sym", "S"], "`symmetric` needs a name of the formula, which has `x`;", 1),
        (["y'*z"], "--wrt needs one of the names, y, z; give one", 1),
        (["y'*z", "--wrt", "x"], "--wrt needs one of the names, y, z; got x", 1),
        (["2 + 2"], "--wrt needs one of the names, none; give one", 1),
        (["x'*x", "--shape", "3"], "--shape of a formula needs a name, as in --shape X=3x4", 1),
        (["x'*x", "--shape", "x=three"], "needs sizes as in X=3x4; got 'x=three'", 1),
        (["sum(log(-x.^2))"], "found no arrays of these shapes where the value and its", 1),
        (["x'*x", "--format", "word"], "invalid choice: 'word'", 1),
        (["x'*x", "--shapes", "--format", "latex"], "--shapes needs --format unicode; got", 1),
        (["x'*x", "--layout", "both"], "invalid choice: 'both'", 1),
    ],
)
def test_formula_that_cannot_be_explained(words, sentence, lines, capsys):
    refused(capsys, sentence, lines, *words)


def refused(capsys, sentence, lines, *words):
    x64 = jax.config.jax_enable_x64
    with pytest.raises(SystemExit) as stop:
        main(["explain", *words])
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert sentence in captured.err
    assert captured.err.startswith("jaxmatcalc explain: ")
    assert captured.err.count("\n") == lines
    assert not captured.out
    assert jax.config.jax_enable_x64 == x64


def test_help_is_readable(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    for option in ("--wrt", "--sym", "--spd", "--shape", "--layout", "--format", "--shapes"):
        assert option in text
    assert max(map(len, text.splitlines())) <= 80
