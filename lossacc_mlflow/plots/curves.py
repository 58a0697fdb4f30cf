"""The curves of one run: loss above, accuracy below, with what was found about them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.labels import Box, place_labels
from lossacc_mlflow.plots.panels import Mark, Panel, choose_panels, marks_of
from lossacc_mlflow.plots.style import (
    DPI,
    GRID,
    INK,
    MUTED,
    SPLIT_COLORS,
    SPLIT_DASHES,
    VERDICT_COLORS,
    VERMILLION,
    add_axes,
    header,
    new_figure,
    put,
    set_ticks,
    text_size,
    tint,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import (
    EndLabel,
    Scale,
    at_step,
    connect,
    draw_trace,
    end_labels,
    envelope,
    metric_label,
    score_text,
    set_step_axis,
    value_scale,
)
from lossacc_mlflow.records import Curve, CurveSummary, Diagnosis, Finding, FloatArray
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_curves"]

# Pixels.
_LANE = 18
_LEFT = 82
_FOOT = 34
_PANEL_HEIGHTS = {0: 60, 1: 330, 2: 225}

_ROOM_BELOW = 5
"""How far below the best validation loss the axis reaches at most, as a factor."""


def plot_curves(diagnosis: Diagnosis) -> Figure:
    """Draw loss and accuracy of all splits over the steps of one run.

    Parameters
    ----------
    diagnosis : Diagnosis
        Its curves, its findings (marked where they begin) and its curve summaries (best steps).

    Returns
    -------
    Figure
        Two panels over the same steps; one where only loss or only a score was logged, a sentence where neither was.
    """
    run = diagnosis.run
    panels = choose_panels(run.curves)
    marks = [marks_of(panel, panels, diagnosis.flagged) for panel in panels]
    heads = [26 + _LANE * len(m) for m in marks]
    size = _PANEL_HEIGHTS[len(panels)]
    figure = new_figure((72 + sum(heads) + len(panels) * (size + _FOOT) + 20) / DPI)
    title = f"{clean(run.name) or run.run_id} — {diagnosis.verdict.replace('_', ' ')}"
    top = header(figure, title, [_findings_line(diagnosis.flagged)], accent=VERDICT_COLORS[diagnosis.verdict])
    if not panels:
        put(figure, 0.5, 0.2, "No curve of a loss or of a score was logged.", ha="center", color=MUTED)
        return figure
    texts = [_end_texts(p, run.n_classes, run.majority_accuracy) for p in panels]
    scales = [_scale(p, t) for p, t in zip(panels, texts, strict=True)]
    texts = [[_pointing(label, scale) for label in t] for t, scale in zip(texts, scales, strict=True)]
    right = figure.bbox.width - 34 - max(text_size(figure, e.text)[0] for column in texts for e in column)
    shared = len({p.unit for p in panels}) == 1
    for i, panel in enumerate(panels):
        top -= heads[i]
        axes = add_axes(figure, _LEFT, top - size, right, top)
        among = panels if shared else [panel]
        first, last = min(p.steps[0] for p in among), max(p.steps[1] for p in among)
        set_step_axis(axes, first, last, unit=panel.unit, labelled=not shared or panel is panels[-1])
        _draw_lines(axes, panel, texts[i], scales[i])
        visible = [m for other in (marks if shared else [marks[i]]) for m in other if m.is_onset]
        _tint_after(axes, marks[i])
        for mark in visible:
            axes.axvline(
                mark.step, color=mark.color, marker="", linewidth=1.1, linestyle=(0, (4, 2)), zorder=1.2, gid="onset"
            )
        put(
            figure,
            16 / figure.bbox.width,
            (top + heads[i] - 14) / figure.bbox.height,
            _panel_title(panel),
            weight="bold",
        )
        _write_lanes(figure, axes, marks[i])
        _mark_best(figure, axes, panel, diagnosis.curves, visible)
        end_labels(figure, axes, texts[i])
        top -= size + _FOOT
    return figure


def _panel_title(panel: Panel) -> str:
    mixed = len({c.metric.name for c in panel.curves}) > 1
    return "loss" if mixed else metric_label(panel.curves[0])


def _findings_line(flagged: Sequence[Finding]) -> str:
    """Codes and titles in one line, the gravest first."""
    rank = {"error": 0, "warning": 1, "note": 2}
    ordered = sorted(flagged, key=lambda f: rank[f.level])
    return " · ".join(f"{f.code} {clean(f.title, 80)}" for f in ordered) or "no finding"


def _end_texts(panel: Panel, n_classes: int | None, majority: float | None) -> list[EndLabel]:
    """Words to the right of the panel: each split with its last value, and the level of guessing."""
    texts = []
    for curve in panel.curves:
        finite = curve.value[np.isfinite(curve.value)]
        value = float(curve.value[-1])
        text = f"{curve.split} {score_text(curve.metric, value)}" if finite.size else f"{curve.split}: nothing finite"
        texts.append(EndLabel(float(finite[-1]) if finite.size else 0.5, text, SPLIT_COLORS[curve.split]))
    guess = _guess_level(panel.metric, n_classes, majority)
    if guess is not None:
        level, words = guess
        low, high = _finite_range(panel)
        reach = 0.35 * max(high - low, 0.05)
        # A line far away would flatten the curves: then the words point at it.
        if low - reach <= level <= high + reach:
            texts.append(EndLabel(level, words, MUTED))
        elif panel.is_score:
            texts.append(EndLabel(-np.inf, f"{words} ↓", MUTED))
    return texts


def _guess_level(metric: str, n_classes: int | None, majority: float | None) -> tuple[float, str] | None:
    """What answering without looking at the data scores."""
    if metric == "accuracy" and (n_classes or majority is not None):
        chance = 1 / n_classes if n_classes else 0.0
        if majority is not None and majority >= chance:
            return majority, f"largest class {percent(majority, zeros=False)}"
        return chance, f"chance {percent(chance, zeros=False)}"
    if metric == "log_loss" and n_classes:
        return float(np.log(n_classes)), f"chance {number(float(np.log(n_classes)))}"
    return None


def _finite_range(panel: Panel) -> tuple[float, float]:
    """Least and greatest finite value of a panel; NaN if there is none."""
    values = np.concatenate([c.value for c in panel.curves])
    values = np.clip(values[np.isfinite(values)], -1e300, 1e300)
    return (float(values.min()), float(values.max())) if values.size else (float("nan"), float("nan"))


def _scale(panel: Panel, texts: Sequence[EndLabel]) -> Scale:
    """Limits of the values; a train loss that goes to zero may leave, lest it press the validation loss flat."""
    levels = [t.y for t in texts if t.color == MUTED and np.isfinite(t.y)]
    scale = value_scale([c.value for c in panel.curves], allow_log=not panel.is_score, include=levels)
    judged = panel.judged.value[np.isfinite(panel.judged.value)]
    if not scale.log or panel.judged.split != "validation" or not judged.size:
        return scale
    return replace(scale, low=max(scale.low, float(judged.min()) / _ROOM_BELOW))


def _pointing(label: EndLabel, scale: Scale) -> EndLabel:
    """Let the words for a line that has left the axes point after it."""
    return replace(label, text=f"{label.text} ↓") if -np.inf < label.y < scale.low else label


def _draw_lines(axes: Axes, panel: Panel, texts: Sequence[EndLabel], scale: Scale) -> None:
    """Draw the value axis, the level of guessing and the curves."""
    levels = [t.y for t in texts if t.color == MUTED and np.isfinite(t.y)]
    if any(np.isfinite(c.value).any() for c in panel.curves):
        scale.apply(axes, fraction=panel.judged.metric.unit == "fraction")
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
    else:
        axes.set_ylim(0, 1)
        set_ticks(axes.yaxis, [], [])
        put(axes, 0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    for level in levels:
        axes.axhline(level, color=MUTED, marker="", linewidth=1.0, linestyle=(0, (1, 2)), zorder=1.5, gid="chance")
    for row, curve in enumerate(panel.curves):
        draw_trace(
            axes,
            curve.step.astype(np.float64),
            curve.value,
            color=SPLIT_COLORS[curve.split],
            row=row,
            linestyle=SPLIT_DASHES[curve.split],
            linewidth=2.2 if curve.split == "validation" else 1.7,
            zorder=3 if curve.split == "validation" else 2.5,
            label=curve.split,
        )


def _tint_after(axes: Axes, marks: Sequence[Mark]) -> None:
    """Tint what follows the first grave finding, and the uncertainty of each onset."""
    begins = [m.step for m in marks if m.tinted]
    if begins:
        axes.axvspan(min(begins), axes.get_xlim()[1], color=tint(VERMILLION, 0.07), linewidth=0, zorder=0, gid="after")
    for mark in marks:
        if mark.is_onset and mark.interval is not None:
            axes.axvspan(*mark.interval, color=tint(mark.color, 0.17), linewidth=0, zorder=0.1, gid="interval")


def _write_lanes(figure: Figure, axes: Axes, marks: Sequence[Mark]) -> None:
    """Write each mark on a line of its own above the panel, with a thin line down to its step."""
    box = axes.get_window_extent()
    for lane, mark in enumerate(reversed(marks)):
        x = float(axes.transData.transform((mark.step, 0))[0])
        width = text_size(figure, mark.text)[0]
        to_left = x + 6 + width > figure.bbox.width - 8
        y = box.y1 + 5 + _LANE * lane
        start = max(8.0, x - 6 - width) if to_left else x + 6
        put(figure, start / figure.bbox.width, y / figure.bbox.height, mark.text, color=mark.color, gid="lane")
        color = mark.color if mark.is_onset else tint(mark.color, 0.5)
        connect(axes, (x, box.y1), (x, y + _LANE - 7), color)


def _mark_best(
    figure: Figure, axes: Axes, panel: Panel, summaries: Sequence[CurveSummary], marks: Sequence[Mark]
) -> None:
    """Mark the best step of the curve that counts, raw (filled) and smoothed (hollow)."""
    curve = panel.judged
    wanted = (curve.metric.name, curve.split, curve.step_unit)
    found = next((s for s in summaries if (s.metric, s.split, s.step_unit) == wanted), None)
    if found is None or len(curve) < 2 or not np.isfinite(found.best):
        return
    color = SPLIT_COLORS[curve.split]
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 1.4, "linestyle": "none", "zorder": 5}
    axes.plot([found.best_step], [found.best], marker="o", markersize=9, color=color, gid="best", **edge)
    text = f"best {score_text(curve.metric, found.best)} {at_step(curve.step_unit, found.best_step)}"
    spots = [(found.best_step, found.best)]
    if found.smoothed_best_step != found.best_step and np.isfinite(found.smoothed_best):
        edge |= {"markeredgecolor": color, "markerfacecolor": "white"}
        axes.plot([found.smoothed_best_step], [found.smoothed_best], marker="D", markersize=7, gid="smoothed", **edge)
        text += f"\n(smoothed: {at_step(curve.step_unit, found.smoothed_best_step).removeprefix('at ')})"
        spots.append((found.smoothed_best_step, found.smoothed_best))
    pixels = axes.transData.transform(spots)
    anchor = (float(pixels[0, 0]), float(pixels[0, 1]))
    lines = np.concatenate([_line_pixels(axes, panel.curves), _onset_pixels(axes, marks)])
    markers = [Box.around(float(x), float(y), 12, 12) for x, y in pixels]
    placed = place_labels([anchor], [text_size(figure, text)], markers, _inside(axes), lines=lines)
    if placed is None:
        return
    if placed[0].leader is not None:
        connect(axes, anchor, placed[0].leader, MUTED)
    x, y = placed[0].box.x0 / figure.bbox.width, (placed[0].box.y0 + placed[0].box.y1) / 2 / figure.bbox.height
    put(figure, x, y, text, color=INK, va="center", linespacing=1.2, gid="best label")


def _line_pixels(axes: Axes, curves: Iterable[Curve]) -> FloatArray:
    """Points along the curves, a few pixels apart."""
    parts = [np.empty((0, 2))]
    for curve in curves:
        step, value = envelope(curve.step.astype(np.float64), curve.value)
        finite = np.isfinite(value)
        if finite.sum() < 1:
            continue
        corners = axes.transData.transform(np.column_stack([step[finite], np.clip(value[finite], -1e300, 1e300)]))
        length = np.append(0, np.cumsum(np.abs(np.diff(corners, axis=0)).sum(axis=1)))
        along = np.linspace(0, length[-1], int(length[-1] / 5) + 1)
        parts.append(np.column_stack([np.interp(along, length, corners[:, i]) for i in (0, 1)]))
    return np.concatenate(parts)


def _onset_pixels(axes: Axes, marks: Sequence[Mark]) -> FloatArray:
    """Points along the vertical lines of the onsets."""
    box = axes.get_window_extent()
    along = np.arange(box.y0, box.y1, 5.0)
    x = [float(axes.transData.transform((m.step, 0))[0]) for m in marks]
    return np.column_stack([np.repeat(x, len(along)), np.tile(along, len(x))])


def _inside(axes: Axes) -> Box:
    """Area of the axes in pixels, less a margin."""
    box = axes.get_window_extent()
    return Box(box.x0 + 4, box.y0 + 4, box.x1 - 2, box.y1 - 2)
