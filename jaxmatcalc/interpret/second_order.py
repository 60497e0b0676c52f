"""Laplacians and Hessian diagonals: the program of d²/dt² f(x + tv), run once for all v = eᵢ.

JAX differentiates the function twice along v and applies every closed-form rule. What is of degree
1 in v is a tangent, with an identity for v, and moves by the rules of the first order. What is of
degree 2 is born where two tangents meet (see `births`), and moves by the rest of the program: as an
array, summed over the directions, for the Laplacian; as a tangent for the diagonal. No Hessian is
formed, and an input that an output does not depend on is never pushed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.births import Second, bilinear, born
from jaxmatcalc.interpret.directions import directions, run_by_direction, zero_like
from jaxmatcalc.interpret.known import run
from jaxmatcalc.interpret.loops import loop
from jaxmatcalc.interpret.memory import remembering
from jaxmatcalc.interpret.program import Program
from jaxmatcalc.interpret.rules import RULES, Value
from jaxmatcalc.interpret.settling import lined_up, settled
from jaxmatcalc.interpret.tangent import Tangent, add
from jaxmatcalc.interpret.value import Known, is_zero
from jaxmatcalc.interpret.walk import placed
from jaxmatcalc.linear.contraction import dense_sum

# Products, and what a zero goes through as it is: JAX writes some tangents that are zero out, and
# what they are multiplied by need not be computed
_PRODUCTS = frozenset({"mul", "dot_general"})
_KEEP_ZERO = frozenset({"neg", "convert_element_type", "copy"})


class SecondOrder(NamedTuple):
    """What one pass gives, flat, for each result of the function.

    Attributes:
        values: the results.
        aux: the further results.
        firsts: ``firsts[output][input]``, Jacobians of shape ``out.shape + in.shape``; none unless
            asked for.
        seconds: ``seconds[output]``, Laplacians of the result's shape, or
            ``seconds[output][input]``, diagonals of shape ``out.shape + in.shape``.
        fallbacks: the primitives that were run direction by direction, each with its source line.
    """

    values: list[Any]
    aux: list[Any]
    firsts: list[list[Any]]
    seconds: list[Any]
    fallbacks: tuple[str, ...]


def laplacian(program: Program, first: bool = False) -> SecondOrder:
    """The trace of the Hessian of each entry of the results, over all arguments together."""
    return _second_order(program, True, first)


def diagonal(program: Program, first: bool = False) -> SecondOrder:
    """The diagonal of the Hessian of each entry of the results."""
    return _second_order(program, False, first)


def _second_order(program: Program, summed: bool, first: bool) -> SecondOrder:
    primals = program.args
    n = len(primals)
    counts: list[int] = []

    def function(*xs: Any) -> tuple[list[Any], list[Any]]:
        return program.run(*xs, explicit=True)

    def twice(*args: Any) -> list[Any]:
        def once(*xs: Any) -> tuple[list[Any], list[Any]]:
            outs, tangents, aux = jax.jvp(function, xs, args[n:], has_aux=True)
            counts[:] = [len(outs), len(outs) + len(aux)]
            return tangents, [*outs, *aux]

        firsts, seconds, values = jax.jvp(once, args[:n], args[n:], has_aux=True)
        return [*values, *firsts, *seconds]

    jaxpr, consts = _jax.trace(twice, *primals, *primals)
    count, known = counts
    walk = _Walk(summed)
    seeds = [Tangent.seed(k, jax.typeof(x)) for k, x in enumerate(primals)]
    wanted = [True] * known + [first] * count + [True] * count
    with remembering(apart=True):
        results = walk.run(jaxpr, consts, [*map(Known.full, primals), *seeds], wanted)
    values = [jnp.asarray(r.value()) for r in results[:known]]
    values[:count] = map(_jax.retyped, values, program.out_avals)
    firsts, seconds = results[known : known + count], results[known + count :]

    def rows(tangents: Sequence[Value]) -> list[list[Any]]:
        return [
            [_formed(t, k, v, x) for k, x in enumerate(primals)]
            for t, v in zip(tangents, values[:count], strict=True)
        ]

    # a result that is of lower degree than it may be is zero
    formed = (
        [
            jnp.asarray(s.value()) if isinstance(s, Known) else jnp.zeros(s.shape, s.dtype)
            for s in seconds
        ]
        if summed
        else rows(seconds)
    )
    slopes = rows(firsts) if first else []
    return SecondOrder(values[:count], values[count:], slopes, formed, tuple(walk.fallbacks))


def _formed(tangent: Value, index: int, out: Any, x: Any) -> Any:
    """A tangent as an array of shape ``out.shape + x.shape``."""
    terms = tangent.terms.get(index, ()) if isinstance(tangent, Tangent) else ()
    dtype = jnp.result_type(out, x) if jnp.iscomplexobj(out) else x.dtype
    if not terms:
        return jnp.zeros((*out.shape, *x.shape), dtype)
    return dense_sum(terms, dtype).reshape(*out.shape, *x.shape)


@dataclass
class _Walk:
    """One run of a second-order program.

    The two derivatives along v write the tangents of the first order down twice; equal equations
    are run once.

    Attributes:
        summed: whether values of degree 2 are summed over the directions.
        fallbacks: the primitives that were run direction by direction.
    """

    summed: bool
    fallbacks: list[str] = field(default_factory=list)
    _seen: dict[Any, tuple[Any, list[Value]]] = field(default_factory=dict)
    _literals: dict[Any, Known] = field(default_factory=dict)
    _joined: dict[int, tuple[Value, Sequence[Value], int]] = field(default_factory=dict)

    def run(
        self,
        jaxpr: Any,
        consts: Sequence[Any],
        operands: Sequence[Value],
        wanted: Sequence[bool] | None = None,
    ) -> list[Any]:
        """Run a program on values; results not `wanted` are None."""
        known = list(map(Known.full, consts))
        return _jax.evaluate(jaxpr, known, operands, self._once, self._literal, wanted)

    def _literal(self, atom: Any) -> Known:
        value = _jax.literal(atom)
        key = (value.dtype, value.shape, value.tobytes())
        return self._literals.setdefault(key, Known.full(value))

    def _once(self, eqn: Any, operands: list[Value]) -> Sequence[Value]:
        try:
            params = tuple(sorted(eqn.params.items()))
            key = (eqn.primitive, tuple(map(id, operands)), params)
            hash(key)
        except TypeError:  # a parameter that has no hash
            return self._step(eqn, operands)
        if eqn.effects:
            return self._step(eqn, operands)
        if key not in self._seen:  # operands are held, so that their ids stay theirs
            self._seen[key] = (operands, list(self._step(eqn, operands)))
        return self._seen[key][1]

    def _step(self, eqn: Any, operands: list[Value]) -> Sequence[Value]:
        body = _jax.body(eqn)
        if all(isinstance(o, Known) for o in operands):
            return self._known(eqn, body, operands)
        if body is not None:
            return self._enter(eqn, body, operands)
        if eqn.primitive.name == "optimization_barrier":
            return operands
        rule = RULES.get(eqn.primitive.name)
        if rule is not None and any(isinstance(o, Second) for o in operands):
            # a sum of degrees 1 and 2 only where a zero was written out
            still = [o if isinstance(o, Known) else zero_like(o) for o in operands]
            return self._known(eqn, None, still)
        tangents = [o for o in operands if isinstance(o, Tangent)]
        avals = [v.aval for v in eqn.outvars]
        nothing = [Tangent(tuple(v.shape), v.dtype, {}) for v in avals]
        if rule is not None and not any(v.size for v in avals):
            return nothing
        if rule is not None and all(v.size for v in avals):
            if len(tangents) == len(operands) == 2:
                left, right = tangents
                kind = bilinear(eqn, left.shape, right.shape)
                if kind is not None:
                    value = born(kind, left, right, avals[0], self.summed)
                    return [settled(value) if isinstance(value, Tangent) else value]
            zero = any(isinstance(o, Known) and is_zero(o) for o in operands)
            if not any(t.terms for t in tangents) or (zero and eqn.primitive.name in _PRODUCTS):
                return nothing
            if eqn.primitive.name == "dot_general":
                result = self._product(eqn, rule, operands)
            else:
                result = rule(eqn, *operands)
            if result is not None:
                results = result if isinstance(result, list) else [result]
                results = list(map(settled, results))
                if eqn.primitive.name == "concatenate":
                    joined = results[0]
                    self._joined[id(joined)] = joined, operands, eqn.params["dimension"]
                return results
        if eqn.primitive.name in ("scan", "while"):
            looped = loop(eqn, operands, self.summed, self._looked, self._inside(eqn))
            if looped is not None:
                return looped
        if directions(operands):
            self.fallbacks.append(placed(eqn.primitive.name, eqn))
        return run_by_direction(eqn, operands, self.summed)

    def _looked(self, jaxpr: Any, consts: Sequence[Any], operands: Sequence[Value]) -> list[Any]:
        """The results of a loop's body for their form: nothing that it notes is kept."""
        with remembering(apart=True):
            return _Walk(self.summed).run(jaxpr, consts, operands)

    def _inside(self, eqn: Any) -> Callable[..., list[Any]]:
        """The walk for the body of a loop, which shares no result with what is outside of it."""

        def run(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Value]) -> list[Any]:
            inner = _Walk(self.summed)
            with remembering(apart=True):
                results = inner.run(jaxpr, consts, operands)
            found = [n if "(" in n else placed(n, eqn) for n in inner.fallbacks]
            self.fallbacks.extend(n for n in found if n not in self.fallbacks)
            return results

        return run

    def _product(self, eqn: Any, rule: Any, operands: Sequence[Any]) -> Tangent:
        """A product of a tangent, made ready for it, and a known array."""
        place = next(k for k, o in enumerate(operands) if isinstance(o, Tangent))
        tangent, other = operands[place], operands[1 - place]
        summed, batch = eqn.params["dimension_numbers"]
        ours, theirs = summed[place], summed[1 - place]
        gone = {*theirs, *batch[1 - place]}
        free = math.prod(n for a, n in enumerate(other.shape) if a not in gone)

        def product(piece: Tangent, known: Known) -> Tangent:
            ready = lined_up(piece, ours, free)
            return rule(eqn, *((ready, known) if place == 0 else (known, ready)))

        _, pieces, axis = self._joined.get(id(tangent), (tangent, [], -1))
        if axis not in ours:
            return product(tangent, other)
        # joined, the pieces are as wide as all together, and mostly zeros
        across, products, start = theirs[list(ours).index(axis)], [], 0
        for piece in pieces:
            stop = start + piece.shape[axis]
            if isinstance(piece, Tangent) and piece.terms:
                part = lax.slice_in_dim(other.value(), start, stop, axis=across)
                products.append(product(piece, Known.full(part)))
            start = stop
        return add(products, eqn.outvars[0].aval)

    def _known(self, eqn: Any, body: Any, operands: Sequence[Any]) -> Sequence[Value]:
        """An equation on arrays: of degree 0, or linear in those of degree 2."""
        spread = not all(k.is_full for k in operands) or not operands
        second = [isinstance(k, Second) for k in operands]
        custom = _jax.is_custom(eqn)
        if body is not None and (_jax.must_enter(eqn) or ((spread or any(second)) and not custom)):
            return self._enter(eqn, body, operands)
        if eqn.primitive.name in _KEEP_ZERO and is_zero(operands[0]):
            zero = np.zeros((), eqn.outvars[0].aval.dtype)
            return [Known(zero, operands[0].shape, operands[0].axes, ())]
        results = run(eqn, operands)
        if not any(second):
            return results
        moved = _jax.dependent_outputs(eqn, second)
        return [Second.of(r) if m else r for r, m in zip(results, moved, strict=True)]

    def _enter(self, eqn: Any, body: tuple[Any, list[Any]], operands: Sequence[Any]) -> list[Any]:
        """Run a call's body in its place; where JAX hides a line inside, the call's is reported."""
        before = len(self.fallbacks)
        results = self.run(*body, _jax.body_operands(eqn, operands))
        inner = self.fallbacks[before:]
        self.fallbacks[before:] = [n if "(" in n else placed(n, eqn) for n in inner]
        return results
