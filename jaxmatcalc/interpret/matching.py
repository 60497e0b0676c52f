"""Matching: which library call an equation is, by its name and by its body.

The body decides: it is compared with what the library's function traces to at these shapes, as it
is written and under `vmap`. Reference bodies are traced, never run, and only for calls of a name
in a table; a user's own function of such a name has another body.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from jaxmatcalc import _equality, _jax

Function = Callable[..., Any]
Levels = tuple[tuple[int | None, ...], ...]  # the mapped axis of each operand, innermost map first


@dataclass(frozen=True)
class Variant:
    """One way to call a library function.

    Attributes:
        reference: the library's function of the operands, with its options.
        replacement: the operation, of the same operands.
        shown: the form of it that an interpreter can name, where that is another.
        squared: the square of the result, where that has the better derivatives.
        factored: for a Cholesky factor, the matrix that it is the factor of.
        lower: whether that factor is the lower one.
        without: results that the replacement does not give, so which nothing may use.
    """

    reference: Function
    replacement: Function
    shown: Function | None = None
    squared: Function | None = None
    factored: Function | None = None
    lower: bool = True
    without: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What a call of one name may be.

    Attributes:
        public: the functions whose calls go by that name.
        operations: the operations that take their places.
        least: the fewest axes of each operand that may be mapped.
        variants: what a call at hand may be.
        square: whether the last two axes of the first operand are equal.
    """

    public: tuple[str, ...]
    operations: tuple[str, ...]
    least: tuple[int, ...]
    variants: Callable[[Site], Iterable[Variant]]
    square: bool = True


@dataclass(frozen=True)
class Site:
    """A call at hand, seen without the axes that `vmap` may have added.

    Attributes:
        eqn: the equation.
        shapes: those of its operands, without mapped axes.
        sizes: those of the mapped axes.
    """

    eqn: Any
    shapes: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]

    def gives(self, shape: Sequence[int]) -> bool:
        """Whether the first result can be of this shape, without mapped axes."""
        return sorted(self.eqn.outvars[0].aval.shape) == sorted([*shape, *self.sizes])


@dataclass(frozen=True)
class Found:
    """A call that is recognised: its variant, and how the results lie in the call."""

    variant: Variant
    levels: Levels
    orders: tuple[tuple[int, ...] | None, ...]

    @property
    def leading(self) -> bool:
        """Whether mapped axes come first, in the operands and in the results."""
        axes = {axis for level in self.levels for axis in level}
        return axes <= {0} and not any(self.orders)

    def replacement(self, explicit: bool = False) -> Function:
        """The operation, of the operands of the call."""
        shown = self.variant.shown if explicit else None
        return self.placed(shown or self.variant.replacement)

    def placed(self, function: Function) -> Function:
        """A function mapped as the call is, with its results laid out as those of the call."""
        mapped = _mapped(function, self.levels)

        def call(*operands: Any) -> list[Any]:
            results = jax.tree.leaves(mapped(*operands), is_leaf=lambda x: x is None)
            return [
                r if r is None or order is None else jax.lax.transpose(r, order)
                for r, order in zip(results, self.orders, strict=True)
            ]

        return call


def match(table: dict[str, Entry], eqn: Any, unused: Sequence[int] = ()) -> Found | None:
    """What a call is recognised as, or None.

    Args:
        table: the calls that are looked for, by their names.
        eqn: the equation.
        unused: the results of the call that nothing uses.
    """
    name = call_name(eqn)
    if name not in table or len(eqn.invars) > len(table[name].least):
        return None
    body = _jax.body(eqn)
    if body is None or body[1]:
        return None
    # a literal zero (the offset of a trace) is part of what is looked at
    zeros = tuple(map(_jax.is_zero, eqn.invars))
    return _match(_Key(eqn, table[name], (id(body[0]), name, zeros, tuple(unused))))


class _Key:
    """A call, equal to another if it has the same body: JAX traces a call once at its shapes."""

    def __init__(self, eqn: Any, entry: Entry, identity: tuple[Any, ...]):
        self.eqn, self.entry, self.identity = eqn, entry, identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.identity == other.identity


def call_name(eqn: Any) -> str:
    """The name of a call that may be a library call; empty for any other equation."""
    kind = eqn.primitive.name
    if kind in ("jit", "pjit"):
        return eqn.params["name"]
    return _jax.call_name(eqn) if kind == "custom_jvp_call" else ""


@functools.lru_cache(maxsize=512)
def _match(key: _Key) -> Found | None:
    eqn, entry, unused = key.eqn, key.entry, key.identity[-1]
    structs = [v.aval for v in eqn.invars]  # which say too over which axes of a mesh they vary
    for levels, site in _sites(entry, eqn):
        for variant in entry.variants(site):
            if not set(variant.without) <= set(unused):
                continue
            orders = _compared(eqn, _mapped(variant.reference, levels), structs)
            if orders is not None:
                found = Found(variant, levels, orders)
                return found if _agrees(eqn, entry, found, structs) else None
    return None


