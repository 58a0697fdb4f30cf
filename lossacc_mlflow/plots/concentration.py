"""Lorenz curve of the loss: how few samples carry how much of it, and whether they were right or wrong."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.clips import log_losses
from lossacc_mlflow.plots.clips import clip_strip_height, draw_clip_strip
from lossacc_mlflow.plots.labels import Box, place_labels, spread
from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    GRID,
    INK,
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
from lossacc_mlflow.plots.traces import connect
from lossacc_mlflow.records import FloatArray, IntArray, PredictionSummary, SamplePredictions
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_loss_concentration"]

_LEFT, _BOTTOM, _HEIGHT = 82, 56, 649
_MAX_POINTS = 2000
_SUSPECT: Final = "#7b3294"


def plot_loss_concentration(
    samples: SamplePredictions, summary: PredictionSummary, *, codes: Sequence[str] = ()
) -> Figure:
    """Draw the share of the loss that the worst samples carry.

    Parameters
    ----------
    samples : SamplePredictions
        Sorted here by loss, the worst first.
    summary : PredictionSummary
        Of the same samples; the figures that are written come from it.

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        Share of the loss against share of the samples. The coloured areas split the loss carried so far into that of
        wrong and of right predictions; the diagonal is a loss that all samples share equally. A dotted line is the
        part of suspected label errors, where they were looked for. Where the loss depends on the clip, a strip below
        shows it under that of each library.
    """
    strip = clip_strip_height(summary)
    figure = new_figure((_HEIGHT + strip) / DPI)
    n = len(samples)
    lines = [
        f"log loss {number(summary.log_loss)} over {n:,} samples · Gini coefficient {number(summary.loss_gini)} "
        "(0: all samples share it equally, 1: one sample carries all)"
    ]
    top = header(figure, with_codes(f"Who carries the loss? ({samples.split})", codes), lines)
    loss = log_losses(samples.p_true)
    total = float(loss.sum())
    texts = _side_texts(samples, summary)
    room = max(text_size(figure, t)[0] for t, _ in texts)
    if strip:
        draw_clip_strip(figure, summary)
    axes = add_axes(figure, _LEFT, _BOTTOM + strip, figure.bbox.width - room - 44, top - 6)
    _frame(axes)
    if not total > 1e-9 * n:
        put(axes, 0.66, 0.25, "no loss at all: every true class got probability 1", ha="center", color=MUTED)
        return figure
    order = np.argsort(-loss, kind="stable")
    wrong = (samples.y_pred != samples.y_true)[order]
    share = loss[order] / total
    x = np.arange(n + 1) / n
    carried = np.append(0.0, np.cumsum(share))
    by_wrong = np.append(0.0, np.cumsum(np.where(wrong, share, 0.0)))
    keep = _thin(n)
    axes.fill_between(x[keep], 0, by_wrong[keep], color=tint(VERMILLION, 0.45), linewidth=0, zorder=1, gid="wrong")
    axes.fill_between(
        x[keep], by_wrong[keep], carried[keep], color=tint(BLUE, 0.35), linewidth=0, zorder=1, gid="right"
    )
    axes.plot(x[keep], carried[keep], color=INK, linewidth=2.2, marker="", linestyle="-", zorder=3, gid="lorenz")
    suspects = _draw_suspects(axes, samples, order, share, x, keep)
    _write_sides(figure, axes, texts, [float(by_wrong[-1]), suspects])
    _mark_worst(figure, axes, carried, summary)
    return figure


def _draw_suspects(
    axes: Axes, samples: SamplePredictions, order: IntArray, share: FloatArray, x: FloatArray, keep: IntArray
) -> float:
    """Draw what suspected label errors carry, and return their share of the loss; NaN where there is none."""
    if samples.label_issue is None or not samples.label_issue.any():
        return float("nan")
    carried = np.append(0.0, np.cumsum(np.where(samples.label_issue[order], share, 0.0)))
    style: dict[str, Any] = {"linewidth": 2.0, "linestyle": (0, (1, 1.2)), "marker": "", "zorder": 3.2}
    axes.plot(x[keep], carried[keep], color=_SUSPECT, gid="suspects", **style)
    return float(carried[-1])


def _thin(n: int) -> np.ndarray:
    """Indices of the points to draw: all of them, or close ones where the curve bends and fewer beyond."""
    if n <= _MAX_POINTS:
        return np.arange(n + 1)
    near = np.geomspace(1, n, _MAX_POINTS // 2)
    return np.unique(np.concatenate([[0, n], near, np.linspace(0, n, _MAX_POINTS // 2)]).astype(np.int64))


def _frame(axes: Axes) -> None:
    """Axes in percent, and the diagonal."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.003)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    set_ticks(axes.xaxis, ticks, [percent(t, zeros=False) for t in ticks])
    set_ticks(axes.yaxis, ticks, [percent(t, zeros=False) for t in ticks])
    set_label(axes.xaxis, "share of the samples, those with the greatest loss first")
    set_label(axes.yaxis, "share of the loss")
    axes.grid(visible=True, color=GRID, linewidth=0.8, linestyle="-")
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), marker="", zorder=2, gid="diagonal")
    x0, y0 = axes.transData.transform((0, 0))
    x1, y1 = axes.transData.transform((1, 1))
    slope = float(np.degrees(np.arctan2(y1 - y0, x1 - x0)))
    options: dict[str, Any] = {"rotation": slope, "rotation_mode": "anchor", "ha": "center", "va": "top"}
    put(axes, 0.62, 0.605, "all samples equal", color=MUTED, zorder=2, **options)


