"""What predictions over the steps of a training say of a rising loss: calibration or refinement, and who pays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.records import Curve, Evidence, FloatArray, PredictionSteps
from lossacc_mlflow.rules.base import share
from lossacc_mlflow.rules.observation import MIN_POINTS
from lossacc_mlflow.smoothing import CurveShape, shape_of
from lossacc_mlflow.wording import number, percent, step_word

__all__ = ["RiseParts", "split_rise"]

_MIN_RISE = 0.02
"""Share of the best loss below which there is no rise to speak of."""


@dataclass(frozen=True, slots=True, eq=False)
class RiseParts:
    """What the rise of a loss since its best step consists of, and which step is best after recalibration.

    ``loss`` and ``refinement`` are smoothed; what one is above the other is calibration.
    """

    step_unit: str
    loss: CurveShape
    refinement: CurveShape
    accuracy: CurveShape | None
    incorrect: CurveShape | None
    """The part of the loss that wrong answers carry, in nats per sample."""

    @property
    def step(self) -> int:
        """The best step by loss."""
        return self.loss.best_step

    @property
    def total(self) -> float:
        """How far the loss has risen since."""
        return self._risen(self.loss)

    @property
    def by_refinement(self) -> float:
        """How much of that is refinement; negative where that still improved."""
        return self._risen(self.refinement)

    @property
    def gain(self) -> float:
        """By how much the best step after recalibration is better than the best step by loss, both recalibrated."""
        return self.refinement.at_step(self.step) - self.refinement.best_value

    @property
    def evidence(self) -> list[Evidence]:
        """Every number of it."""
        found = [
            Evidence("rise_from_calibration", self.total - self.by_refinement, None, "nats"),
            Evidence("rise_from_refinement", self.by_refinement, None, "nats"),
            Evidence("best_step_after_recalibration", self.refinement.best_step, None, self.step_unit),
            Evidence("recalibrated_loss_gain", self.gain, None, "nats"),
        ]
        if self.incorrect is not None:
            found.append(Evidence("rise_over_wrong_answers", self._risen(self.incorrect), None, "nats"))
        if self.accuracy is not None:
            gained = self.accuracy.at_step(self.refinement.best_step) - self.accuracy.at_step(self.step)
            found.append(Evidence("recalibrated_accuracy_gain", gained, None, "fraction"))
        return found

    def _risen(self, shape: CurveShape) -> float:
        return self._end(shape) - shape.at_step(self.step)

    def _end(self, shape: CurveShape) -> float:
        """Level at the end, over no step before the best one: a loss that falls to its last step has not risen."""
        best = self.loss.best
        reaches_back = best > len(shape) - max(2, shape.window)
        return float(shape.value[best:].mean()) if reaches_back else shape.end

    def say(self) -> str:
        """Tell of it in two sentences."""
        return f"{self._say_parts()} {self._say_best()}"

    def _say_parts(self) -> str:
        end, refined_end = self._end(self.loss), self._end(self.refinement)
        refined = f"{number(self.refinement.at_step(self.step))} to {number(refined_end)}"
        calibration = (
            f"{number(self.loss.at_step(self.step) - self.refinement.at_step(self.step))} to "
            f"{number(end - refined_end)}"
        )
        by_calibration = self.total - self.by_refinement
        wrong = "" if self.incorrect is None else f"; {self._say_who_pays(self._risen(self.incorrect))}"
        # A smooth curve has no doubt; a thousandth of the rise is still nothing.
        if self.by_refinement <= max(self.refinement.doubt, 1e-3 * self.total):
            improves = self.by_refinement < -self.refinement.doubt
            state = "still improves" if improves else "holds"
            return (
                f"By the predictions, the loss rises since {step_word(self.step_unit)} {self.step} only through "
                f"calibration ({calibration}); refinement {state} ({refined}){wrong}."
            )
        return (
            f"By the predictions, of the {number(self.total)} by which the loss rises since "
            f"{step_word(self.step_unit)} {self.step}, {number(by_calibration)} "
            f"({percent(share(by_calibration, self.total), 0)}) is calibration "
            f"({calibration}) and {number(self.by_refinement)} refinement ({refined}){wrong}."
        )

    def _say_who_pays(self, wrong: float) -> str:
        """What each kind of answer adds; where one takes off, the other adds more than all."""
        right = self.total - wrong
        if min(wrong, right) >= -5e-4 * self.total:  # nothing but rounding
            return f"wrong answers add {number(min(wrong, self.total))} of the {number(self.total)}"
        names = ("wrong answers", "right ones") if wrong > 0 else ("right answers", "wrong ones")
        return f"{names[0]} add {number(max(wrong, right))}, {names[1]} take {number(-min(wrong, right))} off"

    def _say_best(self) -> str:
        best = self.refinement.best_step
        if best == self.step or self.gain <= 0:
            return f"After recalibration {step_word(self.step_unit)} {self.step} is still the best."
        text = (
            f"After recalibration {step_word(self.step_unit)} {best} is the best: "
            f"{number(self.refinement.best_value)}, where {step_word(self.step_unit)} {self.step} has "
            f"{number(self.refinement.at_step(self.step))}"
        )
        if self.accuracy is None:
            return f"{text}."
        then, now = self.accuracy.at_step(self.step), self.accuracy.at_step(best)
        return f"{text}, and an accuracy of {percent(now)}, where that has {percent(then)}."


def split_rise(steps: PredictionSteps | None) -> RiseParts | None:
    """Split the rise of a loss over the steps of a training.

    Parameters
    ----------
    steps : PredictionSteps or None

    Returns
    -------
    RiseParts or None
        None where loss and refinement are not known at enough steps, or the loss does not rise since its best one.
    """
    if steps is None:
        return None
    loss, refinement = steps.figures.get("log_loss"), steps.figures.get("refinement_loss")
    if loss is None or refinement is None:
        return None
    known = np.isfinite(loss) & np.isfinite(refinement)
    shapes = [_shape(steps, value, known) for value in (loss, refinement)]
    if shapes[0] is None or shapes[1] is None or len(shapes[0]) < MIN_POINTS:
        return None
    accuracy, wrong = steps.figures.get("accuracy"), _carried_by_errors(steps)
    parts = RiseParts(
        step_unit=steps.step_unit,
        loss=shapes[0],
        refinement=shapes[1],
        accuracy=None if accuracy is None else _shape(steps, accuracy, known, "accuracy"),
        incorrect=None if wrong is None else _shape(steps, wrong, known),
    )
    return parts if parts.total > max(parts.loss.doubt, _MIN_RISE * parts.loss.best_value) else None


def _carried_by_errors(steps: PredictionSteps) -> FloatArray | None:
    share_of_errors, loss = steps.figures.get("loss_share_incorrect"), steps.figures["log_loss"]
    return None if share_of_errors is None else share_of_errors * loss


def _shape(
    steps: PredictionSteps, value: FloatArray, known: NDArray[np.bool_], metric: str = "log_loss"
) -> CurveShape | None:
    """Smooth one figure over the steps at which all are known; None where it is not."""
    if not np.isfinite(value[known]).all():
        return None
    return shape_of(Curve(METRICS[metric], steps.split, steps.step[known], value[known], steps.step_unit))
