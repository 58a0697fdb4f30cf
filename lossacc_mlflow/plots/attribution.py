"""Where the loss difference of two models comes from: a waterfall over four groups of samples."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossacc_mlflow.plots.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    VERMILLION,
    add_axes,
    color_key,
    fit_text,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.records import AttributionGroup, PairedComparison
from lossacc_mlflow.wording import number, percent, signed

__all__ = ["plot_attribution"]

_ROW = 38
_BARS = (236, 640)
"""Left and right end of the bars in pixels; names stand before them, figures after them."""
_COLUMNS: Final = ((718, "samples"), (820, "mean loss A"), (926, "mean loss B"), (1028, "A - B"))
_NAMES: Final = {
    "both_right": "both right",
    "only_a_right": "only A right",
    "only_b_right": "only B right",
    "both_wrong": "both wrong",
}


def plot_attribution(pair: PairedComparison) -> Figure:
    """Draw how four groups of samples add up to the loss difference of two models.

    Parameters
    ----------
    pair : PairedComparison

    Returns
    -------
    Figure
        From the loss of B at the top, each group moves on by what it contributes, down to the loss of A; the last row
        shows both losses after each model's own temperature.
    """
    figure = new_figure(5.15)
    a, b = clean(pair.name_a, 60), clean(pair.name_b, 60)
    where = f" ({pair.split})" if pair.split else ""
    title = f"Where the loss difference A - B = {signed(pair.delta_loss)} nats comes from{where}"
    top = header(figure, title, _lines(pair, a, b))
    color_key(figure, top - 9, ((VERMILLION, "makes A's loss greater"), (BLUE, "makes A's loss smaller")))
    bottom = 52
    axes = add_axes(figure, _BARS[0], bottom, _BARS[1], top - 48)
    axes.set_ylim(6.6, -0.6)
    set_ticks(axes.yaxis, [], [])
    axes.spines["left"].set_visible(False)
    _set_loss_axis(axes, pair)
    _write_row(figure, axes, -0.95, "", [name for _, name in _COLUMNS], color=MUTED)
    level = pair.loss_b
    _draw_total(axes, 0, level, "B")
    _write_row(figure, axes, 0, f"B: {b}", [f"{pair.n_samples:,}", "", number(pair.loss_b), ""], weight="bold")
    for row, group in enumerate(pair.groups, start=1):
        _draw_step(axes, row, level, _contribution(group))
        level += _contribution(group)
        _write_row(figure, axes, row, _NAMES[group.name], _figures(group))
    _draw_total(axes, 5, pair.loss_a, "A")
    _write_row(figure, axes, 5, f"A: {a}", ["", number(pair.loss_a), "", signed(pair.delta_loss)], weight="bold")
    _draw_after_temperature(figure, axes, pair)
    return figure


def _lines(pair: PairedComparison, a: str, b: str) -> list[str]:
    """Who A and B are, and how sure the difference is."""
    low, high = pair.delta_loss_ci95
    sure = "settled at the 5 % level" if pair.decided else "not settled"
    p = "p < 0.001" if pair.mcnemar_p < 1e-3 else f"p = {pair.mcnemar_p:.2g}"
    points = f"{100 * pair.delta_accuracy:+.1f}"
    return [
        f"A = {a} ({percent(pair.accuracy_a)}, {number(pair.loss_a)}) · B = {b} ({percent(pair.accuracy_b)}, "
        f"{number(pair.loss_b)})",
        f"95 % interval of the loss difference {signed(low)} to {signed(high)}: {sure} · accuracy {points} points "
        f"(McNemar {p})",
    ]


def _contribution(group: AttributionGroup) -> float:
    """What the group adds; an empty one adds nothing."""
    return group.contribution if group.n and np.isfinite(group.contribution) else 0.0


def _figures(group: AttributionGroup) -> list[str]:
    if not group.n:
        return ["0", "", "", "0"]
    return [f"{group.n:,}", number(group.mean_loss_a), number(group.mean_loss_b), signed(_contribution(group))]


def _set_loss_axis(axes: Axes, pair: PairedComparison) -> None:
    """Limits that hold every level of the waterfall, with zero where it is near."""
    levels = np.cumsum([pair.loss_b, *(_contribution(g) for g in pair.groups)])
    every = [*levels, pair.loss_a, pair.loss_a_after_temperature, pair.loss_b_after_temperature]
    finite = np.array([v for v in every if np.isfinite(v)] or [0.0])
    low, high = float(finite.min()), float(finite.max())
    low = min(low, 0.0) if low < 0.6 * high else low
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.05
    axes.set_xlim(low - margin, high + margin)
    ticks = [
        float(t)
        for t in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
        if low - margin <= t <= high + margin
    ]
    set_ticks(axes.xaxis, ticks, [f"{t:.6g}" for t in ticks])
    set_label(axes.xaxis, "log loss (nats)")
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8, linestyle="-")


def _draw_total(axes: Axes, row: float, loss: float, name: str) -> None:
    """A mark at the loss of a model."""
    axes.plot(
        [loss, loss], [row - 0.33, row + 0.33], color=INK, linewidth=4, linestyle="-", marker="", gid=f"loss {name}"
    )


def _draw_step(axes: Axes, row: int, start: float, change: float) -> None:
    """A bar from the level before to the level after, tied to the rows above and below."""
    color = VERMILLION if change > 0 else BLUE
    axes.barh(row, change, 0.56, left=start, color=color, linewidth=0, zorder=2, gid="contribution")
    _draw_stroke(axes, start, (row - 0.72, row + 0.28), "tie", color=MUTED, linewidth=0.9)
    _draw_stroke(axes, start + change, (row - 0.28, row + 0.72), "tie", color=MUTED, linewidth=0.9)


def _draw_stroke(axes: Axes, x: float, rows: tuple[float, float], gid: str, *, color: str, linewidth: float) -> None:
    """Draw a short vertical line."""
    axes.plot([x, x], rows, color=color, linewidth=linewidth, linestyle="-", marker="", zorder=1.5, gid=gid)


def _draw_after_temperature(figure: Figure, axes: Axes, pair: PairedComparison) -> None:
    """Both losses after each model's own temperature, in a row of their own."""
    a, b, change = pair.loss_a_after_temperature, pair.loss_b_after_temperature, pair.delta_loss_after_temperature
    axes.axhline(5.52, color=MUTED, marker="", linewidth=0.8, linestyle=(0, (2, 2)))
    row = 6.1
    if not (np.isfinite(a) and np.isfinite(b)):
        _write_row(figure, axes, row, "after temperature", ["", "", "", "unknown"], color=MUTED)
        return
    axes.barh(row, a - b, 0.2, left=b, color=VERMILLION if a > b else BLUE, linewidth=0, zorder=2)
    for loss, name, side in ((a, "A", 1 if a >= b else -1), (b, "B", -1 if a >= b else 1)):
        _draw_stroke(axes, loss, (row - 0.28, row + 0.28), f"after temperature {name}", color=INK, linewidth=4)
        align: dict[str, Any] = {"ha": "left" if side > 0 else "right", "va": "center_baseline"}
        put(axes, loss, row, f" {name} ", size=10, weight="bold", **align)
    _write_row(figure, axes, row, "after own temperature", ["", number(a), number(b), signed(change)])


def _write_row(
    figure: Figure,
    axes: Axes,
    row: float,
    name: str,
    figures: Sequence[str],
    *,
    color: str = INK,
    weight: str = "normal",
) -> None:
    """Write a row's name before the bars and its figures after them."""
    width, height = figure.bbox.size
    y = float(axes.transData.transform((0, row))[1]) / height
    name = fit_text(figure, name, _BARS[0] - 24, weight=weight)
    put(figure, 16 / width, y, name, color=color, va="center_baseline", weight=weight)
    for (x, _), text in zip(_COLUMNS, figures, strict=True):
        put(figure, x / width, y, text, color=color, ha="right", va="center_baseline", weight=weight)
