"""Which classes carry the loss."""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.style import (
    DPI,
    INK,
    MUTED,
    VERMILLION,
    add_axes,
    color_key,
    header,
    new_figure,
    put,
    readable,
    tint,
    with_codes,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.waterfall import Columns, draw_stroke, set_bar_axis, write_row
from lossacc_mlflow.records import ClassSummary, PredictionSummary, Split
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_class_loss"]

_COLUMNS: Final = Columns(
    bars=(232, 590),
    figures=((670, "samples"), (757, "answered"), (838, "recall"), (928, "precision"), (1029, "mean loss")),
)
_ROW = 26
_FINE = 0.02
_MOST_CLASSES, _SHOWN_CLASSES = 20, 18


def plot_class_loss(summary: PredictionSummary, split: Split, *, codes: Sequence[str] = ()) -> Figure:
    """Draw the share of the loss that each class carries, beside its share of the samples.

    Parameters
    ----------
    summary : PredictionSummary
        Its ``classes`` are drawn.
    split : {"train", "validation", "test"}

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        One row a true class, those with the greatest share of the loss first; of more than 20 classes the 18 first
        ones, and the others together. Figures: samples of the class, how often it was answered, recall, precision,
        mean log loss in nats.
    """
    ordered = sorted(summary.classes, key=lambda c: (-_known(c.loss_share), -_known(c.log_loss), -c.n_samples, c.label))
    shown = ordered if len(ordered) <= _MOST_CLASSES else ordered[:_SHOWN_CLASSES]
    others = ordered[len(shown) :]
    n_rows = len(shown) + bool(others)
    figure = new_figure((_ROW * (n_rows + 1) + 170) / DPI)
    top = header(figure, with_codes(_title(split, len(shown), len(ordered)), codes), [_line(summary)])
    color_key(figure, top - 9, ((tint(VERMILLION, 0.75), "share of the loss"), (INK, "share of the samples")))
    if not shown:
        put(figure, 0.5, 0.2, "No class is known.", ha="center", color=MUTED)
        return figure
    axes = add_axes(figure, _COLUMNS.bars[0], 52, _COLUMNS.bars[1], top - 44)
    axes.set_ylim(n_rows - 0.4, -0.6)
    shares = [(_known(c.loss_share), c.n_samples / max(summary.n_samples, 1)) for c in shown]
    most = max((max(s) for s in shares), default=0.0) or 1.0
    set_bar_axis(axes, (0.0, 1.18 * most), "share of all")
    ticks = [float(t) for t in axes.get_xticks()]
    axes.xaxis.get_major_formatter().seq = [percent(t, zeros=False) for t in ticks]  # type: ignore[attr-defined]
    write_row(figure, axes, _COLUMNS, -0.95, "true class", [name for _, name in _COLUMNS.figures], color=MUTED)
    for row, (of, (loss, part)) in enumerate(zip(shown, shares, strict=True)):
        axes.barh(row, loss, 0.6, color=tint(VERMILLION, 0.75), linewidth=0, zorder=2, gid="loss share")
        draw_stroke(axes, part, (row - 0.36, row + 0.36), "sample share", linewidth=3)
        share = percent(of.loss_share, 1 if most >= _FINE else 2)
        put(axes, max(loss, part) + 0.012 * most, row, f" {share}", va="center_baseline", color=MUTED)
        write_row(figure, axes, _COLUMNS, row, clean(of.label, 60) or "(empty)", _figures(of))
    if others:
        _write_others(figure, axes, n_rows - 1, others, summary)
    return figure


def _known(value: float) -> float:
    return value if isfinite(value) else 0.0


def _title(split: Split, shown: int, n_classes: int) -> str:
    which = f", the {shown} costliest of {n_classes:,}" if shown < n_classes else ""
    return f"Which classes carry the loss? ({split}{which})"


def _line(summary: PredictionSummary) -> str:
    """Accuracy, beside what it would be without a model, and without regard to how frequent a class is."""
    largest, balanced = percent(summary.majority_accuracy), percent(summary.balanced_accuracy)
    return (
        f"accuracy {percent(summary.accuracy)} · always answering the largest class {largest} · "
        f"mean over the classes (balanced accuracy) {balanced}"
    )


def _figures(of: ClassSummary) -> list[str]:
    answered = f"{of.n_predicted:,}" if of.n_predicted else "never"
    if not of.n_samples:
        return ["none", answered, "", "", ""]
    precision = percent(of.precision) if of.n_predicted else ""
    return [f"{of.n_samples:,}", answered, percent(of.recall), precision, number(of.log_loss)]


def _write_others(
    figure: Figure, axes: Axes, row: int, others: Sequence[ClassSummary], summary: PredictionSummary
) -> None:
    """All other classes in one row; their bar would dwarf the rest, so it is a sentence."""
    n, answered = sum(c.n_samples for c in others), sum(c.n_predicted for c in others)
    share = sum(_known(c.loss_share) for c in others)
    mean = share * summary.log_loss * summary.n_samples / n if n else float("nan")
    cells = [f"{n:,}", f"{answered:,}", "", "", number(mean)]
    write_row(figure, axes, _COLUMNS, row, f"{len(others):,} others together", cells, color=MUTED)
    part = n / max(summary.n_samples, 1)
    text = f"{percent(share)} of the loss, {percent(part)} of the samples"
    put(axes, 0, row, f" {text}", va="center_baseline", color=readable(MUTED), gid="others")
