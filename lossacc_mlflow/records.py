"""The frozen records that flow through the package; nothing here computes.

``store`` and ``files`` make a :class:`RunData`, the rules turn it into :class:`Finding` objects, the pipeline
bundles both into a :class:`Diagnosis`, and ``comparison`` turns many of those into a :class:`Comparison`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Artifact",
    "AttributionGroup",
    "Comparison",
    "ComparisonRow",
    "Curve",
    "CurveSummary",
    "Diagnosis",
    "Discrepancy",
    "Evidence",
    "Finding",
    "FloatArray",
    "IntArray",
    "Level",
    "LossBounds",
    "Metric",
    "PairedComparison",
    "PredictionSummary",
    "Predictions",
    "RunData",
    "RunUpdate",
    "SamplePredictions",
    "Split",
    "Status",
    "StepUnit",
    "Verdict",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Split = Literal["train", "validation", "test"]
StepUnit = Literal["epoch", "iteration", "n_estimators", "n_samples", "global_step"]
Level = Literal["error", "warning", "note"]
Status = Literal["flagged", "clear", "not_applicable"]
Verdict = Literal[
    "diverged",
    "not_enough_information",
    "not_learning",
    "overfitting",
    "loss_overfitting",
    "underfitting",
    "unstable",
    "still_improving",
    "healthy",
]
Discrepancy = Literal[
    "infeasible_values",
    "penalty_in_loss",
    "imbalance",
    "few_huge_errors",
    "overconfident_errors",
    "hesitant_correct",
    "label_errors",
    "calibration",
    "loss_up_accuracy_flat",
    "unknown",
    "not_enough_information",
    "none",
]


def _read_only(record: object, **arrays: Any) -> None:  # noqa: ANN401  (anything numpy can read)
    """Set array fields of a frozen record, as arrays that cannot be written to."""
    for name, (value, dtype) in arrays.items():
        array = np.array(value, dtype=dtype)
        array.setflags(write=False)
        object.__setattr__(record, name, array)


def _frozen_mapping(record: object, *names: str) -> None:
    """Replace mapping fields of a frozen record by read-only copies."""
    for name in names:
        object.__setattr__(record, name, MappingProxyType(dict(getattr(record, name))))


@dataclass(frozen=True, slots=True)
class Metric:
    """What a curve measures.

    Parameters
    ----------
    name : str
        scikit-learn's name (``log_loss``, ``accuracy``, ``r2``, ...); ``loss`` where the key does not tell which
        loss it is.
    greater_is_better : bool
        The direction in which the model improves.
    unit : str
        ``nats``, ``fraction``, ``""`` where there is none.
    """

    name: str
    greater_is_better: bool
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Curve:
    """One metric of one split over steps, sorted by step, one value a step.

    A value that was not logged is absent; a NaN or an infinity is one that *was* logged.

    Parameters
    ----------
    metric : Metric
    split : {"train", "validation", "test"}
    step : ndarray of int64, shape (n_steps,)
        Strictly increasing.
    value : ndarray of float64, shape (n_steps,)
    step_unit : str
    key : str
        The key under which it was logged, for messages.
    n_repeated : int
        Points that were left out because a later one has the same step.
    n_unsorted : int
        Points that were logged after one with a greater step.
    """

    metric: Metric
    split: Split
    step: IntArray
    value: FloatArray
    step_unit: StepUnit = "epoch"
    key: str = ""
    n_repeated: int = 0
    n_unsorted: int = 0

    def __post_init__(self) -> None:
        _read_only(self, step=(self.step, np.int64), value=(self.value, np.float64))

    def __len__(self) -> int:
        return len(self.step)


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
    """

    split: Split
    y_true: IntArray
    y_proba: NDArray[np.floating[Any]]
    classes: tuple[str, ...]
    sample_id: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SamplePredictions:
    """What is kept of every prediction: enough for every picture and every paired comparison.

    All arrays have shape (n_samples,); ``y_true`` and ``y_pred`` index ``classes``; ``p_true`` is the probability of
    the true class, ``p_true_after_temperature`` the same after the model's own (cross-fitted) temperature,
    ``brier`` the squared error summed over the classes.
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

    def __post_init__(self) -> None:
        _read_only(
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


@dataclass(frozen=True, slots=True)
class PredictionSummary:
    """What the predicted probabilities of one split say; every loss is in nats.

    Fields that need more than one pass (``temperature`` to ``calibration_loss_correct``) are None when they were
    not asked for. ``bin_*`` are the equal-width confidence bins ``(lo, hi]`` of the reliability diagram.
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


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class RunData:
    """One training run as it was logged.

    Parameters
    ----------
    run_id, name : str
    curves : tuple of Curve
        At most one for each (metric, split, step unit).
    predictions : mapping of split to PredictionSummary
    samples : mapping of split to SamplePredictions
        Empty unless they were asked for.
    params, tags : mapping of str to str
    n_classes : int or None
    class_counts : mapping of class label to count, or None
    majority_accuracy : float or None
        Accuracy of always answering the largest class.
    n_validation : int or None
        Number of validation samples.
    baseline_accuracy, baseline_loss : float or None
        What a rule reaches that needs no training, or hardly any, on the same validation data.
    other_keys : tuple of str
        Metric keys that were seen and not understood.
    own_metrics : mapping of str to float
        Latest values of what an earlier diagnosis wrote (``lossacc/...``).
    artifacts : tuple of str
        Paths of our artifacts that the run already has.
    fingerprint : str
        Of the latest steps and timestamps of what was read.
    warnings : tuple of str
        What could not be read and was left out, one sentence each.
    """

    run_id: str
    name: str
    curves: tuple[Curve, ...] = ()
    predictions: Mapping[Split, PredictionSummary] = field(default_factory=dict)
    samples: Mapping[Split, SamplePredictions] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    n_classes: int | None = None
    class_counts: Mapping[str, int] | None = None
    majority_accuracy: float | None = None
    n_validation: int | None = None
    baseline_accuracy: float | None = None
    baseline_loss: float | None = None
    other_keys: tuple[str, ...] = ()
    own_metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: tuple[str, ...] = ()
    experiment_id: str = ""
    fingerprint: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _frozen_mapping(self, "predictions", "samples", "params", "tags", "own_metrics")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that a rule looked at, and the threshold it was held against (None: shown, not judged)."""

    name: str
    value: float
    threshold: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one rule (or of one comparison) for one run.

    ``step`` is where it began, in the step unit of the curve; ``step_interval`` its uncertainty, both ends included.
    """

    code: str
    title: str
    level: Level
    status: Status
    message: str
    evidence: tuple[Evidence, ...] = ()
    split: Split | None = None
    step: int | None = None
    step_interval: tuple[int, int] | None = None
    advice: str = ""


