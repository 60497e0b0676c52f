"""Gradient, products with the Hessian, Hessian and Newton step, by JAX and by jaxmatcalc, timed."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxmatcalc as jmc

QUANTITIES = ("gradient", "HVP", "Hessian", "Newton step")
LARGEST_HESSIAN = 2**30  # bytes
_ROUNDS = (5, 500)  # fewest and most
_SAMPLE = 2e-3  # seconds that a sample lasts or more, so that calls are not timed one by one


@dataclass(frozen=True)
class Cost:
    """What one program costs.

    Attributes:
        seconds: the median of its runs.
        spread: the distance of their quartiles, in seconds.
        compile_seconds: to trace and compile it.
        bytes: of its results and of what it holds meanwhile; None where the device does not say.
    """

    seconds: float
    spread: float
    compile_seconds: float
    bytes: int | None


@dataclass(frozen=True)
class Row:
    """One quantity of one function.

    Attributes:
        case: the function.
        quantity: one of `QUANTITIES`.
        unknowns: how many numbers it is differentiated in.
        jax: what plain JAX costs; None where its Hessian would not fit.
        ours: what jaxmatcalc costs; None where it refuses, as it does to divide by zero.
        error: the largest difference from JAX's entries over the largest of these; of a Newton
            step D the largest entry of H D + ∇f over that of ∇f, with JAX's products H D.
        peer_error: the same of JAX's own Newton step, which is large too where H is singular.
        note: why something is missing.
    """

    case: str
    quantity: str
    unknowns: int
    jax: Cost | None
    ours: Cost | None
    error: float | None
    peer_error: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """JAX's time over ours."""
        return self.jax.seconds / self.ours.seconds if self.jax and self.ours else None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {**asdict(self), "ratio": self.ratio}


def rows(
    case: str, f: Callable[..., Any], args: Sequence[jax.Array], argnum: int, seconds: float
) -> Iterator[Row]:
    """Measure each quantity, JAX and jaxmatcalc in turn, for about ``seconds`` each.

    Args:
        case: the name for the rows.
        f: function that returns a scalar.
        args: its arguments.
        argnum: the one to differentiate in.
        seconds: time for the runs of one row, beside compilation.
    """
    x = args[argnum]
    direction = jnp.asarray(np.random.default_rng(1).normal(size=x.shape), x.dtype)
    fits = x.size**2 * x.dtype.itemsize <= LARGEST_HESSIAN
    for quantity in QUANTITIES[:-1]:
        if quantity != "Hessian" or fits:
            (theirs, ours), costs = _measured(
                _programs(f, argnum, direction, quantity), args, seconds
            )
            error = _difference(ours, theirs)
            yield Row(case, quantity, x.size, costs[0], costs[1], error)
    dense, structured = _programs(f, argnum, direction, QUANTITIES[-1])
    try:
        steps, costs = _measured([structured, dense] if fits else [structured], args, seconds)
    except ValueError as mistake:  # the Hessian is zero whatever the arguments
        yield Row(case, QUANTITIES[-1], x.size, None, None, None, note=str(mistake))
        return
    gradient = jax.jit(jax.grad(f, argnum))(*args)
    product = jax.jit(lambda v, *a: _product(f, argnum, v, *a))
    errors = [_difference(product(step, *args), -gradient) for step in steps]
    peer_cost, peer_error = (costs[1], errors[1]) if fits else (None, None)
    note = "" if fits else "JAX's Hessian is too large"
    yield Row(case, QUANTITIES[-1], x.size, peer_cost, costs[0], errors[0], peer_error, note)


def _programs(
    f: Callable[..., Any], argnum: int, direction: jax.Array, quantity: str
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The quantity by plain JAX, and by jaxmatcalc."""
    if quantity == "gradient":
        return jax.grad(f, argnum), jax.grad(jmc.rewrite(f), argnum)
    if quantity == "HVP":
        ours = jmc.hvp(f, argnum)
        return lambda *a: _product(f, argnum, direction, *a), lambda *a: ours(*a, direction)
    if quantity == "Hessian":
        return jax.hessian(f, argnum), jmc.hessian(f, argnum)

    def dense(*args: jax.Array) -> jax.Array:
        gradient = jax.grad(f, argnum)(*args)
        H = jax.hessian(f, argnum)(*args).reshape(gradient.size, gradient.size)
        return jnp.linalg.solve(H, -gradient.reshape(-1)).reshape(gradient.shape)

    return dense, jmc.newton_direction(f, argnum)


def _product(
    f: Callable[..., Any], argnum: int, direction: jax.Array, *args: jax.Array
) -> jax.Array:
    """The Hessian times a direction, as a JAX user writes it."""

    def gradient(x: jax.Array) -> jax.Array:
        return jax.grad(f, argnum)(*args[:argnum], x, *args[argnum + 1 :])

    return jax.jvp(gradient, (args[argnum],), (direction,))[1]


def _measured(
    programs: Sequence[Callable[..., Any]], args: Sequence[jax.Array], seconds: float
) -> tuple[list[Any], list[Cost]]:
    """Results and costs of programs that take turns, so that all see the same machine."""
    compiled, compile_seconds = [], []
    for program in programs:
        start = time.perf_counter()
        compiled.append(jax.jit(program).lower(*args).compile())
        compile_seconds.append(time.perf_counter() - start)
    results = [jax.block_until_ready(run(*args)) for run in compiled]
    counts = [math.ceil(_SAMPLE / min(_mean(run, args, 1) for _ in range(3))) for run in compiled]
    times: list[list[float]] = [[] for _ in compiled]
    end = time.perf_counter() + seconds
    fewest, most = _ROUNDS
    turns = list(zip(compiled, counts, times, strict=True))
    while len(times[0]) < fewest or (len(times[0]) < most and time.perf_counter() < end):
        for run, count, own in turns:
            if count > 1:
                _mean(run, args, 1)  # which finds the caches full of the other's data
            own.append(_mean(run, args, count))
        turns.reverse()
    costs = []
    for run, own, once in zip(compiled, times, compile_seconds, strict=True):
        first, middle, third = statistics.quantiles(own, n=4)
        costs.append(Cost(middle, third - first, once, _bytes(run)))
    return results, costs


def _mean(run: Callable[..., Any], args: Sequence[jax.Array], count: int) -> float:
    """Seconds of a call, each waited for."""
    start = time.perf_counter()
    for _ in range(count):
        jax.block_until_ready(run(*args))
    return (time.perf_counter() - start) / count


def _bytes(compiled: Any) -> int | None:
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)


def _difference(actual: jax.Array, expected: jax.Array) -> float:
    largest = float(jnp.max(jnp.abs(expected), initial=0))
    difference = float(jnp.max(jnp.abs(actual - expected), initial=0))
    return difference / largest if largest else difference
