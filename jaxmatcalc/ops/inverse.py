"""The inverse of a matrix, its pseudo-inverse, and the solution of a linear system."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks, _jax
from jaxmatcalc.ops import _cholesky, _lu
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._leaf import Choice, leaf
from jaxmatcalc.ops._operators import is_operator
from jaxmatcalc.ops._products import matmul
from jaxmatcalc.ops._transpose import adjoint


def inv(X: Any, assume_a: str = "gen", implementation: str | None = None) -> jax.Array:
    """The inverse of a square matrix.

    Y = X⁻¹, with differential dY = -Y dX Y.

    Where X is singular (a pivot of its LU factorisation is exactly zero) every entry of Y is inf
    and the derivative, which does not exist, is NaN; the rest of a batch is not affected.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.
        assume_a: "gen", "sym" or "pos", as in `logdet`. With "pos" the value is NaN where X is not
            positive definite.
        implementation: None, whatever is fastest for the platform and shape; "xla", no Pallas
            kernel; "pallas", the Pallas kernel or an error.

    Returns:
        Array of shape (..., n, n).

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, assume_a or implementation is another word, or no kernel does
            what implementation="pallas" asks for.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.inv(jnp.array([[2.0, 1.0], [1.0, 1.0]])).tolist()
        [[1.0, -1.0], [-1.0, 2.0]]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (40).
    """
    _checks.assumption("inv", assume_a)
    _checks.implementation("inv", implementation)
    (X,) = inexact(_checks.square("inv", X))
    return narrow(_inv(Choice(assume_a, implementation), widen(X)), X)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _inv(choice: Choice, X: jax.Array) -> jax.Array:
    if choice.assume_a == "pos":
        return _cholesky.roots_inverse(X, choice.implementation)[1]
    pivots, Y = _lu.pivots_inverse(X, choice.implementation)
    return jnp.where(jnp.any(pivots == 0, axis=-1)[..., None, None], jnp.inf, Y)


@_inv.defjvp
def _inv_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    Y = _inv(choice, X)
    return Y, -matmul(matmul(Y, dX), Y)


def solve(A: Any, B: Any, assume_a: str = "gen", implementation: str | None = None) -> jax.Array:
    """The solution X of the linear system A X = B.

    X = A⁻¹ B, with differential dX = A⁻¹ (dB - dA X). No inverse is formed: the derivative solves
    one more system with the same factorisation.

    Where A is singular, X and its derivative hold inf and NaN, as in `jnp.linalg.solve`.

    Args:
        A: array of shape (..., n, n), or a `LinearOperator`, which solves by its structure. float16
            and bfloat16 are factored in float32.
        B: array of shape (n,), one right-hand side, or (..., n, k), whose leading axes broadcast
            with those of A; for an operator, what its own `solve` takes.
        assume_a: "gen", "sym" or "pos", as in `logdet`. With "pos" the value is NaN where A is not
            positive definite.
        implementation: None, whatever is fastest for the platform and shape; "xla", no Pallas
            kernel; "pallas", the Pallas kernel or an error. A linear operator does not read it.

    Returns:
        Array of shape (..., n) or (..., n, k).

    Raises:
        TypeError: A or B is not an array.
        ValueError: A is not square, B does not match it, assume_a or implementation is another
            word, or no kernel does what implementation="pallas" asks for.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.solve(jnp.array([[2.0, 0.0], [0.0, 4.0]]), jnp.array([2.0, 2.0])).tolist()
        [1.0, 0.5]

    Source: Giles, Collected matrix derivative results (2008), section 2.3.1.
    """
    _checks.assumption("solve", assume_a)
    _checks.implementation("solve", implementation)
    if is_operator(A):
        return A.solve(B, assume_a=assume_a)
    A = _checks.square("solve", A, "A")
    B = _checks.right_hand_side("solve", A, B)
    A, B = inexact(A, B)
    one = B.ndim == 1
    X = narrow(
        solution(
            Choice(assume_a, implementation), False, widen(A), widen(B[:, None] if one else B)
        ),
        A,
    )
    return X[..., 0] if one else X


def solution(choice: Choice, adjointly: bool, A: jax.Array, B: jax.Array) -> jax.Array:
    """The X with A X = B, or with Aᴴ X = B: both from the same factorisation of A.

    A linear solve has its differential in JAX: it takes the product, of which dA dX is a part, and
    how to solve with the matrix and with its transpose.
    """
    A, B = _jax.varying_alike(A, B)
    batch = jnp.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    B = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))

    def product(X: jax.Array) -> jax.Array:
        return matmul(adjoint(A) if adjointly else A, X)

    fixed = lax.stop_gradient(A)
    if choice.assume_a == "pos":
        U = _cholesky.upper_factor(fixed)
        divide = functools.partial(_cholesky.solved, choice.implementation, fixed, U)
        transposed = _conjugated(divide)
    else:
        solved = functools.partial(_lu.solved, choice.implementation, fixed, _lu.factors(fixed))
        divide = functools.partial(solved, transposed=False)
        transposed = functools.partial(solved, transposed=True)
        if adjointly:
            divide, transposed = _conjugated(transposed), _conjugated(divide)
    return lax.custom_linear_solve(product, B, lambda _, R: divide(R), lambda _, R: transposed(R))


def _conjugated(divide: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    return lambda R: jnp.conj(divide(jnp.conj(R)))


def pinv(X: Any, rtol: Any = None) -> jax.Array:
    """The Moore-Penrose inverse of a matrix.

    P = X⁺, the one matrix with X P X = X, P X P = P, and X P and P X Hermitian. Its differential is

    dP = -P dX P + P Pᴴ dXᴴ (I - X P) + (I - P X) dXᴴ Pᴴ P.

    It holds where the rank of X is constant around X, so wherever the rank is full. At a matrix of
    smaller rank X⁺ is not continuous; the formula is then the derivative among the matrices of that
    rank, to every order, and what `rtol` counts as zero stays zero.

    Args:
        X: array of shape (..., m, n), real or complex. float16 and bfloat16 are decomposed in
            float32.
        rtol: singular values up to rtol times the largest count as zero; a number, or an array of
            the shape of the leading axes. None takes 10 max(m, n) ε, as `jnp.linalg.pinv` does.
            Its derivative is zero.

    Returns:
        Array of shape (..., n, m).

    Raises:
        TypeError: X is not an array.
        ValueError: X has fewer than two axes, or rtol does not broadcast with its leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.pinv(jnp.array([[2.0, 0.0], [0.0, 0.0]])).tolist()
        [[0.5, 0.0], [0.0, 0.0]]

    Source: Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares
    problems whose variables separate (1973), eq. (4.12).
    """
    (X,) = inexact(_checks.matrix("pinv", X))
    wide = widen(X)
    limits = jnp.finfo(wide.dtype)
    if rtol is None:
        rtol = 10 * max(X.shape[-2:]) * float(limits.eps)
    rtol = _checks.tolerance("pinv", rtol, X).astype(limits.dtype)
    return narrow(_pinv(wide, jnp.broadcast_to(rtol, X.shape[:-2])), X)


@jax.custom_jvp
def _pinv(X: jax.Array, rtol: jax.Array) -> jax.Array:
    return _pseudo_inverse(X, rtol)


@leaf
def _pseudo_inverse(X: jax.Array, rtol: jax.Array) -> jax.Array:
    if X.size == 0:
        return jnp.zeros((*X.shape[:-2], X.shape[-1], X.shape[-2]), X.dtype)
    U, s, Vh = jnp.linalg.svd(X, full_matrices=False)
    kept = s > rtol[..., None] * s[..., :1]
    reciprocals = jnp.where(kept, 1 / jnp.where(kept, s, 1), jnp.where(jnp.isnan(s), s, 0))
    scaled = adjoint(Vh) * reciprocals[..., None, :].astype(X.dtype)
    return matmul(scaled, adjoint(U))


@_pinv.defjvp
def _pinv_jvp(primals: Any, tangents: Any) -> Any:
    (X, rtol), (dX, _) = primals, tangents
    P = _pinv(X, rtol)
    Q, dXh = adjoint(P), adjoint(dX)
    m, n = X.shape[-2:]
    left = jnp.eye(m, dtype=X.dtype) - matmul(X, P)
    right = jnp.eye(n, dtype=X.dtype) - matmul(P, X)
    first = matmul(matmul(P, Q), matmul(dXh, left))
    second = matmul(matmul(right, dXh), matmul(Q, P))
    return P, first + second - matmul(matmul(P, dX), P)
