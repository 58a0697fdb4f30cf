"""The curves of one run: loss above, accuracy below, with what was found about them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.drafts import Draft, draft_panel
from lossacc_mlflow.plots.evidence import visible_in
from lossacc_mlflow.plots.highlights import draw_areas, draw_breaks, draw_levels, draw_rings, draw_spots
from lossacc_mlflow.plots.labels import Box
from lossacc_mlflow.plots.measures import draw_brackets, draw_fall, draw_stretch
from lossacc_mlflow.plots.panels import Mark, Panel, choose_panels, marks_of
from lossacc_mlflow.plots.points import lines_in_pixels, mark_points
from lossacc_mlflow.plots.shapes import Spot
from lossacc_mlflow.plots.style import (
    DPI,
    GRID,
    MUTED,
    SPLIT_COLORS,
    SPLIT_DASHES,
    VERDICT_COLORS,
    VERMILLION,
    add_axes,
    header,
    new_figure,
    put,
    readable,
    set_ticks,
    text_size,
    tint,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import (
    Scale,
    connect,
    draw_trace,
    end_labels,
    metric_label,
    score_text,
    set_step_axis,
)
from lossacc_mlflow.records import CurveSummary, Diagnosis, Finding

__all__ = ["plot_curves"]

# Pixels.
_LANE = 18
_LEFT = 82
_TICK = 14
_FOOT = 34
_HEADER_LINE = 19
_TOGETHER = 9

_WIDE = 1 / 3
"""Share of the steps from which on an uncertainty is shaded more lightly, lest it be all that one sees."""
_PANEL_HEIGHTS = {0: 60, 1: 330, 2: 225}

_MAX_LINES, _MAX_REMARKS = 2, 4


def plot_curves(diagnosis: Diagnosis) -> Figure:
    """Draw loss and accuracy of all splits over the steps of one run, and what every flagged finding saw in them.

    Parameters
    ----------
    diagnosis : Diagnosis
        Its curves, its findings (onset, price, level or band, each where it is) and its curve summaries (best steps).

    Returns
    -------
    Figure
        Two panels over the same steps; one where only loss or only a score was logged, a sentence where neither was.
    """
    run = diagnosis.run
    panels = choose_panels(run.curves)
    marks = [marks_of(panel, panels, diagnosis.flagged) for panel in panels]
    drawn = [draft_panel(panel, visible_in(panel, panels, diagnosis)) for panel in panels]
    heads = [26 + _LANE * len(m) for m in marks]
    size = _PANEL_HEIGHTS[len(panels)]
    figure = new_figure(1.0)
    lines = _header_lines(figure, diagnosis.flagged)
    height = 53 + _HEADER_LINE * len(lines) + sum(heads) + len(panels) * (size + _FOOT) + 20
    figure.set_size_inches(figure.get_figwidth(), height / DPI)
    title = f"{clean(run.name) or run.run_id} — {diagnosis.verdict.replace('_', ' ')}"
    top = header(figure, title, lines, accent=VERDICT_COLORS[diagnosis.verdict])
    if not panels:
        put(figure, 0.5, 0.2, "No curve of a loss or of a score was logged.", ha="center", color=MUTED)
        return figure
    right = figure.bbox.width - 34 - max(text_size(figure, *words)[0] for draft in drawn for words in draft.words)
    widest = max((text_size(figure, label)[0] for draft in drawn for label in draft.tick_labels), default=0.0)
    left = max(_LEFT, _TICK + widest)
    shared = len({p.unit for p in panels}) == 1
    for i, (panel, draft) in enumerate(zip(panels, drawn, strict=True)):
        top -= heads[i]
        axes = add_axes(figure, left, top - size, right, top)
        among = panels if shared else [panel]
        first, last = min(p.steps[0] for p in among), max(p.steps[1] for p in among)
        room = max(d.room for d in (drawn if shared else [draft]))
        labelled = not shared or panel is panels[-1]
        set_step_axis(figure, axes, first, last, unit=panel.unit, labelled=labelled, room=room)
        title_height = (top + heads[i] - 14) / figure.bbox.height
        put(figure, 16 / figure.bbox.width, title_height, _panel_title(panel), weight="bold")
        others = [m for other in marks for m in other] if shared else []
        _draw_panel(figure, axes, draft, marks[i], others, diagnosis.curves)
        top -= size + _FOOT
    return figure


def _panel_title(panel: Panel) -> str:
    mixed = len({c.metric.name for c in panel.curves}) > 1
    title = "loss" if mixed else metric_label(panel.curves[0])
    return f"{title} (logged in percent)" if panel.in_percent else title


def _header_lines(figure: Figure, flagged: Sequence[Finding]) -> list[str]:
    """Codes and titles, the gravest first, on up to two lines; and what is wrong with the log itself, in its words."""
    rank = {"error": 0, "warning": 1, "note": 2}
    ordered = sorted(flagged, key=lambda f: rank[f.level])
    room, lines = figure.bbox.width - 2 * 16, [""]
    for finding in ordered:
        if finding.code.startswith("LOG") and finding.message:
            continue
        text = f"{finding.code} {clean(finding.title, 80)}"
        joined = f"{lines[-1]} · {text}" if lines[-1] else text
        if lines[-1] and len(lines) < _MAX_LINES and text_size(figure, joined)[0] > room:
            lines.append(text)
        else:
            lines[-1] = joined
    about_log = [f for f in ordered if f.code.startswith("LOG") and f.message][:_MAX_REMARKS]
    remarks = [_whole_sentences(figure, f"{f.code} {clean(f.message, 400)}", room) for f in about_log]
    return [*(line for line in lines if line), *remarks] or ["no finding"]


def _whole_sentences(figure: Figure, text: str, room: float) -> str:
    """As many sentences as fit on a line; at least one, which may be cut."""
    for stop in (r"[.;:](?= )", r",(?= )"):
        ends = [match.end() for match in re.finditer(stop, text)] + [len(text)]
        fitting = [end for end in ends if text_size(figure, text[:end])[0] <= room]
        if fitting:
            return text[: fitting[-1]].rstrip(";:,")
    return text


def _vertical_lines(axes: Axes, own: Sequence[Mark], others: Sequence[Mark], spots: Sequence[Spot]) -> list[Mark]:
    """Steps that get a vertical line: the panel's onsets; others, and points, where they do not fall together."""
    lines = [m for m in own if m.is_onset]
    points = [Mark(s.step, "", MUTED, is_onset=False) for s in spots]
    for mark in (*(m for m in others if m.is_onset and m.everywhere), *points):
        x = [float(axes.transData.transform((m.step, 0))[0]) for m in (mark, *lines)]
        doubtful = [m.interval for m in lines if m.interval is not None]
        if all(abs(x[0] - other) > _TOGETHER for other in x[1:]) and not any(a <= mark.step <= b for a, b in doubtful):
            lines.append(mark)
    return lines


