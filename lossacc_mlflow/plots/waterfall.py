"""Rows of bars that start where the one above ends, with their names before them and their figures after them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossacc_mlflow.plots.style import GRID, INK, MUTED, fit_text, put, set_label, set_ticks

__all__ = ["Columns", "draw_step", "draw_stroke", "limits_of", "set_bar_axis", "write_row"]

_TICK_ROOM = 66


@dataclass(frozen=True, slots=True)
class Columns:
    """Where things stand, in pixels.

    The bars between two ends, each column of figures with its right edge and head, and where the names begin.
    """

    bars: tuple[float, float]
    figures: tuple[tuple[float, str], ...]
    left: float = 16


def limits_of(levels: Sequence[float]) -> tuple[float, float]:
    """Limits that hold every finite level, with zero where it is near, and a margin.

    Examples
    --------
    >>> [round(v, 9) for v in limits_of([0.2, 1.0, float("nan")])]
    [-0.06, 1.06]
    """
    finite = np.array([v for v in levels if np.isfinite(v)] or [0.0])
    low, high = float(finite.min()), float(finite.max())
    low = min(low, 0.0) if low < 0.6 * high else low
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    return low - margin, high + margin


def set_bar_axis(axes: Axes, limits: tuple[float, float], label: str) -> None:
    """Set the axis along which bars are drawn; rows have no axis."""
    low, high = limits
    axes.set_xlim(low, high)
    set_ticks(axes.yaxis, [], [])
    axes.spines["left"].set_visible(False)
    most = int(np.clip(axes.get_window_extent().width / _TICK_ROOM, 2, 6))
    ticks = [float(t) for t in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= t <= high]
    set_ticks(axes.xaxis, ticks, [f"{t:.6g}" for t in ticks])
    set_label(axes.xaxis, label)
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8, linestyle="-")


def draw_step(axes: Axes, row: float, start: float, change: float, color: str, *, gid: str) -> None:
    """Draw a bar from the level before to the level after, tied to the rows above and below."""
    axes.barh(row, change, 0.56, left=start, color=color, linewidth=0, zorder=2, gid=gid)
    draw_stroke(axes, start, (row - 0.72, row + 0.28), "tie", color=MUTED, linewidth=0.9)
    draw_stroke(axes, start + change, (row - 0.28, row + 0.72), "tie", color=MUTED, linewidth=0.9)


def draw_stroke(
    axes: Axes, x: float, rows: tuple[float, float], gid: str, *, color: str = INK, linewidth: float = 4
) -> None:
    """Draw a short vertical line: a thick one is a level that counts."""
    z = 1.5 if linewidth < 2 else 2.5
    axes.plot([x, x], rows, color=color, linewidth=linewidth, linestyle="-", marker="", zorder=z, gid=gid)


def write_row(
    figure: Figure,
    axes: Axes,
    columns: Columns,
    row: float,
    name: str,
    figures: Sequence[str],
    *,
    color: str = INK,
    weight: str = "normal",
    fit: bool = True,
) -> None:
    """Write a row's name before the bars, cut where it is longer (unless told not to), and its figures after them."""
    width, height = figure.bbox.size
    y = float(axes.transData.transform((0, row))[1]) / height
    name = fit_text(figure, name, columns.bars[0] - columns.left - 6, weight=weight, keep_end=True) if fit else name
    put(figure, columns.left / width, y, name, color=color, va="center_baseline", weight=weight)
    for (x, _), text in zip(columns.figures, figures, strict=True):
        put(figure, x / width, y, text, color=color, ha="right", va="center_baseline", weight=weight)
