"""The derivative of a tensor in one of its symbols, by the rules of matrix calculus."""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction

import jax
import numpy as np

from jaxmatcalc.explain.algebra import inverse, matmul, matrix_function
from jaxmatcalc.explain.atoms import (
    Atom,
    Call,
    Constant,
    Determinant,
    Elementwise,
    Frechet,
    Group,
    Inverse,
    MatrixFunction,
    Symbol,
    VariablePower,
)
from jaxmatcalc.explain.building import (
    elementwise,
    grouped,
    is_atom,
    one_factor,
    product,
    variable_power,
)
from jaxmatcalc.explain.eigen import Eigen, spectral
from jaxmatcalc.explain.numeric import MATRIX_FUNCTIONS
from jaxmatcalc.explain.slopes import slope
from jaxmatcalc.explain.tensor import (
    Factor,
    Label,
    Tensor,
    Term,
    labels,
    number,
    of_atom,
    operands,
    scalar,
)

Inner = Callable[[Tensor], Tensor]


class Derivative:
    """Derivatives in one symbol: the axes of the value come before those of the symbol."""

    def __init__(self, variable: Symbol):
        self.variable = variable
        self._of_tensors: dict[str, Tensor] = {}
        self._of_atoms: dict[str, Tensor] = {}

    def __call__(self, value: Tensor) -> Tensor:
        """The derivative of a tensor."""
        if value.key not in self._of_tensors:
            total = Tensor(value.shape + self.variable.shape)
            for term in value.terms:
                for k in range(len(term.factors)):
                    total = total + self._of_factor(term, k)
            self._of_tensors[value.key] = total
        return self._of_tensors[value.key]

    def _of_factor(self, term: Term, k: int) -> Tensor:
        """The derivative of a term through its kth factor alone."""
        f = term.factors[k]
        own, moved = term.out, labels(self.variable.shape)
        rest = (*term.factors[:k], *term.factors[k + 1 :])
        scale = term.scale
        traced = self._of_trace(f, term)
        if traced is not None:
            change, places = traced
        else:
            change, places = self._of_atom(f.atom), f.labels
            if change.terms and f.power != 1:
                rest = (*rest, f._replace(power=number(f.power - 1)))
                scale = number(scale * f.power)
        if not change.terms:
            return Tensor([x.size for x in (*own, *moved)])
        found = product((*own, *moved), *operands(rest), (change, (*places, *moved)))
        return found.scaled(scale)

    def _of_trace(self, f: Factor, term: Term) -> tuple[Tensor, tuple[Label, ...]] | None:
        """d tr F(E) = tr(F'(E) dE), which needs no derivative of F itself."""
        atom = f.atom
        if not isinstance(atom, MatrixFunction) or f.power != 1 or atom.name not in _TRACES:
            return None
        i, j = f.labels
        alone = sum(i in g.labels for g in term.factors) == 1 and i not in term.out
        if i is not j or not alone:
            return None
        change = self(atom.inner)
        out, (a, b) = labels(change.shape[2:]), labels(change.shape[:2])
        outer = _TRACES[atom.name](atom.inner)
        return product(out, (outer, (b, a)), (change, (a, b, *out))), ()

    def _of_atom(self, atom: Atom) -> Tensor:
        if atom.key not in self._of_atoms:
            if atom.key == self.variable.key:
                first = labels(self.variable.shape)
                found = Tensor(atom.shape * 2, [Term(Fraction(1), (), (*first, *first))])
            else:
                moving = any(self(part).terms for part in atom.parts)
                found = _differential(atom, self) if moving else None
            zero = Tensor(atom.shape + self.variable.shape)
            self._of_atoms[atom.key] = zero if found is None else found
        return self._of_atoms[atom.key]


@functools.singledispatch
def _differential(atom: Atom, inner: Inner) -> Tensor | None:
    """The derivative of an atom, given those of what is inside of it; None where it is zero."""
    return None


@_differential.register
def _(atom: Group, inner: Inner) -> Tensor | None:
    return inner(atom.inner)


@_differential.register
def _(atom: Elementwise, inner: Inner) -> Tensor | None:
    """f'(E) ∘ dE."""
    of = _without_sign(atom.inner) if atom.name == "log" else atom.inner
    known = slope(atom.name, of)
    if not known.terms:
        return None
    change = inner(of)
    out = labels(change.shape)
    return product(out, (grouped(known), out[: known.ndim]), (change, out))


