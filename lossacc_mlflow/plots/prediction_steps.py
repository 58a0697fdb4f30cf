"""What predictions said while a model was trained: refinement, calibration, right and wrong answers, accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.curves import summarize_curve
from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    GREEN,
    GRID,
    INK,
    MUTED,
    SPLIT_COLORS,
    VERMILLION,
    add_axes,
    color_key,
    fit_text,
    header,
    new_figure,
    put,
    readable,
    set_ticks,
    text_size,
    tint,
    with_codes,
)
from lossacc_mlflow.plots.traces import (
    STEP_LABELS,
    EndLabel,
    Scale,
    at_step,
    connect,
    draw_trace,
    end_labels,
    set_step_axis,
    value_scale,
)
from lossacc_mlflow.records import Curve, FloatArray, PredictionSteps, Split
from lossacc_mlflow.rules.dis_steps import split_rise
from lossacc_mlflow.wording import number, percent, signed

__all__ = ["plot_predictions_by_step"]

_LEFT, _RIGHT, _FOOT, _HEAD, _LANE = 82, 92, 44, 42, 17
_WIDE = 300
_EARLY, _LONG, _CUT = 8, 16, 1.5
"""The first eighth of at least so many steps may leave the axes, where it would take a third of their height."""
_REMAINS: Final = tint(INK, 0.22)
_OVER, _UNDER = tint(VERMILLION, 0.6), tint(BLUE, 0.6)


@dataclass(frozen=True, slots=True)
class _Best:
    """Best steps by the smoothed loss, as logged and after each step's own temperature; None where not known."""

    by_loss: int | None
    by_refinement: int | None


@dataclass(frozen=True, slots=True)
class _Panel:
    """One row of axes: its title, what its colours mean, the figures that it shows, and its height in pixels."""

    title: str
    key: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    height: int
    fraction: bool = False
    from_zero: bool = False


_PANELS: Final = (
    _Panel(
        "log loss (nats)",
        ((_REMAINS, "refinement"), (_OVER, "calibration"), (_UNDER, "calibration, negative")),
        ("log_loss", "refinement_loss"),
        190,
        from_zero=True,
    ),
    _Panel(
        "mean loss (nats)",
        ((VERMILLION, "wrong answers"), (BLUE, "right answers")),
        ("loss_incorrect", "loss_correct"),
        120,
    ),
    _Panel("accuracy", (), ("accuracy",), 100, fraction=True),
)
_LINES: Final = {"log_loss": INK, "loss_incorrect": VERMILLION, "loss_correct": BLUE, "accuracy": INK}


def plot_predictions_by_step(steps: Mapping[Split, PredictionSteps], *, codes: Sequence[str] = ()) -> Figure:
    """Draw what makes up the loss at every step of a training, one column a split.

    Parameters
    ----------
    steps : mapping of split to PredictionSteps

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        Above, the log loss as refinement (what remains at the best temperature of that step) and calibration (what that
        temperature removes), with the best step by loss and the best step after recalibration, both of smoothed values;
        below, the mean loss of wrong and of right answers; at the bottom, the accuracy.
    """
    shown = [steps[split] for split in SPLIT_COLORS if split in steps and len(steps[split])]
    panels = [p for p in _PANELS if any(np.isfinite(_figure(s, name)).any() for s in shown for name in p.names)]
    best = [_best_steps(s) for s in shown]
    lanes = 2 if shown and panels and panels[0].from_zero else 0
    rows = sum(p.height + _HEAD for p in panels)
    figure = new_figure((rows + 108 + _LANE * lanes + 22 * (len(shown) > 1) + _FOOT) / DPI if panels else 1.2)
    top = header(figure, with_codes("What the loss is made of, step by step", codes), _sentences(shown, best))
    if not panels:
        put(figure, 0.5, 0.2, "No figure is known at any step.", ha="center", color=MUTED)
        return figure
    edges = _column_edges(figure, len(shown))
    if len(shown) > 1:
        for (left, _), of in zip(edges, shown, strict=True):
            color = readable(SPLIT_COLORS[of.split])
            put(figure, left / figure.bbox.width, (top - 14) / figure.bbox.height, of.split, color=color, weight="bold")
        top -= 22
    for panel in panels:
        scale = _scale(panel, shown)
        head = _HEAD + (_LANE * lanes if panel is panels[0] else 0)
        _write_head(figure, top - 23, panel, shown)
        for (left, right), of, marks in zip(edges, shown, best, strict=True):
            axes = add_axes(figure, left, top - head - panel.height, right, top - head)
            scale.apply(axes, fraction=panel.fraction)
            axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
            if left != edges[0][0]:
                set_ticks(axes.yaxis, axes.get_yticks().tolist(), [])
            _draw(figure, axes, panel, of, marks, last=panel is panels[-1])
            if lanes and panel is panels[0]:
                _write_lanes(figure, axes, of, marks)
        top -= head + panel.height
    return figure


