"""Identities of functions of matrices: powers, the exponential, the logarithm, the square root."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.identities.conventions import divided_differences, eye, sym, unvec, vec
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    identity,
    jacobian,
    operation,
    vjp,
)

inv, kron, tr, power = jnp.linalg.inv, jnp.kron, jnp.trace, jnp.linalg.matrix_power
eigh, solve = jnp.linalg.eigh, jnp.linalg.solve


def expm(X):
    """Return e^X by Taylor's series and squaring, for matrices of moderate norm."""
    Y, series = X / 16, eye(len(X)).astype(X.dtype)
    for k in range(9, 0, -1):
        series = eye(len(X)) + Y @ series / k
    return power(series, 16)


def _of_symmetric(f, X):
    """Return ``f(X)`` of a symmetric matrix through its eigenvalues."""
    w, Q = eigh(X)
    return Q * f(w) @ Q.T


def _logm(X):
    return _of_symmetric(jnp.log, X)


def _sqrtm(X):
    return _of_symmetric(jnp.sqrt, X)


def _block_exponential(X, E):
    """Return the upper right block of exp[[X, E], [0, X]], the Fréchet derivative at X along E."""
    n = len(X)
    return expm(jnp.block([[X, E], [jnp.zeros_like(X), X]]))[:n, n:]


def _quadrature(integrand, order=16):
    """Integrate over [0, 1] by Gauss and Legendre's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    values = jax.vmap(integrand)(jnp.asarray((nodes + 1) / 2))
    return jnp.tensordot(jnp.asarray(weights / 2), values, 1)


def _exponential_integral(X, dX):
    return _quadrature(lambda a: expm(a * X) @ dX @ expm((1 - a) * X)).astype(X.dtype)


def _logarithm_integral(X, dX):
    def integrand(t):
        R = inv((1 - t) * X + t * eye(len(X)))
        return R @ sym(dX) @ R

    return _quadrature(integrand).astype(X.dtype)


def _daleckii_krein(f, derivative, X, E):
    w, Q = eigh(X)
    return Q @ (divided_differences(f, derivative, w) * (Q.T @ sym(E) @ Q)) @ Q.T


def _sylvester(S, E):
    """Return the solution Z of SZ + ZS = E."""
    n = len(S)
    return unvec(solve(kron(S, eye(n)) + kron(eye(n), S), vec(E)), n, n)


def _cubic(X):
    return X @ X @ X - 2 * X


def _near_one(operation, X):
    return operation(jnp.eye(len(X), dtype=X.dtype) + X / 8)


def _power_series(coefficients, X):
    """Return Σₖ cₖ (X / 8)ᵏ by Horner's rule."""
    total = jnp.zeros_like(X)
    for coefficient in coefficients[::-1]:
        total = coefficient * eye(len(X)) + X @ total / 8
    return total


def _logarithm_near_one(X):
    return _power_series([0.0] + [-((-1) ** k) / k for k in range(1, 15)], X)


def _square_root_near_one(X):
    return _power_series(np.cumprod([1.0] + [(1.5 - k) / k for k in range(1, 15)]).tolist(), X)


