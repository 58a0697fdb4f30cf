"""How sure a model is when it is right, and when it is wrong."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    GRID,
    MUTED,
    VERMILLION,
    add_axes,
    header,
    new_figure,
    put,
    readable,
    set_label,
    set_ticks,
    text_size,
    tint,
    with_codes,
)
from lossacc_mlflow.records import FloatArray, SamplePredictions
from lossacc_mlflow.wording import percent

__all__ = ["plot_confidence"]

_LEFT, _RIGHT, _FOOT, _PANEL, _GAP = 92, 24, 52, 176, 44
_HEAD = 95
_N_BINS = 40
_LOG_RATIO = 12.0
_SURE: Final = 0.9


def plot_confidence(samples: SamplePredictions, *, codes: Sequence[str] = ()) -> Figure:
    """Draw the confidence of right and of wrong answers as two histograms on one axis.

    Parameters
    ----------
    samples : SamplePredictions

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        Both histograms have the same bins and the same scale of counts: logarithmic where one of them would else be
        flat. A line marks the mean confidence of each.
    """
    figure = new_figure((_HEAD + 2 * _PANEL + _GAP + _FOOT) / DPI)
    confidence = samples.confidence[np.isfinite(samples.confidence)]
    right = (samples.y_pred == samples.y_true)[np.isfinite(samples.confidence)]
    groups = (("right", confidence[right], BLUE), ("wrong", confidence[~right], VERMILLION))
    title = with_codes(f"How sure is it when right, and when wrong? ({samples.split})", codes)
    top = header(figure, title, [_line(confidence[~right])])
    low = np.floor(min(confidence.min(initial=1.0), 0.95) * _N_BINS) / _N_BINS
    edges = np.linspace(low, 1.0, max(2, round((1 - low) * _N_BINS)) + 1)
    counts = [_count(edges, values) for _, values, _ in groups]
    log = _needs_log(counts)
    most = max(float(c.max(initial=0)) for c in counts) or 1.0
    bottom = top - 28 - _PANEL
    for (kind, values, color), count, last in zip(groups, counts, (False, True), strict=True):
        axes = add_axes(figure, _LEFT, bottom, figure.bbox.width - _RIGHT, bottom + _PANEL)
        axes.set_xlim(edges[0], 1.002)
        _set_counts(axes, most, log=log)
        ticks = [round(float(t), 3) for t in MaxNLocator(10, steps=[1, 2, 2.5, 5, 10]).tick_values(edges[0], 1.0)]
        inside = [t for t in ticks if edges[0] <= t <= 1]
        set_ticks(axes.xaxis, inside, [percent(t, zeros=False) for t in inside] if last else [])
        if last:
            set_label(axes.xaxis, "confidence: the probability of the predicted class")
        width = edges[1] - edges[0]
        axes.bar(edges[:-1] + width / 2, count, width * 0.92, color=tint(color, 0.75), linewidth=0, gid=f"{kind} count")
        _write_head(figure, axes, kind, values, len(samples), color)
        bottom -= _PANEL + _GAP
    return figure


def _line(wrong: FloatArray) -> str:
    """Say how many wrong answers are given with great confidence."""
    if not wrong.size:
        return "no answer is wrong"
    sure = int(np.count_nonzero(wrong > _SURE))
    share = percent(sure / wrong.size)
    return f"{sure:,} of {wrong.size:,} wrong answers ({share}) are given with more than {percent(_SURE, 0)} confidence"


def _count(edges: FloatArray, values: FloatArray) -> FloatArray:
    """Samples in each bin (lo, hi], the lowest one closed."""
    place = np.searchsorted(edges, values, side="left") - 1
    return np.bincount(np.clip(place, 0, len(edges) - 2), minlength=len(edges) - 1).astype(np.float64)


def _needs_log(counts: list[FloatArray]) -> bool:
    """Whether on a linear scale one of the histograms, or most of it, would lie flat on the ground."""
    peaks = [float(c.max()) for c in counts if c.any()]
    filled = np.concatenate([c[c > 0] for c in counts]) if peaks else np.ones(1)
    return bool(peaks) and (max(peaks) > _LOG_RATIO * min(peaks) or max(peaks) > 10 * _LOG_RATIO * np.median(filled))


def _set_counts(axes: Axes, most: float, *, log: bool) -> None:
    """Set the scale of the counts; a single sample has a height on the logarithmic one too."""
    axes.set_yscale("log" if log else "linear")
    axes.set_ylim(*((0.5, most * 1.6) if log else (0, most * 1.06)))
    locator = LogLocator(numticks=5) if log else MaxNLocator(4, integer=True, steps=[1, 2, 5, 10])
    ticks = [float(t) for t in locator.tick_values(*axes.get_ylim()) if axes.get_ylim()[0] <= t <= axes.get_ylim()[1]]
    set_ticks(axes.yaxis, ticks, [_short(t) for t in ticks])
    set_label(axes.yaxis, "samples (log scale)" if log else "samples")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")


def _short(count: float) -> str:
    """Count in at most five characters.

    Examples
    --------
    >>> _short(5000.0), _short(20_000.0), _short(3e6)
    ('5,000', '20k', '3M')
    """
    if count < 10_000:
        return f"{count:,.0f}"
    return f"{count / 1e3:,.4g}k" if count < 1e6 else f"{count / 1e6:,.4g}M"


def _write_head(figure: Figure, axes: Axes, kind: str, values: FloatArray, n: int, color: str) -> None:
    """Name a histogram, and mark its mean."""
    box, (width, height) = axes.get_window_extent(), figure.bbox.size
    share = f" ({percent(values.size / n)})" if n else ""
    head = f"{values.size:,} {kind}{share}"
    put(figure, 16 / width, (box.y1 + 8) / height, head, color=readable(color), weight="bold", gid="head")
    if not values.size:
        put(axes, 0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        return
    mean = float(values.mean())
    axes.axvline(mean, color=readable(color), linewidth=1.6, linestyle=(0, (4, 2)), marker="", zorder=3, gid="mean")
    text = f"mean confidence {percent(mean)}"
    space, x = text_size(figure, text)[0], float(axes.transData.transform((mean, 0))[0])
    free = 16 + text_size(figure, head, weight="bold")[0] + 20
    start = float(np.clip(x - space / 2, free, width - space - 8))
    options: dict[str, Any] = {"color": readable(color), "gid": "mean words"}
    put(figure, start / width, (box.y1 + 8) / height, text, **options)
