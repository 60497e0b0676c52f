"""A function traced once: its program, and everything that is run from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxmatcalc import _jax
from jaxmatcalc.interpret import recognise
from jaxmatcalc.interpret.derive import Blocks, Derived, forward, reverse


class Program:
    """A function of arrays traced at its arguments, with its library calls recognised.

    Args:
        function: takes arrays and returns any pytree, or a pair (pytree, further pytree) if
            `has_aux`.
        args: the arrays.
        has_aux: whether the function returns further results that are not differentiated.
    """

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], has_aux: bool = False):
        self.args = list(args)
        self.tree: Any = None  # pytrees of the results and the further results, set by tracing
        self.aux_tree: Any = None
        self.count = 0

        def flat(*xs: Any) -> list[Any]:
            result = function(*xs)
            out, aux = result if has_aux else (result, ())
            outs, self.tree = jax.tree.flatten(out)
            extra, self.aux_tree = jax.tree.flatten(aux)
            self.count = len(outs)
            return [*outs, *extra]

        self.jaxpr, self.consts = _jax.trace(flat, *self.args)
        self.out_avals = [v.aval for v in self.jaxpr.outvars[: self.count]]

    @property
    def has_calls(self) -> bool:
        """Whether any library call would be replaced."""
        return recognise.has_calls(self.jaxpr)

    def run(self, *args: Any, explicit: bool = False) -> tuple[list[Any], list[Any]]:
        """Results and further results, flat, with library calls replaced by operations."""
        results = recognise.run(self.jaxpr, self.consts, args, explicit)
        return results[: self.count], results[self.count :]

    def jacobian(self, formed: bool = False) -> Derived:
        """Values, further values, and ``blocks[output][input]``: operators, or arrays."""
        wide = sum(math.prod(a.shape) for a in self.out_avals)
        tall = sum(math.prod(x.shape) for x in map(jax.typeof, self.args))
        derive = reverse if wide < tall or _jax.has_custom_vjp(self.jaxpr) else forward

        def explicit(*xs: Any) -> tuple[list[Any], list[Any]]:
            return self.run(*xs, explicit=True)

        return derive(explicit, self.args, formed)

    def hessian(self, formed: bool = False) -> tuple[Any, list[Any], list[Any], Blocks]:
        """Value, gradient, further values, and ``blocks[input][input]``: operators, or arrays.

        The function must have one result, a real (or holomorphic) scalar.
        """
        argnums = tuple(range(len(self.args)))

        def scalar(*xs: Any) -> tuple[Any, list[Any]]:
            (value,), aux = self.run(*xs, explicit=True)
            return value, aux

        holomorphic = any(jax.numpy.iscomplexobj(x) for x in self.args)
        derived = jax.value_and_grad(scalar, argnums, has_aux=True, holomorphic=holomorphic)

        def gradient(*xs: Any) -> tuple[list[Any], list[Any]]:
            (value, aux), grads = derived(*xs)
            return list(grads), [value, *aux]

        grads, (value, *aux), blocks = forward(gradient, self.args, formed)
        return _jax.retyped(value, self.out_avals[0]), grads, aux, blocks
