"""Power series through a program: what it makes of x(t) = Σ x_j tʲ, cut off at an order.

A product of series is a convolution; for any other primitive y = g(x) the rule that JAX has for it
gives the rest: y' = g'(x) x' is a program in x, x' and often y itself, so that coefficient j of y
takes those of y' up to j - 1. Order k costs O(k²) products, where k nested Jacobian-vector products
cost 2ᵏ; an operation's closed form is its rule.

Source: Griewank and Walther, Evaluating Derivatives (2008), chapter 13.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _equality, _jax

Array = Any
Operands = Sequence[Any]  # of arrays that do not vary with t, and of series


class Series:
    """x(t) = Σ x_j tʲ, each coefficient found when it is first asked for; None is zero."""

    def __init__(self, aval: Any, find: Callable[[int], Array | None], degree: float = math.inf):
        self.aval, self._find, self.degree = aval, find, degree
        self._found: list[Array | None] = []

    @classmethod
    def given(cls, coefficients: Sequence[Array]) -> Series:
        """The series with these coefficients, and no more."""
        return cls(jax.typeof(coefficients[0]), coefficients.__getitem__, len(coefficients) - 1)

    def __getitem__(self, j: int) -> Array | None:
        while len(self._found) <= j <= self.degree:
            self._found.append(self._find(len(self._found)))
        return self._found[j] if j <= self.degree else None

    def array(self, j: int) -> Array:
        """Coefficient j, also where it is zero."""
        found = self[j]
        return jnp.zeros(self.aval.shape, self.aval.dtype) if found is None else found

    @functools.cached_property
    def derivative(self) -> Any:
        """x'(t): one object, by which equal values are known to be equal."""

        def find(j: int) -> Array | None:
            after = self[j + 1]
            return None if after is None else after * (j + 1)

        return self.array(1) if self.degree == 1 else Series(self.aval, find, self.degree - 1)


def _coefficient(value: Any, j: int) -> Array | None:
    if isinstance(value, Series):
        return value[j]
    return None if j else value


def _first(value: Any) -> Array:
    return value.array(0) if isinstance(value, Series) else value


# Linear in all real operands together. A gather is not: where it reads beyond the end it fills in
# a value, which its tangent does not. For any other the tangent program does as well.
# fmt: off
_LINEAR = frozenset({
    "add", "add_any", "broadcast_in_dim", "concatenate", "convert_element_type", "dynamic_slice",
    "neg", "pad", "reduce_sum", "reshape", "select_n", "slice", "squeeze", "sub", "transpose",
})
# fmt: on
_BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})


class Walk:
    """Programs run on series up to one order; `nodes` are those made so far, in program order."""

    def __init__(self, order: int, known: dict[Any, Any] | None = None, inside: bool = False):
        self.order, self._inside = order, inside
        self._known = {} if known is None else known
        self.nodes: list[Series] = []

    def run(self, jaxpr: Any, consts: Operands, args: Operands) -> list[Any]:
        """Results of a program, series where they vary; coefficients are found in program order."""

        def step(eqn: Any, operands: list[Any]) -> list[Any]:
            results = self._step(eqn, operands)
            self.nodes += (new := [r for r in results if isinstance(r, Series)])
            for series in () if self._inside else new:
                series[self.order]  # now, lest the recursion be as deep as the program is long
            return results

        return _jax.evaluate(jaxpr, consts, args, step, _jax.literal)

    def _step(self, eqn: Any, operands: list[Any]) -> list[Any]:
        body, name = _jax.body(eqn), eqn.primitive.name
        moves = any(isinstance(o, Series) for o in operands)
        if body is not None and (not _jax.is_custom(eqn) if moves else _jax.must_enter(eqn)):
            return self.run(*body, _jax.body_operands(eqn, operands))
        if not moves or name == "stop_gradient":
            return _jax.bind(eqn, list(map(_first, operands)))
        if name in _INNER and not self._inside:  # all coefficients at once: not in a recurrence
            return _INNER[name](self, eqn, operands)
        outs = [v.aval for v in eqn.outvars]
        degrees = [o.degree if isinstance(o, Series) else 0 for o in operands]
        if name in _BILINEAR:
            return [Series(outs[0], functools.partial(_convolved, eqn, *operands), sum(degrees))]
        if name in _LINEAR and jnp.issubdtype(outs[0].dtype, jnp.inexact):
            return [Series(outs[0], functools.partial(_image, eqn, operands), max(degrees))]
        return self._differentiated(eqn, operands)

    def _differentiated(self, eqn: Any, operands: list[Any]) -> list[Any]:
        """y = g(x) from y' = g'(x) x', the tangent program of g; equal calls are one."""
        # A user's custom_jvp function is known by its name and body, which do not hold its rule:
        # such calls are taken for one only inside the derivative of one of them.
        shared = self._inside or not _jax.is_custom(eqn)
        key = (eqn.primitive, *map(_identity, operands))
        for other, _, results in self._known.get(key, ()) if shared else ():
            if _equality.same_equation(eqn, other):
                return results
        known = self._known if shared else {}
        first = _jax.bind(eqn, list(map(_first, operands)))
        places = [k for k, y in enumerate(first) if jnp.issubdtype(y.dtype, jnp.inexact)]

        @functools.cache
        def rates() -> tuple[list[Series], dict[int, Any]]:
            walk = Walk(self.order, known, inside=True)
            moving = [o.derivative for o in operands if isinstance(o, Series)]
            outs = walk.run(*_tangent_program(eqn, operands, places), [*operands, *moving])
            return walk.nodes, dict(zip(places, outs, strict=True))

        def find(k: int, j: int) -> Array | None:
            if not j:
                return first[k]
            nodes, outs = rates()
            for series in nodes:
                series[j - 1]
            rate = _coefficient(outs[k], j - 1)
            return None if rate is None else rate / j

        results: list[Any] = list(first)
        for k in places:
            results[k] = Series(eqn.outvars[k].aval, functools.partial(find, k))
        # the operands stay with it, so that no later one has the identity of one of them
        known.setdefault(key, []).append((eqn, operands, results))
        return results


