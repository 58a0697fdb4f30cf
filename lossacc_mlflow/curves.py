"""Arithmetic on smoothed curves: rises, swings, agreement; which curve is the loss. It measures and never judges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from lossacc_mlflow.records import Curve, CurveSummary, FloatArray, RunData, Split
from lossacc_mlflow.smoothing import CurveShape, shape_of, trend_of

__all__ = [
    "ACCURACY_METRICS",
    "LOSS_METRICS",
    "QUALITY_METRICS",
    "Rise",
    "ends_non_finite",
    "held_out_split",
    "is_over_steps",
    "loss_curve",
    "measure_agreement",
    "measure_oscillation",
    "measure_rise",
    "quality_curve",
    "shape_over_steps",
    "summarize_curve",
]

LOSS_METRICS = (
    "log_loss",
    "loss",
    "brier_score_loss",
    "hinge_loss",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_error",
)
"""Metrics that serve as the loss of a run, most telling first."""

QUALITY_METRICS = ("accuracy", "balanced_accuracy", "r2")
"""Metrics that serve as the accuracy of a run; R² takes its place in a regression."""

ACCURACY_METRICS = ("accuracy", "balanced_accuracy")
"""Those of them that are fractions of right answers."""

_MAX_BLOCKS = 2_000


@dataclass(frozen=True, slots=True)
class Rise:
    """How far a loss has climbed from its best smoothed value to its end.

    ``relative`` is in units of the best value, or of the loss's own fall where the best value is not positive;
    ``late_low`` is the lowest smoothed value over the last third of the steps since the best one;
    ``interval`` holds the steps around the best one at which the smoothed loss cannot be told from its best.
    """

    step: int
    interval: tuple[int, int]
    points_since: int
    absolute: float
    relative: float
    of_fall: bool
    """Whether ``relative`` is a share of the loss's own fall, and not of its best value."""
    late_low: float


