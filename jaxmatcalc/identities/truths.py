"""True derivatives at special points, in NumPy: from minors and from exact divided differences."""

from __future__ import annotations

import numpy as np


def determinant(X: np.ndarray) -> float:
    """Return the determinant by expansion along the first row: exact for small integers.

    >>> determinant(np.array([[1.0, 2.0], [3.0, 4.0]]))
    -2.0
    """
    if not len(X):
        return 1.0
    return float(sum((-1) ** j * X[0, j] * determinant(_minor(X, 0, j)) for j in range(len(X))))


def determinant_gradient(X: np.ndarray) -> np.ndarray:
    """Return the cofactors of ``X``."""
    G = np.zeros(X.shape)
    for i, j in np.ndindex(X.shape):
        G[i, j] = (-1) ** (i + j) * determinant(_minor(X, i, j))
    return G


def determinant_hessian(X: np.ndarray) -> np.ndarray:
    """Return ∂²det X / ∂X_ij ∂X_kl: the cofactors of the minors of ``X``."""
    n = len(X)
    H = np.zeros((n, n, n, n))
    for i, j in np.ndindex(X.shape):
        others = np.delete(np.arange(n), i), np.delete(np.arange(n), j)
        H[i, j][np.ix_(*others)] = (-1) ** (i + j) * determinant_gradient(_minor(X, i, j))
    return H


def _minor(X: np.ndarray, i: int, j: int) -> np.ndarray:
    return np.delete(np.delete(X, i, 0), j, 1)


def root_differences(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the divided differences √[wᵢ, wⱼ] and √[wᵢ, wⱼ, wₖ].

    They are 1/(sᵢ + sⱼ) and -1/((sᵢ + sⱼ)(sⱼ + sₖ)(sₖ + sᵢ)) for s = √w, without a difference: as
    exact where eigenvalues are equal as elsewhere. They are computed in long double.

    >>> [float(F.max()) for F in root_differences(np.array([4.0, 4.0]))]
    [0.25, -0.015625]
    """
    s = np.sqrt(w.astype(np.longdouble))
    sums = s[:, None] + s
    return 1 / sums, -1 / (sums[:, :, None] * sums * sums[:, None, :])


def root_gradient(w: np.ndarray, Q: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Return the gradient of tr(A √X) at the symmetric X = Q diag(w) Qᵀ: Daleckii and Krein."""
    rotated = Q.T @ (A + A.T) @ Q / 2
    return np.asarray(Q @ (root_differences(w)[0] * rotated) @ Q.T, float)


def root_hessian(w: np.ndarray, Q: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Return the Hessian of tr(A √X), X ↦ (X + Xᵀ)/2 included, at X = Q diag(w) Qᵀ."""
    rotated, F = Q.T @ (A + A.T) @ Q / 2, root_differences(w)[1]
    # In the basis of eigenvectors the form is Σ A_ki F_ijk (E_ij E'_jk + E'_ij E_jk).
    form = np.einsum("ki,ijk,jl->ijlk", rotated, F, np.eye(len(w)))
    form = form + form.transpose(2, 3, 0, 1)
    form = form + form.transpose(1, 0, 2, 3)
    form = (form + form.transpose(0, 1, 3, 2)) / 4
    return np.asarray(np.einsum("ai,bj,ck,dl,ijkl->abcd", Q, Q, Q, Q, form), float)
