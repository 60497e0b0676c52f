"""Kronecker product times commutation, plus ρ·identity: V ↦ s M₁ Vᵀ M₂ᵀ + ρ V.

The Hessian of log|det X| with a penalty is of this kind, with M₂ = M₁ᵀ. Then the singular vectors
of M₁ = U σ Zᵀ leave systems of two unknowns, Yᵢⱼ and Yⱼᵢ; in general the map applied twice has no
transposition left, and is solved by Schur forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax.numpy as jnp

from jaxmatcalc._precision import matmul
from jaxmatcalc.linear.kinds import (
    component_matrix,
    intervals,
    is_complex,
    is_invertible,
    kind,
    parts_and_scale,
    role,
    sides,
    strides,
)
from jaxmatcalc.linear.schur import schur, triangular_solver
from jaxmatcalc.linear.term import (
    Array,
    Component,
    Factor,
    Group,
    Label,
    Term,
    components,
    flat,
    shape,
)


@dataclass(frozen=True)
class Crossed:
    """s·(M₁ ⊗ M₂)·K + ρ·I.

    Attributes:
        term: the first term.
        parts: the components of its two matrices, M₁ with the rows of the first axis.
        scale: s.
        shift: ρ.
    """

    term: Term
    parts: list[Component]
    scale: Array
    shift: Array

    @classmethod
    def read(cls, terms: Sequence[Term], dtype: Any) -> Crossed:
        """The parts of two terms of this form."""
        found = crossed_plus_identity(terms)
        assert found is not None
        term, identity, _ = found
        parts, scale = parts_and_scale(term, dtype)
        rows = flat(term.out)
        parts.sort(key=lambda c: rows.index(sides(c, term)[0][0]))
        return cls(term, parts, scale, parts_and_scale(identity, dtype)[1])

    def matrices(self) -> tuple[Array, Array]:
        """M₁ and M₂, rows by columns."""
        first, second = (component_matrix(c, self.term) for c in self.parts)
        return first, second

    def _svd(self) -> tuple[Array, Array, Array]:
        """M₁ = U σ Zᵀ and c = s σ σᵀ: with M₂ = M₁ᵀ, V = U Y Zᵀ turns M₁ Vᵀ M₁ into σ Yᵀ σ."""
        u, sigma, zt = jnp.linalg.svd(self.matrices()[0])
        return u, zt.T, self.scale * jnp.outer(sigma, sigma)

    def solve_eigen(self, b: Array) -> Array:
        """ρV + s M Vᵀ M = B by 2 × 2 systems, ρ Yᵢⱼ + cᵢⱼ Yⱼᵢ = B'ᵢⱼ: symmetric and skew parts."""
        u, z, c = self._svd()
        n = u.shape[0]
        y = matmul(matmul(u.T, b.reshape(n, n)), z)
        even, odd = (y + y.T) / 2, (y - y.T) / 2
        skew = jnp.where(jnp.eye(n, dtype=bool), 1, self.shift - c)  # odd is 0 on the diagonal
        y = even / (self.shift + c) + odd / skew
        x = matmul(matmul(u, y), z.T)
        return x.reshape(shape(self.term.in_))

    def schur_solver(self) -> Callable[[Array], Array]:
        """V from its own transpose: ρ²V - s²(M₁M₂) V (M₁ᵀM₂ᵀ) = ρB - s M₁ Bᵀ M₂ᵀ."""
        m1, m2 = self.matrices()
        n = m1.shape[0]
        products = [matmul(m1, m2), matmul(m2, m1)]
        squares = [-(self.scale**2), self.shift**2]
        solved = triangular_solver(products, squares, [(1, 1), (0, 0)])

        def solve(b: Array) -> Array:
            g = b.reshape(n, n)
            moved = matmul(matmul(m1, g.T), m2.T)
            x = solved((self.shift * g - self.scale * moved)[..., None])
            return x.reshape(shape(self.term.in_))

        return solve

    def inverse(self) -> list[Term]:
        """The inverse in singular vectors, two terms."""
        u, z, c = self._svd()
        n = u.shape[0]
        first, second = self.parts
        (i, l, _), (j, k, _) = sides(first, self.term), sides(second, self.term)
        diagonal = jnp.eye(n, dtype=bool)
        even = 1 / (self.shift + c)
        odd = jnp.where(diagonal, even, 1 / jnp.where(diagonal, 1, self.shift - c))
        a, b = Label(n), Label(n)

        def vectors(q: Array, group: Group, label: Label) -> Factor:
            labels = (*group, label)
            return Factor(q.reshape([m.size for m in labels]), labels)

        result = []
        for weight, (p, q) in (((even + odd) / 2, (a, b)), ((even - odd) / 2, (b, a))):
            factors = (
                Factor(weight, (a, b)),
                vectors(u, k, a),
                vectors(z, l, b),
                vectors(u, i, p),
                vectors(z, j, q),
            )
            result.append(Term(factors, self.term.in_, self.term.out))
        return result

    def logdet(self, name: str, vectors: bool = False) -> Array:
        """log |det|: K(A ⊗ B) has the eigenvalues μᵢ and ±√(μᵢμⱼ), i < j, for μ those of M₁M₂."""
        m1, m2 = self.matrices()
        if name == "eigen":
            mu = jnp.linalg.svd(m1, compute_uv=False) ** 2
        else:
            mu = jnp.diagonal(schur(matmul(m1, m2))[0])
        pairs = self.shift**2 - self.scale**2 * jnp.outer(mu, mu)
        upper = jnp.triu(jnp.ones(pairs.shape, bool), 1)
        logs = jnp.log(jnp.abs(jnp.where(upper, pairs, 1)))
        return jnp.sum(jnp.log(jnp.abs(self.shift + self.scale * mu))) + jnp.sum(logs)


def crossed_plus_identity(terms: Sequence[Term]) -> tuple[Term, Term, bool] | None:
    """The crossed term, the identity term, and whether M₂ is M₁ᵀ; None for any other sum."""
    if len(terms) != 2:
        return None
    shift = [t for t in terms if kind(t) == "identity"]
    rest = [t for t in terms if kind(t) != "identity"]
    if len(shift) != 1 or not is_invertible(rest[0]):
        return None
    term = rest[0]
    parts = [c for c in components(term) if c.labels]
    if [role(c, term) for c in parts] != ["matrix", "matrix"]:
        return None
    if not all(_exchanged(a, b, term) for a, b in pairwise(parts)):
        return None
    return term, shift[0], transposes(parts[0], parts[1], term)


def _exchanged(first: Component, second: Component, term: Term) -> bool:
    """Whether two components exchange their axes, each other's rows for columns."""
    rows, columns = strides(flat(term.out)), strides(flat(term.in_))
    return intervals(first.labels, rows) == intervals(second.labels, columns) and (
        intervals(first.labels, columns) == intervals(second.labels, rows)
    )


def transposes(first: Component, second: Component, term: Term) -> bool:
    """Whether the second matrix (rows to columns) is the first one transposed: the same array."""
    if len(first.factors) != 1 or len(second.factors) != 1:
        return False
    (f,), (g,) = first.factors, second.factors
    if f.array is not g.array or len(f.labels) != 2 or is_complex(f):
        return False
    row_first = [k in flat(term.out) for k in f.labels]
    return f.symmetric or row_first == [k in flat(term.in_) for k in g.labels]
