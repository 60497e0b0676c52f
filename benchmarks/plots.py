"""Pictures of results, from the results file alone: every ratio on one page, and time against n.

An SVG holds a digest of the data that it shows, so that it can be told whether it is of these
results without drawing it again. Its text stays text, and equal data give equal files.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import math
import re
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.contenders import BASELINE, OURS
from benchmarks.measure import Record
from benchmarks.results import Results, UnusableResults

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
INK, MUTED, FAINT, RULE = "#1f2933", "#6b7785", "#b8c1cc", "#e4e8ec"
OURS_COLOUR, MISSED = "#d9480f", "#ffffff"
COLOURS = {
    OURS: OURS_COLOUR,
    BASELINE: INK,
    "jax, reverse twice": "#5b6b7c",
    "jax, linearised": "#8a97a5",
    "jax, column by column": "#b3bdc7",
    "jax, vmapped": "#5b6b7c",
    "jaxmatcalc, operator": "#ff9f6e",
    "jaxmatcalc, dense": "#ff9f6e",
    "PyTorch": "#7048e8",
    "autograd": "#2b8a3e",
    "asdex": "#1c7ed6",
    "sparsejac": "#0c9aa8",
    "folx": "#c2255c",
    "lineax": "#e8a008",
    "linear_operator": "#9c36b5",
    "pykronecker": "#74a012",
}
OTHERS = ("#845ef7", "#37b24d", "#4dabf7", "#f06595", "#a9896b", "#15aabf")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jaxmatcalc",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.titlesize": 9.5,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def require() -> None:
    """Say what is missing to draw."""
    try:
        importlib.import_module("matplotlib")
    except ImportError:
        raise UnusableResults("pictures need matplotlib: pip install -e '.[bench]'") from None


def write(results: Results, folder: Path, stem: str) -> list[Path]:
    """Draw every picture of the results into a folder."""
    require()
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for (dtype, kind), name in report.pictures(results, stem).items():
        data = shown(results, dtype, kind)
        metadata = {"Date": None, "Creator": None, "Description": digest(data)}
        with matplotlib.rc_context(STYLE):
            draw = {"ratios": draw_ratios, "curves": draw_curves}[kind]
            draw(data).savefig(folder / name, metadata=metadata)
        written.append(folder / name)
    return written


def shown(results: Results, dtype: str, kind: str) -> Record:
    """The data of a picture, all that it is drawn from."""
    records = dict(report.by_dtype(results))[dtype]
    found: Record = {"conditions": report.conditions(results, dtype, records)}
    if kind == "ratios":
        main = [r for r in records if report.is_main(r) and OURS in r["contenders"]]
        return {**found, "rows": [_ratio(record) for record in main]}
    curves = {
        name: {"why": points[0]["why"], "points": [_point(record) for record in points]}
        for name, points in report.curves(records).items()
    }
    return {**found, "write": (results.bandwidth or {}).get("write"), "curves": curves}


def _ratio(record: Record) -> Record:
    peer = report.rival(record)
    theirs, ours = (record["contenders"][name]["run"] for name in (peer, OURS))
    return {
        "name": record["name"],
        "task": record["task"],
        "wanted": record["wanted"],
        "peer": peer,
        "ratio": theirs["median"] / ours["median"],
        "lower": theirs["lower"] / ours["upper"],
        "upper": theirs["upper"] / ours["lower"],
    }


def _point(record: Record) -> Record:
    times = {name: c["run"] for name, c in record["contenders"].items()}
    return {
        "n": record["sizes"]["n"],
        "bytes": record.get("answer_bytes"),
        "times": {n: [t["lower"], t["median"], t["upper"]] for n, t in times.items()},
    }


def digest(data: Record) -> str:
    """What tells one picture's data from another's."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return "data " + hashlib.sha256(text.encode()).hexdigest()


