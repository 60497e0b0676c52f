"""What became slower or faster from one results file to another."""

from __future__ import annotations

from benchmarks.contenders import BASELINE, OURS
from benchmarks.measure import Record
from benchmarks.report import time_of
from benchmarks.results import Results, UnusableResults
from benchmarks.text import markdown, multiple


def compare(old: Results, new: Results) -> str:
    """What changed between two results.

    A case is slower or faster where its ratio to JAX changed by more than the spread: the quartiles
    of the two do not overlap. JAX was measured in the same run as jaxmatcalc, so a slower machine
    does not pass for a slower library; nor do peers count, who may be others in the two.
    """
    rows, alone = [], []
    for record in new.records:
        before = old.get(record["name"], record["dtype"])
        if before is None:
            alone.append(record["name"])
            continue
        rows.append(
            (
                f"`{record['name']}`",
                record["dtype"],
                change(before, record, BASELINE),
                change(before, record, OURS),
                " → ".join(ratio_of(r["contenders"].get(OURS)) for r in (before, record)),
                verdict(before, record),
            )
        )
    if not rows:
        raise UnusableResults("the two results have no case in common")
    gone = [r["name"] for r in old.records if new.get(r["name"], r["dtype"]) is None]
    here, there = new.environment, old.environment
    differing = [name for name in here if there.get(name) != here[name]]
    notes = [
        f"Measured with different {', '.join(differing)}." if differing else "",
        f"Only in the new results: {', '.join(alone)}." if alone else "",
        f"Only in the old results: {', '.join(gone)}." if gone else "",
    ]
    columns = ("case", "dtype", "JAX", OURS, "ratio", "")
    return "\n\n".join([markdown(columns, rows), *filter(None, notes)])


def change(old: Record, new: Record, name: str) -> str:
    """The run times of a contender, before and after."""
    return " → ".join(time_of(record["contenders"].get(name)) for record in (old, new))


def ratio_of(contender: Record | None) -> str:
    """JAX's time over a contender's; a dash where it was not measured."""
    return multiple(contender["ratio"]["median"]) if contender else "–"


def verdict(old: Record, new: Record) -> str:
    """Whether jaxmatcalc became slower or faster beside JAX."""
    if not all(OURS in record["contenders"] for record in (old, new)):
        return ""
    before, after = (record["contenders"][OURS]["ratio"] for record in (old, new))
    if after["upper"] < before["lower"]:
        return "**slower**"
    return "faster" if after["lower"] > before["upper"] else ""
