"""Losses that stand in for the number of errors: of one model, and a picture of several under their bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.plots.style import (
    BLUE,
    INK,
    MUTED,
    RUN_COLORS,
    add_axes,
    color_key,
    header,
    new_figure,
    put,
    set_label,
    set_ticks,
    tint,
)
from lossacc_mlflow.records import FloatArray
from lossacc_mlflow.wording import number

__all__ = ["Surrogates", "judge_surrogates", "plot_surrogates"]

_IMPOSSIBLE, _CALIBRATED = tint(MUTED, 0.22), tint(BLUE, 0.25)
_PANELS = (
    ("hinge", "hinge", "hinge loss", "e"),
    ("log_loss", "log_loss", "log loss (nats)", "e ln 2"),
    ("brier", "brier:binary", "Brier score", "e / 4"),
)
"""Field of a panel, the loss as the bounds name it, its title, and its floor in words."""
_MARKERS = "osD^vP"
_LEFT, _GAP, _RIGHT, _BOTTOM = 62, 62, 18, 52


@dataclass(frozen=True, slots=True)
class Surrogates:
    """Means over the samples of one split; ``zero_one`` is the error rate."""

    zero_one: float
    hinge: float
    log_loss: float
    brier: float


def judge_surrogates(p_true: FloatArray) -> Surrogates:
    """Judge a model of two classes by four losses of its decision value, the logarithm of its odds.

    Parameters
    ----------
    p_true : ndarray of float64, shape (n_samples,)
        Probabilities of the true class, neither 0 nor 1.

    Examples
    --------
    >>> judged = judge_surrogates(np.array([2 / 3, 1 / 5]))
    >>> judged.zero_one, round(judged.hinge, 3), round(judged.log_loss, 3), round(judged.brier, 3)
    (0.5, 1.347, 1.007, 0.376)
    """
    margin = np.log(p_true) - np.log1p(-p_true)
    return Surrogates(
        zero_one=float(np.mean(margin <= 0)),
        hinge=float(np.mean(np.maximum(0, 1 - margin))),
        log_loss=float(-np.mean(np.log(p_true))),
        brier=float(np.mean((1 - p_true) ** 2)),
    )


def plot_surrogates(models: Mapping[str, Surrogates]) -> Figure:
    """Draw models by error rate and each of the other losses, under what is possible.

    Parameters
    ----------
    models : mapping of str to Surrogates
        At most six.

    Returns
    -------
    Figure
    """
    figure = new_figure(4.9)
    top = header(
        figure,
        "Four losses of the same models, on validation",
        ["the error rate e is the mean 0-1 loss; the black line is the lowest mean loss at that error rate"],
    )
    colors = list(zip(RUN_COLORS, models, strict=False))
    color_key(figure, top - 9, [*colors, (_IMPOSSIBLE, "impossible"), (_CALIBRATED, "a calibrated model can be here")])
    width = (figure.bbox.width - _LEFT - 2 * _GAP - _RIGHT) / 3
    for i, (field, loss, title, floor) in enumerate(_PANELS):
        left = _LEFT + i * (width + _GAP)
        axes = add_axes(figure, left, _BOTTOM, left + width, top - 50)
        put(figure, left / figure.bbox.width, (top - 42) / figure.bbox.height, title, weight="bold", va="bottom")
        _draw_panel(axes, loss, floor, [(m.zero_one, getattr(m, field)) for m in models.values()])
    return figure


def _draw_panel(axes: Axes, loss: str, floor: str, points: list[tuple[float, float]]) -> None:
    right, top = 1.3 * max(e for e, _ in points), 1.18 * max(value for _, value in points)
    error = np.linspace(0, right, 200)
    regions = plane_regions(2, 1 - error, loss_name=loss)
    axes.set(xlim=(0, right), ylim=(0, top))
    axes.fill_between(error, 0, regions.floor, color=_IMPOSSIBLE, linewidth=0)
    if np.isfinite(regions.calibrated_low).all():
        axes.fill_between(error, regions.calibrated_low, regions.calibrated_high, color=_CALIBRATED, linewidth=0)
    axes.plot(error, regions.floor, color=INK, linewidth=1.2)
    put(axes, 0.97 * right, 0.42 * float(regions.floor[-1]), floor, ha="right", va="center_baseline")
    for (x, y), color, marker in zip(points, RUN_COLORS, _MARKERS, strict=False):
        axes.plot([x], [y], marker, color=color, markersize=9, markeredgecolor="white", markeredgewidth=1.2, zorder=5)
    _set_percent(axes, right)
    ticks = np.linspace(0, top, 5)[:-1]
    step = float(f"{ticks[1]:.1g}")
    values = np.arange(0, top, step)
    set_ticks(axes.yaxis, values.tolist(), [number(float(v)) for v in values])


def _set_percent(axes: Axes, right: float) -> None:
    values = np.arange(0, right, 0.02)
    set_ticks(axes.xaxis, values.tolist(), [f"{100 * v:.0f} %" for v in values])
    set_label(axes.xaxis, "error rate e")
