"""What an accuracy, a mean log loss and a number of classes prove about each other.

All of it follows from two tight ranges: a sample that is classified correctly has a log loss in [0, ln K], one that
is not has a log loss in [ln 2, loss_max]. It is arithmetic about the samples at hand; it assumes that loss and
accuracy are plain means over the same samples, of the same probabilities, in natural logarithms, without penalty.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, LossBounds

__all__ = ["LOSS_MAX_FLOAT64", "PlaneRegions", "loss_bounds", "plane_regions"]

LOSS_MAX_FLOAT64 = -log(np.finfo(np.float64).eps)
"""The largest log loss of one sample that scikit-learn >= 1.3 reports for float64 probabilities (36.04 nats)."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRegions:
    """The curves that divide the plane of accuracy and log loss; every array has shape (n_points,)."""

    accuracy: FloatArray
    floor: FloatArray
    calibrated_low: FloatArray
    calibrated_high: FloatArray
    ceiling: FloatArray


def plane_regions(n_classes: int, accuracy: ArrayLike, *, loss_max: float = LOSS_MAX_FLOAT64) -> PlaneRegions:
    """Evaluate floor, calibrated band and ceiling of the log loss at given accuracies.

    Parameters
    ----------
    n_classes : int
        K, at least 2.
    accuracy : array-like of shape (n_points,)
        Fractions in [0, 1].
    loss_max : float
        The largest loss of one sample, in nats; it depends on the clip of whoever computed the loss.

    Returns
    -------
    PlaneRegions
        ``calibrated_low`` and ``calibrated_high`` are NaN where no calibrated model exists (two classes, accuracy
        below one half) and bound the log loss of a calibrated model elsewhere.

    Raises
    ------
    InputError
        If K < 2 or an accuracy lies outside [0, 1].

    Notes
    -----
    With error e = 1 - a the floor is e ln 2 and the ceiling a ln K + e loss_max. The upper end of the band is Fano's
    inequality, F(a, K) = h_b(a) + e ln(K - 1); the lower end is the lower convex hull through the points
    (1/j, ln j), which for a >= 1/2 is the chord 2 e ln 2 [1]_.

    References
    ----------
    .. [1] M. Feder and N. Merhav, "Relations between entropy and error probability", IEEE Transactions on
       Information Theory 40 (1994), 259-266, doi:10.1109/18.272494.

    Examples
    --------
    >>> regions = plane_regions(10, [0.991])
    >>> regions.calibrated_high.round(4).tolist()
    [0.0711]
    """
    if n_classes < 2:
        raise InputError(f"bounds need at least 2 classes, got {n_classes}")
    a = np.atleast_1d(np.asarray(accuracy, dtype=np.float64))
    if not bool(np.all((a >= 0) & (a <= 1))):
        raise InputError(f"accuracies must be fractions between 0 and 1, got {a.min()} to {a.max()}")
    e = 1.0 - a
    upper = _entropy_terms(a) + _entropy_terms(e) + e * log(n_classes - 1)
    # Below chance every calibrated vector is impossible to tell from uniform by its top class: F = ln K.
    upper = np.where(a < 1 / n_classes, log(n_classes), upper)
    lower = _lower_entropy(a, n_classes)
    if n_classes == 2:
        impossible = a < 0.5
        upper = np.where(impossible, np.nan, upper)
        lower = np.where(impossible, np.nan, lower)
    return PlaneRegions(a, e * log(2), lower, upper, a * log(n_classes) + e * loss_max)


def loss_bounds(accuracy: float, loss: float, n_classes: int, *, loss_max: float = LOSS_MAX_FLOAT64) -> LossBounds:
    """Derive what one accuracy and one mean log loss allow.

    Parameters
    ----------
    accuracy : float
        Fraction in [0, 1].
    loss : float
        Mean log loss in nats, finite and not negative.
    n_classes : int
        K, at least 2.
    loss_max : float
        The largest loss of one sample, in nats.

    Returns
    -------
    LossBounds
        The intervals of the loss on correct and on incorrect samples are NaN when the figures contradict each
        other (a loss below the floor or above the ceiling).

    Raises
    ------
    InputError
        If an argument lies outside its range.

    Notes
    -----
    From L = a c + e w, with c and w the mean losses on correct and incorrect samples. A loss above
    F(a, K) loses to one constant confidence (a on the predicted class, e / (K - 1) on each other), so L - F is
    removable in hindsight without changing a prediction.

    Examples
    --------
    >>> bounds = loss_bounds(0.991, 0.2544, 10)
    >>> round(bounds.removable_loss / bounds.loss, 2)
    0.72
    >>> round(loss_bounds(0.991, 0.2544, 10, loss_max=16.118).loss_share_incorrect[1], 2)
    0.57
    """
    if not np.isfinite(loss) or loss < 0:
        raise InputError(f"a mean log loss is finite and not negative, got {loss}")
    regions = plane_regions(n_classes, [accuracy], loss_max=loss_max)
    low, high = float(regions.calibrated_low[0]), float(regions.calibrated_high[0])
    floor, ceiling = float(regions.floor[0]), float(regions.ceiling[0])
    nowhere = (float("nan"), float("nan"))
    correct, incorrect, share = nowhere, nowhere, nowhere
    if floor <= loss <= ceiling:
        correct, incorrect, share = _attribution(accuracy, loss, n_classes, loss_max)
    constant = log(2) if np.isnan(high) else high
    return LossBounds(
        accuracy=accuracy,
        loss=loss,
        n_classes=n_classes,
        loss_max=loss_max,
        floor=floor,
        ceiling=ceiling,
        calibrated_low=low,
        calibrated_high=high,
        removable_loss=max(0.0, loss - constant),
        loss_correct=correct,
        loss_incorrect=incorrect,
        loss_share_incorrect=share,
    )


def _attribution(
    a: float, loss: float, n_classes: int, loss_max: float
) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Intervals of the mean loss on correct and on incorrect samples, and of the share of the incorrect ones."""
    e = 1.0 - a
    nowhere = (float("nan"), float("nan"))
    correct = (
        nowhere
        if a == 0
        else (
            max(0.0, (loss - e * loss_max) / a),
            min(log(n_classes), (loss - e * log(2)) / a),
        )
    )
    incorrect = (
        nowhere
        if e == 0
        else (
            max(log(2), (loss - a * log(n_classes)) / e),
            min(loss_max, loss / e),
        )
    )
    if loss == 0:
        return correct, incorrect, (0.0, 0.0)
    share = (
        max(e * log(2) / loss, 1.0 - a * log(n_classes) / loss),
        min(1.0, e * loss_max / loss),
    )
    return correct, incorrect, share


def _entropy_terms(p: FloatArray) -> FloatArray:
    """-p ln p, 0 at 0."""
    return -p * np.log(np.where(p > 0, p, 1.0))


def _lower_entropy(a: FloatArray, n_classes: int) -> FloatArray:
    """Smallest entropy, averaged over samples, of calibrated predictions of accuracy a: chords of (1/j, ln j)."""
    j = np.arange(n_classes, 0, -1)
    return np.interp(a, 1.0 / j, np.log(j))
