"""DIS rules about calibration: what a temperature removes and over whom, and probabilities that do not hold."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from math import isfinite, log
from typing import ClassVar

import numpy as np

from lossacc_mlflow.bounds import loss_bounds, miscalibration_p, plane_regions
from lossacc_mlflow.records import Evidence, Finding, FloatArray, Level, PredictionSummary, RunData
from lossacc_mlflow.rules.base import JUDGED_SPLITS, NEEDS_PREDICTIONS, Rule, judged_predictions
from lossacc_mlflow.rules.observation import MIN_POINTS
from lossacc_mlflow.rules.plane import Points, points_of
from lossacc_mlflow.wording import number, percent

__all__ = ["HesitantCorrect", "Miscalibration", "OverconfidentErrors"]


@dataclass(frozen=True, slots=True)
class _Removable(Rule):
    """What DIS003 and DIS004 share: the part of the loss that one temperature removes, on one side of 1."""

    min_share: float = 0.10
    z: float = 3.0

    def check(self, run: RunData) -> Finding:
        """Ask how much a temperature on this side of 1 removes, and over which samples."""
        judged = judged_predictions(run, "log_loss", "calibration_loss", "calibration_loss_se", "temperature")
        if judged is None:
            return self.not_applicable(f"{NEEDS_PREDICTIONS} A temperature must have been fitted to them.")
        split, summary = judged
        removed, se, temperature = _temperature_figures(summary)
        wrong, right = summary.calibration_loss_incorrect or 0.0, summary.calibration_loss_correct or 0.0
        evidence = [
            Evidence("calibration_loss", removed, max(self.min_share * summary.log_loss, self.z * se), "nats"),
            Evidence("temperature", temperature, 1.0),
            Evidence("calibration_loss_incorrect", wrong, None, "nats"),
            Evidence("calibration_loss_correct", right, None, "nats"),
        ]
        of_loss = f"of the {split} loss of {number(summary.log_loss)}"
        if not self._is_this_side(temperature) or not removed >= self.min_share * summary.log_loss:
            return self.clear(
                f"The best temperature is {number(temperature)}: it removes {number(removed)} {of_loss}.",
                evidence,
                split=split,
            )
        part = f"{number(removed)} {of_loss} ({percent(removed / summary.log_loss, 0)})"
        if removed < self.z * se:
            return self.clear(
                f"Temperature {number(temperature)} removes {part}, but that rests on few samples: its standard error "
                f"is {number(se)}.",
                evidence,
                split=split,
            )
        bound = " It is the largest or smallest that was tried: there is more to this than a temperature."
        return self.flagged(
            f"Temperature {number(temperature)} removes {part}: {self._attribute(summary, wrong, right)}."
            f"{bound if summary.temperature_at_bound else ''}",
            evidence,
            f"Divide the logits (the logarithms of the probabilities) by {number(temperature)}; no answer changes, and "
            f"the loss becomes {number(summary.log_loss - removed)}.",
            split=split,
        )

    @abstractmethod
    def _is_this_side(self, temperature: float) -> bool: ...

    @abstractmethod
    def _attribute(self, summary: PredictionSummary, wrong: float, right: float) -> str:
        """A clause that tells over which samples how much is removed."""


@dataclass(frozen=True, slots=True)
class OverconfidentErrors(_Removable):
    """A part of the loss is there only because the model is too sure, and its errors pay for it.

    How it is detected: temperature scaling, cross-fitted, removes at least ``min_share`` of the loss and at least
    ``z`` standard errors of that difference, and the temperature is above 1 (probabilities are too extreme). The
    number is the part removed over wrong answers, in nats per sample; right answers give a little of it back.

    Why it matters: this much of the loss says nothing about the answers. A model with higher accuracy and such a
    share can have the higher loss.

    What to do: divide the logits by the temperature given here (fitted on data that you do not test on); no answer
    changes.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On calibration of modern neural networks" (2017), arXiv:1706.04599;
    E. Berta et al., "Rethinking early stopping: refine, then calibrate" (2025), arXiv:2501.19195.

    Parameters
    ----------
    min_share : float
        Least share of the loss.
    z : float
        Least number of standard errors.
    """

    code: ClassVar[str] = "DIS003"
    title: ClassVar[str] = "Over-confident errors"
    level: ClassVar[Level] = "warning"

    def _is_this_side(self, temperature: float) -> bool:
        return temperature > 1

    def _attribute(self, summary: PredictionSummary, wrong: float, right: float) -> str:
        n_wrong = round((1 - summary.accuracy) * summary.n_samples)
        return (
            f"{number(wrong)} over the {n_wrong:,} wrong answers, which are given with "
            f"{percent(summary.confidence_incorrect)} confidence on average, and {number(right)} over the right ones"
        )


@dataclass(frozen=True, slots=True)
class HesitantCorrect(_Removable):
    """A part of the loss is there only because the model is too unsure, and its right answers pay for it.

    How it is detected: temperature scaling, cross-fitted, removes at least ``min_share`` of the loss and at least
    ``z`` standard errors of that difference, and the temperature is below 1 (probabilities are too flat). The number
    is the part removed over right answers, in nats per sample; wrong answers give a little of it back.

    Why it matters: forests, boosting with few stages, label smoothing and strong regularisation give right answers
    with little confidence. Their loss is high though their answers are good.

    What to do: divide the logits (or the logarithms of the probabilities) by the temperature given here; no answer
    changes.

    References
    ----------
    See DIS003.

    Parameters
    ----------
    min_share : float
        Least share of the loss.
    z : float
        Least number of standard errors.
    """

    code: ClassVar[str] = "DIS004"
    title: ClassVar[str] = "Hesitant correct predictions"
    level: ClassVar[Level] = "warning"

    def _is_this_side(self, temperature: float) -> bool:
        return temperature < 1

    def _attribute(self, summary: PredictionSummary, wrong: float, right: float) -> str:
        n_right = round(summary.accuracy * summary.n_samples)
        return (
            f"{number(right)} over the {n_right:,} right answers, as answers are given with "
            f"{percent(summary.mean_confidence)} confidence on average and {percent(summary.accuracy)} of them are "
            f"right, and {number(wrong)} over the wrong ones"
        )


@dataclass(frozen=True, slots=True)
class Miscalibration(Rule):
    """The probabilities do not hold: the model is right more often, or less often, than they say.

    How it is detected: by any of three signs in the predictions.

    By the loss: it exceeds the log loss of a model that gives every answer one constant confidence, its accuracy
    (Fano's inequality). On these samples that much can be removed without changing an answer. A calibrated model
    exceeds it so far by chance with a probability of at most C_n exp(-n (L - F)); below ``alpha`` that is proved.

    By confidence: the expected calibration error (15 bins) exceeds what a perfectly calibrated model shows by chance on
    as many samples: the 95 % quantile of that, and its mean by at least ``min_ece``.

    By temperature: one temperature removes at least ``min_share`` of the loss, and ``z`` standard errors (DIS003,
    DIS004).

    Without predictions the last logged log loss and accuracy are asked, where the number of samples is known. What is
    above the constant confidence at every step of a course is put down to a penalty and taken off. That is a note and
    no proof: a penalty in the logged loss looks the same.

    Why it matters: a threshold, an expected cost and an average of models take the probabilities at their word.

    What to do: fit a temperature (or isotonic regression, with thousands of samples) on data that were held out for it,
    and look at the reliability diagram.

    References
    ----------
    M. Feder and N. Merhav (1994), doi:10.1109/18.272494; J. Broecker and L. Smith, "Increasing the reliability of
    reliability diagrams" (2007), doi:10.1175/WAF993.1; C. Guo et al. (2017), arXiv:1706.04599.

    Parameters
    ----------
    alpha : float
        Level of the test on the loss.
    min_ece : float
        Calibration error above what is expected by chance.
    min_share, z : float
        As in DIS003.
    """

    code: ClassVar[str] = "DIS006"
    title: ClassVar[str] = "Miscalibration"
    level: ClassVar[Level] = "warning"
    alpha: float = 0.05
    min_ece: float = 0.02
    min_share: float = 0.10
    z: float = 3.0

    def check(self, run: RunData) -> Finding:
        """Ask the three signs of the predictions, or the last logged figures."""
        judged = judged_predictions(run, "ece", "ece_expected", "ece_q95", "accuracy", "mean_confidence")
        if judged is None:
            return self._check_curves(run)
        split, summary = judged
        signs = [self._by_loss(summary), self._by_confidence(summary), self._by_temperature(summary)]
        evidence = [e for _, found in signs for e in found]
        evidence += [
            Evidence("mean_confidence", summary.mean_confidence, None, "fraction"),
            Evidence("accuracy", summary.accuracy, None, "fraction"),
        ]
        sentences = [sentence for sentence, _ in signs if sentence]
        if not sentences:
            return self.clear(
                f"No sign of it: the mean confidence is {percent(summary.mean_confidence)}, the accuracy "
                f"{percent(summary.accuracy)}, and the calibration error {number(summary.ece)}, where a calibrated "
                f"model has {number(summary.ece_expected)} by chance.",
                evidence,
                split=split,
            )
        return self.flagged(
            f"The {split} probabilities are {_direction(summary)}: {'; '.join(sentences)}.",
            evidence,
            "Fit a temperature, or isotonic regression, on held-out data; the answers can stay as they are.",
            split=split,
        )

    def _by_loss(self, summary: PredictionSummary) -> tuple[str, list[Evidence]]:
        if summary.n_classes < 2 or not isfinite(summary.log_loss):
            return "", []
        excess, constant = _above_constant(summary.accuracy, summary.log_loss, summary.n_classes)
        p = miscalibration_p(excess, summary.n_samples)
        evidence = [
            Evidence("loss_above_constant_confidence", excess, None, "nats"),
            Evidence("miscalibration_p", p, self.alpha),
        ]
        if not p < self.alpha:
            return "", evidence
        return (
            f"the loss of {number(summary.log_loss)} is {number(excess)} above the {number(constant)} of one constant "
            f"confidence, which proves it (p {_say_p(p)} on {summary.n_samples:,} samples)"
        ), evidence

    def _by_confidence(self, summary: PredictionSummary) -> tuple[str, list[Evidence]]:
        limit = max(summary.ece_q95, summary.ece_expected + self.min_ece)
        evidence = [
            Evidence("ece", summary.ece, limit, "fraction"),
            Evidence("ece_overconfident", summary.ece_overconfident, None, "fraction"),
            Evidence("ece_underconfident", summary.ece_underconfident, None, "fraction"),
        ]
        if not summary.ece > limit:
            return "", evidence
        return (
            f"the expected calibration error is {number(summary.ece)} ({number(summary.ece_overconfident)} where the "
            f"confidence is too high, {number(summary.ece_underconfident)} where it is too low), where a calibrated "
            f"model has {number(summary.ece_expected)} on average and {number(summary.ece_q95)} once in 20 times"
        ), evidence

    def _by_temperature(self, summary: PredictionSummary) -> tuple[str, list[Evidence]]:
        removed, se, temperature = _temperature_figures(summary)
        if not isfinite(removed) or not isfinite(summary.log_loss):
            return "", []
        limit = max(self.min_share * summary.log_loss, self.z * se)
        evidence = [Evidence("calibration_loss", removed, limit, "nats"), Evidence("temperature", temperature, 1.0)]
        if not (removed >= limit and removed > 0):
            return "", evidence
        return (
            f"temperature {number(temperature)} removes {number(removed)} of the loss of {number(summary.log_loss)} "
            f"({percent(removed / summary.log_loss, 0)})"
        ), evidence

    def _check_curves(self, run: RunData) -> Finding:
        """Hold the last logged log loss against the accuracy, and take off what may be a penalty."""
        points = next((p for split in JUDGED_SPLITS for p in points_of(run) if p.split == split), None)
        if points is None or run.n_classes is None or run.n_classes < 2:
            return self.not_applicable(
                f"{NEEDS_PREDICTIONS} From curves it takes accuracy, log loss (known to be one, as under the key "
                "'val_log_loss') and the number of classes."
            )
        excess = _lasting_excess(points, run.n_classes)
        accuracy, loss = float(points.accuracy[-1]), float(points.loss[-1])
        evidence = [Evidence("loss_above_constant_confidence", excess, None, "nats")]
        if not excess > 0:
            return self.clear(
                f"At an accuracy of {percent(accuracy)} a calibrated model can have the logged loss of {number(loss)}.",
                evidence,
                split=points.split,
            )
        if run.n_validation is None or points.split != "validation":
            return self.not_applicable(
                f"'{points.loss_key}' is {number(excess)} above what one constant confidence has at an accuracy of "
                f"{percent(accuracy)}; whether that is chance hangs on the number of samples, which is not known.",
                evidence,
            )
        p = miscalibration_p(excess, run.n_validation)
        evidence.append(Evidence("miscalibration_p", p, self.alpha))
        if not p < self.alpha:
            return self.clear("The loss is above that of one constant confidence by what chance can do.", evidence)
        found = self.flagged(
            f"If '{points.loss_key}' is a plain mean log loss, {number(excess)} of its {number(loss)} can be removed "
            f"without changing an answer: at an accuracy of {percent(accuracy)} one constant confidence has "
            f"{number(loss - excess)}, and a calibrated model exceeds that so far on {run.n_validation:,} samples with "
            f"p {_say_p(p)}. A penalty in the logged loss would look the same.",
            evidence,
            "Log the predictions: they tell a penalty from miscalibration, and in which direction it goes.",
            split=points.split,
            step=int(points.step[-1]),
        )
        return replace(found, level="note")


def _temperature_figures(summary: PredictionSummary) -> tuple[float, float, float]:
    """Calibration loss, its standard error, and the temperature; NaN where none was fitted."""
    figures = summary.calibration_loss, summary.calibration_loss_se, summary.temperature
    removed, se, temperature = (float("nan") if value is None else value for value in figures)
    return removed, se, temperature


def _above_constant(accuracy: float, loss: float, n_classes: int) -> tuple[float, float]:
    """How far a log loss is above that of one constant confidence, and that loss."""
    band = loss_bounds(min(max(accuracy, 0.0), 1.0), max(loss, 0.0), n_classes).calibrated_high
    constant = band if isfinite(band) else log(n_classes)
    if accuracy < 1 / n_classes:
        constant = log(n_classes)
    return loss - constant, constant


def _lasting_excess(points: Points, n_classes: int) -> float:
    """Excess of the last step in the favour of the run: after rounding, less what is there at every step."""
    accuracy = np.clip(points.accuracy - points.accuracy_rounding, 1 / n_classes, 1.0)
    constant: FloatArray = plane_regions(n_classes, accuracy).calibrated_high
    excess = points.loss - points.loss_rounding - constant
    always = max(0.0, float(excess.min())) if len(excess) >= MIN_POINTS else 0.0
    return float(excess[-1]) - always


def _direction(summary: PredictionSummary) -> str:
    over, under = summary.ece_overconfident, summary.ece_underconfident
    if over > under:
        return "too sure"
    return "too unsure" if under > over else "not those of the samples"


def _say_p(p: float) -> str:
    """A bound on a p value, with its sign."""
    return f"<= {p:.2g}" if p >= 1e-3 else f"<= {p:.0e}" if p >= 1e-99 else "< 1e-99"
