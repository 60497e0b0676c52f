"""Identities of the Frobenius norm and inner product, and of other matrix norms."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import eye, vec
from jaxmatcalc.identities.record import (
    family,
    gradient,
    hessian,
    mixed_hessian,
    operation,
)

kron, outer = jnp.kron, jnp.outer


def _squared_norm(X):
    return jnp.sum(X**2)


def _svd(X):
    return jnp.linalg.svd(X, full_matrices=False)


def _singular_values(X):
    return jnp.linalg.svd(X, compute_uv=False)


def _khatri_rao(C, B):
    """Return the Kronecker products of corresponding columns, side by side."""
    return jnp.einsum("ir,jr->ijr", C, B).reshape(-1, C.shape[1])


def _tensor_residual(X, T, B, C):
    return _squared_norm(T - X @ _khatri_rao(C, B).T)


def _schatten_gradient(X):
    U, s, Vt = _svd(X)
    return (U * (s**2 / jnp.sum(s**3) ** (2 / 3))) @ Vt


def _condition_gradient(X):
    U, s, Vt = _svd(X)
    return outer(U[:, 0], Vt[0]) / s[-1] - s[0] / s[-1] ** 2 * outer(U[:, -1], Vt[-1])


# fmt: off
IDENTITIES = family(
    "frobenius",
    gradient(
        "squared-Frobenius-norm", r"\|X\|_F^2", r"2X",
        lambda X: _squared_norm(X),
        lambda X: 2 * X,
        "MC(115), (132)", key="G01", X="n m",
    ),
    hessian(
        "squared-Frobenius-norm-hessian", r"\|X\|_F^2", r"2I",
        lambda X: _squared_norm(X),
        lambda X: 2 * eye(X.size),
        "MN ch. 10", structure="identity", X="n m",
    ),
    gradient(
        "Frobenius-norm", r"\|X\|_F", r"\frac{X}{\|X\|_F}",
        lambda X: jnp.linalg.norm(X),
        lambda X: X / jnp.sqrt(jnp.sum(X * X)),
        "MC(129) on vec X", conditions="X ≠ 0", X="n m",
    ),
    hessian(
        "Frobenius-norm-hessian", r"\|X\|_F",
        r"\frac{I}{\|X\|_F}"
        r" - \frac{\operatorname{vec}(X) \operatorname{vec}(X)^\top}{\|X\|_F^3}",
        lambda X: jnp.linalg.norm(X),
        lambda X: (
            eye(X.size) / jnp.sqrt(jnp.sum(X * X)) - outer(vec(X), vec(X)) / jnp.sum(X * X) ** 1.5
        ),
        "MC(130) on vec X", conditions="X ≠ 0", X="n m",
    ),
    gradient(
        "Frobenius-inner-product", r"\langle A, X \rangle_F", r"A",
        lambda X, A: jnp.sum(A * X),
        lambda X, A: A,
        "MC(103)", X="n m", A="n m",
    ),
    mixed_hessian(
        "Frobenius-inner-product-mixed-hessian", r"\langle X, Y \rangle_F", r"I",
        lambda X, Y: jnp.sum(X * Y),
        lambda X, Y: eye(X.size),
        "derived", structure="identity", X="n m", Y="n m",
    ),
    gradient(
        "linear-least-squares", r"\|AX - B\|_F^2", r"2A^\top (AX - B)",
        lambda X, A, B: _squared_norm(A @ X - B),
        lambda X, A, B: 2 * A.T @ (A @ X - B),
        "MC(119)", key="G04", X="n m", A="p n", B="p m",
    ),
    hessian(
        "linear-least-squares-hessian", r"\|AX - B\|_F^2", r"2\, I \otimes A^\top A",
        lambda X, A, B: _squared_norm(A @ X - B),
        lambda X, A, B: 2 * kron(eye(X.shape[1]), A.T @ A),
        "derived", key="G05", structure="kronecker", X="n m", A="p n", B="p m",
    ),
    gradient(
        "two-sided-least-squares", r"\|AXB + C\|_F^2", r"2A^\top (AXB + C) B^\top",
        lambda X, A, B, C: _squared_norm(A @ X @ B + C),
        lambda X, A, B, C: 2 * A.T @ (A @ X @ B + C) @ B.T,
        "MC(119)", key="C26", X="n m", A="p n", B="m q", C="p q",
    ),
    hessian(
        "two-sided-least-squares-hessian", r"\|AXB - C\|_F^2",
        r"2\, BB^\top \otimes A^\top A",
        lambda X, A, B, C: _squared_norm(A @ X @ B - C),
        lambda X, A, B, C: 2 * kron(B @ B.T, A.T @ A),
        "derived", key="G06", structure="kronecker", X="n m", A="p n", B="m q", C="p q",
    ),
    gradient(
        "matrix-factorisation", r"\|T - UV^\top\|_F^2", r"-2 (T - UV^\top) V",
        lambda U, V, T: _squared_norm(T - U @ V.T),
        lambda U, V, T: -2 * (T - U @ V.T) @ V,
        "Laue, Mitterreiter and Giesen (2018)", key="G07", U="n q", V="m q", T="n m",
    ),
    hessian(
        "matrix-factorisation-hessian", r"\|T - UV^\top\|_F^2", r"2\, V^\top V \otimes I_n",
        lambda U, V, T: _squared_norm(T - U @ V.T),
        lambda U, V, T: 2 * kron(V.T @ V, eye(len(U))),
        "Laue, Mitterreiter and Giesen (2020)", key="G08", structure="kronecker",
        U="n q", V="m q", T="n m",
    ),
    gradient(
        "ridge", r"\|X - A\|_F^2 + \tfrac12 \|BX\|_F^2", r"2 (X - A) + B^\top BX",
        lambda X, A, B: _squared_norm(X - A) + 0.5 * _squared_norm(B @ X),
        lambda X, A, B: 2 * (X - A) + B.T @ B @ X,
        "derived", key="G17", X="n m", A="n m", B="p n",
    ),
    hessian(
        "ridge-hessian", r"\|X - A\|_F^2 + \tfrac12 \|BX\|_F^2", r"I \otimes (2I + B^\top B)",
        lambda X, A, B: _squared_norm(X - A) + 0.5 * _squared_norm(B @ X),
        lambda X, A, B: kron(eye(X.shape[1]), 2 * eye(len(X)) + B.T @ B),
        "derived", key="G18", X="n m", A="n m", B="p n",
    ),
    gradient(
        "squared-norm-of-the-Gram-matrix", r"\|X^\top X\|_F^2 = \|X\|_{S_4}^4", r"4XX^\top X",
        lambda X: _squared_norm(X.T @ X),
        lambda X: 4 * X @ X.T @ X,
        "derived", key="C40", X="n m",
    ),
    hessian(
        "squared-norm-of-the-Gram-matrix-hessian", r"\|X^\top X\|_F^2",
        r"4 \left[X^\top X \otimes I + I \otimes XX^\top + (X^\top \otimes X) K_{nm}\right]",
        lambda X: _squared_norm(X.T @ X),
        lambda X: 4 * (
            kron(X.T @ X, eye(X.shape[0]))
            + kron(eye(X.shape[1]), X @ X.T)
            + kron(X.T, X) @ K(*X.shape)
        ),
        "derived", X="n m",
    ),
    gradient(
        "distance-to-a-Kronecker-product", r"\|A \otimes X - C\|_F^2",
        r"2 \left(\|A\|_F^2 X - \textstyle\sum_{ab} A_{ab} C_{(a\cdot),(b\cdot)}\right)",
        lambda X, A, C: _squared_norm(kron(A, X) - C),
        lambda X, A, C: 2 * (
            jnp.sum(A * A) * X
            - jnp.einsum("ab,acbd->cd", A, C.reshape(len(A), len(X), A.shape[1], X.shape[1]))
        ),
        "derived", X="n m", A="p q", C="p*n q*m",
    ),
    hessian(
        "distance-to-a-Kronecker-product-hessian", r"\|A \otimes X - C\|_F^2",
        r"2 \|A\|_F^2 I",
        lambda X, A, C: _squared_norm(kron(A, X) - C),
        lambda X, A, C: 2 * jnp.sum(A * A) * eye(X.size),
        "derived", key="F06", X="n m", A="p q", C="p*n q*m",
    ),
    hessian(
        "distance-to-a-Hadamard-product-hessian", r"\|A \circ X - B\|_F^2",
        r"2 \operatorname{diag}(\operatorname{vec}(A \circ A))",
        lambda X, A, B: _squared_norm(A * X - B),
        lambda X, A, B: 2 * jnp.diag(vec(A * A)),
        "derived", key="F13", structure="diagonal", X="n m", A="n m", B="n m",
    ),
    gradient(
        "factor-of-a-tensor-decomposition", r"\|T - X (C \odot B)^\top\|_F^2",
        r"-2 (T - X (C \odot B)^\top) (C \odot B)",
        _tensor_residual,
        lambda X, T, B, C: -2 * (T - X @ _khatri_rao(C, B).T) @ _khatri_rao(C, B),
        "Kolda and Bader (2009), section 3.4", key="F35",
        conditions="⊙ multiplies columns by ⊗ (Khatri-Rao)",
        X="n r", T="n p*q", B="q r", C="p r",
    ),
    hessian(
        "factor-of-a-tensor-decomposition-hessian", r"\|T - X (C \odot B)^\top\|_F^2",
        r"2\, (C^\top C \circ B^\top B) \otimes I_n",
        _tensor_residual,
        lambda X, T, B, C: 2 * kron((C.T @ C) * (B.T @ B), eye(len(X))),
        "Kolda and Bader (2009), section 3.4", key="F36", structure="kronecker",
        X="n r", T="n p*q", B="q r", C="p r",
    ),
)

OPERATIONS = family(
    "frobenius",
    operation("frobenius_norm", lambda X: jnp.sqrt(jnp.sum(X * X)), X="n m"),
    operation("squared_frobenius_norm", lambda X: jnp.sum(X * X), X="n m"),
    operation("frobenius_inner", lambda A, B: jnp.sum(A * B), A="n m", B="n m"),
)
# fmt: on
