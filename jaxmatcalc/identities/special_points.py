"""Points where JAX's own derivative has been seen to be wrong or NaN, and the truth there.

The truth is known, or computed by :mod:`jaxmatcalc.identities.truths`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc.identities.points import (
    JORDAN_ROOT,
    WEIGHT,
    basis,
    eigenvalues_of,
    jordan_truth,
    nearly_repeated,
    of_rank,
    scaled,
    singular,
    zeroed_diagonals,
)
from jaxmatcalc.identities.report import PointRow, relative_error, worst_error
from jaxmatcalc.identities.truths import (
    determinant_gradient,
    determinant_hessian,
    root_gradient,
    root_hessian,
)
from jaxmatcalc.ops.determinant import det, logdet
from jaxmatcalc.ops.frobenius import frobenius_norm
from jaxmatcalc.ops.functions import sqrtm
from jaxmatcalc.ops.norms import nuclear_norm, spectral_norm
from jaxmatcalc.ops.spectral import spectral_function

Array = jax.Array


@dataclass(frozen=True)
class SpecialPoint:
    """A derivative at points where its true value is known.

    Attributes:
        name: the derivative, and where it is taken.
        family: family of the operation.
        plain: the derivative by plain JAX, as a user writes it.
        ours: the derivative of the operation of jaxmatcalc.
        points: the points, for a dtype.
        truth: the true derivative at a point.
        known: how the truth is known.
    """

    name: str
    family: str
    plain: Callable[[Array], Array]
    ours: Callable[[Array], Array]
    points: Callable[[str], list[np.ndarray]]
    truth: Callable[[np.ndarray], np.ndarray]
    known: str


def _plain_norm_squared(X: Array) -> Array:
    return jnp.linalg.norm(X) ** 2


def _plain_root(X: Array) -> Array:
    w, Q = jnp.linalg.eigh(X)
    return Q * jnp.sqrt(w) @ Q.T


def _root(X: Array) -> Array:
    return spectral_function(jnp.sqrt, X)


def _weighted(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda X: jnp.trace(jnp.asarray(WEIGHT, X.dtype) @ function(X))


def _neighbours(logdet: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return the gradient at X of a batch that holds X between two singular matrices."""
    singular = np.diag([1.0, 0.0, 0.0, 0.0])

    def total(X: Array) -> Array:
        values = logdet(jnp.stack([jnp.asarray(singular, X.dtype), X, jnp.zeros_like(X)]))
        return jnp.sum(jnp.where(jnp.isfinite(values), values, 0))

    return jax.grad(total)