def _figure(of: PredictionSteps, name: str) -> FloatArray:
    """The values of one figure over the steps; NaN throughout where it was not logged."""
    return of.figures.get(name, np.full(len(of), np.nan))


def _best_steps(of: PredictionSteps) -> _Best:
    """The best steps of the smoothed curves, by the same arithmetic as for every other curve."""
    found: list[int | None] = []
    for name in ("log_loss", "refinement_loss"):
        value = _figure(of, name)
        if not np.isfinite(value).any():
            found.append(None)
            continue
        summary = summarize_curve(Curve(METRICS["log_loss"], of.split, of.step, value, of.step_unit))
        found.append(summary.smoothed_best_step)
    return _Best(*found)


def _sentences(shown: Sequence[PredictionSteps], best: Sequence[_Best]) -> list[str]:
    """Say of the split that counts what happened to the loss since its best step, and what that is made of."""
    order = {"validation": 0, "test": 1, "train": 2}
    pairs = sorted(zip(shown, best, strict=True), key=lambda pair: order[pair[0].split])
    if not pairs:
        return []
    of, marks = pairs[0]
    parts = split_rise(of)
    if parts is None:
        loss = _figure(of, "log_loss")
        if marks.by_loss is None:
            return []
        lowest = number(float(loss[of.step.searchsorted(marks.by_loss)]))
        return [
            f"{of.split}: lowest loss {lowest} {at_step(of.step_unit, marks.by_loss)}, {number(loss[-1])} at the end"
        ]
    calibration, refinement = signed(parts.total - parts.by_refinement), signed(parts.by_refinement)
    since = f"since {STEP_LABELS[of.step_unit]} {parts.step:,} the loss has risen by {number(parts.total)} nats"
    line = f"{of.split}: {since}: calibration {calibration}, refinement {refinement}"
    if parts.by_refinement > parts.refinement.doubt:
        return [line, "the answers themselves get worse: a temperature does not bring the best step back"]
    course = "still improves" if parts.by_refinement < -parts.refinement.doubt else "holds"
    return [line, f"the loss rises through calibration only: refinement {course}"]


def _column_edges(figure: Figure, n: int) -> list[tuple[float, float]]:
    """Left and right edge of each column of axes; labels stand to the right of each."""
    gap = _RIGHT + 14
    width = (figure.bbox.width - _LEFT - _RIGHT - gap * (n - 1)) / n
    return [(_LEFT + i * (width + gap), _LEFT + i * (width + gap) + width) for i in range(n)]


