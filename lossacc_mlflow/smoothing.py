"""Smoothing: the finite points of a curve, smoothed as far as their noise asks for, and where it is best."""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from scipy.ndimage import median_filter

from lossacc_mlflow.memory import remembered
from lossacc_mlflow.records import Curve, FloatArray, IntArray

__all__ = ["CurveShape", "noise_level", "shape_of", "trend_of"]

_MIN_POINTS_TO_SMOOTH = 12
_MIN_POINTS_TO_SEE_SWINGS = 60
_MIN_WINDOWS_TO_SEE_SWINGS = 10
_MAX_BLOCKS_OF_TREND = 2_000
_MAX_POINTS_OF_MEDIAN = 50_000
_LARGER_THAN_NOISE = 3.0


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
        A difference from the best that noise alone explains: the noise of two window means, and of having looked for
        the best among n / window of them.
    wide_doubt : float
        The same where the curve swings more slowly than from point to point (a spiky or wandering loss): from the
        scatter of the window means themselves; ``doubt`` where there is no such swing.
    best : int
        Index of the best smoothed value, by the metric's direction; the first of equal ones.
    best_point : int
        Index of the best value before the mean is taken: of the running median of 3, of the values below twelve points.
    end : float
        Level at the end: mean of the last ``window`` median-filtered values (of the last two below twelve points).
    """

    step: IntArray
    value: FloatArray
    smooth: FloatArray
    noise: float
    window: int
    doubt: float
    wide_doubt: float
    best: int
    best_point: int
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

    @property
    def level_noise(self) -> float:
        """Standard deviation of a smoothed value."""
        return self.noise / sqrt(self.window)

    @property
    def best_interval(self) -> tuple[int, int]:
        """Steps among which the best one lies.

        Those around it at which the smoothed value stays within twice its own noise of the best, and on to the best
        single point, which a mean over rough neighbours may have passed over.
        """
        near = np.abs(self.smooth - self.best_value) <= 2 * self.level_noise
        near[self.best] = True
        apart_before, apart_after = np.flatnonzero(~near[: self.best]), np.flatnonzero(~near[self.best :])
        first = int(apart_before[-1]) + 1 if len(apart_before) else 0
        last = self.best + int(apart_after[0]) - 1 if len(apart_after) else len(self) - 1
        return int(self.step[min(first, self.best_point)]), int(self.step[max(last, self.best_point)])

    def before_last(self, part: float) -> float:
        """Return the smoothed value at which the last part of the points begins; of any part at least one step back."""
        n = len(self)
        return float(self.smooth[max(0, min(n - 2, int((1 - part) * (n - 1))))])

    def at(self, step: IntArray) -> FloatArray:
        """Return the smoothed values at some steps, interpolated between neighbours."""
        return np.interp(step, self.step, self.smooth)

    def at_step(self, step: int) -> float:
        """Return the smoothed value at one step."""
        return float(np.interp(step, self.step, self.smooth))


@remembered
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
    # The curve's own arrays where nothing is left out: shapes of long curves would hold them a second time.
    value, step = (curve.value, curve.step) if finite.all() else (curve.value[finite], curve.step[finite])
    n = len(value)
    if n == 0:
        return None
    # The first fall of a short run is most of what its few second differences see.
    noise = noise_level(value if n >= _MIN_POINTS_TO_SMOOTH else value[1:])
    window = _window(value, noise)
    median = _median_of_three(value) if n >= _MIN_POINTS_TO_SMOOTH else value
    smooth = _running_mean(median, window)
    choose = np.argmax if curve.metric.greater_is_better else np.argmin
    best = int(choose(smooth))
    tail = window if n >= _MIN_POINTS_TO_SMOOTH else min(2, n)
    since = _noise_since(value[max(0, best - window) :], noise)
    return CurveShape(
        step=step,
        value=value,
        smooth=smooth,
        noise=noise,
        window=window,
        doubt=_doubt(n, window, since),
        wide_doubt=_doubt(n, window, max(since, _swing(smooth, window, noise))),
        best=best,
        best_point=int(choose(median)),
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
        the median makes single spikes harmless. Of a very long curve evenly spread triples are looked at.

    Examples
    --------
    >>> noise_level(np.arange(10.0))
    0.0
    """
    if len(value) < 3:
        return 0.0
    every = len(value) // _MAX_POINTS_OF_MEDIAN + 1
    before, here, after = value[:-2:every], value[1:-1:every], value[2::every]
    return float(1.4826 * np.median(np.abs(before - 2 * here + after)) / sqrt(6))


