"""Tables of results, in Markdown, from the results file alone."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINE
from benchmarks.measure import Record
from benchmarks.results import Results, UnusableResults

OURS = "jaxmatcalc"
OPENING, CLOSING = "<!-- figures -->", "<!-- /figures -->"
COLUMNS = ("case", "JAX", OURS, "ratio", "compile ratio", "wanted")
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def report(results: Results) -> str:
    """A table of each dtype, with what it was measured on."""
    by_dtype = sorted(results.records, key=lambda record: record["dtype"])
    parts = []
    for dtype, group in groupby(by_dtype, key=lambda record: record["dtype"]):
        records = list(group)
        parts.append(caption(results, dtype, records) + "\n\n" + table(records))
    return "\n\n".join(parts)


def caption(results: Results, dtype: str, records: list[Record]) -> str:
    """The line above a table."""
    where = results.environment
    dates = sorted(record["date"][:10] for record in records)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return (
        f"Medians, {dtype}, on {where['device'].partition(': ')[2]} "
        f"({where['cpu']}, {where['cores']} cores), "
        f"Python {where['python']}, JAX {where['jax']}, {when}.\n"
        "Ratio: JAX's time over jaxmatcalc's, or that of the fastest peer, named, where there are\n"
        "several. Compile ratio: jaxmatcalc's trace and compile time over the peer's.\n"
        "What misses its figure is in bold."
    )


def table(records: list[Record]) -> str:
    """One row a case; then the table of all operations, one row an operation."""
    cases = [row(record) for record in records if not record.get("family")]
    members = [record for record in records if record.get("family")]
    tables = [markdown(COLUMNS, cases)] if cases else []
    return "\n\n".join([*tables, *([family(members)] if members else [])])


def family(records: list[Record]) -> str:
    """JAX's time over ours for value and gradient: a row an operation, a column a size."""
    sizes = list(dict.fromkeys(tuple(record["sizes"].items()) for record in records))
    names = ["; ".join(f"{letter} = {n:,}" for letter, n in size) for size in sizes]
    rows: dict[str, dict[Any, str]] = {}
    for record in records:
        ratio = ratios(record)[0]
        cell = emphasised(multiple(ratio), ratio < record["wanted"])
        name = record["function"].replace("_", " ")
        rows.setdefault(name, {})[tuple(record["sizes"].items())] = cell
    title = "Value and gradient of each operation on b matrices of order n, JAX's time over ours:"
    cells = [(name, *(found.get(size, "–") for size in sizes)) for name, found in rows.items()]
    return title + "\n\n" + markdown(("operation", *names), cells)


def row(record: Record) -> tuple[str, ...]:
    """The cells of a case; what misses its figure is set in bold."""
    peer, ours = fastest_peer(record), record["contenders"][OURS]
    theirs = duration(record["contenders"][peer]["run"]["median"])
    ratio, compile_ratio = ratios(record)
    wanted, limit = record["wanted"], record["compile_limit"]
    goals = [f"≥ {wanted:,g}×"] if wanted else []
    goals += [f"compile ≤ {limit:g}×"] if limit else []
    return (
        f"`{record['name']}`",
        theirs if peer == BASELINE else f"{theirs} ({peer.removeprefix('jax, ')})",
        duration(ours["run"]["median"]),
        emphasised(multiple(ratio), wanted is not None and ratio < wanted),
        emphasised(multiple(compile_ratio), limit is not None and compile_ratio > limit),
        ", ".join(goals) or "–",
    )


def ratios(record: Record) -> tuple[float, float]:
    """Run time of the fastest peer over ours, and our compile time over its: ratios of medians."""
    theirs, ours = record["contenders"][fastest_peer(record)], record["contenders"][OURS]
    return (
        theirs["run"]["median"] / ours["run"]["median"],
        ours["compile"]["median"] / theirs["compile"]["median"],
    )


def fastest_peer(record: Record) -> str:
    """The name of the fastest contender that is not ours."""
    peers = {name: c["run"]["median"] for name, c in record["contenders"].items() if name != OURS}
    return min(peers, key=lambda name: peers[name])


def compare(old: Results, new: Results) -> str:
    """What changed between two results.

    A case is slower or faster where its ratio to JAX changed by more than the spread: the quartiles
    of the two do not overlap. JAX was measured in the same run as jaxmatcalc, so a slower machine
    does not pass for a slower library.
    """
    rows = []
    for record in new.records:
        before = old.get(record["name"], record["dtype"])
        if before is not None:
            rows.append(
                (
                    f"`{record['name']}`",
                    record["dtype"],
                    change(before, record, BASELINE),
                    change(before, record, OURS),
                    f"{multiple(ratios(before)[0])} → {multiple(ratios(record)[0])}",
                    verdict(before, record),
                )
            )
    if not rows:
        raise UnusableResults("the two results have no case in common")
    here, there = new.environment, old.environment
    differing = [name for name in here if there.get(name) != here[name]]
    note = f"\n\nMeasured with different {', '.join(differing)}." if differing else ""
    columns = ("case", "dtype", "JAX", OURS, "ratio", "")
    return markdown(columns, rows) + note


def change(old: Record, new: Record, name: str) -> str:
    """The run times of a contender, before and after."""
    times = [duration(record["contenders"][name]["run"]["median"]) for record in (old, new)]
    return " → ".join(times)


def verdict(old: Record, new: Record) -> str:
    """Whether jaxmatcalc became slower or faster beside JAX."""
    before, after = (record["contenders"][OURS]["ratio"] for record in (old, new))
    if after["upper"] < before["lower"]:
        return "**slower**"
    return "faster" if after["lower"] > before["upper"] else ""


def into_readme(readme: str, results: Results) -> str:
    """The README with its figures between the markers generated anew."""
    before, opening, rest = readme.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing):
        raise UnusableResults(f"the README has no lines {OPENING} and {CLOSING}")
    return f"{before}{OPENING}\n{report(results)}\n{CLOSING}{after}"


def write_readme(path: Path, results: Results) -> None:
    """Generate the figures of a README file."""
    path.write_text(into_readme(path.read_text(encoding="utf-8"), results), encoding="utf-8")


def markdown(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table; all but the first column to the right."""
    lines = [columns, ("---", *("---:" for _ in columns[1:])), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(0.0123456), duration(12.3), duration(4.56e-6)
    ('12.3 ms', '12.3 s', '4.56 µs')
    """
    scale, unit = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{digits(seconds / scale)} {unit}"


def multiple(ratio: float) -> str:
    """A ratio with its sign."""
    return f"{digits(ratio)}×"


def digits(value: float) -> str:
    """A number to three digits, never in powers of ten.

    >>> digits(1234.5), digits(123.4), digits(12.34), digits(1.234), digits(0.1234)
    ('1,234', '123', '12.3', '1.23', '0.12')
    """
    places = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{places}f}"


def emphasised(text: str, missed: bool) -> str:
    """Bold, where a figure was missed."""
    return f"**{text}**" if missed else text
