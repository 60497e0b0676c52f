"""What compilers say of programs for devices that nobody has at hand.

What is counted is the compiler's program: launches, bytes that go to and from memory, temporaries;
and of the kernels of jaxmatcalc registers, spills and instructions. Nothing is run, and nothing
here is a time.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import jaxmatcalc as jmc
from benchmarks import assembly
from benchmarks import functions as fun
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE, OURS, TASKS
from benchmarks.hlo import Traffic, traffic
from benchmarks.results import UnusableResults
from benchmarks.targets import TARGETS, compiled_for, without_devices
from benchmarks.text import amount, digits, emphasised, markdown, multiple

Record = dict[str, Any]

FUNCTIONS = (fun.logdets, fun.positive_logdets, fun.inverses, fun.solutions)
SIZES = ((4096, 4), (4096, 8), (1024, 16), (256, 32))
WANTED = {(4096, 8), (1024, 16)}  # fewer launches than plain JAX there, and half of its bytes
# Cases that are compiled beside the programs of this module, where none are named
SOME = (
    "logistic-m1000-d200", "attention-t16-d24", "newton-hvp-n64", "logdet-diagonal-n32",
    "trace-product-gradient-n1024", "grid-process-gradient-p2-n32",
)  # fmt: skip
Programs = tuple[str, dict[str, Callable[..., Any]], dict[str, tuple[Any, ...]]]


def costs(target: str, compiled: Any) -> Record:
    """Launches, bytes and temporaries of a compiled program, and the compiler's count of flops."""
    found: Traffic = traffic(compiled.as_text())
    record = {
        "launches": found.launches,
        "kernels": sorted(found.kernels),
        "bytes": found.bytes,
        "main memory": found.bytes,
        "temporaries": compiled.memory_analysis().temp_size_in_bytes,
    }
    if TARGETS[target].platform != "cuda":
        analysis = compiled.cost_analysis()
        record |= {"bytes": analysis["bytes accessed"], "flops": analysis.get("flops", 0.0)}
    return record


def programs() -> Iterator[Programs]:
    """Every program by name: how plain JAX and jaxmatcalc do it, and at what shapes."""
    for name, builds, shapes in _own():
        yield name, builds, dict.fromkeys(builds, shapes)


def of_case(case: Case) -> Programs:
    """A case as a program; what is prepared outside of it is not computed, only its shapes are."""
    shapes = jax.eval_shape(lambda: case.arguments("float32"))
    builds, inputs = {}, {}
    for name in (BASELINE, OURS):
        contender = TASKS[case.task][name]
        builds[name] = contender.build(case.function)
        inputs[name] = jax.eval_shape(functools.partial(contender.prepare, case.function), *shapes)
    return case.name, builds, inputs


def _own() -> Iterator[tuple[str, dict[str, Callable[..., Any]], tuple[tuple[int, ...], ...]]]:
    gradients = TASKS["gradient"]
    for function in FUNCTIONS:
        for b, n in SIZES:
            builds = {name: gradients[name].build(function) for name in (BASELINE, OURS)}
            yield f"{function.__name__.replace('_', '-')}-b{b}-n{n}", builds, ((b, n, n),)
    for b, factors in ((1024, (16, 16)), (256, (64, 64)), (256, (16, 16, 16))):
        name = "x".join(map(str, factors))
        shapes = (*((n, n) for n in factors), (b, math.prod(factors)))
        yield f"kronecker-products-b{b}-{name}", {BASELINE: _kron, OURS: _kronecker}, shapes
    for function, n in ((fun.logdet, 32), (fun.precision, 32), (fun.factorisation, 64)):
        shapes = {
            fun.logdet: ((n, n),),
            fun.precision: ((n, n), (n, n)),
            fun.factorisation: ((n, 5), (n, n), (n, 5)),
        }[function]
        builds = {BASELINE: jax.hessian(function), OURS: jmc.hessian(function)}
        yield f"hessian-{function.__name__}-n{n}", builds, shapes


def _kron(*arrays: jax.Array) -> jax.Array:
    *factors, X = arrays
    return X @ functools.reduce(jnp.kron, factors).T


def _kronecker(*arrays: jax.Array) -> jax.Array:
    *factors, X = arrays
    return jax.vmap(lambda x: jmc.kronecker(*factors) @ x)(X)


def program(target: str, builds: dict[str, Callable[..., Any]], inputs: Any) -> Record:
    """What every contender costs."""
    return {
        name: costs(target, compiled_for(target, build, *inputs[name]))
        for name, build in builds.items()
    }