@dataclass(frozen=True, slots=True)
class CurveSummary:
    """The figures of one curve that one wants in a table; NaN where there is no finite value."""

    metric: str
    split: Split
    step_unit: StepUnit
    key: str
    n_points: int
    first: float
    last: float
    last_step: int
    best: float
    best_step: int
    smoothed_best: float
    smoothed_best_step: int


@dataclass(frozen=True, slots=True)
class LossBounds:
    """What an accuracy, a mean log loss and a class count prove about each other (see ``bounds``).

    ``loss_correct``, ``loss_incorrect`` and ``loss_share_incorrect`` are closed intervals; ``removable_loss`` is how
    much of the loss one constant confidence would remove without changing a prediction (0 inside the band).
    """

    accuracy: float
    loss: float
    n_classes: int
    loss_max: float
    floor: float
    ceiling: float
    calibrated_low: float
    calibrated_high: float
    removable_loss: float
    loss_correct: tuple[float, float]
    loss_incorrect: tuple[float, float]
    loss_share_incorrect: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """What was found about one run.

    ``html`` renders it for a notebook; the pipeline sets it, because drawing is not a record's business.
    """

    run: RunData
    verdict: Verdict
    discrepancy: Discrepancy
    headline: str
    """One or two sentences: what a person should know first."""
    findings: tuple[Finding, ...]
    curves: tuple[CurveSummary, ...] = ()
    bounds: Mapping[Split, LossBounds] = field(default_factory=dict)
    html: "Callable[[Diagnosis], str] | None" = field(default=None, repr=False)

    @property
    def run_id(self) -> str:
        """Id of the run that was judged."""
        return self.run.run_id

    @property
    def run_name(self) -> str:
        """Name of the run that was judged."""
        return self.run.name

    @property
    def flagged(self) -> tuple[Finding, ...]:
        """The findings that a person should look at."""
        return tuple(f for f in self.findings if f.status == "flagged")

    def finding(self, code: str) -> Finding:
        """Return the finding of one rule.

        Raises
        ------
        KeyError
            If that rule did not run.
        """
        for found in self.findings:
            if found.code == code:
                return found
        raise KeyError(code)

    def _repr_html_(self) -> str | None:
        return self.html(self) if self.html else None


