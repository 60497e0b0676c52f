"""Eigenvalues and eigenvectors of low rank plus a multiple of the identity, U Vᵀ + ρI.

With an orthonormal basis Q of what U and V span, U Vᵀ = Q S Qᴴ for the small S = Qᴴ U Vᵀ Q: its
eigenvalues, moved by ρ, are all but those that are ρ.

Source: Golub and Van Loan, Matrix Computations (2013), section 5.1.7: reflections as I - Y T Yᴴ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxmatcalc._precision import matmul
from jaxmatcalc.linear import woodbury
from jaxmatcalc.linear.decomposition import Decomposition, constant
from jaxmatcalc.linear.exchanging import no_shift
from jaxmatcalc.linear.kinds import kind, parts_and_scale
from jaxmatcalc.linear.structure import SMALL
from jaxmatcalc.linear.term import Array, Term, extent, flat, fresh, shape


def is_shifted(terms: Sequence[Term]) -> bool:
    """Whether a large operator is of this kind, with a rank that leaves something to gain."""
    kinds = [kind(t) for t in terms if kind(t) != "low-rank"]
    if kinds not in ([], ["identity"]) or extent(flat(terms[0].out)) <= SMALL:
        return False
    low = [t for t in terms if kind(t) == "low-rank"]
    return woodbury.split([no_shift(terms[0]), *low]) is not None


def eigenvalues(terms: Sequence[Term], dtype: Any) -> Array:
    """The eigenvalues, differentiable once."""
    shift, U, V = _read(terms, dtype)
    few = _few(U, V)
    rest = jnp.zeros(U.shape[0] - few.shape[0], few.dtype)
    return jnp.concatenate([few, rest]) + jnp.real(shift)


def small_matrices(terms: Sequence[Term], dtype: Any) -> list[Array]:
    """S and ρ: the operator is Hermitian if they are."""
    shift, U, V = _read(terms, dtype)
    return [_projected(_range(U, V), U, V), shift]


def _read(terms: Sequence[Term], dtype: Any) -> tuple[Array, Array, Array]:
    """ρ, U and V."""
    low = [t for t in terms if kind(t) == "low-rank"]
    full = [t for t in terms if kind(t) != "low-rank"] or [no_shift(terms[0])]
    return parts_and_scale(full[0], dtype)[1], *woodbury.factors(low, dtype)


def _range(U: Array, V: Array) -> Array:
    """Q."""
    return jnp.linalg.qr(jnp.concatenate([U, V.conj()], axis=1))[0]


def _projected(Q: Array, U: Array, V: Array) -> Array:
    """S."""
    return matmul(matmul(Q.conj().T, U), matmul(V.T, Q))


@jax.custom_jvp
def _few(U: Array, V: Array) -> Array:
    """The eigenvalues of S."""
    return jnp.linalg.eigvalsh(_projected(_range(U, V), U, V))


@_few.defjvp
def _few_rule(primals: Any, tangents: Any) -> Any:
    # dλ = qᴴ d(U Vᵀ) q: to first order the range stays where it is, to second it does not
    Q = constant(_range(*primals))
    return jax.jvp(lambda U, V: jnp.linalg.eigvalsh(_projected(Q, U, V)), primals, tangents)


def decompose(terms: Sequence[Term], dtype: Any) -> Decomposition:
    """With I - Y T Yᴴ, the reflections that take the first unit vectors to Q."""
    shift, U, V = _read(terms, dtype)
    n, r = U.shape[0], 2 * U.shape[1]
    packed, tau = jnp.linalg.qr(jnp.concatenate([U, V.conj()], axis=1), mode="raw")
    eye = jnp.eye(n, r, dtype=dtype)
    Y = jnp.tril(packed.T, -1) + eye
    gram = matmul(Y.conj().T, Y)
    # T⁻¹ = diag(1/τ) + the triangle of Yᴴ Y above the diagonal; some τ may be zero
    T = jnp.linalg.solve(eye[:r] + tau[:, None] * jnp.triu(gram, 1), jnp.diag(tau))
    Q = eye - matmul(matmul(Y, T), Y[:r].conj().T)
    w, W = jnp.linalg.eigh(_projected(Q, U, V))
    # (I - Y T Yᴴ) (I + E (W - I) Eᴴ), for the first unit vectors E
    head = matmul(Q, W - eye[:r])
    left = jnp.concatenate([head, -matmul(Y, T)], axis=1)
    right = jnp.concatenate([eye, Y.conj()], axis=1)
    out_shape, in_shape = shape(terms[0].out), shape(terms[0].in_)
    groups = fresh(in_shape)
    vectors = [Term((), groups, groups), woodbury.term(left, right, out_shape, in_shape)]
    grid = jnp.concatenate([w, jnp.zeros(n - r, w.dtype)]) + jnp.real(shift)
    return Decomposition(grid.reshape(in_shape), vectors)
