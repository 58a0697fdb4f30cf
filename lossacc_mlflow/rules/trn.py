"""TRN rules: how the training went."""

from dataclasses import dataclass, field
from math import log, sqrt
from typing import ClassVar

import numpy as np

from lossacc_mlflow.curves import CurveShape, measure_oscillation, measure_rise
from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule, share
from lossacc_mlflow.rules.observation import MIN_POINTS, NEEDS_LOSS, Observation, observe
from lossacc_mlflow.wording import number, percent

__all__ = ["LateDivergence", "NonFinite", "NotLearning", "Oscillating", "StillImproving"]


@dataclass(frozen=True, slots=True)
class NonFinite(Rule):
    """A NaN or an infinity was logged.

    How it is detected: more than ``max_points`` values of a loss or accuracy curve are NaN or infinite. A value that
    was not logged at all does not count.

    Why it matters: weights are lost from that step on; what was logged before is all that the run has shown. A run
    whose last value is not finite is ``diverged``.

    What to do: lower the learning rate, clip gradients, look for log(0) or a division by zero, and go back to the
    last step before the one given here.

    Parameters
    ----------
    max_points : int
        Non-finite values that are still passed over.
    """

    code: ClassVar[str] = "TRN001"
    title: ClassVar[str] = "Values are not finite"
    level: ClassVar[Level] = "error"
    max_points: int = 0

    def check(self, run: RunData) -> Finding:
        """Find the first value that is not finite."""
        if not any(len(c) for c in run.curves):
            return self.not_applicable("No curve was logged.")
        broken = [(c, ~np.isfinite(c.value)) for c in run.curves if not np.isfinite(c.value).all()]
        count = sum(int(bad.sum()) for _, bad in broken)
        if count <= self.max_points:
            return self.clear("Every logged value is finite.", [Evidence("non_finite_values", count, self.max_points)])
        curve, bad = min(broken, key=lambda pair: int(pair[0].step[np.argmax(pair[1])]))
        step = int(curve.step[np.argmax(bad)])
        at_end = any(bool(bad[-1]) for _, bad in broken)
        fate = "and it stays so to the end" if at_end else "and it recovers"
        return self.flagged(
            f"'{curve.key}' is {curve.value[np.argmax(bad)]:g} at {curve.step_unit} {step}, the first of {count} "
            f"values that are not finite, {fate}.",
            [Evidence("non_finite_values", count, self.max_points)],
            "Lower the learning rate or clip gradients, and restart from before this step.",
            split=curve.split,
            step=step,
            step_interval=(step, step),
        )


