"""The adjugate as a differentiable function of the matrix, at every matrix.

adj(X) = det(X) X⁻¹ says nothing at a singular X, and loses all digits near one. So the m smallest
singular directions are first lifted: with the singular value decomposition X = U S Vᴴ and τ ≥ 0,

    X₀ = X + W Vₘᴴ,  W = Uₘ diag(τ),   is far from singular, and
    det X = det X₀ · det K,   K = I - Vₘᴴ X₀⁻¹ W,   of size m × m   (matrix determinant lemma).

W and Vₘ are held fixed. For fixed W and Vₘ this is an identity in X, so its derivatives are those
of the determinant and no singular vector is differentiated. Its gradient, transposed, is

    adj(X) = det X₀ · (det K · X₀⁻¹ + X₀⁻¹ W adj(K) Vₘᴴ X₀⁻¹).

With m = 3, det K and adj(K) are polynomials: the derivatives of every order are right at a matrix
with up to three vanishing singular values. Where four or more vanish, everything here is 0, which
is right for adj(X) and its first two derivatives. Where X is far from singular W is 0, K is I, and
what remains is det(X) X⁻¹.

Source of the lemma: Harville, Matrix Algebra From a Statistician's Perspective (1997), thm. 18.1.1.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import kernels
from jaxmatcalc.ops import _lu
from jaxmatcalc.ops._leaf import leaf
from jaxmatcalc.ops._products import matmul, trace_of_product

_LIFTED = 3


def adjugate(X: jax.Array) -> jax.Array:
    """adj(X) of X (..., n, n), differentiable where X is singular too."""
    return _cofactors(X) if has_polynomial(X) else determinant_and_adjugate(None, X)[1]


def has_polynomial(X: jax.Array) -> bool:
    """Whether the determinant and the adjugate are computed as polynomials in the entries."""
    return X.shape[-1] <= _LIFTED


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def determinant_and_adjugate(
    implementation: str | None, X: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """det X and adj(X), from one factorisation, where they are not computed as polynomials."""
    return _leaves(implementation).values(X)


@determinant_and_adjugate.defjvp
def _both_jvp(implementation: str | None, primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    n = X.shape[-1]
    lift = _leaves(implementation).lift(lax.stop_gradient(X))
    value, adjugate = determinant_and_adjugate(implementation, X)
    change = jax.jvp(lambda Z: _lifted(Z, lift), (X / lift.unit,), (dX,))[1]
    # unitⁿ⁻¹ · (dX / unit), as one factor: backwards the two are not neighbours, and unitⁿ⁻¹ alone
    # takes what lies between them out of range.
    dadjugate = _times_power(change, lift.unit, n - 2)
    return (value, adjugate), (trace_of_product(adjugate, dX), dadjugate)


class _Leaves(NamedTuple):
    values: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    lift: Callable[[jax.Array], _Lift]


@functools.cache
def _leaves(implementation: str | None) -> _Leaves:
    values, lift = (
        functools.partial(_values, implementation),
        functools.partial(_lift, implementation),
    )
    return _Leaves(leaf(values), leaf(lift))


def _values(implementation: str | None, X: jax.Array) -> tuple[jax.Array, jax.Array]:
    """det X and adj(X), which is det(X) X⁻¹ where X has an inverse, and otherwise by a lift.

    Both from one factorisation make the adjugate of a matrix that is X to rounding, so the lift is
    for matrices that have no inverse to rounding. Derivatives of the adjugate are differences of
    products of inverses, which cancel, and need it sooner.
    """
    n = X.shape[-1]
    pivots, Y = _lu.pivots_inverse(X, implementation)
    regular = _norm(X) * _norm(Y) * jnp.finfo(X.dtype).eps < 0.25

    def as_it_is(_: jax.Array) -> jax.Array:
        unit = _unit(pivots)
        determinant = jnp.prod(pivots / unit[..., 0], axis=-1)[..., None, None]
        return _times_power(determinant * (Y * unit), unit, n - 1)

    def lifted(X: jax.Array) -> jax.Array:
        lift = _lift_of(X, pivots, Y)
        return _times_power(_lifted(X / lift.unit, lift), lift.unit, n - 1)

    return _lu.product(pivots), lax.cond(jnp.all(regular), as_it_is, lifted, X)


def _lifted(X: jax.Array, lift: _Lift) -> jax.Array:
    """adj(X), by the formula above, of X in the unit of the lift."""
    Z = X + matmul(lift.W, lift.Vh)
    Y = _inverse(Z, lift.inverse)
    K = jnp.eye(_LIFTED, dtype=Z.dtype) - matmul(matmul(lift.Vh, Y), lift.W)
    adj_K = _cofactors(K)
    det_K = _first_row_times(K, adj_K)[..., None, None]
    det_Z = _determinant(Z, lift.determinant, lift.inverse)[..., None, None]
    correction = matmul(matmul(matmul(Y, lift.W), adj_K), matmul(lift.Vh, Y))
    return det_Z * (det_K * Y + correction)


def _times_power(value: jax.Array, unit: jax.Array, exponent: int) -> jax.Array:
    """value · unit^exponent for a power of two, in two factors so that each is within range."""
    largest = 2.0 ** (jnp.finfo(unit.dtype).maxexp - 1)
    half = exponent // 2
    for part in (half, exponent - half):
        value = value * jnp.clip(unit**part, 1 / largest, largest)
    return value


def _cofactors(X: jax.Array) -> jax.Array:
    """adj(X) for n ≤ 3, by its polynomial."""
    n = X.shape[-1]
    if n <= 1:
        return jnp.ones_like(X)
    if n == 2:
        turned = jnp.swapaxes(X[..., ::-1, ::-1], -1, -2)
        return jnp.where(jnp.eye(2, dtype=bool), turned, -turned)

    def rolled(rows: int, columns: int) -> jax.Array:
        return jnp.roll(X, (-rows, -columns), axis=(-2, -1))

    minors = rolled(1, 1) * rolled(2, 2) - rolled(1, 2) * rolled(2, 1)
    return jnp.swapaxes(minors, -1, -2)


def determinant(X: jax.Array, implementation: str | None = None) -> jax.Array:
    """det X, by its polynomial for n ≤ 3 where no term leaves the range of the dtype."""
    if not has_polynomial(X):
        return _lu.product(_lu.pivots(X, implementation))
    return _determinant_of_few(implementation)(X)


@functools.cache
def _determinant_of_few(implementation: str | None) -> Callable[[jax.Array], jax.Array]:
    return leaf(functools.partial(_by_polynomial, implementation))


def _by_polynomial(implementation: str | None, X: jax.Array) -> jax.Array:
    chosen = X.size == 0 or kernels.select("lu_pivots", X.shape, X.dtype, implementation)
    if chosen or implementation is not None:
        return _lu.product(_lu.pivots(X, implementation))
    value = _first_row_times(X, _cofactors(X))
    # no term overflows, and what underflows is nothing beside the value
    exponent = jnp.finfo(X.dtype).maxexp
    largest = jnp.max(jnp.abs(X), axis=(-2, -1))
    in_range = (largest < 2.0 ** (exponent // 4)) & (jnp.abs(value) > 2.0 ** (-exponent // 2))

    def factored(X: jax.Array) -> jax.Array:
        return jnp.where(in_range, value, _lu.product(_lu.pivots(X)))

    return lax.cond(jnp.all(in_range), lambda _: value, factored, X)


def _first_row_times(X: jax.Array, adj_X: jax.Array) -> jax.Array:
    return jnp.sum(X[..., 0, :] * adj_X[..., :, 0], axis=-1)


class _Lift(NamedTuple):
    """A lifted matrix Z = X / unit + W Vh: of determinant near 1 in size, far from singular."""

    unit: jax.Array
    W: jax.Array
    Vh: jax.Array
    inverse: jax.Array
    determinant: jax.Array


def _lift(implementation: str | None, X: jax.Array) -> _Lift:
    """The lift of each X (..., n, n); values only."""
    return _lift_of(X, *_lu.pivots_inverse(X, implementation))


def _lift_of(X: jax.Array, pivots: jax.Array, Y: jax.Array) -> _Lift:
    """The lift of each X, whose pivots and inverse are at hand.

    The decomposition is paid for only when some matrix of the batch is close to singular.
    """
    n = X.shape[-1]
    condition = _norm(X) * _norm(Y)
    regular = condition * jnp.sqrt(jnp.finfo(X.dtype).eps) < 1

    def as_it_is(X: jax.Array) -> Any:
        W = jnp.zeros((*X.shape[:-1], _LIFTED), X.dtype)
        return W, jnp.swapaxes(W, -1, -2), pivots, Y, jnp.ones(X.shape[:-2], X.dtype)

    def lifted(X: jax.Array) -> Any:
        W, Vh, alive = _smallest_directions(X, regular)
        Z = jnp.where(alive[..., None, None], X + matmul(W, Vh), jnp.eye(n, dtype=X.dtype))
        return W, Vh, *_lu.library_pivots_inverse(Z), alive.astype(X.dtype)

    W, Vh, pivots, Y, alive = lax.cond(jnp.all(regular), as_it_is, lifted, X)
    unit = _unit(pivots)
    determinant = alive * jnp.prod(pivots / unit[..., 0], axis=-1)
    return _Lift(unit, W / unit, Vh, Y * unit, determinant)


def _unit(pivots: jax.Array) -> jax.Array:
    """A real power of two near the mean size of pivots (..., n), in the shape (..., 1, 1)."""
    logarithm = jnp.mean(jnp.log2(jnp.abs(pivots)), axis=-1)
    exponent = jnp.round(jnp.where(jnp.isfinite(logarithm), logarithm, 0))
    return jnp.exp2(exponent)[..., None, None]


def _smallest_directions(
    X: jax.Array, regular: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """W (..., n, m) and Vh (..., m, n) that lift X, and whether at most m directions vanish."""
    eps = jnp.finfo(X.dtype).eps
    U, s, Vh = jnp.linalg.svd(X)
    largest, smallest = s[..., :1], s[..., -_LIFTED:]
    lifted = (smallest < jnp.sqrt(eps) * largest) & ~regular[..., None]
    rise = jnp.where(lifted, largest - smallest, 0)
    alive = s[..., -_LIFTED - 1] > X.shape[-1] * eps * largest[..., 0]
    return U[..., -_LIFTED:] * rise[..., None, :].astype(X.dtype), Vh[..., -_LIFTED:, :], alive


def _norm(X: jax.Array) -> jax.Array:
    """The largest absolute row sum."""
    return jnp.max(jnp.sum(jnp.abs(X), axis=-1), axis=-1)


@jax.custom_jvp
def _inverse(Z: jax.Array, value: jax.Array) -> jax.Array:
    """Z⁻¹, whose value is at hand."""
    return value


@_inverse.defjvp
def _inverse_jvp(primals: Any, tangents: Any) -> Any:
    Z, value = primals
    Y = _inverse(Z, value)
    return Y, -matmul(matmul(Y, tangents[0]), Y)


@jax.custom_jvp
def _determinant(Z: jax.Array, value: jax.Array, inverse: jax.Array) -> jax.Array:
    """The determinant of Z, whose value is at hand, as is that of Z⁻¹."""
    return value


@_determinant.defjvp
def _determinant_jvp(primals: Any, tangents: Any) -> Any:
    Z, value, inverse = primals
    determinant = _determinant(Z, value, inverse)
    return determinant, determinant * trace_of_product(_inverse(Z, inverse), tangents[0])
