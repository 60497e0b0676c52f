"""A tensor with other symbols in it, made anew: what is symmetric now may be shorter."""

from __future__ import annotations

from collections.abc import Mapping

from jaxmatcalc.explain.algebra import inverse, matrix_function
from jaxmatcalc.explain.atoms import (
    Atom,
    Call,
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
    determinant,
    elementwise,
    grouped,
    power,
    product,
    variable_power,
)
from jaxmatcalc.explain.eigen import Eigen, spectral
from jaxmatcalc.explain.tensor import Number, Tensor, Term, of_atom


def replaced(value: Tensor, symbols: Mapping[str, Symbol]) -> Tensor:
    """A tensor with the symbols of these names replaced."""
    known: dict[str, Tensor] = {}

    def tensor(old: Tensor) -> Tensor:
        return old.by_terms(of_term)

    def of_term(term: Term) -> Tensor:
        factors = ((factor(f.atom, f.power), f.labels) for f in term.factors)
        return product(term.out, *factors, expand=False).scaled(term.scale)

    def factor(atom: Atom, exponent: Number) -> Tensor:
        if atom.key not in known:
            known[atom.key] = made(atom)
        return known[atom.key] if exponent == 1 else power(known[atom.key], exponent)

    def made(atom: Atom) -> Tensor:
        parts = [tensor(p) for p in atom.parts]
        match atom:
            case Symbol():
                return of_atom(symbols.get(atom.name, atom))
            case Group():
                return grouped(parts[0])
            case Elementwise():
                return elementwise(atom.name, parts[0])
            case VariablePower():
                return variable_power(*parts)
            case Inverse():
                return inverse(parts[0])
            case Determinant():
                return determinant(atom.name, parts[0], atom.singular)
            case MatrixFunction():
                return matrix_function(atom.name, parts[0])
            case Frechet():
                return of_atom(Frechet(atom.name, parts[0]))
            case Eigen():
                return spectral(atom.name, parts[0], atom.line)
            case Call():
                rest = atom.shape, atom.line, atom.detail, atom.smooth
                return of_atom(Call(atom.name, atom.function, parts, *rest))
        return of_atom(atom)

    return tensor(value)
