"""What was found about one run: evidence, findings, and the diagnosis that bundles them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lossacc_mlflow.records.bounds import LossBounds
from lossacc_mlflow.records.curves import CurveSummary, Split
from lossacc_mlflow.records.runs import RunData

__all__ = ["Diagnosis", "Discrepancy", "Evidence", "Finding", "Level", "Status", "Verdict"]

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
