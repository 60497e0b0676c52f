"""What the pictures have in common: colours, style, and titles."""

from __future__ import annotations

from typing import Any

from benchmarks.contenders import BASELINE, OURS

MARGIN = 0.1  # inches
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


def colours(names: list[str]) -> dict[str, str]:
    """A colour for each contender, the same in every picture of the same contenders."""
    unknown = sorted(name for name in names if name not in COLOURS)
    return COLOURS | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(unknown)}


def titles(figure: Any, title: str, conditions: str) -> None:
    """What is drawn, and what it was measured on."""
    width, height = figure.get_size_inches()
    place: dict[str, Any] = {"x": MARGIN / width, "va": "center"}
    figure.text(y=1 - 0.26 / height, s=title, fontsize=13, weight="bold", **place)
    figure.text(y=1 - 0.53 / height, s=conditions, color=MUTED, **place)
