"""Predicted against true numbers, and what the squared error is made of."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    GRID,
    INK,
    MUTED,
    SKY,
    VERMILLION,
    add_axes,
    color_key,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
    text_size,
    tint,
)
from lossacc_mlflow.plots.waterfall import Columns, draw_step, draw_stroke, limits_of, set_bar_axis, write_row
from lossacc_mlflow.records import RegressionSamples, RegressionSummary
from lossacc_mlflow.wording import number, percent, signed

__all__ = ["plot_regression"]

_FOOT, _SIDE, _HEAD = 56, 420, 112
_COLUMNS: Final = Columns(bars=(740, 958), figures=((1029, ""),), left=560)
_NEAR = 0.35
"""Share of the target's variance from which on the axis reaches to the whole of it."""
_MOST_POINTS = 1500
_N_CELLS = 110
_PARTS: Final = (
    ("constant error (bias²)", "mse_bias", VERMILLION),
    ("wrong spread (slope)", "mse_slope", SKY),
    ("scatter (residual)", "mse_residual", tint(INK, 0.3)),
)


def plot_regression(samples: RegressionSamples, summary: RegressionSummary) -> Figure:
    """Draw true against predicted numbers, and the parts of the mean squared error relative to the target's variance.

    Parameters
    ----------
    samples : RegressionSamples
        Of more than 1,500 the density is drawn, in which single points still show.
    summary : RegressionSummary
        Of the same samples.

    Returns
    -------
    Figure
        On the left the identity (dashed) and the least-squares line of the target over the prediction: on the identity
        a prediction means what it says. On the right bars that add up to MSE / variance = 1 - R².
    """
    figure = new_figure((_FOOT + _SIDE + _HEAD) / DPI)
    top = header(figure, f"True against predicted values ({samples.split})", _lines(summary))
    color_key(figure, top - 9, ((MUTED, "true = predicted"), (VERMILLION, "best straight line through the points")))
    low, high = _limits(samples)
    ticks = [float(t) for t in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= t <= high]
    left = 46 + max((text_size(figure, _tick(t))[0] for t in ticks), default=0.0)
    axes = add_axes(figure, left, _FOOT, left + _SIDE, _FOOT + _SIDE)
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    _set_ticks(figure, axes, ticks)
    _draw_points(axes, samples)
    _draw_lines(axes, summary)
    _draw_decomposition(figure, summary, top - 28)
    return figure


def _lines(summary: RegressionSummary) -> list[str]:
    """How good it is, and how good in units of the target's own spread."""
    if not summary.target_sd > 0:
        return [
            f"RMSE {number(summary.rmse)} · {summary.n_samples:,} samples · every true value is the same, or not known"
        ]
    return [
        f"R² {number(summary.r2)} · RMSE {number(summary.rmse)} is {percent(summary.rmse_over_sd)} of the target's "
        f"standard deviation {number(summary.target_sd)} · {summary.n_samples:,} samples",
        f"mean error {signed(summary.bias)} · slope {number(summary.slope)} · the worst 1 % of the samples carry "
        f"{percent(summary.loss_share_top1pct)} of the squared error",
    ]


def _limits(samples: RegressionSamples) -> tuple[float, float]:
    values = np.concatenate([samples.y_true, samples.y_pred])
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin


def _set_ticks(figure: Figure, axes: Axes, ticks: Sequence[float]) -> None:
    """The same ticks on both axes, every second one below where they would run into each other."""
    labels = [_tick(t) for t in ticks]
    set_ticks(axes.yaxis, ticks, labels)
    room = _SIDE / max(len(ticks), 1) - 10
    every = 2 if max((text_size(figure, label)[0] for label in labels), default=0.0) > room else 1
    set_ticks(axes.xaxis, ticks[::every], labels[::every])
    set_label(axes.xaxis, "predicted value")
    set_label(axes.yaxis, "true value")
    axes.grid(visible=True, color=GRID, linewidth=0.8, linestyle="-")