def _without_sign(value: Tensor) -> Tensor:
    """E for |E|: log |E| has the derivative of log E."""
    f = one_factor(value)
    if f is None or not isinstance(f.atom, Elementwise) or f.atom.name != "abs" or f.power != 1:
        return value
    axes = [f.labels.index(x) for x in value.terms[0].out]
    return f.atom.inner.permuted(axes)


@_differential.register
def _(atom: VariablePower, inner: Inner) -> Tensor | None:
    """b aᵇ⁻¹ ∘ da + aᵇ log a ∘ db."""
    base, exponent = atom.base, atom.exponent
    first, second = inner(base), inner(exponent)
    out = labels(first.shape)
    own = out[: base.ndim]
    total = Tensor(first.shape)
    if first.terms:
        less = variable_power(base, exponent + scalar(-1, exponent.shape))
        total = total + product(out, (grouped(exponent), own), (less, own), (first, out))
    if second.terms:
        log = elementwise("log", base)
        same = of_atom(atom)
        total = total + product(out, (same, own), (log, own), (second, out))
    return total


@_differential.register
def _(atom: Inverse, inner: Inner) -> Tensor | None:
    """-E⁻¹ dE E⁻¹."""
    change = inner(atom.inner)
    out = labels(atom.shape + change.shape[len(atom.shape) :])
    (*batch, i, j), rest = out[: len(atom.shape)], out[len(atom.shape) :]
    a, b = labels(atom.shape[-2:])
    left = inverse(atom.inner), (*batch, i, a)
    right = inverse(atom.inner), (*batch, b, j)
    return product(out, left, (change, (*batch, a, b, *rest)), right).scaled(-1)


@_differential.register
def _(atom: Determinant, inner: Inner) -> Tensor | None:
    """tr(E⁻¹ dE), and that times det E; tr(adj(E) dE) where it is singular."""
    change = inner(atom.inner)
    batch = labels(atom.shape)
    a, b = labels(atom.inner.shape[-2:])
    rest = labels(change.shape[len(batch) + 2 :])
    out, moved = (*batch, *rest), (change, (*batch, a, b, *rest))
    if atom.singular:
        return product(out, (matrix_function("adj", atom.inner), (b, a)), moved)
    factors = [(inverse(atom.inner), (*batch, b, a)), moved]
    if atom.name == "det":
        factors.append((of_atom(atom), batch))
    return product(out, *factors)


@_differential.register
def _(atom: MatrixFunction, inner: Inner) -> Tensor | None:
    """The Fréchet derivative in the direction dE."""
    change = inner(atom.inner)
    rest = labels(change.shape[2:])
    if atom.name == "pinv":
        return _pseudo_inverse(atom, change)
    if atom.name == "cholesky":
        return _cholesky(atom, change)
    along = _along_itself(atom, change)
    if along is not None:
        return along
    out, moved = labels(atom.shape), labels(atom.inner.shape)
    frechet = of_atom(Frechet(atom.name, atom.inner))
    return product((*out, *rest), (frechet, (*out, *moved)), (change, (*moved, *rest)))


def _cholesky(atom: MatrixFunction, change: Tensor) -> Tensor:
    """L (Φ ∘ L⁻¹ dE L⁻ᵀ)."""
    n = atom.shape[0]
    factor = of_atom(atom)
    halves = of_atom(Constant("Φ", np.tril(np.ones((n, n))) - np.eye(n) / 2))
    i, j, *rest = out = labels(change.shape)
    k, a, b = labels((n, n, n))
    left, right = (inverse(factor), (k, a)), (inverse(factor), (j, b))
    return product(out, (factor, (i, k)), (halves, (k, j)), left, (change, (a, b, *rest)), right)


def _along_itself(atom: MatrixFunction, change: Tensor) -> Tensor | None:
    """d F(tA) = F'(tA) A dt: the direction commutes with the matrix."""
    if change.ndim != 2 or atom.name not in _TRACES:
        return None
    inside, direction = is_atom(_without_scalars(atom.inner)), is_atom(change)
    if inside is None or direction is None or inside.key != direction.key:
        return None
    if _without_scalars(atom.inner).key != change.scaled(1 / change.terms[0].scale).key:
        return None
    return matmul(change, _TRACES[atom.name](atom.inner))