def measure_rise(shape: CurveShape) -> Rise:
    """Measure how far a loss has climbed since its best smoothed value.

    Parameters
    ----------
    shape : CurveShape
        Of a metric where smaller is better.

    Returns
    -------
    Rise
    """
    best, low = shape.best, shape.best_value
    n = len(shape)
    absolute = shape.end - low
    scale = low if low > 0 else float(shape.smooth[0]) - low
    tail = shape.smooth[best + (2 * (n - 1 - best)) // 3 + 1 :] if best < n - 1 else shape.smooth[-1:]
    return Rise(
        step=shape.best_step,
        interval=shape.best_interval,
        points_since=n - 1 - best,
        absolute=absolute,
        relative=absolute / scale if scale > 0 else float("nan"),
        of_fall=low <= 0,
        late_low=float(tail.min()) if len(tail) else low,
    )


def measure_agreement(one: CurveShape, other: CurveShape) -> float:
    """Measure whether two curves rise and fall together over the steps that both cover.

    Parameters
    ----------
    one, other : CurveShape

    Returns
    -------
    float
        Spearman's rank correlation of the values at the steps of the curve with fewer points, in blocks of which
        there are at most 2,000; NaN where a curve is constant or fewer than three steps are shared. It asks every
        point of the run, where a rise asks its best and its end.

    Examples
    --------
    >>> from lossacc_mlflow.keys import METRICS
    >>> falls = Curve(METRICS["log_loss"], "train", step=range(9), value=range(9, 0, -1))
    >>> rises = Curve(METRICS["log_loss"], "validation", step=range(9), value=range(9))
    >>> round(measure_agreement(shape_of(falls), shape_of(rises)), 6)
    -1.0
    """
    few, many = sorted((one, other), key=len)
    inside = (few.step >= many.step[0]) & (few.step <= many.step[-1])
    step, here = few.step[inside], few.value[inside]
    if len(step) < 3:
        return float("nan")
    if np.array_equal(step, many.step):
        there = many.value
    else:
        # Where the other curve was logged more often, its level around a step says more than its value at it.
        there = np.interp(step, many.step, many.value if len(many) == len(few) else many.smooth)
    every = len(step) // _MAX_BLOCKS + 1
    here, there = _block_means(here, every), _block_means(there, every)
    if here.min() == here.max() or there.min() == there.max():
        return float("nan")
    return float(np.corrcoef(rankdata(here), rankdata(there))[0, 1])


def is_over_steps(curve: Curve) -> bool:
    """Tell whether the steps of a curve are steps of one training, and not training-set sizes.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    bool
    """
    return curve.step_unit != "n_samples"


def shape_over_steps(curve: Curve | None, min_points: int) -> CurveShape | None:
    """Smooth a curve over the steps of one training, if it is long enough.

    Parameters
    ----------
    curve : Curve or None
    min_points : int
        Finite points that it needs.

    Returns
    -------
    CurveShape or None
    """
    shape = shape_of(curve) if curve is not None and is_over_steps(curve) else None
    return shape if shape is not None and len(shape) >= min_points else None


def ends_non_finite(run: RunData) -> bool:
    """Tell whether the last logged value of a curve over steps is NaN or infinite.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    bool
    """
    return any(len(c) and is_over_steps(c) and not np.isfinite(c.value[-1]) for c in run.curves)


def measure_oscillation(shape: CurveShape) -> float:
    """Measure how far a curve swings around its own trend in its second half.

    Parameters
    ----------
    shape : CurveShape

    Returns
    -------
    float
        Distance between the 10 % and the 90 % quantile of what a running median over a fifth of the points leaves,
        in the unit of the curve; 0 below three points. A single spike does not move it.

    Examples
    --------
    >>> from lossacc_mlflow.keys import METRICS
    >>> values = [1.0, 1.2, 0.9, 1.1, 0.8] * 8
    >>> curve = Curve(METRICS["log_loss"], "validation", step=range(40), value=values)
    >>> round(measure_oscillation(shape_of(curve)), 2)
    0.41
    """
    n = len(shape)
    if n < 3:
        return 0.0
    trend = trend_of(shape.value)
    low, high = np.quantile((shape.value - trend)[n // 2 :], [0.1, 0.9])
    return float(high - low)


def held_out_split(run: RunData) -> Split:
    """Choose the split that stands for new data: validation, or the test split where only that was logged.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    {"validation", "test"}
    """
    known = {c.split for c in run.curves if c.metric.name in (*LOSS_METRICS, *QUALITY_METRICS) and len(c)}
    return "test" if "test" in known and "validation" not in known else "validation"


def loss_curve(run: RunData, split: Split) -> Curve | None:
    """Choose the curve that serves as the loss of one split.

    The metric is the first of ``LOSS_METRICS`` that is known for both train and held-out data, else the first that is
    known for the split; curves over steps come before scores against training-set size.

    Parameters
    ----------
    run : RunData
    split : {"train", "validation", "test"}

    Returns
    -------
    Curve or None
    """
    return _choose(run, split, LOSS_METRICS)


def quality_curve(run: RunData, split: Split) -> Curve | None:
    """Choose the curve that serves as the accuracy of one split (R² in a regression).

    Parameters
    ----------
    run : RunData
    split : {"train", "validation", "test"}

    Returns
    -------
    Curve or None
    """
    return _choose(run, split, QUALITY_METRICS)


def summarize_curve(curve: Curve) -> CurveSummary:
    """Reduce a curve to the figures that one wants in a table.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    CurveSummary
        NaN for values, and the last step for steps, when nothing is finite.
    """
    shape = shape_of(curve)
    last_step = int(curve.step[-1]) if len(curve) else 0
    last = float(curve.value[-1]) if len(curve) else float("nan")
    first = float(curve.value[0]) if len(curve) else float("nan")
    nan = float("nan")
    best, best_step, smooth_best, smooth_step = nan, last_step, nan, last_step
    if shape is not None:
        raw = int(np.argmax(shape.value) if curve.metric.greater_is_better else np.argmin(shape.value))
        best, best_step = float(shape.value[raw]), int(shape.step[raw])
        smooth_best, smooth_step = shape.best_value, shape.best_step
    return CurveSummary(
        metric=curve.metric.name,
        split=curve.split,
        step_unit=curve.step_unit,
        key=curve.key,
        n_points=len(curve),
        first=first,
        last=last,
        last_step=last_step,
        best=best,
        best_step=best_step,
        smoothed_best=smooth_best,
        smoothed_best_step=smooth_step,
    )


def _choose(run: RunData, split: Split, names: Sequence[str]) -> Curve | None:
    """First by metric known for train and held-out data, then by metric known at all; steps before sizes."""
    known = [c for c in run.curves if c.metric.name in names]
    held_out = held_out_split(run)

    def rank(curve: Curve) -> tuple[bool, bool, int]:
        partners = {c.split for c in known if c.metric == curve.metric and c.step_unit == curve.step_unit}
        paired = {"train", held_out} <= partners
        return (not is_over_steps(curve), not paired, names.index(curve.metric.name))

    return min((c for c in known if c.split == split), key=rank, default=None)


def _block_means(value: FloatArray, block: int) -> FloatArray:
    """Means of blocks of neighbours; what does not fill the last block is left out."""
    n_blocks = len(value) // block
    means: FloatArray = value[: n_blocks * block].reshape(n_blocks, block).mean(axis=1)
    return means
