"""Arithmetic on curves: noise, smoothing, best steps, rises. It measures and never judges: no thresholds here."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, sqrt

import numpy as np
from scipy.ndimage import median_filter

from lossacc_mlflow.records import Curve, CurveSummary, FloatArray, IntArray, RunData, Split

__all__ = [
    "LOSS_METRICS",
    "QUALITY_METRICS",
    "CurveShape",
    "Rise",
    "held_out_split",
    "is_over_steps",
    "loss_curve",
    "measure_oscillation",
    "measure_rise",
    "noise_level",
    "quality_curve",
    "shape_of",
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

_MIN_POINTS_TO_SMOOTH = 12


@dataclass(frozen=True, slots=True, eq=False)
class CurveShape:
    """The finite points of a curve, smoothed as far as its noise asks for.

    Parameters
    ----------
    step : ndarray of int64, shape (n,)
    value : ndarray of float64, shape (n,)
        The finite values.
    smooth : ndarray of float64, shape (n,)
        Running mean over ``window`` points of the running median of 3.
    noise : float
        Standard deviation of the point-to-point noise.
    window : int
        Odd; 1 below twelve points.
    doubt : float
        A difference that noise alone explains: the noise of two window means, and of having looked for the best
        among n / window of them.
    best : int
        Index of the best smoothed value, by the metric's direction; the first of equal ones.
    end : float
        Level at the end: mean of the last ``window`` median-filtered values (of the last two below twelve points).
    """

    step: IntArray
    value: FloatArray
    smooth: FloatArray
    noise: float
    window: int
    doubt: float
    best: int
    end: float

    def __len__(self) -> int:
        return len(self.step)

    @property
    def best_step(self) -> int:
        """The step of the best smoothed value."""
        return int(self.step[self.best])

    @property
    def best_value(self) -> float:
        """The best smoothed value."""
        return float(self.smooth[self.best])

    def at(self, step: int) -> float:
        """Return the smoothed value at a step, interpolated between neighbours."""
        return float(np.interp(step, self.step, self.smooth))


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
    late_low: float


@lru_cache(maxsize=512)
@np.errstate(over="ignore", invalid="ignore")  # values near the largest float: infinite noise is the right answer
def shape_of(curve: Curve) -> CurveShape | None:
    """Smooth a curve and find its best step.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    CurveShape or None
        None when the curve has no finite value. Remembered for each curve object: every rule asks for it.

    Examples
    --------
    >>> from lossacc_mlflow.keys import METRICS
    >>> values = [1.0, 0.5, 0.25, 0.2, 0.3, 0.4, 0.5]
    >>> curve = Curve(METRICS["log_loss"], "validation", step=range(7), value=values)
    >>> shape_of(curve).best_step
    3
    """
    finite = np.isfinite(curve.value)
    value, step = curve.value[finite], curve.step[finite]
    n = len(value)
    if n == 0:
        return None
    noise = noise_level(value)
    window = _window(value, noise)
    median = median_filter(value, size=3, mode="nearest") if n >= _MIN_POINTS_TO_SMOOTH else value
    smooth = _running_mean(median, window)
    best = int(np.argmax(smooth) if curve.metric.greater_is_better else np.argmin(smooth))
    tail = window if n >= _MIN_POINTS_TO_SMOOTH else min(2, n)
    return CurveShape(
        step=step,
        value=value,
        smooth=smooth,
        noise=noise,
        window=window,
        doubt=_doubt(n, window, noise),
        best=best,
        end=float(median[-tail:].mean()),
    )


def noise_level(value: FloatArray) -> float:
    """Estimate the standard deviation of the noise around a smooth curve.

    Parameters
    ----------
    value : ndarray of float64, shape (n,)
        Finite values.

    Returns
    -------
    float
        1.4826 · median |second difference| / sqrt(6); 0 below three points. Second differences remove any trend;
        the median makes single spikes harmless.

    Examples
    --------
    >>> noise_level(np.arange(10.0))
    0.0
    """
    if len(value) < 3:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(value, n=2))) / sqrt(6))


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
        interval=_interval_around(shape),
        points_since=n - 1 - best,
        absolute=absolute,
        relative=absolute / scale if scale > 0 else float("nan"),
        late_low=float(tail.min()) if len(tail) else low,
    )


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
    trend = median_filter(shape.value, size=n // 5 // 2 * 2 + 1, mode="nearest")
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


def _window(value: FloatArray, noise: float) -> int:
    """Smallest window that brings the noise of a mean below 2 % of the level, within n/20 and n/5 points."""
    n = len(value)
    if n < _MIN_POINTS_TO_SMOOTH:
        return 1
    level = 0.02 * float(np.median(np.abs(value)))
    # Beyond n the answer is the same, and squares of what floats can hold need not fit a float.
    wanted = min(noise / level, float(n)) ** 2 if level > 0 else 0.0
    return int(np.clip(wanted, max(3, n / 20), max(3, n / 5))) // 2 * 2 + 1


def _doubt(n: int, window: int, noise: float) -> float:
    """Difference between a best and an end level that noise alone explains."""
    if n < _MIN_POINTS_TO_SMOOTH:
        return 2 * noise
    return noise * (2.5 * sqrt(2 / window) + sqrt(2 * max(0.0, log(n / window)) / window))


def _running_mean(value: FloatArray, window: int) -> FloatArray:
    """Centred mean over ``window`` points; the window shrinks at both ends, so that ends are not padded."""
    if window == 1:
        return value
    n, half = len(value), window // 2
    # Sums of values around their mean: a running sum of raw values loses digits on long curves.
    centre = float(value.mean())
    total = np.concatenate([[0.0], np.cumsum(value - centre)])
    i = np.arange(n)
    low, high = np.maximum(i - half, 0), np.minimum(i + half + 1, n)
    mean: FloatArray = centre + (total[high] - total[low]) / (high - low)
    return mean


def _interval_around(shape: CurveShape) -> tuple[int, int]:
    """Steps around the best one at which the smoothed curve stays within twice its own noise of its best."""
    near = np.abs(shape.smooth - shape.best_value) <= 2 * shape.noise / sqrt(shape.window)
    near[shape.best] = True
    left = shape.best - int(np.argmin(near[shape.best :: -1])) + 1 if not near[: shape.best + 1].all() else 0
    after = near[shape.best :]
    right = shape.best + int(np.argmin(after)) - 1 if not after.all() else len(shape) - 1
    return int(shape.step[left]), int(shape.step[right])