def _sites(entry: Entry, eqn: Any) -> Iterator[tuple[Levels, Site]]:
    """The call under no map, one `vmap`, or two, over any axes that leave it a call."""
    shapes = tuple(tuple(v.aval.shape) for v in eqn.invars)
    if not shapes or any(len(s) < n for s, n in zip(shapes, entry.least, strict=False)):
        return
    seen: list[tuple[Levels, Site]] = [((), Site(eqn, shapes, ()))]
    for depth in range(3):
        if depth:
            seen = [
                # a map that is further in sees the axes that the outer ones leave
                ((level, *levels), Site(eqn, inside, (*site.sizes, size)))
                for levels, site in seen
                for level, inside, size in _maps(entry, site.shapes)
            ]
        for levels, site in seen:
            first = site.shapes[0]
            if not entry.square or first[-1] == first[-2]:
                yield levels, site


def _maps(entry: Entry, shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[Any, Any, int]]:
    """Every way to map operands: the axes, the shapes that are left, and the size."""
    axes = [
        [*range(len(s)), None] if len(s) > least else [None]
        for s, least in zip(shapes, entry.least, strict=False)
    ]
    for level in itertools.product(*axes):
        sizes = {s[a] for s, a in zip(shapes, level, strict=True) if a is not None}
        if len(sizes) == 1:
            inside = tuple(
                s if a is None else (*s[:a], *s[a + 1 :])
                for s, a in zip(shapes, level, strict=True)
            )
            yield level, inside, sizes.pop()


def _mapped(function: Function, levels: Levels) -> Function:
    for level in levels:
        function = jax.vmap(function, in_axes=level)
    return function


def _compared(
    eqn: Any, reference: Function, structs: Sequence[Any]
) -> tuple[tuple[int, ...] | None, ...] | None:
    """How a call's results lie among those of a reference, or None if it is another call.

    `vmap` leaves the mapped axes of a call's results where they fall and moves them afterwards; the
    order of axes that takes each result back is returned.
    """
    try:
        jaxpr, consts = _jax.trace(reference, *structs)
    except (
        TypeError,
        ValueError,
        IndexError,
        NotImplementedError,
    ):  # the reference does not take such operands, so this is no call of it
        return None
    places: dict[Any, Any] = {v: (k, None) for k, v in enumerate(jaxpr.invars)}
    call = None
    for other in jaxpr.eqns:
        kind = other.primitive.name
        if call is None and kind == "stop_gradient" and other.invars[0] in places:
            places[other.outvars[0]] = places[other.invars[0]]
        elif call is None and call_name(other) == call_name(eqn):
            given = [_place(v, places) for v in other.invars]
            if given != list(range(len(eqn.invars))):
                return None
            if _equality.rule_source(other) != _equality.rule_source(eqn):
                return None
            call = other
            places = {v: (k, None) for k, v in enumerate(other.outvars)}
        elif call is not None and kind == "transpose" and other.invars[0] in places:
            result, order = places[other.invars[0]]
            step = other.params["permutation"]
            moved = tuple(step) if order is None else tuple(order[a] for a in step)
            places[other.outvars[0]] = result, moved
        elif call is None or kind != "transpose":
            return None
    ours, theirs = _jax.body(eqn), None if call is None else _jax.body(call)
    if consts or ours is None or theirs is None or not _equality.same_program(theirs[0], ours[0]):
        return None
    found = [places.get(v) for v in jaxpr.outvars]
    if None in found or [place[0] for place in found if place] != list(range(len(eqn.outvars))):
        return None
    return tuple(None if p[1] is None else _inverse(p[1]) for p in found if p is not None)


def _place(atom: Any, places: dict[Any, Any]) -> int | None:
    if isinstance(atom, _jax.Literal) or atom not in places:
        return None
    return places[atom][0]


def _inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def _agrees(eqn: Any, entry: Entry, found: Found, structs: Sequence[Any]) -> bool:
    """Whether the replacement takes these operands, and gives the shapes and dtypes of the call."""
    if entry.square and all(_is_factored(s.dtype) for s in structs):
        return True  # so it does, and its trace would cost more than the reference's
    try:
        results = jax.eval_shape(found.replacement(), *structs)
    except (TypeError, ValueError):
        return False
    return all(
        k in found.variant.without or (r.shape == v.aval.shape and r.dtype == v.aval.dtype)
        for k, (r, v) in enumerate(zip(results, eqn.outvars, strict=True))
    )


def _is_factored(dtype: Any) -> bool:
    return jax.numpy.issubdtype(dtype, jax.numpy.inexact) and dtype.itemsize >= 4