# fmt: off
IDENTITIES = family(
    "functions",
    jacobian(
        "power", r"X^k", r"\sum_{i=0}^{k-1} (X^\top)^{k-1-i} \otimes X^i",
        lambda X: power(X, 3),
        lambda X: sum(kron(power(X.T, 2 - i), power(X, i)) for i in range(3)),
        "MC(90)-(91); MN T7", key="I14", conditions="X square; k = 3 is checked", X="n n",
    ),
    differential(
        "power-differential", r"X^k", r"\sum_{i=0}^{k-1} X^i\, \mathrm{d}X\, X^{k-1-i}",
        lambda X: power(X, 3),
        lambda X, dX: sum(power(X, i) @ dX @ power(X, 2 - i) for i in range(3)),
        "MC(90); MN T7", conditions="X square; k = 3 is checked", X="n n",
    ),
    jacobian(
        "negative-power", r"X^{-2}",
        r"-\left(X^{-2 \top} \otimes X^{-1} + X^{-\top} \otimes X^{-2}\right)",
        lambda X: inv(X) @ inv(X),
        lambda X: -kron(power(inv(X), 2).T, inv(X)) - kron(inv(X).T, power(inv(X), 2)),
        "derived from MC(60)", conditions="X invertible", X="n n inv",
    ),
    gradient(
        "trace-of-a-function", r"\operatorname{tr} F(X)", r"F'(X)^\top",
        lambda X: tr(_cubic(X)),
        lambda X: (3 * X @ X - 2 * eye(len(X))).T,
        "MC section 2.5, the rule before (99)", conditions="F(t) = t³ - 2t is checked", X="n n",
    ),
    gradient(
        "trace-of-the-exponential", r"\operatorname{tr} e^X", r"(e^X)^\top",
        lambda X: tr(expm(X)),
        lambda X: jax.scipy.linalg.expm(X).T,
        "WP; MC section 2.5", key="C38", X="n n inv",
    ),
    gradient(
        "log-determinant-of-the-exponential", r"\log\det e^X", r"I",
        lambda X: jnp.linalg.slogdet(expm(X))[1],
        lambda X: eye(len(X)),
        "MC(502)", key="D27", X="n n inv",
    ),
    differential(
        "exponential-differential", r"e^X",
        r"\left[\exp \begin{pmatrix} X & \mathrm{d}X \\ 0 & X \end{pmatrix}\right]_{12}",
        lambda X: expm(X),
        lambda X, dX: _block_exponential(X, dX),
        "Van Loan (1978); Mathias (1996)", key="I01", X="n n inv",
    ),
    differential(
        "exponential-differential-as-an-integral", r"e^X",
        r"\int_0^1 e^{aX}\, \mathrm{d}X\, e^{(1-a) X}\, \mathrm{d}a",
        lambda X: expm(X),
        _exponential_integral,
        "WP; Higham (2008), section 10.2", key="I02",
        note="The integral is taken by quadrature of order 16.", X="n n inv",
    ),
    gradient(
        "inner-product-with-the-exponential", r"\operatorname{tr}(B^\top e^X)",
        r"L_{\exp}(X^\top, B) ="
        r" \left[\exp \begin{pmatrix} X^\top & B \\ 0 & X^\top \end{pmatrix}\right]_{12}",
        lambda X, B: tr(B.T @ expm(X)),
        lambda X, B: _block_exponential(X.T, B),
        "Higham (2008), chapter 10", key="I03", X="n n inv", B="n n",
    ),
    vjp(
        "exponential-adjoint", r"e^X", r"L_{\exp}(X^\top, \bar{C})",
        lambda X: expm(X),
        lambda X, Cbar: _block_exponential(X.T, Cbar),
        "Giles (2008); Higham (2008), chapter 10", key="I16", X="n n inv",
    ),
    jacobian(
        "exponential-along-a-line", r"e^{tA}", r"\operatorname{vec}(Ae^{tA})",
        lambda t, A: expm(t * A),
        lambda t, A: vec(A @ expm(t * A)),
        "MC(500); WP", key="I04", t="", A="n n small",
    ),
    gradient(
        "trace-of-the-exponential-along-a-line", r"\operatorname{tr} e^{tA}",
        r"\operatorname{tr}(Ae^{tA})",
        lambda t, A: tr(expm(t * A)),
        lambda t, A: tr(A @ expm(t * A)),
        "MC(501); WP", key="I05", t="", A="n n small",
    ),
    gradient(
        "Helmholtz-free-energy", r"\log \operatorname{tr} e^X",
        r"\left(\frac{e^X}{\operatorname{tr} e^X}\right)^\top",
        lambda X: jnp.log(tr(expm(X))),
        lambda X: (expm(X) / tr(expm(X))).T,
        "WP with the chain rule", key="H09", X="n n inv",
    ),
    differential(
        "logarithm-differential", r"\log X",
        r"Q \left(F \circ (Q^\top \mathrm{d}X\, Q)\right) Q^\top,"
        r" \quad F_{ij} = \log[\lambda_i, \lambda_j]",
        lambda X: _logm(X),
        lambda X, dX: _daleckii_krein(jnp.log, lambda w: 1 / w, X, dX),
        "Daleckii and Krein (1965); Higham (2008), theorem 3.11", key="I07",
        conditions="X = QΛQ' symmetric positive definite; F of divided differences", X="n n apart",
    ),
    differential(
        "logarithm-differential-as-an-integral", r"\log X",
        r"\int_0^\infty (X + zI)^{-1}\, \mathrm{d}X\, (X + zI)^{-1}\, \mathrm{d}z",
        lambda X: _logm(X),
        _logarithm_integral,
        "WP; Higham (2008), chapter 11", key="I08", conditions="X symmetric positive definite",
        note="The integral is taken in t = z / (1 + z), by quadrature of order 16.", X="n n apart",
    ),
    gradient(
        "inner-product-with-the-logarithm", r"\operatorname{tr}(A \log X)",
        r"Q \left(F \circ (Q^\top AQ)\right) Q^\top, \quad F_{ij} = \log[\lambda_i, \lambda_j]",
        lambda X, A: tr(A @ _logm(X)),
        lambda X, A: _daleckii_krein(jnp.log, lambda w: 1 / w, X, A),
        "derived", key="I09", conditions="X symmetric positive definite, A symmetric",
        X="n n apart", A="n n sym",
    ),
    gradient(
        "trace-of-the-logarithm", r"\operatorname{tr} \log X = \log\det X", r"X^{-1}",
        lambda X: tr(_logm(X)),
        lambda X: inv(X),
        "MC(57)", conditions="X symmetric positive definite", X="n n apart",
    ),
    differential(
        "square-root-differential", r"S = X^{1/2}",
        r"\mathrm{d}S \text{ with } S\, \mathrm{d}S + \mathrm{d}S\, S = \mathrm{d}X",
        lambda X: _sqrtm(X),
        lambda X, dX: _sylvester(_sqrtm(X), sym(dX)),
        "Higham (2008), chapter 6", key="I10", conditions="X symmetric positive definite",
        X="n n apart",
    ),
    vjp(
        "square-root-adjoint", r"S = X^{1/2}",
        r"Z \text{ with } SZ + ZS = \tfrac12 (\bar{C} + \bar{C}^\top)",
        lambda X: _sqrtm(X),
        lambda X, Cbar: _sylvester(_sqrtm(X), sym(Cbar)),
        "derived", conditions="X symmetric positive definite", X="n n apart",
    ),
    gradient(
        "trace-of-the-square-root", r"\operatorname{tr} X^{1/2}", r"\tfrac12 X^{-1/2}",
        lambda X: tr(_sqrtm(X)),
        lambda X: inv(_sqrtm(X)) / 2,
        "MC section 2.5", conditions="X symmetric positive definite", X="n n apart",
    ),
    identity(
        "exponential-of-a-Kronecker-sum", r"\exp(A \oplus B)", r"e^A \otimes e^B",
        lambda A, B: expm(kron(A, eye(len(B))) + kron(eye(len(A)), B)),
        lambda A, B: kron(expm(A), expm(B)),
        "Higham (2008), section 10.1", A="m m", B="q q",
    ),
)

OPERATIONS = family(
    "functions",
    operation("matrix_power", lambda X: X @ X @ X, lambda power, X: power(X, 3), X="m m"),
    operation(
        "matrix_power", lambda X: inv(X) @ inv(X), lambda power, X: power(X, -2), X="m m inv"
    ),
    operation("expm", lambda X: expm(X), X="m m inv"),
    operation("expm", lambda X: expm(sym(X)), assume_a="sym", X="m m apart"),
    operation("logm", _logarithm_near_one, _near_one, X="m m small"),
    operation("logm", lambda X: _logm(X), assume_a="pos", X="m m apart"),
    operation("sqrtm", _square_root_near_one, _near_one, X="m m small"),
    operation("sqrtm", lambda X: _sqrtm(X), assume_a="pos", X="m m apart"),
)
# fmt: on
