"""What the curve rules look at, taken from a run once: the shapes of its curves and its chance level."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from lossacc_mlflow.curves import (
    Rise,
    held_out_split,
    loss_curve,
    measure_agreement,
    measure_rise,
    quality_curve,
    shape_over_steps,
)
from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.memory import remembered
from lossacc_mlflow.records import Curve, FloatArray, RunData, Split, StepUnit
from lossacc_mlflow.smoothing import CurveShape, shape_of
from lossacc_mlflow.wording import step_word

__all__ = [
    "MAX_FRACTION",
    "MAX_PERCENT",
    "MAX_STEP_RATIO",
    "MIN_POINTS",
    "NEEDS_ACCURACY",
    "NEEDS_LOSS",
    "NEEDS_LOSS_AND_ACCURACY",
    "NEEDS_LOSS_OR_ACCURACY",
    "Observation",
    "chance_level",
    "is_in_percent",
    "observe",
]

MIN_POINTS = 5
"""Finite points below which nothing is said about the course of a curve."""

MAX_FRACTION, MAX_PERCENT = 1.0 + 1e-6, 100.0 + 1e-4
"""Largest accuracy that passes as a fraction, and as a percentage; a little above for rounding."""

MAX_STEP_RATIO = 2.0
"""Ratio of the last steps of train and validation beyond which they do not count the same thing."""

NEEDS_LOSS = f"A validation or test loss over at least {MIN_POINTS} steps of one training is needed."
NEEDS_ACCURACY = f"A validation or test accuracy over at least {MIN_POINTS} steps of one training is needed."
NEEDS_LOSS_OR_ACCURACY = "A validation or test loss, or an accuracy, over the steps of one training is needed."
NEEDS_LOSS_AND_ACCURACY = (
    f"Validation loss and accuracy over at least {MIN_POINTS} steps of one training are both needed."
)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Shapes of the curves of one run; None where a curve is missing or holds no finite value.

    ``train_loss``, ``validation_loss``, ``train_quality`` and ``validation_quality`` are over steps of one training,
    have at least five finite points, and end finite: of a run that ended in NaN nobody can say where it ended.
    ``*_final`` is the level at the end of any curve, also of a single point or of scores against training-set size.
    Quality is accuracy, R² in a regression; an accuracy in percent (LOG001) is taken as the fraction it means, one that
    can be neither is taken as not known.
    """

    held_out: Split
    """What stands for validation: the test split where only that was logged."""
    train_loss: CurveShape | None
    validation_loss: CurveShape | None
    train_quality: CurveShape | None
    validation_quality: CurveShape | None
    train_loss_final: float | None
    validation_loss_final: float | None
    train_quality_final: float | None
    validation_quality_final: float | None
    accuracy: CurveShape | None
    """Accuracy, of any length, of the split that says most about chance: validation, test, then train."""
    train_loss_any: CurveShape | None
    """Train loss of any length."""
    validation_accuracy_any: CurveShape | None
    """Accuracy of the held-out split, of any length."""
    validation_loss_any: CurveShape | None
    """Validation loss of any length."""
    loss_name: str
    quality_name: str
    step_unit: StepUnit
    chance: float | None
    rise: Rise | None
    """How far the validation loss has climbed since its best step."""
    agreement: float
    """Rank correlation of train and validation loss over the run; NaN where one is not known."""

    @property
    def loss_unit(self) -> str:
        """Unit of the loss, where its name tells."""
        return METRICS[self.loss_name].unit if self.loss_name else ""

    @property
    def step_word(self) -> str:
        """What to call a step in a sentence."""
        return step_word(self.step_unit)

    @property
    def quality_word(self) -> str:
        """What to call the quality in a sentence."""
        return {"r2": "R²", "balanced_accuracy": "balanced accuracy"}.get(self.quality_name, "accuracy")

    @property
    def accuracy_drop(self) -> float | None:
        """Fall of the validation quality from its best smoothed value to its end."""
        quality = self.validation_quality
        return None if quality is None else quality.best_value - quality.end


