"""How much of a log loss is only a matter of calibration: temperature scaling and the expected ECE.

The temperature fit is our own because it runs on probabilities as they are, in float64, and is safeguarded: plain
Newton steps from T = 1 diverge on real networks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["BETA_BOUNDS", "CalibrationSplit", "expected_calibration_error_null", "fit_temperature", "split_loss"]

BETA_BOUNDS = (0.01, 100.0)
"""Bounds of 1 / T; a fit that ends on one of them says that temperature alone is no model of this miscalibration."""

_N_FOLDS = 5
_BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSplit:
    """A log loss split into refinement (what remains at the best temperature) and calibration (the rest).

    ``loss`` and ``loss_after`` have shape (n_samples,), in nats; the latter is cross-fitted: no sample took part in
    the fit of the temperature that it is judged with.
    """

    temperature: float
    at_bound: bool
    loss: FloatArray
    loss_after: FloatArray


def fit_temperature(log_proba: NDArray[np.floating[Any]], y_true: IntArray) -> float:
    """Find the temperature T that minimises the mean log loss of softmax(log_proba / T).

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Finite natural logarithms of the probabilities (or any logits).
    y_true : ndarray of int64, shape (n_samples,)

    Returns
    -------
    float
        T > 1 where the model is over-confident, T < 1 where it is under-confident, clipped so that 1 / T lies
        within ``BETA_BOUNDS``.

    Notes
    -----
    The loss is convex in b = 1 / T with derivative mean(E_b[z] - z_y) and curvature mean(Var_b[z]); Newton steps are
    kept inside a bracket of the root and replaced by bisection where they leave it (Guo et al. 2017,
    arXiv:1706.04599).

    Examples
    --------
    >>> p = np.array([[0.99, 0.01]] * 9 + [[0.99, 0.01]])
    >>> y = np.array([0] * 9 + [1])
    >>> round(fit_temperature(np.log(p), y), 3)  # softmax of ln(99)/T gives .9
    2.091
    """
    low, high = BETA_BOUNDS
    if _slope(log_proba, y_true, low)[0] >= 0:
        return 1 / low
    if _slope(log_proba, y_true, high)[0] <= 0:
        return 1 / high
    beta = 1.0
    for _ in range(100):
        slope, curvature = _slope(log_proba, y_true, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else np.inf
        # Bisect on the logarithm: the bracket spans four decades.
        following = step if low < step < high else float(np.sqrt(low * high))
        if abs(following - beta) <= 1e-10 * beta:
            return 1 / following
        beta = following
    return 1 / beta


def split_loss(log_proba: NDArray[np.floating[Any]], y_true: IntArray) -> CalibrationSplit:
    """Split the log loss of every sample by temperature scaling, cross-fitted over five folds.

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Finite logarithms of the probabilities.
    y_true : ndarray of int64, shape (n_samples,)

    Returns
    -------
    CalibrationSplit
        ``temperature`` is fitted on all samples, the losses after temperature are cross-fitted. With fewer than
        two samples a fold nothing is cross-fitted, and the temperature is 1.

    References
    ----------
    E. Berta, D. Holzmüller, M. Jordan and F. Bach, "Rethinking early stopping: refine, then calibrate" (2025),
    arXiv:2501.19195. The calibration part is a lower bound: only what one temperature can repair.
    """
    n = len(y_true)
    loss = _loss(log_proba, y_true, 1.0)
    if n < 2 * _N_FOLDS:
        return CalibrationSplit(1.0, at_bound=False, loss=loss, loss_after=loss.copy())
    temperature = fit_temperature(log_proba, y_true)
    fold = np.arange(n) % _N_FOLDS
    after = np.empty(n)
    for k in range(_N_FOLDS):
        held_out = fold == k
        fitted = fit_temperature(log_proba[~held_out], y_true[~held_out])
        after[held_out] = _loss(log_proba[held_out], y_true[held_out], 1 / fitted)
    at_bound = any(np.isclose(1 / temperature, bound) for bound in BETA_BOUNDS)
    return CalibrationSplit(temperature, at_bound=at_bound, loss=loss, loss_after=after)


def expected_calibration_error_null(
    count: FloatArray, variance: FloatArray, *, quantile_draws: int = 2000
) -> tuple[float, float]:
    """Mean and 95 % quantile of the ECE that a perfectly calibrated model would show by chance.

    Parameters
    ----------
    count : ndarray of shape (n_bins,)
        Samples in each confidence bin.
    variance : ndarray of shape (n_bins,)
        Sum of confidence · (1 - confidence) in each bin: the variance of the number of hits.

    Returns
    -------
    mean, q95 : float

    Notes
    -----
    Under calibration the gap of a bin is normal with that variance, so E[ECE] = sum_b sqrt(2 V_b / pi) / n: a plug-in
    ECE of .010 at n = 200 may be pure bias (Broecker and Smith 2007, doi:10.1175/WAF993.1, resample instead). The
    quantile is drawn from the same normals with a fixed seed.

    Examples
    --------
    >>> mean, q95 = expected_calibration_error_null(np.array([100.0]), np.array([9.0]))
    >>> round(mean, 4), bool(q95 > mean)
    (0.0239, True)
    """
    n = float(np.sum(count))
    if n == 0:
        return float("nan"), float("nan")
    sd = np.sqrt(variance)
    mean = float(np.sum(sd) * np.sqrt(2 / np.pi) / n)
    draws = np.abs(np.random.default_rng(0).standard_normal((quantile_draws, len(sd)))) @ sd / n
    return mean, float(np.quantile(draws, 0.95))


def _loss(log_proba: NDArray[np.floating[Any]], y_true: IntArray, beta: float) -> FloatArray:
    """-ln softmax(beta · log_proba) of the true class, shape (n_samples,)."""
    out = np.empty(len(y_true))
    for start in range(0, len(y_true), _BLOCK):
        rows = slice(start, start + _BLOCK)
        z = beta * log_proba[rows].astype(np.float64)
        top = z.max(axis=1)
        z_true = z[np.arange(len(z)), y_true[rows]]
        out[rows] = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z_true
    return out


def _slope(log_proba: NDArray[np.floating[Any]], y_true: IntArray, beta: float) -> tuple[float, float]:
    """First and second derivative of the mean log loss by beta."""
    first = second = 0.0
    for start in range(0, len(y_true), _BLOCK):
        rows = slice(start, start + _BLOCK)
        z = log_proba[rows].astype(np.float64)
        scaled = beta * z
        weight = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        mean = (weight * z).sum(axis=1)
        first += float(np.sum(mean - z[np.arange(len(z)), y_true[rows]]))
        second += float(np.sum((weight * (z - mean[:, None]) ** 2).sum(axis=1)))
    return first / len(y_true), second / len(y_true)
