"""The picture of every ratio on one page."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from benchmarks.contenders import BASELINE
from benchmarks.measure import Record
from benchmarks.palette import INK, MARGIN, MISSED, MUTED, OURS_COLOUR, RULE, titles
from benchmarks.text import multiple

# What tasks are called in the picture of ratios, in the order of their groups
GROUPS = {
    "Hessians": ("hessian", "forms", "sparse-forms", "large-forms", "batch"),
    "Products with the Hessian": ("hvp", "hvps"),
    "Newton steps and operators": (
        "newton", "newton-in-gradients", "symmetric-newton-in-gradients", "solve", "product",
        "operator-hvp", "logdet",
    ),
    "Diagonals and Laplacians": ("diagonal", "laplacian"),
    "Values and gradients": ("value", "gradient"),
}  # fmt: skip


LINE, COLUMN, ABOVE, BELOW = 0.165, 6.7, 0.98, 0.42  # inches


def draw(data: Record) -> Any:
    """A line a case, in groups by task, the largest ratio first; two columns of one scale."""
    from matplotlib.figure import Figure

    lines = _grouped(data["rows"])
    middle = _middle(lines)
    columns = [column for column in (lines[:middle], lines[middle:]) if column]
    height = LINE * max(map(len, columns)) + ABOVE + BELOW
    figure = Figure(figsize=(COLUMN * len(columns), height), facecolor="white")
    high = 6 * max(10.0, *(row["upper"] for row in data["rows"]))
    lows = [_lowest(column) for column in columns]
    decade = 3.4 / math.log10(high / min(lows))  # inches
    for place, (column, low) in enumerate(zip(columns, lows, strict=True)):
        tall, wide = LINE * len(column), decade * math.log10(high / low * 1.2)
        left = COLUMN * (place + 1) - 0.1 - wide
        box = left / COLUMN / len(columns), 1 - (ABOVE + tall) / height
        axes = figure.add_axes((*box, wide / COLUMN / len(columns), tall / height))
        _draw_column(axes, column, low / 1.2, high, (COLUMN * place + MARGIN - left) / wide)
    titles(figure, "How many times faster than JAX, or than the peer to beat", data["conditions"])
    _key(figure)
    return figure


def _grouped(rows: list[Record]) -> list[Record | str]:
    """Headings and rows, one below the other."""
    group = {task: heading for heading, tasks in GROUPS.items() for task in tasks}
    headings = list(GROUPS)

    def place(row: Record) -> tuple[int, str, float]:
        heading = group.get(row["task"], row["task"])
        known = heading in headings
        return headings.index(heading) if known else len(headings), heading, -row["ratio"]

    lines: list[Record | str] = []
    ordered = sorted(rows, key=place)
    for heading, members in groupby(ordered, key=lambda row: group.get(row["task"], row["task"])):
        lines += [heading, *members]
    return lines


def _lowest(lines: list[Record | str]) -> float:
    """Where the axis of a column begins."""
    rows = [line for line in lines if isinstance(line, dict)]
    return min(1 / 1.5, *(min(row["lower"], row["wanted"] or 1) for row in rows))


def _middle(lines: list[Record | str]) -> int:
    """Where the second column begins: at the heading that is closest to the middle."""
    if len(lines) < 16:
        return len(lines)
    headings = [i for i, line in enumerate(lines) if isinstance(line, str) and i > 0]
    return min(headings, key=lambda i: abs(2 * i - len(lines)), default=len(lines))


def _draw_column(
    axes: Any, lines: list[Record | str], low: float, high: float, margin: float
) -> None:
    axes.set(xscale="log", xlim=(low, high), ylim=(len(lines) - 0.4, -0.6), yticks=[])
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.xaxis.tick_top()
    decades = [x for x in (0.01, 0.1, 1, 10, 100, 1000, 10000, 100000) if low <= x <= high]
    axes.set_xticks(decades, [f"{x:,g}×" for x in decades])
    axes.set_xticks([], minor=True)
    axes.tick_params(length=0, pad=3)
    for x in decades:
        colour = MUTED if x == 1 else RULE
        axes.axvline(x, color=colour, linewidth=0.9 if x == 1 else 0.7, zorder=0)
    label = {"transform": axes.get_yaxis_transform(), "va": "center", "clip_on": False}
    for y, line in enumerate(lines):
        if isinstance(line, str):
            axes.text(margin, y + 0.08, line, weight="bold", ha="left", **label)
            continue
        ratio, wanted = line["ratio"], line["wanted"]
        missed = wanted is not None and ratio < wanted
        axes.text(-0.025, y, line["name"], ha="right", fontsize=8, **label)
        axes.plot([1, ratio], [y, y], color=OURS_COLOUR, linewidth=1.1, alpha=0.45, zorder=1)
        axes.plot(
            [line["lower"], line["upper"]], [y, y], color=OURS_COLOUR, linewidth=3.4, alpha=0.28,
            solid_capstyle="round", zorder=2,
        )  # fmt: skip
        if wanted is not None:
            axes.plot(wanted, y, "|", color=INK, markersize=7, markeredgewidth=1.3, zorder=4)
        axes.plot(
            ratio, y, "o", markersize=5, markeredgewidth=1.3, markeredgecolor=OURS_COLOUR,
            markerfacecolor=MISSED if missed else OURS_COLOUR, zorder=5,
        )  # fmt: skip
        furthest = max(1, line["upper"], wanted or 0)
        text = multiple(ratio)
        if line["peer"] != BASELINE:
            text += f"  {line['peer'].removeprefix('jax, ')}"
        axes.annotate(
            text, (furthest, y), (6, 0), textcoords="offset points", va="center", fontsize=7.5,
            color=MUTED, zorder=6,
        )  # fmt: skip


def _key(figure: Any) -> None:
    """What the marks mean, in a line at the foot."""
    from matplotlib.lines import Line2D

    def mark(marker: str, **settings: Any) -> Line2D:
        return Line2D([], [], color=OURS_COLOUR, marker=marker, linestyle="", **settings)

    marks = {
        "measured": mark("o", markersize=5),
        "below what was wanted": mark("o", markersize=5, markerfacecolor=MISSED),
        "wanted": Line2D([], [], color=INK, marker="|", linestyle="", markeredgewidth=1.3),
        "quartiles": Line2D([], [], color=OURS_COLOUR, alpha=0.28, linewidth=3.4),
    }
    figure.legend(
        list(marks.values()), list(marks), loc="lower left", ncols=4, frameon=False,
        bbox_to_anchor=(0.005, 0.0), handletextpad=0.5, columnspacing=1.8, labelcolor=MUTED,
    )  # fmt: skip
