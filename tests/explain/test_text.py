"""The reader that printed formulas are tried with: what it reads, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.explain.reading_text import Unreadable, read

rng = np.random.default_rng(0)
X, A = rng.uniform(0.5, 1.5, (2, 3, 3)) + 2 * np.eye(3)
x, y = rng.uniform(0.5, 1.5, (2, 3))
VALUES = {"X": X, "A": A, "x": x, "y": y, "s": 2.0}
K33 = np.eye(9).reshape(3, 3, 3, 3).transpose(0, 1, 3, 2).reshape(9, 9)

READ = {
    "2Xᵀ": 2 * X.T,
    "A(x − y)": A @ (x - y),
    "−X⁻ᵀ": -np.linalg.inv(X).T,
    "½(x∘² + 𝟏 ⊘ y)": (x**2 + 1 / y) / 2,
    "1/64·‖x‖² / (2s)": np.sum(x**2) / 256,
    "xᵀy·tr(X)A": x @ y * np.trace(X) * A,
    "(xᵀAx)² + s^(s − 1)": (x @ A @ x) ** 2 + 2.0,
    "log|det(X)|": np.log(np.abs(np.linalg.det(X))),
    "(A ⊗ I)K₃₃": np.kron(A, np.eye(3)) @ K33,
    "diag(u) − u𝟏ᵀ, where u = exp(x)": np.diag(np.exp(x)) - np.outer(np.exp(x), np.ones(3)),
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read(text):
    expected = np.asarray(READ[text])
    np.testing.assert_allclose(read(text, VALUES, expected.shape), expected)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("2Xᵀ", "2X"),
        ("A(x − y)", "(Ax) − y"),  # the bracket elsewhere
        ("(X∘²)⁻¹", "X∘⁻²"),
        ("(xᵀAx)²", "xᵀAx²"),
        ("A ∘ XA", "(A ∘ X)A"),
        ("K₃₃(A ⊗ X)", "A ⊗ X"),
    ],
)
def test_what_is_read_differently(text, other):
    shape = (
        () if text.endswith(")²") else (9, 9) if "⊗" in text else (3, 3) if "X" in text else (3,)
    )
    expected = read(text, VALUES, shape)
    assert not same(other, expected)
    assert same(text, expected)


def same(text: str, expected: np.ndarray) -> bool:
    """Whether a text can be read, with sizes that fit, and says this."""
    try:
        return np.allclose(read(text, VALUES, expected.shape), expected)
    except AssertionError:
        return False


@pytest.mark.parametrize(
    "text", ["A(x − y", "Ax)", "Ax + ", "sort(x)", "Σ_i x[i]", "vec(I)", "Az", "2Xᵀ A"]
)
def test_what_is_refused(text):
    with pytest.raises(Unreadable):
        read(text, VALUES, (3,))


@pytest.mark.parametrize("text", ["A + x", "xA", "x ∘ xᵀ", "Ax"])
def test_sizes_that_do_not_fit(text):
    with pytest.raises(AssertionError):
        read(text, VALUES, (3, 3))
