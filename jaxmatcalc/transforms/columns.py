"""A dense derivative a few columns, or rows, at a time: memory bound by a number of the user's.

The function is linearised once; its linear part is run on so many columns of the identity together,
chunk after chunk, and each chunk is written to its place in the result. The last chunk begins
early enough to be full, so that there is one loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxmatcalc import _jax
from jaxmatcalc.interpret import Program
from jaxmatcalc.transforms.arguments import Call

# Flat arrays to (results, further results that are not differentiated)
Function = Callable[..., tuple[list[Any], list[Any]]]
Blocks = list[list[Any]]  # arrays, [output][input]


class Flat(NamedTuple):
    """A call as a function of flat arrays, with the pytrees and the types of its results."""

    run: Function
    tree: Any
    aux_tree: Any
    out_avals: list[Any]
    is_reverse_only: bool


def traced(call: Call, has_aux: bool) -> Flat:
    """A call as the program it traces to; as it stands, if it branches on values."""
    try:
        program = Program(call, call.leaves, has_aux)
    except jax.errors.ConcretizationTypeError:
        return _at_values(call, has_aux)
    reverse_only = _jax.has_custom_vjp(program.jaxpr)
    return Flat(program.run, program.tree, program.aux_tree, program.out_avals, reverse_only)


def _at_values(call: Call, has_aux: bool) -> Flat:
    def split(*xs: Any) -> tuple[Any, Any]:
        return call(*xs) if has_aux else (call(*xs), ())

    def run(*xs: Any) -> tuple[list[Any], list[Any]]:
        out, aux = split(*xs)
        return [jnp.asarray(y) for y in jax.tree.leaves(out)], jax.tree.leaves(aux)

    out, aux = split(*call.leaves)
    avals = [jax.typeof(jnp.asarray(y)) for y in jax.tree.leaves(out)]
    return Flat(run, jax.tree.structure(out), jax.tree.structure(aux), avals, True)


def by_columns(function: Function, primals: Sequence[Any], size: int) -> tuple[list[Any], Blocks]:
    """Further results, and the Jacobian by its columns: tangents pushed forward."""
    outs, push, aux = jax.linearize(function, *primals, has_aux=True)
    images = _images(push, primals, outs, size, -1)
    ends = np.cumsum([math.prod(jnp.shape(x)) for x in primals])

    def block(image: jax.Array, out: Any, x: Any, end: int) -> jax.Array:
        part = image[..., end - math.prod(jnp.shape(x)) : end]
        return part.reshape(*jnp.shape(out), *jnp.shape(x))

    pairs = list(zip(primals, ends, strict=True))
    blocks = [
        [block(image, out, x, end) for x, end in pairs]
        for image, out in zip(images, outs, strict=True)
    ]
    return aux, blocks


def by_rows(function: Function, primals: Sequence[Any], size: int) -> tuple[list[Any], Blocks]:
    """Further results, and the Jacobian by its rows: cotangents pulled back."""
    outs, pull, aux = jax.vjp(function, *primals, has_aux=True)
    images = _images(lambda *ys: pull(list(ys)), outs, primals, size, 0)
    ends = np.cumsum([math.prod(jnp.shape(y)) for y in outs])

    def block(image: jax.Array, out: Any, x: Any, end: int) -> jax.Array:
        part = image[end - math.prod(jnp.shape(out)) : end]
        return part.reshape(*jnp.shape(out), *jnp.shape(x))

    blocks = [
        [block(image, out, x, end) for image, x in zip(images, primals, strict=True)]
        for out, end in zip(outs, ends, strict=True)
    ]
    return aux, blocks


def _images(
    linear: Callable[..., Sequence[Any]],
    sources: Sequence[Any],
    targets: Sequence[Any],
    size: int,
    axis: int,
) -> list[jax.Array]:
    """What a linear map makes of the columns of the identity, along one axis beside the entries.

    Args:
        linear: from arrays like the sources to arrays like the targets.
        sources: arrays whose entries, one after another, number the columns.
        targets: arrays that the map returns.
        size: how many columns are mapped together.
        axis: 0 or -1, where the columns go; the other holds the entries of a target.
    """
    sizes = [math.prod(jnp.shape(x)) for x in sources]
    total = sum(sizes)
    size = min(size, total)

    def unit(column: Any) -> list[jax.Array]:
        first, units = 0, []
        for x, n in zip(sources, sizes, strict=True):
            entries = jnp.arange(first, first + n) == column
            units.append(entries.astype(jnp.result_type(x)).reshape(jnp.shape(x)))
            first += n
        return units

    def flat_shape(y: Any) -> tuple[int, int]:
        entries = math.prod(jnp.shape(y))
        return (total, entries) if axis == 0 else (entries, total)

    results = [jnp.zeros(flat_shape(y), jnp.result_type(y)) for y in targets]
    if not total:
        return results

    def step(results: list[jax.Array], first: Any) -> tuple[list[jax.Array], None]:
        units = jax.vmap(unit)(first + jnp.arange(size))
        images = jax.vmap(linear, out_axes=axis)(*units)

        def write(result: jax.Array, image: jax.Array) -> jax.Array:
            shape = (size, result.shape[1]) if axis == 0 else (result.shape[0], size)
            return lax.dynamic_update_slice_in_dim(
                result, image.reshape(shape).astype(result.dtype), first, axis
            )

        return list(map(write, results, images)), None

    starts = np.minimum(np.arange(0, total, size), total - size)
    return lax.scan(step, results, starts)[0]
