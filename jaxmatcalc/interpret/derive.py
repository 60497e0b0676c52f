"""The derivative of a function from its tangent program, in the cheaper of two forms.

The program is walked once with its tangents standing for lazy identities, or run on the columns of
a true identity, as JAX does. The second costs less where the first finds no structure and many
intermediate values are wider than the input: a likelihood of large matrices in few parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxpr_as_fun

from jaxmatcalc import _jax
from jaxmatcalc.interpret.cost import cost
from jaxmatcalc.interpret.known import Known
from jaxmatcalc.interpret.memory import remembering
from jaxmatcalc.interpret.rules import Value
from jaxmatcalc.interpret.tangent import Tangent
from jaxmatcalc.interpret.walk import full_term, walk
from jaxmatcalc.linear.contraction import dense_sum
from jaxmatcalc.linear.kinds import kind
from jaxmatcalc.linear.operator import LinearOperator
from jaxmatcalc.linear.term import Term

# Flat arrays to (results, further results that are not differentiated)
Function = Callable[..., tuple[list[Any], list[Any]]]
Blocks = list[list[Any]]  # operators, or arrays, [output][input]

# The factored form is kept unless the other costs less than this part of it: it has fewer passes
# over memory than the count of entries says.
CLEARLY = 0.9


class Derived(NamedTuple):
    """Values, further values and derivative blocks of a function."""

    values: list[Any]
    aux: list[Any]
    blocks: Blocks


class _Program(NamedTuple):
    """The program (primals, seeds) ↦ (values, further values, images of the seeds)."""

    closed: Any
    primals: list[Any]
    seeds: list[Any]  # shapes and dtypes
    values: int
    known: int  # values and further values
    transposed: bool


def forward(function: Function, primals: Sequence[Any], formed: bool = False) -> Derived:
    """Derivative blocks from the tangent program; arrays if `formed`, otherwise operators."""
    n = len(primals)
    counts: list[int] = []

    def program(*args: Any) -> list[Any]:
        outs, tangents, aux = jax.jvp(function, args[:n], args[n:], has_aux=True)
        counts[:] = [len(outs), len(outs) + len(aux)]
        return [*outs, *aux, *tangents]

    closed = jax.make_jaxpr(program)(*primals, *primals)
    seeds = [jax.typeof(x) for x in primals]
    traced = _Program(closed, list(primals), seeds, counts[0], counts[1], False)
    return _derived(traced, formed)


def reverse(function: Function, primals: Sequence[Any], formed: bool = False) -> Derived:
    """The same from the transposed program: shorter where there are fewer outputs than inputs."""
    n = len(primals)
    shapes = jax.eval_shape(function, *primals)[0]
    counts: list[int] = []

    def program(*args: Any) -> list[Any]:
        outs, pull, aux = jax.vjp(function, *args[:n], has_aux=True)
        counts[:] = [len(outs), len(outs) + len(aux)]
        return [*outs, *aux, *pull(list(args[n:]))]

    closed = jax.make_jaxpr(program)(*primals, *shapes)
    return _derived(
        _Program(closed, list(primals), list(shapes), counts[0], counts[1], True), formed
    )


def _derived(program: _Program, formed: bool) -> Derived:
    """The cheaper form; tracing one costs milliseconds, and computes nothing."""
    fallbacks: list[str] = []
    closed, shapes = _traced(program, lambda p: _factored(p, formed, fallbacks))
    if formed or _is_dense(shapes.blocks):
        limit = CLEARLY * cost(_jax.opened(closed)[0])
        moving = [False] * len(program.primals) + [True] * len(program.seeds)
        columns = sum(math.prod(s.shape) for s in program.seeds)
        if cost(_jax.opened(program.closed)[0], moving, columns) < limit:
            # may still cost more, with its columns brought into place
            other, others = _traced(program, lambda p: _in_columns(p, formed, fallbacks))
            if cost(_jax.opened(other)[0]) < limit:
                closed, shapes = other, others
    results = jaxpr_as_fun(closed)(*program.primals)
    return jax.tree.unflatten(jax.tree.structure(shapes), results)


def _traced(program: _Program, form: Callable[[_Program], Derived]) -> tuple[Any, Derived]:
    """A form as a program of the primals, and the shapes of what it gives."""
    trace = jax.make_jaxpr(lambda *xs: form(program._replace(primals=list(xs))), return_shape=True)
    return trace(*program.primals)


def _is_dense(blocks: Blocks) -> bool:
    return all(op.structure.kind == "dense" for row in blocks for op in row)


def _factored(program: _Program, formed: bool, fallbacks: list[str]) -> Derived:
    """The blocks as the walk finds them."""
    jaxpr, consts = _jax.opened(program.closed)
    seeds = [Tangent.seed(k, s) for k, s in enumerate(program.seeds)]
    with remembering():
        results = walk(jaxpr, consts, [*map(Known.full, program.primals), *seeds], fallbacks)
    values = [r.value() for r in results[: program.known]]

    def block(image: Value, of: Any, index: int) -> Any:
        terms = image.terms.get(index, ()) if isinstance(image, Tangent) else ()
        out, in_ = of, program.seeds[index]
        if program.transposed:
            terms, out, in_ = [t.transpose() for t in terms], in_, out
        op = _operator(terms, out.shape, in_.shape, out.dtype, fallbacks)
        return op.to_dense() if formed else op

    return _collected(program, values, block, results[program.known :])


def _in_columns(program: _Program, formed: bool, fallbacks: Sequence[str]) -> Derived:
    """The blocks by the program itself, once a column of the identity, as JAX has them."""
    run = jaxpr_as_fun(program.closed)
    sizes = [math.prod(s.shape) for s in program.seeds]
    ends = np.cumsum(sizes)
    rows = [np.eye(ends[-1])[e - n : e] for n, e in zip(sizes, ends, strict=True)]
    bases = [
        jnp.asarray(r.reshape(*s.shape, ends[-1]), s.dtype)
        for r, s in zip(rows, program.seeds, strict=True)
    ]

    def pushed(*columns: Any) -> tuple[list[Any], list[Any]]:
        results = run(*program.primals, *columns)
        return results[: program.known], results[program.known :]

    values, images = jax.vmap(pushed, in_axes=-1, out_axes=(None, -1))(*bases)

    def block(image: Any, of: Any, index: int) -> Any:
        part = image[..., ends[index] - sizes[index] : ends[index]]
        out, in_ = of, program.seeds[index]
        part = part.reshape(*out.shape, *in_.shape)
        if program.transposed:
            order = [*range(len(out.shape), part.ndim), *range(len(out.shape))]
            part, out, in_ = part.transpose(order), in_, out
        if formed:
            return part
        term = full_term(part, out.shape, in_.shape)
        return LinearOperator([term], out.shape, in_.shape, out.dtype, tuple(fallbacks))

    return _collected(program, values, block, images)


def _collected(
    program: _Program, values: list[Any], block: Callable[..., Any], images: Sequence[Any]
) -> Derived:
    """Blocks [output][input]: the images are the outputs, or in reverse the inputs."""
    avals = _jax.opened(program.closed)[0].outvars[program.known :]
    pairs = [(image, v.aval) for image, v in zip(images, avals, strict=True)]
    indices = range(len(program.seeds))
    if program.transposed:
        blocks = [[block(*pair, k) for pair in pairs] for k in indices]
    else:
        blocks = [[block(*pair, k) for k in indices] for pair in pairs]
    return Derived(values[: program.values], values[program.values :], blocks)


def _operator(
    terms: Sequence[Term], out: tuple[int, ...], in_: tuple[int, ...], dtype: Any, fallbacks: Any
) -> LinearOperator:
    if len(terms) > 1 and any(kind(t) == "dense" for t in terms):
        # one term fills the array already: the others may as well be added to it
        terms = [full_term(dense_sum(terms, dtype), out, in_)]
    return LinearOperator(terms, out, in_, dtype, tuple(fallbacks))