def _side_texts(samples: SamplePredictions, summary: PredictionSummary) -> list[tuple[str, str]]:
    """What wrong and right predictions carry, from the bottom up."""
    n_wrong = int(np.count_nonzero(samples.y_pred != samples.y_true))
    parts = (
        ("wrong", n_wrong, summary.loss_share_incorrect, summary.loss_incorrect, VERMILLION),
        ("right", len(samples) - n_wrong, 1 - summary.loss_share_incorrect, summary.loss_correct, BLUE),
    )
    texts = []
    for kind, count, share, mean, color in parts:
        text = f"{count:,} {kind} predictions\n{percent(round(share, 3))} of the loss"
        texts.append((f"{text}\nmean loss {number(mean)}" if count else text, color))
    issues = samples.label_issue
    if issues is not None and issues.any():
        part = summary.loss_share_label_issues
        carried = percent(None if part is None else round(part, 3))
        texts.append((f"{np.count_nonzero(issues):,} suspected labels\n{carried} of the loss", _SUSPECT))
    return texts


def _write_sides(figure: Figure, axes: Axes, texts: list[tuple[str, str]], shares: list[float]) -> None:
    """Write the shares beside the right end of their areas, each with a bracket over its part; a line has none."""
    box = axes.get_window_extent()
    width, height = figure.bbox.size
    border, suspects = shares
    ends = [float(axes.transData.transform((1, y))[1]) for y in (0.0, border, 1.0)]
    wanted = [(ends[0] + ends[1]) / 2, (ends[1] + ends[2]) / 2]
    if len(texts) > len(wanted):
        wanted.append(float(axes.transData.transform((1, suspects))[1]))
    centres = spread(wanted, [text_size(figure, t)[1] + 8 for t, _ in texts], box.y0, box.y1)
    for i, ((text, color), centre) in enumerate(zip(texts, centres, strict=True)):
        if i < 2:
            connect(axes, (box.x1 + 6, ends[i] + 1), (box.x1 + 6, ends[i + 1] - 1), color)
        connect(axes, (box.x1 + (6 if i < 2 else 1), wanted[i]), (box.x1 + 18, centre), color)
        put(
            figure,
            (box.x1 + 22) / width,
            centre / height,
            text,
            color=readable(color),
            va="center",
            linespacing=1.25,
        )


def _mark_worst(figure: Figure, axes: Axes, carried: FloatArray, summary: PredictionSummary) -> None:
    """Mark what the worst 1 % carry."""
    n = len(carried) - 1
    n_top = max(1, round(0.01 * n))
    x, y = n_top / n, summary.loss_share_top1pct
    axes.plot(
        [x], [y], marker="o", markersize=9, color=INK, markeredgecolor="white", linestyle="none", zorder=5, gid="worst"
    )
    who = "the worst sample carries" if n_top == 1 else f"the worst {n_top:,} samples (1 %) carry"
    text = f"{who}\n{percent(round(y, 3))} of the loss"
    anchor = axes.transData.transform((x, y))
    at = (float(anchor[0]), float(anchor[1]))
    grid = np.linspace(0, n, 400).astype(np.int64)
    lines = axes.transData.transform(np.column_stack([grid / n, carried[grid]]))
    diagonal = axes.transData.transform(np.column_stack([grid / n, grid / n]))
    box = axes.get_window_extent()
    area = Box(box.x0 + 6, box.y0 + 6, box.x1 - 6, box.y1 - 4)
    size = text_size(figure, text, weight="bold")
    placed = place_labels([at], [size], [Box.around(*at, 12, 12)], area, lines=np.concatenate([lines, diagonal]))
    if placed is None:
        return
    if placed[0].leader is not None:
        connect(axes, at, placed[0].leader, MUTED)
    corner = placed[0].box
    where = (corner.x0 / figure.bbox.width, (corner.y0 + corner.y1) / 2 / figure.bbox.height)
    put(figure, *where, text, weight="bold", va="center", linespacing=1.2, gid="worst label")
