"""What the candidates of a search scored, over each of their parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.plots.style import (
    DPI,
    GRID,
    MUTED,
    SPLIT_COLORS,
    SPLIT_DASHES,
    add_axes,
    color_key,
    fit_text,
    header,
    new_figure,
    put,
    set_ticks,
    text_size,
    tint,
)
from lossacc_mlflow.plots.text import clean
from lossacc_mlflow.plots.traces import Scale, value_scale
from lossacc_mlflow.records import FloatArray, SearchResults, SearchScore, Split
from lossacc_mlflow.wording import number, percent

__all__ = ["plot_search"]

_LEFT, _RIGHT, _GAP, _FOOT, _HEAD, _HEIGHT = 82, 24, 40, 62, 30, 210
_MOST_PANELS = 6
_DECADES = 1.5
_LARGEST = 1e300
"""Larger values would overflow in matplotlib's own arithmetic."""
_SPLITS: Final[tuple[Split, ...]] = ("train", "validation")


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """One parameter: where each candidate stands (at the logarithm, where values span decades), and what that is."""

    name: str
    place: FloatArray
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    is_number: bool


def plot_search(results: SearchResults) -> Figure:
    """Draw the scores of a search's candidates over each parameter that varies.

    Parameters
    ----------
    results : SearchResults
        Of several metrics, the first one is drawn.

    Returns
    -------
    Figure
        One panel a parameter: the best candidate at each of its values, with the standard deviation over the folds,
        and its train score where that is known; all other candidates as dots. Numbers are joined by lines, on a
        logarithmic axis where they span more than 1.5 decades; categories stand side by side.
    """
    score = results.scores[0]
    axes_of = [axis for name, values in results.parameters.items() if (axis := _axis(name, values)) is not None]
    shown = axes_of[:_MOST_PANELS]
    n_rows = (len(shown) + 1) // 2
    lines = _lines(results, score, len(axes_of))
    height = 48 + 19 * len(lines) + ((_HEAD + _HEIGHT + _FOOT) * n_rows + 30 if shown else 40)
    figure = new_figure(height / DPI)
    top = header(figure, f"What the search has tried: {_metric(score)}", lines)
    if not shown:
        put(figure, 0.5, 0.2, "No parameter has more than one value.", ha="center", color=MUTED)
        return figure
    splits = [s for s in _SPLITS if s != "train" or score.has_train]
    key = [(SPLIT_COLORS[s], f"{s}, best candidate at each value") for s in splits]
    if any(len(_best_at_each(axis, score)) < len(results) for axis in shown):
        key.append((tint(SPLIT_COLORS["validation"], 0.35), "validation, all others"))
    color_key(figure, top - 9, key)
    scale = _scale(score)
    for place, axis in enumerate(shown):
        row, column = divmod(place, 2)
        above = top - 30 - (_HEAD + _HEIGHT + _FOOT) * row
        _draw_panel(figure, axis, score, scale, _edges(figure, column, len(shown)), above)
    return figure


def _axis(name: str, values: Sequence[Any]) -> _Axis | None:
    """Where the candidates stand on a parameter; None where all stand at one place."""
    if all(isinstance(value, float) for value in values):
        place = np.array(values, dtype=np.float64)
        known = np.unique(place[np.isfinite(place)])
        if len(known) < 2:
            return None
        labels = tuple(map(_setting, known.tolist()))
        if known[0] > 0 and np.log10(known[-1]) - np.log10(known[0]) > _DECADES:
            place, known = np.log10(place), np.log10(known)
        place, known = np.clip(place, -_LARGEST, _LARGEST), np.clip(known, -_LARGEST, _LARGEST)
        return _Axis(clean(name), place, tuple(known.tolist()), labels, is_number=True)
    kinds = list(dict.fromkeys(value for value in values if value != ""))
    if len(kinds) < 2:
        return None
    place = np.array([kinds.index(value) if value != "" else np.nan for value in values], dtype=np.float64)
    labels = tuple(clean(str(kind)) for kind in kinds)
    return _Axis(clean(name), place, tuple(map(float, range(len(kinds)))), labels, is_number=False)


def _setting(value: float) -> str:
    """A value as it was set: its digits are not those of a measurement."""
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e6 else f"{value:.4g}"


def _metric(score: SearchScore) -> str:
    return clean(score.metric.replace("_", " "))


def _is_fraction(score: SearchScore) -> bool:
    metric = METRICS.get(score.metric)
    return metric is not None and metric.unit == "fraction"


def _value(score: SearchScore, value: float) -> str:
    return percent(value) if _is_fraction(score) else number(value)


