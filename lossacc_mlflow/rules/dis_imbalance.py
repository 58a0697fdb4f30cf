"""DIS007: an accuracy that always giving the commonest answer would reach."""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import ClassVar

from lossacc_mlflow.curves import held_out_split
from lossacc_mlflow.records import Evidence, Finding, Level, PredictionSummary, RunData, Split
from lossacc_mlflow.rules.base import Rule, judged_predictions
from lossacc_mlflow.rules.chance import balanced_accuracy_sd, equal_share
from lossacc_mlflow.rules.observation import observe
from lossacc_mlflow.wording import number, percent, quote

__all__ = ["MajorityAccuracy"]

_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class MajorityAccuracy(Rule):
    """The accuracy is the share of the largest class: always giving its name would be as good.

    How it is detected: the classes are unequal (the largest has ``min_imbalance`` more than an equal share), the
    accuracy exceeds its share by no more than ``z`` standard deviations of what chance does with the answers that name
    another class, and the balanced accuracy exceeds an equal share by no more than ``min_gain`` and ``z`` of its own.
    A model that finds samples of small classes is better than that, also where its accuracy is the same.

    Without predictions: the accuracy ends within ``z`` standard deviations of the share of the largest class
    (``near`` where the number of samples is not known), which must be known (tag ``lossacc.class_counts``), and gains
    no more than ``max_gain_share`` of what is left to gain; a balanced accuracy, where it was logged, must be near an
    equal share too.

    Why it matters: 90 % accuracy is nothing where 90 % of the samples are apples.

    What to do: look at balanced accuracy, recall and loss by class. Weight or resample the classes, move the threshold,
    or train longer: at first most models learn the class shares and nothing else. Where the probabilities beat the
    class shares (skill above 0), a threshold is all that is wrong.

    Parameters
    ----------
    min_imbalance : float
        Share of the largest class above an equal share.
    z : float
        Standard deviations.
    min_gain : float
        Gain in balanced accuracy that is still none.
    near : float
        Distance from the share of the largest class.
    max_gain_share : float
        Share of the samples outside the largest class that may be gained.
    """

    code: ClassVar[str] = "DIS007"
    title: ClassVar[str] = "Accuracy is the majority share"
    level: ClassVar[Level] = "warning"
    min_imbalance: float = 0.10
    z: float = 3.0
    min_gain: float = 0.02
    near: float = 0.005
    max_gain_share: float = 0.05

    def check(self, run: RunData) -> Finding:
        """Hold the accuracy against the share of the largest class."""
        judged = judged_predictions(run, "accuracy", "majority_accuracy", "balanced_accuracy")
        return self._check_curves(run) if judged is None else self._check_predictions(*judged)

    def _check_predictions(self, split: Split, summary: PredictionSummary) -> Finding:
        accuracy, majority, balanced = summary.accuracy, summary.majority_accuracy, summary.balanced_accuracy
        equal = equal_share(summary)
        limit = majority + self.z * _accuracy_sd(summary)
        balanced_limit = equal + max(self.min_gain, self.z * balanced_accuracy_sd(summary))
        evidence = [
            Evidence("majority_accuracy", majority, equal + self.min_imbalance, "fraction"),
            Evidence("accuracy", accuracy, limit, "fraction"),
            Evidence("balanced_accuracy", balanced, balanced_limit, "fraction"),
            *([Evidence("skill", summary.skill)] if isfinite(summary.skill) else []),
        ]
        if majority < equal + self.min_imbalance or majority == 1:
            return self.clear(f"The largest class has {percent(majority)} of the samples.", evidence, split=split)
        if accuracy > limit or balanced > balanced_limit:
            return self.clear(
                f"The accuracy of {percent(accuracy)} (balanced {percent(balanced)}) is more than the class shares "
                f"give: {percent(majority)} (balanced {percent(equal)}).",
                evidence,
                split=split,
            )
        return self.flagged(
            f"The {split} accuracy of {percent(accuracy)} is the share of the largest class, {percent(majority)}: the "
            f"balanced accuracy is {percent(balanced)}, where answering without looking gives {percent(equal)}"
            f"{_never_answered(summary)}.{_say_skill(summary)}",
            evidence,
            "Judge by balanced accuracy and by the loss of each class; weight the classes, move the threshold, or "
            "train longer.",
            split=split,
        )

    def _check_curves(self, run: RunData) -> Finding:
        majority, equal = _majority(run), None if not run.n_classes else 1 / run.n_classes
        seen = observe(run)
        shape = seen.validation_accuracy_any
        if majority is None or shape is None:
            return self.not_applicable(
                "Predictions, or an accuracy and the share of the largest class (tag lossacc.class_counts), of "
                "validation or test data are needed."
            )
        if equal is None:
            equal = 1 / len(run.class_counts) if run.class_counts else 0.5
        accuracy, n = shape.end, run.n_validation
        spread = self.near if not n else max(self.near, self.z * sqrt(majority * (1 - majority) / n))
        limit = majority + min(spread, max(self.near, self.max_gain_share * (1 - majority)))
        balanced = next((c for c in run.curves if c.metric.name == "balanced_accuracy" and len(c)), None)
        last_balanced = None if balanced is None or balanced.split != seen.held_out else float(balanced.value[-1])
        evidence = [
            Evidence("majority_accuracy", majority, equal + self.min_imbalance, "fraction"),
            Evidence("accuracy", accuracy, limit, "fraction"),
        ]
        if last_balanced is not None:
            evidence.append(Evidence("balanced_accuracy", last_balanced, equal + self.min_gain, "fraction"))
        split = held_out_split(run)
        if majority < equal + self.min_imbalance or majority >= 1:
            return self.clear(f"The largest class has {percent(majority)} of the samples.", evidence, split=split)
        away = accuracy > limit or accuracy < majority - spread
        if away or (last_balanced is not None and last_balanced > equal + self.min_gain):
            return self.clear(
                f"The accuracy of {percent(accuracy)} is not the share of the largest class, {percent(majority)}.",
                evidence,
                split=split,
            )
        return self.flagged(
            f"The {split} accuracy ends at {percent(accuracy)}, and the largest class has {percent(majority)} of the "
            "samples: always giving its name would be as good.",
            evidence,
            "Log the predictions, or the balanced accuracy, to see whether any other class is found.",
            split=split,
        )