def _chain(norm: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a gradient where the norm of 0 stands inside a longer expression."""
    return jax.grad(lambda X: jnp.sin(norm(3 * X)) + jnp.sum(norm(X) * X) + 2 * jnp.sum(X))


# fmt: off
SPECIAL_POINTS = (
    SpecialPoint(
        "gradient of det at diag(1, 0, 2, 3)", "determinant", jax.grad(jnp.linalg.det),
        jax.grad(det), lambda _: [np.diag([1.0, 0.0, 2.0, 3.0])], determinant_gradient, "cofactors",
    ),
    SpecialPoint(
        "gradient of det at random singular integer 4 × 4 matrices", "determinant",
        jax.grad(jnp.linalg.det), jax.grad(det), lambda _: singular(4, 50), determinant_gradient,
        "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 3 × 3 matrices of rank 2", "determinant",
        jax.hessian(jnp.linalg.det), jax.hessian(det), lambda _: of_rank(3, 2, 25),
        determinant_hessian, "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 3 × 3 matrices of rank 1", "determinant",
        jax.hessian(jnp.linalg.det), jax.hessian(det), lambda _: of_rank(3, 1, 25),
        determinant_hessian, "cofactors",
    ),
    SpecialPoint(
        "hessian of det at random 4 × 4 matrices of rank 2", "determinant",
        jax.hessian(jnp.linalg.det), jax.hessian(det), lambda _: of_rank(4, 2, 25),
        determinant_hessian, "cofactors",
    ),
    SpecialPoint(
        "gradient of the Frobenius norm at 0", "frobenius", jax.grad(jnp.linalg.norm),
        jax.grad(frobenius_norm), lambda _: [np.zeros((3, 2))], np.zeros_like,
        "the subgradient of least norm",
    ),
    SpecialPoint(
        "gradient of the squared Frobenius norm at 0", "frobenius", jax.grad(_plain_norm_squared),
        jax.grad(lambda X: frobenius_norm(X) ** 2), lambda _: [np.zeros((3, 2))], np.zeros_like,
        "2X = 0",
    ),
    SpecialPoint(
        "gradient of det with a zero pivot at each place", "determinant", jax.grad(jnp.linalg.det),
        jax.grad(det), zeroed_diagonals, determinant_gradient, "cofactors",
    ),
    SpecialPoint(
        "hessian of det at 0 of order 2", "determinant", jax.hessian(jnp.linalg.det),
        jax.hessian(det), lambda _: [np.zeros((2, 2))], determinant_hessian, "cofactors",
    ),
    SpecialPoint(
        "value of logdet at singular matrices, as exp", "determinant",
        lambda X: jnp.exp(jnp.linalg.slogdet(X)[1]), lambda X: jnp.exp(logdet(X)),
        lambda _: singular(3, 10), lambda X: np.zeros(()), "log 0 = -inf",
    ),
    SpecialPoint(
        "gradient of logdet beside singular matrices in a batch", "determinant",
        _neighbours(lambda X: jnp.linalg.slogdet(X)[1]), _neighbours(logdet),
        lambda _: [np.diag([1.0, 2.0, 4.0, 8.0])], lambda X: np.linalg.inv(X).T, "the inverse",
    ),
    SpecialPoint(
        "gradient of logdet at entries of 1e±150, in float32 1e±30", "determinant",
        jax.grad(lambda X: jnp.linalg.slogdet(X)[1]), jax.grad(logdet), scaled,
        lambda X: np.linalg.inv(X).T, "the inverse",
    ),
    SpecialPoint(
        "gradient of the Frobenius norm at entries of 1e±150, in float32 1e±30", "frobenius",
        jax.grad(jnp.linalg.norm), jax.grad(frobenius_norm), scaled,
        lambda X: X / np.max(np.abs(X)) / np.linalg.norm(X / np.max(np.abs(X))), "X / ‖X‖",
    ),
    SpecialPoint(
        "gradient through the Frobenius norm of 0 in a longer chain", "frobenius",
        _chain(jnp.linalg.norm), _chain(frobenius_norm), lambda _: [np.zeros((3, 2))],
        lambda X: 2 * np.ones_like(X), "the subgradient of least norm",
    ),
    SpecialPoint(
        "gradient of the nuclear norm at 0", "norms", jax.grad(lambda X: jnp.linalg.norm(X, "nuc")),
        jax.grad(nuclear_norm), lambda _: [np.zeros((3, 2))], np.zeros_like,
        "the subgradient of least norm; JAX gives another",
    ),
    SpecialPoint(
        "gradient through the nuclear norm of 0 in a longer chain", "norms",
        _chain(lambda X: jnp.linalg.norm(X, "nuc")), _chain(nuclear_norm),
        lambda _: [np.zeros((3, 2))], lambda X: 2 * np.ones_like(X),
        "the subgradient of least norm",
    ),
    SpecialPoint(
        "gradient of the spectral norm at 0", "norms", jax.grad(lambda X: jnp.linalg.norm(X, 2)),
        jax.grad(spectral_norm), lambda _: [np.zeros((3, 2))], np.zeros_like,
        "the subgradient of least norm; JAX gives another",
    ),
    SpecialPoint(
        "gradient through the spectral norm of 0 in a longer chain", "norms",
        _chain(lambda X: jnp.linalg.norm(X, 2)), _chain(spectral_norm),
        lambda _: [np.zeros((3, 2))], lambda X: 2 * np.ones_like(X),
        "the subgradient of least norm",
    ),
    SpecialPoint(
        "gradient of tr(A √X) at eigenvalues with gaps 0, 1e-8, 1e-3", "spectral",
        jax.grad(_weighted(_plain_root)), jax.grad(_weighted(_root)), nearly_repeated,
        lambda X: root_gradient(eigenvalues_of(X), basis(), WEIGHT), "divided differences",
    ),
    SpecialPoint(
        "hessian of tr(A √X) at eigenvalues with gaps 0, 1e-8, 1e-3", "spectral",
        jax.hessian(_weighted(_plain_root)), jax.hessian(_weighted(_root)), nearly_repeated,
        lambda X: root_hessian(eigenvalues_of(X), basis(), WEIGHT), "divided differences",
    ),
    SpecialPoint(
        "hessian of the sum of the roots of the eigenvalues at I", "spectral",
        jax.hessian(lambda X: jnp.sum(jnp.sqrt(jnp.linalg.eigvalsh(X)))),
        jax.hessian(lambda X: jnp.trace(_root(X))), lambda _: [np.eye(3)],
        lambda X: root_hessian(np.ones(3), X, X), "divided differences",
    ),
    SpecialPoint(
        "gradient of tr(A sqrtm(X)) at I", "functions", jax.grad(_weighted(jax.scipy.linalg.sqrtm)),
        jax.grad(_weighted(sqrtm)), lambda _: [np.eye(3)], lambda X: WEIGHT.T / 2,
        "the Sylvester equation, S = I",
    ),
    SpecialPoint(
        "gradient of tr(A sqrtm(X)) at a Jordan block", "functions",
        jax.grad(_weighted(jax.scipy.linalg.sqrtm)), jax.grad(_weighted(sqrtm)),
        lambda _: [JORDAN_ROOT @ JORDAN_ROOT], jordan_truth, "the Sylvester equation",
    ),
)
# fmt: on


def check(case: SpecialPoint, dtype: Any, tolerance: float) -> PointRow:
    """Compare plain JAX and jaxmatcalc with the truth at the points of one case.

    Where plain JAX has no derivative at all, what it raises is the verdict.
    """
    points = case.points(str(dtype))
    truths = [case.truth(point) for point in points]

    def errors(derivative: Callable[[Array], Array]) -> np.ndarray:
        compiled = jax.jit(derivative)
        values = (compiled(jnp.asarray(point, dtype)) for point in points)
        return np.array([relative_error(*pair) for pair in zip(values, truths, strict=True)])

    raised = ""
    try:
        plain = errors(case.plain)
    except Exception as error:  # JAX's own, of any kind
        plain, raised = np.full(len(points), np.inf), type(error).__name__
    finite = plain[np.isfinite(plain)]
    return PointRow(
        case.name,
        case.family,
        case.known,
        points=len(points),
        jax_wrong=int(np.sum(~(plain <= tolerance))),
        jax_nan=int(np.sum(np.isnan(plain))),
        jax_error=math.inf if np.isinf(plain).any() else float(np.max(finite, initial=0.0)),
        error=worst_error(errors(case.ours).tolist()),
        tolerance=tolerance,
        jax_raises=raised,
    )
