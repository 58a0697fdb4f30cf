"""Accuracy against log loss: what is impossible, what is calibrated, and where the models are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.bounds import find_loss
from lossacc_mlflow.plots.labels import Box, Placement, place_labels
from lossacc_mlflow.plots.regions import (
    COLOR_KEY,
    COLOR_KEY_NO_BAND,
    AccuracyAxis,
    State,
    accuracy_axis,
    draw_regions,
    name_region,
    state_of,
)
from lossacc_mlflow.plots.style import (
    DPI,
    INK,
    MUTED,
    SIZE,
    VERMILLION,
    add_axes,
    color_key,
    fit_text,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
    text_size,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import connect
from lossacc_mlflow.records import FloatArray, LossBounds
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_loss_accuracy_plane"]

_MAX_LABELS = 12
_MAX_KEY = 60
_MANY_ARROWS = 3
"""Above this many arrows, their meaning is said once, under the title."""
_LEFT, _RIGHT, _BOTTOM, _KEY_LINE = 82, 30, 52, 17
_KEY_WIDTH = 400
_SHORTEST_ARROW = 7.0


@dataclass(frozen=True, slots=True)
class _Point:
    """A model in the picture; ``x`` and ``y`` in pixels."""

    name: str
    bounds: LossBounds
    state: State
    x: float
    y: float


def plot_loss_accuracy_plane(bounds: Mapping[str, LossBounds], *, title: str = "") -> Figure:
    """Draw models (or splits) as points on accuracy and log loss, with the regions of the plane.

    Parameters
    ----------
    bounds : mapping of name to LossBounds
        One point each; names are drawn literally. Up to 12 are labelled beside their point, more are numbered, with
        a key at the side (best accuracy first, the first 60 of them). NaN figures are left out.
    title : str, optional
        Drawn before the number of classes.

    Returns
    -------
    Figure
        Grey is impossible, blue is where a calibrated model can be, orange is possible but miscalibrated. An arrow
        points from a model above the band to where one constant confidence would bring it.

    Notes
    -----
    The regions hold for the number of classes that most points share; others are drawn hollow.
    """
    usable = {n: b for n, b in bounds.items() if not (np.isnan(b.accuracy) or np.isnan(b.loss))}
    ordered = sorted(usable.items(), key=lambda item: (-item[1].accuracy, item[1].loss, item[0]))
    labelled = _draw(ordered, title, numbered=len(ordered) > _MAX_LABELS)
    # Where names would overlap, numbers have room.
    return labelled or _draw(ordered, title, numbered=True) or new_figure(1)


def _draw(ordered: Sequence[tuple[str, LossBounds]], title: str, *, numbered: bool) -> Figure | None:
    """Draw the picture with names or with numbers; None if there is no room for the names."""
    rows = min(len(ordered), _MAX_KEY) + 2
    figure = new_figure(max(6.3, (110 + _KEY_LINE * rows) / DPI if numbered else 0.0))
    n_classes = Counter(b.n_classes for _, b in ordered).most_common(1)[0][0] if ordered else None
    count = f" ({n_classes} classes)" if n_classes else ""
    top = header(figure, f"{clean(title) or 'What accuracy and loss prove about each other'}{count}", _notes(ordered))
    has_band = not ordered or not np.isnan(ordered[0][1].removable_loss)
    color_key(figure, top - 9, COLOR_KEY if has_band else COLOR_KEY_NO_BAND)
    top -= 24
    axes = add_axes(figure, _LEFT, _BOTTOM, figure.bbox.width - (_KEY_WIDTH + 24 if numbered else _RIGHT), top - 4)
    set_label(axes.xaxis, "accuracy")
    set_label(axes.yaxis, _loss_words(ordered[0][1]) if ordered else "log loss (nats)")
    if not ordered:
        put(axes, 0.5, 0.5, "no figures of both accuracy and log loss", ha="center", transform=axes.transAxes)
        set_ticks(axes.xaxis, [], [])
        set_ticks(axes.yaxis, [], [])
        return figure
    every = [b for _, b in ordered]
    scale = accuracy_axis(every)
    floor, low, high, ceiling = draw_regions(axes, scale, every, n_classes)
    points = [_locate(axes, scale, name, b) for name, b in ordered]
    arrows = _draw_arrows(axes, points)
    for point in points:
        _draw_point(axes, point, hollow=point.bounds.n_classes != n_classes)
    obstacles = [Box.around(p.x, p.y, 15, 15) for p in points] + arrows
    shown = points[:_MAX_KEY]
    texts = [(str(i + 1), "") for i in range(len(shown))] if numbered else [_label(p, len(arrows)) for p in points]
    boxes = _write_labels(figure, axes, shown, texts, obstacles=obstacles, lines=(floor, low, high, ceiling))
    if boxes is None and not numbered:
        return None
    if numbered:
        _write_key(figure, points, top)
    taken = [*obstacles, *(boxes or [])]
    for text, color, lower, upper in (
        *(_band_regions(floor, low, high, ceiling) if has_band else (("possible", "#8a5a00", floor, ceiling),)),
        ("impossible", MUTED, None, floor),
        ("impossible", MUTED, ceiling, None),
    ):
        name_region(figure, axes, text, color=color, between=(lower, upper), taken=taken)
    return figure


def _band_regions(
    floor: FloatArray, low: FloatArray, high: FloatArray, ceiling: FloatArray
) -> tuple[tuple[str, str, FloatArray, FloatArray], ...]:
    return (
        ("possible, but miscalibrated", "#8a5a00", high, ceiling),
        ("a calibrated model can be here", "#004f7c", low, high),
        ("possible, but miscalibrated", "#8a5a00", floor, low),
    )


def _loss_words(bounds: LossBounds) -> str:
    """Name the loss axis, with its unit."""
    loss = find_loss(bounds.loss_name)
    return f"{loss.words} ({loss.unit})" if loss.unit else loss.words


def _notes(ordered: Sequence[tuple[str, LossBounds]]) -> list[str]:
    """Lines under the title: what arrows and hollow points mean, where the labels do not say it."""
    lines = []
    if sum(state_of(b) == "above" for _, b in ordered) > _MANY_ARROWS:
        lines.append("↓ the part of the loss that one constant confidence removes without changing a prediction")
    if len({b.n_classes for _, b in ordered}) > 1:
        lines.append("hollow: another number of classes, for which the regions differ")
    return lines


def _locate(axes: Axes, scale: AccuracyAxis, name: str, bounds: LossBounds) -> _Point:
    """Place a point; losses that the axis cannot show lie on its edge."""
    bottom, top = axes.get_ylim()
    y = min(max(bounds.loss, bottom), top)
    x_pixel, y_pixel = axes.transData.transform((scale(bounds.accuracy), y))
    return _Point(clean(name, 32), bounds, state_of(bounds), float(x_pixel), float(y_pixel))


def _draw_point(axes: Axes, point: _Point, *, hollow: bool) -> None:
    """A dot, a cross for what is impossible, a triangle on the edge for what lies beyond it."""
    bottom, top = axes.get_ylim()
    marker = "X" if point.state == "impossible" else "v" if point.bounds.loss < bottom else "o"
    color = VERMILLION if point.state == "impossible" else INK
    x, y = axes.transData.inverted().transform((point.x, point.y))
    axes.plot(
        [x],
        [min(max(y, bottom), top)],
        marker=marker,
        markersize=11 if marker != "o" else 9.5,
        color=color,
        markerfacecolor="white" if hollow else color,
        markeredgecolor=color if hollow else "white",
        markeredgewidth=1.4,
        linestyle="none",
        clip_on=False,
        zorder=6,
        gid=f"point {point.state}",
    )


def _draw_arrows(axes: Axes, points: Sequence[_Point]) -> list[Box]:
    """Draw an arrow from each point above the band to the band, and return what the arrows cover."""
    covered = []
    bottom, top = axes.get_ylim()
    for point in points:
        if point.state != "above":
            continue
        target = point.bounds.loss - point.bounds.removable_loss
        end = float(axes.transData.transform((0, min(max(target, bottom), top)))[1])
        if point.y - end < _SHORTEST_ARROW + 6:
            continue
        axes.annotate(
            "",
            xy=(point.x, end),
            xytext=(point.x, point.y - 6),
            xycoords="figure pixels",
            textcoords="figure pixels",
            arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0},
            zorder=4,
            fontsize=SIZE,
        ).set_gid("arrow")
        covered.append(Box(point.x - 4, end, point.x + 4, point.y - 6))
    return covered


def _removable_share(bounds: LossBounds) -> str:
    share = 100 * bounds.removable_loss / bounds.loss
    return f"{share:.0f} %" if share >= 1 else "under 1 %"


def _label(point: _Point, n_arrows: int) -> tuple[str, str]:
    """Name, and the figures under it."""
    lines = [f"{percent(point.bounds.accuracy)}  {number(point.bounds.loss)}"]
    if point.state == "impossible":
        lines.append("impossible")
    elif point.state == "above" and n_arrows > _MANY_ARROWS:
        lines.append(f"{_removable_share(point.bounds)} removable")
    elif point.state == "above":
        lines += [f"{_removable_share(point.bounds)} of the loss removable", "without changing a prediction"]
    return point.name, "\n".join(lines)


def _write_labels(
    figure: Figure,
    axes: Axes,
    points: Sequence[_Point],
    texts: Sequence[tuple[str, str]],
    *,
    obstacles: Sequence[Box],
    lines: Sequence[FloatArray],
) -> list[Box] | None:
    """Write names and figures beside the points; None if they cannot all be placed without overlap."""
    sizes = []
    for name, below in texts:
        head = text_size(figure, name, weight="bold")
        body = text_size(figure, below) if below else (0.0, 0.0)
        sizes.append((max(head[0], body[0]), head[1] + body[1]))
    box = axes.get_window_extent()
    area = Box(box.x0 + 3, box.y0 + 3, box.x1 + 16, box.y1 - 3)
    anchors = [(p.x, p.y) for p in points]
    placed = place_labels(anchors, sizes, obstacles, area, lines=np.concatenate(lines), clearance=12)
    if placed is None:
        return None
    for point, text, label in zip(points, texts, placed, strict=True):
        _write_label(figure, axes, point, text, label)
    return [label.box for label in placed]


def _write_label(figure: Figure, axes: Axes, point: _Point, text: tuple[str, str], label: Placement) -> None:
    """Write one label, on the side of its box that faces the point."""
    name, below = text
    width, height = figure.bbox.size
    box = label.box
    to_left = box.x1 < point.x
    x = (box.x1 if to_left else box.x0) / width
    align = "right" if to_left else "left"
    color = VERMILLION if point.state == "impossible" else INK
    put(figure, x, box.y1 / height, name, weight="bold", ha=align, va="top", color=color, zorder=7, gid="label")
    if below:
        options: dict[str, Any] = {"ha": align, "va": "bottom", "linespacing": 1.2, "zorder": 7, "gid": "figures"}
        put(figure, x, box.y0 / height, below, color="#3d444d", **options)
    if label.leader is not None:
        connect(axes, (point.x, point.y), label.leader, MUTED)


def _write_key(figure: Figure, points: Sequence[_Point], top: float) -> None:
    """Write the key of the numbers: name, accuracy, loss and what is removable."""
    width, height = figure.bbox.size
    left = width - _KEY_WIDTH
    columns = ((22, "right"), (30, "left"), (236, "right"), (300, "right"), (_KEY_WIDTH - 12, "right"))
    rows = [("", "", "accuracy", "loss", "removable")]
    for i, point in enumerate(points[:_MAX_KEY]):
        removable = {"above": _removable_share(point.bounds), "impossible": "impossible"}.get(point.state, "")
        name = fit_text(figure, point.name, 138, size=10, keep_end=True)
        rows.append((str(i + 1), name, percent(point.bounds.accuracy), number(point.bounds.loss), removable))
    for line, row in enumerate(rows):
        for (offset, align), text in zip(columns, row, strict=True):
            color = MUTED if line == 0 else VERMILLION if text == "impossible" else INK
            y = (top - 8 - _KEY_LINE * line) / height
            put(figure, (left + offset) / width, y, text, size=10, ha=align, va="top", color=color, gid="key")
    if len(points) > _MAX_KEY:
        y = (top - 8 - _KEY_LINE * len(rows)) / height
        text = f"and {len(points) - _MAX_KEY} more without a number"
        put(figure, (left + 30) / width, y, text, size=10, va="top", color=MUTED)
