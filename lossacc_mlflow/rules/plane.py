"""LOG002 and LOG003: accuracy and loss of the same samples that no predictions can have."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.records import Curve, Evidence, Finding, FloatArray, IntArray, Level, RunData, Split
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.observation import MAX_FRACTION, MIN_POINTS
from lossacc_mlflow.wording import number, percent

__all__ = ["CLIP_TAG", "LossAboveCeiling", "LossBelowFloor", "Points", "declared_clip", "points_of", "rounding_of"]

CLIP_TAG = "lossacc.clip"
"""Tag that says at which smallest probability whoever computed the log loss clipped it, such as 1e-7."""

_DIGITS, _ENOUGH_VALUES = 4, 1000
_NEEDS_BOTH = (
    "Accuracy and log loss of the same split at the same steps are needed, the loss known to be one: log it under a "
    "key such as 'val_log_loss', tag the run with lossacc.loss = log_loss, or pass --loss log_loss."
)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Accuracy and loss of one split at the steps at which both are finite; arrays have shape (n_steps,).

    ``accuracy_rounding`` and ``loss_rounding`` are how far a logged value may be from the true one.
    """

    split: Split
    loss_key: str
    step: IntArray
    accuracy: FloatArray
    loss: FloatArray
    accuracy_rounding: float
    loss_rounding: float


@dataclass(frozen=True, slots=True)
class LossBelowFloor(Rule):
    """A log loss is lower than the accuracy allows.

    How it is detected: a sample that is answered wrongly gives its true class at most one half, and so has a log loss
    of at least ln 2. At accuracy a the mean log loss is therefore at least (1 - a) ln 2, whatever the model and the
    number of classes. Any step at which the logged loss is lower counts, beyond the rounding of both values (the
    decimals they were logged with, and float32) and ``min_margin`` of the floor for means over batches of unequal size.

    Why it matters: the two figures cannot be of the same probabilities on the same samples. Every statement that uses
    both of them is void.

    What to do: check that loss and accuracy are computed on the same samples, that the loss is a plain mean in natural
    logarithms (not divided by the number of classes, of batches or of accumulation steps, not weighted, not a focal
    loss), and that the accuracy is that of the most probable class.

    Parameters
    ----------
    min_margin : float
        Share of the floor by which a loss must be below it.
    """

    code: ClassVar[str] = "LOG002"
    title: ClassVar[str] = "Loss below the floor"
    level: ClassVar[Level] = "error"
    min_margin: float = 0.01

    def check(self, run: RunData) -> Finding:
        """Hold every log loss against the lowest one that its accuracy allows."""
        splits = list(points_of(run))
        if not splits:
            return self.not_applicable(_NEEDS_BOTH)
        points, margin = _worst((points, self._margin(points)) for points in splits)
        below = margin > 0
        evidence = [Evidence("steps_below_floor", int(below.sum()), 0), Evidence("steps", len(margin))]
        if not below.any():
            return self.clear("Every log loss is one that its accuracy allows.", evidence)
        i = int(np.argmax(margin))
        accuracy, loss = float(points.accuracy[i]), float(points.loss[i])
        floor = (1 - accuracy) * log(2)
        evidence += [Evidence("loss", loss, floor, "nats"), Evidence("accuracy", accuracy, None, "fraction")]
        return self.flagged(
            f"At an accuracy of {percent(accuracy)} a mean log loss is at least {number(floor)}: each wrong answer "
            f"costs ln 2 or more. '{points.loss_key}' is {number(loss)} at step {points.step[i]}, and too low at "
            f"{int(below.sum())} of {len(margin)} steps.",
            evidence,
            "Check that it is the plain mean log loss, in natural logarithms, of the samples that the accuracy is of."
            if loss >= 0
            else "A mean log loss is never negative: log a log density or a score under another key.",
            split=points.split,
            step=int(points.step[np.argmax(below)]),
        )

    def _margin(self, points: Points) -> FloatArray:
        """How far each loss is below the lowest one that is possible; negative where it is not."""
        margin = np.full(len(points.loss), -np.inf)
        # The floor is below the error itself: most points need no closer look, and curves can be long.
        near = points.loss < 1 - points.accuracy
        accuracy = np.minimum(points.accuracy[near] + points.accuracy_rounding, 1.0)
        floor = plane_regions(2, accuracy).floor if near.any() else 0.0
        margin[near] = (1 - self.min_margin) * floor - points.loss[near] - points.loss_rounding
        return margin


