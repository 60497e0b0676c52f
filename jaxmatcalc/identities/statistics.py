"""Identities of likelihoods and other functions of statistics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import softmax

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import duplication, eye
from jaxmatcalc.identities.record import (
    family,
    gradient,
    hessian,
    second_differential,
    symmetric_gradient,
    vech_hessian,
)

inv, kron, outer, tr = jnp.linalg.inv, jnp.kron, jnp.outer, jnp.trace
logsumexp = jax.scipy.special.logsumexp


def _logdet(X):
    return jnp.linalg.slogdet(X)[1]


def _gaussian(x, μ, Σ):
    return -0.5 * _logdet(Σ) - 0.5 * (x - μ) @ inv(Σ) @ (x - μ)


def _precision_loss(Θ, S):
    return -_logdet(Θ) + tr(S @ Θ)


def _ridge_precision_loss(Θ, S):
    return -_logdet(Θ) + tr(S @ Θ) + 0.5 * jnp.sum(Θ * Θ)


def _covariance_loss(Σ, C):
    return 0.5 * _logdet(Σ) + 0.5 * tr(inv(Σ) @ C)


def _covariance_second_differential(Σ, C, dX):
    R = inv(Σ) @ dX
    return tr(R @ R @ inv(Σ) @ C) - 0.5 * tr(R @ R)


def _matrix_normal(M, X, U, V):
    return -0.5 * tr(inv(V) @ (X - M).T @ inv(U) @ (X - M))


def _matrix_t(M, X, U, V):
    return -4.5 * _logdet(eye(len(U)) + inv(U) @ (X - M) @ inv(V) @ (X - M).T)


def _logistic(w, X, y):
    return jnp.sum(jnp.logaddexp(0, -y * (X @ w)))


def _sigmoid(t):
    return 1 / (1 + jnp.exp(-t))


def _multinomial(W, X, Y):
    logits = X @ W.T
    return jnp.sum(logsumexp(logits, axis=1)) - jnp.sum(Y * logits)


def _multinomial_hessian(W, X, Y):
    P = softmax(X @ W.T, axis=1)
    return sum(kron(outer(x, x), jnp.diag(p) - outer(p, p)) for x, p in zip(X, P, strict=True))


def _student(x, Σ):
    return -3.5 * jnp.log1p(x @ inv(Σ) @ x / 3)


# fmt: off
IDENTITIES = family(
    "statistics",
    gradient(
        "Gaussian-likelihood-in-the-mean", r"\log N(x; \mu, \Sigma)", r"\Sigma^{-1} (x - \mu)",
        lambda μ, x, Σ: _gaussian(x, μ, Σ),
        lambda μ, x, Σ: inv(Σ) @ (x - μ),
        "MC section 8; Minka", key="L01", μ="n", x="n", Σ="n n spd",
    ),
    hessian(
        "Gaussian-likelihood-in-the-mean-hessian", r"\log N(x; \mu, \Sigma)", r"-\Sigma^{-1}",
        lambda μ, x, Σ: _gaussian(x, μ, Σ),
        lambda μ, x, Σ: -inv(Σ),
        "MC section 8", key="L03", μ="n", x="n", Σ="n n spd",
    ),
    symmetric_gradient(
        "Gaussian-likelihood-in-the-covariance", r"\log N(x; \mu, \Sigma)",
        r"-\tfrac12 \left(\Sigma^{-1} - \Sigma^{-1} (x - \mu)(x - \mu)^\top \Sigma^{-1}\right)",
        lambda Σ, x, μ: _gaussian(x, μ, Σ),
        lambda Σ, x, μ: -0.5 * (inv(Σ) - outer(inv(Σ) @ (x - μ), inv(Σ) @ (x - μ))),
        "MC(57), (61)", key="L02", Σ="n n spd", x="n", μ="n",
    ),
    gradient(
        "Gaussian-process-evidence-in-the-kernel-matrix",
        r"\tfrac12 y^\top S^{-1} y + \tfrac12 \log\det S",
        r"\tfrac12 (S^{-1} - \alpha\alpha^\top), \quad \alpha = S^{-1} y",
        lambda S, y: 0.5 * y @ jnp.linalg.solve(S, y) + 0.5 * _logdet(S),
        lambda S, y: 0.5 * (inv(S) - outer(inv(S) @ y, inv(S) @ y)),
        "Rasmussen and Williams (2006), (5.9)", conditions="S symmetric positive definite",
        S="n n spd", y="n",
    ),
    gradient(
        "precision-matrix-likelihood", r"-\log|\det\Theta| + \operatorname{tr}(S\Theta)",
        r"S^\top - \Theta^{-\top}",
        _precision_loss,
        lambda Θ, S: S.T - inv(Θ).T,
        "MC(57), (100)", Θ="n n spd", S="n n spd",
    ),
    hessian(
        "precision-matrix-likelihood-hessian",
        r"-\log|\det\Theta| + \operatorname{tr}(S\Theta)",
        r"K_{nn} (\Theta^{-\top} \otimes \Theta^{-1})",
        _precision_loss,
        lambda Θ, S: K(*Θ.shape) @ kron(inv(Θ).T, inv(Θ)),
        "MN ch. 10", structure="kronecker+commutation", Θ="n n spd", S="n n spd",
    ),
    hessian(
        "regularised-precision-matrix-likelihood-hessian",
        r"-\log|\det\Theta| + \operatorname{tr}(S\Theta) + \tfrac12 \|\Theta\|_F^2",
        r"K_{nn} (\Theta^{-\top} \otimes \Theta^{-1}) + I",
        _ridge_precision_loss,
        lambda Θ, S: K(*Θ.shape) @ kron(inv(Θ).T, inv(Θ)) + eye(Θ.size),
        "derived", Θ="n n spd", S="n n spd",
    ),
    gradient(
        "Stein-loss",
        r"\operatorname{tr}(R^{-1} \Sigma) - \log\det(R^{-1} \Sigma)",
        r"R^{-1} - \Sigma^{-1}",
        lambda Σ, R: tr(inv(R) @ Σ) - _logdet(inv(R) @ Σ),
        lambda Σ, R: inv(R) - inv(Σ),
        "derived: twice the divergence of two centred Gaussians", key="L05",
        conditions="both symmetric positive definite", Σ="n n spd", R="n n spd",
    ),
    symmetric_gradient(
        "Gaussian-divergence-in-the-second-covariance",
        r"\tfrac12 \left[\operatorname{tr}(\Sigma^{-1} C) + \log\det\Sigma\right]",
        r"\tfrac12 (\Sigma^{-1} - \Sigma^{-1} C \Sigma^{-1})",
        _covariance_loss,
        lambda Σ, C: 0.5 * (inv(Σ) - inv(Σ) @ C @ inv(Σ)),
        "MC(57), (124)", Σ="n n spd", C="n n spd",
    ),
    second_differential(
        "Gaussian-likelihood-in-the-covariance-second-differential",
        r"\tfrac12 \log\det\Sigma + \tfrac12 \operatorname{tr}(\Sigma^{-1} C)",
        r"\operatorname{tr}(\Sigma^{-1} \mathrm{d}\Sigma\, \Sigma^{-1} \mathrm{d}\Sigma\,"
        r" \Sigma^{-1} C)"
        r" - \tfrac12 \operatorname{tr}(\Sigma^{-1} \mathrm{d}\Sigma\, \Sigma^{-1}"
        r" \mathrm{d}\Sigma)",
        _covariance_loss,
        _covariance_second_differential,
        "MN ch. 15", key="L06", Σ="n n spd", C="n n spd",
    ),
    vech_hessian(
        "Fisher-information-of-a-covariance",
        r"\operatorname{E}_{\Sigma}[-\log N] = \tfrac12 \log\det\Sigma"
        r" + \tfrac12 \operatorname{tr}(\Sigma^{-1} \Sigma_0)",
        r"\tfrac12 D_n^\top (\Sigma^{-1} \otimes \Sigma^{-1}) D_n",
        _covariance_loss,
        lambda Σ, C: 0.5 * duplication(len(Σ)).T @ kron(inv(Σ), inv(Σ)) @ duplication(len(Σ)),
        "MN ch. 15", key="L07", conditions="Σ₀ held fixed, at Σ = Σ₀",
        Σ="n n spd", C="n n same",
    ),
    gradient(
        "Wishart-density", r"\tfrac{\nu - n - 1}{2} \log\det X"
        r" - \tfrac12 \operatorname{tr}(V^{-1} X)",
        r"\tfrac{\nu - n - 1}{2} X^{-\top} - \tfrac12 V^{-\top}",
        lambda X, V: (7 - len(X) - 1) / 2 * _logdet(X) - tr(inv(V) @ X) / 2,
        lambda X, V: (7 - len(X) - 1) / 2 * inv(X).T - inv(V).T / 2,
        "MC(57), (100) on the density of MC section 8", conditions="ν = 7 is checked",
        X="n n spd", V="n n spd",
    ),
    gradient(
        "inverse-Wishart-density",
        r"-\tfrac{\nu + n + 1}{2} \log\det X - \tfrac12 \operatorname{tr}(\Psi X^{-1})",
        r"-\tfrac{\nu + n + 1}{2} X^{-\top} + \tfrac12 (X^{-1} \Psi X^{-1})^\top",
        lambda X, Ψ: -(7 + len(X) + 1) / 2 * _logdet(X) - tr(Ψ @ inv(X)) / 2,
        lambda X, Ψ: -(7 + len(X) + 1) / 2 * inv(X).T + (inv(X) @ Ψ @ inv(X)).T / 2,
        "derived from MC(57), (124)", conditions="ν = 7 is checked", X="n n spd", Ψ="n n spd",
    ),
    hessian(
        "Wishart-density-hessian", r"\tfrac{\nu - n - 1}{2} \log\det X"
        r" - \tfrac12 \operatorname{tr}(V^{-1} X)",
        r"-\tfrac{\nu - n - 1}{2} K_{nn} (X^{-\top} \otimes X^{-1})",
        lambda X, V: (7 - len(X) - 1) / 2 * _logdet(X) - tr(inv(V) @ X) / 2,
        lambda X, V: -(7 - len(X) - 1) / 2 * K(*X.shape) @ kron(inv(X).T, inv(X)),
        "MN ch. 10", conditions="ν = 7 is checked", structure="kronecker+commutation",
        X="n n spd", V="n n spd",
    ),
    gradient(
        "matrix-normal-density-in-the-mean",
        r"-\tfrac12 \operatorname{tr}(V^{-1} (X - M)^\top U^{-1} (X - M))",
        r"U^{-1} (X - M) V^{-1}",
        _matrix_normal,
        lambda M, X, U, V: inv(U) @ (X - M) @ inv(V),
        "MC(117)", conditions="U, V symmetric", M="n m", X="n m", U="n n spd", V="m m spd",
    ),
    hessian(
        "matrix-normal-density-in-the-mean-hessian",
        r"-\tfrac12 \operatorname{tr}(V^{-1} (X - M)^\top U^{-1} (X - M))",
        r"-V^{-1} \otimes U^{-1}",
        _matrix_normal,
        lambda M, X, U, V: -kron(inv(V), inv(U)),
        "MC(117); MN ch. 10", conditions="U, V symmetric",
        M="n m", X="n m", U="n n spd", V="m m spd",
    ),
    symmetric_gradient(
        "matrix-normal-density-in-the-row-covariance",
        r"-\tfrac{m}{2} \log\det U"
        r" - \tfrac12 \operatorname{tr}(V^{-1} (X - M)^\top U^{-1} (X - M))",
        r"-\tfrac{m}{2} U^{-1} + \tfrac12 U^{-1} (X - M) V^{-1} (X - M)^\top U^{-1}",
        lambda U, M, X, V: -X.shape[1] / 2 * _logdet(U) + _matrix_normal(M, X, U, V),
        lambda U, M, X, V: (
            -X.shape[1] / 2 * inv(U)
            + inv(U) @ (X - M) @ inv(V) @ (X - M).T @ inv(U) / 2
        ),
        "derived from MC(57), (124)", U="n n spd", M="n m", X="n m", V="m m spd",
    ),
    gradient(
        "matrix-t-density-in-the-mean",
        r"-\tfrac{\nu + n + m - 1}{2}"
        r" \log\det\left(I + U^{-1} (X - M) V^{-1} (X - M)^\top\right)",
        r"(\nu + n + m - 1) \left(U + (X - M) V^{-1} (X - M)^\top\right)^{-1} (X - M) V^{-1}",
        _matrix_t,
        lambda M, X, U, V: 9 * inv(U + (X - M) @ inv(V) @ (X - M).T) @ (X - M) @ inv(V),
        "derived from MC(53)", conditions="U, V symmetric; n = 4, m = 3, ν = 3 is checked",
        M="n m", X="n m", U="n n spd", V="m m spd",
    ),
    gradient(
        "Student-density",
        r"-\tfrac{\nu + n}{2} \log\left(1 + \frac{1}{\nu} x^\top \Sigma^{-1} x\right)",
        r"-\frac{(\nu + n)\, \Sigma^{-1} x}{\nu + x^\top \Sigma^{-1} x}",
        _student,
        lambda x, Σ: -7 * inv(Σ) @ x / (3 + x @ inv(Σ) @ x),
        "derived", conditions="n = 4, ν = 3 is checked", x="n", Σ="n n spd",
    ),
    gradient(
        "logistic-regression", r"\textstyle\sum_i \log(1 + e^{-y_i (Xw)_i})",
        r"-X^\top \left(y \circ \sigma(-y \circ Xw)\right)",
        _logistic,
        lambda w, X, y: -X.T @ (y * _sigmoid(-y * (X @ w))),
        "Laue, Mitterreiter and Giesen (2018)", key="A27", conditions="y of ±1",
        w="n", X="p n", y="p sign",
    ),
    hessian(
        "logistic-regression-hessian", r"\textstyle\sum_i \log(1 + e^{-y_i (Xw)_i})",
        r"X^\top \operatorname{diag}(\sigma \circ (1 - \sigma)) X,"
        r" \quad \sigma = \sigma(y \circ Xw)",
        _logistic,
        lambda w, X, y: X.T @ jnp.diag(_sigmoid(y * (X @ w)) * _sigmoid(-y * (X @ w))) @ X,
        "Laue, Mitterreiter and Giesen (2018)", key="A28", conditions="y of ±1",
        w="n", X="p n", y="p sign",
    ),
    gradient(
        "multinomial-regression",
        r"\textstyle\sum_i \operatorname{lse}(Wx_i) - y_i^\top Wx_i", r"(P - Y)^\top X",
        _multinomial,
        lambda W, X, Y: (softmax(X @ W.T, axis=1) - Y).T @ X,
        "derived", key="G20", conditions="p_i = softmax(Wx_i)",
        W="m n", X="p n", Y="p m simplex",
    ),
    hessian(
        "multinomial-regression-hessian",
        r"\textstyle\sum_i \operatorname{lse}(Wx_i) - y_i^\top Wx_i",
        r"\textstyle\sum_i x_i x_i^\top \otimes (\operatorname{diag} p_i - p_i p_i^\top)",
        _multinomial,
        _multinomial_hessian,
        "derived", key="G19", conditions="p_i = softmax(Wx_i)",
        W="m n", X="p n", Y="p m simplex",
    ),
)
# fmt: on
