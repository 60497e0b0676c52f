"""The ring of derivatives where X is Hermitian, in its eigenbasis.

With X = U diag(λ) Uᴴ and Ẽ = Uᴴ E U,

    T₀ = U diag(f(λ)) Uᴴ,     T₁ = U (F ∘ Ẽ) Uᴴ,   Fᵢⱼ = f[λᵢ, λⱼ],
    Tₖ = U [Σ f[λᵢ, λⱼ, …, λₗ] Ẽ₁ᵢⱼ ⋯] Uᴴ.

Any eigenbasis will do, so λ and U are operands that do not vary: one decomposition, outside, serves
the derivatives of all orders.

Source: Daleckii and Krein (1965); Higham, Functions of Matrices (2008), theorem 3.11 (for k = 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc._multilinear import Multilinear, over_batch
from jaxmatcalc.ops._divided import differences, weight_differences
from jaxmatcalc.ops._products import einsum, matmul
from jaxmatcalc.ops._ring import Ring
from jaxmatcalc.ops._scalar import Along
from jaxmatcalc.ops._transpose import adjoint, transpose

Array = jax.Array

_LETTERS = "abcdefghijklm"
_LAMBDA_AND_U = 2  # the first two operands given


def decomposition(X: Array) -> tuple[Array, Array]:
    """λ (..., n) and U (..., n, n) of Hermitian X, as values."""
    U, eigenvalues = lax.linalg.eigh(lax.stop_gradient(X), symmetrize_input=False)
    return eigenvalues, U


def combined(F: Array, U: Array, Es: Sequence[Array]) -> Array:
    """U [Σ F Ẽ₁ ⋯ Ẽₖ] Uᴴ, where F (..., n, …, n) has k + 1 axes for the eigenvalues."""
    F = F.astype(U.dtype)
    if not Es:
        return matmul(U * F[..., None, :], adjoint(U))
    rotated = [matmul(matmul(adjoint(U), E), U) for E in Es]
    if len(Es) == 1:
        middle = F * rotated[0]
    else:
        chain = [_LETTERS[i : i + 2] for i in range(len(Es))]
        ends = chain[0][0] + chain[-1][1]
        middle = einsum(_batched([_LETTERS[: len(Es) + 1], *chain], ends), F, *rotated)
    return matmul(matmul(U, middle), adjoint(U))


def _batched(inputs: Sequence[str], out: str) -> str:
    return ",".join(f"...{i}" for i in inputs) + f"->...{out}"


def _of_function(
    given: Sequence[Array], X: Array, Es: Sequence[Array], *, function: Any, ranks: Sequence[int]
) -> Array:
    eigenvalues, U, *parameters = given
    k = len(Es)

    def table(nodes: Array, *parameters: Array) -> Array:
        return differences(function, k, nodes, *parameters)

    F = over_batch(table, eigenvalues, *parameters, ranks=(1, *ranks[_LAMBDA_AND_U:]))
    return combined(F, U, Es)


def _along_parameter(
    given: Sequence[Array],
    X: Array,
    Es: Sequence[Array],
    j: int,
    direction: Array,
    *,
    function: Any,
    ranks: Sequence[int],
) -> Array | None:
    if j < _LAMBDA_AND_U or direction.dtype == jax.dtypes.float0:
        return None
    derivative = Along(function, j - _LAMBDA_AND_U)
    return _along_function((*given, direction), (*ranks, ranks[j]), X, *Es, function=derivative)


def _pull_direction(
    cotangent: Array,
    given: Sequence[Any],
    X: Array,
    Es: Sequence[Array],
    j: int,
    *,
    function: Any,
    ranks: Sequence[int],
) -> Array:
    """The coefficients of a direction, which has few entries: one evaluation for each."""
    derivative = function
    for _ in range(len(given) - 1 - j):
        derivative = derivative.function
    parameter = given[_LAMBDA_AND_U + derivative.j]
    shape = parameter.shape[parameter.ndim - ranks[j] :]
    batch = cotangent.ndim - 2
    basis = jnp.eye(max(1, parameter[(0,) * (parameter.ndim - ranks[j])].size), dtype=X.dtype)
    basis = jnp.real(basis).astype(parameter.dtype).reshape(-1, *[1] * batch, *shape)
    operands = [basis if i == j else g for i, g in enumerate(given)]
    values = _along_function(operands, ranks, X, *Es, function=function)
    pulled = jnp.moveaxis(jnp.sum(cotangent * values, axis=(-2, -1)), 0, -1)
    if not jnp.issubdtype(parameter.dtype, jnp.complexfloating):
        pulled = jnp.real(pulled)
    return pulled.astype(parameter.dtype).reshape(*pulled.shape[:-1], *shape)


# Tₖ of a scalar function, which may depend on parameters; given: λ, U and the parameters
of_function = Ring("function_of_hermitian", _of_function, _along_parameter)

# The same of a derivative in parameters. It is linear in their directions, but divided differences
# make choices by looking at them.
_along_function = Ring(
    "derivative_of_function", _of_function, _along_parameter, _pull_direction, entered=False
)


class _Weights(Ring):
    """Tₖ of a function given by its values at the eigenvalues; given: λ, U and those values, c.

    The derivative of Σ cᵢ λᵢ is T₀ = U diag(c) Uᴴ. In a derivative of T₀ the entries
    (cᵢ - cⱼ) / (λᵢ - λⱼ) of equal eigenvalues are not determined by c, unless c does not vary.
    """

    def _differential(self, primals: Any, tangents: Any, given: Any, **params: Any) -> Any:
        g = len(given)
        if tangents[g] is None or tangents[g - 1] is None:
            return super()._differential(primals, tangents, given, **params)
        of_X = [t if i == g else None for i, t in enumerate(tangents)]
        others = [None if i == g else t for i, t in enumerate(tangents)]
        along_X = super()._differential(primals, of_X, given, **params | {"constant": False})
        along_others = super()._differential(primals, others, given, **params)
        return None if along_X is None or along_others is None else along_X + along_others


def _of_weights(
    given: Sequence[Array], X: Array, Es: Sequence[Array], *, constant: bool, ranks: Sequence[int]
) -> Array:
    eigenvalues, U, weights = given
    return combined(weight_differences(eigenvalues, weights, len(Es), constant), U, Es)


_WEIGHTS = 2  # where c stands among the operands given


def _along_weights(
    given: Any, X: Array, Es: Any, j: int, tangent: Array, *, constant: bool, ranks: Any
) -> Array | None:
    if j != _WEIGHTS:
        return None
    ring = of_varying_weights if Es else of_weights
    return ring((*given[:j], tangent), ranks, X, *Es, constant=constant)


def _pull_weights(
    cotangent: Array, given: Any, X: Array, Es: Any, j: int, *, constant: bool, ranks: Any
) -> Array:
    return along_eigenvectors(*given[:_WEIGHTS], X, *Es, transpose(cotangent))


of_weights = _Weights("function_by_values", _of_weights, _along_weights, _pull_weights)

# The same where c may be a tangent although divided differences look at it.
of_varying_weights = _Weights(
    "function_by_tangents", _of_weights, _along_weights, _pull_weights, entered=False
)


def along_eigenvectors(eigenvalues: Array, U: Array, X: Array, *Es: Array) -> Array:
    """Dₖ(E₁, …, Eₖ) (..., n): the coefficient of cᵢ in tr(Tₖ₋₁(E₁, …, Eₖ₋₁) Eₖ).

    D₁ = diag(Uᴴ E U) is the derivative of the eigenvalues.
    """
    return _along_eigenvectors((1, 2, *[2] * (1 + len(Es))), eigenvalues, U, X, *Es)


def _value(eigenvalues: Array, U: Array, X: Array, *Es: Array) -> Array:
    rotated = [matmul(matmul(adjoint(U), E), U) for E in Es]
    if len(Es) == 1:
        return einsum("...ii->...i", rotated[0])
    each = jnp.eye(U.shape[-1], dtype=U.dtype).reshape(-1, *[1] * (U.ndim - 2), U.shape[-1])
    F = weight_differences(eigenvalues, each, len(Es) - 1, constant=True)
    letters = _LETTERS[: len(Es)]
    cycle = [letters[i] + letters[(i + 1) % len(Es)] for i in range(len(Es))]
    return jnp.moveaxis(einsum(_batched([letters, *cycle], ""), F, *rotated), 0, -1)


def _differential(primals: Any, tangents: Any) -> Array | None:
    eigenvalues, U, X, *Es = primals
    _, _, dX, *dEs = tangents
    operands = []
    if dX is not None:
        operands += [(*Es[:p], dX, *Es[p:]) for p in range(len(Es))]
    for j, dE in enumerate(dEs):
        if dE is not None:
            operands.append((*Es[:j], dE, *Es[j + 1 :]))
    terms = [along_eigenvectors(eigenvalues, U, X, *these) for these in operands]
    return sum(terms[1:], terms[0]) if terms else None


def _transpose(cotangent: Array, operands: Any, k: int) -> Array:
    eigenvalues, U, X, *Es = operands
    j = k - 3
    cycle = (*Es[j + 1 :], *Es[:j])
    # only of D₁ is it known that equal cotangents of equal eigenvalues are no accident
    ring = of_varying_weights if cycle else of_weights
    given = eigenvalues, U, cotangent
    return transpose(ring(given, (1, 2, 1), X, *cycle, constant=not cycle))


_along_eigenvectors = Multilinear("along_eigenvectors", _value, _differential, _transpose)
