"""The Frobenius norm, its square, and the Frobenius inner product."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._leaf import leaf
from jaxmatcalc.ops._products import einsum, product_rule


def frobenius_norm(X: Any) -> jax.Array:
    """The Frobenius norm of a matrix.

    ‖X‖ = √(Σᵢⱼ |Xᵢⱼ|²), with differential d‖X‖ = Re⟨U, dX⟩, where U = X / ‖X‖ is the unit matrix
    in the direction of X and dU = (dX - U Re⟨U, dX⟩) / ‖X‖.

    The norm has no derivative at X = 0. There U is taken to be 0: the gradient is 0, the
    subgradient of least norm, and the derivatives of higher order are 0 as well. Where the sum of
    squares leaves the range of the dtype the entries are scaled before they are squared, so the
    norm overflows only where it is itself out of range.

    Args:
        X: array of shape (..., m, n), real or complex.

    Returns:
        Real array of shape (...).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> float(jmc.frobenius_norm(jnp.array([[3.0], [4.0]])))
        5.0
        >>> jax.grad(jmc.frobenius_norm)(jnp.zeros((1, 2))).tolist()
        [[0.0, 0.0]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (129).
    """
    (X,) = inexact(_checks.matrix("frobenius_norm", X))
    return narrow(_frobenius_norm(widen(X)), X)


@jax.custom_jvp
def _frobenius_norm(X: jax.Array) -> jax.Array:
    return _norm(X)


# With fewer entries a choice costs more than computing what it chooses from.
_FEW = 1 << 14


@leaf
def _norm(X: jax.Array) -> jax.Array:
    """The norm from the plain sum of squares; from scaled entries where that is out of range."""
    squares = _sum_of_squares(X)
    limits = jnp.finfo(X.dtype)
    in_range = (squares < limits.max) & (squares > limits.tiny / limits.eps**2)
    if X.size <= _FEW:
        return jnp.where(in_range, jnp.sqrt(squares), _scaled_norm(X, squares))
    return lax.cond(
        jnp.all(in_range),
        lambda _, squares: jnp.sqrt(squares),
        lambda X, squares: jnp.where(in_range, jnp.sqrt(squares), _scaled_norm(X, squares)),
        X,
        squares,
    )


def _scaled_norm(X: jax.Array, squares: jax.Array) -> jax.Array:
    """The norm where the sum of squares is out of range, above or below."""
    power = 2.0 ** int(0.6 * jnp.finfo(X.dtype).maxexp)
    scale = jnp.where(squares > 1, 1 / power, power).astype(squares.dtype)
    return jnp.sqrt(_sum_of_squares(X * scale[..., None, None])) / scale


def _sum_of_squares(X: jax.Array) -> jax.Array:
    return jnp.sum(jnp.real(X * jnp.conj(X)), axis=(-2, -1))


@_frobenius_norm.defjvp
def _frobenius_norm_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _frobenius_norm(X), _real_inner(_unit(X), dX)


@jax.custom_jvp
def _unit(X: jax.Array) -> jax.Array:
    """X / ‖X‖, and 0 at 0."""
    return X * _reciprocal(_frobenius_norm(X))[..., None, None]


@_unit.defjvp
def _unit_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    U = _unit(X)
    reciprocal = _reciprocal(_frobenius_norm(X))[..., None, None]
    along = _real_inner(U, dX)[..., None, None]
    return U, reciprocal * (dX - U * along)


@jax.custom_jvp
def _reciprocal(norm: jax.Array) -> jax.Array:
    """1 / ‖X‖, and 0 at 0."""
    return jnp.where(norm == 0, 0, 1 / jnp.where(norm == 0, 1, norm))


@_reciprocal.defjvp
def _reciprocal_jvp(primals: Any, tangents: Any) -> Any:
    (norm,), (dnorm,) = primals, tangents
    r = _reciprocal(norm)
    return r, -(r * (r * dnorm))


def squared_frobenius_norm(X: Any) -> jax.Array:
    """The square of the Frobenius norm of a matrix.

    ‖X‖² = Σᵢⱼ |Xᵢⱼ|² = tr(Xᴴ X), with differential 2 Re⟨X, dX⟩.

    Args:
        X: array of shape (..., m, n), real or complex.

    Returns:
        Real array of shape (...).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.squared_frobenius_norm)(jnp.array([[1.0, 2.0]])).tolist()
        [[2.0, 4.0]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (132).
    """
    (X,) = inexact(_checks.matrix("squared_frobenius_norm", X))
    return narrow(_squared_frobenius_norm(widen(X)), X)


@jax.custom_jvp
def _squared_frobenius_norm(X: jax.Array) -> jax.Array:
    return _real_inner(X, X)


@_squared_frobenius_norm.defjvp
def _squared_frobenius_norm_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _squared_frobenius_norm(X), 2 * _real_inner(X, dX)


def frobenius_inner(A: Any, B: Any) -> jax.Array:
    """The Frobenius inner product of two matrices, conjugate-linear in the first.

    ⟨A, B⟩ = tr(Aᴴ B) = Σᵢⱼ conj(Aᵢⱼ) Bᵢⱼ, with differential ⟨dA, B⟩ + ⟨A, dB⟩.

    Args:
        A: array of shape (..., m, n).
        B: array of shape (..., m, n); the leading axes of A and B broadcast.

    Returns:
        Array of the broadcast leading shape; complex if A or B is.

    Raises:
        TypeError: A or B is not an array.
        ValueError: the last two axes of A and B differ, or the leading axes do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> float(jmc.frobenius_inner(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])))
        11.0

    Source: Horn and Johnson, Matrix Analysis (2013), section 5.2.
    """
    A = _checks.matrix("frobenius_inner", A, "A")
    B = _checks.matrix("frobenius_inner", B, "B")
    _checks.same_matrix_shape("frobenius_inner", A, B)
    A, B = inexact(A, B)
    return narrow(_frobenius_inner(widen(A), widen(B)), A)


@jax.custom_jvp
def _frobenius_inner(A: jax.Array, B: jax.Array) -> jax.Array:
    return _inner(A, B)


@functools.partial(_frobenius_inner.defjvp, symbolic_zeros=True)
def _frobenius_inner_jvp(primals: Any, tangents: Any) -> Any:
    A, B = primals

    def term(i: int, dX: jax.Array) -> jax.Array:
        return _inner(dX, B) if i == 0 else _inner(A, dX)

    value = _frobenius_inner(A, B)
    return value, product_rule(value, tangents, term)


def _inner(A: jax.Array, B: jax.Array) -> jax.Array:
    return einsum("...ij,...ij->...", jnp.conj(A), B)


def _real_inner(A: jax.Array, B: jax.Array) -> jax.Array:
    """Re⟨A, B⟩: the inner product of the real vector space of complex matrices."""
    return jnp.real(_inner(A, B))
