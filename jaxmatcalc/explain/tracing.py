"""From a function to a tensor: its program, read equation by equation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmatcalc import _jax
from jaxmatcalc.explain import calls
from jaxmatcalc.explain.atoms import Call, Constant, Symbol
from jaxmatcalc.explain.axes import with_ones, without_ones
from jaxmatcalc.explain.building import product
from jaxmatcalc.explain.primitives import RULES, Value
from jaxmatcalc.explain.tensor import Tensor, identity, labels, number, of_atom, scalar
from jaxmatcalc.interpret import Program


class Unreadable(Exception):
    """A program with arrays that are no tensors of real numbers."""


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
        self._taken: set[str] = set()

    def read(self, function: Callable[..., Any], args: Sequence[Any], symbols: Sequence[Symbol]):
        """The tensor of a function of arrays."""
        program = Program(function, args)
        jaxpr, consts = _jax.trace(lambda *xs: program.run(*xs, explicit=True)[0], *args)
        values = [self._known(c) for c in consts]
        own = [with_ones(of_atom(s), s.full) for s in symbols]
        self._taken = {s.name for s in symbols}
        try:
            (result,) = self.run(jaxpr, values, own)
        except Unreadable:
            return self.named(function, symbols, jaxpr.outvars[0].aval.shape)
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

    def row(self, value: Value, k: int) -> Value:
        """The kth part of an array along its first axis."""
        if isinstance(value, np.ndarray):
            return value[k]
        own = labels(value.shape)
        return product(own[1:], (self._unit(k, value.shape[0]), own[:1]), (value, own))

    def stacked(self, rows: Sequence[tuple[int, Value]], length: int) -> Value:
        """Arrays put along a new first axis, each at its place."""
        known = {k: row for k, row in rows if isinstance(row, np.ndarray)}
        if len(known) == length:
            return np.stack([known[k] for k in range(length)])
        shape = (length, *rows[0][1].shape)
        total = Tensor(shape)
        for k, row in rows:
            first, *own = out = labels(shape)
            total += product(out, (self._unit(k, length), (first,)), (self.tensor(row), own))
        return total

    def _unit(self, k: int, size: int) -> Tensor:
        return self.tensor(np.eye(size)[k])

    def _name(self, value: np.ndarray) -> str:
        """The name of a constant: e2 for the second column of an identity, or C1, C2 and so on."""
        taken = self._taken | {c.name for c in self.constants.values()}
        if value.ndim == 1 and np.count_nonzero(value) == 1 and value.sum() == 1:
            unit = f"e{int(np.argmax(value)) + 1}"
            if unit not in taken:
                return unit
        return next(name for k in itertools.count(1) if (name := f"C{k}") not in taken)

    def opaque(self, eqn: Any, values: Sequence[Value]) -> list[Value]:
        """Results without a matrix form: the operation by its name."""
        shown = [isinstance(v, Tensor) or v.size == 1 for v in values]
        known = [v for v, part in zip(values, shown, strict=True) if not part]
        parts = [self.tensor(v) for v, part in zip(values, shown, strict=True) if part]
        avals = [v.aval for v in eqn.invars]
        if any(
            np.issubdtype(v.aval.dtype, np.complexfloating) for v in (*eqn.invars, *eqn.outvars)
        ):
            raise Unreadable
        smooth = [np.issubdtype(a.dtype, np.floating) for a in avals]
        name = _jax.call_name(eqn) or eqn.primitive.name
        detail = f"{id(eqn)}"
        results: list[Value] = []
        for k, aval in enumerate(v.aval for v in eqn.outvars):

            def function(*moving: Any, k: int = k, aval: Any = aval) -> Any:
                seen, hidden = iter(moving), iter(known)
                full = [next(seen) if part else next(hidden) for part in shown]
                cast = [jnp.asarray(x, a.dtype) for x, a in zip(full, avals, strict=True)]
                return _jax.bind(eqn, cast)[k]

            title = name if len(eqn.outvars) == 1 else f"{name}{k + 1}"
            shape = tuple(getattr(aval, "shape", ()))
            through = [s for s, part in zip(smooth, shown, strict=True) if part]
            if not np.issubdtype(aval.dtype, np.floating):
                through = [False] * len(parts)
            rest = _jax.line(eqn), detail, through
            results.append(self._call(title, function, parts, shape, *rest))
        return results

    def named(
        self, function: Callable[..., Any], symbols: Sequence[Symbol], shape: Sequence[int]
    ) -> Tensor:
        """The function itself by a name."""
        own = [with_ones(of_atom(s), s.full) for s in symbols]
        return self._call("f", function, own, shape)

    def _call(
        self,
        name: str,
        function: Callable[..., Any],
        parts: Sequence[Tensor],
        shape: Sequence[int],
        *rest: Any,
    ) -> Tensor:
        """A call by its name, in which no array has an axis of size 1."""

        def thin(*arrays: Any) -> Any:
            full = [jnp.reshape(x, p.shape) for x, p in zip(arrays, parts, strict=True)]
            return jnp.reshape(function(*full), [n for n in shape if n != 1])

        operands = [without_ones(p) for p in parts]
        atom = Call(name, thin, operands, [n for n in shape if n != 1], *rest)
        return with_ones(of_atom(atom), shape)