def versions() -> dict[str, str]:
    """What decides what a compiler makes."""
    names = ("jax", "jaxlib", "libtpu", "jax-cuda13-plugin")
    found = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return {name: found[name] for name in names if name in found}


def compile_all(
    targets: Sequence[str], path: Path, notify: Callable[[str], None],
    cases: Sequence[Case] | None = None,
) -> None:  # fmt: skip
    """Compile what the file does not have yet; it is whole after every program.

    Args:
        targets: names of what is compiled for.
        path: the results file.
        notify: hears what is compiled.
        cases: what is compiled in place of the programs of this module and `SOME` cases.
    """
    without_devices()
    content: Record = {"compiled with": versions(), "programs": [], "kernels": []}
    if path.exists():
        content = read(path)
        if content["compiled with"] != versions():
            raise UnusableResults(f"{path} was compiled with other versions: name another --out")
    for target in targets:
        done = {(r["target"], r["name"]) for r in content["programs"]}
        for name, builds, inputs in _chosen(cases):
            if (target, name) not in done:
                notify(f"{target}: {name}")
                record = {"target": target, "name": name, **program(target, builds, inputs)}
                content["programs"].append(record)
                write(path, content)
        if cases is None and target not in {r["target"] for r in content["kernels"]}:
            notify(f"{target}: kernels")
            content["kernels"] += assembly.kernels(target)
            write(path, content)


def _chosen(cases: Sequence[Case] | None) -> Iterator[Programs]:
    if cases is None:
        yield from programs()
        cases = [case for case in CASES if case.name in SOME]
    yield from map(of_case, cases)


def write(path: Path, content: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> Record:
    """A file of compiled costs; empty where it is a file of another kind."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and "compiled with" in content else {}


def report(content: Record) -> str:
    """The tables: what programs cost, and what kernels take."""
    made = ", ".join(f"{name} {version}" for name, version in content["compiled with"].items())
    head = (
        f"Compiled for these devices, not measured on them: float32, with {made}.\n"
        "Of calls of libraries only operands and results are counted. Bold: not what is wanted,\n"
        "which is fewer launches and half the bytes at 4,096 × 8² and 1,024 × 16²."
    )
    columns = ("program", "for", "launches: JAX", OURS, "bytes: JAX", OURS, "ratio",
               "temporaries: JAX", OURS, "flops: JAX", OURS)  # fmt: skip
    parts = [head, markdown(columns, [_row(record) for record in content["programs"]])]
    for target in dict.fromkeys(record["target"] for record in content["kernels"]):
        parts += [
            _caption(target),
            _kernels([r for r in content["kernels"] if r["target"] == target]),
        ]
    return "\n\n".join(parts)


def _row(record: Record) -> tuple[str, ...]:
    theirs, ours = record[BASELINE], record[OURS]
    ratio = theirs["bytes"] / ours["bytes"]
    goal = any(f"-b{b}-n{n}" in record["name"] for b, n in WANTED)
    return (
        f"`{record['name']}`",
        record["target"],
        f"{theirs['launches']:,}",
        emphasised(f"{ours['launches']:,}", goal and ours["launches"] >= theirs["launches"]),
        amount(theirs["bytes"]),
        amount(ours["bytes"]),
        emphasised(multiple(ratio), goal and ratio < 2),
        amount(theirs["temporaries"]),
        amount(ours["temporaries"]),
        count(theirs.get("flops")),
        count(ours.get("flops")),
    )


def count(number: float | None) -> str:
    """A number to three digits; a dash where the compiler does not say, as that for GPUs.

    >>> count(1_234_567), count(12.0), count(None)
    ('1.23 M', '12', '–')
    """
    if number is None:
        return "–"
    scale, unit = next((u for u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= u[0]), (1, ""))
    return f"{digits(number / scale)} {unit}" if unit else f"{number:.0f}"


def _caption(target: str) -> str:
    unit = "registers a thread" if TARGETS[target].platform == "cuda" else "bundles a step"
    return f"Kernels compiled for {target}, by n: {unit}; * in memory on the chip."


def _kernels(records: list[Record]) -> str:
    rows: dict[str, dict[int, str]] = {}
    for record in records:
        count = record.get("registers", record.get("bundles"))
        spilled = f" ({record['spilled']} spilled)" if record["spilled"] else ""
        cell = f"{count:,}{'*' if record['in memory'] else ''}{spilled}"
        rows.setdefault(record["operation"], {})[record["n"]] = cell
    cells = [
        (f"`{name}`", *(row.get(n, "–") for n in assembly.ORDERS)) for name, row in rows.items()
    ]
    return markdown(("kernel", *map(str, assembly.ORDERS)), cells)
