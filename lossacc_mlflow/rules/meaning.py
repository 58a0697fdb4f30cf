"""LOG007 and LOG008: an accuracy that is none, and a loss that is a score."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from lossacc_mlflow.curves import (
    ACCURACY_METRICS,
    held_out_split,
    is_over_steps,
    loss_curve,
    measure_agreement,
    quality_curve,
    shape_over_steps,
)
from lossacc_mlflow.keys import find_metric
from lossacc_mlflow.records import Evidence, Finding, FloatArray, Level, RunData
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.observation import MAX_FRACTION, MAX_PERCENT, MIN_POINTS, chance_level, is_in_percent
from lossacc_mlflow.smoothing import CurveShape, shape_of
from lossacc_mlflow.wording import number, quote

__all__ = ["AccuracyOnRegression", "LossIsScore"]


@dataclass(frozen=True, slots=True)
class AccuracyOnRegression(Rule):
    """An accuracy was logged for a regression.

    How it is detected: there is an accuracy, and one of these says that the target is a number: the estimator (tags
    ``estimator_name`` and ``estimator_class``, parameter ``objective``); predicted numbers that were logged; R², unless
    the class count, a log loss or another score of classifiers is known as well; a squared or absolute error as the
    only loss; values below 0 or above 100, as R² and errors have them; or a loss that falls by more than ``min_fall``
    while the accuracy stays below ``max_accuracy`` and moves by less than ``max_change``. Where a squared error is all
    that tells, and the accuracy exceeds ``max_accuracy``, the finding is a note: a classifier can be trained so. Where
    the number of classes is known too, the accuracy must be one that none can be, as 3.9 of four classes is. Values out
    of range are a note: LOG001 has said so.

    Why it matters: the accuracy of a regression is the share of predictions that equal the target to the last digit,
    and says nothing. A verdict that weighs it against the loss says nothing either.

    What to do: log R² or the root mean squared error in its place.

    Parameters
    ----------
    max_accuracy : float
        Largest accuracy that exact equality may reach by chance.
    max_change : float
        Largest distance between two values of such an accuracy.
    min_fall : float
        Relative fall of the loss that would have shown in the accuracy of a classifier.
    """

    code: ClassVar[str] = "LOG007"
    title: ClassVar[str] = "Accuracy on a regression"
    level: ClassVar[Level] = "warning"
    max_accuracy: float = 0.1
    max_change: float = 0.01
    min_fall: float = 0.5

    def check(self, run: RunData) -> Finding:
        """Ask everything that tells a regression from a classification."""
        values = [c.value[np.isfinite(c.value)] for c in run.curves if c.metric.name in ACCURACY_METRICS]
        values = [v for v in values if len(v)]
        if not values:
            return self.not_applicable("No accuracy was logged.")
        low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
        evidence = [Evidence("largest_accuracy", high, self.max_accuracy), Evidence("smallest_accuracy", low)]
        suspicion = self._suspicion(run, values, low, high)
        if suspicion is None:
            return self.clear("Nothing says that this is a regression.", evidence)
        reason, otherwise = suspicion
        either = "Either this" if otherwise else "This"
        found = self.flagged(
            f"An accuracy is logged, but {reason}. {either} is a regression, and the accuracy says nothing{otherwise}.",
            evidence,
            "Log R² or the root mean squared error in place of the accuracy.",
        )
        return replace(found, level="note") if otherwise else found

    def _suspicion(self, run: RunData, values: Sequence[FloatArray], low: float, high: float) -> tuple[str, str] | None:
        """What speaks for a regression, and what else it may mean."""
        certain = _regressor(run) or (None if _is_classification(run) else _regression_metric(run, _REGRESSION_SCORES))
        if certain is None and run.regressions and not run.predictions:
            certain = "the predictions that were logged are numbers"
        if certain is not None:
            return certain, ""
        if _is_classification(run):
            return self._class_numbers(run, values)
        if low < 0 or high > MAX_PERCENT:
            return f"it runs from {number(low)} to {number(high)}, as no accuracy does", ", or it is another score"
        if self._stands_still(run, values):
            return f"it stays between {number(low)} and {number(high)} while the loss falls", ""
        loss = _regression_metric(run, _REGRESSION_LOSSES)
        if loss is None:
            return None
        return loss, ", or a classifier was trained by it" if high > self.max_accuracy else ""

    def _class_numbers(self, run: RunData, values: Sequence[FloatArray]) -> tuple[str, str] | None:
        """Whether classes were learned as numbers: their squared error, and an accuracy that none can be."""
        loss = _regression_metric(run, _REGRESSION_LOSSES)
        chance = chance_level(run)
        impossible = any(v.max() > MAX_FRACTION and not is_in_percent(v, chance) for v in values)
        if loss is None or not impossible or any(c.metric.name in _CLASSIFIER_METRICS for c in run.curves):
            return None
        return f"{loss}, and it is above 1", ", or it is another score"

    def _stands_still(self, run: RunData, values: Sequence[FloatArray]) -> bool:
        """Whether the loss falls as it cannot with an accuracy that stands still near zero."""
        if max(float(v.max()) for v in values) >= self.max_accuracy:
            return False
        if any(len(v) < MIN_POINTS or float(v.max() - v.min()) >= self.max_change for v in values):
            return False
        losses = [curve for split in ("train", "validation") if (curve := loss_curve(run, split)) is not None]
        shapes = [shape for curve in losses if (shape := shape_of(curve)) is not None]
        return bool(shapes) and all(s.smooth[0] > 0 and s.end < (1 - self.min_fall) * s.smooth[0] for s in shapes)


@dataclass(frozen=True, slots=True)
class LossIsScore(Rule):
    """What was logged as a loss rises as the model learns: greater is better.

    How it is detected: the train loss ends above its first value and never falls below it, its best step lies in the
    first ``first_part`` of the steps, and it rises with the accuracy (of the training data where it is known): their
    rank correlation over the steps exceeds ``min_correlation``, and the accuracy gains more than ``min_gain`` and than
    its noise. Where no accuracy is known, it must be negative throughout, as a log likelihood is, and rise with the
    steps themselves.

    Why it matters: every rule takes a loss for something that falls. Such a run would be called diverged or
    overfitted for getting better.

    What to do: log the negative of it, or log it under the name of a score.

    Parameters
    ----------
    min_correlation : float
        Rank correlation of the loss with the accuracy (or with the steps).
    min_gain : float
        Rise of the accuracy that counts as learning.
    first_part : float
        Share of the steps at the beginning in which the lowest loss lies.
    """

    code: ClassVar[str] = "LOG008"
    title: ClassVar[str] = "The loss looks like a score"
    level: ClassVar[Level] = "error"
    min_correlation: float = 0.9
    min_gain: float = 0.05
    first_part: float = 0.1

    def check(self, run: RunData) -> Finding:
        """Ask whether the train loss rises from the start, and the accuracy with it."""
        loss = loss_curve(run, "train")
        shape = shape_over_steps(loss, MIN_POINTS)
        if loss is None or shape is None:
            return self.not_applicable(f"A train loss over at least {MIN_POINTS} steps of one training is needed.")
        rises = shape.end - float(shape.smooth[0]) > shape.doubt and shape.best <= self.first_part * (len(shape) - 1)
        if not rises:
            return self.clear("The train loss does not rise from the start.")
        known = (quality_curve(run, split) for split in ("train", held_out_split(run)))
        quality = next(
            (shape_of(c) for c in known if c is not None and is_over_steps(c) and len(c) >= MIN_POINTS), None
        )
        if quality is not None:
            correlation, gain = measure_agreement(shape, quality), self._gain(quality)
            evidence = [Evidence("accuracy_gain", gain, self.min_gain, "fraction")]
            what = f"the accuracy with it, by {number(100 * gain)} points"
            learns = gain > self.min_gain
        elif float(shape.value.max()) <= 0:
            correlation, learns = measure_agreement(shape, replace(shape, value=shape.step.astype(np.float64))), True
            evidence, what = [Evidence("largest_loss", float(shape.value.max()), 0.0)], "it is negative throughout"
        else:
            return self.not_applicable(
                "The train loss rises from the start; without an accuracy nobody knows what that means."
            )
        evidence.insert(0, Evidence("rank_correlation", correlation, self.min_correlation))
        if not (learns and correlation > self.min_correlation):
            return self.clear("The train loss rises, but not as the model learns.", evidence)
        return self.flagged(
            f"'{loss.key or loss.metric.name}' rises from {number(float(shape.smooth[0]))} to {number(shape.end)} over "
            f"the whole training, and {what}: it looks like a score, or a log likelihood, of which greater is better. "
            "Verdicts that take it for a loss do not hold.",
            evidence,
            "Log the negative of it as the loss, or log it under the name of a score.",
            split="train",
            step=int(shape.step[0]),
        )

    def _gain(self, quality: CurveShape) -> float:
        gain = quality.end - float(quality.smooth[0])
        return gain if gain > quality.doubt else 0.0


_REGRESSION_SCORES = ("r2",)
_REGRESSION_LOSSES = (
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
)
_CLASSIFIER_METRICS = frozenset(
    {"log_loss", "brier_score_loss", "hinge_loss", "f1", "f1_macro", "precision", "recall", "roc_auc"}
)
_REGRESSORS = re.compile(
    r"(?:Regressor(?:CV)?|\bLinearRegression|\b(?:Ridge|Lasso|ElasticNet|Lars|LassoLars)(?:CV)?|\b(?:Nu|Linear)?SVR)$"
    r"|^regression|^reg:(?!logistic)"
)


def _regressor(run: RunData) -> str | None:
    """What says that the estimator is a regressor."""
    names = {key: run.tags[key] for key in ("estimator_name", "estimator_class") if key in run.tags}
    names |= {key: run.params[key] for key in ("objective", "estimator") if key in run.params}
    return next((f"{key} is {quote(value)}" for key, value in names.items() if _REGRESSORS.search(value)), None)


def _is_classification(run: RunData) -> bool:
    known = run.n_classes is not None or run.class_counts is not None or run.majority_accuracy is not None
    return known or bool(run.predictions) or any(c.metric.name in _CLASSIFIER_METRICS for c in run.curves)


def _regression_metric(run: RunData, names: Sequence[str]) -> str | None:
    """Which curve, or which loss by parameter, is one of a regression, where no other loss is known by name."""
    curve = next((c for c in run.curves if c.metric.name in names), None)
    if curve is not None:
        return f"'{curve.key or curve.metric.name}' is logged too"
    found = find_metric(run.params.get("loss", ""))
    if found is not None and found[0].name in names:
        return f"the parameter loss is {quote(run.params['loss'])}"
    return None
