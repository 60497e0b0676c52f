"""Primitives that are closed under differentiation: a derivative of one is a sum of its own kind.

The differential of a function of a matrix, d f(X) = T₁(X; dX), is linear in dX, with coefficients
that are functions of X which no array holds: where eigenvalues repeat, eigenvectors have no
derivative, yet T₁ has one, T₂(X; dX, dX'). A `jax.custom_jvp` rule cannot say so. JAX inlines the
rule's linear part before it is transposed, and would then differentiate the eigenvectors in it. A
primitive stays whole: it is transposed and differentiated by its own rules, to every order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.interpreters import ad, batching, mlir

Array = jax.Array
Ranks = tuple[int, ...]


class Multilinear:
    """A function of arrays with leading batch axes, linear in some of them, as a primitive.

    Args:
        name: what it is called in a program.
        evaluate: ``evaluate(*operands, **params)``, the value; every operand has the same number of
            leading axes, which broadcast. Never differentiated.
        differential: ``differential(primals, tangents, **params)``, the tangent of the value, or
            None where it is zero; a tangent that is zero comes as None.
        transpose: ``transpose(cotangent, operands, k, **params)``, the cotangent of operand k, in
            which the function is linear and which is None.
        entered: whether an interpreter may run the program of `evaluate` in the primitive's place.
            It must then be linear step by step in every operand that may be a tangent.
        compute: another program for the value of `evaluate`, which is compiled in its place.

    The parameters must be hashable.
    """

    def __init__(
        self,
        name: str,
        evaluate: Callable[..., Array],
        differential: Callable[..., Array | None],
        transpose: Callable[..., Array],
        entered: bool = True,
        compute: Callable[..., Array] | None = None,
    ):
        self.primitive = core.Primitive(name)
        self._evaluate = evaluate
        self._differential = differential
        self._transpose = transpose

        def program(*operands: Array, ranks: Ranks, params: Any) -> Array:
            return evaluate(*operands, **dict(params))

        def compiled(*operands: Array, ranks: Ranks, params: Any) -> Array:
            return (compute or evaluate)(*operands, **dict(params))

        if entered:
            self.primitive.program = program  # type: ignore[attr-defined]
        self.primitive.def_impl(jax.jit(compiled, static_argnames=("ranks", "params")))
        self.primitive.def_abstract_eval(functools.cache(_abstract(program)))
        mlir.register_lowering(self.primitive, mlir.lower_fun(compiled, multiple_results=False))
        ad.primitive_jvps[self.primitive] = self._jvp
        ad.primitive_transposes[self.primitive] = self._pullback
        batching.primitive_batchers[self.primitive] = self._batch

    def __call__(self, ranks: Sequence[int], *operands: Array, **params: Any) -> Array:
        """The value.

        Args:
            ranks: number of axes of each operand that are not batch axes.
            operands: arrays.
            params: static parameters.
        """
        depth = max(X.ndim - rank for X, rank in zip(operands, ranks, strict=True))
        lifted = [
            jnp.expand_dims(X, tuple(range(depth - X.ndim + rank)))
            for X, rank in zip(operands, ranks, strict=True)
        ]
        items = tuple(sorted(params.items()))
        return self.primitive.bind(*lifted, ranks=tuple(ranks), params=items)

    def _jvp(
        self, primals: Sequence[Array], tangents: Sequence[Any], *, ranks: Ranks, params: Any
    ) -> tuple[Any, Any]:
        value = self.primitive.bind(*primals, ranks=ranks, params=params)
        known = [None if isinstance(t, ad.Zero) else t for t in tangents]
        tangent = self._differential(list(primals), known, **dict(params))
        if tangent is None:
            tangent = ad.Zero.from_primal_value(value)  # type: ignore[attr-defined]
        return value, tangent

    def _pullback(self, cotangent: Any, *operands: Any, ranks: Ranks, params: Any) -> list[Any]:
        linear = [k for k, X in enumerate(operands) if ad.is_undefined_primal(X)]
        results: list[Any] = [None] * len(operands)
        if isinstance(cotangent, ad.Zero):
            return results
        known = [None if k in linear else X for k, X in enumerate(operands)]
        for k in linear:
            pulled = self._transpose(cotangent, known, k, **dict(params))
            results[k] = _summed_to(pulled, operands[k].aval.shape)
        return results

    def _batch(
        self, operands: Sequence[Array], axes: Sequence[Any], *, ranks: Ranks, params: Any
    ) -> tuple[Any, int]:
        moved = [
            X[None] if axis is None else jnp.moveaxis(X, axis, 0)
            for X, axis in zip(operands, axes, strict=True)
        ]
        return self.primitive.bind(*moved, ranks=ranks, params=params), 0


def _abstract(program: Callable[..., Array]) -> Callable[..., Any]:
    def abstract(*avals: Any, ranks: Ranks, params: Any) -> Any:
        call = functools.partial(program, ranks=ranks, params=params)
        return jax.make_jaxpr(call)(*avals).out_avals[0]

    return abstract


def _summed_to(X: Array, shape: tuple[int, ...]) -> Array:
    """X summed over the axes on which an operand of this shape was broadcast."""
    wide = tuple(k for k, n in enumerate(shape) if n == 1 and X.shape[k] != 1)
    return jnp.sum(X, axis=wide, keepdims=True) if wide else X


def over_batch(function: Callable[..., Array], *operands: Array, ranks: Sequence[int]) -> Array:
    """``function`` of single operands, over their leading axes, which broadcast.

    An axis of size 1 is not mapped: what depends on such operands only is computed once.
    """
    if operands[0].ndim == ranks[0]:
        return function(*operands)
    size = max(X.shape[0] for X in operands)
    if any(X.shape[0] == 0 for X in operands):
        size = 0
    alone = [X.shape[0] == 1 and size != 1 for X in operands]
    inner = functools.partial(over_batch, function, ranks=ranks)
    if size == 1:
        return inner(*(X[0] for X in operands))[None]
    given = [X[0] if a else X for X, a in zip(operands, alone, strict=True)]
    return jax.vmap(inner, in_axes=[None if a else 0 for a in alone])(*given)
