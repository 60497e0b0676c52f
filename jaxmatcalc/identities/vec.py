"""Identities of vec and vech, and the Jacobians of matrix products in their terms."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import duplication, elimination, eye, unit, unvech, vec, vech
from jaxmatcalc.identities.record import (
    family,
    gradient,
    hessian,
    identity,
    jacobian,
    operation,
    vjp,
)

kron, outer, det, pinv = jnp.kron, jnp.outer, jnp.linalg.det, jnp.linalg.pinv
power = jnp.linalg.matrix_power


def _diagonal_selector(n):
    """Return the matrix with the rows ``vec(e_i e_iᵀ)ᵀ``."""
    return jnp.stack([vec(outer(unit(i, n), unit(i, n))) for i in range(n)])


def _vech_gram_jacobian(X):
    m = X.shape[1]
    return elimination(m) @ (eye(m * m) + K(m, m)) @ kron(eye(m), X.T)


# fmt: off
IDENTITIES = family(
    "vec",
    jacobian(
        "transpose", r"X^\top", r"K_{nm}",
        lambda X: X.T,
        lambda X: K(*X.shape),
        "MN ch. 3", structure="permutation", conditions="X of (n, m)", X="n m",
    ),
    jacobian(
        "vec", r"\operatorname{vec} X", r"I",
        lambda X: X.T.ravel(),
        lambda X: eye(X.size),
        "MN ch. 9", X="n m",
    ),
    jacobian(
        "AXB", r"AXB", r"B^\top \otimes A",
        lambda X, A, B: A @ X @ B,
        lambda X, A, B: kron(B.T, A),
        "MC(520); MN T6", structure="kronecker", X="n m", A="p n", B="m q",
    ),
    jacobian(
        "AXtB", r"AX^\top B", r"(B^\top \otimes A) K_{nm}",
        lambda X, A, B: A @ X.T @ B,
        lambda X, A, B: kron(B.T, A) @ K(*X.shape),
        "MN T6", structure="kronecker+commutation", X="n m", A="p m", B="n q",
    ),
    jacobian(
        "XtX", r"X^\top X", r"(I + K_{mm})(I \otimes X^\top)",
        lambda X: X.T @ X,
        lambda X: (eye(X.shape[1] ** 2) + K(X.shape[1], X.shape[1])) @ kron(eye(X.shape[1]), X.T),
        "MN T6", key="F17", X="n m",
    ),
    jacobian(
        "XXt", r"XX^\top", r"(I + K_{nn})(X \otimes I)",
        lambda X: X @ X.T,
        lambda X: (eye(len(X) ** 2) + K(len(X), len(X))) @ kron(X, eye(len(X))),
        "MN T6", key="F18", X="n m",
    ),
    jacobian(
        "XAX", r"XAX", r"(AX)^\top \otimes I + I \otimes XA",
        lambda X, A: X @ A @ X,
        lambda X, A: kron((A @ X).T, eye(X.shape[0])) + kron(eye(X.shape[1]), X @ A),
        "derived", key="F20", X="n m", A="m n",
    ),
    jacobian(
        "XtBX", r"X^\top BX", r"\left((BX)^\top \otimes I\right) K_{nm} + I \otimes X^\top B",
        lambda X, B: X.T @ B @ X,
        lambda X, B: (
            kron((B @ X).T, eye(X.shape[1])) @ K(*X.shape) + kron(eye(X.shape[1]), X.T @ B)
        ),
        "MC(79)-(80)", key="F21", X="n m", B="n n",
    ),
    jacobian(
        "diagonal-matrix-of-a-vector", r"\operatorname{diag}(x)",
        r"\textstyle\sum_i \operatorname{vec}(e_i e_i^\top) e_i^\top",
        lambda x: jnp.diag(x),
        lambda x: _diagonal_selector(len(x)).T,
        "MN ch. 9", key="F25", x="n",
    ),
    jacobian(
        "diagonal-of-a-matrix", r"\operatorname{diag}(X)",
        r"\textstyle\sum_i e_i \operatorname{vec}(e_i e_i^\top)^\top",
        lambda X: jnp.diag(X),
        lambda X: _diagonal_selector(len(X)),
        "MN ch. 9", key="F26", X="n n",
    ),
    hessian(
        "sum-of-an-elementwise-function-of-AXB-hessian",
        r"\mathbf{1}^\top \phi(AXB) \mathbf{1}",
        r"(B \otimes A^\top) \operatorname{diag}(\operatorname{vec} \phi''(AXB))"
        r" (B^\top \otimes A)",
        lambda X, A, B: jnp.sum(jnp.sin(A @ X @ B)),
        lambda X, A, B: kron(B, A.T) @ jnp.diag(vec(-jnp.sin(A @ X @ B))) @ kron(B.T, A),
        "derived", key="F24", conditions="φ elementwise; sin is checked",
        X="n m", A="p n", B="m q",
    ),
    identity(
        "vec-of-AXB", r"\operatorname{vec}(AXB)", r"(B^\top \otimes A) \operatorname{vec} X",
        lambda X, A, B: vec(A @ X @ B),
        lambda X, A, B: kron(B.T, A) @ vec(X),
        "MC(520)", key="F27", X="n m", A="p n", B="m q",
    ),
    identity(
        "trace-as-an-inner-product-of-vecs", r"\operatorname{tr}(A^\top B)",
        r"\operatorname{vec}(A)^\top \operatorname{vec}(B)",
        lambda A, B: jnp.trace(A.T @ B),
        lambda A, B: vec(A) @ vec(B),
        "MC(521)", A="n m", B="n m",
    ),
    identity(
        "bilinear-form-as-a-form-in-vec", r"a^\top XBX^\top c",
        r"\operatorname{vec}(X)^\top (B^\top \otimes ca^\top) \operatorname{vec}(X)",
        lambda X, a, B, c: a @ X @ B @ X.T @ c,
        lambda X, a, B, c: vec(X) @ kron(B.T, outer(c, a)) @ vec(X),
        "MC(524), misprint corrected", key="F28",
        note="MC(524) prints B ⊗ ca', which holds only where B or ac' is symmetric.",
        X="n m", a="n", B="m m", c="n",
    ),
    identity(
        "duplication-matrix", r"D_n \operatorname{vech}(S)", r"\operatorname{vec}(S)",
        lambda S: duplication(len(S)) @ vech(S),
        lambda S: vec(S),
        "MN ch. 3", key="F30", conditions="S symmetric", S="n n sym",
    ),
    vjp(
        "congruence-adjoint-in-B", r"B^\top AB", r"AB \bar{C}^\top + A^\top B \bar{C}",
        lambda B, A: B.T @ A @ B,
        lambda B, A, Cbar: A @ B @ Cbar.T + A.T @ B @ Cbar,
        "Giles (2008) 2.3.2", key="M06", B="n m", A="n n",
    ),
    vjp(
        "congruence-adjoint-in-A", r"B^\top AB", r"B \bar{C} B^\top",
        lambda A, B: B.T @ A @ B,
        lambda A, B, Cbar: B @ Cbar @ B.T,
        "Giles (2008) 2.3.2", key="M07", A="n n", B="n m",
    ),
    gradient(
        "chain-rule", r"g(U(X)), \quad U = X^\top X",
        r"\textstyle\sum_{kl} \frac{\partial g}{\partial U_{kl}} \nabla U_{kl} = X (G + G^\top),"
        r" \quad G = \nabla g(U)",
        lambda X: jnp.sum(jnp.sin(X.T @ X)),
        lambda X: X @ (jnp.cos(X.T @ X) + jnp.cos(X.T @ X).T),
        "MC(137)", conditions="g elementwise; sin is checked", X="n m",
    ),
    jacobian(
        "half-vectorisation-of-a-congruence", r"\operatorname{vech}(X^\top X)",
        r"E_m (I + K_{mm})(I \otimes X^\top)",
        lambda X: vech(X.T @ X),
        _vech_gram_jacobian,
        "MN ch. 9; Magnus and Neudecker (1980)", conditions="E_m vec A = vech A", X="n m",
    ),
)

OPERATIONS = family(
    "vec",
    operation("vec", lambda X: X.T.ravel(), X="n m"),
    operation("unvec", lambda v: v.reshape(3, 4).T, lambda unvec, v: unvec(v, (4, 3)), v="n*m"),
    operation("vech", lambda X: vech(X), X="n n"),
    operation("unvech", lambda v: unvech(v), v="p*q"),
)
# fmt: on
