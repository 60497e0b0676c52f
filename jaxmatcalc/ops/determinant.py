"""The determinant, its logarithm, and the adjugate."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops import _adjugate, _cholesky, _lu
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._leaf import Choice
from jaxmatcalc.ops._operators import is_operator
from jaxmatcalc.ops._products import einsum, matmul, trace_of_product
from jaxmatcalc.ops._transpose import transpose_of_hermitian
from jaxmatcalc.ops.inverse import inv


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> jmc.slogdet(-jnp.eye(3)).sign.item()
        -1.0
    """

    sign: jax.Array
    logabsdet: jax.Array


def det(X: Any, assume_a: str = "gen", implementation: str | None = None) -> jax.Array:
    """The determinant of a square matrix.

    det X = Σ_σ sgn(σ) Πᵢ X_{i,σ(i)}, with differential d det X = tr(adj(X) dX) (Jacobi).

    The adjugate is a polynomial in the entries of X, so this holds at every X, singular or not: the
    gradient is adj(X)ᵀ at any rank, and derivatives up to the third order are right there too. A
    derivative of order four or more is right where X has at most three vanishing singular values.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.
        assume_a: "gen", "sym" or "pos", as in `logdet`. With "pos" the value is NaN where X is not
            positive definite.
        implementation: None, whatever is fastest for the platform and shape; "xla", no Pallas
            kernel; "pallas", the Pallas kernel or an error.

    Returns:
        Array of shape (...); 1 for n = 0.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, assume_a or implementation is another word, or no kernel does
            what implementation="pallas" asks for.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.det)(jnp.diag(jnp.array([1.0, 0.0, 2.0])))[1, 1].item()
        2.0

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (41).
    """
    _checks.assumption("det", assume_a)
    _checks.implementation("det", implementation)
    (X,) = inexact(_checks.square("det", X))
    return narrow(_det(Choice(assume_a, implementation), widen(X)), X)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _det(choice: Choice, X: jax.Array) -> jax.Array:
    if choice.assume_a == "pos":
        return _lu.product(_cholesky.roots(X, choice.implementation) ** 2).astype(X.dtype)
    return _adjugate.determinant(X, choice.implementation)


@_det.defjvp
def _det_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    if choice.assume_a == "pos":
        value = _det(choice, X)
        return value, value * trace_of_product(inv(X, *choice), dX)
    if _adjugate.has_polynomial(X):
        return _det(choice, X), trace_of_product(_adjugate.adjugate(X), dX)
    value, adjugate = _adjugate.determinant_and_adjugate(choice.implementation, X)
    return value, trace_of_product(adjugate, dX)


def adjugate(X: Any) -> jax.Array:
    """The adjugate of a square matrix: the transpose of its cofactors.

    adj(X)ⱼᵢ = (-1)^(i+j) det X without row i and column j, so that X adj(X) = det(X) I and, for
    regular X, adj(X) = det(X) X⁻¹. It is a polynomial in the entries of X, of which det has the
    gradient adj(X)ᵀ.

    It is right at every rank: 0 at rank n - 2 and below, a matrix of rank 1 at rank n - 1. So are
    its first two derivatives; those of order three or more are right where X has at most three
    vanishing singular values.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        Array of shape (..., n, n); 1 for n = 1.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jmc.adjugate(jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[4.0, -2.0], [-3.0, 1.0]]

    Source: Horn and Johnson, Matrix Analysis (2013), section 0.8.2.
    """
    (X,) = inexact(_checks.square("adjugate", X))
    return narrow(_adjugate.adjugate(widen(X)), X)


