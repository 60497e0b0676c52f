"""Identities where the variable has a structure: symmetric, diagonal, triangular, Toeplitz, skew.

For a symmetric variable two conventions are in use, and they differ. The gradient in the Frobenius
inner product is the symmetric part of the unrestricted gradient G. The derivatives in the
independent entries, ``vech X``, form G + Gᵀ - G ∘ I; they count each off-diagonal entry twice.
"""

from __future__ import annotations

import jax.numpy as jnp

from jaxmatcalc.identities.conventions import commutation as K
from jaxmatcalc.identities.conventions import duplication, eye, sym
from jaxmatcalc.identities.record import (
    family,
    gradient,
    hessian,
    identity,
    jacobian,
    operation,
    symmetric_gradient,
    vech_gradient,
    vech_hessian,
    vech_jacobian,
)

det, inv, pinv = jnp.linalg.det, jnp.linalg.inv, jnp.linalg.pinv
kron, outer, tr, tril = jnp.kron, jnp.outer, jnp.trace, jnp.tril


def _logdet(X):
    return jnp.linalg.slogdet(X)[1]


def _symmetric_kronecker(A):
    """Return ``D⁺ (A ⊗ A) D``, which takes vech S to vech(ASAᵀ)."""
    D = duplication(len(A))
    return pinv(D.astype(A.dtype)) @ kron(A, A) @ D


def _symmetrised_hessian(X):
    N = (eye(X.size) + K(*X.shape)) / 2
    return -N @ kron(inv(sym(X)), inv(sym(X))) @ N


def _toeplitz(t):
    """Return the matrix with T_ij = t_(i-j+n-1) for the 2n - 1 entries of t."""
    n = (len(t) + 1) // 2
    return t[jnp.arange(n)[:, None] - jnp.arange(n) + n - 1]


def _symmetric_toeplitz(t):
    return t[jnp.abs(jnp.arange(len(t))[:, None] - jnp.arange(len(t)))]


def _diagonal_sums(A):
    """Return the sums of ``A`` along each diagonal, from the upper right to the lower left."""
    n = len(A)
    return jnp.stack([jnp.trace(A, k) for k in range(n - 1, -n, -1)])


def _folded_diagonal_sums(A):
    sums, n = _diagonal_sums(A), len(A)
    return jnp.concatenate([sums[n - 1 : n], sums[n:] + sums[: n - 1][::-1]])


def _loss(X, A):
    """Return a function of the covariance X whose gradient is A - X⁻¹."""
    return jnp.sum(A * X) - _logdet(X)


