"""DIS rules about curves: loss and accuracy part ways, or prefer different steps."""

from dataclasses import dataclass, field
from typing import ClassVar

from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule, share
from lossacc_mlflow.rules.cost import cost_since_best, say_rise
from lossacc_mlflow.rules.dis_steps import split_rise
from lossacc_mlflow.rules.fit import LossOverfitting
from lossacc_mlflow.rules.observation import NEEDS_LOSS_AND_ACCURACY, observe
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent, step_word

__all__ = ["BestStepsDiffer", "LossUpAccuracyFlat"]


@dataclass(frozen=True, slots=True)
class LossUpAccuracyFlat(Rule):
    """The validation loss rises while the accuracy holds or still rises.

    How it is detected: the validation loss rises to its end as in FIT001, by more than ``max_rise``, and the smoothed
    accuracy ends less than ``max_drop`` below its peak, or less than its noise explains. The training has not come
    apart (TRN002), and the model had learned (TRN003).

    Why it matters: this is where one figure says stop and the other says go on. The answers are as good as before;
    the same wrong answers are given with more certainty, or right ones with less. Which of the two, only
    predictions tell (DIS003 to DIS005). Where they were logged over the steps, the rise is split here into calibration,
    which a temperature repairs, and refinement, which nothing does; and the step that is best after recalibration, at
    the lowest smoothed refinement loss, is named.

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
        parts = split_rise(run.by_step.get(seen.held_out))
        message = (
            f"Since {seen.step_word} {rise.step} the {seen.held_out} loss has risen by {say_rise(rise)} "
            f"({number(validation.best_value)} to {number(validation.end)}), while the {seen.quality_word} went from "
            f"{percent(quality.at_step(rise.step))} to {percent(quality.end)}."
        )
        advice = (
            f"For answers keep the last state; for probabilities keep {seen.step_word} {rise.step}, or fit a "
            "temperature on validation data."
        )
        if parts is not None and parts.gain > 0:
            best = f"{step_word(parts.step_unit)} {parts.refinement.best_step}"
            advice = f"Keep {best}, and fit a temperature on validation data; for answers alone the last state will do."
        return self.flagged(
            message if parts is None else f"{message} {parts.say()}",
            [*evidence, *cost_since_best(seen), *([] if parts is None else parts.evidence)],
            advice,
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
            self._message(seen.step_word, loss, quality, accuracy_cost, relative),
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
