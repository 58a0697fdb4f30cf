"""Validation curves of several runs over each other."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.curves import LOSS_METRICS, QUALITY_METRICS
from lossacc_mlflow.plots.style import (
    DPI,
    GRID,
    INK,
    MUTED,
    RUN_COLORS,
    add_axes,
    fit_text,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
    text_size,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import (
    EndLabel,
    draw_trace,
    end_labels,
    metric_label,
    score_text,
    set_step_axis,
    value_scale,
)
from lossacc_mlflow.records import Comparison, ComparisonRow, Curve, FloatArray, RunData, StepUnit
from lossacc_mlflow.wording import percent

__all__ = ["plot_curves_overlay"]

_LEFT, _FOOT, _HEAD, _PANEL, _HEADER_LINE = 82, 34, 26, 250, 19
_NAME_ROOM = 190
_GREY = "#c4cad1"
_REMARKS = {"CMP004": "dominated", "CMP005": "twin", "CMP006": "behind"}
_MAX_REMARKED = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Trace:
    """The validation curve of one run; ``rank`` is its place in the comparison, ``remark`` what was found about it."""

    name: str
    rank: int
    curve: Curve
    remark: str

    @property
    def color(self) -> str | None:
        """Colour of its own: of the first ones, and of those that something was found about; None for the others."""
        if self.rank < len(RUN_COLORS):
            return RUN_COLORS[self.rank]
        return INK if self.remark else None


def plot_curves_overlay(comparison: Comparison) -> Figure:
    """Draw validation loss and validation accuracy of all runs of a comparison over each other.

    Parameters
    ----------
    comparison : Comparison
        The first ten runs of its rows are coloured and named, the others grey.

    Returns
    -------
    Figure
        Runs that count their steps in different units (epochs, trees) share an axis that runs from the beginning to
        the end of each training. A run with a single score is a dot at the end. Runs that another one dominates
        (CMP004), twins (CMP005) and those far behind their siblings (CMP006) are named as such, wherever they stand.
    """
    runs = _runs(comparison)
    remarks = {row.run_id: _remark(row) for row in comparison.rows}
    panels = [p for p in (_traces(runs, LOSS_METRICS, remarks), _traces(runs, QUALITY_METRICS, remarks)) if p]
    notes = _note(runs, panels)
    needed = 39 + _HEADER_LINE * len(notes) + len(panels) * (_HEAD + _PANEL + _FOOT) + 24
    figure = new_figure(needed / DPI if panels else 1.2)
    title = f"{clean(comparison.name)}: validation curves" if comparison.name else "Validation curves"
    top = header(figure, title, notes)
    if not panels:
        put(figure, 0.5, 0.2, "No run has a validation curve.", ha="center", color=MUTED)
        return figure
    labels = [_labels(figure, traces) for traces in panels]
    right = (
        figure.bbox.width
        - 34
        - max((text_size(figure, e.text, weight=e.weight)[0] for column in labels for e in column), default=0)
    )
    unit = _common_unit(panels)
    for traces, texts in zip(panels, labels, strict=True):
        top -= _HEAD
        axes = add_axes(figure, _LEFT, top - _PANEL, right, top)
        width, height = figure.bbox.size
        name = metric_label(traces[0].curve)
        put(figure, 16 / width, (top + 10) / height, f"validation {name}", weight="bold")
        _set_axis(figure, axes, panels, unit, labelled=traces is panels[-1])
        _draw(axes, traces, unit, panels)
        end_labels(figure, axes, texts)
        top -= _PANEL + _FOOT
    return figure


def _runs(comparison: Comparison) -> list[RunData]:
    """Runs in the order of the rows; those without a row come last."""
    place = {row.run_id: i for i, row in enumerate(comparison.rows)}
    return sorted(
        (d.run for d in comparison.diagnoses), key=lambda r: (place.get(r.run_id, len(place)), r.name, r.run_id)
    )


def _remark(row: ComparisonRow) -> str:
    """What was found about a run among the others, in a word or two."""
    return " ".join(word for code, word in _REMARKS.items() if code in row.findings)


def _traces(runs: Sequence[RunData], names: Sequence[str], remarks: Mapping[str, str]) -> list[_Trace]:
    """One validation curve a run, all of the metric that most runs have."""
    known = [{c.metric.name for c in run.curves if c.split == "validation" and len(c)} & set(names) for run in runs]
    counts = Counter(name for found in known for name in found)
    if not counts:
        return []
    metric = min(counts, key=lambda n: (-counts[n], names.index(n)))
    traces = []
    for rank, run in enumerate(runs):
        curves = [c for c in run.curves if c.split == "validation" and c.metric.name == metric and len(c)]
        if curves:
            best = min(curves, key=lambda c: (len(c) < 2, c.step_unit == "n_samples", -len(c), c.step_unit))
            traces.append(_Trace(clean(run.name, 60) or run.run_id[:8], rank, best, remarks.get(run.run_id, "")))
    return traces


def _common_unit(panels: Sequence[Sequence[_Trace]]) -> StepUnit | None:
    """The step unit of all curves longer than a point; None if they differ, or if there is none."""
    units = {t.curve.step_unit for traces in panels for t in traces if len(t.curve) > 1}
    return units.pop() if len(units) == 1 else None


def _note(runs: Sequence[RunData], panels: Sequence[Sequence[_Trace]]) -> list[str]:
    """What one has to know to read the picture, and what was found about runs in it."""
    parts = [f"{len(runs):,} runs"]
    drawn = {t.rank: t for traces in panels for t in traces}
    if any(rank >= len(RUN_COLORS) for rank in drawn):
        parts.append(f"the {len(RUN_COLORS)} most accurate are named")
    if any(len(t.curve) == 1 for traces in panels for t in traces):
        parts.append("dots: runs with a single score")
    if any(t.curve.metric.greater_is_better and len(t.curve) > 3 for traces in panels for t in traces):
        parts.append("scores scaled to the later steps")
    if len(drawn) < len(runs):
        parts.append(f"{len(runs) - len(drawn)} without a validation curve of these metrics")
    counts = Counter(word for trace in drawn.values() for word in trace.remark.split())
    found = [f"{counts['behind']} far behind their siblings (CMP006)"] if counts["behind"] else []
    found += [f"{counts['twin']} twin{'s' * (counts['twin'] > 1)} (CMP005)"] if counts["twin"] else []
    found += [f"{counts['dominated']} dominated by another one (CMP004)"] if counts["dominated"] else []
    return [" · ".join(parts), *([" · ".join(found)] if found else [])]


def _labels(figure: Figure, traces: Sequence[_Trace]) -> list[EndLabel]:
    """Name and last value of the runs that are coloured."""
    labels = []
    remarked = [t for t in traces if t.rank >= len(RUN_COLORS) and t.remark]
    for trace in traces:
        finite = trace.curve.value[np.isfinite(trace.curve.value)]
        if trace.color is None or trace in remarked[_MAX_REMARKED:] or not finite.size:
            continue
        name = fit_text(figure, trace.name, _NAME_ROOM, keep_end=True)
        value = score_text(trace.curve.metric, float(trace.curve.value[-1]))
        mark = f"  {trace.remark}" if trace.remark else ""
        weight = "bold" if trace.remark else "normal"
        labels.append(EndLabel(float(finite[-1]), f"{name}  {value}{mark}", trace.color, weight=weight))
    return labels


def _set_axis(
    figure: Figure, axes: Axes, panels: Sequence[Sequence[_Trace]], unit: StepUnit | None, *, labelled: bool
) -> None:
    """Steps where all runs share a unit, the fraction of each training where they do not."""
    long = [t.curve for traces in panels for t in traces if len(t.curve) > 1]
    if unit is not None:
        first, last = min(int(c.step[0]) for c in long), max(int(c.step[-1]) for c in long)
        set_step_axis(figure, axes, first, last, unit=unit, labelled=labelled)
        return
    axes.set_xlim(-0.015, 1.015)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if long else []
    set_ticks(axes.xaxis, ticks, [percent(t, zeros=False) for t in ticks])
    if labelled:
        units = ", ".join(sorted({c.step_unit.replace("_", " ") for c in long}))
        set_label(axes.xaxis, f"share of each run's own steps ({units})" if long else "final scores")


def _draw(axes: Axes, traces: Sequence[_Trace], unit: StepUnit | None, panels: Sequence[Sequence[_Trace]]) -> None:
    """Draw the curves, the best run on top."""
    metric = traces[0].curve.metric
    # A score climbs steeply at first; what tells the runs apart comes later.
    shown = [t.curve.value[len(t.curve) // 4 if metric.greater_is_better else 0 :] for t in traces]
    scale = value_scale(shown, allow_log=not metric.greater_is_better)
    scale.apply(axes, fraction=metric.unit == "fraction")
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
    long = [t.curve for group in panels for t in group if len(t.curve) > 1]
    end = float(max(c.step[-1] for c in long)) if unit is not None else 1.0
    for trace in traces:
        named = trace.color is not None
        color = trace.color or _GREY
        x = _positions(trace.curve, unit, end)
        if named and x[-1] < end and np.isfinite(trace.curve.value[-1]):
            level = [trace.curve.value[-1]] * 2
            axes.plot([x[-1], axes.get_xlim()[1]], level, color=color, linewidth=0.9, linestyle=(0, (1, 3)), marker="")
        draw_trace(
            axes,
            x,
            trace.curve.value,
            color=color,
            dots=len(x) == 1,
            linewidth=1.9 if named else 1.0,
            # Dashes tell apart what colour alone may not; through those of a twin one sees the other.
            linestyle=(0, (3, 3)) if "twin" in trace.remark else "-" if trace.rank < 5 or not named else (0, (5, 1.6)),
            zorder=4.5 if "twin" in trace.remark else max(4 - 0.05 * trace.rank, 2.0) if named else 1.5,
            label=trace.name,
        )


def _positions(curve: Curve, unit: StepUnit | None, end: float) -> FloatArray:
    """Horizontal positions: steps, or the fraction of the way from the first to the last."""
    step = curve.step.astype(np.float64)
    if len(step) == 1:
        return np.array([end])
    return step if unit is not None else (step - step[0]) / (step[-1] - step[0])