def _accuracy_sd(summary: PredictionSummary) -> float:
    """Standard deviation of the gain over the largest class, from the answers that name another class."""
    if not summary.classes:
        return sqrt(summary.majority_accuracy * (1 - summary.majority_accuracy) / summary.n_samples)
    largest = max(summary.classes, key=lambda c: c.n_samples)
    return sqrt(summary.n_samples - largest.n_predicted) / summary.n_samples


def _never_answered(summary: PredictionSummary) -> str:
    never = [c.label for c in summary.classes if c.n_samples and not c.n_predicted]
    if not never:
        return ""
    named = ", ".join(quote(label) for label in never[:_MAX_NAMED])
    more = f" and {len(never) - _MAX_NAMED} more" if len(never) > _MAX_NAMED else ""
    return f", and {named}{more} {'is' if len(never) == 1 else 'are'} never answered"


def _say_skill(summary: PredictionSummary) -> str:
    if not isfinite(summary.skill):
        return ""
    prior = number(summary.prior_loss)
    if summary.skill > 0.05:
        return (
            f" The probabilities know more: their loss of {number(summary.log_loss)} is {percent(summary.skill, 0)} "
            f"below the {prior} of the class shares, so another threshold may do."
        )
    return f" The loss of {number(summary.log_loss)} is no better than that of the class shares, {prior}."


def _majority(run: RunData) -> float | None:
    """Share of the largest class, where it is known."""
    if run.majority_accuracy is not None:
        return run.majority_accuracy
    if run.class_counts and sum(run.class_counts.values()):
        return max(run.class_counts.values()) / sum(run.class_counts.values())
    return None