def trend_of(value: FloatArray) -> FloatArray:
    """Follow a curve by a running median over a fifth of its points.

    Parameters
    ----------
    value : ndarray of float64, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Of a long curve taken over the medians of blocks: else it would take minutes.
    """
    block = len(value) // _MAX_BLOCKS_OF_TREND + 1
    if block == 1:
        trend: FloatArray = median_filter(value, size=_odd(len(value) // 5), mode="nearest")
        return trend
    n_blocks = len(value) // block
    medians = np.median(value[: n_blocks * block].reshape(n_blocks, block), axis=1)
    centres = block * np.arange(n_blocks) + (block - 1) / 2
    levels: FloatArray = median_filter(medians, size=_odd(n_blocks // 5), mode="nearest")
    return np.interp(np.arange(len(value)), centres, levels)


def _window(value: FloatArray, noise: float) -> int:
    """Smallest window that brings the noise of a mean below 2 % of the level, within n/40 and n/5 points."""
    n = len(value)
    if n < _MIN_POINTS_TO_SMOOTH:
        return 1
    level = 0.02 * float(np.median(np.abs(value[:: n // _MAX_POINTS_OF_MEDIAN + 1])))
    # Beyond n the answer is the same, and squares of what floats can hold need not fit a float.
    wanted = min(noise / level, float(n)) ** 2 if level > 0 else 0.0
    return _odd(int(np.clip(wanted, max(3, n / 40), max(3, n / 5))))


def _noise_since(value: FloatArray, noise: float) -> float:
    """Noise around and after the best step, between its own estimate and that of the whole curve.

    Curves are rough early and smooth late; few late points say little by themselves.
    """
    return sqrt(noise * noise_level(value)) if len(value) >= _MIN_POINTS_TO_SMOOTH else noise


def _doubt(n: int, window: int, noise: float) -> float:
    """Difference between a best and an end level that noise alone explains."""
    if n < _MIN_POINTS_TO_SMOOTH:
        return 2 * noise
    return noise * (2.5 * sqrt(2 / window) + sqrt(2 * max(0.0, log(n / window)) / window))


def _swing(smooth: FloatArray, window: int, noise: float) -> float:
    """Noise of single points that would scatter the window means as they do; 0 where plain noise explains them.

    Second differences over one window, in the second half: the first fall is no swing. Their median over the few
    windows of a curve is itself uncertain: only three times what noise explains counts.
    """
    n = len(smooth)
    if n < max(_MIN_POINTS_TO_SEE_SWINGS, _MIN_WINDOWS_TO_SEE_SWINGS * window):
        return 0.0
    late = smooth[n // 2 - window :]
    second = late[2 * window :] - 2 * late[window:-window] + late[: -2 * window]
    swing = sqrt(window) * float(1.4826 * np.median(np.abs(second)) / sqrt(6))
    return swing if swing > _LARGER_THAN_NOISE * noise else 0.0


def _median_of_three(value: FloatArray) -> FloatArray:
    """Median of each value and its two neighbours; the ends stay. Ten times as fast as a general rank filter."""
    before, here, after = value[:-2], value[1:-1], value[2:]
    median = value.copy()
    np.minimum(np.maximum(np.minimum(before, here), after), np.maximum(before, here), out=median[1:-1])
    return median


def _running_mean(value: FloatArray, window: int) -> FloatArray:
    """Centred mean over ``window`` points; the window shrinks at both ends, so that ends are not padded."""
    if window == 1:
        return value
    n, half = len(value), window // 2
    # Sums of values around their mean: a running sum of raw values loses digits on long curves.
    centre = float(value.mean())
    total = np.concatenate([[0.0], np.cumsum(value - centre)])
    mean = np.empty(n)
    mean[half : n - half] = (total[window:] - total[:-window]) / window
    count = np.arange(half + 1, window)
    mean[:half] = total[half + 1 : window] / count
    mean[n - half :] = (total[-1] - total[n - window + 1 : n - half]) / count[::-1]
    mean += centre
    return mean


def _odd(size: int) -> int:
    return size // 2 * 2 + 1