def _without_scalars(value: Tensor) -> Tensor:
    if len(value.terms) != 1:
        return value
    (term,) = value.terms
    factors = tuple(f for f in term.factors if f.labels)
    return Tensor(value.shape, [Term(Fraction(1), factors, term.out)])


def _pseudo_inverse(atom: MatrixFunction, change: Tensor) -> Tensor:
    """-P dE P + P Pᵀ dEᵀ (I − E P) + (I − P E) dEᵀ Pᵀ P."""
    E, P = atom.inner, matrix_function("pinv", atom.inner)
    m, n = E.shape
    i, j, *rest = out = labels((n, m, *change.shape[2:]))
    total = Tensor([x.size for x in out])

    def identity_minus(value: Tensor) -> Tensor:
        diagonal = Label(value.shape[0])
        one = Term(Fraction(1), (), (diagonal, diagonal))
        return Tensor(value.shape, [one]) + value.scaled(-1)

    a, b = labels(E.shape)
    total += product(out, (P, (i, a)), (change, (a, b, *rest)), (P, (b, j))).scaled(-1)
    PPt, PtP = matmul(P, P.transposed), matmul(P.transposed, P)
    left, right = identity_minus(matmul(P, E)), identity_minus(matmul(E, P))
    a, b = labels((n, m))
    sides = ((PPt, right), (left, PtP))
    for first, second in sides:
        sides_ = grouped(first), grouped(second)
        operands = ((sides_[0], (i, a)), (change, (b, a, *rest)), (sides_[1], (b, j)))
        total += product(out, *operands)
    return total


@_differential.register
def _(atom: Frechet, inner: Inner) -> Tensor | None:
    """By automatic differentiation: it has no matrix form."""
    function = jax.jacfwd(MATRIX_FUNCTIONS[atom.name])
    return _differential(Call(f"∂{atom.name}", function, atom.parts, atom.shape), inner)


@_differential.register
def _(atom: Eigen, inner: Inner) -> Tensor | None:
    """uᵢᵀ dE vᵢ, of eigenvalues and singular values; by their name, of vectors."""
    if atom.name not in ("eigenvalues", "svdvals"):
        return _differential.dispatch(Call)(atom, inner)
    values = atom.name == "eigenvalues"
    names = ("eigenvectors", "eigenvectors") if values else ("svdu", "svdv")
    left, right = (spectral(name, atom.inner, atom.line) for name in names)
    change = inner(atom.inner)
    a, b = labels(atom.inner.shape)
    i, *rest = out = labels((*atom.shape, *change.shape[2:]))
    return product(out, (left, (a, i)), (change, (a, b, *rest)), (right, (b, i)))


@_differential.register
def _(atom: Call, inner: Inner) -> Tensor | None:
    """The sum over the operands of ∂ₖf contracted with their derivatives."""
    total: Tensor | None = None
    for k, part in enumerate(atom.parts):
        change = inner(part)
        if not change.terms or not atom.smooth[k]:
            continue
        slope = of_atom(slope_of_call(atom, k))
        moved = labels(part.shape)
        out = labels(atom.shape + change.shape[part.ndim :])
        own, rest = out[: len(atom.shape)], out[len(atom.shape) :]
        piece = product(out, (slope, (*own, *moved)), (change, (*moved, *rest)))
        total = piece if total is None else total + piece
    return total


def slope_of_call(atom: Call, k: int) -> Call:
    """The derivative of a function without a formula in its kth operand."""
    name = f"∂{atom.name}" if len(atom.parts) == 1 else f"∂{k + 1}{atom.name}"
    shape = atom.shape + atom.parts[k].shape
    slope = jax.jacfwd(atom.function, k)
    return Call(name, slope, atom.parts, shape, atom.line, atom.detail, atom.smooth)


# F'(E) of the functions of a matrix whose trace is differentiated.
_TRACES: dict[str, Callable[[Tensor], Tensor]] = {
    "expm": lambda E: matrix_function("expm", E),
    "logm": inverse,
    "sqrtm": lambda E: inverse(matrix_function("sqrtm", E)).scaled(Fraction(1, 2)),
}
