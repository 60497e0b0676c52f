"""The ring of derivatives of a function of a matrix.

With R(z) = (z - X)⁻¹ and a contour around the spectrum of X, every derivative of f(X) is a sum of

    Tₖ(X; E₁, …, Eₖ) = (1/2πi) ∮ f(z) R(z) E₁ R(z) E₂ ⋯ Eₖ R(z) dz,      T₀(X) = f(X).

The family is closed. Since dR = R dX R, the differential in X is the sum of Tₖ₊₁ over the k + 1
places where dX can stand; in Eⱼ, Tₖ is linear. Since a trace is cyclic, Tₖ is its own transpose:
⟨Y, Tₖ(X; E₁, …, Eₖ)⟩ is linear in Eⱼ with coefficient Tₖ(X; Eⱼ₊₁, …, Eₖ, Yᵀ, E₁, …, Eⱼ₋₁)ᵀ. So one
primitive has the derivatives of all orders, and no eigenvector is ever differentiated.

Source: Higham, Functions of Matrices (2008), chapter 3; Kato, Perturbation Theory for Linear
Operators (1995), chapter II.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxmatcalc._multilinear import Multilinear
from jaxmatcalc.ops._transpose import transpose

Array = jax.Array
Along = Callable[..., Array | None]


class Ring:
    """One family Tₖ(given; X; E₁, …, Eₖ), as a primitive.

    ``given`` are further operands, with ``ranks`` axes besides the batch: a decomposition of X at
    hand, and what f depends on.

    Args:
        name: what it is called in a program.
        evaluate: ``evaluate(given, X, Es, ranks=ranks, **params)``, the value.
        along: ``along(given, X, Es, j, tangent, ranks=ranks, **params)``, the derivative along
            operand j of those given, or None where it is zero. By default nothing given varies.
        pull: ``pull(cotangent, given, X, Es, j, ranks=ranks, **params)``, its transpose.
        entered: whether an interpreter may run the program of ``evaluate``, as in `Multilinear`.
    """

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Array],
        along: Along = lambda *operands, **params: None,
        pull: Callable[..., Array] | None = None,
        entered: bool = True,
    ):
        self._evaluate = evaluate
        self._along = along
        self._pull = pull
        rules = self._value, self._differential, self._transpose
        self._primitive = Multilinear(name, *rules, entered=entered)

    def __call__(
        self, given: Sequence[Array], ranks: Sequence[int], X: Array, *Es: Array, **params: Any
    ) -> Array:
        """Tₖ(given; X; E₁, …, Eₖ)."""
        shapes = (*ranks, *[2] * (1 + len(Es)))
        return self._primitive(shapes, *given, X, *Es, given=tuple(ranks), **params)

    def _value(self, *operands: Array, given: tuple[int, ...], **params: Any) -> Array:
        g = len(given)
        return self._evaluate(operands[:g], operands[g], operands[g + 1 :], ranks=given, **params)

    def _differential(
        self,
        primals: Sequence[Array],
        tangents: Sequence[Any],
        given: tuple[int, ...],
        **params: Any,
    ) -> Array | None:
        g = len(given)
        known, X, Es = primals[:g], primals[g], primals[g + 1 :]
        T = functools.partial(self, known, given, X, **params)
        terms = []
        if tangents[g] is not None:
            terms += [T(*Es[:p], tangents[g], *Es[p:]) for p in range(len(Es) + 1)]
        for j, dE in enumerate(tangents[g + 1 :]):
            if dE is not None:
                terms.append(T(*Es[:j], dE, *Es[j + 1 :]))
        for j, d in enumerate(tangents[:g]):
            if d is not None:
                term = self._along(known, X, Es, j, d, ranks=given, **params)
                terms += [] if term is None else [term]
        return functools.reduce(operator.add, terms) if terms else None

    def _transpose(
        self,
        cotangent: Array,
        operands: Sequence[Any],
        k: int,
        given: tuple[int, ...],
        **params: Any,
    ) -> Array:
        g = len(given)
        known, X, Es = operands[:g], operands[g], operands[g + 1 :]
        if k < g:
            assert self._pull is not None
            return self._pull(cotangent, known, X, Es, k, ranks=given, **params)
        j = k - g - 1
        cycle = *Es[j + 1 :], transpose(cotangent), *Es[:j]
        return transpose(self(known, given, X, *cycle, **params))
