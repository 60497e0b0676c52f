"""``jaxmatcalc bench``: derivatives by JAX and by jaxmatcalc, side by side on this device."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from jaxmatcalc.cli import subject
from jaxmatcalc.cli.cases import CASES
from jaxmatcalc.cli.info import facts
from jaxmatcalc.cli.measuring import QUANTITIES, Row, rows
from jaxmatcalc.cli.sampling import sample
from jaxmatcalc.cli.verify import destination


class _Job(NamedTuple):
    case: str
    f: Callable[..., Any]
    args: tuple[jax.Array, ...]
    argnum: int


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc bench``."""
    command = subparsers.add_parser(
        "bench",
        help="time and memory of derivatives, JAX beside jaxmatcalc, on this device",
        description=(
            "Measure gradient, Hessian-vector product, Hessian and Newton step of functions of "
            "matrix calculus, or of a function of your own, by plain JAX and by jaxmatcalc in "
            "turn, and compare the results. The exit status is 0 where they agree and 1 where "
            "not. Memory is what a compiled program holds beside its arguments."
        ),
        epilog="example: jaxmatcalc bench my_module:loss --shape X=64x64 --spd X",
    )
    command.add_argument(
        "function", nargs="?", help="module:function that returns a scalar (default: built-in ones)"
    )
    subject.add_arguments(command, "differentiate")
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    command.add_argument(
        "--seconds", type=_seconds, default=1.0, metavar="S", help="per row, beside compilation"
    )
    command.add_argument(
        "--json", type=destination, metavar="FILE", help="write the figures as JSON; - for stdout"
    )
    command.set_defaults(run=run, command=command)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and return 0 where the results agree, else 1."""
    with jax.enable_x64(arguments.dtype == "float64"):
        jobs = _jobs(arguments)
        measured = _measured(jobs, arguments.seconds)
    wrong = [row for row in measured if is_wrong(row, arguments.dtype)]
    if arguments.json:
        record = {**dict(facts()), "dtype": arguments.dtype}
        text = json.dumps({**record, "rows": [row.to_dict() for row in measured]}, indent=1)
        if arguments.json == "-":
            print(text)
            return int(bool(wrong))
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    console, device = Console(), jax.devices()[0]
    console.print(
        f"{device.device_kind} ({device.platform}), {arguments.dtype}, JAX {jax.__version__}"
    )
    for case, group in itertools.groupby(measured, key=lambda row: row.case):
        table = list(group)
        console.print(_table(case, table, wrong))
        for row in table:
            if row.note:
                console.print(f"{row.quantity}: {row.note}", style="dim")
    for row in wrong:
        console.print(
            f"{row.case}: the {row.quantity} differs by {row.error:.1e}", style="bold red"
        )
    return int(bool(wrong))


def is_wrong(row: Row, dtype: str) -> bool:
    """Whether a result is off by more than rounding, and not as much in JAX, where that can be."""
    if row.error is None:
        return False
    eps = float(jnp.finfo(dtype).eps)
    # A solve loses digits with the condition number, and has no result where that is infinite.
    bound = math.sqrt(eps) if row.quantity == "Newton step" else 1e4 * eps
    peer_is_right = row.peer_error is None or row.peer_error <= bound
    return not row.error <= bound and peer_is_right


def _jobs(arguments: argparse.Namespace) -> list[_Job]:
    if arguments.function is None:
        if arguments.shape or arguments.wrt or arguments.sym or arguments.spd:
            arguments.command.error("--shape, --wrt, --sym and --spd need a module:function")
        rng = np.random.default_rng(0)
        return [
            _Job(name, case.f, tuple(jnp.asarray(x, float) for x in case.args(rng)), 0)
            for name, case in CASES.items()
        ]
    refuse = arguments.command.error
    if ":" not in arguments.function:
        refuse(f"needs module:function; got {arguments.function}")
    found = subject.read(arguments, arguments.function, refuse)
    wrt = subject.variable(found, arguments.wrt, True, refuse)
    structs = [
        jax.ShapeDtypeStruct(shape, jnp.result_type(float)) for shape in found.shapes.values()
    ]
    results = jax.tree.leaves(jax.eval_shape(found.f, *structs))
    if len(results) != 1 or results[0].shape != ():
        refuse(f"needs a function that returns a scalar; {arguments.function} does not")
    args = sample(found.f, found.shapes, found.symmetric, found.positive)
    if args is None:
        subject.no_sample(refuse)
    return [_Job(arguments.function, found.f, args, list(found.shapes).index(wrt))]


def _measured(jobs: list[_Job], seconds: float) -> list[Row]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    found = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("bench", total=len(jobs) * len(QUANTITIES))
        for number, job in enumerate(jobs, 1):
            progress.update(task, description=job.case)
            for row in rows(*job, seconds):
                found.append(row)
                progress.advance(task)
            progress.update(task, completed=number * len(QUANTITIES))
    return found


def _table(case: str, group: list[Row], wrong: list[Row]) -> Table:
    title = f"{case}: {group[0].unknowns:,} unknowns"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", min_width=11)
    for header in ("JAX", "ours", "ratio", "memory", "ours", "compile", "ours", "error"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in group:
        theirs, ours = row.jax, row.ours
        table.add_row(
            row.quantity,
            _time(theirs and theirs.seconds),
            _time(ours and ours.seconds),
            "–" if row.ratio is None else _ratio(row.ratio),
            _memory(theirs and theirs.bytes),
            _memory(ours and ours.bytes),
            _time(theirs and theirs.compile_seconds, _short),
            _time(ours and ours.compile_seconds, _short),
            "–" if row.error is None else f"{row.error:.0e}",
            style="red" if row in wrong else None,
        )
    return table


def _three(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def _short(value: float) -> str:
    """Two digits, so that a line of the table fits into 80 characters."""
    return f"{value:.1f}" if value < 9.95 else f"{value:.0f}"


def _ratio(value: float) -> str:
    return f"{_three(value)}×" if value < 99.5 else f"{value:,.0f}×"


def _time(seconds: float | None, digits: Callable[[float], str] = _three) -> str:
    if seconds is None:
        return "–"
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1 or unit == "µs":
            break
    return f"{digits(seconds * factor)} {unit}"


def _memory(count: int | None) -> str:
    if count is None:
        return "–"
    for exponent, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 2**exponent:
            return f"{_short(count / 2**exponent)} {unit}"
    return f"{count} B"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 600:
        raise argparse.ArgumentTypeError(f"needs seconds from 0 to 600; got {text!r}")
    return value
