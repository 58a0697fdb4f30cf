"""Curves as lines: which metric goes into which panel, decimation that keeps spikes, non-finite values, axes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from lossacc_mlflow.curves import LOSS_METRICS, QUALITY_METRICS
from lossacc_mlflow.plots.labels import spread
from lossacc_mlflow.plots.style import SIZE, put, readable, set_label, set_ticks, text_size
from lossacc_mlflow.records import Curve, FloatArray, Metric, Split, StepUnit
from lossacc_mlflow.wording import number, percent

__all__ = [
    "STEP_LABELS",
    "EndLabel",
    "Scale",
    "at_step",
    "connect",
    "draw_trace",
    "end_labels",
    "envelope",
    "metric_label",
    "preferred",
    "score_text",
    "set_step_axis",
    "value_scale",
]

STEP_LABELS: Final[dict[StepUnit, str]] = {
    "epoch": "epoch",
    "iteration": "iteration",
    "n_estimators": "number of estimators",
    "n_samples": "training samples",
    "global_step": "global step",
}
_METRIC_LABELS: Final = {"log_loss": "log loss", "r2": "R²", "roc_auc": "ROC AUC", "f1": "F1"}

_LOG_DECADES = 1.5
_MAX_COLUMNS = 1200
"""Columns into which a long curve is gathered: more than a panel has pixels."""
_MARKED_POINTS = 30
_TICK_GAP = 24
_LARGEST = 1e300
"""Larger values would overflow in matplotlib's own arithmetic; nobody can tell them apart in a picture."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Limits of a value axis, and whether it is logarithmic."""

    low: float
    high: float
    log: bool

    def apply(self, axes: Axes, *, fraction: bool) -> None:
        """Set limits and ticks."""
        axes.set_yscale("log" if self.log else "linear")
        axes.set_ylim(self.low, self.high)
        set_ticks(axes.yaxis, *self.ticks(fraction=fraction))

    def ticks(self, *, fraction: bool) -> tuple[list[float], list[str]]:
        """Return where ticks stand, and their labels."""
        if self.log:
            decades = np.log10(self.high / self.low)
            subs: Any = (1.0, 3.0) if decades < 4 else (1.0,)
            if decades < 2:
                subs = (1.0, 2.0, 5.0)
            with np.errstate(over="ignore"):  # a tick beyond the largest float is outside anyway
                ticks = LogLocator(subs=subs, numticks=9).tick_values(self.low, self.high)
        else:
            ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low, self.high)
        inside = [float(t) for t in ticks if self.low <= t <= self.high]
        return inside, _tick_labels(inside, fraction=fraction, log=self.log)


@dataclass(frozen=True, slots=True)
class EndLabel:
    """Text beside the end of a line, at a height in data units; its leader begins at ``x`` pixels, or at the edge."""

    y: float
    text: str
    color: str
    x: float | None = None
    weight: str = "normal"


def preferred(curves: Iterable[Curve], *, greater_is_better: bool) -> str | None:
    """Name of the metric that a panel shows: known for train and validation first, then in the order of the rules."""
    order = QUALITY_METRICS if greater_is_better else LOSS_METRICS
    splits: dict[str, set[Split]] = {}
    for curve in curves:
        if curve.metric.greater_is_better == greater_is_better:
            splits.setdefault(curve.metric.name, set()).add(curve.split)

    def rank(name: str) -> tuple[bool, bool, int, str]:
        position = order.index(name) if name in order else len(order)
        return name not in order, not {"train", "validation"} <= splits[name], position, name

    return min(splits, key=rank, default=None)


def metric_label(curve: Curve) -> str:
    """Name of a metric for an axis, with its unit."""
    name = curve.metric.name
    label = _METRIC_LABELS.get(name, name.replace("_", " "))
    unit = curve.metric.unit
    return f"{label} ({unit})" if unit and unit != "fraction" else label


def score_text(metric: Metric, value: float) -> str:
    """Write a value of a metric: fractions as a percentage, everything else as a number."""
    return percent(value) if metric.unit == "fraction" else number(value)