def digest_in(path: Path) -> str | None:
    """The digest that a picture holds; None where it is not one of these pictures."""
    if not path.exists():
        return None
    found = re.search(r"data [0-9a-f]{64}", path.read_text(encoding="utf-8"))
    return found[0] if found else None


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each contender, the same in every picture of the same contenders."""
    unknown = sorted(name for name in names if name not in COLOURS)
    return COLOURS | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(unknown)}


def _titles(figure: Any, title: str, conditions: str) -> None:
    """What is drawn, and what it was measured on."""
    width, height = figure.get_size_inches()
    place: dict[str, Any] = {"x": MARGIN / width, "va": "center"}
    figure.text(y=1 - 0.26 / height, s=title, fontsize=13, weight="bold", **place)
    figure.text(y=1 - 0.53 / height, s=conditions, color=MUTED, **place)


# Every ratio on one page

LINE, COLUMN, MARGIN, ABOVE, BELOW = 0.165, 6.7, 0.1, 0.98, 0.42  # inches


def draw_ratios(data: Record) -> Any:
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
    _titles(figure, "How many times faster than JAX, or than the peer to beat", data["conditions"])
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
        text = report.multiple(ratio)
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


# Time against n


def draw_curves(data: Record) -> Any:
    """A panel a curve: a line for each contender, and the time that memory needs for the answer."""
    from matplotlib.figure import Figure

    panels = data["curves"]
    across = min(4, len(panels) + 1)
    down = -(-(len(panels) + 1) // across)
    figure = Figure(figsize=(3.3 * across, 2.75 * down + 0.75), facecolor="white")
    height = figure.get_figheight()
    grid = figure.subplots(down, across, squeeze=False)
    figure.subplots_adjust(
        left=0.055, right=0.99, bottom=0.42 / height, top=1 - 1.1 / height, wspace=0.26, hspace=0.52
    )
    names = list(dict.fromkeys(n for c in panels.values() for p in c["points"] for n in p["times"]))
    paint = colours(names)
    *cells, last = grid.flat
    for axes, (name, curve) in zip(cells, panels.items(), strict=False):
        _draw_panel(axes, name, curve, data["write"], paint)
    for axes in [*cells[len(panels) :], last]:
        axes.set_axis_off()
    _names(cells[len(panels)] if len(panels) < len(cells) else last, names, paint, data["write"])
    _titles(figure, "Time of a Hessian against n", data["conditions"])
    return figure


def _draw_panel(
    axes: Any, name: str, curve: Record, write: float | None, paint: dict[str, str]
) -> None:
    points = curve["points"]
    orders = [point["n"] for point in points]
    times = [t for point in points for t in point["times"].values()]
    low, high = min(t[0] for t in times) / 2.5, max(t[2] for t in times) * 1.8
    axes.set(xscale="log", yscale="log", ylim=(low, high))
    axes.set_xlim(orders[0] / 1.12, orders[-1] * 1.12)
    if write and all(point["bytes"] for point in points):
        floor = [point["bytes"] / write for point in points]
        axes.fill_between(orders, floor, low / 1e3, color="#f1f3f5", linewidth=0, zorder=0)
        axes.plot(orders, floor, color=MUTED, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    for contender in sorted({n: 0 for point in points for n in point["times"]}, key=_depth):
        found = [(p["n"], *p["times"][contender]) for p in points if contender in p["times"]]
        n, lower, median, upper = zip(*found, strict=True)
        ours = contender == OURS
        axes.fill_between(n, lower, upper, color=paint[contender], alpha=0.16, linewidth=0)
        axes.plot(
            n, median, "o-", color=paint[contender], linewidth=2.2 if ours else 1.3,
            markersize=4.2 if ours else 2.8, zorder=5 if ours else 3,
        )  # fmt: skip
    axes.set_title(name.replace("-", " "), loc="left", weight="bold", color=INK, pad=17)
    axes.text(0, 1.035, curve["why"], transform=axes.transAxes, fontsize=7.5, color=MUTED)
    axes.set_xticks(orders, map(str, orders), fontsize=7.5)
    axes.set_xticks([], minor=True)
    decades = [10.0**power for power in range(-9, 4) if low <= 10.0**power <= high]
    axes.set_yticks(decades, [_time(decade) for decade in decades])
    axes.set_yticks([], minor=True)
    axes.tick_params(length=0)
    axes.grid(color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _time(seconds: float) -> str:
    """A power of ten with its unit."""
    scale, unit = next(u for u in report.UNITS if seconds >= 0.999 * u[0])
    return f"{seconds / scale:,.0f} {unit}"


def _depth(name: str) -> tuple[bool, ...]:
    """Ours on top, then plain JAX, then variants of both, then others."""
    variant = name.partition(", ")[0]
    return name == OURS, name == BASELINE, variant == OURS, variant == BASELINE


def _names(axes: Any, names: list[str], paint: dict[str, str], write: float | None) -> None:
    """The lines and their names, in a panel of its own."""
    from matplotlib.lines import Line2D

    ordered = sorted(names, key=_depth, reverse=True)
    lines = [
        Line2D([], [], color=paint[n], marker="o", markersize=4 if n == OURS else 2.8,
               linewidth=2.2 if n == OURS else 1.3) for n in ordered
    ]  # fmt: skip
    if write:
        lines.append(Line2D([], [], color=MUTED, linewidth=1, linestyle=(0, (4, 2))))
        ordered.append(f"the answer written at {report.amount(write)}/s")
    axes.legend(lines, ordered, loc="upper left", frameon=False, borderaxespad=0, labelspacing=0.6)