@dataclass(frozen=True, slots=True)
class LossAboveCeiling(Rule):
    """A log loss is higher than accuracy, number of classes and clip allow.

    How it is detected: a sample that is answered rightly gives its true class at least 1/K, and so has a log loss of
    at most ln K; no sample has more than -ln of the probability at which the loss was clipped. At accuracy a the mean
    log loss is at most a ln K + (1 - a) (-ln clip). The clip must be declared (tag ``lossacc.clip``, such as 1e-7 for
    Keras): without one there is no ceiling. Any step at which the logged loss is higher counts, beyond the rounding of
    both values and ``min_margin`` of the ceiling.

    Why it matters: something was added to the log loss, or it is a sum where a mean was meant, or the number of
    classes is wrong. It cannot be compared with the log loss of another run.

    What to do: log the penalty (weight decay, auxiliary losses) apart from the log loss, divide by the number of
    samples, and check the number of classes and the clip.

    Parameters
    ----------
    min_margin : float
        Share of the ceiling by which a loss must be above it.
    """

    code: ClassVar[str] = "LOG003"
    title: ClassVar[str] = "Loss above the ceiling"
    level: ClassVar[Level] = "error"
    min_margin: float = 0.01

    def check(self, run: RunData) -> Finding:
        """Hold every log loss against the highest one that its accuracy allows under the declared clip."""
        splits = list(points_of(run))
        if not splits:
            return self.not_applicable(_NEEDS_BOTH)
        clip = declared_clip(run)
        if run.n_classes is None or run.n_classes < 2 or clip is None:
            return self.not_applicable(
                "Without a clip there is no ceiling: the number of classes (tag lossacc.n_classes or --n-classes) and "
                f"the probability at which the log loss was clipped (tag {CLIP_TAG}, such as 1e-7) are both needed."
            )
        points, margin = _worst((points, self._margin(points, run.n_classes, clip)) for points in splits)
        above = margin > 0
        evidence = [Evidence("steps_above_ceiling", int(above.sum()), 0), Evidence("steps", len(margin))]
        if not above.any():
            return self.clear("Every log loss is one that its accuracy and the clip allow.", evidence)
        i = int(np.argmax(margin))
        accuracy, loss = float(points.accuracy[i]), float(points.loss[i])
        ceiling = accuracy * log(run.n_classes) - (1 - accuracy) * log(clip)
        evidence += [Evidence("loss", loss, ceiling, "nats"), Evidence("accuracy", accuracy, None, "fraction")]
        return self.flagged(
            f"At an accuracy of {percent(accuracy)} among {run.n_classes} classes, clipped at {number(clip)}, a mean "
            f"log loss is at most {number(ceiling)}. '{points.loss_key}' is {number(loss)} at step {points.step[i]}, "
            f"and too high at {int(above.sum())} of {len(margin)} steps.",
            evidence,
            "Log what is added to the log loss apart from it, divide by the number of samples, and check the number of "
            "classes and the clip.",
            split=points.split,
            step=int(points.step[np.argmax(above)]),
        )

    def _margin(self, points: Points, n_classes: int, clip: float) -> FloatArray:
        accuracy = np.maximum(points.accuracy - points.accuracy_rounding, 0.0)
        # Where a right answer may cost more than a wrong one, a higher accuracy allows a higher loss.
        if n_classes * clip > 1:
            accuracy = np.minimum(points.accuracy + points.accuracy_rounding, 1.0)
        ceiling: FloatArray = (1 + self.min_margin) * plane_regions(n_classes, accuracy, clip=clip).ceiling
        return points.loss - points.loss_rounding - ceiling


def points_of(run: RunData, loss_names: tuple[str, ...] = ("log_loss",)) -> Iterator[Points]:
    """Pair accuracy and loss of every split.

    Parameters
    ----------
    run : RunData
    loss_names : tuple of str
        Metrics that may be the loss.

    Yields
    ------
    Points
        Of splits and step units in which both have a finite value at the same step, and the accuracy is a fraction.
    """
    by_name = [c for c in run.curves if c.metric.name in loss_names]
    for loss in by_name:
        for accuracy in run.curves:
            same = (accuracy.split, accuracy.step_unit) == (loss.split, loss.step_unit)
            if accuracy.metric.name != "accuracy" or not same:
                continue
            step, a, v = _common_steps(accuracy, loss)
            finite = np.isfinite(a) & np.isfinite(v)
            if not finite.all():
                step, a, v = step[finite], a[finite], v[finite]
            if len(step) and a.min() >= 0 and a.max() <= MAX_FRACTION:
                yield Points(
                    split=loss.split,
                    loss_key=loss.key or loss.metric.name,
                    step=step,
                    accuracy=np.minimum(a, 1.0),
                    loss=v,
                    accuracy_rounding=rounding_of(accuracy),
                    loss_rounding=rounding_of(loss),
                )


def rounding_of(curve: Curve) -> float:
    """Return how far a logged value may be from the true one: half a unit of its last decimal, and float32.

    Many loggers keep four decimals, which is what is assumed where a curve does not show that it has fewer.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    float
        In the unit of the curve.

    Examples
    --------
    >>> from lossacc_mlflow.keys import METRICS
    >>> curve = Curve(METRICS["accuracy"], "train", step=range(5), value=[0.5, 0.9, 0.98, 0.97, 0.975])
    >>> round(rounding_of(curve), 6)
    0.0005
    """
    value = curve.value[:_ENOUGH_VALUES]
    value = value[np.isfinite(value)]
    float32 = float(np.finfo(np.float32).eps * np.max(np.abs(value), initial=0.0))
    shows_decimals = len(value) >= MIN_POINTS
    coarse = (d for d in (2, 3) if shows_decimals and np.abs(value - value.round(d)).max() <= 1e-9 + float32)
    return float(0.5 * 10.0 ** -next(coarse, _DIGITS) + float32)


def _worst(judged: Iterable[tuple[Points, FloatArray]]) -> tuple[Points, FloatArray]:
    """The split that is furthest out, with how far each of its points is."""
    return max(judged, key=lambda pair: float(pair[1].max()))


def _common_steps(accuracy: Curve, loss: Curve) -> tuple[IntArray, FloatArray, FloatArray]:
    if np.array_equal(accuracy.step, loss.step):
        return loss.step, accuracy.value, loss.value
    step, i, j = np.intersect1d(accuracy.step, loss.step, assume_unique=True, return_indices=True)
    return step, accuracy.value[i], loss.value[j]


def declared_clip(run: RunData) -> float | None:
    """Read at which probability a run says that its log loss was clipped.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    float or None
        Between 0 and 1; None where the tag ``lossacc.clip`` says nothing of the kind.
    """
    try:
        clip = float(run.tags.get(CLIP_TAG, "nan"))
    except ValueError:
        return None
    return clip if 0 < clip < 1 else None
