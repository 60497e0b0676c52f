"""`explain`: the nine examples of matrixcalculus.org, its options, its output."""

from __future__ import annotations

import importlib
import itertools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc
from jaxmatcalc.explain.arguments import arguments
from jaxmatcalc.explain.derivatives import Formulas
from jaxmatcalc.explain.fitting import fitting
from jaxmatcalc.explain.unicode import Unicode


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.zeros(()).dtype)


NINE = {
    "0.5*x'*A*x": (
        lambda x, A: 0.5 * x @ A @ x, [(3,), (3, 3)], "½(A + Aᵀ)x", "½(A + Aᵀ)",
    ),
    "A*exp(x)": (lambda x, A: A @ jnp.exp(x), [(3,), (2, 3)], "A·diag(exp(x))", None),
    "(y.*v)'*x": (lambda x, y, v: (y * v) @ x, [(3,)] * 3, "v ∘ y", "0"),
    "a^b": (lambda a, b: a**b, [(), ()], "b·a^(b − 1)", "(b − 1)b·a^(b − 2)"),
    "norm1(A*x-y)": (
        lambda x, A, y: jnp.sum(jnp.abs(A @ x - y)), [(3,), (2, 3), (2,)],
        "Aᵀ·sign(Ax − y)", "0",
    ),
    "norm2(A*x-y)^2": (
        lambda x, A, y: jnp.linalg.norm(A @ x - y) ** 2, [(3,), (2, 3), (2,)],
        "2Aᵀ(Ax − y)", "2AᵀA",
    ),
    "sum(log(exp(-y.*(X*w)) + vector(1)))": (
        lambda w, X, y: jnp.sum(jnp.log(jnp.exp(-y * (X @ w)) + 1)), [(3,), (2, 3), (2,)],
        "−Xᵀ(σ(−(y ∘ Xw)) ∘ y)", "Xᵀ·diag((𝟏 − u) ∘ u ∘ y∘²)X, where u = σ(−(y ∘ Xw))",
    ),
    "tr(A*X'*B*X*C)": (
        lambda X, A, B, C: jnp.trace(A @ X.T @ B @ X @ C), [(3, 2), (4, 2), (3, 3), (2, 4)],
        "BXCA + BᵀXAᵀCᵀ", "(CA)ᵀ ⊗ B + CA ⊗ Bᵀ",
    ),
    "log(det(inv(X)))": (
        lambda X: jnp.log(jnp.linalg.det(jnp.linalg.inv(X))), [(3, 3)],
        "−X⁻ᵀ", "(X⁻¹ ⊗ X⁻ᵀ)K₃₃",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def nine() -> dict[str, Any]:
    return {text: jmc.explain(f, *(shape(*s) for s in at)) for text, (f, at, *_) in NINE.items()}


@pytest.mark.parametrize("text", NINE)
def test_the_examples_of_matrixcalculus(text: str, nine: Any) -> None:
    *_, first, second = NINE[text]
    found = nine[text]
    assert (found.gradient or found.jacobian).unicode == first
    assert (None if found.hessian is None else found.hessian.unicode) == second
    assert found.checked and not found.fallbacks


@pytest.mark.parametrize("text", NINE)
def test_the_python_runs_and_is_the_gradient(text: str, nine: Any) -> None:
    f, sizes, *_ = NINE[text]
    rng = np.random.default_rng(1)
    args = [jnp.asarray(rng.uniform(0.5, 1.5, s) + 2 * np.eye(3) if s == (3, 3) else
                        rng.uniform(0.5, 1.5, s)) for s in sizes]  # fmt: skip
    scope: dict[str, Any] = {}
    exec(nine[text].python, scope)
    run = scope.get("gradient", scope.get("jacobian"))
    expected = np.asarray(jax.jacrev(f)(*args))
    np.testing.assert_allclose(run(*args), expected, rtol=1e-4, atol=1e-5)


def test_the_sentence_says_what_was_compared(nine: Any) -> None:
    text = str(nine["tr(A*X'*B*X*C)"])
    assert "checked: value, gradient and hessian against automatic differentiation" in text
    assert "where X (3, 2), A (4, 2), B (3, 3), C (2, 4)" in text
    assert len({line.index(" = ") for line in text.splitlines()[:3]}) == 1  # aligned


def test_shapes_of_the_factors_fit(nine: Any) -> None:
    shapes = nine["tr(A*X'*B*X*C)"].gradient.shapes
    assert shapes[:4] == (("B", (3, 3)), ("X", (3, 2)), ("C", (2, 4)), ("A", (4, 2)))


def test_factors_stand_below_a_formula_above_their_shapes(nine: Any) -> None:
    found = nine["tr(A*X'*B*X*C)"]
    lines = found.text(shapes=True).splitlines()
    start = next(k for k, line in enumerate(lines) if "∂f/∂X = " in line)
    column = lines[start].index(" = ") + 3
    assert [line[column:] for line in lines[start + 1 : start + 5]] == [
        "B     X     C     A",
        "3×3 ─ 3×2 ─ 2×4 ─ 4×2",
        "Bᵀ    X     Aᵀ    Cᵀ",
        "3×3 ─ 3×2 ─ 2×4 ─ 4×2",
    ]
    assert "(CA)ᵀ ⊗ B\n" in found.text(shapes=True) and "2×2   ⊗ 3×3\n" in found.text(shapes=True)
    without = [line for line in lines if "─" not in line]
    assert "─" not in str(found) and set(str(found).splitlines()) < set(without)


@pytest.mark.parametrize("text", NINE)
def test_what_is_joined_fits(text: str, nine: Any) -> None:
    for line in nine[text].text(shapes=True).splitlines():
        if re.fullmatch(r" +(\d+×\d+|scalar|[ ─])+", line):
            sizes = re.findall(r"(\d+)×(\d+)", line)
            assert all(left[1] == right[0] for left, right in itertools.pairwise(sizes))
            assert line.count("─") == max(len(sizes) - 1, 0)


def test_a_part_with_a_name_is_opened_once(nine: Any) -> None:
    hessian = nine["sum(log(exp(-y.*(X*w)) + vector(1)))"].hessian
    assert fitting(hessian) == [
        "Xᵀ    diag((𝟏 − u) ∘ u ∘ y∘²)   X",
        "3×2 ─ 2×2                     ─ 2×3",
        "(𝟏 − u) ∘ u   ∘ y∘²",
        "2×1     ∘ 2×1 ∘ 2×1",
        "y   ∘ Xw",
        "2×1 ∘ 2×1",
        "X     w",
        "2×3 ─ 3×1",
    ]


@pytest.mark.parametrize(
    ("f", "sizes", "lines"),
    [
        # a number joins nothing
        (
            lambda x, A: (x @ x) ** 2 * (A @ x), [(3,), (2, 3)],
            ["(xᵀx)²   A     x", "scalar   2×3 ─ 3×1", "xᵀ    x", "1×3 ─ 3×1"],
        ),
        # a triangle is one factor
        (lambda x, A: jnp.tril(A) @ x, [(2,), (2, 2)], ["tril(A)   x", "2×2     ─ 2×1"]),
        # letters say what is joined
        (
            lambda v, T: jnp.einsum("ijk,k->ij", T, v), [(3,), (2, 4, 3)],
            ["v[k]   T[i,j,k]", "3      2×4×3"],
        ),
        (lambda x: 2 * jnp.sin(x), [(3,)], []),
    ],
)  # fmt: skip
def test_lines_of_factors(f: Any, sizes: Any, lines: list[str]) -> None:
    found = jmc.explain(f, *(shape(*s) for s in sizes))
    assert fitting(found.value) == lines


@pytest.mark.parametrize("text", NINE)
def test_the_latex_is_typeset(text: str, nine: Any, typeset: Any) -> None:
    assert nine[text].latex.isascii()
    typeset(nine[text].latex)
    assert nine[text]._repr_latex_() == rf"$\displaystyle {nine[text].latex}$"


@pytest.mark.parametrize("text", NINE)
def test_the_text_says_what_was_checked(text: str, nine: Any, readable: Any) -> None:
    found = nine[text]
    samples = found._arguments.sample(1)
    values = dict(zip((s.name for s in found._arguments.symbols), samples, strict=True))
    assert all(readable(formula, values) for formula in found.formulas)


@pytest.mark.parametrize(
    "malformed", [r"\frac{1}{x", r"\left(x", r"\unknown x", "x^a^b", "½x", "x & y"]
)
def test_what_is_malformed_is_not_typeset(malformed: str, typeset: Any) -> None:
    with pytest.raises(AssertionError, match=r"xpected|Undefined|Double|strict"):
        typeset(malformed)


def test_layouts_are_transposes() -> None:
    sizes = shape(2, 3), shape(3)
    rows = jmc.explain(lambda x, A: jnp.tanh(A @ x), sizes[1], sizes[0], layout="numerator")
    columns = jmc.explain(lambda x, A: jnp.tanh(A @ x), sizes[1], sizes[0], layout="denominator")
    assert rows.jacobian.shape == (2, 3) and columns.jacobian.shape == (3, 2)
    gradient = jmc.explain(lambda X, A: jnp.sum(X * A), shape(2, 3), shape(2, 3))
    assert gradient.gradient.unicode == "A"
    turned = jmc.explain(lambda X, A: jnp.sum(X * A), shape(2, 3), shape(2, 3), layout="numerator")
    assert turned.gradient.unicode == "Aᵀ" and turned.gradient.shape == (3, 2)


def test_symmetric_arguments_lose_their_transposes() -> None:
    found = jmc.explain(lambda x, A: x @ A @ x, shape(3), shape(3, 3), symmetric="A")
    assert found.gradient.unicode == "2Ax" and found.checked
    found = jmc.explain(lambda S: jnp.linalg.slogdet(S)[1], shape(3, 3), symmetric=("S",))
    assert (found.gradient.unicode, found.hessian.unicode) == ("S⁻¹", "−(S⁻¹ ⊗ S⁻¹)K₃₃")
    assert found.checked


def test_several_variables_have_formulas_by_name() -> None:
    found = jmc.explain(lambda u, v, A: u @ A @ v, shape(2), shape(3), shape(2, 3), wrt=("u", "v"))
    assert {k: g.unicode for k, g in found.gradient.items()} == {"u": "Av", "v": "Aᵀu"}
    assert found.hessian["u", "v"].unicode == "A" and found.hessian["v", "u"].unicode == "Aᵀ"
    assert found.checked


def test_pytrees_and_names() -> None:
    params = {"W": shape(2, 3), "b": shape(2)}
    found = jmc.explain(lambda p, x: jnp.sum(p["W"] @ x + p["b"]), params, shape(3), wrt="p_W")
    assert found.gradient.unicode == "𝟏xᵀ"
    found = jmc.explain(lambda *xs: xs[0] @ xs[1], shape(3), shape(3), names=("u", "v"))
    assert found.gradient.unicode == "v"


def test_what_has_no_matrix_form_is_named_and_right() -> None:
    found = jmc.explain(lambda x: jnp.sum(jnp.sort(x) ** 2), shape(3))
    assert found.checked and found.fallbacks and "sort" in found.fallbacks[0]
    assert found.gradient.python == "jax.grad(f, 0)(x)"
    found = jmc.explain(lambda T, v: jnp.einsum("ijk,k->ij", T, v), shape(2, 3, 4), shape(4))
    assert found.checked and not found.fallbacks


def test_a_derivative_rule_that_is_no_derivative_is_not_contradicted() -> None:
    @jax.custom_jvp
    def f(x: Any) -> Any:
        return x**2

    f.defjvp(lambda x, t: (f(x[0]), 7 * t[0]))
    found = jmc.explain(lambda x: f(x), shape())
    assert found.checked and "2x" not in found.gradient.unicode and found.lost


def test_a_singular_determinant_goes_through_the_adjugate() -> None:
    X = jnp.asarray(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]))
    found = Formulas(arguments(jmc.det, [X], ["X"], ())).first(0, matrix=False)
    assert Unicode().write(found.expression) == "adj(X)ᵀ" and found.check.right