@dataclass(frozen=True, slots=True)
class NotLearning(Rule):
    """The model does not get past chance.

    How it is detected: where the chance level is known (the share of the largest class, else one over the number of
    classes K), the best smoothed accuracy lies less than ``min_gain`` above it, or less than ``z`` standard errors
    of an accuracy over that many validation samples, whichever is more (``min_gain_unknown_n`` where their number is
    not known). Without an accuracy, the train log loss never falls below ``max_share_of_uniform`` of ln K. Where the
    chance level is not known: the accuracy takes one and the same value in at least ``max_share_of_one_value`` of the
    steps while its median is below ``max_median``, or the train loss never falls by ``min_fall`` of its first value.

    Why it matters: 90 % accuracy is nothing where 90 % of the samples are of one class, and no other figure of such
    a run means anything.

    What to do: check that inputs and labels belong together, change the learning rate by factors of ten, and see
    whether the model can learn ten samples by heart.

    Parameters
    ----------
    min_gain, min_gain_unknown_n, z, max_share_of_uniform, max_share_of_one_value, max_median, min_fall : float
        See above.
    """

    code: ClassVar[str] = "TRN003"
    title: ClassVar[str] = "Not learning: at chance level"
    level: ClassVar[Level] = "error"
    min_gain: float = 0.02
    min_gain_unknown_n: float = 0.05
    z: float = 3.0
    max_share_of_uniform: float = 0.95
    max_share_of_one_value: float = 0.5
    max_median: float = 0.6
    min_fall: float = 0.10

    def check(self, run: RunData) -> Finding:
        """Compare with the chance level where it is known, else ask whether anything moved."""
        seen = observe(run)
        if seen.chance is not None and seen.accuracy is not None:
            return self._check_accuracy(seen.accuracy, seen.chance, run.n_validation)
        if run.n_classes and seen.train_loss_any is not None and seen.loss_name in ("log_loss", "loss"):
            return self._check_loss(seen.train_loss_any, run.n_classes, penalised=seen.loss_name == "loss")
        return self._check_movement(seen)

    def _check_accuracy(self, accuracy: CurveShape, chance: float, n_validation: int | None) -> Finding:
        error = self.z * sqrt(chance * (1 - chance) / n_validation) if n_validation else self.min_gain_unknown_n
        needed = chance + max(self.min_gain, error)
        evidence = [
            Evidence("best_accuracy", accuracy.best_value, needed, "fraction"),
            Evidence("chance_level", chance, None, "fraction"),
        ]
        if accuracy.best_value < needed:
            return self._at_chance(
                f"The accuracy never gets above {percent(accuracy.best_value)}, where always answering the same gives "
                f"{percent(chance)}.",
                evidence,
            )
        return self.clear(f"The accuracy gets past chance ({percent(chance)}).", evidence)

    def _check_loss(self, train: CurveShape, n_classes: int, *, penalised: bool) -> Finding:
        """Hold the train loss against ln K; one that may include a penalty must also have failed to fall."""
        limit = self.max_share_of_uniform * log(n_classes)
        evidence = [Evidence("best_train_loss", train.best_value, limit, "nats")]
        if train.best_value >= limit and not (penalised and self._fall(train) >= self.min_fall):
            return self._at_chance(
                f"The train loss never falls below {number(train.best_value)}, where guessing gives "
                f"ln {n_classes} = {number(log(n_classes))}.",
                evidence,
            )
        return self.clear("The train loss gets below that of guessing.", evidence)

    def _check_movement(self, seen: Observation) -> Finding:
        train, accuracy = seen.train_loss, seen.validation_quality if seen.quality_name == "accuracy" else None
        evidence = []
        if accuracy is not None:
            same = float(np.unique(accuracy.value, return_counts=True)[1].max() / len(accuracy))
            evidence.append(Evidence("share_of_one_accuracy", same, self.max_share_of_one_value, "fraction"))
            if same >= self.max_share_of_one_value and np.median(accuracy.value) < self.max_median:
                return self._at_chance(
                    f"The accuracy has one and the same value in {percent(same, 0)} of the steps.", evidence
                )
        if train is not None:
            fall = self._fall(train)
            evidence.append(Evidence("train_fall_relative", fall, self.min_fall, "fraction"))
            if fall < self.min_fall:
                return self._at_chance(
                    f"The train loss never falls more than {percent(max(fall, 0))} below its start.", evidence
                )
        if not evidence:
            return self.not_applicable(
                "The chance level is not known, and there are too few points to see whether anything moved. "
                "Tag the run with lossacc.n_classes, or pass --n-classes."
            )
        return self.clear("The train loss falls, or the accuracy moves.", evidence)

    def _fall(self, train: CurveShape) -> float:
        first = float(train.smooth[0])
        return (first - train.best_value) / abs(first) if first else 0.0

    def _at_chance(self, message: str, evidence: list[Evidence]) -> Finding:
        return self.flagged(
            message,
            evidence,
            "Check that inputs and labels belong together, change the learning rate by factors of ten, and see "
            "whether the model can learn ten samples by heart.",
        )


