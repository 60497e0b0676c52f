"""A sum of two Kronecker products, s₁ ⊗ᵢ Pᵢ + s₂ ⊗ᵢ Qᵢ: A X Bᵀ + C X Dᵀ = E and its like.

One product taken out leaves a sum with one matrix an axis, of which Schur forms, or eigenvectors,
take care: s₁ ⊗ Qᵢ⁻¹Pᵢ + s₂ I in general, and with Qᵢ = Lᵢ Lᵢᴴ the Hermitian s₁ ⊗ Lᵢ⁻¹PᵢLᵢ⁻ᴴ + s₂ I
where the Qᵢ are positive definite. The product that is the better conditioned of the two is Q.

Source: Golub and Van Loan, Matrix Computations (2013), section 8.7, for the definite pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc._precision import matmul
from jaxmatcalc.linear.commuting import Commuting, Layout, Slot, on_axes
from jaxmatcalc.linear.kinds import (
    component_matrix,
    parts_and_scale,
    role,
)
from jaxmatcalc.linear.term import Array, Component, Term, shape


def pair(terms: Sequence[Term]) -> tuple[Layout, list[tuple[Component | None, ...]]] | None:
    """The axes of such a sum, and what acts on them in either term (None: nothing); or None."""
    if len(terms) != 2:
        return None
    found = on_axes(terms)
    if found is None:
        return None
    sizes, groups = found
    slots, acting = [], []
    for axes, entries in groups:
        diagonal = all(role(c, terms[t]) == "diagonal" for t, c in entries)
        t, c = entries[0]
        slots.append(Slot(axes, t, c, diagonal, False))
        acting.append(tuple(dict(entries).get(t) for t in (0, 1)))
    ones, zeros = (1,) * len(slots), (0,) * len(slots)
    return Layout(sizes, tuple(slots), (ones, zeros)), acting


@dataclass(frozen=True)
class Pencil:
    """Such a sum, as arrays.

    Attributes:
        layout: the axes, and the exponents of what is left when Q is taken out.
        scales: s₁ and s₂.
        first: the Pᵢ, vectors where both are diagonal.
        second: the Qᵢ.
        shape: what the sum acts on.
    """

    layout: Layout
    scales: tuple[Array, Array]
    first: tuple[Array, ...]
    second: tuple[Array, ...]
    shape: tuple[int, ...]

    @classmethod
    def read(cls, terms: Sequence[Term], dtype: Any) -> Pencil:
        """The arrays of a sum of two Kronecker products."""
        found = pair(terms)
        assert found is not None
        layout, slots = found

        def factors(t: int) -> tuple[Array, ...]:
            matrices = []
            for slot, both in zip(layout.slots, slots, strict=True):
                n = math.prod(layout.sizes[k] for k in slot.axes)
                c = both[t]
                M = jnp.ones(n, dtype) if c is None else component_matrix(c, terms[t])
                M = M.reshape(n if M.size == n and slot.diagonal else M.shape)
                if not slot.diagonal and (c is None or role(c, terms[t]) == "diagonal"):
                    M = jnp.diag(M.reshape(-1))
                matrices.append(M.astype(dtype))
            return tuple(matrices)

        first, second = (parts_and_scale(term, dtype)[1] for term in terms)
        return cls(layout, (first, second), factors(0), factors(1), shape(terms[0].in_))

    def _ordered(self, quality: Callable[[Array], Array]) -> Pencil:
        """The same sum with the better of the two products as Q."""

        def product(matrices: Sequence[Array]) -> Array:
            found = math.prod(quality(lax.stop_gradient(M)) for M in matrices)
            return jnp.where(jnp.isnan(found), -1, found)

        swap = product(self.first) > product(self.second)

        def exchanged(p: Any, q: Any) -> Any:
            return (
                jax.tree.map(lambda a, b: jnp.where(swap, b, a), p, q),
                jax.tree.map(lambda a, b: jnp.where(swap, a, b), p, q),
            )

        first, second = exchanged(self.first, self.second)
        return Pencil(self.layout, exchanged(*self.scales), first, second, self.shape)

    def _reduced(self, matrices: Sequence[Array]) -> Commuting:
        return Commuting(self.layout, self.scales, tuple(matrices), self.shape)

    def _orders(self) -> list[int]:
        """How often the determinant of each Qᵢ comes."""
        total = math.prod(self.shape)
        return [total // len(Q) for Q in self.second]

    # Hermitian Pᵢ and positive definite Qᵢ

    def _definite(self) -> tuple[Commuting, list[Array]]:
        """What is left, and the Cholesky factors Lᵢ of the Qᵢ."""
        ordered = self._ordered(_definite_quality)
        roots = [jnp.sqrt(Q) if Q.ndim == 1 else jnp.linalg.cholesky(Q) for Q in ordered.second]
        left = [
            P / (L * L) if P.ndim == 1 else _solve(L, _solve(L, P).conj().T).conj().T
            for P, L in zip(ordered.first, roots, strict=True)
        ]
        return ordered._reduced(left), roots

    def solve_eigen(self, b: Array) -> Array:
        """In the eigenvectors of the definite pairs."""
        left, roots = self._definite()
        x = left.gathered(b)
        for axis, L in enumerate(roots):
            x = _along(lambda x, L=L: _solve(L, x), x, axis)
        x = left.gathered(left.solve_eigen(left.scattered(x)))
        for axis, L in enumerate(roots):
            x = _along(lambda x, L=L: _solve(L, x, adjoint=True), x, axis)
        return left.scattered(x)

    def inverse(self) -> list[Term]:
        """The inverse in those eigenvectors."""
        left, roots = self._definite()
        return left.inverse(roots)

    # General ones

    def schur_solver(self) -> Callable[[Array], Array]:
        """b ↦ x by Schur forms, taken once, and one step of refinement."""
        ordered = self._ordered(_quality)
        ratios = [_quotient(Q, P) for P, Q in zip(ordered.first, ordered.second, strict=True)]
        left = ordered._reduced(ratios)
        inverses = [1 / Q if Q.ndim == 1 else jnp.linalg.inv(Q) for Q in ordered.second]
        solve_left = left.schur_solver()

        def times(matrices: Sequence[Array], x: Array) -> Array:
            for axis, M in enumerate(matrices):
                x = _along(lambda x, M=M: _times(M, x), x, axis)
            return x

        def solved(b: Array) -> Array:
            return left.gathered(solve_left(left.scattered(times(inverses, b))))

        def refined(b: Array) -> Array:
            b = left.gathered(b)
            x = solved(b)
            s, t = (scale.astype(b.dtype) for scale in ordered.scales)
            image = s * times(ordered.first, x) + t * times(ordered.second, x)
            return left.scattered(x + solved(b - image))

        return refined

    def logdet(self, name: str, vectors: bool = False) -> Array:
        """log |det|, by "eigen" differentiable to every order."""
        if name == "eigen":
            left, roots = self._definite()
            diagonals = [L if L.ndim == 1 else jnp.diagonal(L) for L in roots]
            logs = [2 * jnp.sum(jnp.log(jnp.abs(d))) for d in diagonals]
        else:
            ordered = self._ordered(_quality)
            ratios = [_quotient(Q, P) for P, Q in zip(ordered.first, ordered.second, strict=True)]
            left = ordered._reduced(ratios)
            logs = [
                jnp.sum(jnp.log(jnp.abs(Q))) if Q.ndim == 1 else jnp.linalg.slogdet(Q)[1]
                for Q in ordered.second
            ]
        outer = sum(k * log for k, log in zip(self._orders(), logs, strict=True))
        return left.logdet(name, vectors) + outer


def _definite_quality(Q: Array) -> Array:
    """How far Q is from indefinite: a bound on 1 / its condition; NaN where it is."""
    L = jnp.sqrt(Q) if Q.ndim == 1 else jnp.diagonal(jnp.linalg.cholesky(Q))
    return (jnp.min(L.real) / jnp.max(L.real)) ** 2


def _quality(Q: Array) -> Array:
    """1 / condition of Q."""
    if Q.ndim == 1:
        return jnp.min(jnp.abs(Q)) / jnp.max(jnp.abs(Q))
    return 1 / jnp.linalg.cond(Q, 1)


def _solve(L: Array, x: Array, adjoint: bool = False) -> Array:
    """L⁻¹ x for a lower triangular L or a diagonal one, or L⁻ᴴ x."""
    if L.ndim == 1:
        return x / L[:, None].astype(x.dtype)
    dtype = jnp.result_type(L, x)
    trans = "C" if adjoint else "N"
    return jax.scipy.linalg.solve_triangular(
        L.astype(dtype), x.astype(dtype), lower=True, trans=trans
    )


def _times(M: Array, x: Array) -> Array:
    return M[:, None].astype(x.dtype) * x if M.ndim == 1 else matmul(M.astype(x.dtype), x)


def _quotient(Q: Array, P: Array) -> Array:
    return P / Q if Q.ndim == 1 else jnp.linalg.solve(Q, P)


def _along(function: Callable[[Array], Array], x: Array, axis: int) -> Array:
    """A function of matrices of columns, along one axis."""
    moved = jnp.moveaxis(x, axis, 0)
    return jnp.moveaxis(function(moved.reshape(len(moved), -1)).reshape(moved.shape), 0, axis)
