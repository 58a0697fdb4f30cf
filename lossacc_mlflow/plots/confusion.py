"""Which classes are taken for which."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    INK,
    MUTED,
    SIZE,
    VERMILLION,
    add_axes,
    fit_text,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
    text_size,
    tint,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.records import IntArray, SamplePredictions
from lossacc_mlflow.wording import percent

__all__ = ["plot_confusion"]

_MOST_CLASSES = 30
_SHOWN_CLASSES = 20
_LABEL_ROOM = 120
_SIDE = 84


def plot_confusion(samples: SamplePredictions) -> Figure:
    """Draw the confusion matrix as counts.

    Parameters
    ----------
    samples : SamplePredictions

    Returns
    -------
    Figure
        One row a true class, one column a predicted one. Right answers are blue, wrong ones orange, each on a scale of
        its own, so that rare confusions show. Of more than 30 classes the 20 most confused are drawn.
    """
    matrix = _count(samples)
    shown = _most_confused(matrix)
    part = matrix[np.ix_(shown, shown)]
    k = len(shown)
    side = float(np.clip(460 / max(k, 1), 27, 120)) * max(k, 1)
    figure = new_figure((side + 190) / DPI)
    names = [
        fit_text(figure, clean(samples.classes[c], 40) or "(empty)", _LABEL_ROOM - 12, keep_end=True) for c in shown
    ]
    room = max((text_size(figure, n)[0] for n in names), default=0.0)
    header(figure, _title(samples, k, len(matrix)), [_most_frequent(figure, samples, matrix)])
    left = 44 + room
    width = min(figure.bbox.width - left - _SIDE - 16, max(88.0 * k, 520.0))
    slanted = max((text_size(figure, n)[0] for n in names), default=0.0) > width / max(k, 1) - 6
    foot = 40 + (room * 0.72 + 12 if slanted else 22)
    axes = add_axes(figure, left, foot, left + width, foot + figure.bbox.height - foot - 94)
    _draw_cells(figure, axes, part)
    set_ticks(axes.xaxis, range(k), names)
    set_ticks(axes.yaxis, range(k), names)
    if slanted:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    set_label(axes.xaxis, "predicted class")
    set_label(axes.yaxis, "true class")
    _write_recall(axes, matrix, shown)
    return figure


def _count(samples: SamplePredictions) -> IntArray:
    """Confusion matrix; shape (n_classes, n_classes), rows are true classes."""
    k = len(samples.classes)
    flat = np.bincount(samples.y_true * k + samples.y_pred, minlength=k * k)
    return flat.reshape(k, k).astype(np.int64)


def _most_confused(matrix: IntArray) -> IntArray:
    """All classes, or those with the most errors as true or predicted class, in their own order."""
    if len(matrix) <= _MOST_CLASSES:
        return np.arange(len(matrix))
    wrong = matrix - np.diag(np.diag(matrix))
    errors = wrong.sum(axis=0) + wrong.sum(axis=1)
    return np.sort(np.argsort(-errors, kind="stable")[:_SHOWN_CLASSES])


def _title(samples: SamplePredictions, shown: int, n_classes: int) -> str:
    which = f", the {shown} most confused of {n_classes} classes" if shown < n_classes else ""
    return f"Predicted and true classes ({samples.split}{which})"


def _most_frequent(figure: Figure, samples: SamplePredictions, matrix: IntArray) -> str:
    """The errors in words."""
    wrong = matrix - np.diag(np.diag(matrix))
    n_wrong = int(wrong.sum())
    if n_wrong == 0:
        return f"none of {len(samples):,} predictions is wrong"
    pairs = np.argsort(-wrong, axis=None, kind="stable")[:3]
    parts = []
    for pair in pairs:
        true, predicted = divmod(int(pair), len(matrix))
        if wrong[true, predicted] > 0:
            labels = (clean(samples.classes[c], 80) or "(empty)" for c in (true, predicted))
            names = [fit_text(figure, label, 90, keep_end=True) for label in labels]
            parts.append(f"{names[0]} taken for {names[1]} ({wrong[true, predicted]:,})")
    return f"{n_wrong:,} of {len(samples):,} predictions are wrong, most often: {', '.join(parts)}"


def _draw_cells(figure: Figure, axes: Axes, matrix: IntArray) -> None:
    """Colour the cells and write the counts where they fit."""
    k = len(matrix)
    axes.set_xlim(-0.5, k - 0.5)
    axes.set_ylim(k - 0.5, -0.5)
    right = np.diag(matrix)
    wrong = matrix - np.diag(right)
    most_right, most_wrong = max(int(right.max(initial=0)), 1), max(int(wrong.max(initial=0)), 1)
    colors = np.full((k, k, 3), 255, dtype=np.uint8)
    dark = np.zeros((k, k), dtype=bool)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        top, hue = (most_right, BLUE) if row == column else (most_wrong, VERMILLION)
        # Even a single error must be seen; the scale of the errors runs by their square root.
        strength = 0.18 + 0.62 * float(np.sqrt(matrix[row, column] / top))
        shade = tint(hue, strength)
        colors[row, column] = [int(shade[i : i + 2], 16) for i in (1, 3, 5)]
        dark[row, column] = strength > 0.55
    axes.imshow(colors, aspect="auto", interpolation="nearest", zorder=1)
    for line in np.arange(0.5, k - 1):
        axes.axhline(line, color="#eceff2", marker="", linewidth=0.8, linestyle="-", zorder=2)
        axes.axvline(line, color="#eceff2", marker="", linewidth=0.8, linestyle="-", zorder=2)
    sizes = {True: _count_size(figure, axes, right, k), False: _count_size(figure, axes, wrong.ravel(), k)}
    for row, column in zip(*np.nonzero(matrix), strict=True):
        size = sizes[bool(row == column)]
        if not size:
            continue
        color = "white" if dark[row, column] else INK
        text = _short_count(int(matrix[row, column]))
        weight = "normal" if row == column else "bold"
        options = {"ha": "center", "va": "center", "gid": "count"}
        put(axes, column, row, text, size=size, color=color, weight=weight, zorder=3, **options)


def _count_size(figure: Figure, axes: Axes, counts: IntArray, k: int) -> float:
    """Largest type size at which all counts fit into their cells; 0 if none is legible."""
    box = axes.get_window_extent()
    cell = (box.width / k - 3, box.height / k - 3)
    longest = max((_short_count(int(c)) for c in counts), key=len, default="0")
    for size in (14.0, 12.0, SIZE, 9.5, 8.5, 7.5):
        width, height = text_size(figure, longest, size=size, weight="bold")
        if width <= cell[0] and height <= cell[1]:
            return size
    return 0.0


def _short_count(count: int) -> str:
    """Count in at most four characters."""
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.0f}M"


def _write_recall(axes: Axes, matrix: IntArray, shown: IntArray) -> None:
    """Write beside each row how many of its samples were found."""
    k = len(shown)
    put(axes, k - 0.5 + 0.012 * k, -0.5, " found", color=MUTED, va="bottom")
    for row, true in enumerate(shown):
        total = int(matrix[true].sum())
        text = percent(round(matrix[true, true] / total, 3)) if total else "no sample"
        put(axes, k - 0.5 + 0.012 * k, row, f" {text}", color=MUTED, va="center", size=10)
