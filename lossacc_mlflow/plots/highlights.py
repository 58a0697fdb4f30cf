"""Drawing areas behind the curves, levels across them, and single points on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lossacc_mlflow.plots.shapes import Area, Level, Rings, Spot
from lossacc_mlflow.plots.style import INK, MUTED, readable, tint
from lossacc_mlflow.plots.traces import envelope

__all__ = ["draw_areas", "draw_breaks", "draw_levels", "draw_rings", "draw_spots"]

_STRENGTH = {"chance band": 0.16, "swing": 0.28, "gap": 0.10, "saturated": 0.12}


def draw_areas(axes: Axes, areas: Sequence[Area]) -> None:
    """Shade rectangles behind the curves.

    Parameters
    ----------
    axes : Axes
        With its limits set.
    areas : sequence of Area
    """
    bottom, top = axes.get_ylim()
    for area in areas:
        low, high = (bottom if area.low is None else area.low), (top if area.high is None else area.high)
        options: dict[str, Any] = {"facecolor": tint(area.color, _STRENGTH[area.kind]), "linewidth": 0}
        if area.kind == "gap":
            options |= {"hatch": "////", "edgecolor": tint(area.color, 0.3)}
        # In the limits, so that a logarithmic axis has no need to draw what is not positive.
        ends = max(min(low, high), bottom), min(max(low, high), top)
        axes.fill_between([area.first, area.last], *ends, zorder=0.05, gid=area.kind, **options)


def draw_levels(axes: Axes, levels: Sequence[Level]) -> None:
    """Draw horizontal lines: dotted for guessing, dashed and dotted for a baseline, thicker where one decides.

    Parameters
    ----------
    axes : Axes
    levels : sequence of Level
    """
    dashes: dict[str, Any] = {"baseline": (0, (7, 2, 1.5, 2)), "limit": (0, (3, 2))}
    for level in levels:
        axes.axhline(
            level.value,
            color=INK if level.strong or level.kind == "baseline" else MUTED,
            marker="",
            linewidth=1.7 if level.strong else 1.1,
            linestyle=dashes.get(level.kind, (0, (1, 2))),
            zorder=1.5,
            gid=level.kind,
        )


def draw_spots(axes: Axes, spots: Sequence[Spot]) -> None:
    """Mark points with a hollow square.

    Parameters
    ----------
    axes : Axes
    spots : sequence of Spot
    """
    for spot in spots:
        axes.plot(
            [spot.step], [spot.value], marker="s", markersize=7, color=INK, markerfacecolor="white",
            markeredgewidth=1.5, linestyle="none", zorder=5, gid="spot",
        )  # fmt: skip


def draw_breaks(axes: Axes, breaks: Sequence[Spot]) -> None:
    """Mark where a curve breaks off.

    Parameters
    ----------
    axes : Axes
    breaks : sequence of Spot
    """
    low, high = axes.get_ylim()
    for spot in breaks:
        axes.plot(
            [spot.step], [np.clip(spot.value, low, high)], marker="X", markersize=10, color=readable(spot.color),
            markeredgecolor="white", markeredgewidth=1.0, linestyle="none", zorder=5.5, clip_on=False, gid="break",
        )  # fmt: skip


def draw_rings(axes: Axes, rings: Rings) -> None:
    """Ring the points that cannot be, and draw the limit that they break.

    Parameters
    ----------
    axes : Axes
    rings : Rings
    """
    size = 8 if len(rings.step) > 1 else 14
    axes.plot(
        rings.step, rings.value, marker="o", markersize=size, markerfacecolor="none", markeredgecolor=INK,
        markeredgewidth=1.2, linestyle="none", zorder=4.5, gid="impossible",
    )  # fmt: skip
    if len(rings.limit):
        step, limit = envelope(rings.limit_step, rings.limit)
        axes.plot(step, limit, color=INK, marker="", linewidth=1.4, linestyle=(0, (3, 2)), zorder=2.2, gid="limit")
