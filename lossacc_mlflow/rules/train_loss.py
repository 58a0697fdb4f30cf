"""LOG006: a logged loss is not the quantity that it is held against: a penalty was added, or it is a running mean."""

from dataclasses import dataclass, replace
from math import log, sqrt
from typing import ClassVar

import numpy as np

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.curves import held_out_split, is_over_steps
from lossacc_mlflow.records import Evidence, Finding, FloatArray, IntArray, Level, RunData, Split
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.logged_loss import OtherLoss, find_other_loss
from lossacc_mlflow.rules.observation import MIN_POINTS, chance_level
from lossacc_mlflow.rules.plane import Points, points_of
from lossacc_mlflow.wording import number, percent

__all__ = ["TrainLossDiffers"]

_LOG_LOSSES = ("log_loss", "loss")
_ENOUGH_STEPS = 2000


@dataclass(frozen=True, slots=True)
class TrainLossDiffers(Rule):
    """The training loss is not the quantity that the validation loss is: a penalty, or a running mean.

    How it is detected: by one of four signs, the first three for ``min_share`` of the steps.

    Above what the accuracy explains: where the number of classes is known, the loss is not declared a log loss (by its
    key or the tag ``lossacc.loss``) and the train accuracy ends at ``min_accuracy`` or more, the train loss in the
    second half exceeds by more than ``min_excess`` nats the log loss of a model that gives every answer one and the
    same confidence, its accuracy (Fano's inequality); over the last fifth this excess fell by less than ``max_fall`` of
    it. Training removes such an excess from a plain log loss. Where the first step was logged before the model learned
    (accuracy below twice chance), the loss must exceed ln K there too: strong weight decay outside the loss also keeps
    it high, and starts at ln K.

    Above the validation loss: in the second half the train loss lies above the validation loss, in the median by more
    than ``min_gap`` of it, although the train accuracy is no lower than the validation accuracy.

    Behind from the start: from the first step on, validation is better in both, in the median by more than
    ``min_gap`` in loss and ``min_accuracy_gap`` in accuracy.

    Where the number n of validation samples is known, the distances must also exceed ``z`` standard errors: of the
    accuracy sqrt(a (1 - a) / n), of the loss 1 / sqrt(n (1 - a)) of it, as of n (1 - a) errors that carry the loss
    (their number is what varies most; what right answers cost only steadies it).

    Not the log loss of the predictions: those that were logged of validation (or test) data have the accuracy of the
    last step, and yet at no step of this accuracy the logged loss is their log loss, under any library's clip, to
    ``min_excess`` nats and ``min_excess_share`` of it. Then something is in the logged loss of held-out data.

    Why it matters: a gap between the two losses, and the loss that the accuracy does not explain, then say nothing
    about the model.

    What to do: log penalties (weight decay that is added to the loss, auxiliary losses) apart. To compare with
    validation, evaluate on the training data after the epoch, without dropout and augmentation.

    Parameters
    ----------
    min_share : float
        Share of the steps that must show the sign.
    min_accuracy : float
        Train accuracy at the end from which on its loss is held against it.
    min_excess : float
        Nats above what the train accuracy explains.
    min_excess_share : float
        Share of the log loss of the predictions by which a logged loss must differ.
    max_fall : float
        Share of the excess that may still go over the last fifth of the steps.
    min_gap : float
        Relative distance of train and validation loss.
    min_accuracy_gap : float
        Distance of train and validation accuracy.
    z : float
        Standard errors of what n validation samples show.
    """

    code: ClassVar[str] = "LOG006"
    title: ClassVar[str] = "Training loss includes a penalty, or is a running mean"
    level: ClassVar[Level] = "note"
    min_share: float = 0.9
    min_accuracy: float = 0.9
    min_excess: float = 0.05
    max_fall: float = 0.15
    min_gap: float = 0.05
    min_accuracy_gap: float = 0.005
    min_excess_share: float = 0.1
    z: float = 3.0

    def check(self, run: RunData) -> Finding:
        """Ask for the signs, the most telling first."""
        other = find_other_loss(run)
        if other is not None:
            limit = max(self.min_excess, self.min_excess_share * other.predicted)
            if abs(other.difference) > limit:
                return self._not_of_predictions(other, limit)
        train = _points(run, "train")
        if train is None:
            return self.not_applicable(
                f"Train loss (a log loss) and train accuracy over at least {MIN_POINTS} common steps are needed."
            )
        pair = _on_common_steps(train, _points(run, held_out_split(run)))
        # Who names it log loss says that it is one.
        is_open = all(c.metric.name != "log_loss" for c in run.curves if c.split == "train")
        n_classes = run.n_classes if run.n_classes is not None and run.n_classes > 1 and is_open else None
        if pair is None and n_classes is None:
            return self.not_applicable(
                "Either the number of classes and a loss that is not declared a log loss, or loss and accuracy of "
                "validation at the same steps are needed."
            )
        thinned = _choose(train, np.arange(len(train.step)))
        found = None if n_classes is None else self._above_explained(thinned, n_classes, chance_level(run) or 0.0)
        if found is None and pair is not None:
            n = _n_samples(run, pair[1].split)
            found = self._above_validation(*pair, n) or self._behind_from_start(*pair, n)
        return found or self.clear("Train and validation loss look like the same quantity.", split="train")

    def _not_of_predictions(self, other: OtherLoss, limit: float) -> Finding:
        above = other.difference > 0
        what = (
            "a penalty, an auxiliary loss, label smoothing or class weights are in it"
            if above
            else "it is weighted, divided by more than the number of samples"
        )
        return self.flagged(
            f"'{other.key}' ends at {number(other.logged)} and an accuracy of {percent(other.accuracy)}; the "
            f"{other.split} predictions have the same accuracy and a log loss of {number(other.predicted)}. The logged "
            f"loss is no plain mean log loss of them: {what}, or it is another loss.",
            [
                Evidence("logged_minus_predicted_loss", other.difference, limit if above else -limit, "nats"),
                Evidence("logged_loss", other.logged),
                Evidence("predicted_log_loss", other.predicted, None, "nats"),
            ],
            "Log the plain log loss, and what is added to it apart.",
            split=other.split,
            step=other.step,
        )

    def _above_explained(self, train: Points, n_classes: int, chance: float) -> Finding | None:
        explained = plane_regions(n_classes, train.accuracy).calibrated_high
        unexplained = train.loss - np.where(np.isnan(explained), log(2), explained)
        half = len(train.step) // 2
        excess = unexplained[half:]
        share = float(np.mean(excess > self.min_excess))
        level, accuracy = float(np.median(excess)), float(train.accuracy[-1])
        fall = _fall_over_last_fifth(unexplained)
        learned = accuracy >= max(self.min_accuracy, chance)
        starts_plain = train.accuracy[0] < 2 / n_classes and train.loss[0] <= log(n_classes) + self.min_excess
        if starts_plain or not (share >= self.min_share and learned and fall < self.max_fall * level):
            return None
        end = float(train.loss[-1])
        return self.flagged(
            f"At a train accuracy of {percent(accuracy)} one constant confidence has a log loss of "
            f"{number(end - float(excess[-1]))}; '{train.loss_key}' ends at {number(end)}, and the difference stays. "
            "Either a penalty or an auxiliary loss was added to it, or it is no plain mean log loss (label smoothing, "
            "class weights), or strong regularization keeps the model unsure of what it gets right.",
            [
                Evidence("train_loss_unexplained", level, self.min_excess, "nats"),
                Evidence("share_of_steps", share, self.min_share, "fraction"),
                Evidence("fall_over_last_fifth", fall, self.max_fall * level, "nats"),
            ],
            "Log penalties and auxiliary losses apart from the log loss, so that loss and accuracy can be compared.",
            split="train",
            step=int(train.step[half + int(np.argmax(excess > self.min_excess))]),
        )

    def _above_validation(self, train: Points, validation: Points, n: int | None) -> Finding | None:
        half = slice(len(train.step) // 2, None)
        above = (train.loss > validation.loss) & (train.accuracy >= validation.accuracy)
        share, gap = float(np.mean(above[half])), _median_gap(train.loss[half], validation.loss[half])
        limit = max(self.min_gap, self.z * _relative_error(validation.accuracy[half], n))
        if not (share >= self.min_share and gap > limit):
            return None
        return self.flagged(
            f"'{train.loss_key}' lies above '{validation.loss_key}' ({number(float(train.loss[-1]))} against "
            f"{number(float(validation.loss[-1]))} at the end), although the train accuracy is no lower "
            f"({percent(float(train.accuracy[-1]))} against {percent(float(validation.accuracy[-1]))}). Either it "
            "includes what the other does not (a penalty, an auxiliary loss, label smoothing, class weights), or the "
            "two are not of the same kind.",
            [
                Evidence("train_loss_above_validation_relative", gap, limit, "fraction"),
                Evidence("share_of_steps", share, self.min_share, "fraction"),
            ],
            "Log the plain log loss of both, and penalties apart.",
            split="train",
            step=int(train.step[half][np.argmax(above[half])]),
        )

    def _behind_from_start(self, train: Points, validation: Points, n: int | None) -> Finding | None:
        behind = (train.loss > validation.loss) & (train.accuracy < validation.accuracy)
        share, gap = float(np.mean(behind)), _median_gap(train.loss, validation.loss)
        accuracy_gap = float(np.median(validation.accuracy - train.accuracy))
        limit = max(self.min_gap, self.z * _relative_error(validation.accuracy, n))
        accuracy_limit = max(self.min_accuracy_gap, self.z * _accuracy_error(validation.accuracy, n))
        enough = share >= self.min_share and gap > limit and accuracy_gap > accuracy_limit
        if not (enough and behind[0]):
            return None
        return self.flagged(
            f"Validation is better than train from step {train.step[0]} on: in the median by {percent(gap, 0)} of the "
            f"loss and {number(100 * accuracy_gap)} points of accuracy. Either the train figures are running means "
            "over each epoch, or taken with dropout or augmentation on, or the validation samples are easier.",
            [
                Evidence("validation_ahead_loss_relative", gap, limit, "fraction"),
                Evidence("validation_ahead_accuracy", accuracy_gap, accuracy_limit, "fraction"),
                Evidence("share_of_steps", share, self.min_share, "fraction"),
            ],
            "Do not read the gap between train and validation; to compare them, evaluate on training data after the "
            "epoch, without dropout and augmentation.",
            split=validation.split,
            step=int(train.step[0]),
        )


def _points(run: RunData, split: Split) -> Points | None:
    """Accuracy and log loss of a split over steps."""
    curves = tuple(c for c in run.curves if c.split == split and is_over_steps(c))
    name = next((name for name in _LOG_LOSSES if any(c.metric.name == name for c in curves)), None)
    found = None if name is None else next(points_of(replace(run, curves=curves), (name,)), None)
    return None if found is None or len(found.step) < MIN_POINTS else found


def _on_common_steps(train: Points, validation: Points | None) -> tuple[Points, Points] | None:
    """Both at the steps that they share; None where these are few, as of batches and epochs."""
    if validation is None:
        return None
    if np.array_equal(train.step, validation.step):
        i = j = np.arange(len(train.step))
    else:
        _, i, j = np.intersect1d(train.step, validation.step, assume_unique=True, return_indices=True)
    if len(i) < max(MIN_POINTS, len(train.step) / 2, len(validation.step) / 2):
        return None
    return _choose(train, i), _choose(validation, j)


def _choose(points: Points, index: IntArray) -> Points:
    """Some of the points; of very many an even choice."""
    if len(index) > _ENOUGH_STEPS:
        index = index[np.linspace(0, len(index) - 1, _ENOUGH_STEPS).astype(np.int64)]
    return replace(points, step=points.step[index], accuracy=points.accuracy[index], loss=points.loss[index])


def _fall_over_last_fifth(value: FloatArray) -> float:
    """How far a curve fell from the fifth before the last one to the last."""
    width = max(1, len(value) // 5)
    return float(np.median(value[-2 * width : -width]) - np.median(value[-width:]))


def _n_samples(run: RunData, split: Split) -> int | None:
    if split in run.predictions:
        return run.predictions[split].n_samples
    return run.n_validation if split == "validation" else None


def _relative_error(accuracy: FloatArray, n: int | None) -> float:
    """Standard error of a mean loss that n (1 - a) errors carry, as a share of it; at least one error is assumed."""
    return 0.0 if not n else 1 / sqrt(max(1.0, n * (1 - float(np.median(accuracy)))))


def _accuracy_error(accuracy: FloatArray, n: int | None) -> float:
    level = float(np.clip(np.median(accuracy), 0, 1))
    return 0.0 if not n else sqrt(level * (1 - level) / n)


def _median_gap(train: FloatArray, validation: FloatArray) -> float:
    """By how much of it the train loss exceeds the validation loss; NaN where that is not positive."""
    level = float(np.median(validation))
    return float(np.median(train - validation)) / level if level > 0 else float("nan")
