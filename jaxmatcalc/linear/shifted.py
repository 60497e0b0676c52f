"""Kronecker + ρ·identity: solved in the eigenvectors, or the Schur vectors, of the factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxmatcalc import _checks
from jaxmatcalc.linear.contraction import contract
from jaxmatcalc.linear.structure import aligned, kronecker_plus_identity, sides
from jaxmatcalc.linear.term import (
    Array,
    Component,
    Factor,
    Group,
    Label,
    Term,
    components,
    extent,
    flat,
    shape,
)

_HIGHEST = lax.Precision.HIGHEST


def component_matrix(component: Component, term: Term) -> tuple[Array, Group, Group, Group]:
    """The component as matrices of shape (both…, rows, columns), and its labels."""
    rows, columns, both = sides(component, term)
    array = contract(component.factors, both + rows + columns)
    array = array.reshape([k.size for k in both] + [extent(rows), extent(columns)])
    return array, rows, columns, both


def parts_and_scalars(term: Term) -> tuple[list[Component], list[Array]]:
    """The components with axes and factors, and the scalars."""
    found = components(term)
    scalars = [f.array for c in found if not c.labels for f in c.factors]
    return [c for c in found if c.labels and c.factors], scalars


@dataclass
class Shifted:
    """s·(M₁ ⊗ M₂ ⊗ …) + ρ·I, or s·(M₁ ⊗ M₂)·K + ρ·I when `crossed`."""

    term: Term
    parts: list[Component]
    scale: Array
    shift: Array
    crossed: bool

    @classmethod
    def read(cls, terms: Sequence[Term], dtype: Any) -> Shifted:
        """The parts of two terms of this form."""
        found = kronecker_plus_identity(terms)
        assert found is not None
        term, identity, _ = found
        parts, scalars = parts_and_scalars(term)
        scale = contract([Factor(s, ()) for s in scalars], ()) if scalars else jnp.ones((), dtype)
        shifts = identity.factors
        shift = contract(shifts, ()) if shifts else jnp.ones((), dtype)
        labelled = [c for c in components(term) if c.labels]
        return cls(term, parts, jnp.asarray(scale), jnp.asarray(shift), not aligned(term, labelled))

    def matrices(self) -> list[Array]:
        """The components, rows by columns."""
        return [component_matrix(c, self.term)[0] for c in self.parts]

    def full_matrices(self) -> list[Array]:
        """The components as matrices, a diagonal one formed."""
        return [
            m if m.shape[-1] != 1 or m.ndim == 2 else jnp.diag(m.ravel()) for m in self.matrices()
        ]

    def _spectrum(self) -> tuple[list[tuple[Group, Group, Array, Label]], Array, Group]:
        """Eigenvectors of each component, and s·∏w + ρ over the eigen-labels."""
        vectors, values = [], [Factor(self.scale, ())]
        for c in self.parts:
            rows, columns, both = sides(c, self.term)
            if not rows:
                values.append(Factor(contract(c.factors, both), both))
                continue
            w, q = jnp.linalg.eigh(component_matrix(c, self.term)[0])
            label = Label(extent(rows))
            values.append(Factor(w, (label,)))
            vectors.append((rows, columns, q, label))
        labels = tuple(k for f in values for k in f.labels)
        return vectors, contract(values, labels) + self.shift, labels

    def inverse(self) -> list[Term]:
        """The inverse in eigenvectors: one term, or two where a commutation is crossed."""
        if self.crossed:
            return self._inverse_crossed()
        vectors, eigenvalues, labels = self._spectrum()
        factors = [Factor(1 / eigenvalues, labels)]
        for rows, columns, q, e in vectors:
            out = (*columns, e)
            in_ = (*rows, e)
            factors.append(Factor(q.reshape([k.size for k in out]), out))
            factors.append(Factor(q.conj().reshape([k.size for k in in_]), in_))
        return [Term(tuple(factors), self.term.in_, self.term.out)]

    def _svd(self) -> tuple[Array, Array, Array]:
        """M₁ = U σ Zᵀ and c = s σ σᵀ: with M₂ = M₁ᵀ, V = U Y Zᵀ turns M₁ Vᵀ M₁ into σ Yᵀ σ."""
        u, sigma, zt = jnp.linalg.svd(self.matrices()[0])
        return u, zt.T, self.scale * jnp.outer(sigma, sigma)

    def solve_crossed(self, b: Array) -> Array:
        """ρV + s M Vᵀ M = B by 2 × 2 systems, ρ Yᵢⱼ + cᵢⱼ Yⱼᵢ = B'ᵢⱼ: symmetric and skew parts."""
        u, z, c = self._svd()
        n = u.shape[0]
        y = jnp.matmul(jnp.matmul(u.T, b.reshape(n, n), precision=_HIGHEST), z, precision=_HIGHEST)
        even, odd = (y + y.T) / 2, (y - y.T) / 2
        skew = jnp.where(jnp.eye(n, dtype=bool), 1, self.shift - c)  # odd is 0 on the diagonal
        y = even / (self.shift + c) + odd / skew
        x = jnp.matmul(jnp.matmul(u, y, precision=_HIGHEST), z.T, precision=_HIGHEST)
        return x.reshape(shape(self.term.in_))

    def _inverse_crossed(self) -> list[Term]:
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

    def logdet(self, name: str) -> Array:
        """log |det| from the eigenvalues of the factors."""
        if not self.crossed:
            if name == "eigen":
                eigenvalues, labels = self._spectrum()[1:]
            else:
                eigenvalues = self.scale
                for m in self.full_matrices():
                    eigenvalues = jnp.multiply.outer(eigenvalues, jnp.diagonal(_schur(m)[0]))
                eigenvalues = eigenvalues + self.shift
                labels = flat(r or b for r, _, b in (sides(c, self.term) for c in self.parts))
            repeats = extent(flat(self.term.out)) // extent(labels)
            return repeats * jnp.sum(jnp.log(jnp.abs(eigenvalues)))
        # K(A ⊗ B) has the eigenvalues μᵢ and ±√(μᵢμⱼ), i < j, for μ those of M₁M₂
        if name == "eigen":
            mu = jnp.linalg.svd(self.matrices()[0], compute_uv=False) ** 2
        else:
            m1, m2 = self.matrices()
            mu = jnp.diagonal(_schur(jnp.matmul(m1, m2, precision=_HIGHEST))[0])
        pairs = self.shift**2 - self.scale**2 * jnp.outer(mu, mu)
        upper = jnp.triu(jnp.ones(pairs.shape, bool), 1)
        logs = jnp.log(jnp.abs(jnp.where(upper, pairs, 1)))
        return jnp.sum(jnp.log(jnp.abs(self.shift + self.scale * mu))) + jnp.sum(logs)

    def solve_schur(self, b: Array) -> Array:
        """Triangular form of M₁ V M₂ᵀ s + ρV = B, then one column after the other."""
        matrices = self.matrices()
        if self.crossed:
            # V from its own transpose: ρ²V - s²(M₁M₂) V (M₁ᵀM₂ᵀ) = ρB - s M₁ Bᵀ M₂ᵀ
            m1, m2 = matrices
            n = m1.shape[0]
            g = b.reshape(n, n)
            moved = jnp.matmul(jnp.matmul(m1, g.T, precision=_HIGHEST), m2.T, precision=_HIGHEST)
            x = _stein(
                -(self.scale**2) * jnp.matmul(m1, m2, precision=_HIGHEST),
                jnp.matmul(m2, m1, precision=_HIGHEST),
                self.shift**2,
                self.shift * g - self.scale * moved,
            )
            return _like(x, b).reshape(shape(self.term.in_))
        # identity components ride along as further right-hand sides
        groups = [sides(c, self.term) for c in self.parts]
        labels = flat(self.term.out)
        rows = [g[0] or g[2] for g in groups]
        rest = tuple(k for k in labels if k not in flat(rows))
        order = flat(rows) + rest
        g = b.reshape([k.size for k in labels]).transpose([labels.index(k) for k in order])
        full = self.full_matrices()
        first = self.scale * full[0]
        second = full[1] if len(full) > 1 else jnp.ones((1, 1), first.dtype)
        g = g.reshape(first.shape[0], second.shape[0], -1)
        solved = jax.vmap(lambda h: _stein(first, second, self.shift, h), 2, 2)(g)
        columns = tuple(k for g_ in groups for k in (g_[1] or g_[2])) + rest
        x = _like(solved, b).reshape([k.size for k in columns])
        target = flat(self.term.in_)
        return x.transpose([columns.index(k) for k in target]).reshape(shape(self.term.in_))


def _like(x: Array, b: Array) -> Array:
    return x if jnp.iscomplexobj(b) else x.real.astype(b.dtype)


def _schur(a: Array) -> tuple[Array, Array]:
    """Complex Schur form, a = Q T Qᴴ, as (T, Q)."""
    _checks.schur_platform(jax.default_backend())
    t, q = jax.scipy.linalg.schur(a, output="complex")
    return t, q


def _stein(a: Array, b: Array, rho: Array, g: Array) -> Array:
    """V with a V bᵀ + ρ V = g, by Schur forms and one triangular solve a column."""
    ta, qa = _schur(a)
    tb, qb = _schur(b)
    f = qa.conj().T @ g.astype(ta.dtype) @ qb.conj()
    eye = jnp.eye(ta.shape[0], dtype=ta.dtype)
    n = tb.shape[0]

    def column(step: int, y: Array) -> Array:
        j = n - 1 - step
        rhs = f[:, j] - ta @ (y @ tb[j])  # columns not reached yet are zero
        found = jax.scipy.linalg.solve_triangular(tb[j, j] * ta + rho * eye, rhs)
        return y.at[:, j].set(found)

    y = lax.fori_loop(0, n, column, jnp.zeros_like(f))
    return qa @ y @ qb.T