def test_softmax_reads_without_its_shift() -> None:
    found = jmc.explain(lambda x: jax.nn.logsumexp(x), shape(4))
    assert found.gradient.unicode == "softmax(x)" and found.checked
    assert found.hessian.unicode == "diag(softmax(x)) − softmax(x)·softmax(x)ᵀ"


def test_structure_and_cost() -> None:
    found = jmc.explain(lambda X, A: jnp.sum((A @ X) ** 2), shape(4, 5), shape(3, 4))
    assert "kronecker" in found.structure
    assert found.cost.bytes < found.cost.dense_bytes
    assert found.cost.dense_flops == 2 * 20 * 20
    assert set(found.to("json")) >= {"formulas", "checked", "structure", "fallbacks", "layout"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: jmc.explain(lambda x: x, shape(2), wrt="y"), "wrt to name an argument"),
        (lambda: jmc.explain(lambda x: x, shape(2), wrt=3), "wrt between 0 and 0"),
        (lambda: jmc.explain(lambda x: (x, x), shape(2)), "returns one array"),
        (lambda: jmc.explain(lambda x: x, shape(2), layout="row"), "layout"),
        (lambda: jmc.explain(lambda X: X, shape(2, 3), symmetric="X"), "square matrix"),
        (
            lambda: jmc.explain(
                lambda X: X, jnp.asarray([[0.0, 1.0], [2.0, 0.0]]), symmetric="X"
            ),
            "equal its transpose",
        ),
        (lambda: jmc.explain(lambda x: x, shape(2), names=("a", "b")), "one name an argument"),
        (lambda: jmc.explain(lambda x: x, shape(2)).to("html"), "format"),
    ],
)  # fmt: skip
def test_mistakes_are_worded(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(words)):
        call()


def test_the_package_may_be_called_by_the_name_it_shares() -> None:
    package = importlib.import_module("jaxmatcalc.explain")
    assert jmc.explain is package.explain or jmc.explain is package
    assert package(lambda x: x @ x, shape(2)).gradient.unicode == "2x"


def test_a_determinant_of_order_two_of_an_expression():
    """Its derivative rule closes over no array, which would stand before the argument."""
    B = jnp.array([[1.0, 2.0], [3.0, 5.0]])
    explained = jmc.explain(lambda B: jmc.det(jnp.eye(2) + B.T @ B), B)
    assert explained.checked
    assert str(explained.gradient) == "∂f/∂B = 2det(M)BM⁻¹, where M = I + BᵀB"


def test_python_of_a_square_root_has_a_derivative():
    """The one of `jax.scipy.linalg` has none."""
    S = jnp.array([[3.0, 1.0], [1.0, 2.0]])
    explained = jmc.explain(lambda X, v: jmc.sqrtm(X) @ v, S, jnp.ones(2), wrt="v")
    assert explained.checked
    assert "jaxmatcalc.sqrtm" in explained.jacobian.python
