"""TRN rules about the later part of a training: does it swing, has it settled long ago, or not yet?"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from lossacc_mlflow.curves import measure_oscillation
from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule, share
from lossacc_mlflow.rules.cost import steps_since
from lossacc_mlflow.rules.observation import NEEDS_LOSS, NEEDS_LOSS_OR_ACCURACY, Observation, observe
from lossacc_mlflow.rules.trn import NotLearning
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent

__all__ = ["Oscillating", "SaturatedEarly", "StillImproving"]


@dataclass(frozen=True, slots=True)
class Oscillating(Rule):
    """The validation loss jumps up and down to the end: which step one keeps is a matter of luck.

    How it is detected: in the second half of at least ``min_points`` points, what a running median over a fifth of the
    points leaves spreads, between its 10 % and 90 % quantiles, over more than ``max_spread`` of the median loss, and
    over more than ``max_spread_of_train`` of the final train loss. Single spikes do not count.

    Why it matters: the last step is no better an estimate of the model than the one before; the best one is picked
    for its luck, and its figures are too good.

    What to do: lower or decay the learning rate, use larger batches, average the weights of the last steps, or
    validate on more samples: if the train loss is smooth, it is the validation set that is small.

    References
    ----------
    google-research/tuning_playbook, "Is there high step-to-step variance in the training or validation error late in
    training?"

    Parameters
    ----------
    min_points : int
        See above.
    max_spread : float
        Share of the median loss that is still passed over.
    max_spread_of_train : float
        Share of the final train loss that is still passed over.
    """

    code: ClassVar[str] = "TRN004"
    title: ClassVar[str] = "Unstable: the loss oscillates"
    level: ClassVar[Level] = "warning"
    min_points: int = 12
    max_spread: float = 0.25
    max_spread_of_train: float = 0.10

    def check(self, run: RunData) -> Finding:
        """Measure how far the second half swings around its own trend."""
        seen = observe(run)
        validation = seen.validation_loss
        if validation is None or len(validation) < self.min_points:
            return self.not_applicable(
                f"A validation or test loss over at least {self.min_points} steps of one training is needed."
            )
        half = len(validation) // 2
        level = float(np.median(np.abs(validation.value[half:])))
        spread = measure_oscillation(validation)
        evidence = [Evidence("spread_relative", share(spread, level), self.max_spread, "fraction")]
        if seen.train_loss is not None:
            # Of a train loss of 0 any swing is too much.
            ratio = min(spread / abs(seen.train_loss.end), 1e9) if seen.train_loss.end else 1e9
            evidence.append(Evidence("spread_over_train_loss", ratio, self.max_spread_of_train))
        if not all(e.threshold is not None and e.value > e.threshold for e in evidence):
            return self.clear(f"The {seen.held_out} loss runs smoothly in its second half.", evidence)
        begin = int(validation.step[half])
        return self.flagged(
            f"In the second half (from {seen.step_word} {begin}) the {seen.held_out} loss swings by {number(spread)} "
            f"around a level of {number(level)} ({percent(evidence[0].value, 0)}).",
            [
                *evidence,
                Evidence("spread", spread, None, seen.loss_unit),
                Evidence("median_loss", level, None, seen.loss_unit),
                Evidence("loss_given_up", validation.end - validation.best_value, None, seen.loss_unit),
            ],
            "Lower or decay the learning rate, use larger batches or average the last weights; if the train loss is "
            "smooth, validate on more samples.",
            split=seen.held_out,
            step=begin,
            step_interval=(int(validation.step[0]), begin),
        )


@dataclass(frozen=True, slots=True)
class SaturatedEarly(Rule):
    """Nothing was gained any more after the first part of the training.

    How it is detected: over at least ``min_points`` points, the smoothed validation loss comes within ``max_loss`` of
    its best value, and the accuracy within ``max_accuracy`` of its best, in the first ``first_part`` of the points,
    and both still stand there at the end. Where only one of the two is known, it decides. The model had learned
    (TRN003).

    Why it matters: three quarters of the computing time bought nothing. Either the model has reached what it can,
    or the learning rate had decayed before it could.

    What to do: stop near the step given here; or, if more is wanted of the model, give it capacity or data, or let
    the learning rate decay later.

    References
    ----------
    google-research/tuning_playbook, "Has the performance on the validation set saturated long before the final
    training step?"

    Parameters
    ----------
    min_points : int
        Points below which nothing is said.
    first_part : float
        Share of the points by which the best must have been reached.
    max_loss : float
        Relative distance from the best loss that counts as reached.
    max_accuracy : float
        The same for the accuracy, in points of one.
    """

    code: ClassVar[str] = "TRN005"
    title: ClassVar[str] = "Saturated early"
    level: ClassVar[Level] = "note"
    min_points: int = 20
    first_part: float = 0.25
    max_loss: float = 0.02
    max_accuracy: float = 0.005
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Find the step at which each curve first comes near its best, and ask whether it stays there."""
        seen = observe(run)
        known = [
            (curve, margin)
            for curve, margin in ((seen.validation_loss, self._loss_margin), (seen.validation_quality, self._margin))
            if curve is not None and len(curve) >= self.min_points
        ]
        if not known:
            return self.not_applicable(f"{NEEDS_LOSS_OR_ACCURACY} At least {self.min_points} of them.")
        reached = [(shape, _first_within(shape, margin(shape)), margin(shape)) for shape, margin in known]
        shape, at, margin = max(reached, key=lambda item: item[1] / (len(item[0]) - 1))
        part = at / (len(shape) - 1)
        evidence = [
            Evidence("share_of_run_to_saturation", part, self.first_part, "fraction"),
            *(Evidence(f"{name}_given_up", value, limit, unit) for name, value, limit, unit in self._ends(seen)),
        ]
        moved = any(e.threshold is not None and e.value > e.threshold for e in evidence[1:])
        if part > self.first_part or moved:
            return self.clear("The model was still changing after the first part of the training.", evidence)
        if self.not_learning.is_flagged(run):
            return self.clear("The model has not learned anything: see TRN003.", evidence)
        step, last = int(shape.step[at]), int(shape.step[-1])
        return self.flagged(
            f"After {seen.step_word} {step} nothing was gained any more: {self._words(seen)}; the "
            f"{last - step} steps since were {percent(1 - part, 0)} of the run.",
            [*evidence, steps_since(step, last, seen)],
            f"Stop near {seen.step_word} {step} next time; for a better model change its size, its data or its "
            "learning rate instead.",
            split=seen.held_out,
            step=step,
            step_interval=_interval(shape, margin),
        )

    def _loss_margin(self, shape: CurveShape) -> float:
        return self.max_loss * abs(shape.best_value)

    def _margin(self, _: CurveShape) -> float:
        return self.max_accuracy

    def _ends(self, seen: Observation) -> list[tuple[str, float, float, str]]:
        """How far loss and accuracy end from their best, with the distance that is passed over."""
        ends = []
        loss, quality = seen.validation_loss, seen.validation_quality
        if loss is not None:
            ends.append(("loss", loss.end - loss.best_value, self._loss_margin(loss), seen.loss_unit))
        if quality is not None:
            ends.append((seen.quality_name, quality.best_value - quality.end, self.max_accuracy, "fraction"))
        return ends

    def _words(self, seen: Observation) -> str:
        loss, quality = seen.validation_loss, seen.validation_quality
        words = []
        if loss is not None:
            words.append(
                f"the {seen.held_out} loss stays within {percent(self.max_loss, 0)} of {number(loss.best_value)}"
            )
        if quality is not None:
            words.append(f"the {seen.quality_word} near {percent(quality.best_value)}")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class StillImproving(Rule):
    """The validation loss was still falling when training stopped.

    How it is detected: the best smoothed validation loss lies in the last ``last_part`` of the points, and the smoothed
    loss fell over the last ``window`` of them by more than ``min_fall`` of its level, and by more than noise explains.

    Why it matters: it is no fault, but the model is not what it could be; a comparison with models that were trained to
    their end is unfair to it.

    What to do: train on, or raise the learning rate.

    References
    ----------
    google-research/tuning_playbook, "Is the best trial still improving at the final training step?"

    Parameters
    ----------
    last_part : float
        Share of the points at the end that must hold the best one.
    window : float
        Share of the points over which the fall is measured.
    min_fall : float
        Relative fall that is still passed over.
    """

    code: ClassVar[str] = "TRN006"
    title: ClassVar[str] = "Still improving at the end"
    level: ClassVar[Level] = "note"
    last_part: float = 0.1
    window: float = 0.2
    min_fall: float = 0.01

    def check(self, run: RunData) -> Finding:
        """Ask where the best step lies, and how much the last part of the training has paid."""
        seen = observe(run)
        validation = seen.validation_loss
        if validation is None:
            return self.not_applicable(NEEDS_LOSS)
        n = len(validation)
        before = validation.before_last(self.window)
        fall = before - validation.best_value
        evidence = [
            Evidence("fall_at_the_end_relative", share(fall, abs(before)), self.min_fall, "fraction"),
            Evidence("fall_at_the_end", fall, validation.doubt, seen.loss_unit),
        ]
        late = validation.best >= (1 - self.last_part) * (n - 1)
        if not (late and all(e.threshold is not None and e.value > e.threshold for e in evidence)):
            return self.clear(f"The {seen.held_out} loss had stopped falling.", evidence)
        return self.flagged(
            f"The {seen.held_out} loss fell by {percent(evidence[0].value)} over the last {percent(self.window, 0)} of "
            f"the steps, to {number(float(validation.value[-1]))}: it had not settled.",
            evidence,
            "Train on: the model can still get better.",
            split=seen.held_out,
            step=int(validation.step[-1]),
            step_interval=(int(validation.step[-1]), int(validation.step[-1])),
        )


def _first_within(shape: CurveShape, margin: float) -> int:
    """Index of the first smoothed value that lies within a margin of the best."""
    return int(np.argmax(np.abs(shape.smooth - shape.best_value) <= margin))


def _interval(shape: CurveShape, margin: float) -> tuple[int, int]:
    """Steps between which the margin was first reached, as far as the noise of the smoothed curve lets one tell."""
    first = _first_within(shape, margin + 2 * shape.level_noise)
    return int(shape.step[first]), int(shape.step[_first_within(shape, max(0.0, margin - 2 * shape.level_noise))])
