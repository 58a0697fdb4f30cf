"""LOG rules: what was logged cannot be right, or is missing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import numpy as np

from lossacc_mlflow.curves import ACCURACY_METRICS, held_out_split, loss_curve, quality_curve
from lossacc_mlflow.records import Curve, Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import JUDGED_SPLITS, Rule
from lossacc_mlflow.rules.observation import MAX_FRACTION, MAX_PERCENT, MAX_STEP_RATIO, chance_level, is_in_percent
from lossacc_mlflow.wording import number, percent

__all__ = ["AccuracyOutOfRange", "MissingCurve", "StepsDoNotMatch"]


@dataclass(frozen=True, slots=True)
class AccuracyOutOfRange(Rule):
    """An accuracy lies outside 0..1: it was logged in percent, or it is no accuracy.

    How it is detected: the largest or smallest finite value of any accuracy curve lies outside [0, ``max_value``].
    Values up to ``max_percent`` are read as percent if most of them exceed 1 and the largest is at least half of what
    chance gives, where that is known; others cannot be an accuracy at all. A largest value below ``sure_percent`` may
    be no accuracy either.

    Why it matters: every statement about loss and accuracy (chance level, error rate, bounds) multiplies by the
    error 1 - accuracy. 98.1 instead of 0.981 makes all of them meaningless.

    What to do: log a fraction (divide by 100). If the target is a number, as in a regression, log an error or R²
    instead of an accuracy.

    Parameters
    ----------
    max_value : float
        Largest value that passes as a fraction; a little above 1 for rounding.
    max_percent : float
        Largest value that passes as a percentage.
    sure_percent : float
        Percentage from which on nothing else comes to mind.
    """

    code: ClassVar[str] = "LOG001"
    title: ClassVar[str] = "Accuracy in percent or out of range"
    level: ClassVar[Level] = "error"
    max_value: float = MAX_FRACTION
    max_percent: float = MAX_PERCENT
    sure_percent: float = 10.0

    def check(self, run: RunData) -> Finding:
        """Hold every accuracy curve against the range of a fraction."""
        curves = [c for c in run.curves if c.metric.name in ACCURACY_METRICS and np.isfinite(c.value).any()]
        if not curves:
            return self.not_applicable("No accuracy was logged.")
        worst = max(curves, key=lambda c: max(_largest(c) - 1, -_smallest(c)))
        low, high = _smallest(worst), _largest(worst)
        if low >= 0 and high <= self.max_value:
            return self.clear("Every accuracy lies between 0 and 1.", [Evidence("largest_accuracy", high)])
        finite = worst.value[np.isfinite(worst.value)]
        percent = high <= self.max_percent and is_in_percent(finite, chance_level(run))
        outside = (worst.value > self.max_value) | (worst.value < 0)
        step = int(worst.step[np.argmax(outside)])
        evidence = [Evidence("largest_accuracy", high, self.max_value), Evidence("smallest_accuracy", low, 0.0)]
        what = "was logged in percent" if percent else "is no accuracy, neither a fraction nor a percentage"
        if percent and high < self.sure_percent:
            what += f", if it is one at all: {number(high)} % is next to nothing"
        elif not percent and is_in_percent(finite):
            what += f": {number(high)} % would be far below chance, {number(100 * (chance_level(run) or 0.0))} %"
        return self.flagged(
            f"'{worst.key}' runs from {number(low)} to {number(high)}: it {what}.",
            evidence,
            "Log it as a fraction: divide by 100."
            if percent
            else "Check what is logged under this key; a score of a regression is no accuracy.",
            split=worst.split,
            step=step,
        )


@dataclass(frozen=True, slots=True)
class StepsDoNotMatch(Rule):
    """Steps are repeated or out of order, or train and validation count in different steps.

    How it is detected: a curve has more than ``max_repeated`` points whose step was logged again later, or more than
    ``max_unsorted`` points logged after a greater step; or train and validation loss count in the same unit but one
    reaches more than ``max_ratio`` times the last step of the other.

    Why it matters: a resumed run repeats steps, a train curve per batch beside a validation curve per epoch shares
    numbers that do not mean the same moment. Onset, best step and gap would then compare different moments: the
    other rules stretch the one axis to the other, as if both curves covered the same training.

    What to do: log both curves against the same step (the epoch, or the global step for both). The later of repeated
    points is used here.

    Parameters
    ----------
    max_repeated : int
        Repeated points that are still passed over in silence.
    max_unsorted : int
        Points out of order that are still passed over in silence.
    max_ratio : float
        Largest ratio of the last steps of train and validation.
    """

    code: ClassVar[str] = "LOG004"
    title: ClassVar[str] = "Steps repeated, or split axes do not match"
    level: ClassVar[Level] = "warning"
    max_repeated: int = 0
    max_unsorted: int = 0
    max_ratio: float = MAX_STEP_RATIO

    def check(self, run: RunData) -> Finding:
        """Look at the steps of every curve, and at the axes of the two losses."""
        if not any(len(c) for c in run.curves):
            return self.not_applicable("No curve was logged.")
        worst = max(run.curves, key=lambda c: c.n_repeated + c.n_unsorted)
        if worst.n_repeated > self.max_repeated or worst.n_unsorted > self.max_unsorted:
            return self.flagged(
                f"'{worst.key}' has {worst.n_repeated} repeated steps and {worst.n_unsorted} points out of order; "
                "the latest value of each step is used.",
                [
                    Evidence("repeated_steps", worst.n_repeated, self.max_repeated),
                    Evidence("unsorted_points", worst.n_unsorted, self.max_unsorted),
                ],
                "Count steps on when a run is resumed, and log each step once.",
                split=worst.split,
            )
        return self._compare_axes(run)

    def _compare_axes(self, run: RunData) -> Finding:
        train, validation = loss_curve(run, "train"), loss_curve(run, held_out_split(run))
        if train is None or validation is None or not len(train) or not len(validation):
            return self.clear("No step is repeated.")
        ends = sorted([int(train.step[-1]), int(validation.step[-1])])
        several = min(len(train), len(validation)) > 1
        if several and train.step_unit == validation.step_unit and ends[1] > self.max_ratio * max(ends[0], 1):
            return self.flagged(
                f"'{train.key}' ends at step {train.step[-1]}, '{validation.key}' at step {validation.step[-1]}: "
                "they do not count the same thing (batches and epochs?).",
                [Evidence("ratio_of_last_steps", ends[1] / max(ends[0], 1), self.max_ratio)],
                "Log both against the same step: the epoch, or the global step for both.",
            )
        return self.clear("No step is repeated, and train and validation share their axis.")


@dataclass(frozen=True, slots=True)
class MissingCurve(Rule):
    """A curve is missing without which loss and accuracy cannot be judged.

    How it is detected: train loss, validation loss, train accuracy and validation accuracy (R² in a regression) are
    looked up under every known spelling; one without a finite value counts as missing. Where only a test split was
    logged, it stands for validation. Where all four are missing, what predictions tell is said first.

    Why it matters: overfitting shows in validation curves only, and a disagreement of loss and accuracy only where
    both are known on the same split. What is not logged cannot be judged, and is not called healthy.

    What to do: log the missing curve under a key such as ``val_loss``, or name yours with
    ``--key 'my_key=validation:log_loss'``. Where ``lossacc_mlflow.autolog()`` logs and the training code has no
    validation data to look at, as in the ``fit`` of scikit-learn, give them with
    ``with lossacc_mlflow.validation_data(X_val, y_val):`` around the training.

    Parameters
    ----------
    min_points : int
        Finite points that a curve needs in order not to count as missing.
    """

    code: ClassVar[str] = "LOG005"
    title: ClassVar[str] = "A needed curve is missing"
    level: ClassVar[Level] = "note"
    min_points: int = 1

    def check(self, run: RunData) -> Finding:
        """Look up the four curves that the other rules need."""
        held_out = held_out_split(run)
        quality, key = ("R²", "val_r2") if run.regressions and not run.predictions else ("accuracy", "val_accuracy")
        wanted: dict[str, Curve | None] = {
            "train loss": loss_curve(run, "train"),
            f"{held_out} loss": loss_curve(run, held_out),
            f"train {quality}": quality_curve(run, "train"),
            f"{held_out} {quality}": quality_curve(run, held_out),
        }
        missing = [name for name, curve in wanted.items() if _n_finite(curve) < self.min_points]
        evidence = [Evidence("missing_curves", len(missing), 0)]
        if not missing:
            return self.clear(f"Loss and {quality} of train and {held_out} are there.", evidence)
        seen = [f"{c.key or c.metric.name} ({_say_points(c)})" for c in run.curves]
        others = [*run.other_keys[:10], *(["..."] if len(run.other_keys) > 10 else [])]
        known = _say_predictions(run) if len(missing) == len(wanted) else None
        message = f"No {', no '.join(missing)}. There is {', '.join(seen) if seen else 'no curve'}"
        message += f"; not understood: {', '.join(others)}." if others else "."
        if known is not None:
            message = f"{known}; what was logged does not suffice to judge the course of the training. {message}"
        advice = (
            f"Log it under a key such as 'val_loss' or '{key}', or map yours with "
            f"--key '{_likely_key(run.other_keys)}=validation:log_loss'."
        )
        known_splits = {curve.split for curve in run.curves} | run.predictions.keys() | run.regressions.keys()
        if known_splits == {"train"}:
            advice += (
                " Automatic logging takes held-out data from 'with lossacc_mlflow.validation_data(X_val, y_val):' "
                "around the training, or from autolog(validation_data=(X_val, y_val))."
            )
        return self.flagged(message, evidence, advice)


def _say_predictions(run: RunData) -> str | None:
    """What the predictions say of the finished model, of the split that tells most."""
    for split in (*JUDGED_SPLITS, "train"):
        if split in run.predictions:
            of = run.predictions[split]
            figures = f"Accuracy {percent(of.accuracy)} and log loss {number(of.log_loss)}"
            return f"{figures} on {of.n_samples:,} {split} samples"
        if split in run.regressions:
            numbers = run.regressions[split]
            error = f"RMSE is {percent(numbers.rmse_over_sd, 0)} of the target's standard deviation"
            if not isfinite(numbers.rmse_over_sd):
                error = f"RMSE is {number(numbers.rmse)}"
            return f"R² {number(numbers.r2)} on {numbers.n_samples:,} {split} samples ({error})"
    return None


def _largest(curve: Curve) -> float:
    return float(curve.value[np.isfinite(curve.value)].max())


def _smallest(curve: Curve) -> float:
    return float(curve.value[np.isfinite(curve.value)].min())


def _n_finite(curve: Curve | None) -> int:
    return 0 if curve is None else int(np.isfinite(curve.value).sum())


def _say_points(curve: Curve) -> str:
    finite = _n_finite(curve)
    points = f"{len(curve)} point{'s' * (len(curve) != 1)}"
    return points if finite == len(curve) else f"{points}, {finite or 'none'} finite"


def _likely_key(keys: Sequence[str]) -> str:
    """A key that was not understood and yet looks like a loss or an accuracy."""
    return next((key for key in keys if re.search(r"loss|acc|error|nll|entropy", key, re.IGNORECASE)), "my_key")
