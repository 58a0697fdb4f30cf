"""Calibration and refinement: which part of a loss a better temperature removes, and which part remains."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.style import (
    BLUE,
    DPI,
    INK,
    MUTED,
    SPLIT_COLORS,
    VERMILLION,
    add_axes,
    color_key,
    header,
    new_figure,
    put,
    readable,
    text_size,
    tint,
    with_codes,
)
from lossacc_mlflow.plots.waterfall import Columns, draw_step, draw_stroke, limits_of, set_bar_axis, write_row
from lossacc_mlflow.records import PredictionSummary, Split
from lossacc_mlflow.wording import number, percent, signed

__all__ = ["plot_calibration"]

_COLUMNS: Final = Columns(bars=(268, 842), figures=((934, "nats"), (1029, "of the loss")))
_ROW, _BLOCK = 30, 5.25
"""Height of a row in pixels, and rows that a split takes, the space below it included."""
_REMAINS: Final = tint(INK, 0.3)
_NOISE: Final = "#dfe3e8"
_N_ERRORS = 3
"""Standard errors below which a calibration loss is no evidence, as the rules take it."""
_FAR = 1.6


def plot_calibration(summaries: Mapping[Split, PredictionSummary], *, codes: Sequence[str] = ()) -> Figure:
    """Draw the loss of every split as what remains at its best temperature, and what that temperature removes.

    Parameters
    ----------
    summaries : mapping of split to PredictionSummary

    codes : sequence of str
        Of flagged findings that are to be seen here; they stand in the title.

    Returns
    -------
    Figure
        For each split, bars lead from zero over the refinement loss and the calibration loss of wrong and of right
        answers (each of which may be negative) to the log loss. The grey band holds losses that are within three
        standard errors of the refinement loss; a dashed line is the loss of answering the class shares.
    """
    known = [(split, summaries[split]) for split in SPLIT_COLORS if split in summaries]
    figure = new_figure((_ROW * _BLOCK * max(len(known), 1) + 180) / DPI)
    lines = [
        "A temperature makes a model more or less sure and changes no answer. What the best one removes is "
        "calibration;",
        "what remains is refinement, which only a better model can lower (cross-fitted, so it may come out negative).",
    ]
    top = header(figure, with_codes("How much of the loss is miscalibration?", codes), lines)
    key = (
        (_REMAINS, "refinement"),
        (VERMILLION, "calibration, wrong answers"),
        (BLUE, "calibration, right answers"),
        (_NOISE, "no evidence: within 3 standard errors"),
    )
    color_key(figure, top - 9, key)
    axes = add_axes(figure, _COLUMNS.bars[0], 52, _COLUMNS.bars[1], top - 46)
    axes.set_ylim(_BLOCK * max(len(known), 1) - 0.65, -0.6)
    levels = [level for _, s in known for level in _levels(s)]
    near = max((level for level in levels if isfinite(level)), default=0.0)
    priors = [s.prior_loss for _, s in known if s.prior_loss <= _FAR * near]
    low, high = limits_of([0.0, *levels, *priors])
    set_bar_axis(axes, (low, high), "log loss (nats)")
    write_row(figure, axes, _COLUMNS, -0.98, "", [name for _, name in _COLUMNS.figures], color=MUTED)
    for block, (split, summary) in enumerate(known):
        _draw_split(figure, axes, _BLOCK * block, split, summary)
    return figure


def _levels(summary: PredictionSummary) -> list[float]:
    """Where bars begin and end; what is not known is left out."""
    refinement, wrong = summary.refinement_loss, summary.calibration_loss_incorrect
    levels = [summary.log_loss]
    if refinement is not None:
        levels += [refinement, refinement + (wrong or 0.0), *_band(summary)]
    return levels


def _band(summary: PredictionSummary) -> tuple[float, float]:
    """Losses that are no evidence of miscalibration."""
    error = _N_ERRORS * (summary.calibration_loss_se or 0.0)
    refinement = summary.refinement_loss or 0.0
    return (refinement - error, refinement + error) if isfinite(error) else (refinement, refinement)


def _draw_split(figure: Figure, axes: Axes, row: float, split: Split, summary: PredictionSummary) -> None:
    """Draw the rows of one split."""
    loss, refinement = summary.log_loss, summary.refinement_loss
    _draw_prior(figure, axes, row, summary)
    write_row(figure, axes, _COLUMNS, row, split, ["", ""], weight="bold", color=readable(SPLIT_COLORS[split]))
    _write_in_row(figure, axes, row, _temperature_words(summary))
    if refinement is None or not (isfinite(loss) and isfinite(refinement)):
        axes.barh(
            row + 1, loss if isfinite(loss) else 0.0, 0.56, color=_REMAINS, linewidth=0, zorder=2, gid="refinement"
        )
        write_row(figure, axes, _COLUMNS, row + 1, "log loss", [number(loss), percent(1.0)])
        return
    low, high = _band(summary)
    if high > low:
        axes.barh(row + 2.75, high - low, 3.1, left=low, color=_NOISE, linewidth=0, zorder=1, gid="noise")
    axes.barh(row + 1, refinement, 0.56, color=_REMAINS, linewidth=0, zorder=2, gid="refinement")
    draw_stroke(axes, refinement, (row + 0.72, row + 1.72), "tie", color=MUTED, linewidth=0.9)
    write_row(figure, axes, _COLUMNS, row + 1, "remains (refinement)", _cells(refinement, loss, plain=True))
    level, parts = refinement, (
        ("wrong answers, calibration", summary.calibration_loss_incorrect, VERMILLION),
        ("right answers, calibration", summary.calibration_loss_correct, BLUE),
    )  # fmt: skip
    for place, (name, change, color) in enumerate(parts, start=2):
        if change is not None and isfinite(change):
            draw_step(axes, row + place, level, change, color, gid="calibration")
            level += change
        write_row(figure, axes, _COLUMNS, row + place, name, _cells(change, loss))
    draw_stroke(axes, loss, (row + 3.7, row + 4.3), "loss")
    write_row(figure, axes, _COLUMNS, row + 4, "log loss", [number(loss), ""], weight="bold")


def _cells(value: float | None, loss: float, *, plain: bool = False) -> list[str]:
    """A part of the loss in nats, and as a share."""
    if value is None:
        return [number(None), ""]
    return [number(value) if plain else signed(value), percent(value / loss) if loss > 0 else ""]


def _temperature_words(summary: PredictionSummary) -> str:
    """Say what the best temperature is and what it removes."""
    if summary.temperature is None:
        return "no temperature was fitted: what is calibration is not known"
    bound = "" if not summary.temperature_at_bound else "at least " if summary.temperature > 1 else "at most "
    words = f"best temperature {bound}{number(summary.temperature)}"
    if summary.calibration_loss is not None:
        se = summary.calibration_loss_se
        error = "" if se is None or not isfinite(se) else f" ± {number(se)}"
        words += f": calibration {signed(summary.calibration_loss)}{error} nats"
    return words


def _write_in_row(figure: Figure, axes: Axes, row: float, text: str) -> None:
    """Write words where the bars of a row would be."""
    width, height = figure.bbox.size
    y = float(axes.transData.transform((0, row))[1]) / height
    put(figure, (_COLUMNS.bars[0] + 4) / width, y, text, color=MUTED, va="center_baseline")


def _draw_prior(figure: Figure, axes: Axes, row: float, summary: PredictionSummary) -> None:
    """Mark the loss of answering the class shares, or name it where it is far away; in words beside the loss."""
    prior = summary.prior_loss
    if not isfinite(prior):
        return
    far = prior > axes.get_xlim()[1]
    if not far:
        axes.plot(
            [prior, prior], [row + 0.6, row + 4.4], color=MUTED, linewidth=1.3, linestyle=(0, (4, 2)), marker="",
            zorder=2.2, gid="prior",
        )  # fmt: skip
    text = f"guessing costs {number(prior)}" + (" →" if far else "")
    known = (summary.log_loss, *(() if far else (prior,)), *(() if summary.refinement_loss is None else _band(summary)))
    box, space = axes.get_window_extent(), text_size(figure, text)[0] + 16
    marks = sorted(float(axes.transData.transform((v, 0))[0]) for v in known if isfinite(v))
    edges = [box.x0 - 8, *marks, box.x1 + 8]
    # Beside the marks of this row: in the rightmost gap that is wide enough.
    ends = [b for a, b in pairwise(edges) if b - a >= space] or [box.x1 + 8]
    y = float(axes.transData.transform((0, row + 4))[1])
    width, height = figure.bbox.size
    style: dict[str, Any] = {"color": MUTED, "ha": "right", "va": "center_baseline"}
    put(figure, (ends[-1] - 8) / width, y / height, text, gid="prior words", **style)
