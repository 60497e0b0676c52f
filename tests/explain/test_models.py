"""Formulas of functions as people write them: models, batches, choices, loops, decompositions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmatcalc as jmc


def shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.zeros(()).dtype)


def process(l: Any, D: Any, y: Any) -> Any:
    """A Gaussian process, as its log-likelihood is usually coded."""
    L = jnp.linalg.cholesky(jnp.exp(-D / l))
    z = jax.scipy.linalg.solve_triangular(L, y, lower=True)
    return jnp.sum(z**2) / 2 + jnp.sum(jnp.log(jnp.diag(L)))


def through_factor(A: Any, b: Any) -> Any:
    return jnp.sum(jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(A), b))


def in_order(x: Any, A: Any) -> Any:
    return jax.lax.fori_loop(0, 3, lambda _, c: A @ c, x)


def rows(A: Any, xs: Any) -> Any:
    return jnp.sum(jax.lax.scan(lambda c, x: (A @ c, c @ x), jnp.ones(2), xs)[1])


def either(x: Any) -> Any:
    return jax.lax.cond(jnp.sum(x) > 0, lambda x: x @ x, lambda x: jnp.sum(x), x)


# The function, the shapes of its arguments, options, and the gradient or Jacobian
FORMULAS: dict[str, tuple[Any, list[Any], dict[str, Any], str]] = {
    "where": (lambda x: jnp.sum(jnp.where(x > 0, x**2, 0.0)), [(4,)], {}, "2step(x) ∘ x"),
    "greatest": (lambda x, y: jnp.sum(jnp.maximum(x, y)), [(4,), (4,)], {}, "step(x − y)"),
    "clip": (
        lambda x: jnp.sum(jnp.clip(x, 0.0, 1.0)), [(4,)], {}, "step(x) − step(x − 𝟏)",
    ),
    "cond": (either, [(3,)], {}, "𝟏 + step(𝟏ᵀx)(2x − 𝟏)"),
    "loop": (in_order, [(3,), (3, 3)], {}, "A³"),
    "scan": (rows, [(2, 2), (2, 2)], {}, "xsᵀ·e₂𝟏ᵀ"),
    "entry": (lambda X: X[0] @ X[:, 1], [(3, 3)], {}, "(Xe₂e₁ᵀ + e₂e₁ᵀX)ᵀ"),
    "variance": (jnp.var, [(4,)], {"names": ("x",)}, "½x − ⅛(𝟏ᵀx)𝟏"),
    "log of |x|": (lambda x: jnp.sum(jnp.log(jnp.abs(x))), [(3,)], {}, "𝟏 ⊘ x"),
    "distances": (
        lambda X: jnp.sum(jnp.exp(-jnp.sum((X[:, None] - X) ** 2, -1))), [(3, 2)], {},
        "−4(diag(M𝟏) − M)X, where M = exp(2XXᵀ − X∘²𝟏𝟏ᵀ − 𝟏𝟏ᵀ(X∘²)ᵀ)",
    ),
    "batch": (
        lambda X: jnp.sum(jnp.linalg.slogdet(X)[1]), [(2, 3, 3)], {}, "[X⁻¹[i,k,j]][i,j,k]",
    ),
    "solve with a factor": (
        through_factor, [(3, 3), (3,)], {"symmetric": "A"}, "−A⁻¹b𝟏ᵀA⁻¹",
    ),
    "triangle": (
        lambda b, L: jax.scipy.linalg.solve_triangular(L, b, lower=True), [(3,), (3, 3)], {},
        "tril(L)⁻¹",
    ),
    "Kronecker": (
        jnp.kron, [(3, 2), (2, 2)], {"names": ("A", "B")}, "(I ⊗ K₃₂)(I ⊗ vec(B) ⊗ I)",
    ),
    "nuclear norm": (jmc.nuclear_norm, [(3, 2)], {"names": ("X",)}, "svdu(X)·svdv(X)ᵀ"),
    "largest eigenvalue": (
        lambda S: jnp.linalg.eigvalsh(S)[-1], [(3, 3)], {"symmetric": "S"},
        "eigenvectors(S)e₃e₃ᵀ·eigenvectors(S)ᵀ",
    ),
    "one row": (lambda X: jnp.sum((X @ X.T) ** 2), [(1, 3)], {}, "4‖Xᵀ‖²X"),
    "one entry": (lambda X: jmc.logdet(X) + X[0, 0] ** 3, [(1, 1)], {}, "1 / X + 3X²"),
    "Gaussian": (
        lambda S, x: jnp.linalg.slogdet(2 * jnp.pi * S)[1] + x @ jnp.linalg.solve(S, x),
        [(3, 3), (3,)], {"symmetric": "S"}, "S⁻¹(I − xxᵀS⁻¹)",
    ),
}  # fmt: skip


# How many of the formulas, those of the value and its derivatives, no textbook's reader reads:
# they have indices, singular vectors, or an identity whose size is not to be seen
UNREADABLE = {
    "distances": 1,
    "batch": 3,
    "Kronecker": 1,
    "nuclear norm": 3,
    "largest eigenvalue": 3,
}


@pytest.fixture(scope="module", params=FORMULAS)
def case(request: Any) -> Any:
    f, sizes, options, expected = FORMULAS[request.param]
    return f, sizes, jmc.explain(f, *(shape(*s) for s in sizes), **options), expected


def test_the_derivative_reads_as_it_would_by_hand(case: Any) -> None:
    _, _, found, expected = case
    first = found.gradient or found.jacobian
    assert first.unicode == expected
    assert found.checked


def test_the_python_has_the_derivative_s_shape_and_entries(case: Any) -> None:
    f, _, found, _ = case
    first = found.gradient or found.jacobian
    args = found._arguments.sample(1)
    scope: dict[str, Any] = {"f": f}
    exec(found.python, scope)
    value = np.asarray(scope[first.kind](*args))
    assert value.shape == first.shape
    jacobian = np.asarray(jax.jacobian(f)(*args))
    if found.gradient is None and jacobian.ndim > 2:
        outs = jacobian.ndim - args[0].ndim
        order = (*range(outs)[::-1], *range(outs, jacobian.ndim)[::-1])
        jacobian = jacobian.transpose(order)
    truth = jacobian.reshape(first.shape)
    if found.gradient is not None and "symmetric" in found.check:
        value, truth = value + value.T, truth + truth.T
    np.testing.assert_allclose(value, truth, rtol=2e-4, atol=2e-5)


def test_the_text_says_what_was_checked(case: Any, readable: Any, request: Any) -> None:
    found = case[2]
    samples = found._arguments.sample(1)
    values = dict(zip((s.name for s in found._arguments.symbols), samples, strict=True))
    read = sum(readable(formula, values) for formula in found.formulas)
    assert read == len(found.formulas) - UNREADABLE.get(request.node.callspec.params["case"], 0)


def test_latex_of_every_kind_is_typeset(case: Any, typeset: Any) -> None:
    typeset(case[2].latex)


def test_a_gaussian_process_reads_without_its_factor() -> None:
    l, D, y = jnp.asarray(1.0), 2.0 * (1 - jnp.eye(3)), jnp.ones(3)
    found = jmc.explain(process, l, D, y, symmetric="D")
    assert found.value.unicode == "½(yᵀM⁻¹y + log|det(M)|), where M = exp(−D / l)"
    assert found.checked and not found.fallbacks


def test_the_derivative_of_a_factor_itself() -> None:
    S = jnp.asarray([[2.0, 0.5], [0.5, 1.0]])
    found = jmc.explain(lambda S, z: jnp.linalg.cholesky(S) @ z, S, jnp.ones(2), symmetric="S")
    assert found.checked and not found.fallbacks
    assert "Φ has ones below the diagonal and halves on it" in str(found)


def test_a_function_of_complex_numbers_is_named() -> None:
    found = jmc.explain(lambda x: jnp.abs(jnp.fft.fft(x)) ** 2, shape(3))
    assert found.checked and found.fallbacks


def test_what_is_known_is_among_the_operands() -> None:
    found = jmc.explain(lambda x: jnp.sum(x % 2), shape(3))
    assert "rem(x, 2)" in found.value.unicode and found.checked


def test_a_vector_of_reciprocals_is_no_denominator() -> None:
    found = jmc.explain(lambda x, A: A @ (1 / x), shape(3), shape(2, 3))
    assert (found.value.unicode, found.jacobian.unicode) == ("A(𝟏 ⊘ x)", "−A·diag(x∘⁻²)")
    assert found.value.latex == r"A \left(\mathbf{1} \oslash x\right)"


def test_powers_of_powers_are_one_or_stand_in_brackets() -> None:
    found = jmc.explain(lambda x, A: jnp.sqrt((x @ A @ x) ** 4 + 1), shape(2), shape(2, 2))
    assert found.value.unicode == "√((xᵀAx)⁴ + 1)" and "²²" not in str(found)
    found = jmc.explain(lambda x, y: ((x @ y) ** 2 + 1) ** 3 - x @ y, shape(2), shape(2))
    assert "²²" not in str(found) and "²³" not in str(found)
    found = jmc.explain(lambda X: jnp.linalg.inv(X**2), 2 * jnp.eye(2))
    assert found.value.unicode == "(X∘²)⁻¹"


def test_a_name_stands_only_where_it_is_used() -> None:
    A = jnp.asarray([[2.0, 1.0], [1.0, 3.0]])
    found = jmc.explain(lambda x, A: x @ A @ x / (x @ x), jnp.ones(2), A, symmetric="A")
    for formula in found.formulas:
        right, _, where = formula.unicode.partition(", where ")
        for name in (part.split(" = ")[0] for part in where.split(", ") if where):
            assert name in right + where.replace(f"{name} = ", "")


def test_constants_are_named_apart_from_arguments_and_given() -> None:
    C = jnp.asarray(np.random.default_rng(0).normal(size=(30, 3)))
    found = jmc.explain(lambda C1, e1: C1[0] * jnp.sum((C @ C1) ** 2) * e1, shape(3), shape())
    assert not {"C1", "e1"} & set(found.constants)
    assert any(value.shape == C.shape for value in found.constants.values())
    scope: dict[str, Any] = {}
    exec(found.python, scope)
    used = {k: v for k, v in found.constants.items() if v.size > 64}
    x = jnp.asarray([1.0, 2.0, 3.0])
    truth = jax.grad(lambda x: x[0] * jnp.sum((C @ x) ** 2) * 2.0)(x)
    np.testing.assert_allclose(scope["gradient"](x, 2.0, **used), truth, rtol=1e-4)


def test_a_pytree_is_all_of_its_arrays() -> None:
    params = {"W": shape(2, 3), "b": shape(2)}
    found = jmc.explain(lambda p, x: jnp.sum((p["W"] @ x + p["b"]) ** 2), params, shape(3))
    assert found.variables == ("p_W", "p_b")
    assert found.gradient["p_b"].unicode == "2(p_W·x + p_b)"
    assert found.checked


CELLS = {"scalar": (), "vector": (2,), "matrix": (2, 3)}


@pytest.mark.parametrize("result", CELLS)
@pytest.mark.parametrize("argument", CELLS)
def test_layouts_are_those_of_the_tables(result: str, argument: str) -> None:
    """In each cell `explain` prints what `derivative` computes, in either layout."""
    rng = np.random.default_rng(3)
    x = jnp.asarray(rng.normal(size=CELLS[argument]))
    W = jnp.asarray(rng.normal(size=CELLS[result] + CELLS[argument]))

    def f(x: Any) -> Any:
        return jnp.tensordot(W, x, x.ndim)

    for layout in ("numerator", "denominator"):
        found = jmc.explain(f, x, layout=layout)
        table = np.asarray(jmc.derivative(f, layout=layout)(x))
        printed = found.gradient or found.jacobian
        assert found.checked
        shape = printed.shape
        if len(shape) == 1:  # a column
            shape = (*shape, 1)
        assert shape in (table.shape, ()) and (shape or table.size == 1)
        scope: dict[str, Any] = {"f": f}
        exec(found.python, scope)
        value = np.asarray(scope[printed.kind](x)).reshape(table.shape)
        np.testing.assert_allclose(value, table, rtol=1e-4, atol=1e-5)
