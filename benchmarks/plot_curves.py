"""The pictures of time against n."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import BASELINE, OURS
from benchmarks.measure import Record
from benchmarks.palette import INK, MUTED, RULE, colours, titles
from benchmarks.text import UNITS, amount


def draw(data: Record) -> Any:
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
    titles(figure, "Time of a Hessian against n", data["conditions"])
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
    scale, unit = next(u for u in UNITS if seconds >= 0.999 * u[0])
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
        ordered.append(f"the answer written at {amount(write)}/s")
    axes.legend(lines, ordered, loc="upper left", frameon=False, borderaxespad=0, labelspacing=0.6)
