"""The picture of ``jaxmatcalc demo --plot``: which pixels explain which, given all others."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import numpy as np

SIDE = 8
FORMATS = (".png", ".svg", ".pdf")
INK, MUTED, EMPTY = "#1f2933", "#7b8794", "#eef1f4"


def file(text: str) -> Path:
    """Read the value of ``--plot``: refuse now what could not be drawn at the end."""
    path = Path(text)
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError(
            "needs matplotlib, which the plot extra brings: pip install 'jaxmatcalc[plot]'"
        )
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"must end in .png, .svg or .pdf; got {text!r}")
    if not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"must lie in a folder that exists; got {text!r}")
    return path


def partial_correlations(path: Path, theta: np.ndarray, pixels: np.ndarray, rho: float) -> None:
    """Draw one tile per pixel: its partial correlation with every other pixel, where that one lies.

    The partial correlation of pixels i and j, given all others, is -Θᵢⱼ / √(Θᵢᵢ Θⱼⱼ) (Lauritzen,
    *Graphical Models*, 1996, section 5.1.3).

    Args:
        path: the file to write.
        theta: the precision matrix, (n, n).
        pixels: which of the 64 pixels its rows are, (n,).
        rho: the penalty, for the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    scale = np.sqrt(np.diag(theta))
    partial = -theta / np.outer(scale, scale)
    np.fill_diagonal(partial, np.nan)
    limit = float(np.nanquantile(np.abs(partial), 0.995))
    norm = Normalize(-limit, limit)

    figure = Figure(figsize=(9, 10.3), facecolor="white")
    FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0.04, right=0.96, bottom=0.09, top=0.89, wspace=0.09, hspace=0.09)
    tiles = figure.subplots(SIDE, SIDE)
    for axes in tiles.flat:
        axes.set(xticks=[], yticks=[], facecolor=EMPTY)
        axes.spines[:].set_visible(False)
        axes.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5), aspect="equal")
    for row, pixel in zip(partial, pixels, strict=True):
        axes = tiles.flat[pixel]
        image = np.full(SIDE * SIDE, np.nan)
        image[pixels] = row
        axes.imshow(image.reshape(SIDE, SIDE), cmap="RdBu_r", norm=norm, interpolation="nearest")
        axes.plot(pixel % SIDE, pixel // SIDE, "s", color=INK, markersize=4.2)

    figure.text(0.04, 0.955, "Which pixels explain which", fontsize=17, color=INK, weight="bold")
    caption = (
        "Partial correlations of the pixels of 1,797 handwritten digits. Each tile is one pixel (■)"
        f" of the 8 × 8 grid;\nits colours are the other pixels, given all the rest.  ρ = {rho:g}"
    )
    figure.text(0.04, 0.92, caption, fontsize=9.5, color=MUTED, va="center")
    bar = figure.add_axes((0.3, 0.05, 0.4, 0.014))
    colours = figure.colorbar(
        ScalarMappable(norm, "RdBu_r"), cax=bar, orientation="horizontal", extend="both"
    )
    colours.outline.set_visible(False)
    bar.tick_params(length=0, labelsize=8.5, labelcolor=MUTED)
    figure.savefig(path, dpi=160)
