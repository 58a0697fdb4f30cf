"""Floor, ceiling and calibrated band of a mean loss at an accuracy, and who can carry how much of it.

All of it follows from two tight ranges: what a sample can lose that is answered rightly, and what one can lose that is
answered wrongly (log loss: [0, ln K] and [ln 2, largest loss]). It is arithmetic about the samples at hand; it assumes
that loss and accuracy are plain means over the same samples, of the same probabilities, without penalty.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isinf, isnan, nan

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow.bounds.losses import Loss, SampleRanges, find_loss
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, LossBounds

__all__ = ["PlaneRegions", "loss_bounds", "loss_bounds_within", "plane_regions"]

_SLACK = 1e-12
"""Relative error of a mean in float64: figures this near to a bound are on it."""

_Point = tuple[float, float]
_Interval = tuple[float, float]
_NOWHERE = (nan, nan)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneRegions:
    """The curves that divide the plane of accuracy and loss; every array has shape (n_points,)."""

    accuracy: FloatArray
    floor: FloatArray
    calibrated_low: FloatArray
    calibrated_high: FloatArray
    ceiling: FloatArray


def plane_regions(
    n_classes: int | None, accuracy: ArrayLike, *, loss_name: str = "log_loss", clip: float = 0.0
) -> PlaneRegions:
    """Evaluate floor, calibrated band and ceiling of a loss at given accuracies.

    Parameters
    ----------
    n_classes : int or None
        K, at least 2; None for what holds for every number of classes.
    accuracy : array-like of shape (n_points,)
        Fractions in [0, 1].
    loss_name : str
        See :func:`~lossacc_mlflow.bounds.losses.find_loss`.
    clip : float
        Smallest probability that a logarithm is taken of, in [0, 1); 0 where nothing is clipped, and then there is no
        ceiling. It depends on who computed the loss (see ``CLIPS``).

    Returns
    -------
    PlaneRegions
        In nats for log losses. ``calibrated_low`` and ``calibrated_high`` bound the expected loss of a calibrated
        model; they are NaN where none exists (two classes, accuracy below one half) and for losses that are not
        proper.

    Raises
    ------
    InputError
        If K < 2, an accuracy or the clip lies outside its range, or there is no such loss.

    Notes
    -----
    For log loss, with error e = 1 - a, the floor is e ln 2 and the ceiling a ln K - e ln clip. The upper end of the
    band is Fano's inequality, F(a, K) = h_b(a) + e ln(K - 1); the lower end is the lower convex hull through the
    points (1/j, ln j), which for a >= 1/2 is the chord 2 e ln 2 [1]_.

    References
    ----------
    .. [1] M. Feder and N. Merhav, "Relations between entropy and error probability", IEEE Transactions on
       Information Theory 40 (1994), 259-266, doi:10.1109/18.272494.

    Examples
    --------
    >>> regions = plane_regions(10, [0.991])
    >>> regions.calibrated_high.round(4).tolist()
    [0.0711]
    >>> plane_regions(10, [0.9], loss_name="brier").floor.round(4).tolist()
    [0.05]
    """
    loss, n_classes = _checked(loss_name, n_classes, clip)
    a = np.atleast_1d(np.asarray(accuracy, dtype=np.float64))
    if not bool(np.all((a >= 0) & (a <= 1))):
        raise InputError(f"accuracies must be fractions between 0 and 1, got {a.min()} to {a.max()}")
    e = 1.0 - a
    ranges = loss.ranges(n_classes, clip)
    low, high = loss.calibrated(a, n_classes)
    floor = a * ranges.right[0] + e * ranges.wrong[0]
    with np.errstate(invalid="ignore"):
        ceiling = np.where(a > 0, a * ranges.right[1], 0.0) + np.where(e > 0, e * ranges.wrong[1], 0.0)
    return PlaneRegions(a, floor, low, high, ceiling)


def loss_bounds(
    accuracy: float, loss: float, n_classes: int | None, *, loss_name: str = "log_loss", clip: float = 0.0
) -> LossBounds:
    """Derive what one accuracy and one mean loss allow.

    Parameters
    ----------
    accuracy : float
        Fraction in [0, 1].
    loss : float
        Mean loss, finite and not negative; in nats for log losses.
    n_classes : int or None
        K, at least 2; None for what holds for every number of classes.
    loss_name : str
        See :func:`~lossacc_mlflow.bounds.losses.find_loss`.
    clip : float
        Smallest probability that a logarithm is taken of, in [0, 1); 0 where nothing is clipped, and then there is no
        ceiling.

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
    From L = a c + e w, with c and w the mean losses on correct and incorrect samples. A log loss above
    F(a, K) loses to one constant confidence (a on the predicted class, e / (K - 1) on each other), so L - F is
    removable in hindsight without changing a prediction.

    Examples
    --------
    >>> bounds = loss_bounds(0.991, 0.2544, 10)
    >>> round(bounds.removable_loss / bounds.loss, 2)
    0.72
    >>> round(loss_bounds(0.991, 0.2544, 10, clip=1e-7).loss_share_incorrect[1], 2)
    0.57
    """
    return loss_bounds_within((accuracy, accuracy), (loss, loss), n_classes, loss_name=loss_name, clip=clip)


def loss_bounds_within(
    accuracy: _Interval, loss: _Interval, n_classes: int | None, *, loss_name: str = "log_loss", clip: float = 0.0
) -> LossBounds:
    """Derive what holds for every accuracy and mean loss within two intervals, such as those of rounded figures.

    Parameters
    ----------
    accuracy, loss : tuple of (low, high)
        As in :func:`loss_bounds`, closed.
    n_classes, loss_name, clip
        As in :func:`loss_bounds`.

    Returns
    -------
    LossBounds
        The weakest of all bounds: lowest floor, highest ceiling, widest band, smallest removable loss, and the
        intervals that hold all intervals of possible figures. NaN where no figures within are possible.
        ``accuracy`` and ``loss`` are the middles.

    Raises
    ------
    InputError
        If an argument lies outside its range.

    Examples
    --------
    >>> bounds = loss_bounds_within((0.9905, 0.9915), (0.25435, 0.25445), 10)
    >>> round(bounds.removable_loss / bounds.loss, 3)
    0.707
    """
    if not (0 <= loss[0] <= loss[1] and isfinite(loss[1])):
        given = loss[0] if loss[0] == loss[1] or not isfinite(loss[0]) else loss
        raise InputError(f"a mean loss is finite and not negative, got {given}")
    regions = plane_regions(n_classes, accuracy, loss_name=loss_name, clip=clip)
    kind, n_classes = _checked(loss_name, n_classes, clip)
    ranges = kind.ranges(n_classes, clip)
    right, wrong = ranges.right, ranges.wrong
    possible = _possible_points(accuracy, loss, ranges)
    alone = len(possible) == 1
    low, high = _band(kind, accuracy, n_classes)
    # The constant loss falls with the accuracy, so the least is removable at the lowest one.
    excess = loss[0] - float(kind.constant(regions.accuracy, n_classes)[0])
    return LossBounds(
        accuracy=(accuracy[0] + accuracy[1]) / 2,
        loss=(loss[0] + loss[1]) / 2,
        n_classes=n_classes,
        loss_max=max(ranges.right[1], ranges.wrong[1]),
        floor=float(regions.floor.min()),
        ceiling=float(regions.ceiling.max()),
        calibrated_low=low,
        calibrated_high=high,
        removable_loss=nan if isnan(excess) else max(0.0, excess),
        loss_correct=_widest([_mean_of_group(a, v, right, wrong, alone=alone) for a, v in possible]),
        loss_incorrect=_widest([_mean_of_group(1.0 - a, v, wrong, right, alone=alone) for a, v in possible]),
        loss_share_incorrect=_widest([_share_of_wrong(p, ranges, alone=alone) for p in _split(possible, ranges)]),
        loss_name=kind.spelling,
        clip=clip,
    )


def _band(kind: Loss, accuracy: _Interval, n_classes: int | None) -> _Interval:
    """Lowest and highest loss of calibrated models with these accuracies; it falls with the accuracy."""
    # Of two classes no calibrated model is below one half, but the rest of the interval counts.
    a = np.array([max(accuracy[0], 0.5) if n_classes == 2 and accuracy[1] >= 0.5 else accuracy[0], accuracy[1]])
    low, high = kind.calibrated(a, n_classes)
    return float(low.min()), float(high.max())


def _possible_points(accuracy: _Interval, loss: _Interval, ranges: SampleRanges) -> list[_Point]:
    """Corners of the part of a rectangle that lies between floor and ceiling, both of them straight lines.

    Bounds of the mean losses are ratios of functions that are linear in accuracy and loss, cut off at a constant: over
    a polygon such a function is extreme at a corner.
    """
    corners = [(a, v) for a, v in zip((*accuracy, *accuracy[::-1]), np.repeat(loss, 2).tolist(), strict=True)]
    slack = _SLACK * (1.0 + loss[1])

    def above_floor(p: _Point) -> float:
        return p[1] - p[0] * ranges.right[0] - (1.0 - p[0]) * ranges.wrong[0] + slack

    def below_ceiling(p: _Point) -> float:
        return _times(p[0], ranges.right[1]) + _times(1.0 - p[0], ranges.wrong[1]) - p[1] + slack

    kept = _cut(list(dict.fromkeys(corners)), above_floor)
    unlimited = isinf(ranges.right[1]) or isinf(ranges.wrong[1])
    # Without a largest loss there is a ceiling only where every sample is right, or every one wrong.
    return (
        [p for p in kept if accuracy[0] < accuracy[1] or below_ceiling(p) >= 0]
        if unlimited
        else _cut(kept, below_ceiling)
    )


def _split(polygon: list[_Point], ranges: SampleRanges) -> list[_Point]:
    """Add where edges of a polygon cross the lines on which one bound of the share gives way to another."""
    right, wrong = ranges.right, ranges.wrong
    points = list(polygon)
    for of_right, of_wrong in ((right[1], wrong[0]), (right[0], wrong[1])):
        if isfinite(of_right) and isfinite(of_wrong):

            def beyond(p: _Point, c: float = of_right, w: float = of_wrong) -> float:
                return p[1] - p[0] * c - (1.0 - p[0]) * w

            points += [p for p in _cut(polygon, beyond) if p not in polygon]
    return points


def _cut(polygon: Sequence[_Point], inside: Callable[[_Point], float]) -> list[_Point]:
    """Cut a convex polygon at a line (Sutherland and Hodgman): keep where a linear function is not negative."""
    kept: list[_Point] = []
    for p, q in zip(polygon, (*polygon[1:], *polygon[:1]), strict=True):
        at_p, at_q = inside(p), inside(q)
        if at_p >= 0:
            kept.append(p)
        if at_p * at_q < 0:
            t = at_p / (at_p - at_q)
            kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return kept


def _times(share: float, value: float) -> float:
    """A share of a value that may be infinite: none of it is 0."""
    return share * value if share else 0.0


def _mean_of_group(share: float, loss: float, own: _Interval, other: _Interval, *, alone: bool) -> _Interval:
    """Mean loss of the right or of the wrong answers, of which there is ``share``.

    A corner that is not ``alone`` stands for what is near it, too: no share means next to none.
    """
    if share == 0:
        return _NOWHERE if alone else (own[0] if loss <= other[1] else own[1], own[1])
    rest = 1.0 - share
    low = min(own[1], max(own[0], (loss - _times(rest, other[1])) / share))
    return low, max(low, min(own[1], (loss - rest * other[0]) / share))


def _share_of_wrong(point: _Point, ranges: SampleRanges, *, alone: bool) -> _Interval:
    """Share of the loss on the wrong answers."""
    a, loss = point
    e = 1.0 - a
    if loss == 0:
        return 0.0, 0.0 if alone else 1.0
    low = max(e * ranges.wrong[0], loss - _times(a, ranges.right[1])) / loss
    high = min(loss - a * ranges.right[0], _times(e, ranges.wrong[1])) / loss
    return min(1.0, low), min(1.0, max(low, high))


def _widest(intervals: Sequence[_Interval]) -> _Interval:
    """The interval that holds all that are known; NaN where none is."""
    known = [i for i in intervals if not isnan(i[0])]
    return (min(i[0] for i in known), max(i[1] for i in known)) if known else _NOWHERE


def _checked(loss_name: str, n_classes: int | None, clip: float) -> tuple[Loss, int | None]:
    """The loss, and the number of classes that it is about: two for the loss of one probability."""
    loss = find_loss(loss_name)
    if n_classes is not None and n_classes < 2:
        raise InputError(f"bounds need at least 2 classes, got {n_classes}")
    if not 0 <= clip < 1:
        raise InputError(f"a clip is a probability, from 0 (none) to below 1, got {clip}")
    return loss, n_classes
