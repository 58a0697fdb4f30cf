"""Where the loss difference of two models comes from: a waterfall over four groups of samples."""

from math import isfinite, isnan
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.style import BLUE, MUTED, VERMILLION, add_axes, color_key, fit_text, header, new_figure, put
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.waterfall import Columns, draw_step, draw_stroke, limits_of, set_bar_axis, write_row
from lossacc_mlflow.records import AttributionGroup, PairedComparison
from lossacc_mlflow.wording import number, p_value, percent, signed

__all__ = ["plot_attribution"]

_COLUMNS: Final = Columns(
    bars=(240, 624), figures=((706, "samples"), (820, "mean loss A"), (926, "mean loss B"), (1028, "A - B"))
)
_NAME_ROOM = 290
_NAMES: Final = {
    "both_right": "both right",
    "only_a_right": "only A right",
    "only_b_right": "only B right",
    "both_wrong": "both wrong",
}


def plot_attribution(pair: PairedComparison) -> Figure:
    """Draw how four groups of samples add up to the loss difference of two models.

    Parameters
    ----------
    pair : PairedComparison

    Returns
    -------
    Figure
        From the loss of B at the top, each group moves on by what it contributes, down to the loss of A; the last row
        shows both losses after each model's own temperature.
    """
    figure = new_figure(5.3)
    a, b = (fit_text(figure, clean(name, 60), _NAME_ROOM, keep_end=True) for name in (pair.name_a, pair.name_b))
    where = f" ({pair.split})" if pair.split else ""
    title = f"Where the loss difference A - B = {signed(pair.delta_loss)} nats comes from{where}"
    top = header(figure, title, _lines(pair, a, b))
    color_key(figure, top - 9, ((VERMILLION, "makes A's loss greater"), (BLUE, "makes A's loss smaller")))
    axes = add_axes(figure, _COLUMNS.bars[0], 52, _COLUMNS.bars[1], top - 48)
    axes.set_ylim(6.6, -0.6)
    # Where a loss is not known, what is known of the difference still stands, from zero on.
    level = pair.loss_b if np.isfinite(pair.loss_b) else 0.0
    levels = np.cumsum([level, *(_contribution(g) for g in pair.groups)])
    after = (pair.loss_a_after_temperature, pair.loss_b_after_temperature)
    label = "log loss (nats)" if np.isfinite(pair.loss_b) else "adds to the difference of the log losses (nats)"
    set_bar_axis(axes, limits_of([*levels, pair.loss_a, *after]), label)
    write_row(figure, axes, _COLUMNS, -0.95, "", [name for _, name in _COLUMNS.figures], color=MUTED)
    draw_stroke(axes, pair.loss_b, (-0.33, 0.33), "loss B")
    cells = [f"{pair.n_samples:,}", "", number(pair.loss_b), ""]
    write_row(figure, axes, _COLUMNS, 0, f"B: {b}", cells, weight="bold")
    for row, group in enumerate(pair.groups, start=1):
        change = _contribution(group)
        draw_step(axes, row, float(levels[row - 1]), change, VERMILLION if change > 0 else BLUE, gid="contribution")
        write_row(figure, axes, _COLUMNS, row, _NAMES[group.name], _figures(group))
    draw_stroke(axes, pair.loss_a, (4.67, 5.33), "loss A")
    cells = ["", number(pair.loss_a), "", signed(pair.delta_loss)]
    write_row(figure, axes, _COLUMNS, 5, f"A: {a}", cells, weight="bold")
    _draw_after_temperature(figure, axes, pair)
    return figure


def _lines(pair: PairedComparison, a: str, b: str) -> list[str]:
    """Who A and B are, and how sure the difference is."""
    low, high = pair.delta_loss_ci95
    sure = "settled" if pair.decided else "not settled"
    test, p, clip = ("paired t", pair.paired_t_p, "")
    if pair.at_clip:
        test, p, clip = ("Brier score", pair.brier_t_p, "; it hangs on the clip")
    among = f" among {pair.n_pairs:,} pairs" if pair.n_pairs > 1 else ""
    accuracy_p = _p_values(pair.mcnemar_p, pair.mcnemar_p_holm)
    return [
        f"A = {a} ({percent(pair.accuracy_a)}, {number(pair.loss_a)}) · B = {b} ({percent(pair.accuracy_b)}, "
        f"{number(pair.loss_b)})",
        f"accuracy {100 * pair.delta_accuracy:+.1f} points: McNemar {accuracy_p}{among}",
        f"loss {signed(low)} to {signed(high)} (95 % interval): {sure} at 5 % "
        f"({test} {_p_values(p, pair.loss_p_holm)}{clip})",
    ]


def _p_values(p: float, adjusted: float) -> str:
    """A p value, and what is left of it among all pairs, where that is known."""
    return p_value(p) if isnan(adjusted) else f"{p_value(p)}, Holm {p_value(adjusted)}"


def _contribution(group: AttributionGroup) -> float:
    """What the group adds; an empty one, or one whose loss is not known, moves nothing."""
    return group.contribution if group.n and np.isfinite(group.contribution) else 0.0


def _figures(group: AttributionGroup) -> list[str]:
    if not group.n:
        return ["0", "", "", "0"]
    return [f"{group.n:,}", number(group.mean_loss_a), number(group.mean_loss_b), signed(group.contribution)]


def _draw_after_temperature(figure: Figure, axes: Axes, pair: PairedComparison) -> None:
    """Both losses after each model's own temperature, in a row of their own."""
    a, b, change = pair.loss_a_after_temperature, pair.loss_b_after_temperature, pair.delta_loss_after_temperature
    axes.axhline(5.52, color=MUTED, marker="", linewidth=0.8, linestyle=(0, (2, 2)))
    row = 6.1
    if not (np.isfinite(a) and np.isfinite(b)):
        write_row(figure, axes, _COLUMNS, row, "after temperature", ["", "", "", "unknown"], color=MUTED)
        return
    axes.barh(row, a - b, 0.2, left=b, color=VERMILLION if a > b else BLUE, linewidth=0, zorder=2)
    for loss, name, side in ((a, "A", 1 if a >= b else -1), (b, "B", -1 if a >= b else 1)):
        draw_stroke(axes, loss, (row - 0.28, row + 0.28), f"after temperature {name}")
        align: dict[str, Any] = {"ha": "left" if side > 0 else "right", "va": "center_baseline"}
        put(axes, loss, row, f" {name} ", size=10, weight="bold", **align)
    own = [number(t) for t in (pair.temperature_a, pair.temperature_b) if isfinite(t)]
    name = f"temperature {', '.join(own)}" if len(own) == 2 else "after own temperature"
    write_row(figure, axes, _COLUMNS, row, name, ["", number(a), number(b), signed(change)])
