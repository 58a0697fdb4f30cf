"""TRN rules that say that a training failed: non-finite values, nothing learned, or what was learned lost again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, log, sqrt
from typing import ClassVar

import numpy as np

from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule, judged_predictions
from lossacc_mlflow.rules.chance import balanced_accuracy_sd, equal_share
from lossacc_mlflow.rules.cost import cost_since_best, steps_since
from lossacc_mlflow.rules.observation import MIN_POINTS, Observation, observe
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent, step_word

__all__ = ["LateDivergence", "NonFinite", "NotLearning"]


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
        evidence = [Evidence("non_finite_values", count, self.max_points)]
        if count <= self.max_points:
            return self.clear("Every logged value is finite.", evidence)
        curve, bad = min(broken, key=lambda pair: int(pair[0].step[np.argmax(pair[1])]))
        step, last = int(curve.step[np.argmax(bad)]), int(curve.step[-1])
        at_end = any(bool(bad[-1]) for _, bad in broken)
        fate = "and it stays so to the end" if at_end else "and it recovers"
        return self.flagged(
            f"'{curve.key}' is {curve.value[np.argmax(bad)]:g} at {step_word(curve.step_unit)} {step}, the first of "
            f"{count} values that are not finite, {fate}.",
            [*evidence, Evidence("steps_since_first", last - step, None, curve.step_unit)],
            "Lower the learning rate or clip gradients, and restart from before this step."
            if at_end
            else "Look at what the batches of this step hold, clip gradients, and guard logarithms and divisions.",
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
    not known). Without an accuracy, the train log loss never falls below ``max_share_of_uniform`` of ln K; one that
    may include a penalty starts above ln K, and must also have come to rest within ``max_penalty_left`` of it, or
    hardly have fallen.

    Where the chance level is not known: the accuracy takes one and the same value in at least
    ``max_share_of_one_value`` of the steps while its median is below ``max_median``; or the train loss never falls by
    ``min_fall`` of its first value, or by twice its noise; or it falls by less than ``min_fall_flat`` while the
    accuracy never gets ``min_gain`` above where it started. Losses that are the same at every step say the same,
    whatever is known of chance.

    Where validation or test predictions are known, they have the last word: a model has learned whose balanced
    accuracy exceeds an equal share by ``min_gain`` and ``z`` standard errors, though its accuracy is below the share of
    the largest class, as that of a model with weighted classes may be. So has one whose log loss is below that of the
    class shares by ``min_skill`` of it, and by more than chance gives once in exp(``min_evidence``) times (a likelihood
    ratio of n samples above exp(``min_evidence``)).

    Why it matters: 90 % accuracy is nothing where 90 % of the samples are of one class, and no other figure of such
    a run means anything.

    What to do: check that inputs and labels belong together, change the learning rate by factors of ten, and see
    whether the model can learn ten samples by heart.

    Parameters
    ----------
    min_gain, min_gain_unknown_n, z, max_share_of_uniform, max_penalty_left : float
        See above.
    max_share_of_one_value, max_median, min_fall, min_fall_flat, min_skill, min_evidence : float
        See above.
    """

    code: ClassVar[str] = "TRN003"
    title: ClassVar[str] = "Not learning: at chance level"
    level: ClassVar[Level] = "error"
    min_gain: float = 0.02
    min_gain_unknown_n: float = 0.05
    z: float = 3.0
    max_share_of_uniform: float = 0.95
    max_penalty_left: float = 0.02
    max_share_of_one_value: float = 0.5
    max_median: float = 0.6
    min_fall: float = 0.10
    min_fall_flat: float = 0.25
    min_skill: float = 0.05
    min_evidence: float = 6.6

    def check(self, run: RunData) -> Finding:
        """Compare with the chance level where it is known, else ask whether anything moved."""
        seen = observe(run)
        found = self._check_curves(run, seen)
        return found if found.status != "flagged" or self._stands_still(seen) else self._have_learned(run) or found

    def _have_learned(self, run: RunData) -> Finding | None:
        """What the predictions say against a model at chance; None where they say nothing."""
        judged = judged_predictions(run, "balanced_accuracy")
        if judged is None:
            return None
        split, summary = judged
        equal, balanced = equal_share(summary), summary.balanced_accuracy
        limit = equal + max(self.min_gain, self.z * balanced_accuracy_sd(summary))
        by_loss = summary.skill >= self.min_skill
        by_loss = by_loss and summary.n_samples * (summary.prior_loss - summary.log_loss) >= self.min_evidence
        if not (balanced >= limit or by_loss):
            return None
        skill = [Evidence("skill", summary.skill, self.min_skill)] if isfinite(summary.skill) else []
        evidence = [Evidence("balanced_accuracy", balanced, limit, "fraction"), *skill]
        gains = [
            f"the balanced accuracy is {percent(balanced)}, where answering without looking gives {percent(equal)}"
            if balanced >= limit
            else "",
            f"the log loss is {percent(summary.skill, 0)} below that of the class shares" if by_loss else "",
        ]
        return self.clear(
            f"The {split} predictions get past chance: {', and '.join(filter(None, gains))}.", evidence, split=split
        )

    def _check_curves(self, run: RunData, seen: Observation) -> Finding:
        if self._stands_still(seen):
            level = 0.0 if seen.train_loss is None else seen.train_loss.end
            return self._at_chance(
                seen,
                f"The loss is {number(level)} at every step.",
                [Evidence("loss_range", 0.0, 0.0, seen.loss_unit)],
            )
        if seen.chance is not None and seen.accuracy is not None:
            return self._check_accuracy(seen, seen.accuracy, seen.chance, run.n_validation)
        if run.n_classes and seen.train_loss_any is not None and seen.loss_name in ("log_loss", "loss"):
            return self._check_loss(seen, seen.train_loss_any, run.n_classes)
        return self._check_movement(seen)

    def _stands_still(self, seen: Observation) -> bool:
        """Whether no loss that is known ever changes, whatever level it stands at."""
        known = [shape for shape in (seen.train_loss, seen.validation_loss) if shape is not None]
        return seen.train_loss is not None and all(shape.value.min() == shape.value.max() for shape in known)

    def _check_accuracy(
        self, seen: Observation, accuracy: CurveShape, chance: float, n_validation: int | None
    ) -> Finding:
        error = self.z * sqrt(chance * (1 - chance) / n_validation) if n_validation else self.min_gain_unknown_n
        needed = chance + max(self.min_gain, error)
        evidence = [
            Evidence("best_accuracy", accuracy.best_value, needed, "fraction"),
            Evidence("chance_level", chance, None, "fraction"),
        ]
        if accuracy.best_value >= needed:
            return self.clear(f"The accuracy gets past chance ({percent(chance)}).", evidence)
        message = (
            f"The accuracy never gets above {percent(accuracy.best_value)}, where always answering the same gives "
            f"{percent(chance)}."
        )
        train = seen.train_quality
        if train is not None and seen.quality_name == "accuracy" and train.end >= needed:
            message = f"{message[:-1]}, though the train accuracy reaches {percent(train.end)}."
        return self._at_chance(seen, message, evidence)

    def _check_loss(self, seen: Observation, train: CurveShape, n_classes: int) -> Finding:
        """Hold the train loss against ln K; one that may include a penalty must not have learned in any other way."""
        guess = log(n_classes)
        limit = self.max_share_of_uniform * guess
        evidence = [Evidence("best_train_loss", train.best_value, limit, "nats")]
        # A penalty may shrink away while nothing is learned: then the loss comes to rest at ln K.
        rests = train.best_value <= (1 + self.max_penalty_left) * guess
        if train.best_value < limit or (seen.loss_name == "loss" and self._has_fallen(train) and not rests):
            return self.clear("The train loss gets below that of guessing.", evidence)
        return self._at_chance(
            seen,
            f"The train loss never falls below {number(train.best_value)}, where guessing gives ln {n_classes} = "
            f"{number(guess)}.",
            evidence,
        )

    def _check_movement(self, seen: Observation) -> Finding:
        """Without a chance level: ask whether the accuracy moved, and whether the loss fell from its first value."""
        train, accuracy = seen.train_loss, seen.validation_quality if seen.quality_name == "accuracy" else None
        evidence = []
        if accuracy is not None:
            same, stuck_at = _most_common(accuracy)
            evidence.append(Evidence("share_of_one_accuracy", same, self.max_share_of_one_value, "fraction"))
            # A model that had left that value and fell back to it has learned, and lost what it had.
            never_left = accuracy.best_value - stuck_at < max(self.min_gain_unknown_n, accuracy.doubt)
            if same >= self.max_share_of_one_value and never_left and self._is_low(accuracy):
                return self._at_chance(
                    seen, f"The accuracy has one and the same value in {percent(same, 0)} of the steps.", evidence
                )
        if train is not None:
            fall = self._fall(train)
            evidence.append(Evidence("train_fall_relative", fall, self._needed_fall(train), "fraction"))
            if not self._has_fallen(train):
                return self._at_chance(
                    seen, f"The train loss never falls more than {percent(max(fall, 0))} below its start.", evidence
                )
            if accuracy is not None and fall < self.min_fall_flat and self._is_low(accuracy):
                start, needed = float(accuracy.value[0]), max(self.min_gain, accuracy.doubt)
                evidence.append(Evidence("accuracy_gain", accuracy.best_value - start, needed, "fraction"))
                if accuracy.best_value - start < needed:
                    return self._at_chance(
                        seen,
                        f"The {seen.held_out} accuracy never gets above where it started ({percent(start)}), and the "
                        f"train loss falls by {percent(fall)} only.",
                        evidence,
                    )
        if not evidence:
            return self.not_applicable(
                "The chance level is not known, and there are too few points to see whether anything moved. "
                "Tag the run with lossacc.n_classes, or pass --n-classes."
            )
        return self.clear("The train loss falls, or the accuracy moves.", evidence)

    def _is_low(self, accuracy: CurveShape) -> bool:
        return bool(np.median(accuracy.value) < self.max_median)

    def _fall(self, train: CurveShape) -> float:
        """Fall from the first value as it was logged: a smoothed one takes part in what follows, explosions too."""
        first = float(train.value[0])
        return (first - train.best_value) / abs(first) if first else 0.0

    def _needed_fall(self, train: CurveShape) -> float:
        """Share of the first value; more where a single value is that uncertain."""
        first = abs(float(train.value[0]))
        return max(self.min_fall, 2 * train.noise / first) if first else self.min_fall

    def _has_fallen(self, train: CurveShape) -> bool:
        return self._fall(train) >= self._needed_fall(train)

    def _at_chance(self, seen: Observation, message: str, evidence: Sequence[Evidence]) -> Finding:
        shown = next(
            (s for s in (seen.validation_loss, seen.train_loss, seen.validation_quality) if s is not None), None
        )
        begin, end = (None, None) if shown is None else (int(shown.step[0]), int(shown.step[-1]))
        wasted = [] if begin is None or end is None else [steps_since(begin, end, seen)]
        return self.flagged(
            message,
            [*evidence, *wasted],
            self._advice(seen),
            split=seen.held_out if seen.accuracy is not None else "train",
            step=begin,
            step_interval=None if begin is None else (begin, begin),
        )

    def _advice(self, seen: Observation) -> str:
        train = seen.train_loss
        if self._stands_still(seen):
            return (
                "Check that the optimiser steps (learning rate above 0, weights not frozen), and that each step logs "
                "its own loss."
            )
        if train is not None and train.value.max() > _EXPLODED * abs(float(train.value[0])):
            return "The loss explodes: divide the learning rate by ten until it falls, and clip gradients."
        if train is not None and self._fall(train) >= _LEARNED_BY_HEART:
            return (
                "It learns the training samples by heart and nothing carries over: check that the labels belong to the "
                "inputs, and that both splits come from the same data."
            )
        return (
            "Check that inputs and labels belong together, raise or lower the learning rate by factors of ten, and see "
            "whether the model can learn ten samples by heart."
        )


