"""Identities of the determinant and its logarithm."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import cofactors, eye, vec
from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    hessian,
    identity,
    operation,
    second_differential,
)

det, inv, power = jnp.linalg.det, jnp.linalg.inv, jnp.linalg.matrix_power
kron, outer, tr = jnp.kron, jnp.outer, jnp.trace


def _logdet(X):
    return jnp.linalg.slogdet(X)[1]


def _barrier(x, A, B, C):
    return -_logdet(A + x[0] * B + x[1] * C)


def _barrier_hessian(x, A, B, C):
    P = inv(A + x[0] * B + x[1] * C)
    return jnp.array([[tr(P @ S @ P @ T) for T in (B, C)] for S in (B, C)])


def _log_gram_hessian(X, A):
    M = inv(X.T @ A @ X)
    AXM = A @ X @ M
    parts = kron(M, A - AXM @ X.T @ A) - K(*X.shape[::-1]) @ kron(AXM, AXM.T)
    return 2 * parts


def _log_row_gram_hessian(X):
    P = inv(X @ X.T)
    parts = kron(eye(X.shape[1]) - X.T @ P @ X, P) - kron(X.T @ P, P @ X) @ K(*X.shape)
    return 2 * parts


def _det_second_derivative(t, A, B, C):
    Y, dY, d2Y = A + t * B + t * t * C, B + 2 * t * C, 2 * C
    R = inv(Y) @ dY
    return det(Y) * (tr(inv(Y) @ d2Y) + tr(R) ** 2 - tr(R @ R))


# fmt: off
IDENTITIES = family(
    "determinant",
    gradient(
        "determinant", r"\det X", r"\det(X) X^{-\top}",
        lambda X: det(X),
        lambda X: det(X) * inv(X).T,
        "MC(49); WP; MN T5; Giles (2008) 2.2.4", conditions="X invertible", key="D01",
        X="m m inv",
    ),
    gradient(
        "determinant-of-a-singular-matrix", r"\det X", r"\operatorname{adj}(X)^\top",
        lambda X: det(X),
        cofactors,
        "MN ch. 8; MC(42)",
        note="jax.grad of jnp.linalg.det divides by a pivot and is wrong where it is zero.",
        reference="finite differences", X="m m singular",
    ),
    hessian(
        "determinant-hessian", r"\det X",
        r"\det(X) \left[\operatorname{vec} X^{-\top} (\operatorname{vec} X^{-\top})^\top"
        r" - K_{nn} (X^{-\top} \otimes X^{-1})\right]",
        lambda X: det(X),
        lambda X: (
            det(X)
            * (outer(vec(inv(X).T), vec(inv(X).T)) - K(*X.shape) @ kron(inv(X).T, inv(X)))
        ),
        "MN ch. 10", conditions="X invertible", key="D04", X="m m inv",
    ),
    differential(
        "determinant-differential", r"\det X",
        r"\operatorname{tr}(\operatorname{adj}(X)\, \mathrm{d}X)",
        lambda X: det(X), lambda X, dX: tr(cofactors(X).T @ dX),
        "MC(41)-(42)", key="D33", X="m m inv",
    ),
    identity(
        "expansion-by-cofactors", r"X \operatorname{adj}(X)", r"\det(X) I",
        lambda X: X @ cofactors(X).T,
        lambda X: det(X) * eye(len(X)),
        "MC(47), (50)", key="D34", X="m m",
    ),
    gradient(
        "determinant-of-the-inverse", r"\det(X^{-1})", r"-\det(X^{-1}) X^{-\top}",
        lambda X: det(inv(X)),
        lambda X: -inv(X).T / det(X),
        "MC(62)", conditions="X invertible", X="m m inv",
    ),
    differential(
        "adjugate-differential", r"\operatorname{adj} X",
        r"\det(X) \left[\operatorname{tr}(X^{-1} \mathrm{d}X) X^{-1}"
        r" - X^{-1} \mathrm{d}X\, X^{-1}\right]",
        lambda X: cofactors(X).T,
        lambda X, dX: det(X) * (tr(inv(X) @ dX) * inv(X) - inv(X) @ dX @ inv(X)),
        "MC(151) with MC(40)-(42)", conditions="X invertible", X="m m inv",
    ),
    gradient(
        "log-determinant", r"\log|\det X|", r"X^{-\top}",
        lambda X: _logdet(X),
        lambda X: inv(X).T,
        "MC(57); MN T5", conditions="X invertible", X="n n inv",
    ),
    hessian(
        "log-determinant-hessian", r"\log|\det X|", r"-K_{nn} (X^{-\top} \otimes X^{-1})",
        lambda X: _logdet(X),
        lambda X: -K(*X.shape) @ kron(inv(X).T, inv(X)),
        "MN ch. 10", conditions="X invertible", structure="kronecker+commutation", key="D03",
        X="n n inv",
    ),
    second_differential(
        "log-determinant-second-differential", r"\log|\det X|",
        r"-\operatorname{tr}(X^{-1} \mathrm{d}X\, X^{-1} \mathrm{d}X)",
        lambda X: _logdet(X),
        lambda X, dX: -tr(inv(X) @ dX @ inv(X) @ dX),
        "MN ch. 10", conditions="X invertible", X="n n inv",
    ),
    gradient(
        "determinant-of-AXB", r"\det(AXB)", r"\det(AXB) X^{-\top}",
        lambda X, A, B: det(A @ X @ B),
        lambda X, A, B: det(A @ X @ B) * inv(X).T,
        "MC(51), condition added", conditions="A, B, X square and X invertible",
        note="MC(51) does not say that A and B must be square.",
        X="m m inv", A="m m inv", B="m m inv",
    ),
    gradient(
        "log-determinant-of-AXB", r"\log|\det(AXB)|", r"A^\top (AXB)^{-\top} B^\top",
        lambda X, A, B: _logdet(A @ X @ B),
        lambda X, A, B: A.T @ inv(A @ X @ B).T @ B.T,
        "derived", conditions="AXB invertible", X="n m", A="q n", B="m q",
    ),
    hessian(
        "log-determinant-of-AXB-hessian", r"\log|\det(AXB)|",
        r"-K_{mn} (G \otimes G^\top), \quad G = A^\top (AXB)^{-\top} B^\top",
        lambda X, A, B: _logdet(A @ X @ B),
        lambda X, A, B: (
            -K(*X.shape[::-1]) @ kron((B @ inv(A @ X @ B) @ A).T, B @ inv(A @ X @ B) @ A)
        ),
        "derived", conditions="AXB invertible", structure="kronecker+commutation", key="D08",
        X="n m", A="q n", B="m q",
    ),
    gradient(
        "determinant-of-XtAX-X-square", r"\det(X^\top AX)", r"2 \det(X^\top AX) X^{-\top}",
        lambda X, A: det(X.T @ A @ X),
        lambda X, A: 2 * det(X.T @ A @ X) * inv(X).T,
        "MC(52); WP", conditions="X square and invertible", key="D09", X="m m inv", A="m m inv",
    ),
    gradient(
        "determinant-of-XtAX-A-symmetric", r"\det(X^\top AX)",
        r"2 \det(X^\top AX) AX (X^\top AX)^{-1}",
        lambda X, A: det(X.T @ A @ X),
        lambda X, A: 2 * det(X.T @ A @ X) * A @ X @ inv(X.T @ A @ X),
        "MC(53); WP", conditions="A symmetric, X'AX invertible", key="D10",
        X="n m full", A="n n spd",
    ),
    gradient(
        "determinant-of-XtAX", r"\det(X^\top AX)",
        r"\det(X^\top AX) \left(AX (X^\top AX)^{-1} + A^\top X (X^\top A^\top X)^{-1}\right)",
        lambda X, A: det(X.T @ A @ X),
        lambda X, A: (
            det(X.T @ A @ X) * (A @ X @ inv(X.T @ A @ X) + A.T @ X @ inv(X.T @ A.T @ X))
        ),
        "MC(54); WP", conditions="X'AX invertible", key="D11", X="n m full", A="n n inv",
    ),
    gradient(
        "log-determinant-of-XtAX", r"\log\det(X^\top AX)", r"2AX (X^\top AX)^{-1}",
        lambda X, A: _logdet(X.T @ A @ X),
        lambda X, A: 2 * A @ X @ inv(X.T @ A @ X),
        "from MC(53)", conditions="A symmetric, X of full column rank", key="D12", X="n m full",
        A="n n spd",
    ),
    hessian(
        "log-determinant-of-XtAX-hessian", r"\log\det(X^\top AX)",
        r"2 \left[M^{-1} \otimes (A - AXM^{-1} X^\top A)"
        r" - K_{mn} (AXM^{-1} \otimes M^{-1} X^\top A)\right], \quad M = X^\top AX",
        lambda X, A: _logdet(X.T @ A @ X),
        _log_gram_hessian,
        "derived", conditions="A symmetric, X of full column rank", key="D13", X="n m full",
        A="n n spd",
    ),
    gradient(
        "log-determinant-of-the-Gram-matrix-of-columns", r"\log\det(X^\top X)", r"2 (X^+)^\top",
        lambda X: _logdet(X.T @ X),
        lambda X: 2 * jnp.linalg.pinv(X).T,
        "MC(55); WP", conditions="X of full column rank", note="MC(55) has a stray bar in print.",
        key="D14", X="n m full",
    ),
    gradient(
        "log-determinant-of-the-Gram-matrix-of-rows", r"\log\det(XX^\top)", r"2 (XX^\top)^{-1} X",
        lambda X: _logdet(X @ X.T),
        lambda X: 2 * inv(X @ X.T) @ X,
        "MN T5", conditions="X of full row rank", key="D16", X="m n full",
    ),
    hessian(
        "log-determinant-of-the-Gram-matrix-of-rows-hessian", r"\log\det(XX^\top)",
        r"2 \left[(I - X^\top PX) \otimes P - (X^\top P \otimes PX) K_{mn}\right],"
        r" \quad P = (XX^\top)^{-1}",
        lambda X: _logdet(X @ X.T),
        _log_row_gram_hessian,
        "derived", conditions="X of full row rank", key="D17", X="m n full",
    ),
    gradient(
        "determinant-of-a-power", r"\det(X^k)", r"k \det(X^k) X^{-\top}",
        lambda X: det(power(X, 3)),
        lambda X: 3 * det(X) ** 3 * inv(X).T,
        "MC(58); WP; MN T5", conditions="X invertible; k = 3 is checked", key="D18", X="m m inv",
    ),
    gradient(
        "barrier-of-a-linear-matrix-inequality", r"-\log\det F(x), \quad F = A + x_1 B + x_2 C",
        r"-\left(\operatorname{tr}(F^{-1} B), \operatorname{tr}(F^{-1} C)\right)",
        _barrier,
        lambda x, A, B, C: (
            -jnp.array([tr(inv(A + x[0] * B + x[1] * C) @ S) for S in (B, C)])
        ),
        "derived; MC(43)", key="D24", x="q pos", A="n n spd", B="n n spd", C="n n spd",
    ),
    hessian(
        "barrier-of-a-linear-matrix-inequality-hessian",
        r"-\log\det F(x), \quad F = A + x_1 A_1 + x_2 A_2",
        r"\left[\operatorname{tr}(F^{-1} A_i F^{-1} A_j)\right]_{ij}",
        _barrier,
        _barrier_hessian,
        "derived", key="D25", x="q pos", A="n n spd", B="n n spd", C="n n spd",
    ),
    gradient(
        "log-determinant-of-XA-minus-B", r"\log|\det(XA - B)|", r"(XA - B)^{-\top} A^\top",
        lambda X, A, B: _logdet(X @ A - B),
        lambda X, A, B: inv(X @ A - B).T @ A.T,
        "derived", conditions="XA - B invertible", key="D29", X="n m", A="m n", B="n n inv",
    ),
    gradient(
        "log-determinant-along-a-line", r"\log|\det Y(t)|, \quad Y = A + tB",
        r"\operatorname{tr}(Y^{-1} \dot{Y})",
        lambda t, A, B: _logdet(A + t * B),
        lambda t, A, B: tr(inv(A + t * B) @ B),
        "MC(43), (46); WP", key="D30", t="", A="n n inv", B="n n small",
    ),
    gradient(
        "determinant-along-a-line", r"\det Y(t), \quad Y = A + tB",
        r"\det(Y) \operatorname{tr}(Y^{-1} \dot{Y})",
        lambda t, A, B: det(A + t * B),
        lambda t, A, B: det(A + t * B) * tr(inv(A + t * B) @ B),
        "MC(46); WP", key="D31", t="", A="m m inv", B="m m small",
    ),
    hessian(
        "determinant-along-a-curve-second-derivative", r"\det Y(t), \quad Y = A + tB + t^2 C",
        r"\det(Y) \left[\operatorname{tr}(Y^{-1} \ddot{Y}) + \operatorname{tr}(Y^{-1} \dot{Y})^2"
        r" - \operatorname{tr}((Y^{-1} \dot{Y})^2)\right]",
        lambda t, A, B, C: det(A + t * B + t * t * C),
        _det_second_derivative,
        "MC(48); WP", key="D32", t="", A="m m inv", B="m m small", C="m m small",
    ),
    identity(
        "determinant-lemma", r"\log|\det(A + UBV)|",
        r"\log|\det A| + \log|\det B| + \log|\det(B^{-1} + VA^{-1} U)|",
        lambda A, U, B, V: _logdet(A + U @ B @ V),
        lambda A, U, B, V: _logdet(A) + _logdet(B) + _logdet(inv(B) + V @ inv(A) @ U),
        "MC(24) for rank 1; Sylvester", conditions="A, B invertible", key="E13", A="n n inv",
        U="n q", B="q q inv", V="q n",
    ),
)

OPERATIONS = family(
    "determinant",
    operation("det", lambda X: det(X), X="m m inv"),
    operation("det", lambda X: det(X), assume_a="pos", X="m m spd"),
    operation("adjugate", lambda X: cofactors(X).T, X="m m inv"),
    operation("logdet", lambda X: _logdet(X), X="n n inv"),
    operation("logdet", lambda X: _logdet(X), assume_a="sym", X="m m sym"),
    operation("logdet", lambda X: _logdet(X), assume_a="pos", X="n n spd"),
    operation(
        "slogdet",
        lambda X: jnp.stack(jnp.linalg.slogdet(X)),
        lambda slogdet, X: jnp.stack(slogdet(X)),
        X="n n inv",
    ),
)
# fmt: on
