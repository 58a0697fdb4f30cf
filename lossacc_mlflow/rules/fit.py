"""FIT rules that say that a model overfits: its loss, or its answers."""

from dataclasses import dataclass, field
from math import isnan
from typing import ClassVar

import numpy as np

from lossacc_mlflow.curves import Rise
from lossacc_mlflow.records import Evidence, Finding, Level, RunData
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.cost import cost_since_best, say_rise
from lossacc_mlflow.rules.observation import NEEDS_ACCURACY, NEEDS_LOSS, Observation, observe
from lossacc_mlflow.rules.trn import LateDivergence, NotLearning
from lossacc_mlflow.smoothing import CurveShape
from lossacc_mlflow.wording import number, percent

__all__ = ["AccuracyOverfitting", "LossOverfitting"]


@dataclass(frozen=True, slots=True)
class LossOverfitting(Rule):
    """The validation loss rises from a best step to the end while the train loss does not.

    How it is detected: the smoothed validation loss ends more than ``max_rise`` above its best value, by more than
    ``min_share_of_fall`` of its own fall and by more than the noise of the curve explains, at least
    ``min_points_since`` points after it; over the last third of the points since, at least 1 - ``max_recovery`` of the
    rise is still there (a rise that recovers is none); the train loss does not rise with it (that is TRN002), and the
    model had learned (TRN003).

    How much noise explains is asked of the whole run: where train and validation loss go apart (their rank
    correlation is below ``opposed_below``), ``opposed_share`` of the doubt about the best and the last level
    suffices; where they still go together (above ``agreeing_above``), it takes ``agreeing_share`` of it. A rise that
    falls short of that is left undecided, unless the two still go together, or unless it falls short of
    ``opposed_share`` too and noise could not have hidden a rise of more than ``max_hidden_rise``.

    Why it matters: from the best step on the model gets worse at saying how sure it is. Its answers need not get
    worse: whether they do is FIT002, and the case where they do not is DIS001.

    What to do: keep the weights of the best step (early stopping), or regularise; if only the labels matter, see
    whether the accuracy has suffered at all; if probabilities matter, a temperature may repair the later weights.

    References
    ----------
    L. Prechelt, "Early stopping - but when?" (1998); H. Li et al., "Keeping deep learning models in check"
    (arXiv:2401.10359) for what correlation of the two losses tells. The noise-aware form is our own.

    Parameters
    ----------
    max_rise : float
        Relative rise that is still passed over.
    min_points_since : int
        See above.
    max_recovery : float
        See above.
    opposed_below, agreeing_above : float
        Rank correlations, from -1 to 1.
    opposed_share, agreeing_share : float
        Shares of the doubt.
    max_hidden_rise : float
        Relative rise.
    min_share_of_fall : float
        Share of the fall from the upper decile of the curve to its best value; less than that is next to nothing,
        however near to zero the loss is.
    """

    code: ClassVar[str] = "FIT001"
    title: ClassVar[str] = "Loss overfitting"
    level: ClassVar[Level] = "warning"
    max_rise: float = 0.10
    min_points_since: int = 2
    max_recovery: float = 0.75
    opposed_below: float = -0.1
    agreeing_above: float = 0.3
    opposed_share: float = 0.6
    agreeing_share: float = 1.5
    min_share_of_fall: float = 0.002
    max_hidden_rise: float = 1.0
    late_divergence: LateDivergence = field(default=LateDivergence(), repr=False)
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Measure the rise of the validation loss, and ask who else rises."""
        seen = observe(run)
        validation, rise = seen.validation_loss, seen.rise
        if validation is None or rise is None:
            return self.not_applicable(NEEDS_LOSS)
        evidence = [
            Evidence("validation_rise_relative", rise.relative, self.max_rise, "fraction"),
            Evidence("validation_rise", rise.absolute, self._needed_rise(seen, validation), seen.loss_unit),
        ]
        if not (rise.relative > self.max_rise and self._is_felt(validation, rise)):
            return self.clear(f"The {seen.held_out} loss ends near its best value.", evidence)
        if self.not_learning.is_flagged(run):
            return self.clear("The model has not learned anything that it could overfit: see TRN003.", evidence)
        if rise.absolute <= self._needed_rise(seen, validation):
            return self._not_sure(seen, validation, rise, evidence)
        if not self.rises(seen, max_rise=self.max_rise):
            return self.clear(
                f"The {seen.held_out} loss rises for a while, and recovers or has only just begun.", evidence
            )
        if self.late_divergence.train_rises(seen):
            return self.clear(f"The {seen.held_out} loss rises, but so does the train loss: see TRN002.", evidence)
        known = [] if isnan(seen.agreement) else [Evidence("train_validation_correlation", seen.agreement)]
        return self.flagged(
            self._message(seen, validation, rise),
            [*evidence, *known, *cost_since_best(seen)],
            _advice(seen),
            split=seen.held_out,
            step=rise.step,
            step_interval=rise.interval,
        )

    def rises(self, seen: Observation, *, max_rise: float) -> bool:
        """Tell whether the validation loss rises to the end, by more than noise and a relative limit.

        Parameters
        ----------
        seen : Observation
        max_rise : float
            Relative rise that is still passed over.

        Returns
        -------
        bool
            False where the validation loss is not known.
        """
        validation, rise = seen.validation_loss, seen.rise
        if validation is None or rise is None:
            return False
        lasting = rise.late_low > validation.best_value + (1 - self.max_recovery) * rise.absolute
        beyond_noise = rise.absolute > self._needed_rise(seen, validation)
        late = rise.points_since >= self.min_points_since
        return rise.relative > max_rise and self._is_felt(validation, rise) and beyond_noise and lasting and late

    def _is_felt(self, validation: CurveShape, rise: Rise) -> bool:
        """Whether a rise is more than a wobble of a loss that has all but vanished.

        The fall is counted from the upper decile: a first value may be anything.
        """
        if not rise.absolute > 0:
            return False
        return rise.absolute > self.min_share_of_fall * float(
            np.quantile(validation.value, 0.9) - validation.best_value
        )

    def _needed_rise(self, seen: Observation, validation: CurveShape) -> float:
        """What noise explains, in the light of the whole run; of a NaN correlation neither comparison holds."""
        if seen.agreement < self.opposed_below:
            return self.opposed_share * validation.wide_doubt
        return (self.agreeing_share if seen.agreement > self.agreeing_above else 1.0) * validation.wide_doubt

    def _not_sure(self, seen: Observation, validation: CurveShape, rise: Rise, evidence: list[Evidence]) -> Finding:
        """Of a rise that noise explains: say that it is none, or that this cannot be said."""
        small = rise.absolute <= self.opposed_share * validation.wide_doubt
        seen_if_larger = validation.wide_doubt <= self.max_hidden_rise * abs(validation.best_value)
        if seen.agreement > self.agreeing_above or (small and seen_if_larger):
            return self.clear(f"The {seen.held_out} loss ends above its best value by what its noise makes.", evidence)
        return self.not_applicable(
            f"The {seen.held_out} loss ends {say_rise(rise)} above its best value, but its noise could "
            "explain as much.",
            evidence,
        )

    def _message(self, seen: Observation, validation: CurveShape, rise: Rise) -> str:
        text = (
            f"The {seen.held_out} loss is best at {seen.step_word} {rise.step} ({number(validation.best_value)}) and "
            f"rises by {say_rise(rise)} to {number(validation.end)}"
        )
        train = seen.train_loss
        if train is None:
            return text + "; the train loss is not known, so that late divergence cannot be ruled out."
        return text + f", while the train loss goes from {number(train.at_step(rise.step))} to {number(train.end)}."


@dataclass(frozen=True, slots=True)
class AccuracyOverfitting(Rule):
    """The validation accuracy falls from its peak to the end while training goes on.

    How it is detected: the smoothed validation accuracy ends below its peak by more than ``max_drop`` (or
    ``max_drop_relative`` of a low peak, whichever is less), by more than the noise of the curve explains, by at least
    ``min_samples`` samples where their number is known (fewer cannot be significant in an exact McNemar test), and at
    least ``min_points_since`` points after it; the train accuracy does not fall as much, the train loss does not rise
    (that is TRN002), and the model had learned (TRN003). A fall of less than ``sure_ratio`` times that limit must be
    borne out by the validation loss, where it is known: it ends more than ``min_loss_rise`` above its best, and by
    half of what noise explains. The peak of an accuracy is always a little lucky.

    Why it matters: the answers themselves have got worse, not only the probabilities.

    What to do: keep the weights of the best step, regularise, or get more data.

    Parameters
    ----------
    max_drop : float
        Fall in accuracy that is still passed over.
    max_drop_relative : float
        The same as a share of the peak.
    min_points_since : int
        Points that must follow the peak.
    min_samples : int
        See above.
    sure_ratio, min_loss_rise : float
        See above.
    """

    code: ClassVar[str] = "FIT002"
    title: ClassVar[str] = "Accuracy overfitting"
    level: ClassVar[Level] = "warning"
    max_drop: float = 0.02
    max_drop_relative: float = 0.05
    min_points_since: int = 2
    min_samples: int = 6
    sure_ratio: float = 1.5
    min_loss_rise: float = 0.03
    late_divergence: LateDivergence = field(default=LateDivergence(), repr=False)
    not_learning: NotLearning = field(default=NotLearning(), repr=False)

    def check(self, run: RunData) -> Finding:
        """Measure the fall of the validation accuracy, and ask who else falls."""
        seen = observe(run)
        quality, drop = seen.validation_quality, seen.accuracy_drop
        if quality is None or drop is None:
            return self.not_applicable(NEEDS_ACCURACY)
        of_samples = 0.0 if run.n_validation is None else (self.min_samples - 1) / run.n_validation
        limit = max(
            min(self.max_drop, self.max_drop_relative * abs(quality.best_value)), quality.wide_doubt, of_samples
        )
        evidence = [Evidence("accuracy_drop", drop, limit, "fraction")]
        train = seen.train_quality
        train_drop = 0.0 if train is None else train.at_step(quality.best_step) - train.end
        if not drop > limit or len(quality) - 1 - quality.best < self.min_points_since:
            return self.clear(f"The {seen.held_out} accuracy ends near its peak.", evidence)
        if drop <= self.sure_ratio * limit and not self._loss_agrees(seen):
            return self.clear(
                f"The {seen.held_out} accuracy ends a little below its peak, but the loss does not: noise, or luck at "
                "the peak.",
                evidence,
            )
        if train_drop > limit or self.late_divergence.train_rises(seen):
            return self.clear(
                f"The {seen.held_out} accuracy falls, but the training came apart with it: see TRN002.", evidence
            )
        if self.not_learning.is_flagged(run):
            return self.clear("The model has not learned anything that it could overfit: see TRN003.", evidence)
        return self.flagged(
            f"The {seen.held_out} {seen.quality_word} peaks at {seen.step_word} {quality.best_step} "
            f"({percent(quality.best_value)}) and falls to {percent(quality.end)}.",
            [*evidence, *cost_since_best(seen)],
            f"Keep the weights of {seen.step_word} {quality.best_step}, and regularise.",
            split=seen.held_out,
            step=quality.best_step,
            step_interval=quality.best_interval,
        )

    def _loss_agrees(self, seen: Observation) -> bool:
        """Whether the validation loss, where it is known, rises too, if only by half of what would be sure."""
        validation, rise = seen.validation_loss, seen.rise
        if validation is None or rise is None:
            return True
        return rise.relative > self.min_loss_rise and rise.absolute > validation.doubt / 2


def _advice(seen: Observation) -> str:
    step = "" if seen.rise is None else f"{seen.step_word} {seen.rise.step}"
    drop, quality = seen.accuracy_drop, seen.validation_quality
    if drop is None or quality is None:
        return f"Keep the weights of {step}, or regularise; log the accuracy too, to see whether answers got worse."
    if drop <= max(0.01, quality.doubt):
        return (
            f"If you need probabilities, keep the weights of {step} or calibrate the last ones; if only the answers "
            f"count, the last state is as good ({percent(quality.end)} against {percent(quality.best_value)} at best)."
        )
    return f"Keep the weights of {step}: the answers got worse too; then regularise, or get more data."
