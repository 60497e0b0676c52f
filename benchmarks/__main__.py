"""``python -m benchmarks run | report | compare | compiled``."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import comparing, compiled, plots, report, targets
from benchmarks.cases import CASES, Case
from benchmarks.contenders import BASELINE, OURS, TASKS, Contender, entered
from benchmarks.environment import NoSuchPlatform, bandwidth, choose, environment
from benchmarks.measure import FULL, QUICK, Record, WrongAnswer, absent, measure
from benchmarks.results import COMMITTED, UnusableResults, load, resume
from benchmarks.text import multiple

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
    command.add_argument(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help="only these beside plain JAX, by name or pattern such as 'jax*' (default: all)",
    )
    command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    command.add_argument(
        "--platform", choices=("cpu", "gpu", "tpu"), help="where (default: what JAX takes)"
    )
    command.add_argument("--quick", action="store_true", help="fewer repeats, wider spread")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("results.json"),
        metavar="FILE",
        help="the results file; a case it has is not measured again (default: results.json)",
    )
    command.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write tables and pictures there at the end"
    )
    command.set_defaults(run=run)

    command = commands.add_parser("report", help="print results as Markdown tables, and draw them")
    command.add_argument(
        "results", type=Path, nargs="?", default=COMMITTED / "cpu.json", metavar="FILE",
        help="the results file (default: the committed one of the CPU)",
    )  # fmt: skip
    command.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="draw pictures into a folder instead (SVG)"
    )
    command.add_argument(
        "--readme",
        action="store_true",
        help="write tables into the README instead, and pictures beside the results file",
    )
    command.set_defaults(run=print_report)

    command = commands.add_parser("compare", help="show what became slower")
    command.add_argument("old", type=Path, metavar="OLD")
    command.add_argument("new", type=Path, metavar="NEW")
    command.set_defaults(run=compare)

    command = commands.add_parser("compiled", help="count what compilers make for other devices")
    command.add_argument(
        "--targets", default="h100,v5e", metavar="NAME,...",
        help="of a100, h100, b200, v5e, v6e and cpu (default: h100,v5e)",
    )  # fmt: skip
    command.add_argument(
        "--cases",
        nargs="+",
        metavar="NAME",
        help="only these cases, by name or pattern (default: programs of its own, and some cases)",
    )
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
    if arguments.report:
        plots.require()
    chosen = select(CASES, arguments.cases)
    patterns = arguments.contenders
    if patterns is not None:
        refuse_unknown(patterns)
    # Contenders in processes of their own need a part of the device's memory.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if arguments.platform:
        choose(arguments.platform)
    results = resume(arguments.out, environment())
    settings = QUICK if arguments.quick else FULL
    missing = [
        case
        for case in chosen
        if not results.has(
            case.name, arguments.dtype, settings, present(contenders(case, patterns))
        )
    ]
    console = Console(stderr=True, highlight=False)
    say = functools.partial(console.print, markup=False)
    if len(missing) < len(chosen):
        say(f"{len(chosen) - len(missing)} cases are in {arguments.out} already")
    if missing and results.bandwidth is None:
        results.bandwidth = bandwidth()
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    )  # fmt: skip
    wrong = 0
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(missing))
        for case in missing:

            def notify(stage: str, name: str = case.name) -> None:
                progress.update(task, description=f"{name}: {stage}")

            # Those that the file has are measured again, so that all had the same conditions.
            before = results.get(case.name, arguments.dtype) or {"contenders": {}}
            entering = contenders(case, patterns and [*patterns, *before["contenders"]])
            try:
                record = measure(case, arguments.dtype, settings, entering, notify)
            except WrongAnswer as error:
                wrong += 1
                say(f"{case.name} not timed: {error}", style="bold red")
            else:
                results.add(record)
                results.save(arguments.out)
                for name, reason in record["missing"].items():
                    say(f"{case.name} without {name}: {reason}", style="yellow")
                say(line(record))
            progress.advance(task)
    if arguments.report and results.records:
        for path in plots.write(results, arguments.report, arguments.out.stem):
            print(path)
        tables = arguments.report / f"{arguments.out.stem}.md"
        tables.write_text(report.report(results) + "\n", encoding="utf-8")
        print(tables)
    return int(wrong > 0)


def line(record: Record) -> str:
    """What is said of a case when it is measured."""
    if OURS not in record["contenders"]:
        return f"{record['name']:<24} without {OURS}"
    ratio, compile_ratio = report.ratios(record)
    return f"{record['name']:<24} {multiple(ratio):>8}   compile {multiple(compile_ratio)}"


def contenders(case: Case, patterns: Sequence[str] | None) -> dict[str, Contender]:
    """The contenders of a case that any pattern matches, and the baseline."""
    return {
        name: contender
        for name, contender in entered(case.task, case.function).items()
        if patterns is None or name == BASELINE or any(fnmatchcase(name, p) for p in patterns)
    }


def present(contenders: Mapping[str, Contender]) -> set[str]:
    """The names of those that are installed."""
    return {name for name, contender in contenders.items() if absent(contender) is None}


def refuse_unknown(patterns: Sequence[str]) -> None:
    names = dict.fromkeys(name for task in TASKS.values() for name in task)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnusableResults(
                f"no contender is called {pattern!r}; there are {', '.join(map(repr, names))}"
            )


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
    """Print the tables, draw the pictures, or bring the README up to date."""
    if costs := compiled.read(arguments.results):
        print(compiled.report(costs))
        return 0
    results, stem = load(arguments.results), arguments.results.stem
    folder = COMMITTED if arguments.readme else arguments.plots
    if not folder:
        print(report.report(results))
        return 0
    for path in plots.write(results, folder, stem):
        print(path)
    if arguments.readme:
        text = README.read_text(encoding="utf-8")
        README.write_text(report.into_readme(text, results, stem), encoding="utf-8")
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Print the table of changes."""
    print(comparing.compare(load(arguments.old), load(arguments.new)))
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
        cases = select(CASES, arguments.cases) if arguments.cases else None
        compiled.compile_all(possible, arguments.out, status.update, cases)
    return int(not possible)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 2 for a mistake of the user's, in one sentence."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except (NoSuchPlatform, UnusableResults) as error:
        print(f"python -m benchmarks: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command measures what is missing", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
