"""DIS rules about single samples: few that carry the loss, labels that may be wrong, logarithms that are clipped."""

from dataclasses import dataclass
from math import isfinite, isnan
from typing import ClassVar

from lossacc_mlflow.records import Evidence, Finding, Level, PredictionSummary, RunData
from lossacc_mlflow.rules.base import NEEDS_PREDICTIONS, Rule, judged_predictions
from lossacc_mlflow.rules.chance import equal_share
from lossacc_mlflow.wording import number, percent

__all__ = ["FewHugeErrors", "LossHangsOnClip", "SuspectedLabelErrors"]


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
        judged = judged_predictions(run, "log_loss")
        if judged is None:
            return self.not_applicable(NEEDS_PREDICTIONS)
        split, summary = judged
        huge, n = summary.n_huge_errors, summary.n_samples
        carried = 0.0 if huge == 0 and isnan(summary.loss_share_huge_errors) else summary.loss_share_huge_errors
        evidence = [
            Evidence("n_huge_errors", huge, self.min_count, "samples"),
            Evidence("fraction_of_samples", huge / n, self.max_fraction, "fraction"),
            Evidence("loss_share_huge_errors", carried, self.min_share, "fraction"),
        ]
        what = f"less than 1 in {n * max(1, summary.n_classes - 1):,} for its true class"
        few = self.min_count <= huge <= self.max_fraction * n
        if not (few and carried >= self.min_share):
            return self.clear(
                f"No handful of samples carries the loss: {huge:,} of {n:,} got {what}, and carry "
                f"{percent(carried, 0)} of it.",
                evidence,
                split=split,
            )
        return self.flagged(
            f"{huge:,} of {n:,} {split} samples ({percent(huge / n)}) carry {percent(carried, 0)} of the loss, "
            f"{number(carried * summary.log_loss)} of {number(summary.log_loss)}: each got {what}, where a calibrated "
            "model has at most one such sample.",
            evidence,
            "Look at them in worst_predictions.csv: wrong labels, another kind of input, or a model that is too sure.",
            split=split,
        )


