"""Points where JAX's own derivative has been seen to be wrong or NaN, and the truth there.

The truth is computed in NumPy from minors, expanded by rows and without a division, or is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.identities.report import PointRow, relative_error, worst_error
from jaxmatcalc.ops import det, frobenius_norm

Array = jax.Array


@dataclass(frozen=True)
class SpecialPoint:
    """A derivative at points where its true value is known.

    Attributes:
        name: the derivative, and where it is taken.
        family: family of the operation.
        plain: the derivative by plain JAX, as a user writes it.
        ours: the derivative of the operation of jaxmatcalc.
        points: the points.
        truth: the true derivative at a point.
        known: how the truth is known.
    """

    name: str
    family: str
    plain: Callable[[Array], Array]
    ours: Callable[[Array], Array]
    points: Callable[[], list[np.ndarray]]
    truth: Callable[[np.ndarray], np.ndarray]
    known: str


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


def _integer_matrices(n: int, inner: int | None = None) -> Iterator[np.ndarray]:
    """Yield random integer matrices, of rank ``inner`` at most where it is given."""
    rng = np.random.default_rng(0)
    while True:
        if inner is None:
            yield rng.integers(-2, 3, (n, n)).astype(float)
        else:
            yield (rng.integers(-2, 3, (n, inner)) @ rng.integers(-2, 3, (inner, n))).astype(float)


def _singular(n: int, count: int) -> list[np.ndarray]:
    singular = (X for X in _integer_matrices(n) if determinant(X) == 0)
    return list(itertools.islice(singular, count))


def _of_rank(n: int, rank: int, count: int) -> list[np.ndarray]:
    exact = (X for X in _integer_matrices(n, rank) if np.linalg.matrix_rank(X) == rank)
    return list(itertools.islice(exact, count))


def _plain_norm_squared(X: Array) -> Array:
    return jnp.linalg.norm(X) ** 2


SPECIAL_POINTS = (
    SpecialPoint(
        "gradient of det at diag(1, 0, 2, 3)",
        "determinant",
        jax.grad(jnp.linalg.det),
        jax.grad(det),
        lambda: [np.diag([1.0, 0.0, 2.0, 3.0])],
        determinant_gradient,
        "cofactors",
    ),
    SpecialPoint(
        "gradient of det at random singular integer 4 × 4 matrices",
        "determinant",
        jax.grad(jnp.linalg.det),
        jax.grad(det),
        lambda: _singular(4, 50),
        determinant_gradient,
        "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 3 × 3 matrices of rank 2",
        "determinant",
        jax.hessian(jnp.linalg.det),
        jax.hessian(det),
        lambda: _of_rank(3, 2, 25),
        determinant_hessian,
        "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 3 × 3 matrices of rank 1",
        "determinant",
        jax.hessian(jnp.linalg.det),
        jax.hessian(det),
        lambda: _of_rank(3, 1, 25),
        determinant_hessian,
        "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 4 × 4 matrices of rank 2",
        "determinant",
        jax.hessian(jnp.linalg.det),
        jax.hessian(det),
        lambda: _of_rank(4, 2, 25),
        determinant_hessian,
        "cofactors",
    ),
    SpecialPoint(
        "gradient of the Frobenius norm at 0",
        "frobenius",
        jax.grad(jnp.linalg.norm),
        jax.grad(frobenius_norm),
        lambda: [np.zeros((3, 2))],
        np.zeros_like,
        "the subgradient of least norm",
    ),
    SpecialPoint(
        "gradient of the squared Frobenius norm at 0",
        "frobenius",
        jax.grad(_plain_norm_squared),
        jax.grad(lambda X: frobenius_norm(X) ** 2),
        lambda: [np.zeros((3, 2))],
        np.zeros_like,
        "2X = 0",
    ),
)


def check(case: SpecialPoint, dtype: Any, tolerance: float) -> PointRow:
    """Compare plain JAX and jaxmatcalc with the truth at the points of one case."""
    points = case.points()
    truths = [case.truth(point) for point in points]

    def errors(derivative: Callable[[Array], Array]) -> np.ndarray:
        compiled = jax.jit(derivative)
        values = (compiled(jnp.asarray(point, dtype)) for point in points)
        return np.array([relative_error(*pair) for pair in zip(values, truths, strict=True)])

    plain, ours = errors(case.plain), errors(case.ours)
    return PointRow(
        case.name,
        case.family,
        case.known,
        points=len(points),
        jax_wrong=int(np.sum(~(plain <= tolerance))),
        jax_nan=int(np.sum(np.isnan(plain))),
        jax_error=float(np.max(plain[~np.isnan(plain)], initial=0.0)),
        error=worst_error(ours.tolist()),
        tolerance=tolerance,
    )