_EXPLODED, _LEARNED_BY_HEART = 10.0, 0.5
"""Which advice fits: how often its first value a loss has reached, and which share of it it has lost."""


def _most_common(shape: CurveShape) -> tuple[float, float]:
    """Share of the steps at which a curve has its most common value, and that value."""
    values, counts = np.unique(shape.value, return_counts=True)
    return float(counts.max() / len(shape)), float(values[counts.argmax()])


@dataclass(frozen=True, slots=True)
class LateDivergence(Rule):
    """Train and validation loss rise together after the model had learned: the optimisation came apart.

    How it is detected: the train loss ends above its minimum by more than ``min_train_rise`` of it and by more than
    noise explains, and more than ``min_lost_of_fit`` of what it gained since the best validation step is lost again
    (a wobble near zero is none of this); the train rise above that step is more than
    ``min_share_of_rise`` of the validation rise, or gives back more than ``min_given_back`` of train's own fall, or
    the train accuracy falls with it. And the validation loss ends more than ``max_rise`` above its best, or the
    accuracy ends more than ``max_accuracy_drop`` below its peak and by more than noise explains.

    Where the two losses are not both known: train and validation accuracy both end further below their peaks than
    ``max_accuracy_drop`` (``max_accuracy_drop_relative`` of low ones) and than noise explains.

    Where both accuracies hold (they end within ``max_accuracy_drop`` of their peaks, or within
    ``max_accuracy_drop_relative`` of low ones) and the train loss rises by less than ``max_train_rise_held`` of its
    minimum, the answers are as good as ever and only the probabilities got worse: that is DIS001.

    Why it matters: on the validation curve it looks like overfitting, but regularisation does not cure it: the model
    does worse on its own training data.

    What to do: lower the learning rate or decay it, clip gradients, and keep the weights of the best step.

    References
    ----------
    google-research/tuning_playbook, "Does the training loss increase late in training?"

    Parameters
    ----------
    min_train_rise, min_share_of_rise, min_given_back, min_lost_of_fit : float
        Shares, see above.
    max_rise : float
        Relative rise of the validation loss that is still passed over.
    max_accuracy_drop, max_accuracy_drop_relative : float
        Fall of an accuracy from its peak that is still passed over.
    max_train_rise_held : float
        Relative rise of the train loss that is still passed over where the accuracies hold.
    """

    code: ClassVar[str] = "TRN002"
    title: ClassVar[str] = "Late divergence"
    level: ClassVar[Level] = "error"
    min_train_rise: float = 0.10
    min_share_of_rise: float = 0.25
    min_given_back: float = 0.10
    min_lost_of_fit: float = 0.5
    max_rise: float = 0.10
    max_accuracy_drop: float = 0.02
    max_accuracy_drop_relative: float = 0.05
    max_train_rise_held: float = 0.75
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Ask whether the train loss rose, and whether validation went with it."""
        seen = observe(run)
        train, validation, rise = seen.train_loss, seen.validation_loss, seen.rise
        if train is None or validation is None or rise is None:
            return self._check_accuracies(run, seen)
        evidence = [
            Evidence("train_rise", train.end - train.best_value, self._train_limit(train)),
            Evidence("validation_rise_relative", rise.relative, self.max_rise, "fraction"),
        ]
        if self.not_learning.is_flagged(run):
            return self.clear("The model had not learned anything that could come apart: see TRN003.", evidence)
        drop, quality = seen.accuracy_drop, seen.validation_quality
        fell = drop is not None and quality is not None and drop > max(self.max_accuracy_drop, quality.doubt)
        if not (self.train_rises(seen) and (rise.relative > self.max_rise or fell)):
            return self.clear("The train loss does not climb late in the training.", evidence)
        if self.accuracy_holds(seen):
            return self.clear(
                f"Train and {seen.held_out} loss climb together, but the accuracies hold: only the probabilities got "
                "worse, see DIS001.",
                evidence,
            )
        return self.flagged(
            f"The train loss climbs from {number(train.best_value)} at {seen.step_word} {train.best_step} to "
            f"{number(train.end)}, and takes the {seen.held_out} loss along, from {number(validation.best_value)} "
            f"to {number(validation.end)}: the optimisation came apart, this is no overfitting.",
            [*evidence, *cost_since_best(seen)],
            f"Lower or decay the learning rate, clip gradients, and keep the weights of {seen.step_word} {rise.step}.",
            split="train",
            step=rise.step,
            step_interval=rise.interval,
        )

    def _check_accuracies(self, run: RunData, seen: Observation) -> Finding:
        """Without both losses: ask whether train and validation accuracy fall together."""
        train, validation = seen.train_quality, seen.validation_quality
        if train is None or validation is None:
            return self.not_applicable(
                f"Train and validation loss, or both accuracies, over at least {MIN_POINTS} steps of one training are "
                "needed."
            )
        drops = [(quality.best_value - quality.end, self._sure_limit(quality)) for quality in (train, validation)]
        evidence = [
            Evidence(name, *drop, "fraction")
            for name, drop in zip(("train_accuracy_drop", "accuracy_drop"), drops, strict=True)
        ]
        if not all(drop > limit for drop, limit in drops):
            return self.clear(f"Train and {seen.held_out} accuracy do not fall together.", evidence)
        if self.not_learning.is_flagged(run):
            return self.clear("The model had not learned anything that could come apart: see TRN003.", evidence)
        return self.flagged(
            f"The train accuracy falls from {percent(train.best_value)} at {seen.step_word} {train.best_step} to "
            f"{percent(train.end)}, and the {seen.held_out} accuracy with it, from {percent(validation.best_value)} to "
            f"{percent(validation.end)}: the optimisation came apart, this is no overfitting.",
            [*evidence, *cost_since_best(seen)],
            f"Lower or decay the learning rate, clip gradients, and keep the weights of {seen.step_word} "
            f"{validation.best_step}.",
            split="train",
            step=validation.best_step,
            step_interval=validation.best_interval,
        )

    def accuracy_holds(self, seen: Observation) -> bool:
        """Tell whether accuracies end where they peaked, while the train loss rises moderately.

        Parameters
        ----------
        seen : Observation

        Returns
        -------
        bool
            False where the validation accuracy is not known.
        """
        train = seen.train_loss
        if seen.validation_quality is None or train is None or seen.quality_name == "r2":
            return False
        if train.end - train.best_value > self.max_train_rise_held * abs(train.best_value):
            return False
        known = [quality for quality in (seen.validation_quality, seen.train_quality) if quality is not None]
        return all(q.best_value - q.end <= self._accuracy_limit(q) for q in known)

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
        train, validation, rise = seen.train_loss, seen.validation_loss, seen.rise
        if train is None or validation is None or rise is None:
            return False
        at_best, climbed = train.at_step(validation.best_step), train.end - train.best_value
        fitted = max(0.0, at_best - train.best_value)
        if climbed <= self._train_limit(train) or climbed <= self.min_lost_of_fit * fitted:
            return False
        own_fall = float(train.smooth[0]) - train.best_value
        with_validation = rise.absolute > 0 and (train.end - at_best) / rise.absolute > self.min_share_of_rise
        gives_back = own_fall > 0 and climbed / own_fall > self.min_given_back
        return with_validation or gives_back or self._train_accuracy_falls(seen)

    def _train_accuracy_falls(self, seen: Observation) -> bool:
        quality = seen.train_quality
        if quality is None:
            return False
        return quality.best_value - quality.end > self._sure_limit(quality)

    def _sure_limit(self, quality: CurveShape) -> float:
        return max(self._accuracy_limit(quality), quality.doubt)

    def _accuracy_limit(self, quality: CurveShape) -> float:
        return min(self.max_accuracy_drop, self.max_accuracy_drop_relative * abs(quality.best_value))

    def _train_limit(self, train: CurveShape) -> float:
        return max(self.min_train_rise * abs(train.best_value), train.doubt)