@dataclass(frozen=True, slots=True)
class LateDivergence(Rule):
    """Train and validation loss rise together after the model had learned: the optimisation came apart.

    How it is detected: the train loss ends above its minimum by more than ``min_train_rise`` of it and by more than
    noise explains, and above its value at the best validation step; the train rise is more than
    ``min_share_of_rise`` of the validation rise, or gives back more than ``min_given_back`` of train's own fall. And
    the validation loss ends more than ``max_rise`` above its best, or the accuracy ends more than
    ``max_accuracy_drop`` below its peak and by more than noise explains.

    Why it matters: on the validation curve it looks like overfitting, but regularisation does not cure it: the model
    does worse on its own training data.

    What to do: lower the learning rate or decay it, clip gradients, and keep the weights of the best step.

    References
    ----------
    google-research/tuning_playbook, "Does the training loss increase late in training?"

    Parameters
    ----------
    min_train_rise, min_share_of_rise, min_given_back : float
        Shares, see above.
    max_rise : float
        Relative rise of the validation loss that is still passed over.
    max_accuracy_drop : float
        Fall of the validation accuracy from its peak that is still passed over.
    """

    code: ClassVar[str] = "TRN002"
    title: ClassVar[str] = "Late divergence"
    level: ClassVar[Level] = "error"
    min_train_rise: float = 0.10
    min_share_of_rise: float = 0.25
    min_given_back: float = 0.10
    max_rise: float = 0.10
    max_accuracy_drop: float = 0.02
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Ask whether the train loss rose, and whether validation went with it."""
        seen = observe(run)
        train, validation, rise = seen.train_loss, seen.validation_loss, seen.rise
        if train is None or validation is None or rise is None:
            return self.not_applicable(
                f"Train and validation loss over at least {MIN_POINTS} steps of one training are both needed."
            )
        evidence = [
            Evidence("train_rise", train.end - train.best_value, self._train_limit(train)),
            Evidence("validation_rise_relative", rise.relative, self.max_rise, "fraction"),
        ]
        drop, quality = seen.accuracy_drop, seen.validation_quality
        fell = drop is not None and quality is not None and drop > max(self.max_accuracy_drop, quality.doubt)
        if self.not_learning.check(run).status == "flagged":
            return self.clear("The model had not learned anything that could come apart: see TRN003.", evidence)
        if self.train_rises(seen) and (rise.relative > self.max_rise or fell):
            return self.flagged(
                f"The train loss climbs from {number(train.best_value)} at {seen.step_unit} {train.best_step} to "
                f"{number(train.end)}, and takes the {seen.held_out} loss along, from {number(validation.best_value)} "
                f"to {number(validation.end)}: the optimisation came apart, this is no overfitting.",
                evidence,
                "Lower or decay the learning rate, clip gradients, and keep the weights of the best step.",
                split="train",
                step=validation.best_step,
                step_interval=rise.interval,
            )
        return self.clear("The train loss does not climb late in the training.", evidence)

    def train_rises(self, seen: Observation) -> bool:
        """Tell whether the train loss rises late, by a share of the validation rise that counts.

        Parameters
        ----------
        seen : Observation

        Returns
        -------
        bool
            False where train or validation loss is not known.
        """
        train, validation = seen.train_loss, seen.validation_loss
        if train is None or validation is None:
            return False
        at_best, climbed = train.at(validation.best_step), train.end - train.best_value
        if climbed <= self._train_limit(train) or train.end <= at_best:
            return False
        rise = measure_rise(validation).absolute
        own_fall = float(train.smooth[0]) - train.best_value
        with_validation = rise > 0 and (train.end - at_best) / rise > self.min_share_of_rise
        gives_back = own_fall > 0 and climbed / own_fall > self.min_given_back
        return with_validation or gives_back

    def _train_limit(self, train: CurveShape) -> float:
        return max(self.min_train_rise * abs(train.best_value), train.doubt)


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
            f"In the second half (from {seen.step_unit} {begin}) the {seen.held_out} loss swings by {number(spread)} "
            f"around a level of {number(level)} ({percent(evidence[0].value, 0)}).",
            evidence,
            "Lower or decay the learning rate, use larger batches or average the last weights; if the train loss is "
            "smooth, validate on more samples.",
            split=seen.held_out,
            step=begin,
        )


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
        before = float(validation.smooth[min(n - 2, int((1 - self.window) * (n - 1)))])
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
            f"the steps, to {number(validation.end)} at the end: it had not settled.",
            evidence,
            "Train on: the model can still get better.",
            split=seen.held_out,
        )
