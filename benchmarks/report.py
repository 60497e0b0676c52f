"""Tables of results, in Markdown, from the results file alone."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from benchmarks.contenders import BASELINE, OURS
from benchmarks.measure import Record
from benchmarks.results import Results, UnusableResults
from benchmarks.text import amount, duration, emphasised, markdown, multiple

# Tasks whose figure is set beside the fastest of all, whoever that is
OPEN = ("forms", "sparse-forms", "large-forms", "laplacian")
OPENING, CLOSING = "<!-- figures -->", "<!-- /figures -->"
CURVE = "-curve"
TITLES = {
    "ratios": "How many times faster than JAX, or the peer to beat, jaxmatcalc is at every case",
    "curves": "Time against n of published experiments, with the time to write the answer",
}


def report(results: Results) -> str:
    """All that was measured, by dtype: the tables of the README, then curves and contenders."""
    parts = []
    for dtype, records in by_dtype(results):
        parts += [caption(results, dtype, records), table(records)]
        parts += [curve_table(name, points) for name, points in curves(records).items()]
        parts += [EVERYONE, everyone(records)]
    return "\n\n".join(part for part in parts if part)


def by_dtype(results: Results) -> list[tuple[str, list[Record]]]:
    """The measurements of each dtype."""
    in_order = sorted(results.records, key=lambda record: record["dtype"])
    return [(d, list(group)) for d, group in groupby(in_order, key=lambda r: r["dtype"])]


def is_main(record: Record) -> bool:
    """Whether a record is a row of the table of cases, not a part of another table or a plot."""
    return not (record.get("family") or record.get("curve"))


def caption(results: Results, dtype: str, records: list[Record]) -> str:
    """The lines above a table."""
    text = (
        f"{conditions(results, dtype, records)}\n"
        "Ratio: JAX's time over jaxmatcalc's; where the fastest of several is to be beaten, that\n"
        "one's, named. Fastest other: who else is faster than that, and its time over ours.\n"
        "Compile ratio: jaxmatcalc's trace and compile time over JAX's, or the named one's.\n"
        "What misses its figure is in bold."
    )
    if any(peak(record, OURS) is not None for record in records):
        text += " Memory: the peak of one call, its inputs excluded."
    return text


def conditions(results: Results, dtype: str, records: list[Record]) -> str:
    """What was measured on what, and when."""
    where = results.environment
    dates = sorted(record["date"][:10] for record in records)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    return (
        f"Medians, {dtype}, on {where['device'].partition(': ')[2]} "
        f"({where['cpu']}, {where['cores']} cores), "
        f"Python {where['python']}, JAX {where['jax']}, {when}."
    )


def table(records: list[Record]) -> str:
    """One row a case; then the table of all operations, one row an operation."""
    records = [record for record in records if OURS in record["contenders"]]
    main = [record for record in records if is_main(record)]
    members = [record for record in records if record.get("family")]
    memory = any(peak(record, OURS) is not None for record in main)
    columns = ("case", "JAX", OURS, "ratio", "fastest other",
               *(("memory: JAX", OURS) if memory else ()), "compile ratio", "wanted")  # fmt: skip
    tables = [markdown(columns, [row(record, memory) for record in main])] if main else []
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


def curves(records: list[Record]) -> dict[str, list[Record]]:
    """The points of each plot of time against n, n rising, by the name that they share."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.get("curve"):
            found.setdefault(record["name"].partition(CURVE)[0], []).append(record)
    return {
        name: sorted(points, key=lambda record: record["sizes"]["n"])
        for name, points in found.items()
    }


def curve_table(name: str, points: list[Record]) -> str:
    """The times of every contender: a row an n."""
    names = list(dict.fromkeys(contender for point in points for contender in point["contenders"]))
    cells = [
        (f"`{point['name']}`", *(time_of(point["contenders"].get(name)) for name in names))
        for point in points
    ]
    title = f"Time against n, {name.replace('-', ' ')}: {points[0]['why']}."
    return title + "\n\n" + markdown(("point", *names), cells)


def time_of(contender: Record | None) -> str:
    """The median of a contender's runs; a dash where it was not measured."""
    return duration(contender["run"]["median"]) if contender else "–"


EVERYONE = "Every contender, and why one is missing. Ratio: JAX's time over its time."


