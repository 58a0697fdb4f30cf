"""What one model did on each sample, ready to be held against another model: right or wrong, and at what loss."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.clips import LOG_LOSS_CLIP, log_losses
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import FloatArray, IntArray, PredictionSummary, SamplePredictions

__all__ = ["Outcomes", "align_outcomes", "outcomes_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What one model did on each sample; arrays have shape (n_samples,), losses are in nats.

    What is not known is NaN. ``at_clip`` tells whether any probability of the model is so near to 0 or 1 that a
    logarithm of it, or of what it leaves to the other classes, would be clipped.
    """

    name: str
    samples: SamplePredictions
    right: NDArray[np.bool_]
    loss: FloatArray
    loss_after_temperature: FloatArray
    brier: FloatArray
    at_clip: bool
    temperature: float
    weight: FloatArray
    """How much each sample counts; 1 on average."""

    def __len__(self) -> int:
        return len(self.right)

    @property
    def is_weighted(self) -> bool:
        """Whether some samples count more than others."""
        return bool(np.ptp(self.weight) > 0) if len(self.weight) else False


def outcomes_of(samples: SamplePredictions, *, name: str, summary: PredictionSummary | None = None) -> Outcomes:
    """Take from predictions what they are compared by.

    Parameters
    ----------
    samples : SamplePredictions
    name : str
        Of the model.
    summary : PredictionSummary, optional
        Of the same samples: it knows the temperature.

    Returns
    -------
    Outcomes
    """
    temperature = None if summary is None else summary.temperature
    outcomes = _outcomes(name, samples, float("nan") if temperature is None else temperature)
    if summary is not None and summary.temperature is None:
        # Nobody fitted one: the samples then repeat their own probability.
        return replace(outcomes, loss_after_temperature=np.full(len(outcomes), np.nan))
    return outcomes


def align_outcomes(a: Outcomes, b: Outcomes) -> Outcomes:
    """Bring the second model's samples into the order of the first, by their ids.

    Parameters
    ----------
    a, b : Outcomes

    Returns
    -------
    Outcomes
        Of the second model.

    Raises
    ------
    PredictionsError
        If samples, classes or true labels are not the same.
    """
    b = _ordered_like(a.samples, b)
    if a.samples.classes != b.samples.classes:
        raise PredictionsError(
            f"the two models were judged on different classes ({_say_classes(a.samples.classes)} and "
            f"{_say_classes(b.samples.classes)}): compare predictions of the same data."
        )
    if not np.array_equal(a.samples.y_true, b.samples.y_true):
        differing = int(np.count_nonzero(a.samples.y_true != b.samples.y_true))
        raise PredictionsError(
            f"the two models name different true labels for {differing} of {len(a)} samples: compare predictions of "
            "the same data."
        )
    if not np.allclose(a.weight, b.weight, rtol=1e-6):
        raise PredictionsError(
            "the two models were judged with different sample weights: log both with the same sample_weight."
        )
    return b


def _outcomes(name: str, samples: SamplePredictions, temperature: float) -> Outcomes:
    near = bool(np.any(samples.p_true <= LOG_LOSS_CLIP) or np.any(samples.confidence >= 1 - LOG_LOSS_CLIP))
    return Outcomes(
        name=name,
        samples=samples,
        right=samples.y_pred == samples.y_true,
        loss=log_losses(samples.p_true),
        loss_after_temperature=log_losses(samples.p_true_after_temperature),
        brier=samples.brier,
        at_clip=near,
        temperature=temperature,
        weight=_weight(samples),
    )


def _weight(samples: SamplePredictions) -> FloatArray:
    weight = samples.sample_weight
    return np.ones(len(samples)) if weight is None else weight / weight.mean()


def _ordered_like(first: SamplePredictions, other: Outcomes) -> Outcomes:
    ids, theirs = first.sample_id, other.samples.sample_id
    if ids == theirs:
        return other
    place = {sample: i for i, sample in enumerate(theirs)}
    common = place.keys() & set(ids)
    if not len(common) == len(ids) == len(theirs):
        raise PredictionsError(
            f"the two models were not judged on the same samples ({len(ids)} and {len(theirs)}, "
            f"{len(common)} in common): log the predictions of one common split."
        )
    order: IntArray = np.array([place[sample] for sample in ids], dtype=np.int64)
    mine = other.samples
    samples = replace(
        mine,
        sample_id=ids,
        y_true=mine.y_true[order],
        y_pred=mine.y_pred[order],
        p_true=mine.p_true[order],
        confidence=mine.confidence[order],
        p_true_after_temperature=mine.p_true_after_temperature[order],
        brier=mine.brier[order],
        label_issue=None if mine.label_issue is None else mine.label_issue[order],
        sample_weight=None if mine.sample_weight is None else mine.sample_weight[order],
    )
    return replace(
        other,
        samples=samples,
        right=other.right[order],
        loss=other.loss[order],
        loss_after_temperature=other.loss_after_temperature[order],
        brier=other.brier[order],
        weight=other.weight[order],
    )


def _say_classes(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:5])
    return f"{len(classes)}: {shown}{', ...' if len(classes) > 5 else ''}"