def _draw_points(axes: Axes, samples: RegressionSamples) -> None:
    """Points, or how many of them lie in each small cell; both axes have the same scale."""
    low, high = axes.get_xlim()
    known = np.isfinite(samples.y_true) & np.isfinite(samples.y_pred)
    x, y = samples.y_pred[known], samples.y_true[known]
    if len(x) <= _MOST_POINTS:
        size = float(np.clip(9 - 2 * np.log10(max(len(x), 1)), 3, 7))
        axes.plot(
            x, y, linestyle="none", marker="o", markersize=size, color=BLUE, alpha=0.45, markeredgewidth=0, zorder=2,
            gid="points",
        )  # fmt: skip
        return
    counts = np.histogram2d(y, x, bins=_N_CELLS, range=((low, high), (low, high)))[0]
    # Even a single point must be seen: shades run by the logarithm of the count.
    strength = np.where(counts > 0, 0.3 + 0.7 * np.log1p(counts) / np.log1p(max(counts.max(), 1)), 0.0)
    ink = np.array([int(BLUE[i : i + 2], 16) for i in (1, 3, 5)])
    shade = np.dstack([255 - strength[..., None] * (255 - ink), 255 * (counts > 0)]).astype(np.uint8)
    axes.imshow(
        shade,
        extent=(low, high, low, high),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        zorder=2,
        gid="points",
    )


def _tick(value: float) -> str:
    if value == round(value) and abs(value) < 1e7:
        return f"{value:,.0f}"
    return re.sub(r"e([+-])0*", lambda m: "e-" if m[1] == "-" else "e", f"{value:.4g}")


def _draw_lines(axes: Axes, summary: RegressionSummary) -> None:
    """The identity and the best line; both end at the edges of the axes."""
    low, high = axes.get_xlim()
    axes.plot(
        [low, high], [low, high], color=MUTED, linewidth=1.4, linestyle=(0, (4, 2)), marker="", zorder=3, gid="identity"
    )
    mean = summary.target_mean + summary.bias
    ends = [summary.target_mean + summary.slope * (x - mean) for x in (low, high)]
    if np.isfinite(ends).all():
        axes.plot([low, high], ends, color=VERMILLION, linewidth=2.0, linestyle="-", marker="", zorder=3, gid="fit")
        axes.set_ylim(low, high)


def _draw_decomposition(figure: Figure, summary: RegressionSummary, top: float) -> None:
    """Bars from zero to the mean squared error, in units of the target's variance."""
    axes = add_axes(figure, _COLUMNS.bars[0], _FOOT + 120, _COLUMNS.bars[1], top - 40)
    axes.set_ylim(3.6, -0.6)
    # A constant target has no variance to hold the error against.
    varies = bool(np.isfinite(summary.target_sd) and summary.target_sd > 0)
    unit = summary.target_sd**2 if varies else 1.0
    parts = [(name, float(getattr(summary, field)), color) for name, field, color in _PARTS]
    levels = np.cumsum([0.0, *(v / unit for _, v, _ in parts)])
    has_mean = varies and bool(levels[-1] > _NEAR)
    limits = limits_of([0.0, *levels, *([1.0] if has_mean else [])])
    set_bar_axis(axes, limits, "MSE / variance of the target" if varies else "MSE (the target is constant)")
    write_row(figure, axes, _COLUMNS, -0.98, "what the squared error is made of", ["share"], fit=False)
    for row, (name, value, color) in enumerate(parts):
        if np.isfinite(levels[row : row + 2]).all():
            draw_step(axes, row, float(levels[row]), value / unit, color, gid="part")
        write_row(figure, axes, _COLUMNS, row, name, [_share(value, summary)])
    draw_stroke(axes, float(levels[-1]), (2.7, 3.3), "mse")
    write_row(figure, axes, _COLUMNS, 3, f"MSE {number(summary.mse)}", [""], weight="bold")
    if has_mean:
        axes.axvline(1.0, color=MUTED, linewidth=1.3, linestyle=(0, (4, 2)), marker="", zorder=2.2, gid="mean")
    lines = [f"1 is always answering the mean: R² = 1 - {number(float(levels[-1]))}"] if varies else []
    if summary.mse > 0 and np.isfinite(summary.slope):
        shift, stretch = _share(summary.mse_bias, summary), _share(summary.mse_slope, summary)
        lines.append(f"in hindsight, adding {number(-summary.bias)} removes {shift} of the error,")
        lines.append(f"and then stretching by {number(summary.slope)} removes {stretch}")
    for place, line in enumerate(lines):
        height = (_FOOT + 36 - 19 * place) / figure.bbox.height
        put(figure, _COLUMNS.left / figure.bbox.width, height, line, color=MUTED)


def _share(part: float, summary: RegressionSummary) -> str:
    return percent(part / summary.mse) if summary.mse > 0 else ""