# fmt: off
IDENTITIES = family(
    "structured",
    symmetric_gradient(
        "log-determinant-of-a-symmetric-matrix", r"\log\det X", r"X^{-1}",
        lambda X: _logdet(X),
        lambda X: inv(X),
        "Srinivasan and Panda, arXiv:1911.06491",
        note="The gradient in the Frobenius inner product on symmetric matrices is sym(∇f).",
        key="K05", X="n n spd",
    ),
    vech_gradient(
        "log-determinant-in-the-independent-entries", r"\log\det X", r"2X^{-1} - X^{-1} \circ I",
        lambda X: _logdet(X),
        lambda X: 2 * inv(X) - inv(X) * eye(len(X)),
        "MC(141)",
        note="Derivatives in the free entries; it is not the gradient in an inner product.",
        key="K01", X="m m spd",
    ),
    vech_gradient(
        "determinant-in-the-independent-entries", r"\det X",
        r"\det(X) (2X^{-1} - X^{-1} \circ I)",
        lambda X: det(X),
        lambda X: det(X) * (2 * inv(X) - inv(X) * eye(len(X))),
        "MC(140)", key="K02", X="m m spd",
    ),
    vech_hessian(
        "log-determinant-in-the-independent-entries-hessian", r"\log\det X",
        r"-D_n^\top (X^{-1} \otimes X^{-1}) D_n",
        lambda X: _logdet(X),
        lambda X: -duplication(len(X)).T @ kron(inv(X), inv(X)) @ duplication(len(X)),
        "MN ch. 10", key="K06", X="m m spd",
    ),
    gradient(
        "log-determinant-with-a-variable-diagonal", r"\log\det(A + \operatorname{diag} x)",
        r"\operatorname{diag}\left((A + \operatorname{diag} x)^{-1}\right)",
        lambda x, A: _logdet(A + jnp.diag(x)),
        lambda x, A: jnp.diag(inv(A + jnp.diag(x))),
        "derived", key="D22", x="n pos", A="n n spd",
    ),
    hessian(
        "log-determinant-with-a-variable-diagonal-hessian",
        r"\log\det(A + \operatorname{diag} x)",
        r"-P \circ P^\top, \quad P = (A + \operatorname{diag} x)^{-1}",
        lambda x, A: _logdet(A + jnp.diag(x)),
        lambda x, A: -inv(A + jnp.diag(x)) * inv(A + jnp.diag(x)).T,
        "derived", x="n pos", A="n n spd",
    ),
    vech_gradient(
        "trace-of-AXinv-in-the-independent-entries", r"\operatorname{tr}(AX^{-1})",
        r"G + G^\top - G \circ I, \quad G = -X^{-1} A^\top X^{-1}",
        lambda X, A: tr(A @ inv(X)),
        lambda X, A: -(inv(X) @ (A + A.T) @ inv(X)) + (inv(X) @ A @ inv(X)) * eye(len(X)),
        "MC(138)", key="K04", conditions="X symmetric and invertible", X="m m spd", A="m m",
    ),
    vech_jacobian(
        "congruence-of-a-symmetric-matrix", r"AXA^\top", r"D_n^+ (A \otimes A) D_n",
        lambda X, A: A @ X @ A.T,
        lambda X, A: _symmetric_kronecker(A),
        "MN ch. 3", key="K07", conditions="X symmetric", X="n n spd", A="n n inv",
    ),
    vech_gradient(
        "trace-of-AX-in-the-independent-entries", r"\operatorname{tr}(AX)",
        r"A + A^\top - A \circ I",
        lambda X, A: jnp.trace(A @ X),
        lambda X, A: A + A.T - A * eye(len(A)),
        "MC(139)", key="K03", conditions="X symmetric", X="n n sym", A="n n",
    ),
    gradient(
        "symmetric-part-chain-rule", r"f\left(\tfrac12 (X + X^\top)\right)",
        r"\operatorname{sym}(G), \quad G = \nabla f",
        lambda X, A: tr(A @ sym(X) @ sym(X)),
        lambda X, A: sym((A @ sym(X) + sym(X) @ A).T),
        "Srinivasan and Panda, arXiv:1911.06491", conditions="f(S) = tr(AS²) is checked",
        X="n n", A="n n",
    ),
    hessian(
        "log-determinant-on-symmetric-directions-hessian",
        r"\log\det \tfrac12 (X + X^\top)",
        r"-N (X^{-1} \otimes X^{-1}) N, \quad N = \tfrac12 (I + K_{nn})",
        lambda X: _logdet(sym(X)),
        _symmetrised_hessian,
        "MN ch. 10; MN ch. 3 for N", conditions="at a symmetric X", X="n n spd",
    ),
    symmetric_gradient(
        "quadratic-form-of-a-symmetric-matrix", r"a^\top Xb", r"\tfrac12 (ab^\top + ba^\top)",
        lambda X, a, b: a @ X @ b,
        lambda X, a, b: sym(outer(a, b)),
        "derived from MC(70)", X="n n sym", a="n", b="n",
    ),
    jacobian(
        "symmetric-part", r"\tfrac12 (X + X^\top)", r"N = \tfrac12 (I + K_{nn})",
        lambda X: sym(X),
        lambda X: (eye(X.size) + K(*X.shape)) / 2,
        "MN ch. 3", X="n n",
    ),
    gradient(
        "skew-symmetric-chain-rule", r"f(X - X^\top)", r"G - G^\top, \quad G = \nabla f",
        lambda X, A: _logdet(A + X - X.T),
        lambda X, A: inv(A + X - X.T).T - inv(A + X - X.T),
        "chain rule", conditions="f(W) = log|det(A + W)| is checked", X="n n small", A="n n spd",
    ),
    gradient(
        "trace-with-a-diagonal-variable", r"\operatorname{tr}(A \operatorname{diag} x)",
        r"\operatorname{diag}(A)",
        lambda x, A: tr(A @ jnp.diag(x)),
        lambda x, A: jnp.diag(A),
        "MC(142)", x="n", A="n n",
    ),
    gradient(
        "diagonal-similarity-least-squares", r"\|B \operatorname{diag}(x) A - C\|_F^2",
        r"2 \operatorname{diag}\left(B^\top (B \operatorname{diag}(x) A - C) A^\top\right)",
        lambda x, A, B, C: jnp.sum((B * x @ A - C) ** 2),
        lambda x, A, B, C: 2 * jnp.diag(B.T @ (B * x @ A - C) @ A.T),
        "chain rule", x="n", A="n m", B="p n", C="p m",
    ),
    gradient(
        "lower-triangular-factor-of-a-covariance", r"f(LL^\top), \quad L = \operatorname{tril} X",
        r"\operatorname{tril}\left((G + G^\top) L\right), \quad G = \nabla f",
        lambda X, A: _loss(tril(X) @ tril(X).T, A),
        lambda X, A: tril(2 * (sym(A) - inv(tril(X) @ tril(X).T)) @ tril(X)),
        "chain rule", key="J12", conditions="f(S) = tr(AS) - log det S is checked",
        X="n n spd", A="n n sym",
    ),
    gradient(
        "log-determinant-of-a-triangular-variable", r"\log|\det \operatorname{tril} X|",
        r"\operatorname{diag}(1 / X_{ii})",
        lambda X: _logdet(tril(X)),
        lambda X: jnp.diag(1 / jnp.diag(X)),
        "derived from MC(57)", conditions="no zero on the diagonal", X="n n spd",
    ),
    gradient(
        "trace-with-a-Toeplitz-variable", r"\operatorname{tr}(AT(t)), \quad T_{ij} = t_{i-j}",
        r"\left[\textstyle\sum_{i-j=k} A_{ji}\right]_{k=1-n}^{n-1}",
        lambda t, A: tr(A @ _toeplitz(t)),
        lambda t, A: _diagonal_sums(A.T),
        "MC(143)", conditions="n = 3 is checked", t="p", A="m m",
    ),
    gradient(
        "trace-with-a-symmetric-Toeplitz-variable",
        r"\operatorname{tr}(AT(t)), \quad T_{ij} = t_{|i-j|}",
        r"\left[\textstyle\sum_{|i-j|=k} A_{ij}\right]_{k=0}^{n-1}",
        lambda t, A: tr(A @ _symmetric_toeplitz(t)),
        lambda t, A: _folded_diagonal_sums(A),
        "MC(144)", t="m", A="m m",
    ),
    gradient(
        "log-determinant-of-a-symmetric-Toeplitz-variable",
        r"\log|\det(A + T(t))|, \quad T_{ij} = t_{|i-j|}",
        r"\left[\textstyle\sum_{|i-j|=k} P_{ij}\right]_{k=0}^{n-1}, \quad P = (A + T)^{-1}",
        lambda t, A: _logdet(A + _symmetric_toeplitz(t)),
        lambda t, A: _folded_diagonal_sums(inv(A + _symmetric_toeplitz(t))),
        "derived from MC(57)", conditions="A + T symmetric positive definite",
        t="m small", A="m m spd",
    ),
    vech_hessian(
        "squared-Frobenius-norm-in-the-independent-entries-hessian", r"\|X\|_F^2",
        r"2 D_n^\top D_n",
        lambda X: jnp.sum(X * X),
        lambda X: 2 * duplication(len(X)).T @ duplication(len(X)),
        "MN ch. 3", conditions="X symmetric", X="n n sym",
    ),
    vech_jacobian(
        "inverse-of-a-symmetric-matrix", r"X^{-1}",
        r"-D_n^+ (X^{-1} \otimes X^{-1}) D_n",
        lambda X: inv(X),
        lambda X: -_symmetric_kronecker(inv(X)),
        "MN ch. 9", conditions="X symmetric and invertible", X="m m spd",
    ),
    identity(
        "determinant-of-the-symmetric-Kronecker-square",
        r"\det\left(D_n^+ (A \otimes A) D_n\right)", r"\det(A)^{n+1}",
        lambda A: det(_symmetric_kronecker(A)),
        lambda A: det(A) ** (len(A) + 1),
        "MN ch. 3", key="K08", A="n n inv",
    ),
)

OPERATIONS = family(
    "structured",
    operation("symmetric", lambda X: (X + X.T) / 2, X="m m"),
)
# fmt: on
