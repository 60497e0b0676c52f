"""What a formula may not be, and the sentence and the place that say so."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxmatcalc._checks import FormulaError
from jaxmatcalc.explain.grammar import parse
from jaxmatcalc.explain.vocabulary import FUNCTIONS


def test_declared_symmetric_and_positive():
    formula = parse("x'*S*x + logdet(P) + sum(eigvals(S))", symmetric=["S"], positive=["P"])
    assert (formula.symmetric, formula.positive) == (("S", "P"), ("P",))
    assert formula.shapes == {"x": (3,), "S": (3, 3), "P": (4, 4)}
    assert parse("tr(x)", symmetric=["x"]).shapes == {"x": (3, 3)}


@pytest.mark.parametrize(
    "text",
    ["X*X'", "A'*S*A", "X + X'", "(X*S*X')^2", "expm(X + X')", "a*S/2 - eye", "-inv(X'*X)*3",
     "diag(x) + x*x'", "kron(S, X*X')", "S*X*S*X'*S", "(X + X').*matrix(2)", "exp(X'*X)",
     "S.T @ S", "X'*(a*X) - (S - diag(diag(X)))"],
)  # fmt: skip
def test_matrices_that_are_symmetric_by_their_form(text):
    formula = parse(f"eigvals({text})", symmetric=["S"] if "S" in text else [])
    rng = np.random.default_rng(3)
    arrays = [jnp.asarray(rng.normal(size=formula.shapes[name]), float) for name in formula.names]
    arrays = [x + x.T if n == "S" else x for x, n in zip(arrays, formula.names, strict=True)]
    inner = parse(text, formula.shapes, formula.symmetric)
    M = inner.function(*arrays)
    np.testing.assert_allclose(M, M.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "text", ["X", "X*Y", "S*X", "S*P", "X - X'", "X*a*Y'", "kron(X, X')", "triu"][:-1]
)
def test_matrices_that_are_not_symmetric_by_their_form(text):
    names = [name for name in "SP" if name in text]
    with pytest.raises(ValueError, match="`eigvals` needs a matrix that is symmetric by its form"):
        parse(f"eigvals({text})", symmetric=names)


MISTAKES = [
    ("A*x + ", 5, "needs a number, a name or `(` at position 6; got the end of the formula."),
    ("2x", 1, "needs an operator or the end at position 2; got `x`."),
    ("A*(x", 4, "needs an operator, `,` or `)` at position 5; got the end of the formula."),
    ("x $ y", 2, "needs a number, a name or an operator at position 3; got `$`."),
    (")", 0, "needs a number, a name or `(` at position 1; got `)`."),
    ("", 0, "needs a number, a name or `(` at position 1; got the end"),
    ("tr + 1", 2, "needs `(` after `tr` at position 3"),
    ("a^b^c", 3, "A power of a power needs parentheses: `(a^b)^c` or `a^(b^c)`."),
    ("y + trac(X)", 4, "has no function `trac`; did you mean `trace`?"),
    ("X(y)", 0, "has no function `X`; for a product write `X*(`."),
    ("exp(x, y)", 0, "`exp` needs 1 argument; got 2."),
    ("a + matrix(1, 2, 3, 4)", 4, "`matrix` needs 1 or 3 arguments; got 4."),
    ("A+x", 0, "`+` needs two operands of one shape; got `A` (3×4) and `x` (4×1)."),
    ("A+w", 0, "`+` needs two operands of one shape; got `A` (3×4) and `w` (m×1)."),
    ("y'*(A*x)", 0, "`*` needs as many columns on its left as rows on its right; got `y'` (1×5) "
     "and `A*x` (3×1)."),
    ("A*x+1", 0, "`A*x` (3×1) and the scalar `1`; equal entries are written `vector(1)`."),
    ("x*y", 0, "got `x` (4×1) and `y` (5×1); `x'*y` is a number and `x.*y` multiplies entries."),
    ("A/x", 2, "`/` needs a scalar on its right (`./` divides entries, `inv` inverts a matrix); "
     "got `x` (4×1)."),
    ("x^2", 0, "or a square matrix and a whole number; got `x` (4×1) and the scalar `2`"),
    ("A^2", 0, "`^` needs a square matrix; got `A` (3×4)."),
    ("1 + inv(A)", 8, "`inv` needs a square matrix; got `A` (3×4)."),
    ("diag(a)", 5, "`diag` needs a vector or a square matrix; got the scalar `a`."),
    ("pinv(x)", 5, "`pinv` needs a matrix; got `x` (4×1)."),
    ("vec(a)", 4, "`vec` needs a vector or a matrix; got the scalar `a`."),
    ("vector(x)", 7, "`vector` needs a scalar for its entries; got `x` (4×1)."),
    ("eye(a)", 4, "`eye` needs a whole number for its size; got the scalar `a`."),
    ("x @ y'", 0, "`x*y'` is the outer product and `x @ y` the inner one."),
    ("a @ x", 0, "`@` needs vectors or matrices; got the scalar `a`."),
    ("A@x*y'", 0, "A formula with `@` needs `.*` for the product of entries"),
    ("A*x + 1/0*w", 6, "`1/0` is not a real number."),
    ("vec(A) + kron(x, x)", 0, "got `vec(A)` (12×1) and `kron(x, x)` (16×1)."),
    ("vec(X) + x + kron(w, w, w)", 13, "`kron` needs 2 arguments; got 3."),
    ("kron(w, w) + vector(1, 8)", 0, "got `kron(w, w)` (m·m×1) and `vector(1, 8)` (8×1)."),
    ("__import__('os')", 0, "has no function `__import__`"),
    ("x.__class__", 1, "needs a number, a name or an operator at position 2; got `.`."),
    ("(" * 60 + "x" + ")" * 60, 41, "needs at most 40 parentheses inside of each other."),
    ("x" + "+x" * 300, 400, "needs at most 400 symbols."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "sentence"), MISTAKES, ids=[m[0][:20] for m in MISTAKES])
def test_mistake_shows_the_place_and_what_was_expected(text, place, sentence):
    shapes = {"A": (3, 4), "x": (4,), "y": (5,)}
    names = set(re.findall(r"\b[Axy]\b(?!\()", text)) if "__" not in text else set()
    with pytest.raises(ValueError) as caught:
        parse(text, {name: shape for name, shape in shapes.items() if name in names})
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    assert sentence in lines[0]
    assert lines[1] == f"  {text}"
    assert lines[2].index("^") == place + 2


@pytest.mark.parametrize(
    ("kwargs", "sentence"),
    [
        ({"symmetric": ["Z"]}, "`symmetric` needs a name of the formula, which has `A`, `x`;"),
        ({"shapes": {"y": ()}}, "`shape` needs a name of the formula, which has `A`, `x`;"),
        ({"shapes": {"A": (3, 4)}, "positive": ["A"]}, "needs a square matrix for `A`, since"),
        ({"shapes": {"A": (2, 3, 4)}}, "a shape of at most two sizes for `A`; got (2, 3, 4)."),
        ({"shapes": {"A": (2, -3)}}, "a shape of at most two sizes for `A`; got (2, -3)."),
        ({"shapes": {"A": "ab"}}, "a shape of at most two sizes for `A`; got 'ab'."),
    ],
)  # fmt: skip
def test_mistake_in_what_is_said_of_a_name(kwargs, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse("A*x", **kwargs)


SYMBOLS = (
    *"+-*/@^'(),.12xyABaµ\n", ".*", "./", ".^", "**", ".T", "0.5", "1e3", "eye", "pi", *FUNCTIONS
)  # fmt: skip


@given(st.lists(st.sampled_from(SYMBOLS), max_size=12), st.sampled_from(["", " "]))
def test_any_text_is_read_or_refused(symbols, space):
    text = space.join(symbols)
    try:
        formula = parse(text)
    except FormulaError as mistake:
        assert mistake.picture.count("\n") == 1
        return
    arrays = [
        jax.ShapeDtypeStruct(shape, jnp.result_type(float)) for shape in formula.shapes.values()
    ]
    jax.eval_shape(formula.function, *arrays)