def value_scale(values: Iterable[FloatArray], *, allow_log: bool, include: Sequence[float] = ()) -> Scale:
    """Limits that show all finite values; logarithmic if all are positive and they span more than 1.5 decades."""
    parts = [v[np.isfinite(v)] for v in values]
    finite = np.concatenate([*parts, np.asarray(include, dtype=np.float64)]) if parts else np.asarray(include)
    if finite.size == 0:
        return Scale(0.0, 1.0, log=False)
    low, high = (float(x) for x in np.clip([finite.min(), finite.max()], -_LARGEST, _LARGEST))
    if allow_log and low > 0 and np.log10(high / low) > _LOG_DECADES:
        margin = (high / low) ** 0.06
        return Scale(max(low / margin, 1e-305), min(high, _LARGEST / margin) * margin, log=True)
    margin = 0.07 * (high - low) or 0.1 * abs(high) or 0.1
    return Scale(low - margin, high + margin, log=False)


def envelope(step: FloatArray, value: FloatArray, n_columns: int = _MAX_COLUMNS) -> tuple[FloatArray, FloatArray]:
    """Thin a long curve to the least and the greatest value of each of ``n_columns`` columns.

    Parameters
    ----------
    step, value : ndarray of float64, shape (n_points,)
        ``step`` is sorted. Values may be non-finite.
    n_columns : int
        Columns of equal width over the range of ``step``.

    Returns
    -------
    step, value : ndarray of float64, shape (<= 3 n_columns + 2,)
        Points of the curve, so that every spike survives; a NaN stands for a column without a finite value. Curves
        that are short enough come back as they are.

    Examples
    --------
    >>> value = np.zeros(100_000)
    >>> value[77_777] = 5.0
    >>> step, thin = envelope(np.arange(100_000.0), value, 100)
    >>> len(thin) <= 302, step[thin == 5.0].tolist()
    (True, [77777.0])
    """
    if len(step) <= 2 * n_columns:
        return step, value
    span = float(step[-1] - step[0]) or 1.0
    column = np.minimum(((step - step[0]) / span * n_columns).astype(np.int64), n_columns - 1)
    start = np.flatnonzero(np.diff(column, prepend=-1))
    keep = [np.array([0, len(step) - 1]), start[~np.logical_or.reduceat(np.isfinite(value), start)]]
    finite = np.flatnonzero(np.isfinite(value))
    if finite.size:
        group = np.flatnonzero(np.diff(column[finite], prepend=-1))
        # Sorting by column, then value puts the least of a column first and the greatest last.
        order = finite[np.lexsort((value[finite], column[finite]))]
        keep += [order[group], order[np.append(group[1:], finite.size) - 1]]
    index = np.unique(np.concatenate(keep))
    thin = value[index]
    return step[index], np.where(np.isfinite(thin), thin, np.nan)


def draw_trace(
    axes: Axes,
    x: FloatArray,
    value: FloatArray,
    *,
    color: str,
    row: int = 0,
    dots: bool = True,
    **line: Any,  # noqa: ANN401  (line properties)
) -> None:
    """Draw one curve: a line, dots where it is short or stands alone, and marks at the edge where it is not finite.

    ``row`` lifts these marks, so that those of several curves do not hide each other; ``dots=False`` leaves out the
    dots of a short curve.
    """
    shown = np.where(np.isfinite(value), np.clip(value, -_LARGEST, _LARGEST), value)
    finite = np.isfinite(shown)
    xs, ys = envelope(x, np.where(finite, shown, np.nan))
    if len(xs) < len(x):
        line |= {"linestyle": "-", "linewidth": 0.8}  # dashes would break up the spikes
    axes.plot(xs, ys, color=color, solid_capstyle="round", solid_joinstyle="round", **{"marker": "", **line})
    alone = finite & ~np.append(False, finite[:-1]) & ~np.append(finite[1:], False)
    dotted = finite if dots and len(x) <= _MARKED_POINTS else alone
    if dotted.any():
        at, height = envelope(x[dotted], shown[dotted])
        size = 3.5 if len(x) > 5 else 6.5
        axes.plot(at, height, color=color, linestyle="none", marker="o", markersize=size, zorder=line.get("zorder", 2))
    for bad, marker, height_in_axes in (
        (np.isnan(value), "x", 0.03 + 0.05 * row),
        (np.isposinf(value), "^", 0.97 - 0.05 * row),
        (np.isneginf(value), "v", 0.03 + 0.05 * row),
    ):
        if bad.any():
            at, _ = envelope(x[bad], np.zeros(int(bad.sum())), 60)
            axes.plot(
                at,
                np.full(len(at), height_in_axes),
                transform=axes.get_xaxis_transform(),
                color=color,
                linestyle="none",
                marker=marker,
                markersize=6,
                markeredgewidth=1.4,
                gid="non-finite",
            )


