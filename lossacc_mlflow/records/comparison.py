"""Several runs side by side, and two models on the same samples."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from lossacc_mlflow.records.curves import Split, StepUnit
from lossacc_mlflow.records.findings import Diagnosis, Discrepancy, Finding, Verdict

__all__ = ["AttributionGroup", "Comparison", "ComparisonRow", "PairTest", "PairedComparison"]


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
    delta_brier: float = float("nan")
    temperature_a: float = float("nan")
    temperature_b: float = float("nan")
    after_temperature_t_p: float = float("nan")
    """Of a paired t test on the losses after each model's own (cross-fitted) temperature."""
    confidence_a: float = float("nan")
    confidence_b: float = float("nan")
    at_clip: bool = False
    """Whether a probability is so near to 0 or 1 that the loss hangs on the clip: Brier scores are tested then."""
    loss_max: float = float("nan")
    """Largest loss that one sample can have under the clip that both losses share."""
    n_pairs: int = 1
    """Pairs that were tested together, for which the two p values below are adjusted (Holm)."""
    mcnemar_p_holm: float = float("nan")
    loss_p_holm: float = float("nan")
    """Of the test that decides the difference in loss."""


@dataclass(frozen=True, slots=True)
class PairTest:
    """The tests of two runs on the same samples, as one of all pairs; every difference is A minus B.

    Of two runs that share their samples there is one, also where no :class:`PairedComparison` explains them. p values
    are adjusted for the number of pairs (Holm); what is not known is NaN.
    """

    run_id_a: str
    run_id_b: str
    n_samples: int
    delta_accuracy: float
    delta_loss: float
    delta_loss_after_temperature: float
    mcnemar_p: float
    loss_p: float
    after_temperature_p: float
    loss_decided: bool
    """Whether the difference in loss is settled: significant, and not a matter of a few samples at the clip."""


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
    split: Split = "validation"
    """The split that the runs are compared on."""
    tests: tuple[PairTest, ...] = field(default=(), repr=False)
    """Of every two runs that share their samples, the higher row first."""
    odd_run_ids: frozenset[str] = frozenset()
    """Runs that cannot be compared with most others."""
    other_loss_ids: frozenset[str] = frozenset()
    """Runs whose answers can be compared, and whose loss is of another kind than that of most others."""

    def _repr_html_(self) -> str | None:
        return self.html(self) if self.html else None
