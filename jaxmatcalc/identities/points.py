"""The special points: singular, badly scaled, with repeated eigenvalues."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from jaxmatcalc.identities.truths import determinant


def integer_matrices(n: int, inner: int | None = None) -> Iterator[np.ndarray]:
    """Yield random integer matrices, of rank ``inner`` at most where it is given."""
    rng = np.random.default_rng(0)
    while True:
        if inner is None:
            yield rng.integers(-2, 3, (n, n)).astype(float)
        else:
            yield (rng.integers(-2, 3, (n, inner)) @ rng.integers(-2, 3, (inner, n))).astype(float)


def singular(n: int, count: int) -> list[np.ndarray]:
    """Return singular integer matrices of order ``n``."""
    singular = (X for X in integer_matrices(n) if determinant(X) == 0)
    return list(itertools.islice(singular, count))


def of_rank(n: int, rank: int, count: int) -> list[np.ndarray]:
    """Return integer matrices of order ``n`` and this rank."""
    exact = (X for X in integer_matrices(n, rank) if np.linalg.matrix_rank(X) == rank)
    return list(itertools.islice(exact, count))


def zeroed_diagonals(_dtype: str) -> list[np.ndarray]:
    """Return matrices of which elimination meets a pivot of 0 at each place in turn."""
    places = np.diag([1.0, 2.0, 3.0, 4.0]) * (1 - np.eye(4))[:, None]
    return [*places, *places[:, ::-1]]


def scaled(dtype: str) -> list[np.ndarray]:
    """Return matrices of very large and very small entries."""
    power = 30 if dtype == "float32" else 150
    X = np.random.default_rng(1).standard_normal((4, 4))
    return [X * 10.0**power, X / 10.0**power]


def basis() -> np.ndarray:
    """Return the eigenvectors of the points of `nearly_repeated`."""
    return np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]


WEIGHT = np.array([[1.0, 2.0, 0.0], [-1.0, 3.0, 1.0], [2.0, 0.0, -2.0]])
GAPS = (0.0, 1e-8, 1e-3)
EIGENVALUES = [np.array([1.5, 1.5 + gap, 2.0]) for gap in GAPS] + [np.ones(3)]


def nearly_repeated(_dtype: str) -> list[np.ndarray]:
    """Return symmetric matrices with eigenvalues 1.5, 1.5 + gap, 2, and the identity."""
    Q = basis()
    return [Q * w @ Q.T for w in EIGENVALUES]


def eigenvalues_of(X: np.ndarray) -> np.ndarray:
    """Return the eigenvalues from which a point of `nearly_repeated` was made."""
    points = nearly_repeated("float64")
    (w,) = (w for w, Y in zip(EIGENVALUES, points, strict=True) if np.array_equal(X, Y))
    return w


JORDAN_ROOT = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])


def jordan_truth(_X: np.ndarray) -> np.ndarray:
    """Return Z with SᵀZ + ZSᵀ = Aᵀ, where S² = X."""
    S, eye = JORDAN_ROOT, np.eye(3)
    equations = np.kron(S.T, eye) + np.kron(eye, S)
    return np.linalg.solve(equations, WEIGHT.T.ravel()).reshape(3, 3)
