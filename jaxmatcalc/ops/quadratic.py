"""Quadratic forms in a matrix and in its inverse, and with them the log-determinant."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc import _checks
from jaxmatcalc.kernels.triangles import Triangle
from jaxmatcalc.ops import _cholesky
from jaxmatcalc.ops._cholesky import divided
from jaxmatcalc.ops._dtypes import inexact, narrow, widen
from jaxmatcalc.ops._leaf import Choice
from jaxmatcalc.ops._operators import is_operator
from jaxmatcalc.ops._products import einsum, product_rule
from jaxmatcalc.ops._transpose import adjoint
from jaxmatcalc.ops.determinant import logarithm
from jaxmatcalc.ops.inverse import solution


class InvQuadLogdetResult(NamedTuple):
    """A quadratic form in the inverse of a matrix, and the logarithm of its determinant.

    Example:
        >>> import jax.numpy as jnp, jaxmatcalc as jmc
        >>> jmc.inv_quad_logdet(2 * jnp.eye(2), jnp.ones(2)).inv_quad.item()
        1.0
    """

    inv_quad: jax.Array
    logdet: jax.Array


def quadratic_form(x: Any, A: Any) -> jax.Array:
    """The quadratic form of a square matrix at a vector.

    q = xᴴ A x, with differential dxᴴ A x + xᴴ A dx + xᴴ dA x; for real x the gradient in x is
    (A + Aᵀ) x and the gradient in A is x xᵀ.

    Args:
        x: array of shape (..., n), real or complex: one vector for each matrix.
        A: array of shape (..., n, n), whose leading axes broadcast with those of x. It need not be
            symmetric. Integers stay integers.

    Returns:
        Array of the broadcast leading shape.

    Raises:
        TypeError: x or A is not an array.
        ValueError: A is not square, or x does not match it.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> A = jnp.array([[2.0, 1.0], [0.0, 3.0]])
        >>> jax.grad(jmc.quadratic_form)(jnp.array([1.0, 1.0]), A).tolist()
        [5.0, 7.0]

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eqs. (72) and (81).
    """
    A = _checks.square("quadratic_form", A, "A")
    x = _checks.vectors("quadratic_form", x, A)
    dtype = jnp.result_type(x, A)
    x, A = x.astype(dtype), A.astype(dtype)
    return narrow(_quadratic_form(widen(x), widen(A)), A)


@jax.custom_jvp
def _quadratic_form(x: jax.Array, A: jax.Array) -> jax.Array:
    return _form(x, A, x)


@functools.partial(_quadratic_form.defjvp, symbolic_zeros=True)
def _quadratic_form_jvp(primals: Any, tangents: Any) -> Any:
    x, A = primals

    def term(i: int, dX: jax.Array) -> jax.Array:
        return _form(dX, A, x) + _form(x, A, dX) if i == 0 else _form(x, dX, x)

    value = _quadratic_form(x, A)
    return value, product_rule(value, tangents, term)


def _form(x: jax.Array, A: jax.Array, y: jax.Array) -> jax.Array:
    """xᴴ A y."""
    return einsum("...i,...i->...", jnp.conj(x), einsum("...ij,...j->...i", A, y))


def inv_quad(A: Any, y: Any, assume_a: str = "gen", implementation: str | None = None) -> jax.Array:
    """The quadratic form of the inverse of a matrix.

    q = yᴴ A⁻¹ y, and for several columns their sum, tr(Yᴴ A⁻¹ Y). With w = A⁻¹ y and z = A⁻ᴴ y,

    dq = dyᴴ w + zᴴ dy - zᴴ dA w.

    For a symmetric real A, w = z: the gradient in y is 2 w, and -w wᵀ in A. No inverse is formed;
    w and z come from the factorisation that gives the value.

    Where A is singular the value and its derivatives hold inf and NaN, as those of `solve` do.

    Args:
        A: array of shape (..., n, n), or a `LinearOperator`, which solves by its structure. float16
            and bfloat16 are factored in float32.
        y: array of shape (n,), or (..., n, k), whose leading axes broadcast with those of A: the k
            columns are summed over. A batch of single vectors has shape (..., n, 1). For an
            operator, what its own `inv_quad` takes.
        assume_a: "gen", "sym" or "pos", as in `logdet`. With "pos" the value is the squared norm
            of U⁻ᴴ y, where Uᴴ U = A, so it is not negative; it is NaN where A is not positive
            definite.
        implementation: None, "xla" or "pallas", as in `logdet`.

    Returns:
        Array of the broadcast leading shape.

    Raises:
        TypeError: A or y is not an array.
        ValueError: A is not square, y does not match it, assume_a or implementation is another
            word, or no kernel does what implementation="pallas" asks for.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> float(jmc.inv_quad(jnp.diag(jnp.array([2.0, 4.0])), jnp.array([2.0, 2.0])))
        3.0

    Source: Petersen and Pedersen, The Matrix Cookbook (2012), eq. (61).
    """
    _checks.assumption("inv_quad", assume_a)
    _checks.implementation("inv_quad", implementation)
    if is_operator(A):
        return A.inv_quad(y, assume_a=assume_a)
    A, Y = _operands("inv_quad", A, y)
    return narrow(_inv_quad(Choice(assume_a, implementation), widen(A), widen(Y)), A)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _inv_quad(choice: Choice, A: jax.Array, Y: jax.Array) -> jax.Array:
    if choice.assume_a == "pos":
        Z = divided(adjoint(_cholesky.upper_factor(A)), Y, Triangle(lower=True))
        return _inner(Z, Z)
    return _inner(Y, solution(choice, False, A, Y))


@functools.partial(_inv_quad.defjvp, symbolic_zeros=True)
def _inv_quad_jvp(choice: Choice, primals: Any, tangents: Any) -> Any:
    value = _inv_quad(choice, *primals)
    return value, product_rule(value, tangents, _quadratic_terms(choice, *primals))


def inv_quad_logdet(
    A: Any, y: Any, assume_a: str = "gen", implementation: str | None = None
) -> InvQuadLogdetResult:
    """The quadratic form of the inverse of a matrix, and the log-determinant of the matrix.

    (yᴴ A⁻¹ y, log|det A|): what a Gaussian log-density needs. Each has the differential that
    `inv_quad` and `logdet` give it. In a compiled program both, and their gradients, come from one
    factorisation of A.

    Args:
        A: array of shape (..., n, n), or a `LinearOperator`, which answers by its structure.
            float16 and bfloat16 are factored in float32.
        y: array of shape (n,), or (..., n, k), whose leading axes broadcast with those of A: the k
            columns are summed over, as in `inv_quad`.
        assume_a: "gen", "sym" or "pos", as in `logdet`; for a covariance matrix say "pos".
        implementation: None, "xla" or "pallas", as in `logdet`.

    Returns:
        A named pair (inv_quad, logdet): an array of the broadcast leading shape, and a real array
        of the leading shape of A.

    Raises:
        TypeError: A or y is not an array.
        ValueError: A is not square, y does not match it, assume_a or implementation is another
            word, or no kernel does what implementation="pallas" asks for.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxmatcalc as jmc
        >>> K, y = jnp.diag(jnp.array([1.0, 4.0])), jnp.array([1.0, 2.0])
        >>> quadratic, logarithm = jmc.inv_quad_logdet(K, y, assume_a="pos")
        >>> float(quadratic), round(float(logarithm), 4)
        (2.0, 1.3863)

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eqs. (2.30) and
    (5.9).
    """
    _checks.assumption("inv_quad_logdet", assume_a)
    _checks.implementation("inv_quad_logdet", implementation)
    if is_operator(A):
        return InvQuadLogdetResult(*A.inv_quad_logdet(y, assume_a=assume_a))
    A, Y = _operands("inv_quad_logdet", A, y)
    quadratic, logarithm = _inv_quad_logdet(Choice(assume_a, implementation), widen(A), widen(Y))
    return InvQuadLogdetResult(narrow(quadratic, A), narrow(logarithm, A))


@functools.partial(jax.jit, static_argnums=0)  # one program, so that A is factored once
def _inv_quad_logdet(choice: Choice, A: jax.Array, Y: jax.Array) -> tuple[jax.Array, jax.Array]:
    return _inv_quad(choice, A, Y), logarithm(choice, A)


def _quadratic_terms(choice: Choice, A: jax.Array, Y: jax.Array) -> Any:
    """The terms of d tr(Yᴴ A⁻¹ Y), linear in dA and in dY."""
    W = solution(choice, False, A, Y)
    Z = solution(choice, True, A, Y)  # the same computation where A is symmetric

    def term(i: int, dX: jax.Array) -> jax.Array:
        if i == 1:
            return _inner(dX, W) + _inner(Z, dX)
        return -_inner(Z, einsum("...ij,...jk->...ik", dX, W))

    return term


def _inner(A: jax.Array, B: jax.Array) -> jax.Array:
    return einsum("...ij,...ij->...", jnp.conj(A), B)


def _operands(operation: str, A: Any, y: Any) -> tuple[jax.Array, jax.Array]:
    """A and the columns of y, in one dtype."""
    A = _checks.square(operation, A, "A")
    Y = _checks.right_hand_side(operation, A, y, "y")
    A, Y = inexact(A, Y)
    return A, Y[:, None] if Y.ndim == 1 else Y
