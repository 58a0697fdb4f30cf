"""DIS rules: loss and accuracy disagree, and who is to blame."""

from abc import abstractmethod
from dataclasses import dataclass, field
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.records import Evidence, Finding, Level, PredictionSummary, RunData, Split
from lossacc_mlflow.rules.base import JUDGED_SPLITS, Rule, share
from lossacc_mlflow.rules.cost import cost_since_best, say_rise
from lossacc_mlflow.rules.fit import LossOverfitting
from lossacc_mlflow.rules.observation import NEEDS_LOSS_AND_ACCURACY, observe
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent, signed

__all__ = ["BestStepsDiffer", "FewHugeErrors", "HesitantCorrect", "LossUpAccuracyFlat", "OverconfidentErrors"]

_NO_PREDICTIONS = (
    "Predictions of the validation or test split are needed: log them with lossacc_mlflow.log_predictions."
)


@dataclass(frozen=True, slots=True)
class LossUpAccuracyFlat(Rule):
    """The validation loss rises while the accuracy holds or still rises.

    How it is detected: the validation loss rises to its end as in FIT001, by more than ``max_rise``, and the smoothed
    accuracy ends less than ``max_drop`` below its peak, or less than its noise explains. The training has not come
    apart (TRN002), and the model had learned (TRN003).

    Why it matters: this is where one figure says stop and the other says go on. The answers are as good as before;
    the same wrong answers are given with more certainty, or right ones with less. Which of the two, only
    predictions tell (DIS003 to DIS005).

    What to do: decide what you need. For answers, the last state is fine. For probabilities, take the best step by
    loss, or fit a temperature on validation data. Log predictions to see which samples pay.

    Parameters
    ----------
    max_rise : float
        Relative rise of the loss that is still passed over.
    max_drop : float
        Fall of the accuracy up to which it counts as holding.
    """

    code: ClassVar[str] = "DIS001"
    title: ClassVar[str] = "Loss rises while accuracy holds or rises"
    level: ClassVar[Level] = "warning"
    max_rise: float = 0.075
    max_drop: float = 0.01
    loss_overfitting: LossOverfitting = field(default=LossOverfitting(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Ask whether the loss rises, and whether the accuracy falls with it."""
        seen = observe(run)
        validation, rise, quality, drop = seen.validation_loss, seen.rise, seen.validation_quality, seen.accuracy_drop
        if validation is None or rise is None or quality is None or drop is None:
            return self.not_applicable(NEEDS_LOSS_AND_ACCURACY)
        fit = self.loss_overfitting
        limit = max(self.max_drop, quality.doubt)
        evidence = [
            Evidence("validation_rise_relative", rise.relative, self.max_rise, "fraction"),
            Evidence("accuracy_drop", drop, limit, "fraction"),
        ]
        if not fit.rises(seen, max_rise=self.max_rise):
            return self.clear(f"The {seen.held_out} loss does not rise to the end.", evidence)
        if drop >= limit:
            return self.clear(f"The {seen.held_out} loss rises, and the accuracy falls with it: they agree.", evidence)
        if fit.late_divergence.is_flagged(run) or fit.not_learning.is_flagged(run):
            return self.clear(f"The {seen.held_out} loss rises, but not from fitting: see TRN002 and TRN003.", evidence)
        return self.flagged(
            f"Since {seen.step_unit} {rise.step} the {seen.held_out} loss has risen by {say_rise(rise)} "
            f"({number(validation.best_value)} to {number(validation.end)}), while the {seen.quality_word} went from "
            f"{percent(quality.at_step(rise.step))} to {percent(quality.end)}.",
            [*evidence, *cost_since_best(seen)],
            f"For answers keep the last state; for probabilities keep {seen.step_unit} {rise.step}, or fit a "
            "temperature on validation data.",
            split=seen.held_out,
            step=rise.step,
            step_interval=rise.interval,
        )


@dataclass(frozen=True, slots=True)
class BestStepsDiffer(Rule):
    """The best step by loss and the best step by accuracy are different models.

    How it is detected: on smoothed validation curves, choosing the best step by loss costs more accuracy than
    ``max_accuracy`` and than its noise explains, or choosing the best step by accuracy costs more than ``max_loss``
    of the loss and more than its noise explains. Steps within ``tie_loss`` of the best loss, or ``tie_accuracy`` of
    the best accuracy, are as good as the best, and of them the most favourable one counts. Different steps that cost
    nothing are no finding: on real curves the raw best steps differ in half of all healthy runs.

    Why it matters: "save best only" keeps another model depending on what it monitors.

    What to do: monitor what you need; both prices are given here.

    Parameters
    ----------
    max_accuracy : float
        Accuracy given up that is still passed over.
    max_loss : float
        Relative loss given up that is still passed over.
    tie_accuracy, tie_loss : float
        See above; the loss relative to its best.
    """

    code: ClassVar[str] = "DIS002"
    title: ClassVar[str] = "Best step by loss differs from best step by accuracy"
    level: ClassVar[Level] = "note"
    max_accuracy: float = 0.01
    max_loss: float = 0.05
    tie_accuracy: float = 0.005
    tie_loss: float = 0.01

    def check(self, run: RunData) -> Finding:
        """Price each choice in the other's currency."""
        seen = observe(run)
        loss, quality = seen.validation_loss, seen.validation_quality
        if loss is None or quality is None:
            return self.not_applicable(NEEDS_LOSS_AND_ACCURACY)
        as_low = loss.step[loss.smooth <= loss.best_value + self.tie_loss * abs(loss.best_value)]
        as_high = quality.step[quality.smooth >= quality.best_value - self.tie_accuracy]
        accuracy_cost = quality.best_value - float(quality.at(as_low).max())
        loss_cost = float(loss.at(as_high).min()) - loss.best_value
        relative = share(loss_cost, loss.best_value) if loss.best_value > 0 else float("nan")
        evidence = [
            Evidence("accuracy_cost_of_best_loss", accuracy_cost, max(self.max_accuracy, quality.doubt), "fraction"),
            Evidence("loss_cost_of_best_accuracy_relative", relative, self.max_loss, "fraction"),
            Evidence("best_step_by_loss", loss.best_step, None, seen.step_unit),
            Evidence("best_step_by_accuracy", quality.best_step, None, seen.step_unit),
        ]
        by_loss = accuracy_cost > max(self.max_accuracy, quality.doubt)
        by_accuracy = relative > self.max_loss and loss_cost > loss.doubt
        if not (by_loss or by_accuracy):
            return self.clear("Whichever of the two chooses the best step, it costs next to nothing.", evidence)
        return self.flagged(
            self._message(seen.step_unit, loss, quality, accuracy_cost, relative),
            evidence,
            "Monitor the one you need: accuracy for answers, loss for probabilities.",
            split=seen.held_out,
            step=loss.best_step,
            step_interval=loss.best_interval,
        )

    def _message(self, unit: str, loss: CurveShape, quality: CurveShape, accuracy_cost: float, relative: float) -> str:
        return (
            f"The loss is best at {unit} {loss.best_step}, the accuracy at {unit} {quality.best_step}. Taking the best "
            f"loss gives up {percent(accuracy_cost)} of accuracy, taking the best accuracy {percent(relative, 0)} of "
            "the loss."
        )


@dataclass(frozen=True, slots=True)
class _Miscalibration(Rule):
    """What DIS003 and DIS004 share: the part of the loss that one temperature removes, on one side of 1."""

    min_share: float = 0.10
    z: float = 3.0

    def check(self, run: RunData) -> Finding:
        """Ask how much a temperature on this side of 1 removes, and over which samples."""
        judged = _judged(run)
        if judged is None:
            return self.not_applicable(_NO_PREDICTIONS)
        split, summary = judged
        removed, se, temperature = summary.calibration_loss, summary.calibration_loss_se, summary.temperature
        if removed is None or se is None or temperature is None:
            return self.not_applicable(_NO_PREDICTIONS)
        evidence = [
            Evidence("calibration_loss", removed, max(self.min_share * summary.log_loss, self.z * se), "nats"),
            Evidence("temperature", temperature, 1.0),
        ]
        if not self._is_this_side(temperature) or not removed >= self.min_share * summary.log_loss:
            message = "No temperature on this side of 1 removes a share of the loss that counts."
            return self.clear(message, evidence, split=split)
        if removed < self.z * se:
            message = (
                f"Temperature {temperature:.2f} removes {number(removed)} of the loss of {number(summary.log_loss)}, "
            )
            message += f"but that rests on few samples: its standard error is {number(se)}."
            return self.clear(message, evidence, split=split)
        share_of_group, message = self._attribute(summary)
        return self.flagged(
            f"Temperature {temperature:.2f} removes {number(removed)} of the {split} loss of "
            f"{number(summary.log_loss)}: {message}",
            [*evidence, share_of_group],
            f"Divide the logits (the logarithms of the probabilities) by {temperature:.2f}; no answer changes, and the "
            f"loss becomes {number(summary.log_loss - removed)}.",
            split=split,
        )

    @abstractmethod
    def _is_this_side(self, temperature: float) -> bool: ...

    @abstractmethod
    def _attribute(self, summary: PredictionSummary) -> tuple[Evidence, str]:
        """The part removed over the samples that this rule is about, and a clause that tells of it."""


@dataclass(frozen=True, slots=True)
class OverconfidentErrors(_Miscalibration):
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

    def _attribute(self, summary: PredictionSummary) -> tuple[Evidence, str]:
        wrong, right = summary.calibration_loss_incorrect or 0.0, summary.calibration_loss_correct or 0.0
        return Evidence("calibration_loss_incorrect", wrong, None, "nats"), (
            f"{number(wrong)} over wrong answers, which are given with {percent(summary.confidence_incorrect)} "
            f"confidence on average, {signed(right)} over right ones."
        )


@dataclass(frozen=True, slots=True)
class HesitantCorrect(_Miscalibration):
    """A part of the loss is there only because the model is too unsure, and its right answers pay for it.

    How it is detected: temperature scaling, cross-fitted, removes at least ``min_share`` of the loss and at least
    ``z`` standard errors of that difference, and the temperature is below 1 (probabilities are too flat). The number
    is the part removed over right answers, in nats per sample.

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

    def _attribute(self, summary: PredictionSummary) -> tuple[Evidence, str]:
        right = summary.calibration_loss_correct or 0.0
        return Evidence("calibration_loss_correct", right, None, "nats"), (
            f"{number(right)} over right answers, which get {percent(summary.mean_confidence)} confidence at "
            f"{percent(summary.accuracy)} accuracy."
        )


@dataclass(frozen=True, slots=True)
class FewHugeErrors(Rule):
    """A handful of samples, each next to impossible for the model, carries a large part of the loss.

    How it is detected: at least ``min_count`` samples, and at most ``max_fraction`` of all, got a probability below
    1 / (n (K - 1)) for their true class, and they carry at least ``min_share`` of the loss. Of a calibrated model one
    expects at most one such sample.

    Why it matters: the mean log loss is then a statement about these samples. They are label errors, another
    population, or a saturated model; a fixed share of the worst samples would say nothing, because good models always
    concentrate their loss.

    What to do: look at them (worst_predictions.csv). Correct the labels that are wrong, bound the confidence (label
    smoothing, a temperature, a clip) where the model is.

    Parameters
    ----------
    min_count : int
        Least number of such samples.
    max_fraction : float
        Largest share of all samples.
    min_share : float
        Least share of the loss.
    """

    code: ClassVar[str] = "DIS005"
    title: ClassVar[str] = "Loss concentrated on few samples"
    level: ClassVar[Level] = "warning"
    min_count: int = 5
    max_fraction: float = 0.01
    min_share: float = 0.10

    def check(self, run: RunData) -> Finding:
        """Count the samples that a calibrated model would not have, and what they carry."""
        judged = _judged(run)
        if judged is None:
            return self.not_applicable(_NO_PREDICTIONS)
        split, summary = judged
        huge, n = summary.n_huge_errors, summary.n_samples
        evidence = [
            Evidence("n_huge_errors", huge, self.min_count, "samples"),
            Evidence("fraction_of_samples", huge / n, self.max_fraction, "fraction"),
            Evidence("loss_share_huge_errors", summary.loss_share_huge_errors, self.min_share, "fraction"),
        ]
        few = self.min_count <= huge <= self.max_fraction * n
        if not (few and summary.loss_share_huge_errors >= self.min_share):
            return self.clear("No handful of samples carries the loss.", evidence, split=split)
        return self.flagged(
            f"{huge} of {n} {split} samples ({percent(huge / n)}) carry {percent(summary.loss_share_huge_errors, 0)} "
            f"of the loss: each got less than 1 in {n * max(1, summary.n_classes - 1):,} for its true class, where a "
            "calibrated model has at most one such sample.",
            evidence,
            "Look at them in worst_predictions.csv: wrong labels, another kind of input, or a model that is too sure.",
            split=split,
        )


def _judged(run: RunData) -> tuple[Split, PredictionSummary] | None:
    """Summary of the split that models are chosen by, with a finite loss."""
    for split in JUDGED_SPLITS:
        summary = run.predictions.get(split)
        if summary is not None and isfinite(summary.log_loss):
            return split, summary
    return None
