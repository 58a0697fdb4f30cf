"""FIT004: a model that does no better than what needs no training, or hardly any."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from lossacc_mlflow.records import Evidence, Finding, Level, RunData, Split
from lossacc_mlflow.rules.base import JUDGED_SPLITS, Rule, judged_predictions
from lossacc_mlflow.rules.observation import Observation, observe
from lossacc_mlflow.wording import number, percent

__all__ = ["NoBetterThanBaseline"]


@dataclass(frozen=True, slots=True)
class _Contest:
    """One figure of a model against that of a baseline."""

    evidence: Evidence
    beaten: bool
    beaten_on_train: bool | None
    """None where it is not known."""
    words: str


@dataclass(frozen=True, slots=True)
class NoBetterThanBaseline(Rule):
    """The model does no better on new data than a baseline that needs no training, or hardly any.

    How it is detected: a baseline is logged with the run, as a metric or tag (``baseline_loss``,
    ``baseline_accuracy``; tags carry the prefix ``lossacc.``): the figure of a constant answer, of yesterday's value,
    of a linear model, or of the model in use. The best smoothed validation accuracy does not exceed its baseline by
    more than ``min_gain``, or the best validation loss does not fall below its own by more than ``min_gain_loss`` of
    it. Where both are known, both must fail.

    Where no baseline was logged, the constant answer is one: of predicted probabilities the class shares (accuracy at
    most the share of the largest class, and a log loss no lower than their entropy), of predicted numbers the mean
    target (R² at most ``min_gain``), which the best R² of a course is held against too.

    Why it matters: a falling loss says that something was learned, and nothing about whether it was worth it. Of two
    models as good as each other the simpler one is better.

    What to do: if the train figures do not beat the baseline either, the model is too simple, too strongly
    regularised, or was trained too little or at the wrong learning rate: it underfits. If they do, what it has
    learned does not carry over to new data: regularise, or get more of it.

    Parameters
    ----------
    min_gain : float
        Gain in accuracy (or R²) that is still no gain.
    min_gain_loss : float
        Relative fall below the baseline's loss that is still no gain.
    """

    code: ClassVar[str] = "FIT004"
    title: ClassVar[str] = "Underfitting: no better than a baseline"
    level: ClassVar[Level] = "warning"
    min_gain: float = 0.0
    min_gain_loss: float = 0.0

    def check(self, run: RunData) -> Finding:
        """Hold the figures against those of the baseline, a constant answer where none is given."""
        seen = observe(run)
        split, loss = seen.held_out, seen.validation_loss_any
        contests = list(self._against_given(run, seen))
        opening = "At its best, "
        if not contests:
            split, contests = self._against_constant(run, seen)
            opening, loss = "", None
        if not contests:
            return self.not_applicable(
                "No baseline is known: log what a simple rule reaches as baseline_accuracy or baseline_loss, or log "
                "the predictions, for which a constant answer is one."
            )
        evidence = [c.evidence for c in contests]
        if any(c.beaten for c in contests):
            return self.clear("The model beats its baseline.", evidence)
        text = " and ".join(c.words for c in contests)
        on_train = [c.beaten_on_train for c in contests if c.beaten_on_train is not None]
        return self.flagged(
            f"{opening}{text if opening else text[0].upper() + text[1:]}.",
            evidence,
            _advice(on_train),
            split=split,
            step=None if loss is None else loss.best_step,
            step_interval=None if loss is None else loss.best_interval,
        )

    def _against_given(self, run: RunData, seen: Observation) -> Iterator[_Contest]:
        accuracy, train_accuracy = seen.validation_accuracy_any, seen.train_quality_final
        if run.baseline_accuracy is not None and accuracy is not None:
            needed = run.baseline_accuracy + self.min_gain
            yield _Contest(
                Evidence("best_accuracy", accuracy.best_value, needed, "fraction"),
                accuracy.best_value > needed,
                train_accuracy is not None and train_accuracy > needed,
                f"the accuracy is {percent(accuracy.best_value)}, the baseline's {percent(run.baseline_accuracy)}",
            )
        loss, train_loss = seen.validation_loss_any, seen.train_loss_final
        if run.baseline_loss is not None and loss is not None:
            needed = run.baseline_loss - self.min_gain_loss * abs(run.baseline_loss)
            yield _Contest(
                Evidence("best_loss", loss.best_value, needed, seen.loss_unit),
                loss.best_value < needed,
                train_loss is not None and train_loss < needed,
                f"the {seen.held_out} loss is {number(loss.best_value)}, the baseline's {number(run.baseline_loss)}",
            )

    def _against_constant(self, run: RunData, seen: Observation) -> tuple[Split, list[_Contest]]:
        """Against the class shares, or the mean target, of the very samples that were predicted."""
        judged = judged_predictions(run, "accuracy", "majority_accuracy", "log_loss", "prior_loss")
        if judged is not None:
            split, summary = judged
            majority, prior = summary.majority_accuracy + self.min_gain, summary.prior_loss * (1 - self.min_gain_loss)
            # Of one class the constant answer is perfect, and nobody needs a model.
            if not summary.prior_loss > 0:
                return split, []
            return split, [
                _Contest(
                    Evidence("accuracy", summary.accuracy, majority, "fraction"),
                    summary.accuracy > majority,
                    None,
                    f"the {split} accuracy is {percent(summary.accuracy)}, that of always naming the largest class "
                    f"{percent(summary.majority_accuracy)}",
                ),
                _Contest(
                    Evidence("log_loss", summary.log_loss, prior, "nats"),
                    summary.log_loss < prior,
                    None,
                    f"the loss is {number(summary.log_loss)}, that of the class shares {number(summary.prior_loss)}",
                ),
            ]
        for split in JUDGED_SPLITS:
            regression = run.regressions.get(split)
            if regression is not None and isfinite(regression.r2):
                return split, [self._against_mean(f"{split} R²", regression.r2, None)]
        quality, train = seen.validation_quality, seen.train_quality_final
        if quality is not None and seen.quality_name == "r2":
            words = f"best {seen.held_out} R²"
            on_train = None if train is None else train > self.min_gain
            return seen.held_out, [self._against_mean(words, quality.best_value, on_train)]
        return seen.held_out, []

    def _against_mean(self, name: str, r2: float, on_train: bool | None) -> _Contest:
        return _Contest(
            Evidence("r2", r2, self.min_gain),
            r2 > self.min_gain,
            on_train,
            f"the {name} is {number(r2)}: predicting the mean of the target for every sample would be no worse",
        )


def _advice(on_train: list[bool]) -> str:
    if not on_train:
        return (
            "If it does beat it on its training data, regularise or get more of it; if not, use a larger model, weaker "
            "regularisation, other inputs, or train longer."
        )
    if any(on_train):
        return "What it has learned does not carry over to new data: regularise, or get more of it."
    return (
        "It does not beat it on its training data either: use a larger model, weaker regularisation, other inputs, or "
        "train longer."
    )
