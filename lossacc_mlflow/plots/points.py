"""The best steps and other single points, with words beside them that hide nothing."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.drafts import Draft
from lossacc_mlflow.plots.flagged import summary_of
from lossacc_mlflow.plots.labels import Box, place_labels
from lossacc_mlflow.plots.panels import Mark, Panel
from lossacc_mlflow.plots.shapes import Level
from lossacc_mlflow.plots.style import INK, MUTED, SPLIT_COLORS, put, text_size
from lossacc_mlflow.plots.traces import at_step, connect, envelope, score_text
from lossacc_mlflow.records import Curve, CurveSummary, FloatArray

__all__ = ["lines_in_pixels", "mark_points"]


def lines_in_pixels(axes: Axes, draft: Draft, upright: Sequence[Mark]) -> FloatArray:
    """Points a few pixels apart along everything that words should not hide.

    Parameters
    ----------
    axes : Axes
        With its curves drawn.
    draft : Draft
    upright : sequence of Mark
        Steps with a vertical line.

    Returns
    -------
    ndarray of float64, shape (n_points, 2)
    """
    return np.concatenate(
        [
            _line_pixels(axes, draft.panel.curves),
            _upright_pixels(axes, upright),
            _level_pixels(axes, draft.levels),
            _marked_pixels(axes),
        ]
    )


def mark_points(
    figure: Figure,
    axes: Axes,
    draft: Draft,
    summaries: Sequence[CurveSummary],
    lines: FloatArray,
    taken: Sequence[Box],
) -> None:
    """Mark the best step of the curve that counts, and name it and every other single point."""
    best = _draw_best(axes, draft.panel, summaries)
    named = [] if best is None else [best]
    named += [((float(s.step), s.value), s.text) for s in draft.visible.spots]
    rings = draft.visible.rings
    if rings is not None and rings.text:
        named.append((rings.anchor, rings.text))
    if not named:
        return
    pixels = [(float(x), float(y)) for x, y in axes.transData.transform([point for point, _ in named])]
    markers = [Box.around(x, y, 12, 12) for x, y in pixels]
    sizes = [text_size(figure, text) for _, text in named]
    placed = place_labels(pixels, sizes, [*markers, *taken], _inside(axes), lines=lines)
    for point, (_, text), place in zip(pixels, named, placed or [], strict=False):
        if place.leader is not None:
            connect(axes, point, place.leader, MUTED)
        x, y = place.box.x0 / figure.bbox.width, (place.box.y0 + place.box.y1) / 2 / figure.bbox.height
        put(figure, x, y, text, color=INK, va="center", linespacing=1.2, gid="point label")


def _draw_best(axes: Axes, panel: Panel, summaries: Sequence[CurveSummary]) -> tuple[tuple[float, float], str] | None:
    """Mark the best step, raw (filled) and smoothed (hollow); return the point and what to call it."""
    curve = panel.judged
    found = summary_of(panel, curve, summaries)
    if found is None or len(curve) < 2:
        return None
    color = SPLIT_COLORS[curve.split]
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 1.4, "linestyle": "none", "zorder": 5}
    axes.plot([found.best_step], [found.best], marker="o", markersize=9, color=color, gid="best", **edge)
    text = f"best {score_text(curve.metric, found.best)} {at_step(curve.step_unit, found.best_step)}"
    if found.smoothed_best_step != found.best_step and np.isfinite(found.smoothed_best):
        edge |= {"markeredgecolor": color, "markerfacecolor": "white"}
        axes.plot([found.smoothed_best_step], [found.smoothed_best], marker="D", markersize=7, gid="smoothed", **edge)
        text += f"\n(smoothed: {at_step(curve.step_unit, found.smoothed_best_step).removeprefix('at ')})"
    return (float(found.best_step), found.best), text


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


def _upright_pixels(axes: Axes, marks: Sequence[Mark]) -> FloatArray:
    """Points along vertical lines."""
    box = axes.get_window_extent()
    along = np.arange(box.y0, box.y1, 5.0)
    x = [float(axes.transData.transform((m.step, 0))[0]) for m in marks]
    return np.column_stack([np.repeat(x, len(along)), np.tile(along, len(x))])


def _level_pixels(axes: Axes, levels: Sequence[Level]) -> FloatArray:
    """Points along horizontal lines."""
    box = axes.get_window_extent()
    along = np.arange(box.x0, box.x1, 5.0)
    y = [float(axes.transData.transform((0, level.value))[1]) for level in levels]
    return np.column_stack([np.tile(along, len(y)), np.repeat(y, len(along))])


def _marked_pixels(axes: Axes) -> FloatArray:
    """Marks of values that are not finite, and limits; each counts for several points, being larger."""
    drawn = [line for line in axes.lines if line.get_gid() in {"non-finite", "limit"}]
    marks = [line.get_transform().transform(np.asarray(line.get_xydata())) for line in drawn]
    return np.repeat(np.concatenate([np.empty((0, 2)), *marks]), 3, axis=0)


def _inside(axes: Axes) -> Box:
    """Area of the axes in pixels, less a margin."""
    box = axes.get_window_extent()
    return Box(box.x0 + 4, box.y0 + 4, box.x1 - 2, box.y1 - 2)