def _lines(results: SearchResults, score: SearchScore, n_axes: int) -> list[str]:
    """Which candidate was chosen and what it scored, and what is not shown."""
    lines = []
    if results.best is not None:
        words = ", ".join(
            f"{clean(name)} = {clean(value) if isinstance(value, str) else _setting(value)}"
            for name, values in results.parameters.items()
            if (value := values[results.best]) != "" and value == value  # noqa: PLR0124  (NaN: it has none)
        )
        mean, sd = score.validation_mean[results.best], score.validation_sd[results.best]
        scored = f"validation {_value(score, mean)} ± {_value(score, sd)}"
        if np.isfinite(score.train_mean[results.best]):
            scored += f", train {_value(score, score.train_mean[results.best])}"
        lines.append(f"chosen: {words} · {scored}")
    line = f"{len(results):,} candidates · mean ± standard deviation over {results.n_splits} folds"
    if n_axes > _MOST_PANELS:
        line += f" · {n_axes - _MOST_PANELS} more parameters in search.csv"
    lines.append(line)
    if not score.has_train:
        lines.append("train scores are not known: search with return_train_score=True")
    return lines


def _scale(score: SearchScore) -> Scale:
    """One scale for all panels, which the standard deviations of the drawn means fit into."""
    spread = np.nan_to_num(score.validation_sd)
    values = [score.validation_mean - spread, score.validation_mean + spread, score.train_mean]
    return value_scale(values, allow_log=False)


def _edges(figure: Figure, column: int, n_panels: int) -> tuple[float, float]:
    width = figure.bbox.width - _LEFT - _RIGHT
    if n_panels == 1:
        return _LEFT, _LEFT + width
    half = (width - _GAP) / 2
    left = _LEFT + column * (half + _GAP)
    return left, left + half


def _draw_panel(
    figure: Figure, axis: _Axis, score: SearchScore, scale: Scale, edges: tuple[float, float], top: float
) -> None:
    left, right = edges
    name = fit_text(figure, axis.name, right - left, weight="bold", keep_end=True)
    put(figure, left / figure.bbox.width, (top - 14) / figure.bbox.height, name, weight="bold")
    axes = add_axes(figure, left, top - _HEAD - _HEIGHT, right, top - _HEAD)
    scale.apply(axes, fraction=_is_fraction(score))
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8, linestyle="-")
    if left > _LEFT:
        set_ticks(axes.yaxis, axes.get_yticks().tolist(), [""] * len(axes.get_yticks()))
    _set_places(figure, axes, axis)
    chosen = _best_at_each(axis, score)
    others = np.isfinite(axis.place) & np.isfinite(score.validation_mean)
    others[chosen] = False
    axes.plot(
        axis.place[others], score.validation_mean[others], linestyle="none", marker="o", markersize=3.5,
        color=tint(SPLIT_COLORS["validation"], 0.35), markeredgewidth=0, zorder=2, gid="other candidates",
    )  # fmt: skip
    for split in _SPLITS:
        _draw_split(axes, axis, chosen, split, score)


def _best_at_each(axis: _Axis, score: SearchScore) -> list[int]:
    """The candidate of the best validation score at each place, from left to right."""
    best = []
    for tick in axis.ticks:
        here = np.flatnonzero((axis.place == tick) & np.isfinite(score.validation_mean))
        if here.size:
            best.append(int(here[score.validation_mean[here].argmax()]))
    return best


def _draw_split(axes: Axes, axis: _Axis, chosen: list[int], split: Split, score: SearchScore) -> None:
    """Means as points, joined where the parameter is a number, with a bar of one standard deviation to each side."""
    of_validation = split == "validation"
    at = axis.place[chosen]
    mean = (score.validation_mean if of_validation else score.train_mean)[chosen]
    sd = np.nan_to_num((score.validation_sd if of_validation else score.train_sd)[chosen])
    color = SPLIT_COLORS[split]
    axes.vlines(at, mean - sd, mean + sd, color=tint(color, 0.5), linewidth=3.0, zorder=2.4, gid=f"{split} sd")
    axes.plot(
        at, mean, color=color, linestyle=SPLIT_DASHES[split] if axis.is_number else "none", linewidth=1.8, marker="o",
        markersize=5, zorder=3, gid=split,
    )  # fmt: skip


def _set_places(figure: Figure, axes: Axes, axis: _Axis) -> None:
    """Ticks at the values that were tried, as many as can be read."""
    low, high = min(axis.ticks), max(axis.ticks)
    margin = 0.06 * (high - low) if axis.is_number else 0.5
    axes.set_xlim(low - margin, high + margin)
    room = axes.get_window_extent().width / len(axis.ticks) - 8 if not axis.is_number else 90.0
    labels = [fit_text(figure, label, max(room, 40.0)) for label in axis.labels]
    kept: list[int] = []
    end = -np.inf
    for i, label in enumerate(labels):
        middle = float(axes.transData.transform((axis.ticks[i], 0))[0])
        half = text_size(figure, label)[0] / 2
        if middle - half > end + 8:
            kept.append(i)
            end = middle + half
    set_ticks(axes.xaxis, [axis.ticks[i] for i in kept], [labels[i] for i in kept])