@remembered
def observe(run: RunData) -> Observation:
    """Take from a run what the curve rules look at; remembered for each run object.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    Observation
    """
    held_out = held_out_split(run)
    train, validation = loss_curve(run, "train"), loss_curve(run, held_out)
    train_quality, validation_quality = _quality(run, "train"), _quality(run, held_out)
    shown = validation or train
    rising = _course(validation)
    falling = _stretched(_course(train), rising)
    return Observation(
        held_out=held_out,
        train_loss=falling,
        validation_loss=rising,
        train_quality=_stretched(_course(train_quality), _course(validation_quality)),
        validation_quality=_course(validation_quality),
        train_loss_final=_final(train),
        validation_loss_final=_final(validation),
        train_quality_final=_final(train_quality),
        validation_quality_final=_final(validation_quality),
        accuracy=_accuracy(run, ("validation", "test", "train")),
        train_loss_any=None if train is None else shape_of(train),
        validation_accuracy_any=_accuracy(run, (held_out,)),
        validation_loss_any=None if validation is None else shape_of(validation),
        loss_name="" if shown is None else shown.metric.name,
        quality_name="" if validation_quality is None else validation_quality.metric.name,
        step_unit="epoch" if shown is None else shown.step_unit,
        chance=chance_level(run),
        rise=None if rising is None else measure_rise(rising),
        agreement=float("nan") if falling is None or rising is None else measure_agreement(falling, rising),
    )


def chance_level(run: RunData) -> float | None:
    """Return the accuracy of a model that looks at no input.

    Parameters
    ----------
    run : RunData

    Returns
    -------
    float or None
        The share of the largest class where it is known, and at least one over the number of classes; None where
        neither is known.
    """
    candidates = [1 / run.n_classes] if run.n_classes else []
    if run.majority_accuracy is not None:
        candidates.append(run.majority_accuracy)
    if run.class_counts:
        candidates.append(max(run.class_counts.values()) / sum(run.class_counts.values()))
    return max(candidates, default=None)


def is_in_percent(values: FloatArray, chance: float | None = None) -> bool:
    """Tell whether accuracies were logged in percent.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite values, at least one.
    chance : float, optional
        Accuracy of a model that looks at no input.

    Returns
    -------
    bool
        Whether all lie between 0 and 100, and most above 1 (a noisy fraction may pass 1 here and there), and the
        largest is no less than half of what chance gives: of four classes, 3.9 is no percentage.
    """
    possible = values.min() >= 0 and values.max() <= MAX_PERCENT and np.median(values) > MAX_FRACTION
    return bool(possible and (chance is None or values.max() >= 50 * chance))


def _course(curve: Curve | None) -> CurveShape | None:
    """Shape of a curve over the steps of one training, long enough to have a course."""
    return shape_over_steps(curve, MIN_POINTS) if curve is not None and _ends_finite(curve) else None


def _stretched(train: CurveShape | None, validation: CurveShape | None) -> CurveShape | None:
    """A train curve over the steps of validation, where the two do not count the same thing (LOG004)."""
    if train is None or validation is None:
        return train
    ends = int(train.step[-1]), int(validation.step[-1])
    if min(ends) <= 0 or max(ends) <= MAX_STEP_RATIO * min(ends):
        return train
    return replace(train, step=np.rint(train.step * (ends[1] / ends[0])).astype(np.int64))


def _final(curve: Curve | None) -> float | None:
    shape = None if curve is None or not _ends_finite(curve) else shape_of(curve)
    return None if shape is None else shape.end


def _quality(run: RunData, split: Split) -> Curve | None:
    """The quality curve of a split, an accuracy as a fraction."""
    curve = quality_curve(run, split)
    finite = np.empty(0) if curve is None else curve.value[np.isfinite(curve.value)]
    if curve is None or curve.metric.unit != "fraction" or not len(finite):
        return curve
    if finite.max() > MAX_PERCENT or (finite.min() < 0 and finite.max() > MAX_FRACTION):
        return None
    if np.median(finite) <= MAX_FRACTION:
        return curve
    return replace(curve, value=curve.value / 100) if is_in_percent(finite, chance_level(run)) else None


def _ends_finite(curve: Curve) -> bool:
    return len(curve) > 0 and isfinite(curve.value[-1])


def _accuracy(run: RunData, splits: Sequence[Split]) -> CurveShape | None:
    curves = (_quality(run, split) for split in splits)
    return next((shape_of(c) for c in curves if c is not None and c.metric.name == "accuracy"), None)
