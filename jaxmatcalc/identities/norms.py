"""Identities of the nuclear and spectral norms, of other norms, and of singular values."""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import eye
from jaxmatcalc.identities.record import (
    differential,
    family,
    gradient,
    jacobian,
    operation,
    vjp,
)

outer, norm = jnp.outer, jnp.linalg.norm


def _svd(X):
    return jnp.linalg.svd(X, full_matrices=False)


def _singular_values(X):
    return jnp.linalg.svd(X, compute_uv=False)


def _schatten_gradient(X):
    U, s, Vt = _svd(X)
    return (U * (s**2 / jnp.sum(s**3) ** (2 / 3))) @ Vt


def _condition_gradient(X):
    U, s, Vt = _svd(X)
    return outer(U[:, 0], Vt[0]) / s[-1] - s[0] / s[-1] ** 2 * outer(U[:, -1], Vt[-1])


def _singular_values_differential(X, dX):
    U, _, Vt = _svd(X)
    return jnp.diag(U.T @ dX @ Vt.T)


# fmt: off
IDENTITIES = family(
    "norms",
    gradient(
        "distance", r"\|x - a\|_2", r"\frac{x - a}{\|x - a\|_2}",
        lambda x, a: norm(x - a),
        lambda x, a: (x - a) / jnp.sqrt((x - a) @ (x - a)),
        "MC(129); WP", conditions="x ≠ a", key="A08", x="n", a="n",
    ),
    jacobian(
        "unit-vector-towards-x", r"\frac{x - a}{\|x - a\|_2}",
        r"\frac{I}{\|x - a\|_2} - \frac{(x - a)(x - a)^\top}{\|x - a\|_2^3}",
        lambda x, a: (x - a) / norm(x - a),
        lambda x, a: (
            eye(len(x)) / jnp.sqrt((x - a) @ (x - a))
            - outer(x - a, x - a) / ((x - a) @ (x - a)) ** 1.5
        ),
        "MC(130)", conditions="x ≠ a", x="n", a="n",
    ),
    gradient(
        "length-of-a-residual", r"\|Ax - b\|_2", r"\frac{A^\top (Ax - b)}{\|Ax - b\|_2}",
        lambda x, A, b: norm(A @ x - b),
        lambda x, A, b: A.T @ (A @ x - b) / jnp.sqrt((A @ x - b) @ (A @ x - b)),
        "MC(129) with the chain rule", conditions="Ax ≠ b", key="A15", x="n", A="p n", b="p",
    ),
    gradient(
        "sum-of-absolute-values", r"\|x\|_1", r"\operatorname{sign}(x)",
        lambda x: jnp.sum(jnp.abs(x)),
        lambda x: jnp.sign(x),
        "MC(525)", conditions="no zero in x", key="A22", x="n nonzero",
    ),
    gradient(
        "p-norm", r"\|x\|_p", r"\frac{\operatorname{sign}(x) \circ |x|^{p-1}}{\|x\|_p^{p-1}}",
        lambda x: norm(x, 3),
        lambda x: jnp.sign(x) * jnp.abs(x) ** 2 / jnp.sum(jnp.abs(x) ** 3) ** (2 / 3),
        "MC(527), derived", conditions="p > 1, no zero in x; p = 3 is checked", key="A23",
        x="n nonzero",
    ),
    gradient(
        "sum-of-row-lengths", r"\|X\|_{2,1} = \textstyle\sum_i \|X_{i:}\|_2",
        r"D^{-1} X, \quad D = \operatorname{diag}(\|X_{i:}\|_2)",
        lambda X: jnp.sum(jnp.linalg.norm(X, axis=1)),
        lambda X: X / jnp.sqrt(jnp.sum(X * X, axis=1))[:, None],
        "derived", key="G15", conditions="no row zero", X="n m",
    ),
    gradient(
        "nuclear-norm", r"\|X\|_*", r"UV^\top, \quad X = U \Sigma V^\top",
        lambda X: jnp.sum(_singular_values(X)),
        lambda X: _svd(X)[0] @ _svd(X)[2],
        "Watson (1992)", key="G12", conditions="full rank", X="n m full",
    ),
    gradient(
        "spectral-norm", r"\|X\|_2", r"u_1 v_1^\top",
        lambda X: _singular_values(X)[0],
        lambda X: outer(_svd(X)[0][:, 0], _svd(X)[2][0]),
        "MC(538); Giles (2008)", key="G13", conditions="largest singular value simple",
        X="n m full",
    ),
    gradient(
        "Schatten-norm", r"\|X\|_{S_p}",
        r"U \operatorname{diag}\left(\frac{\sigma^{p-1}}{\|X\|_{S_p}^{p-1}}\right) V^\top",
        lambda X: jnp.sum(_singular_values(X) ** 3) ** (1 / 3),
        _schatten_gradient,
        "Lewis (1995): spectral functions", key="G14", conditions="p = 3 is checked", X="n m full",
    ),
    gradient(
        "condition-number", r"\kappa_2(X) = \sigma_1 / \sigma_r",
        r"\frac{u_1 v_1^\top}{\sigma_r} - \frac{\sigma_1}{\sigma_r^2} u_r v_r^\top",
        lambda X: _singular_values(X)[0] / _singular_values(X)[-1],
        _condition_gradient,
        "derived", key="H11", conditions="extreme singular values simple", X="n m full",
    ),
    gradient(
        "Ky-Fan-norm", r"\sigma_1(X) + \sigma_2(X)", r"u_1 v_1^\top + u_2 v_2^\top",
        lambda X: jnp.sum(_singular_values(X)[:2]),
        lambda X: _svd(X)[0][:, :2] @ _svd(X)[2][:2],
        "Lewis (1995): spectral functions", conditions="σ₂ > σ₃", X="n m full-apart",
    ),
    gradient(
        "squared-spectral-norm", r"\|X\|_2^2 = \lambda_1(X^\top X)", r"2 \sigma_1 u_1 v_1^\top",
        lambda X: _singular_values(X)[0] ** 2,
        lambda X: 2 * X @ outer(_svd(X)[2][0], _svd(X)[2][0]),
        "derived from MC(67)", conditions="largest singular value simple", X="n m full-apart",
    ),
    differential(
        "singular-values-differential", r"\sigma(X)",
        r"\operatorname{diag}(U^\top \mathrm{d}X\, V), \quad X = U \Sigma V^\top",
        lambda X: _singular_values(X),
        _singular_values_differential,
        "Giles (2008)", conditions="singular values simple and not 0", X="n m full-apart",
    ),
    vjp(
        "singular-values-adjoint", r"\sigma(X)", r"U \operatorname{diag}(\bar{C}) V^\top",
        lambda X: _singular_values(X),
        lambda X, Cbar: (_svd(X)[0] * Cbar) @ _svd(X)[2],
        "Giles (2008)", key="M15", conditions="singular values simple and not 0",
        X="n m full-apart",
    ),
)

OPERATIONS = family(
    "norms",
    operation("nuclear_norm", lambda X: jnp.sum(_singular_values(X)), X="m q full-apart"),
    operation("spectral_norm", lambda X: _singular_values(X)[0], X="m q full-apart"),
)
# fmt: on
