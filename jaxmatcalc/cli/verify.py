"""``jaxmatcalc verify``: the catalogue, the transforms and the rules, checked on this device."""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path

import jax
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from jaxmatcalc.identities import families
from jaxmatcalc.identities.report import PointRow, Report, Row
from jaxmatcalc.identities.verify import verify


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Describe ``jaxmatcalc verify``."""
    command = subparsers.add_parser(
        "verify",
        help="check every identity and rule against JAX's autodiff on this device",
        description=(
            "Check the catalogue of identities, the Jacobians and Hessians of jaxmatcalc and the "
            "rules of its operations against JAX's automatic differentiation on one "
            "device, then both at points where JAX has been seen to be wrong. The exit status is "
            "0 when all is right and 1 when something is not."
        ),
    )
    command.add_argument("--family", choices=families(), help="only this family")
    command.add_argument(
        "--dtype",
        choices=("float32", "float64"),
        help="precision that is checked (default: float64, on TPU float32)",
    )
    command.add_argument(
        "--platform", type=_platform, help="cpu, gpu, tpu: check on this one (default: JAX's own)"
    )
    command.add_argument(
        "--seeds", type=_count, default=1, metavar="N", help="random points per entry (default: 1)"
    )
    command.add_argument(
        "--json", type=destination, metavar="FILE", help="write the report as JSON; - for stdout"
    )
    command.add_argument(
        "--all", action="store_true", help="print every row, not the worst of each family and check"
    )
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Verify, print the tables, and return 0 where all is right, else 1."""
    platform = arguments.platform
    narrow = (platform or jax.default_backend()) == "tpu"
    dtype = arguments.dtype or ("float32" if narrow else "float64")
    with nullcontext() if narrow and dtype == "float32" else jax.enable_x64(True):
        report = _verify_with_progress(arguments.family, dtype, arguments.seeds, platform)
    if arguments.json is not None:
        text = json.dumps(report.to_dict(), indent=1)
        if arguments.json == "-":
            print(text)
            return int(not report.passed)
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    _print(report, report.rows if arguments.all else report.worst())
    return int(not report.passed)


def _verify_with_progress(
    family: str | None, dtype: str, seeds: int, platform: str | None
) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("verify", total=None)

        def on_check(name: str, count: int) -> None:
            progress.update(task, total=count, advance=1, description=name)

        return verify(family, dtype, seeds, platform=platform, on_check=on_check)


def _print(report: Report, rows: tuple[Row, ...]) -> None:
    console = Console()
    failed = [row for row in report.rows if not row.passed and row not in rows]
    table = _table("family", "check", "entry", "error", "tolerance", "")
    for row in (*rows, *failed):
        table.add_row(
            row.family,
            row.check,
            row.name,
            f"{row.error:.1e}",
            f"{row.tolerance:.1e}",
            _verdict(row.passed, row.detail),
        )
    console.print(table)
    if report.points:
        console.print(_points_table(report.points))
    console.print(report.summary(), style="bold green" if report.passed else "bold red")


def _points_table(points: tuple[PointRow, ...]) -> Table:
    table = _table(
        "where JAX has been seen to be wrong", "truth", "plain JAX", "error", "jaxmatcalc"
    )
    for row in points:
        table.add_row(
            row.name,
            row.truth,
            row.jax_verdict,
            f"{row.error:.1e}",
            "[green]right[/]" if row.passed else "[red]wrong[/]",
        )
    return table


def _table(*headers: str) -> Table:
    """Return a table whose cells are broken over lines rather than cut."""
    table = Table()
    for header in headers:
        table.add_column(header, overflow="fold")
    return table


def _verdict(passed: bool, detail: str) -> str:
    return "[green]passed[/]" if passed else f"[red]failed[/] {detail}".rstrip()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number from 1 on; got {text!r}")
    return int(text)


def _platform(text: str) -> str:
    try:
        jax.devices(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"finds no device of platform {text!r} here") from None
    return text


def destination(text: str) -> str:
    """Read the name of a file that is written, or -."""
    path = Path(text)
    if text != "-" and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise argparse.ArgumentTypeError(
            f"needs a file in a folder that exists, or -; got {text!r}"
        )
    return text
