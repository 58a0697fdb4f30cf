"""FIT rules about the level that a run ends at: beside train, beside its own best."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule, share
from lossacc_mlflow.rules.cost import cost_since_best, say_rise
from lossacc_mlflow.rules.fit import LossOverfitting
from lossacc_mlflow.rules.observation import NEEDS_LOSS, Observation, observe
from lossacc_mlflow.rules.trn import LateDivergence, NotLearning
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent

__all__ = ["GeneralizationGap", "TrainedPastBest"]


@dataclass(frozen=True, slots=True)
class GeneralizationGap(Rule):
    """The model does much better on its training data, though the validation loss does not rise.

    How it is detected: the validation loss ends at least ``min_ratio`` times the train loss. Where both were logged
    over at least ``min_points`` steps, the train loss must also have fallen by ``min_fall`` since the validation loss
    first came within ``near`` of its minimum, within the first ``before`` of the run: training that no longer paid.
    A rise is FIT001, a late divergence TRN002, a model at chance TRN003; then this rule is clear.

    Why it matters: a gap alone is no fault (every good model has one, a random forest a wide one); it says that the
    training figures are no estimate of what the model can do, and that more data or regularisation may pay.

    What to do: choose models by validation figures; try more regularisation or more data, and see whether the
    validation loss falls.

    Parameters
    ----------
    min_ratio, near, min_fall, before : float
        See above.
    min_points : int
        Steps from which on the course of the curves is looked at.
    """

    code: ClassVar[str] = "FIT003"
    title: ClassVar[str] = "Generalization gap without a rise"
    level: ClassVar[Level] = "note"
    min_ratio: float = 1.5
    near: float = 0.05
    min_fall: float = 1 / 3
    before: float = 0.75
    min_points: int = 12
    loss_overfitting: LossOverfitting = field(default=LossOverfitting(), repr=False)
    late_divergence: LateDivergence = field(default=LateDivergence(), repr=False)
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Compare the losses at the end, and what the last part of the training paid."""
        seen = observe(run)
        train_end, validation_end = seen.train_loss_final, seen.validation_loss_final
        if train_end is None or validation_end is None or train_end < 0:
            return self.not_applicable("Train and validation loss are both needed, and must not be negative.")
        evidence = [
            Evidence("validation_over_train_loss", share(validation_end, train_end), self.min_ratio),
            Evidence("generalization_gap_loss", validation_end - train_end, None, seen.loss_unit),
        ]
        if seen.train_quality_final is not None and seen.validation_quality_final is not None:
            gap = seen.train_quality_final - seen.validation_quality_final
            evidence.append(Evidence("generalization_gap_accuracy", gap, None, "fraction"))
        if not validation_end >= self.min_ratio * train_end or validation_end <= 0:
            return self.clear(f"Train and {seen.held_out} loss end close to each other.", evidence)
        if any(rule.is_flagged(run) for rule in (self.loss_overfitting, self.late_divergence)):
            return self.clear(f"The {seen.held_out} loss rises: see FIT001 and TRN002.", evidence)
        if self.not_learning.is_flagged(run):
            return self.clear("The model has learned nothing that could generalise: see TRN003.", evidence)
        train, validation = seen.train_loss, seen.validation_loss
        if train is not None and validation is not None and len(validation) >= self.min_points:
            since = self._no_longer_paid(train, validation)
            if since is None:
                return self.clear(
                    f"The gap is wide, but the {seen.held_out} loss improved along with training.", evidence
                )
            return self._gap(seen, evidence, f", and has hardly improved since {seen.step_word} {since}", since)
        return self._gap(seen, evidence, "", None)

    def _gap(self, seen: Observation, evidence: list[Evidence], since: str, step: int | None) -> Finding:
        loss = f"The {seen.held_out} loss ({number(seen.validation_loss_final)})"
        times = f"{loss} is {evidence[0].value:.1f} times the train loss ({number(seen.train_loss_final)}){since}."
        return self.flagged(
            times if seen.train_loss_final else f"The train loss is 0. {loss} is not{since}.",
            evidence,
            f"No fault by itself: judge the model by its {seen.held_out} figures, and see whether regularisation or "
            f"more data lowers the {seen.held_out} loss.",
            split=seen.held_out,
            step=step,
            step_interval=None if step is None else (step, step),
        )

    def _no_longer_paid(self, train: CurveShape, validation: CurveShape) -> int | None:
        """The step since which train fell by a third and validation by almost nothing; None if there is none."""
        low = validation.best_value
        first = int(np.argmax(validation.smooth <= low + self.near * abs(low)))
        step = int(validation.step[first])
        fallen = train.at_step(step) - train.end >= self.min_fall * abs(train.at_step(step))
        return step if fallen and first <= self.before * (len(validation) - 1) else None


@dataclass(frozen=True, slots=True)
class TrainedPastBest(Rule):
    """Training went on well past the best step, and its last state is the worse one.

    How it is detected: at least ``min_share`` of the steps, and at least ``min_points_since`` points, come after the
    best smoothed validation loss, and the last level is worse than it by more than ``max_loss`` of it and by more
    than noise explains. The model had learned (TRN003).

    Why it matters: who takes the last weights takes a worse model, and the steps since were paid for nothing.

    What to do: restore the weights of the best step; stop early with a patience shorter than the steps wasted here.

    Parameters
    ----------
    min_share : float
        Share of the steps after the best one.
    min_points_since : int
        Points after the best one.
    max_loss : float
        Relative loss given up that is still passed over.
    """

    code: ClassVar[str] = "FIT005"
    title: ClassVar[str] = "Trained past the best step"
    level: ClassVar[Level] = "note"
    min_share: float = 0.2
    min_points_since: int = 3
    max_loss: float = 0.02
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Count the steps since the best one, and what they cost."""
        seen = observe(run)
        validation, rise = seen.validation_loss, seen.rise
        if validation is None or rise is None:
            return self.not_applicable(NEEDS_LOSS)
        first, last = int(validation.step[0]), int(validation.step[-1])
        wasted = last - rise.step
        evidence = [
            Evidence("share_of_steps_since_best", share(wasted, last - first), self.min_share, "fraction"),
            Evidence("loss_given_up_relative", rise.relative, self.max_loss, "fraction"),
        ]
        late = wasted >= self.min_share * (last - first) and rise.points_since >= self.min_points_since
        if not (late and rise.relative > self.max_loss and rise.absolute > validation.doubt):
            return self.clear("The last state is about as good as the best one.", evidence)
        if self.not_learning.is_flagged(run):
            return self.clear("Nothing was learned that could be lost again: see TRN003.", evidence)
        return self.flagged(
            f"The best {seen.step_word} was {rise.step}; the {wasted} steps since "
            f"({percent(wasted / (last - first), 0)} of the run) made the {seen.held_out} loss "
            f"{say_rise(rise)} worse.",
            [*evidence, *cost_since_best(seen)],
            f"Restore the weights of {seen.step_word} {rise.step}, or stop early.",
            split=seen.held_out,
            step=rise.step,
            step_interval=rise.interval,
        )
