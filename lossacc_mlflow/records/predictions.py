"""Records of predicted probabilities: as they came, what is kept of each sample, their summary, and that over steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records.arrays import FloatArray, IntArray, freeze_arrays, freeze_mappings
from lossacc_mlflow.records.curves import Split, StepUnit

__all__ = [
    "ClassSummary",
    "ClippedLoss",
    "PredictionSteps",
    "PredictionSummary",
    "Predictions",
    "SamplePredictions",
    "Sums",
]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Labels and predicted probabilities of one split.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    y_true : ndarray of int64, shape (n_samples,)
        Index of the true class in ``classes``.
    y_proba : ndarray of floating dtype, shape (n_samples, n_classes)
    classes : tuple of str, length n_classes
    sample_id : tuple of str, length n_samples, or None
    sample_weight : ndarray of float64, shape (n_samples,), or None
    notes : tuple of str
        What was done to the probabilities, one sentence each.
    """

    split: Split
    y_true: IntArray
    y_proba: NDArray[np.floating[Any]]
    classes: tuple[str, ...]
    sample_id: tuple[str, ...] | None = None
    sample_weight: FloatArray | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SamplePredictions:
    """What is kept of every prediction: enough for every picture and every paired comparison.

    All arrays have shape (n_samples,); ``y_true`` and ``y_pred`` index ``classes``; ``p_true`` is the probability of
    the true class, ``p_true_after_temperature`` the same after the model's own (cross-fitted) temperature,
    ``brier`` the squared error summed over the classes. What is not known is NaN (``p_true`` where only the
    confidence of the answer was given); ``label_issue`` marks suspected label errors, None where nobody looked;
    ``sample_weight`` is None where every sample counts alike.
    """

    split: Split
    sample_id: tuple[str, ...]
    y_true: IntArray
    y_pred: IntArray
    p_true: FloatArray
    confidence: FloatArray
    p_true_after_temperature: FloatArray
    brier: FloatArray
    classes: tuple[str, ...]
    label_issue: NDArray[np.bool_] | None = None
    sample_weight: FloatArray | None = None

    def __post_init__(self) -> None:
        if self.sample_weight is not None:
            freeze_arrays(self, sample_weight=(self.sample_weight, np.float64))
        if self.label_issue is not None:
            freeze_arrays(self, label_issue=(self.label_issue, np.bool_))
        freeze_arrays(
            self,
            y_true=(self.y_true, np.int64),
            y_pred=(self.y_pred, np.int64),
            p_true=(self.p_true, np.float64),
            confidence=(self.confidence, np.float64),
            p_true_after_temperature=(self.p_true_after_temperature, np.float64),
            brier=(self.brier, np.float64),
        )

    def __len__(self) -> int:
        return len(self.y_true)


class Sums(Protocol):
    """What a summary was computed from, and can be merged by (see ``predictions``)."""

    def summarize_with(self, other: "Sums") -> "PredictionSummary":
        """Summarise the samples of both, this one's first."""
        ...


@dataclass(frozen=True, slots=True)
class ClippedLoss:
    """The mean log loss of the same probabilities under one library's clip.

    ``clip`` is the smallest probability that a logarithm is taken of; 0 where there is none.
    """

    name: str
    clip: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """One class in a summary: how often it is true and answered, how well, and what it costs.

    ``log_loss`` is the mean over the samples whose true class it is, ``loss_share`` their part of the whole loss.
    Figures over no sample are NaN.
    """

    label: str
    n_samples: int
    n_predicted: int
    recall: float
    precision: float
    f1: float
    log_loss: float
    loss_share: float


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What the predicted probabilities of one split say; every loss is in nats.

    Fields that need more than one pass (``temperature`` to ``refinement_loss``) are None when they were not asked for,
    or could not be computed (``notes`` says why). ``bin_*`` are the equal-width confidence bins ``(lo, hi]`` of the
    reliability diagram. Figures that need the probability of the true class are NaN where only the confidence of the
    answer was given.
    """

    n_samples: int
    n_classes: int
    accuracy: float
    log_loss: float
    brier: float
    loss_correct: float
    loss_incorrect: float
    loss_share_incorrect: float
    loss_share_top1pct: float
    loss_gini: float
    mean_confidence: float
    confidence_incorrect: float
    overconfidence_nats: float
    overconfidence_z: float
    ece: float
    ece_expected: float
    ece_q95: float
    ece_overconfident: float
    ece_underconfident: float
    majority_accuracy: float
    balanced_accuracy: float
    f1_macro: float
    prior_loss: float
    skill: float
    n_zero_probability: int
    n_huge_errors: int
    """Samples whose true class got less than 1 / (n (K - 1)); a calibrated model expects at most one."""
    loss_share_huge_errors: float
    bin_count: tuple[int, ...]
    bin_confidence: tuple[float, ...]
    bin_accuracy: tuple[float, ...]
    temperature: float | None = None
    temperature_at_bound: bool = False
    calibration_loss: float | None = None
    calibration_loss_se: float | None = None
    calibration_loss_incorrect: float | None = None
    calibration_loss_correct: float | None = None
    refinement_loss: float | None = None
    loss_by_clip: tuple[ClippedLoss, ...] = ()
    """The same loss under every library's clip, largest clip first."""
    classes: tuple[ClassSummary, ...] = ()
    n_label_issues: int | None = None
    """Suspected label errors; None where nobody looked."""
    loss_share_label_issues: float | None = None
    notes: tuple[str, ...] = ()
    """What was done to the probabilities before anything was computed, one sentence each."""
    n_sure_label_issues: int | None = None
    """Suspected label errors among the surer half of the answers; None where nobody looked."""
    sums: Sums | None = field(default=None, repr=False, compare=False)

    def merge(self, other: "PredictionSummary") -> "PredictionSummary":
        """Summarise the samples of this and of another summary, as if they had been summarised together.

        What takes further passes (temperature, calibration and refinement) is None in the result.

        Parameters
        ----------
        other : PredictionSummary
            Of other samples, with the same classes.

        Returns
        -------
        PredictionSummary

        Raises
        ------
        ValueError
            If one of them was read back from a file: a file does not keep what merging needs.
        PredictionsError
            If their classes differ.
        """
        if self.sums is None or other.sums is None:
            raise ValueError(
                "a summary that was read back from a file cannot be merged: merge those that "
                "summarize_predictions returns."
            )
        return self.sums.summarize_with(other.sums)


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSteps:
    """Figures of the summaries of one split over the steps of a training.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    step : ndarray of int64, shape (n_steps,)
        Strictly increasing.
    figures : mapping of str to ndarray of float64, shape (n_steps,)
        By the name of the field of :class:`PredictionSummary`; NaN where a step does not have it.
    step_unit : str
    """

    split: Split
    step: IntArray
    figures: Mapping[str, FloatArray]
    step_unit: StepUnit = "epoch"

    def __post_init__(self) -> None:
        freeze_arrays(self, step=(self.step, np.int64))
        freeze_mappings(self, "figures")

    def __len__(self) -> int:
        return len(self.step)
