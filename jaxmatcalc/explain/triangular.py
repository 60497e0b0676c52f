"""Cholesky factors: what is solved and summed with them is a function of the matrix itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxmatcalc.explain.algebra import inverse, matmul
from jaxmatcalc.explain.atoms import Group, Inverse, MatrixFunction
from jaxmatcalc.explain.building import one_factor, product, times
from jaxmatcalc.explain.tensor import Factor, Tensor, Term, operands

if TYPE_CHECKING:
    from jaxmatcalc.explain.tracing import Reader


def masked(reader: Reader, mask: np.ndarray, value: Tensor) -> Tensor:
    """The entries of an array where a mask is 1; a Cholesky factor has zeros on one side."""
    for upper, side in ((False, np.tril), (True, np.triu)):
        if is_triangular(value, upper) and (mask >= side(np.ones(mask.shape))).all():
            return value
    return times(reader.tensor(mask), value)


def is_triangular(value: Tensor, upper: bool) -> bool:
    """Whether a matrix is a Cholesky factor, or its transpose."""
    f = one_factor(value)
    if f is None or not _is_factor(f):
        return False
    return (f.labels[0] is value.terms[0].out[0]) != upper


def solved(reader: Reader, eqn: Any, a: Any, b: Any) -> Tensor | None:
    """T⁻¹ B or B T⁻¹ for a triangle T of A."""
    params = eqn.params
    A, B = reader.tensor(a), reader.tensor(b)
    if A.ndim != 2 or B.ndim != 2:
        return None
    upper = not params["lower"]
    if params["unit_diagonal"]:
        side = np.triu(np.ones(A.shape), 1) if upper else np.tril(np.ones(A.shape), -1)
        A = times(reader.tensor(side), A) + reader.tensor(np.eye(A.shape[0]))
    elif not is_triangular(A, upper):
        A = times(reader.tensor((np.triu if upper else np.tril)(np.ones(A.shape))), A)
    T = inverse(A)
    T = T.transposed if params["transpose_a"] else T
    return collapsed(matmul(T, B) if params["left_side"] else matmul(B, T))


def collapsed(value: Tensor) -> Tensor:
    """A tensor with L Lᵀ = A and L⁻ᵀ L⁻¹ = A⁻¹ for the Cholesky factor L of A."""
    return value.by_terms(_collapsed)


def _collapsed(term: Term) -> Tensor:
    shape = [x.size for x in term.out]
    term = _squared(term)
    for x in dict.fromkeys(x for f in term.factors for x in f.labels):
        own = [f for f in term.factors if x in f.labels]
        if x in term.out or len(own) != 2 or own[0].atom.key != own[1].atom.key:
            continue
        f, g = own
        axis = 1 if _is_factor(f) else 0
        matrix = _matrix(f)
        if matrix is None or f.power != 1 or g.power != 1:
            continue
        if f.labels[axis] is not x or g.labels[axis] is not x or f.labels[1 - axis] is x:
            continue
        made = matrix if axis else inverse(matrix)
        rest = operands(h for h in term.factors if h not in own)
        ends = (f.labels[1 - axis], g.labels[1 - axis])
        return collapsed(product(term.out, *rest, (made, ends)).scaled(term.scale))
    return Tensor(shape, [term])


def _squared(term: Term) -> Term:
    """A term with the squares of products with a factor written twice."""
    for f in term.factors:
        if not isinstance(f.atom, Group) or f.power != 2 or len(f.atom.inner.terms) != 1:
            continue
        if not any(_matrix(g) for g in f.atom.inner.terms[0].factors):
            continue
        rest = operands(h for h in term.factors if h is not f)
        inner = (f.atom.inner, f.labels)
        (found,) = product(term.out, *rest, inner, inner).scaled(term.scale).terms
        return found
    return term


def _is_factor(f: Factor) -> bool:
    return isinstance(f.atom, MatrixFunction) and f.atom.name == "cholesky"


def _matrix(f: Factor) -> Tensor | None:
    """The matrix whose Cholesky factor, or the inverse of it, this is."""
    atom = f.atom
    if isinstance(atom, Inverse):
        known = one_factor(atom.inner)
        upright = known is not None and known.labels == atom.inner.terms[0].out
        if known is None or not upright or atom.inner.terms[0].scale != 1:
            return None
        f, atom = known, known.atom
    if not _is_factor(f) or not isinstance(atom, MatrixFunction):
        return None
    return atom.inner
