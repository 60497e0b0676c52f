"""Identities of eigenvalues, eigenvectors and functions of the eigenvalues."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import divided_differences, eye, sym
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    hessian,
    operation,
    second_differential,
    vjp,
)

eigh, eigvalsh, inv = jnp.linalg.eigh, jnp.linalg.eigvalsh, jnp.linalg.inv
kron, outer, tr, power = jnp.kron, jnp.outer, jnp.trace, jnp.linalg.matrix_power


def _eigenvectors(X):
    """Return the eigenvectors with a positive first entry: a choice that every precision makes."""
    Q = eigh(X)[1]
    return Q * jnp.sign(Q[0])


def _reciprocal_gaps(w):
    """Return the matrix of 1 / (wⱼ - wᵢ), with 0 on the diagonal."""
    diagonal = eye(len(w)) == 1
    return jnp.where(diagonal, 0, 1 / jnp.where(diagonal, 1, w - w[:, None]))


def _reduced_resolvent(X):
    """Return (λI - X)⁺ for the largest eigenvalue λ."""
    w, Q = eigh(X)
    return Q[:, :-1] / (w[-1] - w[:-1]) @ Q[:, :-1].T


def _eigenvalues_differential(X, dX):
    Q = eigh(X)[1]
    return jnp.diag(Q.T @ sym(dX) @ Q)


def _eigenvalue_second_differential(X, dX):
    v = eigh(X)[1][:, -1]
    return 2 * v @ sym(dX) @ _reduced_resolvent(X) @ sym(dX) @ v


def _eigenvalue_hessian(X):
    n, v = len(X), eigh(X)[1][:, -1]
    N = (eye(n * n) + K(n, n)) / 2
    return 2 * N @ kron(outer(v, v), _reduced_resolvent(X)) @ N


def _eigenvectors_adjoint(X, Cbar):
    w, Q = eigh(X)[0], _eigenvectors(X)
    return sym(Q @ (_reciprocal_gaps(w) * (Q.T @ Cbar)) @ Q.T)


def _of_symmetric(f, X):
    w, Q = eigh(X)
    return Q * f(w) @ Q.T


def _entropy_second_differential(X, dX):
    w, Q = eigh(X)
    F = divided_differences(jnp.log, lambda w: 1 / w, w)
    return jnp.sum(F * (Q.T @ sym(dX) @ Q) ** 2)


def _perron_root(X):
    """Return the largest eigenvalue of a positive matrix by its powers; scaled, they stay small."""
    return 4 * tr(power(X / 4, 33)) / tr(power(X / 4, 32))


def _perron_differential(X, dX):
    ones = jnp.ones(len(X), X.dtype)
    right, left = power(X / 4, 32) @ ones, power(X.T / 4, 32) @ ones
    return left @ dX @ right / (left @ right)


# fmt: off
IDENTITIES = family(
    "spectral",
    gradient(
        "sum-of-the-eigenvalues", r"\textstyle\sum_i \lambda_i(X)", r"I",
        lambda X: jnp.sum(eigvalsh(X)),
        lambda X: eye(len(X)),
        "MC(65)", key="H01", conditions="X symmetric", X="n n apart",
    ),
    gradient(
        "product-of-the-eigenvalues", r"\textstyle\prod_i \lambda_i(X)", r"\det(X) X^{-1}",
        lambda X: jnp.prod(eigvalsh(X)),
        lambda X: jnp.linalg.det(X) * inv(X),
        "MC(66)", conditions="X symmetric and invertible", X="n n apart",
    ),
    differential(
        "eigenvalues-differential", r"\lambda(X)",
        r"\operatorname{diag}(Q^\top \mathrm{d}X\, Q), \quad X = Q \Lambda Q^\top",
        lambda X: eigvalsh(X),
        _eigenvalues_differential,
        "MC(67); Giles (2008)", key="H03", conditions="X symmetric, eigenvalues simple",
        X="n n apart",
    ),
    vjp(
        "eigenvalues-adjoint", r"\lambda(X)", r"Q \operatorname{diag}(\bar{C}) Q^\top",
        lambda X: eigvalsh(X),
        lambda X, Cbar: eigh(X)[1] * Cbar @ eigh(X)[1].T,
        "Giles (2008)", key="M13", conditions="X symmetric", X="n n apart",
    ),
    gradient(
        "largest-eigenvalue", r"\lambda_1(X)", r"vv^\top, \quad Xv = \lambda_1 v",
        lambda X: eigvalsh(X)[-1],
        lambda X: outer(eigh(X)[1][:, -1], eigh(X)[1][:, -1]),
        "MC(67)", conditions="X symmetric, λ₁ simple", X="n n apart",
    ),
    second_differential(
        "largest-eigenvalue-second-differential", r"\lambda_1(X)",
        r"2 \textstyle\sum_{j \neq 1}"
        r" \frac{(v_j^\top \mathrm{d}X\, v_1)^2}{\lambda_1 - \lambda_j}",
        lambda X: eigvalsh(X)[-1],
        _eigenvalue_second_differential,
        "MN ch. 8", key="H05", conditions="X symmetric, λ₁ simple", X="n n apart",
    ),
    hessian(
        "largest-eigenvalue-hessian", r"\lambda_1(X)",
        r"2N \left[vv^\top \otimes (\lambda_1 I - X)^+\right] N, \quad N = \tfrac12 (I + K_{nn})",
        lambda X: eigvalsh(X)[-1],
        _eigenvalue_hessian,
        "derived from MC(67), (68)", key="H06", conditions="X symmetric, λ₁ simple", X="n n apart",
    ),
    differential(
        "largest-eigenvalue-eigenvector-differential", r"v_1",
        r"(\lambda_1 I - X)^+\, \mathrm{d}X\, v_1",
        lambda X: _eigenvectors(X)[:, -1],
        lambda X, dX: _reduced_resolvent(X) @ sym(dX) @ _eigenvectors(X)[:, -1],
        "MC(68); MN ch. 8", conditions="X symmetric, λ₁ simple", X="n n apart",
    ),
    vjp(
        "eigenvectors-adjoint", r"Q, \quad X = Q \Lambda Q^\top",
        r"\operatorname{sym}\left(Q (F \circ Q^\top \bar{C}) Q^\top\right),"
        r" \quad F_{ij} = \frac{1}{\lambda_j - \lambda_i}",
        _eigenvectors,
        _eigenvectors_adjoint,
        "Giles (2008)", key="M14",
        conditions="X symmetric, eigenvalues simple; F 0 on its diagonal", X="n n apart",
    ),
    gradient(
        "sum-of-the-two-largest-eigenvalues", r"\lambda_1(X) + \lambda_2(X)",
        r"v_1 v_1^\top + v_2 v_2^\top",
        lambda X: jnp.sum(eigvalsh(X)[-2:]),
        lambda X: eigh(X)[1][:, -2:] @ eigh(X)[1][:, -2:].T,
        "Overton and Womersley (1993)", conditions="X symmetric, λ₂ > λ₃", X="n n apart",
    ),
    gradient(
        "entropy", r"\operatorname{tr}(X \log X)", r"\log X + I",
        lambda X: jnp.sum(eigvalsh(X) * jnp.log(eigvalsh(X))),
        lambda X: _of_symmetric(jnp.log, X) + eye(len(X)),
        "Lewis (1995): spectral functions; WP", key="H07",
        conditions="X symmetric positive definite", X="n n apart",
    ),
    second_differential(
        "entropy-second-differential", r"\operatorname{tr}(X \log X)",
        r"\textstyle\sum_{ij} \log[\lambda_i, \lambda_j] (Q^\top \mathrm{d}X\, Q)_{ij}^2",
        lambda X: jnp.sum(eigvalsh(X) * jnp.log(eigvalsh(X))),
        _entropy_second_differential,
        "Lewis and Sendov (2001)", conditions="X symmetric positive definite", X="n n apart",
    ),
    gradient(
        "relative-entropy", r"\operatorname{tr}(X \log X - X \log Y)", r"\log X - \log Y + I",
        lambda X, Y: tr(X @ (_of_symmetric(jnp.log, X) - _of_symmetric(jnp.log, Y))),
        lambda X, Y: _of_symmetric(jnp.log, X) - _of_symmetric(jnp.log, Y) + eye(len(X)),
        "derived; Lewis (1995)", conditions="X, Y symmetric positive definite",
        X="n n apart", Y="n n apart",
    ),
    differential(
        "eigenvalue-of-a-nonsymmetric-matrix-differential", r"\lambda(X)",
        r"\frac{y^\top \mathrm{d}X\, x}{y^\top x}, \quad Xx = \lambda x,"
        r" \quad y^\top X = \lambda y^\top",
        _perron_root,
        _perron_differential,
        "Giles (2008); MN ch. 8", key="H12",
        conditions="λ simple; the largest one of a positive matrix is checked", X="n n pos",
    ),
    second_differential(
        "log-determinant-second-differential-through-the-eigenvalues",
        r"\textstyle\sum_i \log \lambda_i(X)",
        r"-\textstyle\sum_{ij} \frac{(Q^\top \mathrm{d}X\, Q)_{ij}^2}{\lambda_i \lambda_j}",
        lambda X: jnp.sum(jnp.log(eigvalsh(X))),
        lambda X, dX: -tr(inv(X) @ sym(dX) @ inv(X) @ sym(dX)),
        "derived; MN ch. 10", conditions="X symmetric positive definite", X="n n apart",
    ),
    hessian(
        "sum-of-squared-eigenvalues-hessian", r"\textstyle\sum_i \lambda_i(X)^2",
        r"I + K_{nn}",
        lambda X: jnp.sum(eigvalsh(X) ** 2),
        lambda X: eye(X.size) + K(*X.shape),
        "derived", conditions="X symmetric: the function reads its symmetric part",
        X="n n apart",
    ),
)

OPERATIONS = family(
    "spectral",
    operation("eigvalsh", lambda X: eigvalsh(X), X="m m apart"),
    operation(
        "spectral_function",
        lambda X: _of_symmetric(jnp.log, X),
        lambda spectral_function, X: spectral_function(jnp.log, X),
        X="m m apart",
    ),
    operation(
        "spectral_function",
        lambda X: sym(X) @ sym(X) @ sym(X),
        lambda spectral_function, X: spectral_function(lambda w: w**3, X),
        X="m m sym",
    ),
)
# fmt: on