@dataclass(frozen=True, slots=True)
class SuspectedLabelErrors(Rule):
    """Samples whose label is probably wrong carry a large part of the loss.

    How it is detected: confident learning (cleanlab) suspects the labels of at least ``min_count`` samples and of at
    most ``max_fraction`` of all, and they carry at least ``min_share`` of the loss. Where more are suspected, the model
    is the likelier culprit. So it is where fewer than ``min_sure_count`` of the suspected are among the surer half of
    the answers (``min_count`` will do where they are ``enough_sure`` of all wrong answers), or where these are less
    than ``min_sure`` of all wrong answers: a label goes wrong whether or not the
    model is sure, while its own mistakes are seldom those that it is surest of. And the model must have learned: its
    balanced accuracy gains at least ``min_gain`` of what an equal share leaves.

    What to expect of it: of 220 scikit-learn models of generated data and small public sets whose labels were right,
    9 were flagged, 6 of them single decision trees. With one label in 20 replaced at random it flags 4 in 10; 8 in 10
    where at least half of the suspected labels were replaced ones, as with a model that makes few mistakes of its own.
    Of four public test sets (20 Newsgroups, IMDB, MNIST, CIFAR-10 by a wide residual network) none is flagged, and
    each is once one label in 20 is replaced. A model with many errors of its own cannot tell.

    Why it matters: the model is charged for answers that may be right. Loss and accuracy are then a statement about the
    labels, and the loss more so: a sure answer against a wrong label is the most expensive sample there is.

    What to do: look at the suspected samples (worst_predictions.csv), correct the labels that are wrong, and evaluate
    again. It is a suspicion: a wrong answer that is given with confidence looks the same, so do not drop samples
    unseen.

    References
    ----------
    C. Northcutt, L. Jiang and I. Chuang, "Confident learning" (2021), arXiv:1911.00068; C. Northcutt, A. Athalye and
    J. Mueller, "Pervasive label errors in test sets" (2021), arXiv:2103.14749.

    Parameters
    ----------
    min_count : int
        Least number of suspected samples.
    max_fraction : float
        Largest share of all samples.
    min_share : float
        Least share of the loss.
    min_sure_count : int
        Least number of suspected samples among the surer half of the answers.
    min_sure : float
        Least share of them in all wrong answers.
    enough_sure : float
        Share of them in all wrong answers from which on ``min_count`` of them are enough.
    min_gain : float
        Balanced accuracy above an equal share, as a share of what is left to gain.
    """

    code: ClassVar[str] = "DIS008"
    title: ClassVar[str] = "Suspected label errors"
    level: ClassVar[Level] = "warning"
    min_count: int = 5
    max_fraction: float = 0.20
    min_share: float = 0.10
    min_sure_count: int = 10
    min_sure: float = 0.20
    enough_sure: float = 0.50
    min_gain: float = 0.70

    def check(self, run: RunData) -> Finding:
        """Ask how many labels are suspected, and what their samples carry."""
        judged = judged_predictions(run, "n_label_issues", "loss_share_label_issues", "log_loss")
        if judged is None:
            return self.not_applicable(
                "Nobody has looked for label errors: install lossacc-mlflow[cleanlab], and log the predictions of the "
                "validation or test split with lossacc_mlflow.log_predictions."
            )
        split, summary = judged
        count, n = summary.n_label_issues or 0, summary.n_samples
        carried = summary.loss_share_label_issues or 0.0
        evidence = [
            Evidence("n_label_issues", count, self.min_count, "samples"),
            Evidence("fraction_of_samples", count / n, self.max_fraction, "fraction"),
            Evidence("loss_share_label_issues", carried, self.min_share, "fraction"),
        ]
        gain, n_sure = _gain(summary), summary.n_sure_label_issues
        wrong = max(1, round((1 - summary.accuracy) * n))
        is_many = n_sure is not None and n_sure >= self.enough_sure * wrong
        least = self.min_count if is_many else self.min_sure_count
        if n_sure is not None:
            evidence += [
                Evidence("n_sure_label_issues", n_sure, least, "samples"),
                Evidence("sure_label_issues", n_sure / wrong, self.min_sure, "fraction"),
            ]
        evidence += [
            Evidence("gain_in_balanced_accuracy", gain, self.min_gain, "fraction"),
        ]
        suspected = f"The labels of {count:,} of {n:,} {split} samples ({percent(count / n)}) are suspected"
        cost = f"{percent(carried, 0)} of the loss, {number(carried * summary.log_loss)} of {number(summary.log_loss)}"
        if count > self.max_fraction * n:
            return self.clear(f"{suspected}: of so many the model is the likelier culprit.", evidence, split=split)
        if count < self.min_count or not carried >= self.min_share:
            return self.clear(f"{suspected}; they carry {cost}.", evidence, split=split)
        if gain < self.min_gain:
            return self.clear(
                f"{suspected}, by a model with too many errors of its own to tell: its balanced accuracy is "
                f"{percent(summary.balanced_accuracy)}.",
                evidence,
                split=split,
            )
        if n_sure is not None and (n_sure < least or n_sure < self.min_sure * wrong):
            return self.clear(
                f"{suspected}, and they carry {cost}; but only {n_sure:,} of them are among the surer half of the "
                f"answers, {percent(n_sure / wrong, 0)} of the {wrong:,} wrong answers, where wrong labels would be as "
                "frequent as elsewhere: the model is the likelier culprit.",
                evidence,
                split=split,
            )
        return self.flagged(
            f"{suspected}: the model is sure of another class. They carry {cost}.",
            evidence,
            "Look at them in worst_predictions.csv, correct the labels that are wrong, and evaluate again; a sure and "
            f"wrong answer looks the same, so drop none unseen.{self._doubt(summary)}",
            split=split,
        )

    def _doubt(self, summary: PredictionSummary) -> str:
        """A model that is too sure suspects too many, unless its surest answers are known to be among them."""
        removed = summary.calibration_loss_incorrect or 0.0
        if summary.n_sure_label_issues is not None:
            return ""
        if summary.temperature is None or summary.temperature <= 1 or not removed >= self.min_share * summary.log_loss:
            return ""
        return (
            f" The model is too sure as well (temperature {number(summary.temperature)} removes {number(removed)} over "
            "wrong answers): many of these are rather its own errors."
        )