def _identity(value: Any) -> Any:
    """What tells a value from others: itself, or the number that a literal holds."""
    if isinstance(value, np.ndarray) and not value.ndim:
        return (value.dtype, value.tobytes())
    return id(value)


def _tangent_program(eqn: Any, operands: Operands, places: Sequence[int]) -> tuple[Any, list[Any]]:
    """The program from operands and rates to the rates of the results at `places`."""
    values = list(map(_first, operands))
    moving = [k for k, o in enumerate(operands) if isinstance(o, Series)]

    def program(*args: Array) -> list[Array]:
        given = list(args[: len(values)])

        def g(*xs: Array) -> list[Array]:
            for k, x in zip(moving, xs, strict=True):
                given[k] = x
            found = _jax.bind(eqn, given)
            return [found[k] for k in places]

        return jax.jvp(g, tuple(given[k] for k in moving), args[len(values) :])[1]

    return _jax.trace(program, *values, *(values[k] for k in moving))


def _convolved(eqn: Any, left: Any, right: Any, j: int) -> Array | None:
    """Coefficient j of a product: Σ x_i y_{j-i}."""
    total = None
    for i in range(j + 1):
        x, y = _coefficient(left, i), _coefficient(right, j - i)
        if x is not None and y is not None:
            (product,) = _jax.bind(eqn, [x, y])
            total = product if total is None else total + product
    return total


def _image(eqn: Any, operands: Operands, j: int) -> Array | None:
    """Coefficient j of the result of a linear primitive; indices and masks stay."""
    found = [_coefficient(o, j) for o in operands]
    moving = [c for c, o in zip(found, operands, strict=True) if isinstance(o, Series)]
    if all(c is None for c in moving):
        return None
    for k, (c, o) in enumerate(zip(found, operands, strict=True)):
        if c is None:
            real = isinstance(o, Series) or jnp.issubdtype(jnp.result_type(o), jnp.inexact)
            found[k] = jnp.zeros(eqn.invars[k].aval.shape, eqn.invars[k].aval.dtype) if real else o
    return _jax.bind(eqn, found)[0]


# Loops and branches: what goes in or comes out of one is a value or the list of its coefficients.


def _lists(walk: Walk, values: Operands, every: bool = False) -> list[Any]:
    """Series, or every real value, as lists of all coefficients."""

    def listed(value: Any) -> Any:
        if isinstance(value, Series):
            return [value.array(j) for j in range(walk.order + 1)]
        if every and jnp.issubdtype(jnp.result_type(value), jnp.inexact):
            return [jnp.asarray(value)] + [jnp.zeros_like(value)] * walk.order
        return value

    return [listed(v) for v in values]


def _series(values: Operands) -> list[Any]:
    return [Series.given(v) if isinstance(v, list) else v for v in values]


def _part(walk: Walk, closed: Any, values: Operands) -> list[Any]:
    """The results of a loop's step or of a branch."""
    return Walk(walk.order).run(*_jax.opened(closed), _series(values))


def _scan(walk: Walk, eqn: Any, operands: list[Any]) -> list[Any]:
    p = eqn.params
    n, m = _jax.scan_counts(eqn)
    consts, xs = _lists(walk, operands[:n]), _lists(walk, operands[n + m :])

    def step(carry: Operands, x: Operands) -> tuple[list[Any], list[Any]]:
        results = _part(walk, p["jaxpr"], [*consts, *carry, *x])
        return _lists(walk, results[:m], True), _lists(walk, results[m:])

    start = _lists(walk, operands[n : n + m], True)
    carry, ys = lax.scan(step, start, xs, p["length"], p["reverse"], p["unroll"])
    return _series([*carry, *ys])


def _cond(walk: Walk, eqn: Any, operands: list[Any]) -> list[Any]:
    def branch(closed: Any, *values: Any) -> list[Any]:
        return _lists(walk, _part(walk, closed, values), True)

    branches = [functools.partial(branch, closed) for closed in eqn.params["branches"]]
    return _series(lax.switch(operands[0], branches, *_lists(walk, operands[1:])))


_INNER = {"scan": _scan, "cond": _cond}
