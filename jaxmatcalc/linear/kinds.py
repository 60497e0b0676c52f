"""What a term is: the role of each of its components, and the name that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxmatcalc.linear.contraction import contract
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
)


def kind(term: Term) -> str:
    """The kind of one term."""
    parts = [c for c in components(term) if c.labels]
    roles = [role(c, term) for c in parts]
    if roles and all(r == "vector" for r in roles):
        return "low-rank"
    if repeats(term):
        return "sparse"  # as the map from a vector to a diagonal matrix
    if all(r == "delta" for r in roles):
        return "identity" if aligned(term, parts) else "permutation"
    if all(r in ("delta", "diagonal") for r in roles):
        return "diagonal" if aligned(term, parts) else "diagonal+commutation"
    if len(parts) == 1:
        if roles[0] == "block":
            return "block diagonal"
        if roles[0] == "rectangle" and sides(parts[0], term)[2]:
            return "sparse"
        return "low-rank" if bond(parts[0], term) else "dense"
    solid = [c for c, r in zip(parts, roles, strict=True) if r != "vector"]
    return "kronecker" if aligned(term, solid) else "kronecker+commutation"


def repeats(term: Term) -> bool:
    """Whether a list holds a label twice."""
    return any(len(set(labels)) < len(labels) for labels in (flat(term.out), flat(term.in_)))


def sides(component: Component, term: Term) -> tuple[Group, Group, Group]:
    """Labels of a component that stand in `out` alone, in `in_` alone, and in both."""
    out, in_ = flat(term.out), flat(term.in_)
    both = tuple(k for k in component.labels if k in out and k in in_)
    return (
        tuple(k for k in out if k in component.labels and k not in both),
        tuple(k for k in in_ if k in component.labels and k not in both),
        both,
    )


def role(component: Component, term: Term) -> str:
    """What a component does: "delta", "diagonal", "vector", "rectangle", "block" or "matrix"."""
    rows, columns, both = sides(component, term)
    if not rows and not columns:
        return "diagonal" if component.factors else "delta"
    if not both and (not rows or not columns):
        return "vector"
    if extent(rows) != extent(columns):
        return "rectangle"
    return "block" if both else "matrix"


def bond(component: Component, term: Term) -> int:
    """Size of the bond between rows and columns where it is smaller than both, else 0."""
    rows, columns, _ = sides(component, term)
    row_set, column_set = set(rows), set(columns)
    if any(row_set & set(f.labels) and column_set & set(f.labels) for f in component.factors):
        return 0
    inner = {k for f in component.factors for k in f.labels} - set(component.labels)
    size = extent(inner)
    return size if size < min(extent(rows), extent(columns)) else 0


def is_invertible(term: Term) -> bool:
    """Whether each component is a square matrix between its axes: the inverse is then a term."""
    if repeats(term):
        return False
    parts = [c for c in components(term) if c.labels]
    return all(role(c, term) in ("delta", "diagonal", "matrix", "block") for c in parts)


def aligned(term: Term, parts: Sequence[Component]) -> bool:
    """Whether each component joins the same rows as columns (no commutation)."""
    out, in_ = flat(term.out), flat(term.in_)
    if extent(out) != extent(in_) or any(role(c, term) == "rectangle" for c in parts):
        return _order(out, parts) == _order(in_, parts)  # rows and columns have different strides
    rows, columns = strides(out), strides(in_)
    return all(
        intervals(c.labels, rows) == intervals(c.labels, columns)
        and all(rows[k] == columns[k] for k in c.labels if k in rows and k in columns)
        for c in parts
    )


def in_place(term: Term) -> bool:
    """Whether every component joins the same rows as columns."""
    return aligned(term, [c for c in components(term) if c.labels])


def _order(labels: Group, parts: Sequence[Component]) -> list[int]:
    """The components in the order in which their labels come, neighbours joined."""
    places = [i for k in labels for i, c in enumerate(parts) if k in c.labels]
    return [i for i, _ in groupby(places)]


def strides(labels: Group) -> dict[Label, int]:
    """The stride of each label in a row-major index."""
    return {k: extent(labels[i + 1 :]) for i, k in enumerate(labels)}


def intervals(labels: Group, places: dict[Label, int]) -> list[tuple[int, int]]:
    """The (stride, size) of the labels in a row-major index, neighbours joined."""
    found = sorted(((places[k], k.size) for k in labels if k in places), reverse=True)
    joined: list[tuple[int, int]] = []
    for stride, size in found:
        if joined and joined[-1][0] == stride * size:
            joined[-1] = (stride, joined[-1][1] * size)
        else:
            joined.append((stride, size))
    return joined


def known_symmetric(component: Component, term: Term) -> bool:
    """Whether a component is a real matrix that is symmetric by the way it was made."""
    rows, columns, _ = sides(component, term)
    factors = component.factors
    if len(factors) != 1 or not factors[0].symmetric or is_complex(factors[0]):
        return False
    return len(rows) == len(columns) == 1


def component_matrix(component: Component, term: Term) -> Array:
    """The component as matrices of shape (both…, rows, columns)."""
    rows, columns, both = sides(component, term)
    array = contract(component.factors, both + rows + columns)
    return array.reshape([k.size for k in both] + [extent(rows), extent(columns)])


def stored_matrix(component: Component, term: Term) -> tuple[Array, bool]:
    """The same matrices, or their transposes if a factor is stored so; and whether they are.

    An operator and its transpose have one factorisation, if it is of what both store.
    """
    if len(component.factors) == 1:
        _, columns, both = sides(component, term)
        first = next(k for k in component.factors[0].labels if k not in both)
        if first in columns:
            return component_matrix(component, term.transpose()), True
    return component_matrix(component, term), False


def parts_and_scale(term: Term, dtype: Any) -> tuple[list[Component], Array]:
    """The components with axes and factors, and the product of the scalars."""
    found = components(term)
    scalars = [f for c in found if not c.labels for f in c.factors]
    scale = jnp.asarray(contract(scalars, ()) if scalars else 1, dtype)
    return [c for c in found if c.labels and c.factors], scale


def is_complex(factor: Factor) -> bool:
    """Whether symmetric does not mean Hermitian, of which orthogonal eigenvectors come."""
    return np.issubdtype(factor.array.dtype, np.complexfloating)
