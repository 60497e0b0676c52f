"""``python -m benchmarks run | report | compare | compiled``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import compiled, report, targets
from benchmarks.cases import CASES, Case
from benchmarks.environment import environment
from benchmarks.measure import FULL, QUICK, WrongAnswer, measure
from benchmarks.results import COMMITTED, UnusableResults, load, resume

README = Path(__file__).parents[1] / "README.md"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time jaxmatcalc beside plain JAX, answers checked first.",
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("run", help="measure, writing the results after every case")
    command.add_argument(
        "--cases",
        nargs="+",
        metavar="NAME",
        help="only these, by name or pattern such as 'newton*' (default: all)",
    )
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    command.add_argument("--quick", action="store_true", help="fewer repeats, wider spread")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("results.json"),
        metavar="FILE",
        help="the results file; a case it has is not measured again (default: results.json)",
    )
    command.set_defaults(run=run)

    command = commands.add_parser("report", help="print results as a Markdown table")
    command.add_argument(
        "results", type=Path, nargs="?", default=COMMITTED / "cpu.json", metavar="FILE",
        help="the results file (default: the committed one of the CPU)",
    )  # fmt: skip
    command.add_argument(
        "--readme", action="store_true", help="write the table into the README instead"
    )
    command.set_defaults(run=print_report)

    command = commands.add_parser("compare", help="show what became slower")
    command.add_argument("old", type=Path, metavar="OLD")
    command.add_argument("new", type=Path, metavar="NEW")
    command.set_defaults(run=compare)

    command = commands.add_parser("compiled", help="count what compilers make for other devices")
    command.add_argument(
        "--targets", default="h100,v5e", metavar="NAME,...",
        help="of a100, h100, b200, v5e and v6e (default: h100,v5e)",
    )  # fmt: skip
    command.add_argument(
        "--out",
        type=Path,
        default=Path("compiled.json"),
        metavar="FILE",
        help="the results file; a program it has is not compiled again (default: compiled.json)",
    )
    command.set_defaults(run=compile_for_targets)
    return whole


def run(arguments: argparse.Namespace) -> int:
    """Measure what the results file does not have yet; 1 where an answer was wrong."""
    chosen = select(CASES, arguments.cases)
    results = resume(arguments.out, environment())
    settings = QUICK if arguments.quick else FULL
    missing = [case for case in chosen if not results.has(case.name, arguments.dtype, settings)]
    console = Console(stderr=True, highlight=False)
    if len(missing) < len(chosen):
        console.print(f"{len(chosen) - len(missing)} cases are in {arguments.out} already")
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    wrong = 0
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(missing))
        for case in missing:

            def notify(stage: str, name: str = case.name) -> None:
                progress.update(task, description=f"{name}: {stage}")

            try:
                record = measure(case, arguments.dtype, settings, notify=notify)
            except WrongAnswer as error:
                wrong += 1
                console.print(f"[bold red]{case.name} not timed[/]: {error}")
            else:
                results.add(record)
                results.save(arguments.out)
                for reason in record["missing"].values():
                    console.print(f"[yellow]{case.name} without a peer[/]: {reason}")
                ratio, compile_ratio = report.ratios(record)
                console.print(
                    f"{case.name:<24} {report.multiple(ratio):>8}   "
                    f"compile {report.multiple(compile_ratio)}"
                )
            progress.advance(task)
    return int(wrong > 0)


def select(cases: Sequence[Case], patterns: Sequence[str] | None) -> list[Case]:
    """The cases that any pattern matches, whole names or keys."""
    if patterns is None:
        return list(cases)
    for pattern in patterns:
        if not any(matches(case, pattern) for case in cases):
            names = ", ".join(case.name for case in cases)
            raise UnusableResults(f"no case is called {pattern!r}; there are {names}")
    return [case for case in cases if any(matches(case, pattern) for pattern in patterns)]


def matches(case: Case, pattern: str) -> bool:
    return fnmatchcase(case.name, pattern) or fnmatchcase(case.key, pattern)


def print_report(arguments: argparse.Namespace) -> int:
    """Print the table, or write it into the README."""
    if costs := compiled.read(arguments.results):
        print(compiled.report(costs))
        return 0
    results = load(arguments.results)
    if arguments.readme:
        report.write_readme(README, results)
    else:
        print(report.report(results))
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Print the table of changes."""
    print(report.compare(load(arguments.old), load(arguments.new)))
    return 0


def compile_for_targets(arguments: argparse.Namespace) -> int:
    """Compile for every target that the installed packages can compile for; 1 if for none."""
    chosen = arguments.targets.split(",")
    if unknown := [target for target in chosen if target not in targets.TARGETS]:
        names = ", ".join(targets.TARGETS)
        raise UnusableResults(f"no target is called {unknown[0]!r}; there are {names}")
    console = Console(stderr=True, highlight=False)
    possible = []
    for target in chosen:
        if reason := targets.missing(target):
            console.print(f"[yellow]not compiled for {target}[/]: {reason}")
        else:
            possible.append(target)
    with console.status("") as status:
        compiled.compile_all(possible, arguments.out, status.update)
    return int(not possible)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for a mistake of the user's, in one sentence."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except UnusableResults as error:
        print(f"python -m benchmarks: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command measures what is missing", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