@dataclass(frozen=True, slots=True)
class AttributionGroup:
    """The samples on which two models agree or differ in one way, and what they add to the loss difference.

    ``contribution`` is n_g / n · (mean_loss_a - mean_loss_b): the contributions of the four groups sum to the
    difference of the losses.
    """

    name: Literal["both_right", "only_a_right", "only_b_right", "both_wrong"]
    n: int
    mean_loss_a: float
    mean_loss_b: float
    contribution: float


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """Two models on the same samples; every difference is A minus B, in nats or as a fraction."""

    name_a: str
    name_b: str
    split: Split | None
    n_samples: int
    accuracy_a: float
    accuracy_b: float
    loss_a: float
    loss_b: float
    delta_loss: float
    delta_accuracy: float
    groups: tuple[AttributionGroup, ...]
    mcnemar_p: float
    mcnemar_mid_p: float
    paired_t_p: float
    brier_t_p: float
    decided: bool
    """Whether the difference in loss is settled at the 5 % level (see ``comparison``)."""
    delta_loss_ci95: tuple[float, float]
    loss_a_after_temperature: float
    loss_b_after_temperature: float
    delta_loss_after_temperature: float
    explanation: str


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One run in a comparison; None where it is not known."""

    run_id: str
    name: str
    split: Split | None
    accuracy: float | None
    loss: float | None
    loss_name: str
    loss_after_temperature: float | None
    test_accuracy: float | None
    test_loss: float | None
    verdict: Verdict
    discrepancy: Discrepancy
    best_step: int | None
    last_step: int | None
    step_unit: StepUnit | None
    findings: tuple[str, ...]
    quality_name: str = "accuracy"
    """What ``accuracy`` is: ``r2`` in a regression."""
    remarks: tuple[str, ...] = ()
    """What the comparison found about this run, one sentence for each CMP code among its ``findings``."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Comparison:
    """Several runs side by side, best accuracy first.

    ``pairs`` explains, on the same samples, each pair of neighbours in the order by accuracy, and each reversal;
    ``recommendation`` says which model to take for what, and why.
    """

    name: str
    experiment_id: str
    rows: tuple[ComparisonRow, ...]
    pairs: tuple[PairedComparison, ...]
    findings: tuple[Finding, ...]
    recommendation: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    html: "Callable[[Comparison], str] | None" = field(default=None, repr=False)

    def _repr_html_(self) -> str | None:
        return self.html(self) if self.html else None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file to attach to a run: its path below the run's artifact root, and its bytes."""

    path: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class RunUpdate:
    """All that is to be written to one run; writing it twice leaves one of everything.

    Parameters
    ----------
    metrics : mapping of str to float
        The wanted value of every ``lossacc/`` metric; one that an earlier diagnosis wrote and that is absent here
        no longer holds.
    tags : mapping of str to str
    note : str
        Our Markdown block of ``mlflow.note.content``, without its delimiters.
    artifacts : tuple of Artifact
    tables : tuple of str
        Paths of those artifacts that MLflow shall list as logged tables.
    images : mapping of str to bytes
        PNG bytes by key, for MLflow's image grid.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    artifacts: tuple[Artifact, ...] = ()
    tables: tuple[str, ...] = ()
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _frozen_mapping(self, "metrics", "tags", "images")
