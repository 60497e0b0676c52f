"""Identities of the trace."""

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
    vjp,
)

tr, inv, kron, outer = jnp.trace, jnp.linalg.inv, jnp.kron, jnp.outer
power = jnp.linalg.matrix_power


def _trace_of_quotient(X, C, B):
    return tr(inv(X.T @ C @ X) @ (X.T @ B @ X))


# fmt: off
IDENTITIES = family(
    "trace",
    gradient(
        "trace", r"\operatorname{tr} X", r"I",
        lambda X: tr(X),
        lambda X: eye(len(X)),
        "MC(99); WP", X="n n",
    ),
    gradient(
        "trace-of-XA", r"\operatorname{tr}(XA)", r"A^\top",
        lambda X, A: tr(X @ A),
        lambda X, A: A.T,
        "MC(100); WP; MN T4", key="C02", X="n m", A="m n",
    ),
    gradient(
        "trace-of-XtA", r"\operatorname{tr}(X^\top A)", r"A",
        lambda X, A: tr(X.T @ A),
        lambda X, A: A,
        "MC(103)", X="n m", A="n m",
    ),
    gradient(
        "trace-of-AXB", r"\operatorname{tr}(AXB)", r"A^\top B^\top",
        lambda X, A, B: tr(A @ X @ B),
        lambda X, A, B: A.T @ B.T,
        "MC(101); WP", key="C03", X="n m", A="p n", B="m p",
    ),
    gradient(
        "trace-of-AXtB", r"\operatorname{tr}(AX^\top B)", r"BA",
        lambda X, A, B: tr(A @ X.T @ B),
        lambda X, A, B: B @ A,
        "MC(102)", key="C04", X="n m", A="p m", B="n p",
    ),
    mixed_hessian(
        "trace-of-a-product-mixed-hessian", r"\operatorname{tr}(XY)", r"K_{nm}^\top",
        lambda X, Y: tr(X @ Y),
        lambda X, Y: K(*X.shape).T,
        "MN ch. 9", structure="permutation", X="n m", Y="m n",
    ),
    gradient(
        "trace-of-a-square", r"\operatorname{tr}(X^2)", r"2X^\top",
        lambda X: tr(X @ X),
        lambda X: 2 * X.T,
        "MC(106)", X="n n",
    ),
    hessian(
        "trace-of-a-square-hessian", r"\operatorname{tr}(X^2)", r"2K_{nn}",
        lambda X: tr(X @ X),
        lambda X: 2 * K(*X.shape),
        "MN ch. 10", structure="permutation", X="n n",
    ),
    gradient(
        "trace-of-a-weighted-square", r"\operatorname{tr}(X^2 B)", r"(XB + BX)^\top",
        lambda X, B: tr(X @ X @ B),
        lambda X, B: (X @ B + B @ X).T,
        "MC(107)", key="C10", X="n n", B="n n",
    ),
    gradient(
        "trace-of-XtBX", r"\operatorname{tr}(X^\top BX)", r"(B + B^\top) X",
        lambda X, B: tr(X.T @ B @ X),
        lambda X, B: (B + B.T) @ X,
        "MC(108); WP; MN T4", key="C11", X="n m", B="n n",
    ),
    hessian(
        "trace-of-XtBX-hessian", r"\operatorname{tr}(X^\top BX)", r"I \otimes (B + B^\top)",
        lambda X, B: tr(X.T @ B @ X),
        lambda X, B: kron(eye(X.shape[1]), B + B.T),
        "MN ch. 10", structure="kronecker", key="C12", X="n m", B="n n",
    ),
    gradient(
        "trace-of-BXXt", r"\operatorname{tr}(BXX^\top)", r"(B + B^\top) X",
        lambda X, B: tr(B @ X @ X.T),
        lambda X, B: (B + B.T) @ X,
        "MC(109)", key="C13", X="n m", B="n n",
    ),
    gradient(
        "trace-of-XBXt", r"\operatorname{tr}(XBX^\top)", r"X (B + B^\top)",
        lambda X, B: tr(X @ B @ X.T),
        lambda X, B: X @ (B + B.T),
        "MC(111)", key="C15", X="n m", B="m m",
    ),
    hessian(
        "trace-of-XBXt-hessian", r"\operatorname{tr}(XBX^\top)", r"(B + B^\top) \otimes I",
        lambda X, B: tr(X @ B @ X.T),
        lambda X, B: kron(B + B.T, eye(X.shape[0])),
        "derived from MC(111)", structure="kronecker", key="C16", X="n m", B="m m",
    ),
    gradient(
        "trace-of-BXtX", r"\operatorname{tr}(BX^\top X)", r"X (B + B^\top)",
        lambda X, B: tr(B @ X.T @ X),
        lambda X, B: X @ (B + B.T),
        "MC(112)", key="C17", X="n m", B="m m",
    ),
    gradient(
        "trace-of-AXBX", r"\operatorname{tr}(AXBX)",
        r"A^\top X^\top B^\top + B^\top X^\top A^\top",
        lambda X, A, B: tr(A @ X @ B @ X),
        lambda X, A, B: A.T @ X.T @ B.T + B.T @ X.T @ A.T,
        "MC(114); MN T4", key="C19", X="n m", A="m n", B="m n",
    ),
    hessian(
        "trace-of-AXBX-hessian", r"\operatorname{tr}(AXBX)",
        r"(B \otimes A^\top + A \otimes B^\top) K_{nm}",
        lambda X, A, B: tr(A @ X @ B @ X),
        lambda X, A, B: (kron(B, A.T) + kron(A, B.T)) @ K(*X.shape),
        "MN ch. 10", key="C20", X="n m", A="m n", B="m n",
    ),
    gradient(
        "trace-of-BtXtCXB", r"\operatorname{tr}(B^\top X^\top CXB)", r"(C + C^\top) X BB^\top",
        lambda X, B, C: tr(B.T @ X.T @ C @ X @ B),
        lambda X, B, C: (C + C.T) @ X @ B @ B.T,
        "MC(116)", key="C22", X="n m", B="m q", C="n n",
    ),
    gradient(
        "trace-of-XtBXC", r"\operatorname{tr}(X^\top BXC)", r"BXC + B^\top XC^\top",
        lambda X, B, C: tr(X.T @ B @ X @ C),
        lambda X, B, C: B @ X @ C + B.T @ X @ C.T,
        "MC(117)", key="C23", X="n m", B="n n", C="m m",
    ),
    hessian(
        "trace-of-XtBXC-hessian", r"\operatorname{tr}(X^\top BXC)",
        r"C^\top \otimes B + C \otimes B^\top",
        lambda X, B, C: tr(X.T @ B @ X @ C),
        lambda X, B, C: kron(C.T, B) + kron(C, B.T),
        "MN ch. 10", key="C24", X="n m", B="n n", C="m m",
    ),
    gradient(
        "trace-of-AXBXtC", r"\operatorname{tr}(AXBX^\top C)",
        r"A^\top C^\top XB^\top + CAXB",
        lambda X, A, B, C: tr(A @ X @ B @ X.T @ C),
        lambda X, A, B, C: A.T @ C.T @ X @ B.T + C @ A @ X @ B,
        "MC(118)", X="n m", A="p n", B="m m", C="n p",
    ),
    gradient(
        "trace-of-ABAtC", r"\operatorname{tr}(ABA^\top C)", r"C^\top AB^\top + CAB",
        lambda A, B, C: tr(A @ B @ A.T @ C),
        lambda A, B, C: C.T @ A @ B.T + C @ A @ B,
        "MC(118), special case", A="n m", B="m m", C="n n",
    ),
    gradient(
        "trace-of-X-kron-X", r"\operatorname{tr}(X \otimes X)", r"2 \operatorname{tr}(X) I",
        lambda X: tr(kron(X, X)),
        lambda X: 2 * tr(X) * eye(len(X)),
        "MC(120)", key="C28", X="n n",
    ),
    gradient(
        "trace-of-a-power", r"\operatorname{tr}(X^k)", r"k (X^{k-1})^\top",
        lambda X: tr(power(X, 4)),
        lambda X: 4 * power(X, 3).T,
        "MC(121); WP", conditions="X square; k = 4 is checked", X="n n",
    ),
    hessian(
        "trace-of-a-power-hessian", r"\operatorname{tr}(X^k)",
        r"k \sum_{j=0}^{k-2} \left(X^{k-2-j} \otimes (X^\top)^j\right) K_{nn}",
        lambda X: tr(power(X, 4)),
        lambda X: 4 * sum(kron(power(X, 2 - j), power(X.T, j)) for j in range(3)) @ K(*X.shape),
        "derived", conditions="X square; k = 4 is checked", key="C30", X="n n",
    ),
    gradient(
        "trace-of-a-weighted-power", r"\operatorname{tr}(AX^k)",
        r"\sum_{r=0}^{k-1} (X^r A X^{k-r-1})^\top",
        lambda X, A: tr(A @ power(X, 4)),
        lambda X, A: sum((power(X, r) @ A @ power(X, 3 - r)).T for r in range(4)),
        "MC(122); WP", conditions="X square; k = 4 is checked", key="C31", X="n n", A="n n",
    ),
    gradient(
        "trace-of-a-quartic", r"\operatorname{tr}(B^\top X^\top CXX^\top CXB)",
        r"CXX^\top CXBB^\top + C^\top XBB^\top X^\top C^\top X"
        r" + CXBB^\top X^\top CX + C^\top XX^\top C^\top XBB^\top",
        lambda X, B, C: tr(B.T @ X.T @ C @ X @ X.T @ C @ X @ B),
        lambda X, B, C: (
            C @ X @ X.T @ C @ X @ B @ B.T
            + C.T @ X @ B @ B.T @ X.T @ C.T @ X
            + C @ X @ B @ B.T @ X.T @ C @ X
            + C.T @ X @ X.T @ C.T @ X @ B @ B.T
        ),
        "MC(123)", key="C32", X="n m", B="m q", C="n n",
    ),
    gradient(
        "trace-of-a-weighted-inverse-of-a-quadratic", r"\operatorname{tr}[(X^\top CX)^{-1} A]",
        r"-CXM^{-1} (A + A^\top) M^{-1}, \quad M = X^\top CX",
        lambda X, C, A: tr(inv(X.T @ C @ X) @ A),
        lambda X, C, A: -C @ X @ inv(X.T @ C @ X) @ (A + A.T) @ inv(X.T @ C @ X),
        "MC(125)", conditions="C symmetric, X'CX invertible", key="C35", X="n m full", C="n n spd",
        A="m m",
    ),
    gradient(
        "trace-of-a-quotient-of-quadratics", r"\operatorname{tr}[(X^\top CX)^{-1} (X^\top BX)]",
        r"-2CXM^{-1} X^\top BX M^{-1} + 2BXM^{-1}, \quad M = X^\top CX",
        _trace_of_quotient,
        lambda X, C, B: (
            -2 * C @ X @ inv(X.T @ C @ X) @ X.T @ B @ X @ inv(X.T @ C @ X)
            + 2 * B @ X @ inv(X.T @ C @ X)
        ),
        "MC(126)", conditions="B, C symmetric, X'CX invertible", key="C36",
        X="n m full", C="n n spd", B="n n sym",
    ),
    gradient(
        "trace-of-a-regularised-quotient-of-quadratics",
        r"\operatorname{tr}[(A + X^\top CX)^{-1} (X^\top BX)]",
        r"-2CXM^{-1} X^\top BX M^{-1} + 2BXM^{-1}, \quad M = A + X^\top CX",
        lambda X, A, B, C: tr(inv(A + X.T @ C @ X) @ (X.T @ B @ X)),
        lambda X, A, B, C: (
            -2 * C @ X @ inv(A + X.T @ C @ X) @ X.T @ B @ X @ inv(A + X.T @ C @ X)
            + 2 * B @ X @ inv(A + X.T @ C @ X)
        ),
        "MC(127), condition added", conditions="A, B, C symmetric, A + X'CX invertible",
        note="MC(127) asks only for B and C to be symmetric; it fails where A is not.", key="C37",
        X="n m", A="m m spd", B="n n sym", C="n n spd",
    ),
    gradient(
        "squared-trace", r"(\operatorname{tr} X)^2", r"2 \operatorname{tr}(X) I",
        lambda X: tr(X) ** 2,
        lambda X: 2 * tr(X) * eye(len(X)),
        "derived", key="C43", X="n n",
    ),
    hessian(
        "squared-trace-hessian", r"(\operatorname{tr} X)^2",
        r"2 \operatorname{vec}(I) \operatorname{vec}(I)^\top",
        lambda X: tr(X) ** 2,
        lambda X: 2 * outer(vec(eye(len(X))), vec(eye(len(X)))),
        "derived", structure="low-rank", key="C44", X="n n",
    ),
    gradient(
        "product-of-two-traces", r"\operatorname{tr}(AX) \operatorname{tr}(BX)",
        r"\operatorname{tr}(BX) A^\top + \operatorname{tr}(AX) B^\top",
        lambda X, A, B: tr(A @ X) * tr(B @ X),
        lambda X, A, B: tr(B @ X) * A.T + tr(A @ X) * B.T,
        "product rule", key="C45", X="n m", A="m n", B="m n",
    ),
    gradient(
        "trace-with-two-diagonals", r"\operatorname{tr}(D_x A D_x B) = x^\top (A \circ B^\top) x",
        r"(A \circ B^\top + A^\top \circ B) x",
        lambda x, A, B: tr(jnp.diag(x) @ A @ jnp.diag(x) @ B),
        lambda x, A, B: (A * B.T + A.T * B) @ x,
        "derived", key="C46", x="n", A="n n", B="n n",
    ),
    vjp(
        "trace-adjoint", r"\operatorname{tr} X", r"\bar{C} I",
        lambda X: tr(X),
        lambda X, Cbar: Cbar * eye(len(X)),
        "derived", X="n n",
    ),
)

OPERATIONS = family(
    "trace",
    operation("trace", lambda X: jnp.trace(X), X="n n"),
    operation("trace_product", lambda A, B: jnp.trace(A @ B), A="n m", B="m n"),
    operation("trace_product", lambda A, B, C: jnp.trace(A @ B @ C), A="n m", B="m q", C="q n"),
)
# fmt: on
