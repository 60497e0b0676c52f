"""The record of one identity, and the constructors the catalogue is written with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import jax

Array = jax.Array
Entry = TypeVar("Entry", "Identity", "Operation")

Kind = Literal[
    "gradient",
    "hessian",
    "mixed-hessian",
    "jacobian",
    "differential",
    "second-differential",
    "vjp",
    "symmetric-gradient",
    "vech-gradient",
    "vech-hessian",
    "vech-jacobian",
    "identity",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

LAYOUTS: dict[Kind, str] = {
    "gradient": "the shape of the variable",
    "hessian": "∂²f / ∂vec(X) ∂vec(X)ᵀ, column-major vec",
    "mixed-hessian": "∂²f / ∂vec(X) ∂vec(Y)ᵀ in the first two arguments, column-major vec",
    "jacobian": "∂vec(F) / ∂vec(X)ᵀ, column-major vec",
    "differential": "the shape of the value, for a tangent dX",
    "second-differential": "the shape of the value, for the tangent dX taken twice",
    "vjp": "the shape of the variable, for a cotangent C̄ of the value",
    "symmetric-gradient": "gradient in the Frobenius inner product on symmetric matrices",
    "vech-gradient": "derivatives in the independent entries of a symmetric X, as a matrix",
    "vech-hessian": "∂²f / ∂vech(X) ∂vech(X)ᵀ, lower triangle by columns",
    "vech-jacobian": "∂vech(F) / ∂vech(X)ᵀ, lower triangle by columns",
    "identity": "left and right side have the same shape",
}

_LEFT_SIDES: dict[Kind, str] = {
    "gradient": r"\nabla_{%s}\left[%s\right] = ",
    "hessian": r"\nabla^2_{%s}\left[%s\right] = ",
    "mixed-hessian": r"\nabla^2_{%s}\left[%s\right] = ",
    "jacobian": r"\mathsf{D}_{%s}\left[%s\right] = ",
    "differential": r"\mathrm{d}_{%s}\left[%s\right] = ",
    "second-differential": r"\mathrm{d}^2_{%s}\left[%s\right] = ",
    "vjp": r"\bar{%s}\left[C = %s\right] = ",
    "symmetric-gradient": r"\nabla_{%s\in \mathrm{Sym}}\left[%s\right] = ",
    "vech-gradient": r"\nabla_{\mathrm{vech}\,%s}\left[%s\right] = ",
    "vech-hessian": r"\nabla^2_{\mathrm{vech}\,%s}\left[%s\right] = ",
    "vech-jacobian": r"\mathsf{D}_{\mathrm{vech}\,%s}\left[\mathrm{vech}\,%s\right] = ",
}

_GREEK = {"Σ": r"\Sigma", "Θ": r"\Theta", "μ": r"\mu", "Ψ": r"\Psi"}


class Argument(NamedTuple):
    """One argument of a sample: its name, its dimensions and what kind of array it is."""

    name: str
    dims: tuple[str, ...]
    flag: str = ""

    def __str__(self) -> str:
        shape = f"{self.name} ({', '.join(self.dims)})" if self.dims else f"{self.name} scalar"
        return f"{shape} {self.flag}".rstrip()


@dataclass(frozen=True)
class Identity:
    """A statement *left = right* of matrix calculus with what is needed to check it.

    Attributes:
        name: readable and unique in the catalogue.
        family: the catalogue's file, named as the family of operations in ``ops``.
        kind: what the right side is; ``layout`` says how it is laid out.
        expression: the function, in LaTeX.
        result: the right side, in LaTeX.
        function: the function as a user of ``jax.numpy`` writes it; the variable comes first.
        derivative: the right side as code, of the same arguments, without automatic
            differentiation. A (second) differential takes the tangent ``dX`` as its last argument,
            an adjoint (``vjp``) the cotangent ``Cbar``.
        sample: the arguments from which points are drawn.
        source: where the identity is stated, with its number.
        conditions: what must hold for it.
        note: misprints of the source, and the like.
        structure: the kind of structure that ``jacobian_operator`` or ``hessian_operator`` must
            find in this derivative; empty where none is stated.
        reference: what it is checked against: JAX's automatic differentiation, or finite
            differences where JAX has no derivative or a wrong one.
        key: number in the list of checked identities that the catalogue grew from.
    """

    name: str
    kind: Kind
    expression: str
    result: str
    function: Callable[..., Array]
    derivative: Callable[..., Array]
    source: str
    sample: tuple[Argument, ...]
    family: str = ""
    conditions: str = ""
    note: str = ""
    structure: str = ""
    reference: Literal["autodiff", "finite differences"] = "autodiff"
    key: str = ""

    @property
    def variable(self) -> str:
        """Name of the argument that is differentiated: the first one."""
        return self.sample[0].name

    @property
    def layout(self) -> str:
        """How the right side is laid out."""
        return LAYOUTS[self.kind]

    @property
    def statement(self) -> str:
        """The identity in LaTeX, left = right."""
        if self.kind == "identity":
            return f"{self.expression} = {self.result}"
        names = [argument.name for argument in self.sample[: 2 if "mixed" in self.kind else 1]]
        symbol = "".join(_GREEK.get(name, name) for name in names)
        return _LEFT_SIDES[self.kind] % (symbol, self.expression) + self.result


@dataclass(frozen=True)
class Operation:
    """The rule of one operation, to be checked against the derivatives of its plain spelling.

    Attributes:
        name: name of the operation in ``jaxmatcalc.ops``.
        plain: the same function in plain ``jax.numpy``.
        sample: the arguments; all are differentiated.
        call: how the operation is applied, where not to the arguments alone.
        assume_a: what the operation is told about its matrix, where it is told.
        family: file of the operation in ``ops``.
    """

    name: str
    plain: Callable[..., Array]
    sample: tuple[Argument, ...]
    call: Callable[..., Array] = lambda operation, *args: operation(*args)
    assume_a: str = ""
    family: str = ""

    def apply(self, implementation: Callable[..., Any], *args: Array) -> Any:
        """Return what an implementation gives for the arguments."""
        if self.assume_a:
            implementation = functools.partial(implementation, assume_a=self.assume_a)
        return self.call(implementation, *args)

    def __str__(self) -> str:
        names = [argument.name for argument in self.sample]
        told = [f'assume_a="{self.assume_a}"'] if self.assume_a else []
        return f"{self.name}({', '.join(names + told)})"


def arguments(sample: dict[str, str]) -> tuple[Argument, ...]:
    """Read a sample: ``{"X": "n m", "A": "n n spd", "t": ""}``.

    A lower-case letter, or a product of such (``p*n``), is a dimension; a longer word is a flag.

    >>> [str(argument) for argument in arguments({"X": "n m", "S": "n n spd"})]
    ['X (n, m)', 'S (n, n) spd']
    """
    parsed = []
    for name, text in sample.items():
        words = text.split()
        dims = tuple(word for word in words if len(word) == 1 or "*" in word)
        flags = [word for word in words if word not in dims]
        parsed.append(Argument(name, dims, *flags))
    return tuple(parsed)


def _constructor(kind: Kind) -> Callable[..., Identity]:
    def construct(
        name: str,
        expression: str,
        result: str,
        function: Callable[..., Array],
        derivative: Callable[..., Array],
        source: str,
        *,
        conditions: str = "",
        note: str = "",
        structure: str = "",
        reference: Literal["autodiff", "finite differences"] = "autodiff",
        key: str = "",
        **sample: str,
    ) -> Identity:
        return Identity(
            name,
            kind,
            expression,
            result,
            function,
            derivative,
            source,
            arguments(sample),
            conditions=conditions,
            note=note,
            structure=structure,
            reference=reference,
            key=key,
        )

    construct.__doc__ = f"Write down an identity of kind {kind}: {LAYOUTS[kind]}."
    return construct


gradient = _constructor("gradient")
hessian = _constructor("hessian")
mixed_hessian = _constructor("mixed-hessian")
jacobian = _constructor("jacobian")
differential = _constructor("differential")
second_differential = _constructor("second-differential")
vjp = _constructor("vjp")
symmetric_gradient = _constructor("symmetric-gradient")
vech_gradient = _constructor("vech-gradient")
vech_hessian = _constructor("vech-hessian")
vech_jacobian = _constructor("vech-jacobian")
identity = _constructor("identity")


def operation(
    name: str,
    plain: Callable[..., Array],
    call: Callable[..., Array] | None = None,
    *,
    assume_a: str = "",
    **sample: str,
) -> Operation:
    """Write down an operation with its plain spelling and a sample of its arguments."""
    entry = Operation(name, plain, arguments(sample), assume_a=assume_a)
    return entry if call is None else replace(entry, call=call)


def family(name: str, *entries: Entry) -> tuple[Entry, ...]:
    """Return the entries as those of the named family."""
    return tuple(replace(entry, family=name) for entry in entries)
