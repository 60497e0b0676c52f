"""The determinant and its logarithm."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.ops import _lu
from jaxmatcalc.ops._adjugate import adjugate
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._products import trace_of_product
from jaxmatcalc.ops.inverse import inv_or_zero


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> jmc.slogdet(-jnp.eye(3)).sign.item()
        -1.0
    """

    sign: jax.Array
    logabsdet: jax.Array


def det(X: Any) -> jax.Array:
    """The determinant of a square matrix.

    det X = Σ_σ sgn(σ) Πᵢ X_{i,σ(i)}, with differential d det X = tr(adj(X) dX) (Jacobi).

    The adjugate is a polynomial in the entries of X, so this holds at every X, singular or not: the
    gradient is adj(X)ᵀ at any rank, and derivatives up to the third order are right there too. A
    derivative of order four or more is right where X has at most three vanishing singular values.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        Array of shape (...); 1 for n = 0.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.det)(jnp.diag(jnp.array([1.0, 0.0, 2.0])))[1, 1].item()
        2.0

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (41).
    """
    (X,) = inexact(_checks.square("det", X))
    return narrow(_det(widen(X)), X)


@jax.custom_jvp
def _det(X: jax.Array) -> jax.Array:
    return _lu.product(_lu.pivots(X))


@_det.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _det(X), trace_of_product(adjugate(X), dX)


def slogdet(X: Any) -> SlogdetResult:
    """Sign and logarithm of the absolute value of the determinant of a square matrix.

    det X = sign · exp(logabsdet). With t = tr(X⁻¹ dX), d logabsdet = Re t and
    d sign = i Im(t) sign, which is 0 for real X.

    Where X is singular (a pivot of its LU factorisation is exactly zero) sign is 0 and logabsdet is
    -inf. No derivative exists there; it is taken to be 0, to every order. Any matrix is a
    subgradient where the value is -inf; 0 is the one that leaves the other matrices of a batch
    alone when the singular ones are masked out afterwards.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        A named pair (sign, logabsdet) of arrays of shape (...); sign is complex if X is.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> sign, logabsdet = jmc.slogdet(jnp.array([[0.0, 1.0], [1.0, 0.0]]))
        >>> float(sign), float(logabsdet)
        (-1.0, 0.0)

    Source: Giles, Collected matrix derivative results (2008), section 2.2.4.
    """
    (X,) = inexact(_checks.square("slogdet", X))
    sign, logabsdet = _slogdet(widen(X))
    return SlogdetResult(narrow(sign, X), narrow(logabsdet, X))


@jax.custom_jvp
def _slogdet(X: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _lu.sign_and_logarithm(_lu.pivots(X))


@_slogdet.defjvp
def _slogdet_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    sign, logabsdet = _slogdet(X)
    t = trace_of_product(inv_or_zero(X), dX)
    dsign = 1j * jnp.imag(t) * sign if jnp.iscomplexobj(X) else jnp.zeros_like(sign)
    return (sign, logabsdet), (dsign, jnp.real(t))


def logdet(X: Any) -> jax.Array:
    """The logarithm of the absolute value of the determinant of a square matrix.

    log|det X|, with differential Re tr(X⁻¹ dX); for real X the gradient is X⁻ᵀ and the Hessian
    -(X⁻ᵀ ⊗ X⁻¹) K.

    Where X is singular (a pivot of its LU factorisation is exactly zero) the value is -inf. No
    derivative exists there; it is taken to be 0, to every order, as in `slogdet`.

    Args:
        X: array of shape (..., n, n). float16 and bfloat16 are factored in float32.

    Returns:
        Real array of shape (...); 0 for n = 0.

    Raises:
        TypeError: X is not an array.
        ValueError: X is not square.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> jax.grad(jmc.logdet)(jnp.diag(jnp.array([1.0, 2.0, 4.0]))).diagonal().tolist()
        [1.0, 0.5, 0.25]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (57).
    """
    (X,) = inexact(_checks.square("logdet", X))
    return narrow(_logdet(widen(X)), X)


@jax.custom_jvp
def _logdet(X: jax.Array) -> jax.Array:
    return _lu.sign_and_logarithm(_lu.pivots(X))[1]


@_logdet.defjvp
def _logdet_jvp(primals: Any, tangents: Any) -> Any:
    (X,), (dX,) = primals, tangents
    return _logdet(X), jnp.real(trace_of_product(inv_or_zero(X), dX))