def _draw_panel(
    figure: Figure,
    axes: Axes,
    draft: Draft,
    marks: Sequence[Mark],
    others: Sequence[Mark],
    summaries: Sequence[CurveSummary],
) -> None:
    """Draw all of one panel, from what lies behind to what lies in front."""
    panel, visible = draft.panel, draft.visible
    _set_value_axis(axes, panel, draft.scale)
    draw_areas(axes, visible.areas)
    _tint_after(axes, panel, marks)
    draw_levels(axes, draft.levels)
    _draw_curves(axes, panel)
    upright = _vertical_lines(axes, marks, others, visible.spots)
    for mark in upright:
        style: dict[str, Any] = {"color": mark.color, "marker": "", "linewidth": 1.1, "zorder": 1.2}
        dashes = (0, (4, 2)) if mark.is_onset else (0, (1, 2))
        axes.axvline(mark.step, linestyle=dashes, gid="onset" if mark.is_onset else "other best", **style)
    labels = [*draft.ends, *draw_brackets(axes, visible.brackets)]
    if visible.fall is not None:
        labels.append(draw_fall(axes, panel.judged, visible.fall))
    if visible.rings is not None:
        draw_rings(axes, visible.rings)
    draw_breaks(axes, visible.breaks)
    draw_spots(axes, visible.spots)
    taken = _name_first_values(figure, axes, panel, draft.scale)
    _write_lanes(figure, axes, marks)
    lines = lines_in_pixels(axes, draft, upright)
    if visible.stretch is not None:
        taken.append(draw_stretch(figure, axes, visible.stretch, np.concatenate([lines, *(b.points() for b in taken)])))
    mark_points(figure, axes, draft, summaries, lines, taken)
    end_labels(figure, axes, labels)


def _set_value_axis(axes: Axes, panel: Panel, scale: Scale) -> None:
    """Set limits, ticks and grid of the value axis; none of them where nothing is finite."""
    if any(np.isfinite(c.value).any() for c in panel.curves):
        scale.apply(axes, fraction=panel.judged.metric.unit == "fraction")
        axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
    else:
        axes.set_ylim(0, 1)
        set_ticks(axes.yaxis, [], [])
        put(axes, 0.5, 0.5, "no finite value", transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _draw_curves(axes: Axes, panel: Panel) -> None:
    """Draw the curves, the one that counts on top."""
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


def _name_first_values(figure: Figure, axes: Axes, panel: Panel, scale: Scale) -> list[Box]:
    """Say where a curve comes from that begins above the axes, and return what the words cover."""
    box = axes.get_window_extent()
    taken = []
    above = [c for c in panel.curves if len(c) and scale.high < c.value[0] < np.inf]
    for row, curve in enumerate(above):
        text = f"↑ from {score_text(curve.metric, float(curve.value[0]))}"
        width, height = text_size(figure, text)
        second = curve.step[min(1, len(curve) - 1)]
        x = min(float(axes.transData.transform((second, 0))[0]) + 8, box.x1 - width)
        y = box.y1 - 10 - _LANE * row
        color = readable(SPLIT_COLORS[curve.split])
        put(figure, x / figure.bbox.width, y / figure.bbox.height, text, color=color, va="center", gid="begins above")
        taken.append(Box(x, y - height / 2, x + width, y + height / 2))
    return taken


def _tint_after(axes: Axes, panel: Panel, marks: Sequence[Mark]) -> None:
    """Tint what follows the first grave finding, and the uncertainty of each onset."""
    first, last = panel.steps
    begin = min((m.step for m in marks if m.tinted), default=first)
    if begin > first:
        axes.axvspan(begin, last, color=tint(VERMILLION, 0.07), linewidth=0, zorder=0, gid="after")
    for mark in marks:
        if mark.is_onset and mark.interval is not None:
            low, high = mark.interval
            strength = 0.17 if high - low < _WIDE * (last - first) else 0.09
            axes.axvspan(low, high, color=tint(mark.color, strength), linewidth=0, zorder=0.1, gid="interval")


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