def slogdet(X: Any, assume_a: str = "gen", implementation: str | None = None) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant of a square matrix.

    det X = sign · exp(logabsdet). With t = tr(X⁻¹ dX), d logabsdet = Re t and
    d sign = i Im(t) sign, which is 0 for real X.

    Where X is singular (a pivot of its LU factorisation is exactly zero) sign is 0 and logabsdet is
    -inf. No derivative exists there; it is taken to be 0, to every order. Any matrix is a
    subgradient where the value is -inf; 0 is the one that leaves the other matrices of a batch
    alone when the singular ones are masked out afterwards.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.
        assume_a: "gen", "sym" or "pos", as in `logdet`. With "pos" the value is NaN where X is not
            positive definite.

    Returns:
        A named pair (sign, logabsdet) of arrays of shape (...); sign is complex if X is.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, assume_a or implementation is another word, or no kernel does
            what implementation="pallas" asks for.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> sign, logabsdet = jmc.slogdet(jnp.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> float(sign), float(logabsdet)
        (-1.0, 0.0)

    Source: Giles, Collected matrix derivative results (2008), section 2.2.4.
    """
    _checks.assumption("slogdet", assume_a)
    _checks.implementation("slogdet", implementation)
    (X,) = inexact(_checks.square("slogdet", X))
    found = _slogdet(Choice(assume_a, implementation), widen(X))
    return SlogdetResult(*(narrow(part, X) for part in found))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _slogdet(choice: Choice, X: jax.Array) -> SlogdetResult:
    if choice.assume_a == "pos":
        return _of_roots(X, _cholesky.roots(X, choice.implementation))
    return SlogdetResult(*_lu.sign_and_logarithm(_lu.pivots(X, choice.implementation)))


def _of_roots(X: jax.Array, roots: jax.Array) -> SlogdetResult:
    value = 2 * jnp.sum(jnp.log(roots), axis=-1)
    return SlogdetResult(jnp.where(jnp.isnan(value), value, 1).astype(X.dtype), value)


@_slogdet.defjvp
def _slogdet_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    value, Y = _with_inverse(choice, *primals)
    return value, _differential(choice, value, Y, *tangents)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _with_inverse(choice: Choice, X: jax.Array) -> tuple[SlogdetResult, jax.Array]:
    """`_slogdet`, and X⁻¹, which is 0 where X is singular: from one factorisation."""
    if choice.assume_a == "pos":
        roots, Y = _cholesky.roots_inverse(X, choice.implementation)
        return _of_roots(X, roots), Y
    pivots, Y = _lu.pivots_inverse(X, choice.implementation)
    singular = jnp.any(pivots == 0, axis=-1)[..., None, None]
    return SlogdetResult(*_lu.sign_and_logarithm(pivots)), jnp.where(singular, 0, Y)


@_with_inverse.defjvp
def _with_inverse_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    (dX,) = tangents
    value, Y = _with_inverse(choice, *primals)
    return (value, Y), (_differential(choice, value, Y, dX), -matmul(matmul(Y, dX), Y))


def _differential(
    choice: Choice, value: SlogdetResult, Y: jax.Array, dX: jax.Array
) -> SlogdetResult:
    t = _trace(choice, Y, dX)
    sign = value.sign
    dsign = 1j * jnp.imag(t) * sign if jnp.iscomplexobj(sign) else jnp.zeros_like(sign)
    return SlogdetResult(dsign, jnp.real(t))


def logdet(X: Any, assume_a: str = "gen", implementation: str | None = None) -> jax.Array:
    """The logarithm of the absolute value of the determinant of a square matrix.

    log|det X|, with differential Re tr(X⁻¹ dX); for real X the gradient is X⁻ᵀ and the Hessian
    -(X⁻ᵀ ⊗ X⁻¹) K.

    Where X is singular (a pivot of its LU factorisation is exactly zero) the value is -inf. No
    derivative exists there; it is taken to be 0, to every order, as in `slogdet`.

    Args:
        X: array of shape (..., n, n), or a `LinearOperator`, which answers by its structure.
            float16 and bfloat16 are factored in float32.
        assume_a: what is known of X, as in SciPy. "gen": nothing. "sym": X is symmetric
            (Hermitian); computed as "gen" is, for JAX has no factorisation of symmetric indefinite
            matrices. "pos": X is symmetric (Hermitian) positive definite; computed from the
            Cholesky factor of (X + Xᴴ) / 2, at about half the cost. Where that is not positive
            definite the value and its derivatives are NaN, which harms no other matrix of a batch.
            Whatever the word, derivatives are those of the general function, Re tr(X⁻¹ dX).
        implementation: None, whatever is fastest for the platform and shape; "xla", no Pallas
            kernel; "pallas", the Pallas kernel or an error. A linear operator does not read it.

    Returns:
        Real array of shape (...); 0 for n = 0.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square, assume_a or implementation is another word, or no kernel does
            what implementation="pallas" asks for.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.logdet)(jnp.diag(jnp.array([1.0, 2.0, 4.0]))).diagonal().tolist()
        [1.0, 0.5, 0.25]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (57).
    """
    _checks.assumption("logdet", assume_a)
    _checks.implementation("logdet", implementation)
    if is_operator(X):
        return X.logdet(assume_a=assume_a)
    (X,) = inexact(_checks.square("logdet", X))
    return narrow(logarithm(Choice(assume_a, implementation), widen(X)), X)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def logarithm(choice: Choice, X: jax.Array) -> jax.Array:
    """log|det X|, of X in a dtype that is factored."""
    return _slogdet(choice, X).logabsdet


@logarithm.defjvp
def _logarithm_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    value, Y = _with_inverse(choice, *primals)
    return value.logabsdet, jnp.real(_trace(choice, Y, *tangents))


def _trace(choice: Choice, Y: jax.Array, dX: jax.Array) -> jax.Array:
    """tr(Y dX), of the inverse Y of a matrix."""
    if choice.assume_a == "pos":
        return einsum("...ij,...ij->...", transpose_of_hermitian(Y), dX)
    return trace_of_product(Y, dX)