def end_labels(figure: Figure, axes: Axes, labels: Sequence[EndLabel], *, size: float = SIZE) -> None:
    """Write labels to the right of the axes at the height of their lines, moved apart where they would overlap."""
    if not labels:
        return
    box = axes.get_window_extent()
    width, height = figure.bbox.size
    wanted = [float(np.clip(axes.transData.transform((0, e.y))[1], box.y0, box.y1)) for e in labels]
    line = text_size(figure, "Ég", size=size)[1]
    # Not above the axes: there stand the words about onsets.
    centres = spread(wanted, [line] * len(labels), box.y0 - line / 2, box.y1 + 1)
    for label, y, centre in zip(labels, wanted, centres, strict=True):
        if np.isfinite(label.y):
            edge = box.x1 + 2
            if label.x is not None:
                connect(axes, (label.x, y), (max(edge, label.x), y), label.color)
            connect(axes, (max(edge, label.x or 0.0), y), (box.x1 + 15, centre), label.color)
        put(
            figure,
            (box.x1 + 18) / width,
            centre / height,
            label.text,
            size=size,
            color=readable(label.color),
            weight=label.weight,
            va="center_baseline",
            gid="end label",
        )


def connect(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    """Draw a thin line between two positions in pixels, also outside the axes."""
    axes.annotate(
        "",
        xy=start,
        xytext=end,
        xycoords="figure pixels",
        textcoords="figure pixels",
        arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0},
        annotation_clip=False,
        fontsize=SIZE,
    )


def at_step(unit: StepUnit, step: int) -> str:
    """Say where something happened.

    Examples
    --------
    >>> at_step("epoch", 12), at_step("n_samples", 800)
    ('at epoch 12', 'with 800 training samples')
    """
    if unit in {"n_samples", "n_estimators"}:
        return f"with {step:,} {'training samples' if unit == 'n_samples' else 'estimators'}"
    return f"at {STEP_LABELS[unit]} {step:,}"


def set_step_axis(
    figure: Figure, axes: Axes, low: float, high: float, *, unit: StepUnit, labelled: bool = True, room: float = 0.0
) -> None:
    """Set limits and whole-number ticks of a step axis; a single step gets room on both sides.

    ``room`` is kept free to the right of the last step, in pixels.
    """
    margin = 0.015 * (high - low) if high > low else 0.5
    width = axes.get_window_extent().width
    axes.set_xlim(low - margin, high + margin + (high - low + 2 * margin) * room / (width - room))
    widest = max(text_size(figure, _step_label(end))[0] for end in (low, high))
    n_ticks = int(np.clip(width / (widest + _TICK_GAP), 1, 8))
    ticks = MaxNLocator(nbins=n_ticks, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
    inside = [float(t) for t in ticks if low - margin <= t <= high + margin and float(t).is_integer()]
    set_ticks(axes.xaxis, inside, [_step_label(t) for t in inside])
    if labelled:
        set_label(axes.xaxis, STEP_LABELS[unit])


def _step_label(step: float) -> str:
    return f"{step:,.0f}" if abs(step) < 1e9 else f"{step:.3g}"


def _tick_labels(ticks: Sequence[float], *, fraction: bool, log: bool) -> list[str]:
    """Tick labels with as many decimals as their distance needs."""
    if log:
        # As numbers are written elsewhere: 2e-8, not 2e-08.
        return [re.sub(r"e([+-])0*", lambda m: "e-" if m[1] == "-" else "e", f"{t:g}") for t in ticks]
    scale, unit = (100, " %") if fraction else (1, "")
    distance = scale * min(np.diff(ticks), default=1.0)
    if not 1e-6 < distance < 1e6:
        return [f"{scale * t:.3g}{unit}" for t in ticks]
    digits = max(0, -int(np.floor(np.log10(distance) + 1e-9)))
    if digits <= 6 and round(distance, digits) != round(distance, digits + 1):
        digits += 1  # steps of 2.5
    return [f"{scale * t + 0.0:,.{digits}f}{unit}" for t in ticks]
