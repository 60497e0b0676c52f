"""Identities of Kronecker and Hadamard products."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import eye, vec
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    identity,
    jacobian,
    operation,
    vjp,
)

kron, inv, det, tr = jnp.kron, jnp.linalg.inv, jnp.linalg.det, jnp.trace


def _kronecker_jacobian_left(X, B):
    (n, m), (p, q) = X.shape, B.shape
    return kron(kron(eye(m), K(q, n)), eye(p)) @ kron(eye(m * n), vec(B)[:, None])


def _kronecker_jacobian_right(X, A):
    (n, m), (p, q) = X.shape, A.shape
    return kron(kron(eye(q), K(m, p)), eye(n)) @ kron(vec(A)[:, None], eye(m * n))


def _partial_inner(A, C):
    """Return ``Σ A_ab C_(a·),(b·)``, the blocks of ``C`` weighted by ``A``."""
    p, q = A.shape
    return jnp.einsum("ab,acbd->cd", A, C.reshape(p, len(C) // p, q, C.shape[1] // q))


def _line(t, A, B):
    return A + t * B


def _kronecker_sum(A, B):
    return kron(A, eye(len(B))) + kron(eye(len(A)), B)


def _khatri_rao(A, B):
    """Return the Kronecker products of corresponding columns, side by side."""
    return jnp.einsum("ir,jr->ijr", A, B).reshape(-1, A.shape[1])


def _kronecker_sum_gradient(X, B):
    """Return the partial trace of the inverse over the second factor, transposed."""
    n, p = len(X), len(B)
    return jnp.einsum("iaja->ji", inv(_kronecker_sum(X, B)).reshape(n, p, n, p))


# fmt: off
IDENTITIES = family(
    "kronecker",
    jacobian(
        "Kronecker-product-in-its-left-factor", r"X \otimes B",
        r"(I_m \otimes K_{qn} \otimes I_p)(I_{mn} \otimes \operatorname{vec} B)",
        lambda X, B: kron(X, B),
        _kronecker_jacobian_left,
        "MN ch. 9", key="F03", conditions="X of (n, m), B of (p, q)", X="n m", B="p q",
    ),
    jacobian(
        "Kronecker-product-in-its-right-factor", r"A \otimes X",
        r"(I_q \otimes K_{mp} \otimes I_n)(\operatorname{vec} A \otimes I_{mn})",
        lambda X, A: kron(A, X),
        _kronecker_jacobian_right,
        "MN ch. 9", conditions="X of (n, m), A of (p, q)", X="n m", A="p q",
    ),
    differential(
        "Kronecker-product-differential", r"X \otimes X",
        r"\mathrm{d}X \otimes X + X \otimes \mathrm{d}X",
        lambda X: kron(X, X),
        lambda X, dX: kron(dX, X) + kron(X, dX),
        "MC(39); WP", X="n m",
    ),
    vjp(
        "Kronecker-product-adjoint", r"A \otimes X",
        r"\textstyle\sum_{ab} A_{ab} \bar{C}_{(a\cdot),(b\cdot)}",
        lambda X, A: kron(A, X),
        lambda X, A, Cbar: _partial_inner(A, Cbar),
        "derived", key="M10", X="n m", A="p q",
    ),
    gradient(
        "trace-of-a-Kronecker-product", r"\operatorname{tr}(A \otimes X)",
        r"\operatorname{tr}(A) I",
        lambda X, A: tr(kron(A, X)),
        lambda X, A: tr(A) * eye(len(X)),
        "MC(105), (515)", X="n n", A="m m",
    ),
    gradient(
        "weighted-trace-of-a-Kronecker-product", r"\operatorname{tr}((A \otimes X) C)",
        r"\textstyle\sum_{ab} A_{ab} [C^\top]_{(a\cdot),(b\cdot)}",
        lambda X, A, C: tr(kron(A, X) @ C),
        lambda X, A, C: _partial_inner(A, C.T),
        "derived", key="F04", X="n m", A="p q", C="q*m p*n",
    ),
    gradient(
        "bilinear-form-of-a-Kronecker-product",
        r"\operatorname{vec}(W)^\top (A \otimes X) \operatorname{vec}(Y)", r"WAY^\top",
        lambda X, A, W, Y: W.T.ravel() @ kron(A, X) @ Y.T.ravel(),
        lambda X, A, W, Y: W @ A @ Y.T,
        "MC(520), (521)", key="F07", X="n m", A="p q", W="n p", Y="m q",
    ),
    gradient(
        "log-determinant-of-a-Kronecker-product", r"\log|\det(X \otimes B)|", r"m X^{-\top}",
        lambda X, B: jnp.linalg.slogdet(kron(X, B))[1],
        lambda X, B: len(B) * inv(X).T,
        "MC(516) with MC(57)", conditions="X, B invertible, B of (m, m)",
        X="n n inv", B="m m inv",
    ),
    identity(
        "determinant-of-a-Kronecker-product", r"\det(A \otimes B)",
        r"\det(A)^m \det(B)^n",
        lambda A, B: det(kron(A, B)),
        lambda A, B: det(A) ** len(B) * det(B) ** len(A),
        "MC(516)", conditions="A of (n, n), B of (m, m)", A="n n inv", B="m m inv",
    ),
    identity(
        "inverse-of-a-Kronecker-product", r"(A \otimes B)^{-1}", r"A^{-1} \otimes B^{-1}",
        lambda A, B: inv(kron(A, B)),
        lambda A, B: kron(inv(A), inv(B)),
        "MC(512)", key="F31", conditions="A, B invertible", A="n n inv", B="m m inv",
    ),
    identity(
        "product-of-Kronecker-products", r"(A \otimes B)(C \otimes D)", r"AC \otimes BD",
        lambda A, B, C, D: kron(A, B) @ kron(C, D),
        lambda A, B, C, D: kron(A @ C, B @ D),
        "MC(511)", A="n m", B="p q", C="m n", D="q n",
    ),
    identity(
        "commuted-Kronecker-product", r"K_{pn} (A \otimes B) K_{mq}", r"B \otimes A",
        lambda A, B: K(len(B), len(A)) @ kron(A, B) @ K(A.shape[1], B.shape[1]),
        lambda A, B: kron(B, A),
        "MN ch. 3", conditions="A of (n, m), B of (p, q)", A="n m", B="p q",
    ),
    differential(
        "Hadamard-product-differential", r"X \circ Y", r"(\mathrm{d}X) \circ Y",
        lambda X, Y: X * Y,
        lambda X, Y, dX: dX * Y,
        "MC(38); WP", key="F09", X="n m", Y="n m",
    ),
    jacobian(
        "Hadamard-product", r"A \circ X", r"\operatorname{diag}(\operatorname{vec} A)",
        lambda X, A: A * X,
        lambda X, A: jnp.diag(vec(A)),
        "MN ch. 9", key="F10", structure="diagonal", X="n m", A="n m",
    ),
    jacobian(
        "Hadamard-square", r"X \circ X", r"2 \operatorname{diag}(\operatorname{vec} X)",
        lambda X: X * X,
        lambda X: 2 * jnp.diag(vec(X)),
        "MN ch. 9", structure="diagonal", X="n m",
    ),
    gradient(
        "trace-with-a-Hadamard-square", r"\operatorname{tr}(A^\top (X \circ X))", r"2A \circ X",
        lambda X, A: tr(A.T @ (X * X)),
        lambda X, A: 2 * A * X,
        "derived; WP", key="F08", X="n m", A="n m",
    ),
    gradient(
        "bilinear-form-of-a-Hadamard-square", r"a^\top (X \circ X) b", r"2D_a X D_b",
        lambda X, a, b: a @ (X * X) @ b,
        lambda X, a, b: 2 * jnp.diag(a) @ X @ jnp.diag(b),
        "derived", key="F14", X="n m", a="n", b="m",
    ),
    jacobian(
        "elementwise-function-of-AXB", r"\phi(AXB)",
        r"\operatorname{diag}(\operatorname{vec} \phi'(AXB)) (B^\top \otimes A)",
        lambda X, A, B: jnp.sin(A @ X @ B),
        lambda X, A, B: jnp.diag(vec(jnp.cos(A @ X @ B))) @ kron(B.T, A),
        "derived", key="F22", conditions="φ elementwise; sin is checked",
        X="n m", A="p n", B="m q",
    ),
    gradient(
        "sum-of-an-elementwise-function-of-AXB", r"\mathbf{1}^\top \phi(AXB) \mathbf{1}",
        r"A^\top \phi'(AXB) B^\top",
        lambda X, A, B: jnp.sum(jnp.sin(A @ X @ B)),
        lambda X, A, B: A.T @ jnp.cos(A @ X @ B) @ B.T,
        "derived", key="F23", conditions="φ elementwise; sin is checked",
        X="n m", A="p n", B="m q",
    ),
    differential(
        "product-rule", r"X(t)\, Y(t)",
        r"(\mathrm{d}X) Y + X (\mathrm{d}Y)",
        lambda t, A, B, C, D: _line(t, A, B) @ _line(t, C, D),
        lambda t, A, B, C, D, dX: dX * (B @ _line(t, C, D) + _line(t, A, B) @ D),
        "MC(37); WP", conditions="X = A + tB, Y = C + tD are checked",
        t="", A="n m", B="n m", C="m p", D="m p",
    ),
    differential(
        "product-rule-of-Hadamard-products", r"X(t) \circ Y(t)",
        r"(\mathrm{d}X) \circ Y + X \circ (\mathrm{d}Y)",
        lambda t, A, B, C, D: _line(t, A, B) * _line(t, C, D),
        lambda t, A, B, C, D, dX: dX * (B * _line(t, C, D) + _line(t, A, B) * D),
        "MC(38); WP", conditions="X = A + tB, Y = C + tD are checked",
        t="", A="n m", B="n m", C="n m", D="n m",
    ),
    differential(
        "product-rule-of-Kronecker-products", r"X(t) \otimes Y(t)",
        r"(\mathrm{d}X) \otimes Y + X \otimes (\mathrm{d}Y)",
        lambda t, A, B, C, D: kron(_line(t, A, B), _line(t, C, D)),
        lambda t, A, B, C, D, dX: dX * (kron(B, _line(t, C, D)) + kron(_line(t, A, B), D)),
        "MC(39); WP", conditions="X = A + tB, Y = C + tD are checked",
        t="", A="n m", B="n m", C="p q", D="p q",
    ),
    differential(
        "Khatri-Rao-product-differential", r"X \odot X",
        r"\mathrm{d}X \odot X + X \odot \mathrm{d}X",
        lambda X: _khatri_rao(X, X),
        lambda X, dX: _khatri_rao(dX, X) + _khatri_rao(X, dX),
        "product rule", conditions="⊙ multiplies columns by ⊗ (Khatri-Rao)", X="n m",
    ),
    gradient(
        "trace-of-a-Kronecker-sum", r"\operatorname{tr}(X \oplus B)", r"m I",
        lambda X, B: tr(_kronecker_sum(X, B)),
        lambda X, B: len(B) * eye(len(X)),
        "derived", conditions="X ⊕ B = X ⊗ I + I ⊗ B, B of (m, m)", X="n n", B="m m",
    ),
    gradient(
        "log-determinant-of-a-Kronecker-sum", r"\log|\det(X \oplus B)|",
        r"\left[\textstyle\sum_a P_{(ja),(ia)}\right]_{ij}, \quad P = (X \oplus B)^{-1}",
        lambda X, B: jnp.linalg.slogdet(_kronecker_sum(X, B))[1],
        _kronecker_sum_gradient,
        "derived from MC(57)", conditions="X ⊕ B = X ⊗ I + I ⊗ B invertible",
        X="n n spd", B="m m spd",
    ),
)

OPERATIONS = family(
    "kronecker",
    operation("kron", lambda A, B: kron(A, B), A="n m", B="m q"),
    operation("kron", lambda A, B, C: kron(kron(A, B), C), A="m q", B="q q", C="q m"),
    operation("kron_sum", lambda A, B: _kronecker_sum(A, B), A="m m", B="q q"),
    operation(
        "kron_sum",
        lambda A, B, C: _kronecker_sum(_kronecker_sum(A, B), C),
        A="q q", B="q q", C="q q",
    ),
    operation("khatri_rao", lambda A, B: _khatri_rao(A, B), A="n m", B="q m"),
)
# fmt: on
