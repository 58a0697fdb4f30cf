"""What prediction files say: the summary of each, and pairs of them on the same samples."""

from dataclasses import dataclass

from lossacc_mlflow.records.comparison import PairedComparison
from lossacc_mlflow.records.findings import Discrepancy, Finding
from lossacc_mlflow.records.predictions import PredictionSummary, SamplePredictions

__all__ = ["PredictionFileSummary", "PredictionReport"]


@dataclass(frozen=True, slots=True, eq=False)
class PredictionFileSummary:
    """One prediction file in figures.

    ``samples`` are all of them, or the few with the largest loss where nothing asked for more. ``findings`` are what
    the rules that look at predictions say, ``discrepancy`` what that amounts to.
    """

    name: str
    path: str
    summary: PredictionSummary
    samples: SamplePredictions
    discrepancy: Discrepancy
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PredictionReport:
    """Prediction files side by side, in the order in which they were named.

    ``pairs`` explain differences on the same samples; ``remarks`` say which pairs were left out.
    """

    files: tuple[PredictionFileSummary, ...]
    pairs: tuple[PairedComparison, ...]
    remarks: tuple[str, ...] = ()
