"""Identities of the inverse, the pseudo-inverse and the solution of linear systems."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import eye
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    hessian,
    identity,
    jacobian,
    operation,
    second_differential,
    vjp,
)

inv, solve, pinv = jnp.linalg.inv, jnp.linalg.solve, jnp.linalg.pinv
kron, outer, tr = jnp.kron, jnp.outer, jnp.trace


def _trace_inverse_hessian(X, A):
    P = inv(X)
    return (kron(P @ A @ P, P.T) + kron(P, P.T @ A.T @ P.T)) @ K(*X.shape)


def _pseudo_inverse_differential(X, dX):
    P = pinv(X)
    left, right = eye(X.shape[1]) - P @ X, eye(X.shape[0]) - X @ P
    return -P @ dX @ P + P @ P.T @ dX.T @ right + left @ dX.T @ P.T @ P


def _projector_differential(X, dX):
    half = (eye(X.shape[0]) - X @ pinv(X)) @ dX @ pinv(X)
    return half + half.T


def _resolvent_distance_gradient(X):
    R = inv(eye(len(X)) - X)
    return 2 * R.T @ (R - eye(len(X))) @ R.T


# fmt: off
IDENTITIES = family(
    "inverse",
    differential(
        "inverse-differential", r"X^{-1}", r"-X^{-1} (\mathrm{d}X) X^{-1}",
        lambda X: inv(X),
        lambda X, dX: -inv(X) @ dX @ inv(X),
        "MC(40), (59); WP; Giles (2008) 2.2.3", key="E01", conditions="X invertible",
        X="n n inv",
    ),
    jacobian(
        "inverse", r"X^{-1}", r"-X^{-\top} \otimes X^{-1}",
        lambda X: inv(X),
        lambda X: -kron(inv(X).T, inv(X)),
        "MC(60); MN T7", key="E02", conditions="X invertible", structure="kronecker",
        X="n n inv",
    ),
    second_differential(
        "inverse-second-differential", r"X^{-1}",
        r"2X^{-1} \mathrm{d}X\, X^{-1} \mathrm{d}X\, X^{-1}",
        lambda X: inv(X),
        lambda X, dX: 2 * inv(X) @ dX @ inv(X) @ dX @ inv(X),
        "WP; MN ch. 10", key="E11", conditions="X invertible", X="n n inv",
    ),
    vjp(
        "inverse-adjoint", r"X^{-1}", r"-C^\top \bar{C} C^\top",
        lambda X: inv(X),
        lambda X, Cbar: -inv(X).T @ Cbar @ inv(X).T,
        "Giles (2008) 2.2.3", conditions="X invertible", X="n n inv",
    ),
    gradient(
        "bilinear-form-of-the-inverse", r"a^\top X^{-1} b", r"-X^{-\top} ab^\top X^{-\top}",
        lambda X, a, b: a @ inv(X) @ b,
        lambda X, a, b: -inv(X).T @ outer(a, b) @ inv(X).T,
        "MC(61)", conditions="X invertible", X="n n inv", a="n", b="n",
    ),
    gradient(
        "trace-of-AXinvB", r"\operatorname{tr}(AX^{-1} B)", r"-(X^{-1} BAX^{-1})^\top",
        lambda X, A, B: tr(A @ inv(X) @ B),
        lambda X, A, B: -(inv(X) @ B @ A @ inv(X)).T,
        "MC(63)", conditions="X invertible", X="n n inv", A="m n", B="n m",
    ),
    gradient(
        "trace-of-AXinv", r"\operatorname{tr}(AX^{-1})", r"-X^{-\top} A^\top X^{-\top}",
        lambda X, A: tr(A @ inv(X)),
        lambda X, A: -inv(X).T @ A.T @ inv(X).T,
        "MC(124)", conditions="X invertible", X="n n inv", A="n n",
    ),
    hessian(
        "trace-of-AXinv-hessian", r"\operatorname{tr}(AX^{-1})",
        r"\left(X^{-1} AX^{-1} \otimes X^{-\top}"
        r" + X^{-1} \otimes X^{-\top} A^\top X^{-\top}\right) K_{nn}",
        lambda X, A: tr(A @ inv(X)),
        _trace_inverse_hessian,
        "derived: second differential of MC(124)", key="C42", conditions="X invertible",
        X="n n inv", A="n n",
    ),
    gradient(
        "trace-of-a-shifted-inverse", r"\operatorname{tr}((X + A)^{-1})",
        r"-\left((X + A)^{-1} (X + A)^{-1}\right)^\top",
        lambda X, A: tr(inv(X + A)),
        lambda X, A: -(inv(X + A) @ inv(X + A)).T,
        "MC(64)", key="C34", conditions="X + A invertible", X="n n inv", A="n n small",
    ),
    gradient(
        "solution-of-a-linear-system-in-the-right-side", r"c^\top A^{-1} b", r"A^{-\top} c",
        lambda b, A, c: c @ solve(A, b),
        lambda b, A, c: inv(A).T @ c,
        "Giles (2008) 2.3.1", key="E05", conditions="A invertible", b="n", A="n n inv", c="n",
    ),
    jacobian(
        "solution-of-a-linear-system-in-the-matrix", r"A^{-1} b",
        r"-(A^{-1} b)^\top \otimes A^{-1}",
        lambda A, b: solve(A, b),
        lambda A, b: -kron((inv(A) @ b)[None, :], inv(A)),
        "derived from MC(59)", conditions="A invertible", A="n n inv", b="n",
    ),
    jacobian(
        "solution-of-several-linear-systems-in-the-matrix", r"A^{-1} B",
        r"-(A^{-1} B)^\top \otimes A^{-1}",
        lambda A, B: solve(A, B),
        lambda A, B: -kron((inv(A) @ B).T, inv(A)),
        "derived from MC(59)", conditions="A invertible", structure="kronecker",
        A="n n inv", B="n m",
    ),
    jacobian(
        "solution-of-several-linear-systems-in-the-right-side", r"A^{-1} B", r"I \otimes A^{-1}",
        lambda B, A: solve(A, B),
        lambda B, A: kron(eye(B.shape[1]), inv(A)),
        "derived", conditions="A invertible", structure="kronecker", B="n m", A="n n inv",
    ),
    differential(
        "solution-of-several-linear-systems-differential", r"A^{-1} B",
        r"-A^{-1} (\mathrm{d}A) A^{-1} B",
        lambda A, B: solve(A, B),
        lambda A, B, dX: -inv(A) @ dX @ inv(A) @ B,
        "Giles (2008) 2.3.1", key="E06", conditions="A invertible", A="n n inv", B="n m",
    ),
    vjp(
        "solution-of-several-linear-systems-adjoint-in-the-right-side", r"A^{-1} B",
        r"A^{-\top} \bar{C}",
        lambda B, A: solve(A, B),
        lambda B, A, Cbar: inv(A).T @ Cbar,
        "Giles (2008) 2.3.1", key="M04", conditions="A invertible", B="n m", A="n n inv",
    ),
    vjp(
        "solution-of-several-linear-systems-adjoint-in-the-matrix", r"A^{-1} B",
        r"-A^{-\top} \bar{C} C^\top",
        lambda A, B: solve(A, B),
        lambda A, B, Cbar: -inv(A).T @ Cbar @ (inv(A) @ B).T,
        "Giles (2008) 2.3.1", key="M05", conditions="A invertible", A="n n inv", B="n m",
    ),
    vjp(
        "inverse-quadratic-form-adjoint-in-B", r"B^\top A^{-1} B",
        r"A^{-1} B \bar{C}^\top + A^{-\top} B \bar{C}",
        lambda B, A: B.T @ inv(A) @ B,
        lambda B, A, Cbar: inv(A) @ B @ Cbar.T + inv(A).T @ B @ Cbar,
        "Giles (2008) 2.3.3", key="M08", conditions="A invertible", B="n m", A="n n inv",
    ),
    vjp(
        "inverse-quadratic-form-adjoint-in-A", r"B^\top A^{-1} B",
        r"-A^{-\top} B \bar{C} B^\top A^{-\top}",
        lambda A, B: B.T @ inv(A) @ B,
        lambda A, B, Cbar: -inv(A).T @ B @ Cbar @ B.T @ inv(A).T,
        "Giles (2008) 2.3.3", key="M09", conditions="A invertible", A="n n inv", B="n m",
    ),
    gradient(
        "inverse-quadratic-form", r"y^\top A^{-1} y", r"-A^{-\top} yy^\top A^{-\top}",
        lambda A, y: y @ solve(A, y),
        lambda A, y: -inv(A).T @ outer(y, y) @ inv(A).T,
        "MC(61)", conditions="A invertible", A="n n inv", y="n",
    ),
    differential(
        "pseudo-inverse-differential", r"X^+",
        r"-X^+ \mathrm{d}X\, X^+ + X^+ X^{+\top} \mathrm{d}X^\top (I - XX^+)"
        r" + (I - X^+ X)\, \mathrm{d}X^\top X^{+\top} X^+",
        lambda X: pinv(X),
        _pseudo_inverse_differential,
        "Golub and Pereyra (1973); MN ch. 8", key="E08", conditions="constant rank",
        X="n m full",
    ),
    differential(
        "projector-on-the-range-differential", r"XX^+",
        r"(I - P)\, \mathrm{d}X\, X^+ + \left((I - P)\, \mathrm{d}X\, X^+\right)^\top,"
        r" \quad P = XX^+",
        lambda X: X @ pinv(X),
        _projector_differential,
        "Golub and Pereyra (1973)", key="E09", conditions="constant rank", X="n m full",
    ),
    gradient(
        "distance-of-a-resolvent-from-the-identity", r"\|I - (I - X)^{-1}\|_F^2",
        r"2R^\top (R - I) R^\top, \quad R = (I - X)^{-1}",
        lambda X: jnp.sum((jnp.eye(4) - inv(jnp.eye(4) - X)) ** 2),
        _resolvent_distance_gradient,
        "derived", key="E14", conditions="I - X invertible", X="n n small",
    ),
    identity(
        "Woodbury", r"(A + UBV)^{-1}",
        r"A^{-1} - A^{-1} U (B^{-1} + VA^{-1} U)^{-1} VA^{-1}",
        lambda A, U, B, V: inv(A + U @ B @ V),
        lambda A, U, B, V: (
            inv(A) - inv(A) @ U @ inv(inv(B) + V @ inv(A) @ U) @ V @ inv(A)
        ),
        "MC(157)", key="E12", conditions="A, B and A + UBV invertible",
        A="n n inv", U="n q small", B="q q inv", V="q n small",
    ),
)

OPERATIONS = family(
    "inverse",
    operation("inv", lambda X: inv(X), X="m m inv"),
    operation("inv", lambda X: inv(X), assume_a="pos", X="m m spd"),
    operation("solve", lambda A, B: solve(A, B), A="m m inv", B="m q"),
    operation("solve", lambda A, B: solve(A, B), assume_a="sym", A="m m sym", B="m q"),
    operation("solve", lambda A, B: solve(A, B), assume_a="pos", A="m m spd", B="m q"),
    operation("pinv", lambda X: inv(X.T @ X) @ X.T, X="m q full"),
    operation("pinv", lambda X: X.T @ inv(X @ X.T), X="q m full"),
)
# fmt: on
