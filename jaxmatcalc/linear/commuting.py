"""Sums of Kronecker products with one matrix an axis: Σₜ sₜ ⊗ᵢ Mᵢ^eₜᵢ, eₜᵢ ∈ {0, 1}.

A ⊗ B + ρI, A ⊗ I + I ⊗ B and A ⊗ I + I ⊗ B + ρI are of this kind, with any number of factors. The
terms commute, so that one eigendecomposition, or Schur form, of each matrix serves all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmatcalc._precision import along
from jaxmatcalc.linear import resolvent, schur
from jaxmatcalc.linear.kinds import (
    aligned,
    component_matrix,
    intervals,
    is_invertible,
    known_symmetric,
    parts_and_scale,
    role,
    sides,
    strides,
)
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
    fresh,
    refine,
    shape,
)


class Slot(NamedTuple):
    """The axes on which a matrix acts, and where it is found."""

    axes: tuple[int, ...]
    term: int
    component: Component
    diagonal: bool
    symmetric: bool


class Layout(NamedTuple):
    """The axes that a sum distinguishes, row-major, and what acts on them."""

    sizes: tuple[int, ...]
    slots: tuple[Slot, ...]
    exponents: tuple[tuple[int, ...], ...]

    @property
    def symmetric(self) -> bool:
        """Whether orthogonal eigenvectors diagonalise every matrix, as far as is known."""
        return all(slot.symmetric for slot in self.slots)


def layout(terms: Sequence[Term]) -> Layout | None:
    """How a sum of two or more terms is of this kind, or None."""
    if len(terms) < 2:
        return None
    found = on_axes(terms)
    if found is None:
        return None
    sizes, groups = found
    slots = []
    for axes, entries in groups:
        (t, c), *others = entries
        if others and any(_signature(d, terms[s]) != _signature(c, terms[t]) for s, d in others):
            return None
        diagonal = role(c, terms[t]) == "diagonal"
        symmetric = diagonal or known_symmetric(c, terms[t])
        slots.append(Slot(axes, t, c, diagonal, symmetric))
    exponents = tuple(
        tuple(int(any(s == t for s, _ in entries)) for _, entries in groups)
        for t in range(len(terms))
    )
    return Layout(sizes, tuple(slots), exponents)


Entries = list[tuple[int, Component]]  # components with the numbers of their terms


def on_axes(
    terms: Sequence[Term],
) -> tuple[tuple[int, ...], list[tuple[tuple[int, ...], Entries]]] | None:
    """Sizes of the axes that the matrices of a sum act on, and what acts on each group of them.

    None where a term is no Kronecker product of matrices and diagonals, or where the axes overlap.
    """
    found: dict[Any, Entries] = {}
    for t, term in enumerate(terms):
        parts = [c for c in components(term) if c.labels]
        roles = {role(c, term) for c in parts}
        if not is_invertible(term) or not roles <= {"delta", "diagonal", "matrix"}:
            return None
        if not aligned(term, parts):
            return None
        rows = strides(flat(term.out))
        for c in parts:
            if role(c, term) != "delta":
                found.setdefault(tuple(intervals(c.labels, rows)), []).append((t, c))
    size = extent(flat(terms[0].out))
    placed = places([interval for key in found for interval in key], size) if size else None
    if not found or placed is None:
        return None
    sizes, position = placed
    return sizes, [(tuple(position[k] for k in key), entries) for key, entries in found.items()]


def places(
    found: Sequence[tuple[int, int]], size: int
) -> tuple[tuple[int, ...], dict[tuple[int, int], int]] | None:
    """Sizes of axes that hold each (stride, size), and which holds it; None if two overlap."""
    sizes: list[int] = []
    position = {}
    for stride, width in sorted(found, reverse=True):
        if size % (stride * width):
            return None
        gap = size // (stride * width)
        sizes += [gap] if gap > 1 else []
        position[stride, width] = len(sizes)
        sizes.append(width)
        size = stride
    return tuple([*sizes, size] if size > 1 else sizes), position


def _signature(component: Component, term: Term) -> Any:
    """Equal for two components only if they are the same matrix."""
    if len(component.factors) != 1:
        return id(component)
    (f,) = component.factors
    rows, columns, both = sides(component, term)
    order = [(rows + columns + both).index(k) for k in f.labels]
    return id(f.array), bool(rows), tuple(order if not f.symmetric else sorted(order))


def _scaled(
    found: list[tuple[Array, Array | None]], grid: Array, roots: Sequence[Array]
) -> tuple[list[tuple[Array, Array | None]], Array]:
    """Eigenvectors Lᵢ⁻ᴴ Vᵢ, and the grid with the squares of the diagonal Lᵢ."""
    moved: list[tuple[Array, Array | None]] = []
    for axis, ((w, q), L) in enumerate(zip(found, roots, strict=True)):
        if q is None:
            spread = [-1 if k == axis else 1 for k in range(grid.ndim)]
            grid = grid * (L * L).reshape(spread)
        else:
            q = jax.scipy.linalg.solve_triangular(L, q, lower=True, trans="C")
        moved.append((w, q))
    return moved, grid


@dataclass(frozen=True)
class Commuting:
    """Such a sum, as arrays.

    Attributes:
        layout: axes, slots and exponents.
        scales: sₜ.
        matrices: Mᵢ, a vector where it is diagonal.
        shape: what the sum acts on.
    """

    layout: Layout
    scales: tuple[Array, ...]
    matrices: tuple[Array, ...]
    shape: tuple[int, ...]

    @classmethod
    def read(cls, terms: Sequence[Term], dtype: Any) -> Commuting:
        """The arrays of a sum that has a layout."""
        found = layout(terms)
        assert found is not None
        scales = tuple(parts_and_scale(term, dtype)[1] for term in terms)
        once: dict[Any, Array] = {}  # the same object where it is the same matrix: X ↦ M X M
        matrices = []
        for slot in found.slots:
            key = _signature(slot.component, terms[slot.term])
            if key not in once:
                M = component_matrix(slot.component, terms[slot.term])
                M = M.astype(jnp.promote_types(M.dtype, jnp.finfo(dtype).dtype))
                once[key] = M.reshape(-1) if slot.diagonal else M
            matrices.append(once[key])
        return cls(found, scales, tuple(matrices), shape(terms[0].in_))

    @property
    def form(self) -> resolvent.Form:
        """What is static about the sum."""
        return resolvent.Form(
            self.layout.exponents, tuple(slot.diagonal for slot in self.layout.slots)
        )

    @property
    def _order(self) -> tuple[list[int], list[int]]:
        """Axes in the order of the slots, and those on which nothing acts."""
        acted = [axis for slot in self.layout.slots for axis in slot.axes]
        return acted, [k for k in range(len(self.layout.sizes)) if k not in acted]

    @property
    def repeats(self) -> int:
        """How often each eigenvalue of the matrices' grid comes."""
        return math.prod(self.layout.sizes[k] for k in self._order[1])

    def gathered(self, b: Array) -> Array:
        """An array with one axis a slot, and one for the rest."""
        acted, rest = self._order
        sizes = [math.prod(self.layout.sizes[k] for k in s.axes) for s in self.layout.slots]
        return b.reshape(self.layout.sizes).transpose(acted + rest).reshape(*sizes, self.repeats)

    def scattered(self, x: Array) -> Array:
        """The inverse of `gathered`."""
        acted, rest = self._order
        order = acted + rest
        x = x.reshape([self.layout.sizes[k] for k in order])
        return x.transpose([order.index(k) for k in range(len(order))]).reshape(self.shape)

    def solve_eigen(self, b: Array) -> Array:
        """In the eigenvectors: one division."""
        found = resolvent.spectra(self.form, self.matrices)
        grid = schur.combined([w for w, _ in found], self.scales, self.layout.exponents)
        x = self.gathered(b)
        for axis, (_, q) in enumerate(found):
            x = x if q is None else along(q.conj().T, x, axis)
        x = x / grid[..., None]
        for axis, (_, q) in enumerate(found):
            x = x if q is None else along(q, x, axis)
        return self.scattered(x)

    def schur_solver(self) -> Callable[[Array], Array]:
        """b ↦ x by substitution, in Schur vectors that are taken once."""
        solved = schur.triangular_solver(self._full(), self.scales, self.layout.exponents)
        return lambda b: self.scattered(solved(self.gathered(b)))

    def _full(self) -> list[Array]:
        return [jnp.diag(M) if M.ndim == 1 else M for M in self.matrices]

    def logdet(self, name: str, vectors: bool = False) -> Array:
        """log |det|, by "eigen" differentiable to every order."""
        if name == "eigen":
            value = resolvent.logabsdet(self.form, vectors, self.scales, self.matrices)
        else:
            grid = schur.eigenvalues(self._full(), self.scales, self.layout.exponents)
            value = jnp.sum(jnp.log(jnp.abs(grid)))
        return self.repeats * value

    def labels(self) -> tuple[tuple[Group, ...], list[Group]]:
        """Labels of the rows, and those of them that each matrix acts on."""
        rows, axes = fresh(self.shape), fresh(self.layout.sizes)
        parts = refine(flat(rows), flat(axes))
        assert parts is not None  # both are merges of the labels of the terms
        rows, axes = (
            tuple(flat(parts.get(k, (k,)) for k in group) for group in groups)
            for groups in (rows, axes)
        )
        row_of = dict(zip(flat(axes), flat(rows), strict=True))
        acting = [
            tuple(row_of[k] for axis in slot.axes for k in axes[axis]) for slot in self.layout.slots
        ]
        return rows, acting

    def inverse(self, roots: Sequence[Array] | None = None) -> list[Term]:
        """The inverse in eigenvectors.

        Args:
            roots: lower triangular Lᵢ, vectors where the matrix is diagonal; the inverse is then
                that of (⊗ Lᵢ) A (⊗ Lᵢᴴ).
        """
        found = resolvent.spectra(self.form, self.matrices)
        grid = schur.combined([w for w, _ in found], self.scales, self.layout.exponents)
        if roots is not None:
            found, grid = _scaled(found, grid, roots)
        rows, acting = self.labels()
        column_of: dict[Label, Label] = {}
        eigen: list[Label] = []
        factors: list[Factor] = []
        for group, (_, q) in zip(acting, found, strict=True):
            if q is None:  # diagonal there: rows and columns share their labels
                eigen += group
                continue
            columns = tuple(Label(k.size) for k in group)
            column_of.update(zip(group, columns, strict=True))
            eigen.append(Label(extent(group)))
            for vectors, side in ((q, group), (q.conj(), columns)):
                labels = (*side, eigen[-1])
                factors.append(Factor(vectors.reshape([k.size for k in labels]), labels))
        weight = Factor((1 / grid).reshape([k.size for k in eigen]), tuple(eigen))
        columns = tuple(tuple(column_of.get(k, k) for k in group) for group in rows)
        return [Term((weight, *factors), rows, columns)]
