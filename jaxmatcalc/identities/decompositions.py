"""Differentials and adjoints of the Cholesky, LU, QR and singular value decompositions."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import elimination, eye, sym
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    identity,
    operation,
    symmetric_gradient,
    vech_jacobian,
    vjp,
)

cholesky, inv, kron = jnp.linalg.cholesky, jnp.linalg.inv, jnp.kron
tril, triu = jnp.tril, jnp.triu


def _phi(M):
    """Return the lower triangle with its diagonal halved."""
    return tril(M) - jnp.diag(jnp.diag(M)) / 2


def _cholesky_differential(X, dX):
    L = cholesky(X)
    return L @ _phi(inv(L) @ sym(dX) @ inv(L).T)


def _cholesky_adjoint(X, Cbar):
    L = cholesky(X)
    return sym(inv(L).T @ _phi(L.T @ Cbar) @ inv(L))


def _cholesky_vech_jacobian(X):
    n, L = len(X), cholesky(X)
    E = elimination(n)
    return inv(E @ (eye(n * n) + K(n, n)) @ kron(L, eye(n)) @ E.T)


def _lu(X):
    """Return L and U of X = LU, without exchanges of rows."""
    n, L, U = len(X), [], X
    for k in range(n):
        column = jnp.where(jnp.arange(n) > k, U[:, k] / U[k, k], 0)
        U = U - jnp.outer(column, U[k])
        L.append(column)
    return jnp.stack(L, axis=1) + eye(n), triu(U)


def _lower_differential(X, dX):
    L, U = _lu(X)
    return L @ tril(inv(L) @ dX @ inv(U), -1)


def _upper_differential(X, dX):
    L, U = _lu(X)
    return triu(inv(L) @ dX @ inv(U)) @ U


def _lu_adjoint(X, Cbar):
    L, U = _lu(X)
    return inv(L).T @ triu(Cbar @ U.T) @ inv(U).T


def _qr(X):
    """Return Q and R of X = QR with a positive diagonal of R."""
    Q, R = jnp.linalg.qr(X)
    sign = jnp.sign(jnp.diag(R))
    return Q * sign, R * sign[:, None]


def _skew(M):
    """Return the strictly lower triangle less its transpose."""
    return tril(M, -1) - tril(M, -1).T


def _q_differential(X, dX):
    Q, R = _qr(X)
    M = dX @ inv(R)
    return Q @ _skew(Q.T @ M) + M - Q @ (Q.T @ M)


def _r_differential(X, dX):
    Q, R = _qr(X)
    M = Q.T @ dX @ inv(R)
    return (M - _skew(M)) @ R


def _svd(X):
    """Return the thin U, σ and V, the first row of U positive: a choice of every precision."""
    U, s, Vt = jnp.linalg.svd(X, full_matrices=False)
    sign = jnp.sign(U[0])
    return U * sign, s, Vt.T * sign


def _svd_differential(U, s, V, dX):
    """Return dU of X = U diag(s) Vᵀ; that of Xᵀ gives dV."""
    diagonal = eye(len(s)) == 1
    gaps = jnp.where(diagonal, 1, s**2 - s[:, None] ** 2)
    F, P = jnp.where(diagonal, 0, 1 / gaps), U.T @ dX @ V
    return U @ (F * (P * s + s[:, None] * P.T)) + (dX @ V - U @ P) / s


def _left_differential(X, dX):
    return _svd_differential(*_svd(X), dX)


def _right_differential(X, dX):
    U, s, V = _svd(X)
    return _svd_differential(V, s, U, dX.T)


def _polar(X):
    U, _, V = _svd(X)
    return U @ V.T


def _polar_differential(X, dX):
    """Return dW of X = WH by the Sylvester equation of H, in the basis of its eigenvectors."""
    U, s, V = _svd(X)
    M = U.T @ dX @ V
    inner = (M - M.T) / (s[:, None] + s)
    return U @ inner @ V.T + (dX - U @ U.T @ dX) @ (V / s) @ V.T


def _inverse_root(S):
    w, Q = jnp.linalg.eigh(S)
    return Q / jnp.sqrt(w) @ Q.T


# fmt: off
IDENTITIES = family(
    "decompositions",
    differential(
        "Cholesky-differential", r"L, \quad X = LL^\top",
        r"L\, \Phi(L^{-1} \mathrm{d}X\, L^{-\top})",
        lambda X: cholesky(X),
        _cholesky_differential,
        "Murray (2016), arXiv:1602.07527; Giles (2008)", key="J01",
        conditions="X symmetric positive definite; Φ takes the lower triangle, its diagonal halved",
        X="n n spd",
    ),
    vjp(
        "Cholesky-adjoint", r"L, \quad X = LL^\top",
        r"\operatorname{sym}\left(L^{-\top} \Phi(L^\top \bar{C}) L^{-1}\right)",
        lambda X: cholesky(X),
        _cholesky_adjoint,
        "Murray (2016), arXiv:1602.07527", key="J02",
        conditions="X symmetric positive definite; Φ takes the lower triangle, its diagonal halved",
        X="n n spd",
    ),
    vech_jacobian(
        "Cholesky-in-the-independent-entries", r"L, \quad X = LL^\top",
        r"\left[E_n (I + K_{nn})(L \otimes I) E_n^\top\right]^{-1}",
        lambda X: cholesky(X),
        _cholesky_vech_jacobian,
        "Magnus and Neudecker (1980): the elimination matrix",
        conditions="E_n vec A = vech A", X="n n spd",
    ),
    symmetric_gradient(
        "log-determinant-through-Cholesky", r"2 \textstyle\sum_i \log L_{ii}, \quad X = LL^\top",
        r"X^{-1}",
        lambda X: 2 * jnp.sum(jnp.log(jnp.diag(cholesky(X)))),
        lambda X: inv(X),
        "MC(57)", conditions="X symmetric positive definite", X="n n spd",
    ),
    differential(
        "lower-factor-differential", r"L, \quad X = LU",
        r"L \operatorname{tril}_{-1}(L^{-1} \mathrm{d}X\, U^{-1})",
        lambda X: _lu(X)[0],
        _lower_differential,
        "derived; de Hoog, Anderssen and Lukas (2011)",
        conditions="leading minors not 0, no exchange of rows", X="m m spd",
    ),
    differential(
        "upper-factor-differential", r"U, \quad X = LU",
        r"\operatorname{triu}(L^{-1} \mathrm{d}X\, U^{-1})\, U",
        lambda X: _lu(X)[1],
        _upper_differential,
        "derived; de Hoog, Anderssen and Lukas (2011)", key="J06",
        conditions="leading minors not 0, no exchange of rows", X="m m spd",
    ),
    vjp(
        "upper-factor-adjoint", r"U, \quad X = LU",
        r"L^{-\top} \operatorname{triu}(\bar{C} U^\top) U^{-\top}",
        lambda X: _lu(X)[1],
        _lu_adjoint,
        "derived", conditions="leading minors not 0, no exchange of rows", X="m m spd",
    ),
    differential(
        "orthogonal-factor-differential", r"Q, \quad X = QR",
        r"Q\Omega + (I - QQ^\top)\, \mathrm{d}X\, R^{-1},"
        r" \quad \Omega = \operatorname{sl}(M) - \operatorname{sl}(M)^\top",
        lambda X: _qr(X)[0],
        _q_differential,
        "Walter and Lehmann (2010)", key="J04",
        conditions="full column rank, R_ii > 0; M = Q'dX R⁻¹, sl its strictly lower triangle",
        X="n m full",
    ),
    differential(
        "triangular-factor-differential", r"R, \quad X = QR",
        r"(M - \Omega) R, \quad \Omega = \operatorname{sl}(M) - \operatorname{sl}(M)^\top",
        lambda X: _qr(X)[1],
        _r_differential,
        "Walter and Lehmann (2010)", key="J03",
        conditions="full column rank, R_ii > 0; M = Q'dX R⁻¹, sl its strictly lower triangle",
        X="n m full",
    ),
    gradient(
        "log-determinant-through-QR", r"\textstyle\sum_i \log|R_{ii}|, \quad X = QR",
        r"X (X^\top X)^{-1}",
        lambda X: jnp.sum(jnp.log(jnp.abs(jnp.diag(jnp.linalg.qr(X)[1])))),
        lambda X: X @ inv(X.T @ X),
        "derived", conditions="full column rank", X="n m full",
    ),
    differential(
        "left-singular-vectors-differential", r"U, \quad X = U\Sigma V^\top",
        r"U \left(F \circ [P\Sigma + \Sigma P^\top]\right)"
        r" + (I - UU^\top)\, \mathrm{d}X\, V\Sigma^{-1}, \quad P = U^\top \mathrm{d}X\, V",
        lambda X: _svd(X)[0],
        _left_differential,
        "Giles (2008); Townsend (2016)", key="J08",
        conditions="σ distinct and not 0; F_ij = 1 / (σ_j² - σ_i²), 0 on the diagonal",
        X="n m full-apart",
    ),
    differential(
        "right-singular-vectors-differential", r"V, \quad X = U\Sigma V^\top",
        r"V \left(F \circ [\Sigma P + P^\top \Sigma]\right)"
        r" + (I - VV^\top)\, \mathrm{d}X^\top U\Sigma^{-1}, \quad P = U^\top \mathrm{d}X\, V",
        lambda X: _svd(X)[2],
        _right_differential,
        "Giles (2008); Townsend (2016)", key="J09",
        conditions="σ distinct and not 0; F_ij = 1 / (σ_j² - σ_i²), 0 on the diagonal",
        X="n m full-apart",
    ),
    differential(
        "polar-factor-differential", r"W = UV^\top, \quad X = U\Sigma V^\top",
        r"U \left(\frac{P - P^\top}{\sigma_i + \sigma_j}\right) V^\top"
        r" + (I - UU^\top)\, \mathrm{d}X\, V\Sigma^{-1} V^\top,"
        r" \quad P = U^\top \mathrm{d}X\, V",
        _polar,
        _polar_differential,
        "Higham (2008), chapter 8", conditions="full column rank", X="n m full-apart",
    ),
    identity(
        "polar-factor-by-the-inverse-square-root", r"UV^\top, \quad X = U\Sigma V^\top",
        r"X (X^\top X)^{-1/2}",
        _polar,
        lambda X: X @ _inverse_root(X.T @ X),
        "Higham (2008), chapter 8", conditions="full column rank", X="n m full-apart",
    ),
)

OPERATIONS = family(
    "decompositions",
    operation("cholesky", lambda X: cholesky(X), X="m m spd"),
)
# fmt: on
