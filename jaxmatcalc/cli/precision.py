"""The regularised precision matrix of the digits, estimated by Newton's method.

With S a covariance and ρ > 0, the estimate minimises over the positive definite matrices

    f(Θ) = -log|Θ| + tr(SΘ) + ρ/2 ‖Θ‖²_F,

which is strictly convex. Its gradient is -Θ⁻¹ + S + ρΘ and its Hessian (Θ⁻ᵀ ⊗ Θ⁻¹)K + ρI; neither
is written down here: f is plain jax.numpy. The optimum is known: in the eigenbasis of S the
gradient vanishes where ρθ² + sθ - 1 = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jaxmatcalc as jmc
from jaxmatcalc.data import load_digits

Objective = Callable[[jax.Array], jax.Array]


class Correlations(NamedTuple):
    """Correlation matrix of some pixels of the digits; a constant pixel has a row of zeros."""

    matrix: np.ndarray
    pixels: np.ndarray
    constant: int


class Step(NamedTuple):
    """A Newton step from a point: where it leads, and what was known at the point."""

    theta: jax.Array
    value: jax.Array
    gradient_norm: jax.Array
    tolerance: jax.Array
    decrement: jax.Array
    length: jax.Array


def correlations(size: int) -> Correlations:
    """Correlations of the ``size`` pixels that vary most, in reading order."""
    pixels = load_digits().pixels.astype(np.float64)
    deviation = pixels.std(axis=0)
    chosen = np.sort(np.argsort(-deviation, kind="stable")[:size])
    constant = deviation[chosen] == 0
    scores = (pixels - pixels.mean(axis=0))[:, chosen] / np.where(constant, 1, deviation[chosen])
    return Correlations(scores.T @ scores / len(scores), chosen, int(constant.sum()))


def objective(S: jax.Array, rho: float) -> Objective:
    """The function f of the module's first lines, as a user would write it."""

    def f(theta: jax.Array) -> jax.Array:
        return -jnp.linalg.slogdet(theta)[1] + jnp.trace(S @ theta) + rho / 2 * jnp.sum(theta**2)

    return f


def optimum(S: np.ndarray, rho: float) -> np.ndarray:
    """The minimiser of f, in float64.

    It has the eigenvectors of S; an eigenvalue s becomes (-s + √(s² + 4ρ)) / (2ρ), here multiplied
    out to 2 / (s + √(s² + 4ρ)), which does not cancel for small ρ.
    """
    s, vectors = np.linalg.eigh(np.asarray(S, np.float64))
    return vectors * (2 / (s + np.sqrt(s**2 + 4 * rho))) @ vectors.T


def structured_direction(f: Objective) -> Objective:
    """Θ ↦ the Newton direction, from the structured Hessian."""

    def direction(theta: jax.Array) -> jax.Array:
        _, gradient, hessian = jmc.value_grad_hessian_operator(f)(theta)
        # Θ is symmetric, and so is the direction. On other matrices the Hessian is singular at the
        # optimum: a constant pixel has θ = 1/√ρ, and ρ - 1/(θᵢθⱼ) vanishes.
        return hessian.solve(-gradient, symmetric=True)

    return direction


def dense_direction(f: Objective) -> Objective:
    """Θ ↦ the Newton direction, from ``jax.hessian`` and a dense solve: the baseline."""

    def direction(theta: jax.Array) -> jax.Array:
        gradient, hessian = jax.grad(f)(theta), jax.hessian(f)(theta)
        matrix = hessian.reshape(theta.size, theta.size)
        return jnp.linalg.solve(matrix, -gradient.ravel()).reshape(theta.shape)

    return direction


def newton_step(f: Objective) -> Callable[[jax.Array], Step]:
    """One damped Newton step that stays positive definite, as one jitted function.

    The step length is halved until the Cholesky factorisation exists and f falls by at least 10⁻⁴
    of what its slope promises (Armijo's condition).
    """

    @jax.jit
    def step(theta: jax.Array) -> Step:
        value, gradient, hessian = jmc.value_grad_hessian_operator(f)(theta)
        direction = hessian.solve(-gradient, symmetric=True)
        slope = jnp.sum(gradient * direction)
        eps = jnp.finfo(theta.dtype).eps
        # Near the optimum f cannot resolve its own decrease; that must not stop a step.
        slack = 8 * eps * (jnp.abs(value) + theta.shape[0])

        def unacceptable(length: jax.Array) -> jax.Array:
            candidate = theta + length * direction
            definite = jnp.all(jnp.isfinite(jnp.linalg.cholesky(candidate)))
            return ~(definite & (f(candidate) <= value + 1e-4 * length * slope + slack))

        length = lax.while_loop(
            lambda length: unacceptable(length) & (length > eps),
            lambda length: length / 2,
            jnp.ones((), theta.dtype),
        )
        # HΘ = Θ⁻¹ + ρΘ: the size of what cancels in the gradient, so of its rounding errors.
        tolerance = eps * theta.shape[0] * jnp.linalg.norm(hessian @ theta)
        return Step(
            theta=theta + length * direction,
            value=value,
            gradient_norm=jnp.linalg.norm(gradient),
            tolerance=tolerance,
            decrement=-slope / 2,
            length=length,
        )

    return step
