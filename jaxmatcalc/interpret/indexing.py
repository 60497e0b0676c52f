"""Rules for gathers and scatters: each picks entries by indices that do not depend on the tangent.

A component of the index that counts 0, 1, 2, … picks nothing, it renames: ``jnp.diagonal``
identifies two axes. The others are selections. The transpose of a gather adds entries where the
gather takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret.along import Axes, along
from jaxmatcalc.interpret.movement import Shape, sliced, spaced
from jaxmatcalc.interpret.picking import Axis, Group, Mode, Picking, counted, picker
from jaxmatcalc.interpret.tangent import Tangent, add, masked, multiplied
from jaxmatcalc.interpret.value import Known
from jaxmatcalc.linear.contraction import close
from jaxmatcalc.linear.term import Term, flat, fresh, identify

Value = Known | Tangent


class _Work:
    """A tangent on its way, with its axes named."""

    def __init__(self, picking: Picking, tangent: Tangent, axes: Sequence[Axis]):
        self.picking, self.tangent, self.axes = picking, tangent, list(axes)

    def step(self, axes: Sequence[Axis], out: Callable[[Term], Sequence[Any]]) -> None:
        """Label work: `out(term)` are the groups of the axes that there are now."""
        sizes = tuple(map(self.picking.size, axes))
        rule = lambda t: Term(t.factors, tuple(out(t)), t.in_)  # noqa: E731
        self.tangent = self.tangent.map(rule, Shape(sizes, self.tangent.dtype))
        self.axes = list(axes)

    def renamed(self, pairs: Sequence[tuple[Axis, Axis]]) -> None:
        """Give axes other names."""
        names = dict(pairs)
        self.axes = [names.get(a, a) for a in self.axes]

    def arranged(self, axes: Sequence[Axis]) -> None:
        """The axes in this order; new ones are constant, those left out have size one."""
        here = {a: k for k, a in enumerate(self.axes)}
        new = fresh(map(self.picking.size, axes))
        self.step(
            axes,
            lambda t: [t.out[here[a]] if a in here else g for a, g in zip(axes, new, strict=True)],
        )

    def cut(self, axis: Axis, function: Callable[..., Tangent], *bounds: int) -> None:
        """A slice of a named axis, or its transpose."""
        self.tangent = function(self.tangent, self.axes.index(axis), *bounds)

    def joined(self, old: Sequence[Axis], new: Axis) -> None:
        """Axes of one size become one: the diagonal."""
        places = [self.axes.index(a) for a in old]
        axes = [new if a == old[0] else a for a in self.axes if a not in old[1:]]

        def diagonal(t: Term) -> Term:
            return identify(t, [(places[0], k) for k in places[1:]], lambda t: t.out)

        self.tangent = self.tangent.map(diagonal, self.tangent)
        self.step(axes, lambda t: [g for k, g in enumerate(t.out) if k not in places[1:]])

    def spread(self, old: Axis, new: Sequence[Axis]) -> None:
        """One axis becomes several that are equal: onto the diagonal."""
        place = self.axes.index(old)
        axes = [a for a in self.axes if a != old]

        def out(t: Term) -> list[Any]:
            return [*t.out[:place], *t.out[place + 1 :], *(t.out[place] for _ in new)]

        self.step([*axes, *(old for _ in new)], out)
        self.axes = [*axes, *new]

    def summed(self, lost: Sequence[Axis]) -> None:
        """The sum along axes."""
        places = [self.axes.index(a) for a in lost]

        def total(t: Term) -> Term:
            kept = tuple(g for k, g in enumerate(t.out) if k not in places)
            return close(Term(t.factors, kept, t.in_), flat(t.out[k] for k in places))

        axes = [a for a in self.axes if a not in lost]
        shape = Shape(tuple(map(self.picking.size, axes)), self.tangent.dtype)
        self.tangent, self.axes = self.tangent.map(total, shape), axes

    def applied(self, group: Group, transposed: bool) -> None:
        """The selection of a group, or its transpose."""
        picking = self.picking
        old: list[Axis] = [("x", a) for a in group.axes]
        new: list[Axis] = [("i", q) for q in group.index]
        new += [("w", a) for a in group.axes if a not in picking.dropped]
        if transposed:
            old, new = new, old
        batch = [("i", q) for _, q in group.batch]
        target = [a for a in self.axes if a not in old] + new
        place = {a: r for r, a in enumerate(target)}
        axes = Axes(
            tuple(map(self.axes.index, old)),
            tuple(place[a] for a in new),
            tuple((self.axes.index(a), place[a]) for a in batch),
            tuple(
                (k, place[a]) for k, a in enumerate(self.axes) if a not in old and a not in batch
            ),
        )
        pick = picker(picking, group, self.tangent.dtype)
        call = pick.scatter if transposed else pick.gather
        aval = Shape(tuple(map(picking.size, target)), self.tangent.dtype)
        self.tangent = along(self.tangent, aval, axes, call, pick.selection, transposed)
        self.axes = target


def _gathered(picking: Picking, operand: Tangent, aval: Any) -> Tangent:
    """What a gather picks out of a tangent."""
    work = _Work(picking, operand, [("x", a) for a in range(len(operand.shape))])
    work.renamed([(("x", b), ("i", q)) for b, q in picking.batch])
    for a in picking.untouched:
        work.cut(("x", a), sliced, 0, picking.windows[a], 1)
        work.renamed([(("x", a), ("w", a))])
    for group in picking.groups():
        starts = counted(picking, group)
        if starts is None:
            work.applied(group, False)
            continue
        (q,) = group.index
        for a, start in zip(group.axes, starts, strict=True):
            work.cut(("x", a), sliced, start, start + picking.size(("i", q)), 1)
        work.joined([("x", a) for a in group.axes], ("i", q))
    work.arranged(picking.result)
    return Tangent(tuple(aval.shape), aval.dtype, work.tangent.terms)


def _scattered(picking: Picking, updates: Tangent, aval: Any) -> Tangent:
    """The transpose: updates added where the gather picks."""
    work = _Work(picking, updates, picking.result)
    groups = picking.groups()
    met = {q for g in groups for q in g.index} | {q for _, q in picking.batch}
    work.summed([("i", q) for q in range(len(picking.indices.shape) - 1) if q not in met])
    for group in groups:
        starts = counted(picking, group)
        if starts is None:
            work.applied(group, True)
            continue
        (q,) = group.index
        work.spread(("i", q), [("x", a) for a in group.axes])
        for a, start in zip(group.axes, starts, strict=True):
            work.cut(("x", a), spaced, start, 1, picking.shape[a])
    missing: list[Axis] = [("w", a) for a in picking.untouched if a in picking.dropped]
    work.arranged([*work.axes, *missing])
    for a in picking.untouched:
        work.cut(("w", a), spaced, 0, 1, picking.shape[a])
        work.renamed([(("w", a), ("x", a))])
    work.renamed([(("i", q), ("x", b)) for b, q in picking.batch])
    work.arranged([("x", a) for a in range(len(picking.shape))])
    return Tangent(tuple(aval.shape), aval.dtype, work.tangent.terms)


def _gather(eqn: Any, operand: Value, indices: Value) -> Tangent | None:
    p = eqn.params
    if not isinstance(operand, Tangent) or not isinstance(indices, Known):
        return None
    # what is filled in must be zero, or the program would not be linear
    if p["mode"] not in _MODES or (p["mode"] == Mode.FILL_OR_DROP and p["fill_value"] != 0):
        return None
    d = p["dimension_numbers"]
    picking = Picking(
        operand.shape,
        indices,
        tuple(p["slice_sizes"]),
        tuple(d.start_index_map),
        tuple(d.collapsed_slice_dims),
        tuple(zip(d.operand_batching_dims, d.start_indices_batching_dims, strict=True)),
        tuple(d.offset_dims),
        p["mode"],
    )
    return _gathered(picking, operand, eqn.outvars[0].aval)


_MODES = (Mode.CLIP, Mode.FILL_OR_DROP, Mode.PROMISE_IN_BOUNDS)


def _of_scatter(eqn: Any, indices: Known, updates: Any) -> Picking | None:
    """The gather that a scatter is the transpose of."""
    d, shape = eqn.params["dimension_numbers"], tuple(eqn.outvars[0].aval.shape)
    if eqn.params["mode"] not in _MODES:
        return None
    lengths = iter(updates.shape[r] for r in d.update_window_dims)
    alone = (*d.inserted_window_dims, *d.operand_batching_dims)
    return Picking(
        shape,
        indices,
        tuple(1 if a in alone else next(lengths) for a in range(len(shape))),
        tuple(d.scatter_dims_to_operand_dims),
        tuple(d.inserted_window_dims),
        tuple(zip(d.operand_batching_dims, d.scatter_indices_batching_dims, strict=True)),
        tuple(d.update_window_dims),
        eqn.params["mode"],
    )


def _scatter_add(eqn: Any, operand: Value, indices: Value, updates: Value) -> Tangent | None:
    if not isinstance(indices, Known):
        return None
    picking = _of_scatter(eqn, indices, updates)
    if picking is None:
        return None
    aval = eqn.outvars[0].aval
    pieces = [operand] if isinstance(operand, Tangent) else []
    if isinstance(updates, Tangent):
        if eqn.primitive.name == "scatter-sub":
            updates = updates.map(lambda t: close(t.times(np.asarray(-1))), updates)
        pieces.append(_scattered(picking, updates, aval))
    return add(pieces, aval)


def _scatter(eqn: Any, operand: Value, indices: Value, updates: Value) -> Tangent | None:
    """Entries replaced: those of the operand that are hit go. Each may be hit once only."""
    if not isinstance(indices, Known) or not eqn.params["unique_indices"]:
        return None
    added = _scatter_add(eqn, _nothing(operand), indices, updates)
    if added is None or isinstance(operand, Known):
        return added
    missed = _missed(eqn, operand.shape, indices, updates.shape)
    kept = operand.map(lambda t: masked(t, missed, operand.dtype), operand)
    return add([kept, added], eqn.outvars[0].aval)


def _missed(eqn: Any, shape: Sequence[int], indices: Known, updates: Sequence[int]) -> Known:
    """Where a scatter writes nothing, as a mask that varies only along the axes that matter."""
    numbers, mode = eqn.params["dimension_numbers"], eqn.params["mode"]
    picking = _of_scatter(eqn, indices, jax.ShapeDtypeStruct(updates, np.int32))
    assert picking is not None
    whole = [
        a for a in picking.untouched if a not in picking.dropped and picking.windows[a] == shape[a]
    ]
    places = [picking.result.index(("w", a)) for a in whole]
    zeros = jnp.zeros([1 if a in whole else n for a, n in enumerate(shape)], np.int32)
    ones = jnp.ones([1 if r in places else n for r, n in enumerate(updates)], np.int32)
    hit = lax.scatter_add(zeros, indices.value(), ones, numbers, mode=mode)
    varying = tuple(a for a in range(len(shape)) if a not in whole)
    mask = jnp.squeeze(hit == 0, tuple(whole))
    return Known(mask, tuple(shape), tuple(range(len(shape))), varying)


def _nothing(operand: Value) -> Tangent:
    return Tangent(operand.shape, None, {})


def _scatter_mul(eqn: Any, operand: Value, indices: Value, updates: Value) -> Tangent | None:
    """Entries multiplied by values that are known."""
    if not (isinstance(operand, Tangent) and isinstance(updates, Known)):
        return None
    assert isinstance(indices, Known)
    ones = jnp.ones(operand.shape, operand.dtype)
    (by,) = _jax.bind(eqn, [ones, indices.value(), updates.value()])
    return operand.map(lambda t: multiplied(t, Known.full(by)), eqn.outvars[0].aval)


INDEXING: dict[str, Callable[..., Any]] = {
    "gather": _gather,
    "scatter": _scatter,
    "scatter-add": _scatter_add,
    "scatter-sub": _scatter_add,
    "scatter_mul": _scatter_mul,
    "scatter-mul": _scatter_mul,
}