def _scale(panel: _Panel, shown: Sequence[PredictionSteps]) -> Scale:
    """One scale for all columns, so that they can be held against each other.

    That of the log loss begins at zero and ends where the later steps do: the first ones would flatten all others.
    """
    values = [_figure(of, name) for of in shown for name in panel.names]
    scale = value_scale(values, allow_log=not panel.from_zero and not panel.fraction)
    if not panel.from_zero:
        return scale
    later = [v[len(v) // _EARLY :] if len(v) >= _LONG else v for v in values]
    cut = value_scale(later, allow_log=False)
    high = cut.high if scale.high > _CUT * cut.high > 0 else scale.high
    lowest = min((float(v[np.isfinite(v)].min()) for v in values if np.isfinite(v).any()), default=0.0)
    return Scale(0.0 if lowest >= 0 else scale.low, high, log=False)


def _write_head(figure: Figure, y: float, panel: _Panel, shown: Sequence[PredictionSteps]) -> None:
    """Title of a panel, and what its colours mean; a colour that does not occur is not explained."""
    put(figure, 16 / figure.bbox.width, y / figure.bbox.height, panel.title, weight="bold")
    key = panel.key
    if panel.from_zero:
        above = [_figure(of, "log_loss") - _figure(of, "refinement_loss") for of in shown]
        occurs = (
            any(np.isfinite(a).any() for a in above),
            any((a > 0).any() for a in above),
            any((a < 0).any() for a in above),
        )
        key = tuple(item for item, there in zip(panel.key, occurs, strict=True) if there)
    color_key(figure, y + 4, key, left=16 + text_size(figure, panel.title, weight="bold")[0] + 24)


def _draw(figure: Figure, axes: Axes, panel: _Panel, of: PredictionSteps, marks: _Best, *, last: bool) -> None:
    """Draw one column of one panel."""
    first, end = int(of.step[0]), int(of.step[-1])
    set_step_axis(figure, axes, first, end, unit=of.step_unit, labelled=last)
    if not last:
        set_ticks(axes.xaxis, axes.get_xticks().tolist(), [])
    x = of.step.astype(np.float64)
    labels = []
    if panel.from_zero:
        labels += _draw_parts(axes, x, _figure(of, "log_loss"), _figure(of, "refinement_loss"))
    for row, name in enumerate(name for name in panel.names if name in _LINES):
        value = _figure(of, name)
        draw_trace(axes, x, value, color=_LINES[name], row=row, linestyle="-", linewidth=2.0, zorder=3, label=name)
        labels += _end(value, _LINES[name], fraction=panel.fraction)
    if panel.from_zero:
        _write_first(figure, axes, x, _figure(of, "log_loss"))
    for step, color in ((marks.by_loss, INK), (marks.by_refinement, GREEN)):
        if step is not None and not (color == GREEN and step == marks.by_loss):
            axes.axvline(step, color=color, linewidth=1.1, linestyle=(0, (4, 2)), marker="", zorder=2.6, gid="best")
    end_labels(figure, axes, labels)


def _draw_parts(axes: Axes, x: FloatArray, loss: FloatArray, remains: FloatArray) -> list[EndLabel]:
    """Refinement as an area from zero, calibration from there to the loss; negative where the loss is below it."""
    base = max(0.0, axes.get_ylim()[0])
    options: dict[str, Any] = {"linewidth": 0, "zorder": 1}
    axes.fill_between(
        x,
        base,
        np.where(np.isfinite(loss), np.fmin(remains, loss), remains),
        color=_REMAINS,
        gid="refinement",
        **options,
    )
    known = np.isfinite(loss) & np.isfinite(remains)
    axes.fill_between(
        x, remains, loss, where=known & (loss >= remains), interpolate=True, color=_OVER, gid="calibration", **options
    )
    axes.fill_between(
        x, loss, remains, where=known & (loss < remains), interpolate=True, color=_UNDER, gid="negative", **options
    )
    draw_trace(axes, x, remains, color=MUTED, row=1, linestyle="-", linewidth=1.3, zorder=2.8, label="refinement_loss")
    return _end(remains, MUTED, fraction=False)


def _write_first(figure: Figure, axes: Axes, x: FloatArray, loss: FloatArray) -> None:
    """Say where a curve comes from that begins above the axes, beside the place where it comes in."""
    top = axes.get_ylim()[1]
    if not top < loss[0] < np.inf:
        return
    entry = x[int(np.argmax(loss <= top))]
    box, (width, height) = axes.get_window_extent(), figure.bbox.size
    text = f"↑ from {number(float(loss[0]))}"
    at = float(axes.transData.transform((entry, 0))[0]) + 8
    start = min(at, box.x1 - text_size(figure, text)[0] - 8)
    put(figure, start / width, (box.y1 - 10) / height, text, color=MUTED, va="center", gid="begins above")


def _end(value: FloatArray, color: str, *, fraction: bool) -> list[EndLabel]:
    """The last value of a line, beside its end."""
    finite = value[np.isfinite(value)]
    if not finite.size:
        return []
    return [EndLabel(float(finite[-1]), percent(value[-1]) if fraction else number(value[-1]), color)]


def _write_lanes(figure: Figure, axes: Axes, of: PredictionSteps, marks: _Best) -> None:
    """Name the best steps above the axes, each on a line of its own."""
    box, (width, height) = axes.get_window_extent(), figure.bbox.size
    recalibrated = "best after recalibration" if box.width > _WIDE else "recalibrated"
    found = [(marks.by_refinement, recalibrated, GREEN), (marks.by_loss, "lowest loss", INK)]
    if marks.by_loss == marks.by_refinement:
        found = [(marks.by_loss, "best both ways", INK)]
    edge = box.x1 + _RIGHT - 4
    lanes = []
    for step, words, color in found:
        if step is None:
            continue
        text = fit_text(figure, f"{words}: {STEP_LABELS[of.step_unit]} {step:,}", edge - box.x0)
        x, space = float(axes.transData.transform((step, 0))[0]), text_size(figure, text)[0]
        start = x + 6 if x + 6 + space <= edge else max(box.x0, x - 6 - space)
        lanes.append((x, start, start + space, text, color))
    # The line of the upper one must not go through the words of the lower one.
    if len(lanes) > 1 and lanes[0][1] - 4 <= lanes[1][0] <= lanes[0][2] + 4:
        lanes.reverse()
    for lane, (x, start, _, text, color) in enumerate(lanes):
        y = box.y1 + 5 + _LANE * lane
        put(figure, start / width, y / height, text, color=readable(color), gid="lane")
        connect(axes, (x, box.y1), (x, y + _LANE - 7), color)
