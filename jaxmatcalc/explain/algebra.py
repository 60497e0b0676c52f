"""Tensors that are matrices: products, inverses, functions of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from jaxmatcalc.explain.atoms import Inverse, MatrixFunction, Merge
from jaxmatcalc.explain.axes import merged, with_ones, without_ones
from jaxmatcalc.explain.building import Operand, power, product, reads_better
from jaxmatcalc.explain.simplify import opened
from jaxmatcalc.explain.tensor import Factor, Label, Tensor, Term, labels, number, of_atom


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The product of two matrices; a sum stays in brackets."""
    i, k, j = Label(a.shape[0]), Label(a.shape[1]), Label(b.shape[1])
    return product((i, j), (a, (i, k)), (b, (k, j)), expand=False)


def inverse(value: Tensor) -> Tensor:
    """The inverse; that of a product of square matrices is a product of inverses."""
    value = opened(value)
    if value.ndim > 2:
        return _of_batch(value, inverse, Inverse)
    if value.shape == (1, 1):
        return with_ones(power(value.permuted(()), -1), (1, 1))
    if len(value.terms) == 1:
        known = _inverse_of_product(value)
        if known is None:
            known = _inverse_of_kronecker(value)
        if known is not None:
            return known
    return _oriented(Inverse, value)


def _of_batch(value: Tensor, of_matrix: Any, atom: Any) -> Tensor:
    """The inverse of each matrix along leading axes."""
    thin = without_ones(value)
    if 1 in value.shape[-2:] or thin.ndim == value.ndim:
        return of_atom(atom(value))
    return with_ones(of_matrix(thin), value.shape)


def _oriented(kind: Any, value: Tensor, *name: str) -> Tensor:
    """A function of a matrix, which the transpose of the matrix shares but for a transpose."""
    flip = reads_better(value.transposed, value)
    made = of_atom(kind(*name, value.transposed if flip else value))
    return made.transposed if flip else made


def _inverse_of_product(value: Tensor) -> Tensor | None:
    (term,) = value.terms
    i, j = term.out
    n = value.shape[0]
    outer = [f for f in term.factors if not f.labels]
    edges = [f for f in term.factors if len(f.labels) == 2]
    weights = [f for f in term.factors if len(f.labels) == 1]
    if len(outer) + len(edges) + len(weights) < len(term.factors) or term.scale == 0:
        return None
    if any(x.size != n for f in term.factors for x in f.labels):
        return None
    chain: list[tuple[Factor, bool]] = []
    place, left = i, list(edges)
    while left:
        step = next((f for f in left if place in f.labels and f.power == 1), None)
        if step is None or step.labels[0] is step.labels[1]:
            return None
        left.remove(step)
        chain.append((step, step.labels[0] is place))
        place = step.labels[1] if step.labels[0] is place else step.labels[0]
        if any(place in f.labels for f, _ in chain[:-1]):
            return None
    if place is not j or (not chain and i is not j):
        return None
    if len(chain) == 1 and not weights and not outer and term.scale == 1:
        f = chain[0][0]
        if not isinstance(f.atom, Inverse):
            return None
    operands: list[Operand] = []
    for f, straight in chain:
        a, b = f.labels
        known = f.atom.inner if isinstance(f.atom, Inverse) else None
        made = known if known is not None else _oriented(Inverse, of_atom(f.atom))
        # an edge from a to b has its inverse from b to a
        operands.append((made, (b, a)))
        del straight
    for f in (*weights, *outer):
        operands.append((of_atom(f.atom, number(-f.power)), f.labels))
    # the inverse runs from j back to i
    if i is j:
        return product((i, i), *operands).scaled(1 / term.scale)
    return product((j, i), *operands).scaled(1 / term.scale)


def _inverse_of_kronecker(value: Tensor) -> Tensor | None:
    """(A ⊗ B)⁻¹ = A⁻¹ ⊗ B⁻¹."""
    (term,) = value.terms
    merges = [f for f in term.factors if isinstance(f.atom, Merge)]
    if len(merges) != 2 or {f.labels[0] for f in merges} != set(term.out):
        return None
    rows, columns = sorted(merges, key=lambda f: term.out.index(f.labels[0]))
    if rows.atom.shape != columns.atom.shape:
        return None
    sides: list[Tensor] = []
    others = [f for f in term.factors if f not in merges]
    for a, b in zip(rows.labels[1:], columns.labels[1:], strict=True):
        reached, size = {a, b}, 0
        while len(reached) > size:  # everything that hangs together with this pair of axes
            size = len(reached)
            reached |= {x for f in others if reached & set(f.labels) for x in f.labels}
        own = tuple(f for f in others if reached & set(f.labels))
        if not own and a is not b:
            return None
        sides.append(Tensor((a.size, b.size), [Term(Fraction(1), own, (a, b))]))
    if sum(len(s.terms[0].factors) for s in sides) != len(others):
        return None
    left, right = map(inverse, sides)
    a, b, c, d = labels((left.shape[0], right.shape[0], left.shape[1], right.shape[1]))
    whole = product((a, b, c, d), (left, (a, c)), (right, (b, d)))
    return merged(merged(whole, 2, 2), 0, 2).scaled(1 / term.scale)


def matrix_function(name: str, value: Tensor) -> Tensor:
    """A function of a matrix that is known by its name."""
    if name == "cholesky":
        return of_atom(MatrixFunction(name, opened(value)))
    return _oriented(MatrixFunction, opened(value), name)
