"""``python -m benchmarks.batches``: what a batch costs, as a user calls it, outside of `jit`.

Three figures in one process: many Hessians beside two ways of plain JAX; the overhead of `batched`
over a bare `jit(vmap(...))`; and the same work on one and on two devices of this host.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

import jaxmatcalc as jmc
from benchmarks import functions as fun
from benchmarks.measure import WrongAnswer, relative_error, tolerance
from benchmarks.samples import regular
from benchmarks.timing import no_garbage_collection

ORDER = 8
CHUNK = 1024


def batch(items: int) -> jax.Array:
    """Matrices far from singular, the same in every run."""
    draw = regular("b", "n")
    return jax.numpy.asarray(draw(np.random.default_rng(0), {"b": items, "n": ORDER}), "float32")


def seconds(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """The times of each call, in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    with no_garbage_collection():
        for _ in range(rounds):
            for name, call in calls.items():
                began = time.perf_counter()
                jax.block_until_ready(call())
                times[name].append(time.perf_counter() - began)
    return {name: np.array(found) for name, found in times.items()}


def warmed(calls: Mapping[str, Callable[[], Any]]) -> Mapping[str, Callable[[], Any]]:
    """The same calls, made once, so that all is compiled."""
    for call in calls.values():
        jax.block_until_ready(call())
    return calls


def check(found: Any, truth: Any) -> None:
    """Refuse an answer that is not JAX's."""
    error = relative_error(np.asarray(found), np.asarray(truth))
    if not error <= tolerance("float32"):
        raise WrongAnswer(f"an answer differs from JAX's by {error:.1e} of its norm")


def line(name: str, times: np.ndarray, ratio: float) -> None:
    """One row: a name, the median of the times, and the first row's median over it."""
    print(f"{name:<46} {np.median(times) * 1e3:>10.2f} ms {ratio:>8.2f}×", flush=True)


def hessians(items: int, rounds: int) -> None:
    """Hessians of log|det| at so many matrices, all results on the device."""
    Xs, theirs = batch(items), jax.hessian(fun.logdet)
    # compiled only: one call takes a minute
    looped = jax.jit(lambda Xs: jax.lax.map(theirs, Xs, batch_size=CHUNK)).lower(Xs).compile()
    vmapped = jax.jit(jax.vmap(theirs)).lower(Xs).compile()
    whole = jmc.batched(jmc.hessian(fun.logdet))
    chunks = jmc.batched(jmc.hessian(fun.logdet), batch_size=CHUNK)
    few = Xs[:CHUNK]
    for call in (whole, chunks):
        check(call(few), jax.jit(jax.vmap(theirs))(few))
    ours = {
        "batched(hessian)": lambda: whole(Xs),
        f"batched(hessian, batch_size={CHUNK})": lambda: chunks(Xs),
    }
    calls = {
        f"jax.lax.map(jax.hessian, batch_size={CHUNK})": lambda: looped(Xs),
        "jit(vmap(jax.hessian))": lambda: vmapped(Xs),
        **warmed(ours),
    }
    times = seconds(calls, rounds)
    print(f"Hessians of log|det X|, {items:,} matrices of order {ORDER}")
    first, *_ = map(np.median, times.values())
    for name, found in times.items():
        line(name, found, float(first / np.median(found)))


def overhead(items: int, rounds: int) -> None:
    """The same function called bare and through `batched`."""
    Xs, f = batch(items), jmc.hessian(fun.logdet)
    bare, ours = jax.jit(jax.vmap(f)), jmc.batched(f)
    times = seconds(warmed({"bare": lambda: bare(Xs), "ours": lambda: ours(Xs)}), rounds)
    print(f"Overhead, {items:,} items")
    line("jit(vmap(hessian))", times["bare"], 1)
    line("batched(hessian)", times["ours"], float(np.median(times["bare"] / times["ours"])))


def scaling(items: int, rounds: int) -> None:
    """One and two devices of this host, the batch sharded over them."""
    Xs, calls = batch(items), {}
    for count in (1, 2):
        mesh = Mesh(np.array(jax.devices()[:count]), ("batch",))
        ours = jmc.batched(jmc.hessian(fun.logdet), mesh=mesh)
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
        placed = jax.device_put(Xs, sharding)
        calls[f"{count} device{'s' * (count > 1)}"] = lambda ours=ours, placed=placed: ours(placed)
    times = seconds(warmed(calls), rounds)
    print(f"Scaling over devices of one host, {items:,} items")
    first = times["1 device"]
    for name, found in times.items():
        line(name, found, float(np.median(first / found)))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batches", description=__doc__)
    parser.add_argument("--items", type=int, default=100_000, help="Hessians (default: 100000)")
    parser.add_argument("--rounds", type=int, default=3, help="times of each (default: 3)")
    arguments = parser.parse_args(argv)
    jax.config.update("jax_num_cpu_devices", 2)
    overhead(10_000, 10 * arguments.rounds)
    scaling(10_000, 10 * arguments.rounds)
    hessians(arguments.items, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