def everyone(records: list[Record]) -> str:
    """Every contender of every case that is a row of its own."""
    cells = []
    for record in filter(is_main, records):
        for name, found in record["contenders"].items():
            memory = found.get("memory", {})
            cells.append(
                (
                    f"`{record['name']}`",
                    name,
                    f"{time_of(found)} ({spread(found['run'])})",
                    multiple(found["ratio"]["median"]),
                    duration(found["compile"]["median"]) if found.get("compile") else "–",
                    amount(memory.get("peak")),
                    f"{found['error']:.0e}",
                    one_line(memory.get("why", "")),
                )
            )
        for name, reason in record.get("missing", {}).items():
            cells.append((f"`{record['name']}`", name, *["–"] * 5, one_line(reason)))
    columns = ("case", "contender", "time (quartiles)", "ratio", "compile", "memory", "error", "")
    return markdown(columns, cells)


def spread(times: Record) -> str:
    """The quartiles."""
    return f"{duration(times['lower'])} to {duration(times['upper'])}"


def one_line(text: str) -> str:
    """Text that fits into a cell."""
    return " ".join(text.replace("|", "/").split())


def peak(record: Record, name: str) -> int | None:
    """The peak memory of a contender, in bytes; None where it is not known."""
    return record["contenders"].get(name, {}).get("memory", {}).get("peak")


def row(record: Record, memory: bool = False) -> tuple[str, ...]:
    """The cells of a case; what misses its figure is set in bold."""
    peer, other, ours = rival(record), fastest_peer(record), record["contenders"][OURS]
    theirs = duration(record["contenders"][peer]["run"]["median"])
    ratio, compile_ratio = ratios(record)
    beside = record["contenders"][other]["run"]["median"] / ours["run"]["median"]
    wanted, limit = record["wanted"], record["compile_limit"]
    goals = [f"≥ {wanted:,g}×"] if wanted else []
    goals += [f"compile ≤ {limit:g}×"] if limit else []
    return (
        f"`{record['name']}`",
        theirs if peer == BASELINE else f"{theirs} ({peer.removeprefix('jax, ')})",
        duration(ours["run"]["median"]),
        emphasised(multiple(ratio), wanted is not None and ratio < wanted),
        "–" if other == peer else f"{other.removeprefix('jax, ')} {multiple(beside)}",
        *((amount(peak(record, peer)), amount(peak(record, OURS))) if memory else ()),
        emphasised(
            multiple(compile_ratio),
            limit is not None and compile_ratio is not None and compile_ratio > limit,
        ),
        ", ".join(goals) or "–",
    )


def ratios(record: Record) -> tuple[float, float | None]:
    """Run time of the rival over ours, and our compile time over its: ratios of medians.

    The second is None where the rival is not compiled.
    """
    theirs, ours = record["contenders"][rival(record)], record["contenders"][OURS]
    ratio = theirs["run"]["median"] / ours["run"]["median"]
    if not theirs.get("compile"):
        return ratio, None
    return ratio, ours["compile"]["median"] / theirs["compile"]["median"]


def rival(record: Record) -> str:
    """The contender that ratios are taken to: plain JAX, or the fastest where that is the rule."""
    return fastest_peer(record) if record["task"] in OPEN else BASELINE


def fastest_peer(record: Record) -> str:
    """The name of the fastest contender that is not ours."""
    peers = [name for name in record["contenders"] if not name.startswith(OURS)]
    return min(peers, key=lambda name: record["contenders"][name]["run"]["median"])


def pictures(results: Results, stem: str) -> dict[tuple[str, str], str]:
    """The files of the pictures of results, by dtype and what is drawn."""
    found = {}
    for dtype, records in by_dtype(results):
        end = "" if dtype == "float32" else f"-{dtype}"
        if any(is_main(record) and OURS in record["contenders"] for record in records):
            found[dtype, "ratios"] = f"{stem}{end}.svg"
        if curves(records):
            found[dtype, "curves"] = f"{stem}-curves{end}.svg"
    return found


def figures(results: Results, folder: str, stem: str) -> str:
    """What the README shows: pictures, and the tables of each dtype."""
    parts = [
        f"![{TITLES[kind]} ({dtype})]({folder}/{file})"
        for (dtype, kind), file in pictures(results, stem).items()
    ]
    for dtype, records in by_dtype(results):
        parts += [caption(results, dtype, records), table(records)]
    return "\n\n".join(parts)


def into_readme(readme: str, results: Results, stem: str = "cpu") -> str:
    """The README with its figures between the markers generated anew."""
    before, opening, rest = readme.partition(OPENING)
    _, closing, after = rest.partition(CLOSING)
    if not (opening and closing):
        raise UnusableResults(f"the README has no lines {OPENING} and {CLOSING}")
    shown = figures(results, "benchmarks/results", stem)
    return f"{before}{OPENING}\n{shown}\n{CLOSING}{after}"