def _gain(summary: PredictionSummary) -> float:
    """What the balanced accuracy has gained of what answering without looking leaves."""
    equal = equal_share(summary)
    return (summary.balanced_accuracy - equal) / (1 - equal) if equal < 1 else 0.0


@dataclass(frozen=True, slots=True)
class LossHangsOnClip(Rule):
    """The log loss is another one in every library, because of where each clips the logarithm.

    How it is detected: true classes got a probability of zero, or next to it. The log loss under the clips of Keras,
    LightGBM, scikit-learn and XGBoost (1e-7 to 1e-16) differs by at least ``min_range`` of it.

    Why it matters: a probability of zero on the true class costs whatever the library pays for it: 16 nats, 36, or
    infinitely many. The mean then says more about the clip than about the model, and models that were evaluated with
    different libraries cannot be compared. Whether a temperature finds the model too sure can hang on it too.

    What to do: name the clip together with the loss, use one evaluation for all models, and look at the Brier score,
    which has no clip. Trees, forests and nearest neighbours give zeros: smooth them (Laplace), or calibrate.

    Parameters
    ----------
    min_range : float
        Range of the log loss over the clips, as a share of it.
    """

    code: ClassVar[str] = "DIS009"
    title: ClassVar[str] = "The loss depends on the clip"
    level: ClassVar[Level] = "warning"
    min_range: float = 0.10

    def check(self, run: RunData) -> Finding:
        """Compare the loss under the clips that libraries use."""
        judged = judged_predictions(run, "log_loss")
        if judged is None:
            return self.not_applicable(NEEDS_PREDICTIONS)
        split, summary = judged
        known = {c.name: c.log_loss for c in summary.loss_by_clip}
        judged_losses = [known[name] for name in _COMPARED if name in known and isfinite(known[name])]
        if len(judged_losses) < 2 or not summary.log_loss > 0:
            return self.not_applicable(
                "What the loss is under other clips is not known of these predictions: log them once more."
            )
        low, high = min(judged_losses), max(judged_losses)
        zeros, n = summary.n_zero_probability, summary.n_samples
        evidence = [
            Evidence("loss_range_over_clips_relative", (high - low) / summary.log_loss, self.min_range, "fraction"),
            Evidence("lowest_loss", low, None, "nats"),
            Evidence("highest_loss", high, None, "nats"),
            Evidence("n_zero_probability", zeros, None, "samples"),
        ]
        what = f"{zeros:,} of {n:,} true classes have a probability of exactly 0"
        if not high - low >= self.min_range * summary.log_loss:
            same = number(low) if number(low) == number(high) else f"{number(low)} to {number(high)}"
            infinite = f"; {what}, which costs infinitely much without a clip" if zeros else ""
            return self.clear(f"The {split} loss is {same} under every usual clip{infinite}.", evidence, split=split)
        figures = ", ".join(
            f"{number(c.log_loss)} {_LIBRARIES[c.name]}" for c in summary.loss_by_clip if c.name in _LIBRARIES
        )
        return self.flagged(
            f"{what if zeros else 'True classes have probabilities next to 0'}, so the {split} loss is what the clip "
            f"makes it: {figures}.",
            evidence,
            "Name the clip with the loss and use one for all models; the Brier score "
            f"({number(summary.brier)}) has none.",
            split=split,
        )


_COMPARED = ("keras", "lightgbm", "sklearn", "xgboost")
_LIBRARIES = {
    "sklearn-float32": "in scikit-learn from float32",
    "keras": "in Keras",
    "lightgbm": "in LightGBM",
    "sklearn": "in scikit-learn from float64",
    "xgboost": "in XGBoost",
    "torch-bce": "in PyTorch's BCELoss",
    "none": "without a clip",
}
