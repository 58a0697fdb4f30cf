"""Drawing differences and lengths: brackets at the right end, stretches of time, and where a curve is heading."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.plots.labels import Box
from lossacc_mlflow.plots.shapes import Bracket, Stretch
from lossacc_mlflow.plots.style import BLUE, SIZE, put, text_size, tint
from lossacc_mlflow.plots.traces import EndLabel, envelope
from lossacc_mlflow.records import Curve, FloatArray

__all__ = ["ARROW_ROOM", "BRACKET_ROOM", "draw_brackets", "draw_fall", "draw_stretch"]

# Pixels.
BRACKET_ROOM: Final = 17
ARROW_ROOM: Final = 46
_ARROW = 32
_MIN_ARROW = 14
_LINE_STEP = 6
_CLEAR = 6


def draw_brackets(axes: Axes, brackets: Sequence[Bracket]) -> list[EndLabel]:
    """Draw differences of levels at the right end, one beside the other, and what lies between curve and best level.

    Parameters
    ----------
    axes : Axes
        With room to the right of the last step: ``BRACKET_ROOM`` pixels for each.
    brackets : sequence of Bracket

    Returns
    -------
    list of EndLabel
        Their words, for the column beside the axes.
    """
    labels = []
    box = axes.get_window_extent()
    low, high = axes.get_ylim()
    to_data = axes.transData.inverted()
    for column, bracket in enumerate(brackets):
        x = box.x1 - 7 - BRACKET_ROOM * (len(brackets) - 1 - column)
        ends = [min(max(y, low), high) for y in (bracket.start, bracket.end)]
        pixels = [float(axes.transData.transform((0, y))[1]) for y in ends]
        at = float(to_data.transform((x, box.y0))[0])
        if bracket.curve is not None and bracket.since is not None:
            _shade_between(axes, bracket.curve, bracket.since, bracket.start, bracket.color)
        if bracket.since is not None:
            axes.plot([bracket.since, at], [ends[0]] * 2, color=bracket.color, **_thin, gid="best level")
        _draw_bracket(axes, x, pixels, bracket)
        middle = (pixels[0] + pixels[1]) / 2
        labels.append(
            EndLabel(float(to_data.transform((x, middle))[1]), bracket.text, bracket.color, x=x + 3, weight="bold")
        )
    return labels


def _draw_bracket(axes: Axes, x: float, pixels: Sequence[float], bracket: Bracket) -> None:
    """A vertical line with a foot at each end, or an arrow to the second one where it is long enough."""
    start, end = pixels
    color = bracket.color
    pointed = bracket.arrow and abs(end - start) >= _MIN_ARROW
    for y in pixels[: 1 if pointed else 2]:
        axes.plot([x - 4, x + 4], [y, y], color=color, transform=None, **_foot, gid="bracket foot")
    style = "-|>,head_width=0.28,head_length=0.5" if pointed else "-"
    _draw_arrow(axes, (x, start), (x, end), gid="bracket", zorder=6, style=style, color=color, linewidth=1.6, scale=12)


def _draw_arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    gid: str,
    zorder: float,
    style: str,
    color: str,
    linewidth: float,
    scale: float,
) -> None:
    """Draw an arrow between two points in figure pixels, also outside the axes."""
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        xycoords="figure pixels",
        textcoords="figure pixels",
        arrowprops={
            "arrowstyle": style,
            "color": color,
            "linewidth": linewidth,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": scale,
        },
        annotation_clip=False,
        fontsize=SIZE,
        gid=gid,
        zorder=zorder,
    )


def _shade_between(axes: Axes, curve: Curve, since: int, level: float, color: str) -> None:
    """Fill what lies between a curve and its best level, on the worse side of it."""
    late = curve.step >= since
    step, value = envelope(curve.step[late].astype(np.float64), curve.value[late])
    worse = value < level if curve.metric.greater_is_better else value > level
    low, high = axes.get_ylim()
    axes.fill_between(
        step,
        np.clip(level, low, high),
        np.clip(np.where(np.isfinite(value), value, level), low, high),
        where=worse & np.isfinite(value),
        interpolate=True,
        color=tint(color, 0.22),
        linewidth=0,
        zorder=0.2,
        gid="given up",
    )


def draw_stretch(figure: Figure, axes: Axes, stretch: Stretch, lines: FloatArray) -> Box:
    """Draw a length of time as a line with words in its middle, where the curves leave most room.

    Parameters
    ----------
    figure : Figure
    axes : Axes
    stretch : Stretch
    lines : ndarray of float64, shape (n_points, 2)
        Points a few pixels apart along everything that should not be hidden.

    Returns
    -------
    Box
        What it covers, in pixels.
    """
    box = axes.get_window_extent()
    left, right = (float(axes.transData.transform((step, 0))[0]) for step in (stretch.first, stretch.last))
    room = right - left - 2 * _MIN_ARROW - 20
    full, short = stretch.text + stretch.share, stretch.text
    text = full if text_size(figure, full)[0] <= room else short
    width, height = text_size(figure, text)
    within = width <= room
    # Beside the line where it is shorter than the words, or over it where there is no room.
    beside = max(box.x0 + 8 + width / 2, left - 10 - width / 2)
    centre = min((left + right) / 2 if within else beside, box.x1 - 6 - width / 2)
    wide = Box(min(left, centre - width / 2), 0, max(right, centre + width / 2), 0)
    heights = np.arange(box.y0 + 12, box.y1 - 10, _LINE_STEP)
    boxes = [replace(wide, y0=y - height / 2 - _CLEAR, y1=y + height / 2 + _CLEAR) for y in heights]
    covered = [_inside(b, lines) for b in boxes]
    # At the bottom first, then at the top, then anywhere between.
    order = sorted(range(len(boxes)), key=lambda i: (covered[i], min(i, 3 + len(boxes) - i)))
    taken = boxes[order[0]]
    y = taken.center[1]
    halves = (
        ((centre - width / 2 - 6, left), (centre + width / 2 + 6, right)) if within else ((left, right), (right, left))
    )
    for start, end in halves:
        # Annotations stand at 3, and their arrow heads have the size of their words, unless told otherwise.
        _draw_arrow(
            axes,
            (start, y),
            (end, y),
            gid="stretch",
            zorder=3,
            style="->",
            color=stretch.color,
            linewidth=1.1,
            scale=SIZE,
        )
    w, h = figure.bbox.size
    put(
        figure,
        centre / w,
        y / h,
        text,
        color=stretch.color,
        ha="center",
        va="center_baseline",
        gid="stretch words",
    )
    return taken


def _inside(box: Box, lines: FloatArray) -> int:
    x, y = lines[:, 0], lines[:, 1]
    return int(np.count_nonzero((x > box.x0) & (x < box.x1) & (y > box.y0) & (y < box.y1)))


def draw_fall(axes: Axes, curve: Curve, text: str) -> EndLabel:
    """Draw an arrow that goes on from the end of a curve as it was falling.

    Parameters
    ----------
    axes : Axes
        With ``ARROW_ROOM`` pixels to the right of the last step.
    curve : Curve
        It ends finite.
    text : str

    Returns
    -------
    EndLabel
        The words, at the tip.
    """
    box = axes.get_window_extent()
    finite = np.isfinite(curve.value)
    late = np.flatnonzero(finite)[-max(2, int(finite.sum()) // 5) :]
    ends = axes.transData.transform([(curve.step[i], curve.value[i]) for i in (late[0], late[-1])])
    along = ends[1] - ends[0]
    # Steep enough to be seen as a fall, flat enough to be seen as going on.
    angle = float(np.clip(np.arctan2(along[1], max(along[0], 1.0)), -np.pi / 3.5, -np.pi / 10))
    x, y = float(ends[1, 0]) + 5, float(np.clip(ends[1, 1], box.y0 + 6, box.y1))
    tip = (x + _ARROW * float(np.cos(angle)), max(y + _ARROW * float(np.sin(angle)), box.y0 - 4))
    _draw_arrow(axes, (x, y), tip, gid="fall", zorder=6, style="-|>", color=BLUE, linewidth=2.2, scale=13)
    level = float(axes.transData.inverted().transform(tip)[1])
    beside = tip[0] > box.x1 - ARROW_ROOM
    return EndLabel(level, text, BLUE, x=tip[0] + 3 if beside else None, weight="bold")


_thin: Final[dict[str, Any]] = {"marker": "", "linewidth": 1.0, "linestyle": (0, (4, 2)), "zorder": 2.1}
_foot: Final[dict[str, Any]] = {"marker": "", "linewidth": 1.6, "linestyle": "-", "zorder": 6, "clip_on": False}
