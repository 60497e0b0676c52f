"""From a function to a tensor: its program, read equation by equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.explain import calls
from jaxmatcalc.explain.atoms import Call, Constant, Symbol
from jaxmatcalc.explain.primitives import RULES, Value, with_ones
from jaxmatcalc.explain.tensor import Tensor, identity, number, of_atom, scalar
from jaxmatcalc.interpret import Program


class Reader:
    """Reads programs into tensors of symbols.

    Args:
        unshifted: whether a `stop_gradient` of a maximum, which keeps an exponential from
            overflowing and changes no result, is read as 0.
        singular: whether determinants are differentiated through the adjugate.
    """

    def __init__(self, unshifted: bool = True, singular: bool = False):
        self.unshifted, self.singular = unshifted, singular
        self.constants: dict[bytes, Constant] = {}

    def read(self, function: Callable[..., Any], args: Sequence[Any], symbols: Sequence[Symbol]):
        """The tensor of a function of arrays."""
        program = Program(function, args)
        jaxpr, consts = _jax.trace(lambda *xs: program.run(*xs, explicit=True)[0], *args)
        values = [self._known(c) for c in consts]
        (result,) = self.run(jaxpr, values, [of_atom(s) for s in symbols])
        return self.tensor(result)

    def run(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Value]) -> list[Value]:
        """The results of a program."""

        def read_literal(atom: Any) -> Value:
            return self._known(_jax.literal(atom))

        return _jax.evaluate(jaxpr, list(map(self._known, consts)), args, self._step, read_literal)

    def _known(self, value: Any) -> Value:
        return value if isinstance(value, Tensor | np.ndarray) else np.asarray(value)

    def _step(self, eqn: Any, values: list[Value]) -> list[Value]:
        if all(isinstance(v, np.ndarray) for v in values) and not _jax.is_custom(eqn):
            with jax.ensure_compile_time_eval():
                return [np.asarray(r) for r in _jax.bind(eqn, values)]
        named = calls.find(eqn)
        if named is not None:
            found = named(self, eqn, *map(self.tensor, values))
            if found is not None:
                return found
        name = eqn.primitive.name
        rule = RULES.get(name)
        if rule is not None:
            found = rule(self, eqn, *values)
            if found is not None:
                return found if isinstance(found, list) else [found]
        inner = _jax.body(eqn)
        if name == "custom_vmap_call":
            inner = _jax.opened(eqn.params["call"])
        if inner is not None and not self._is_opaque(eqn):
            return self.run(*inner, _jax.body_operands(eqn, values))
        return self.opaque(eqn, values)

    def _is_opaque(self, eqn: Any) -> bool:
        return eqn.primitive.name.startswith("custom_vjp")

    def tensor(self, value: Value) -> Tensor:
        """A tensor of a known array."""
        if isinstance(value, Tensor):
            return value
        if value.size and (value == value.flat[0]).all():
            return scalar(value.flat[0], value.shape)
        value = np.asarray(value, float)
        if value.ndim == 2 and value.shape[0] == value.shape[1]:
            first = value[0, 0]
            if first and (value == first * np.eye(len(value))).all():
                return identity(len(value)).scaled(number(first))
        if 1 in value.shape:
            thin = self.tensor(value.reshape([n for n in value.shape if n != 1]))
            return with_ones(thin, value.shape)
        key = value.tobytes() + str(value.shape).encode()
        if key not in self.constants:
            self.constants[key] = Constant(self._name(value), value)
        return of_atom(self.constants[key])

    def _name(self, value: np.ndarray) -> str:
        if value.ndim == 1 and np.count_nonzero(value) == 1 and value.sum() == 1:
            return f"e{int(np.argmax(value)) + 1}"
        taken = [c.name for c in self.constants.values()]
        return f"C{1 + sum(name.startswith('C') for name in taken)}"

    def opaque(self, eqn: Any, values: Sequence[Value]) -> list[Value]:
        """Results without a matrix form: the operation by its name."""
        known = {k: v for k, v in enumerate(values) if isinstance(v, np.ndarray)}
        parts = [v for v in values if isinstance(v, Tensor)]
        name = _jax.call_name(eqn) or eqn.primitive.name
        detail = f"{id(eqn)}"
        results: list[Value] = []
        for k, aval in enumerate(v.aval for v in eqn.outvars):

            def function(*moving: Any, k: int = k, aval: Any = aval) -> Any:
                given = iter(moving)
                avals = [v.aval for v in eqn.invars]
                full = [known[n] if n in known else next(given) for n in range(len(values))]
                cast = [jax.numpy.asarray(x, a.dtype) for x, a in zip(full, avals, strict=True)]
                return _jax.bind(eqn, cast)[k]

            shown = name if len(eqn.outvars) == 1 else f"{name}{k + 1}"
            shape = tuple(getattr(aval, "shape", ()))
            atom = Call(shown, function, parts, shape, _jax.line(eqn), detail)
            results.append(of_atom(atom))
        return results
