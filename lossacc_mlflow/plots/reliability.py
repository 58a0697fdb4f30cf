"""Reliability diagram: how often predictions of a given confidence are right."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binom

from lossacc_mlflow.plots.labels import spread
from lossacc_mlflow.plots.style import (
    BLUE,
    GRID,
    INK,
    MUTED,
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
    with_codes,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.records import FloatArray, PredictionSummary
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_reliability"]

_LEFT, _RIGHT = 82, 24
_NOISE, _NOISE_EDGE = "#dfe3e8", "#b9c1ca"


def plot_reliability(summary: PredictionSummary, *, title: str, codes: Sequence[str] = ()) -> Figure:
    """Draw accuracy against confidence in bins, with a histogram of the confidences below.

    Parameters
    ----------
    summary : PredictionSummary
        Its ``bin_*`` fields are drawn.
    title : str
        Name of the run and split; drawn literally.

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        A bar spans the gap between confidence and accuracy of its bin, orange where the model is over-confident, blue
        where it is under-confident. The grey boxes hold the accuracy of a calibrated model with the same number of
        samples in 95 of 100 cases (binomial); a dot within its box is white.
    """
    figure = new_figure(6.9)
    top = header(figure, with_codes(clean(title), codes), _lines(summary))
    right = figure.bbox.width - _RIGHT
    key = (
        (VERMILLION, "over-confident"),
        (BLUE, "under-confident"),
        (_NOISE, "a calibrated model, 95 of 100 cases (white dots: by chance)"),
    )
    color_key(figure, top - 9, key)
    upper = add_axes(figure, _LEFT, 236, right, top - 26)
    lower = add_axes(figure, _LEFT, 52, right, 196)
    count = np.asarray(summary.bin_count, dtype=np.float64)
    confidence = np.asarray(summary.bin_confidence, dtype=np.float64)
    accuracy = np.asarray(summary.bin_accuracy, dtype=np.float64)
    edges = np.linspace(0, 1, len(count) + 1)
    filled = np.flatnonzero(count > 0)
    start = float(edges[max(filled[0] - 1, 0)]) if filled.size else 0.0
    for axes in (upper, lower):
        axes.set_xlim(start, 1.004)
    _draw_gaps(upper, edges, count, confidence, accuracy)
    _draw_histogram(lower, edges, count)
    _draw_means(figure, lower, summary)
    return figure


def _lines(summary: PredictionSummary) -> list[str]:
    """What the picture says, in one or two lines."""
    verdict = "more than" if summary.ece > summary.ece_q95 else "no more than"
    ece = (
        f"calibration error (ECE) {percent(summary.ece)}, {verdict} chance explains: that is "
        f"{percent(summary.ece_expected)}, and in 19 of 20 cases under {percent(summary.ece_q95)}"
    )
    if summary.temperature is None:
        return [ece]
    bound = "" if not summary.temperature_at_bound else "at least " if summary.temperature > 1 else "at most "
    over, under = summary.temperature > 1.02, summary.temperature < 0.98
    side = "over-confident as a whole" if over else "under-confident as a whole" if under else "well scaled as a whole"
    line = f"best temperature {bound}{number(summary.temperature)}: {side}"
    if summary.refinement_loss is not None:
        line += f"; it takes the log loss from {number(summary.log_loss)} to {number(summary.refinement_loss)}"
    return [ece, line]


def _draw_gaps(axes: Axes, edges: FloatArray, count: FloatArray, confidence: FloatArray, accuracy: FloatArray) -> None:
    """Noise boxes, the diagonal, and the gap of every bin."""
    axes.set_ylim(-0.02, 1.03)
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    set_ticks(axes.yaxis, ticks, [percent(t, zeros=False) for t in ticks])
    set_ticks(axes.xaxis, [t for t in np.arange(0, 1.05, 0.1) if t >= axes.get_xlim()[0]], [])
    set_label(axes.yaxis, "accuracy in the bin")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), marker="", zorder=2, gid="diagonal")
    width = edges[1] - edges[0]
    for i in np.flatnonzero(count > 0):
        # A confidence of exactly 1 leaves a calibrated model no chance to err.
        low, high = binom.interval(0.95, count[i], min(confidence[i], 1.0)) / count[i]
        # Of very many samples the box is thinner than a line: its edge keeps it visible.
        box: dict[str, Any] = {"color": _NOISE, "edgecolor": _NOISE_EDGE, "linewidth": 0.8}
        axes.bar(edges[i] + width / 2, high - low, width * 0.9, low, zorder=1, gid="noise", **box)
        over, by_chance = confidence[i] > accuracy[i], low <= accuracy[i] <= high
        strength = 0.35 if by_chance else 0.5 + 0.5 * np.sqrt(count[i] / count.max())
        color = tint(VERMILLION if over else BLUE, float(strength))
        gap = (min(confidence[i], accuracy[i]), abs(confidence[i] - accuracy[i]))
        axes.bar(confidence[i], gap[1], width * 0.42, gap[0], color=color, linewidth=0, zorder=3, gid="gap")
        area = 25 + 150 * np.sqrt(count[i] / count.max())
        inside, edge, kind = ("white", MUTED, "by chance") if by_chance else (INK, "white", "beyond chance")
        dot: dict[str, Any] = {"color": inside, "edgecolors": edge, "linewidths": 1.3, "gid": kind}
        axes.scatter([confidence[i]], [accuracy[i]], s=area, zorder=4, **dot)


def _draw_histogram(axes: Axes, edges: FloatArray, count: FloatArray) -> None:
    """How many predictions have which confidence."""
    axes.set_ylim(0, max(1.0, float(count.max())) * 1.32)
    set_ticks(axes.yaxis, [], [])
    ticks = [round(float(t), 2) for t in np.arange(0, 1.05, 0.1) if t >= axes.get_xlim()[0] - 1e-9]
    set_ticks(axes.xaxis, ticks, [percent(t, zeros=False) for t in ticks])
    set_label(axes.xaxis, "confidence: the probability of the predicted class")
    set_label(axes.yaxis, "samples")
    width = edges[1] - edges[0]
    axes.bar(edges[:-1] + width / 2, count, width * 0.9, color="#c3cad2", linewidth=0, zorder=2, gid="histogram")
    for i in np.flatnonzero(count > 0):
        put(
            axes,
            edges[i] + width / 2,
            count[i] + 0.02 * axes.get_ylim()[1],
            f"{count[i]:,.0f}",
            size=10,
            ha="center",
            va="bottom",
        )


def _draw_means(figure: Figure, axes: Axes, summary: PredictionSummary) -> None:
    """Mean confidence and accuracy as marks above the histogram: their distance is the bias."""
    box = axes.get_window_extent()
    means = ((summary.accuracy, "accuracy", INK), (summary.mean_confidence, "mean confidence", VERMILLION))
    if summary.mean_confidence < summary.accuracy:
        means = (means[0], (summary.mean_confidence, "mean confidence", BLUE))
    texts = [f"{name} {percent(value)}" for value, name, _ in means]
    pixels = [float(axes.transData.transform((value, 0))[0]) for value, _, _ in means]
    widths = [text_size(figure, t)[0] + 14 for t in texts]
    centres = spread(pixels, widths, box.x0, box.x1 + _RIGHT - 6)
    for (value, _, color), text, centre in zip(means, texts, centres, strict=True):
        mark: dict[str, Any] = {"marker": "v", "markersize": 8, "linestyle": "none", "clip_on": False, "gid": "mean"}
        axes.plot([value], [1.0], transform=axes.get_xaxis_transform(), color=color, zorder=5, **mark)
        put(figure, centre / figure.bbox.width, (box.y1 + 9) / figure.bbox.height, text, color=color, ha="center")
