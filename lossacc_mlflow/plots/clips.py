"""What the same probabilities cost under the clip of each library."""

from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.labels import spread
from lossacc_mlflow.plots.style import GRID, INK, MUTED, VERMILLION, add_axes, put, set_label, set_ticks, text_size
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import Scale, connect
from lossacc_mlflow.records import PredictionSummary
from lossacc_mlflow.wording import number

__all__ = ["clip_strip_height", "draw_clip_strip", "group_clips"]

_HEIGHT, _AXIS, _LANE, _DOT, _GAP = 150, 52, 24, 40, 18
_LEFT, _RIGHT = 82, 40
_SAME = 0.005
"""Where all losses are nearer than this, as a fraction, the clip changes nothing that is worth showing."""


def clip_strip_height(summary: PredictionSummary) -> int:
    """Height in pixels that the strip takes; 0 where every clip gives the same loss."""
    losses = [clip.log_loss for clip in summary.loss_by_clip]
    return _HEIGHT if losses and max(losses) > min(losses) * (1 + _SAME) else 0


def group_clips(summary: PredictionSummary) -> list[tuple[str, float]]:
    """Group libraries by what the loss is under their clip.

    Parameters
    ----------
    summary : PredictionSummary

    Returns
    -------
    list of (names, loss)
        In rising order of the loss; the last one may be infinite.
    """
    groups: list[tuple[list[str], float]] = []
    for clip in sorted(summary.loss_by_clip, key=lambda c: c.log_loss):
        if groups and number(clip.log_loss) == number(groups[-1][1]):
            groups[-1][0].append(clean(clip.name, 24))
        else:
            groups.append(([clean(clip.name, 24)], clip.log_loss))
    return [(", ".join(names), loss) for names, loss in groups]


def draw_clip_strip(figure: Figure, summary: PredictionSummary) -> None:
    """Draw one dot for each loss along an axis at the foot of a figure, its libraries above and below in turn."""
    groups = group_clips(summary)
    finite = [loss for _, loss in groups if isfinite(loss)]
    axes = add_axes(figure, _LEFT, _AXIS, figure.bbox.width - _RIGHT, _AXIS + 72)
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    beyond = 0.14 * (high - low + 2 * margin) if len(finite) < len(groups) else 0.0
    axes.set_xlim(low - margin, high + margin + beyond)
    axes.set_ylim(0, 1)
    set_ticks(axes.yaxis, [], [])
    axes.spines["left"].set_visible(False)
    set_ticks(axes.xaxis, *Scale(low - margin, high + margin, log=False).ticks(fraction=False))
    axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8, linestyle="-")
    set_label(axes.xaxis, "log loss (nats) of the same probabilities, clipped as each library does")
    places = [loss if isfinite(loss) else high + margin + 0.8 * beyond for _, loss in groups]
    for place, (_, loss) in zip(places, groups, strict=True):
        color, marker = (INK, "o") if isfinite(loss) else (VERMILLION, ">")
        style: dict[str, Any] = {"marker": marker, "color": color, "markersize": 8, "linestyle": "none"}
        axes.plot([place], [_DOT / axes.get_window_extent().height], zorder=3, gid="clip dot", **style)
    for lane in (0, 1):
        _write_lane(figure, axes, lane, groups[lane::2], places[lane::2], summary.log_loss)


def _write_lane(
    figure: Figure, axes: Axes, lane: int, groups: list[tuple[str, float]], places: list[float], used: float
) -> None:
    """Write every second group above or below the dots; the loss that is written everywhere else is bold."""
    box, (width, height) = axes.get_window_extent(), figure.bbox.size
    texts = [f"{names}  {number(loss)}" for names, loss in groups]
    weights = ["bold" if number(loss) == number(used) else "normal" for _, loss in groups]
    sizes = [text_size(figure, text, weight=weight)[0] for text, weight in zip(texts, weights, strict=True)]
    at = [float(axes.transData.transform((place, 0))[0]) for place in places]
    centres = spread(at, [size + _GAP for size in sizes], 16, width - 12)
    y = box.y0 + _DOT + (_LANE - 6 if lane == 0 else -_LANE - 6)
    for text, weight, size, x, centre in zip(texts, weights, sizes, at, centres, strict=True):
        put(figure, centre / width, y / height, text, weight=weight, ha="center", gid="clip")
        reach = max(0.0, size / 2 - 8)
        connect(
            axes, (x, box.y0 + _DOT), (min(max(x, centre - reach), centre + reach), y + (0 if lane == 0 else 14)), MUTED
        )
