"""Eigenvalues and singular values, and functions of a matrix that are taken through them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import jax.numpy as jnp

from jaxmatcalc import _jax
from jaxmatcalc.explain.algebra import inverse, matmul, matrix_function
from jaxmatcalc.explain.atoms import Call, Elementwise
from jaxmatcalc.explain.building import determinant, one_factor, product
from jaxmatcalc.explain.tensor import Factor, Label, Tensor, Term, of_atom, operands


class Eigen(Call):
    """Eigenvalues or eigenvectors of a symmetric matrix, singular values or vectors of any.

    Vectors are columns; `name` says which of these it is.
    """

    def __init__(self, name: str, inner: Tensor, line: str = ""):
        m, n = inner.shape
        k = min(m, n)
        shape = {"svdu": (m, k), "svdv": (n, k), "eigenvectors": (n, n)}.get(name, (k,))
        super().__init__(name, _COMPUTED[name], (inner,), shape, line)
        self.inner = inner


def _svd(X: Any) -> Any:
    return jnp.linalg.svd(X, full_matrices=False)


_COMPUTED: dict[str, Callable[[Any], Any]] = {
    "eigenvalues": lambda X: jnp.linalg.eigh(X)[0],
    "eigenvectors": lambda X: jnp.linalg.eigh(X)[1],
    "svdvals": lambda X: jnp.linalg.svd(X, compute_uv=False),
    "svdu": lambda X: _svd(X)[0],
    "svdv": lambda X: _svd(X)[2].T,
}


def spectral(name: str, inner: Tensor, line: str = "") -> Tensor:
    """Eigenvalues, singular values or their vectors, by the name of an `Eigen`."""
    return of_atom(Eigen(name, inner, line))


def largest(reader: Any, eqn: Any, a: Any) -> Tensor | None:
    """The largest eigenvalue or singular value, by its place."""
    f = one_factor(a) if isinstance(a, Tensor) and a.ndim == 1 else None
    if f is None or not isinstance(f.atom, Eigen) or f.power != 1 or a.terms[0].scale != 1:
        return None
    return reader.row(a, 0 if f.atom.name == "svdvals" else a.shape[0] - 1)


def decomposed(reader: Any, eqn: Any, a: Any) -> list[Tensor] | None:
    """The results of an `eigh` or `svd`."""
    value, line = reader.tensor(a), _jax.line(eqn)
    shapes = [v.aval.shape for v in eqn.outvars]
    if value.ndim != 2 or min(value.shape) < 2:
        return None
    if eqn.primitive.name == "eigh":
        if shapes != [value.shape, value.shape[:1]]:
            return None
        return [spectral(name, value, line) for name in ("eigenvectors", "eigenvalues")]
    k = min(value.shape)
    if shapes not in ([(k,)], [(k,), (value.shape[0], k), (k, value.shape[1])]):
        return None
    found = [spectral(name, value, line) for name in ("svdvals", "svdu", "svdv")]
    return [found[0], found[1], found[2].transposed][: len(shapes)]


def product_of_entries(value: Tensor) -> Tensor | None:
    """The product of all eigenvalues, a determinant; None for another tensor."""
    if len(value.terms) != 1 or len(value.terms[0].factors) != 1 or value.terms[0].scale != 1:
        return None
    (f,) = value.terms[0].factors
    plain = isinstance(f.atom, Eigen) and f.atom.name == "eigenvalues" and f.power == 1
    return determinant("det", f.atom.inner) if plain and isinstance(f.atom, Eigen) else None


def collapsed(value: Tensor) -> Tensor:
    """A tensor with Q f(Λ) Qᵀ = f(X) and Σ f(λ) = tr f(X)."""
    return value.by_terms(_collapsed)


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
        rest = operands(f for f in term.factors if f not in own)
        return collapsed(product(term.out, *rest, (made, ends)).scaled(term.scale))
    return Tensor(shape, [term])


def _eigen(f: Factor) -> Eigen | None:
    """The eigenvalues or eigenvectors that a factor is a function of."""
    atom = f.atom
    if isinstance(atom, Elementwise) and len(atom.inner.terms) == 1:
        (term,) = atom.inner.terms
        whole = term.scale == 1 and len(term.factors) == 1 and term.factors[0].power == 1
        atom = term.factors[0].atom if whole else atom
    return atom if isinstance(atom, Eigen) and atom.name.startswith("eigen") else None


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
