"""Functions of a symmetric matrix that a program takes through its eigenvalues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from jaxmatcalc.explain.algebra import inverse, matmul, matrix_function
from jaxmatcalc.explain.atoms import Call, Elementwise
from jaxmatcalc.explain.building import determinant, product
from jaxmatcalc.explain.tensor import Factor, Label, Tensor, Term, of_atom


class Eigen(Call):
    """The eigenvalues of a symmetric matrix, or its eigenvectors."""

    def __init__(self, what: str, inner: Tensor, line: str):
        n = inner.shape[0]
        shape = (n,) if what == "eigenvalues" else (n, n)
        place = 0 if what == "eigenvalues" else 1

        def function(X: Any) -> Any:
            return jnp.linalg.eigh(X)[place]

        super().__init__(what, function, (inner,), shape, line)
        self.inner = inner


def eigenvalues(inner: Tensor, line: str = "") -> Tensor:
    """The eigenvalues of a symmetric matrix."""
    return of_atom(Eigen("eigenvalues", inner, line))


def eigenvectors(inner: Tensor, line: str = "") -> Tensor:
    """The eigenvectors of a symmetric matrix, as columns."""
    return of_atom(Eigen("eigenvectors", inner, line))


def product_of_entries(value: Tensor) -> Tensor | None:
    """The product of all eigenvalues, a determinant; None for another tensor."""
    if len(value.terms) != 1 or len(value.terms[0].factors) != 1 or value.terms[0].scale != 1:
        return None
    (f,) = value.terms[0].factors
    plain = isinstance(f.atom, Eigen) and f.atom.name == "eigenvalues" and f.power == 1
    return determinant("det", f.atom.inner) if plain and isinstance(f.atom, Eigen) else None


def collapsed(value: Tensor) -> Tensor:
    """A tensor with Q f(Λ) Qᵀ = f(X) and Σ f(λ) = tr f(X)."""
    total = Tensor(value.shape)
    for term in value.terms:
        total += _collapsed(term)
    return total


def _collapsed(term: Term) -> Tensor:
    shape = [x.size for x in term.out]
    for x in dict.fromkeys(x for f in term.factors for x in f.labels):
        own = [f for f in term.factors if x in f.labels]
        if x in term.out or any(_of(f) is None for f in own):
            continue
        frames = [f for f in own if len(f.labels) == 2]
        if len(set(map(_of, own))) != 1 or not all(f.labels[1] is x for f in frames):
            continue
        made = _function([f for f in own if f not in frames], own[0])
        if made is None or len(frames) not in (0, 2) or any(f.power != 1 for f in frames):
            continue
        ends: Sequence[Label] = [f.labels[0] for f in frames] or [Label(x.size)] * 2
        rest = [(of_atom(f.atom, f.power), f.labels) for f in term.factors if f not in own]
        return collapsed(product(term.out, *rest, (made, ends)).scaled(term.scale))
    return Tensor(shape, [term])


def _eigen(f: Factor) -> Eigen | None:
    """The eigenvalues or eigenvectors that a factor is a function of."""
    atom = f.atom
    if isinstance(atom, Elementwise) and len(atom.inner.terms) == 1:
        (term,) = atom.inner.terms
        whole = term.scale == 1 and len(term.factors) == 1 and term.factors[0].power == 1
        atom = term.factors[0].atom if whole else atom
    return atom if isinstance(atom, Eigen) else None


def _of(f: Factor) -> str | None:
    found = _eigen(f)
    return None if found is None else found.inner.key


def _function(factors: Sequence[Factor], first: Factor) -> Tensor | None:
    """The matrix f(X), where f is a product of functions of the eigenvalues."""
    source = _eigen(first)
    if source is None:
        return None
    matrix: Tensor | None = None
    for f in factors:
        known = _POWERS.get(f.power) if isinstance(f.atom, Eigen) else None
        if isinstance(f.atom, Elementwise) and f.power == 1:
            known = _NAMES.get(f.atom.name)
        if known is None:
            return None
        piece = known(source.inner)
        matrix = piece if matrix is None else matmul(matrix, piece)
    return matrix


_Function = Callable[[Tensor], Tensor]
_POWERS: dict[Any, _Function] = {
    Fraction(1): lambda X: X,
    Fraction(2): lambda X: matmul(X, X),
    Fraction(-1): inverse,
    Fraction(1, 2): lambda X: matrix_function("sqrtm", X),
    Fraction(-1, 2): lambda X: inverse(matrix_function("sqrtm", X)),
}
_NAMES: dict[str, _Function] = {
    "log": lambda X: matrix_function("logm", X),
    "exp": lambda X: matrix_function("expm", X),
}
