"""The frozen records that flow through the package; nothing here computes.

``store`` and ``files`` make a :class:`RunData`, the rules turn it into :class:`Finding` objects, the pipeline
bundles both into a :class:`Diagnosis`, and ``comparison`` turns many of those into a :class:`Comparison`.
"""

from lossacc_mlflow.records.arrays import FloatArray, IntArray
from lossacc_mlflow.records.bounds import (
    FigureBounds,
    FigurePair,
    FiguresReport,
    LossBounds,
    Miscalibration,
    ReportedFigures,
)
from lossacc_mlflow.records.comparison import AttributionGroup, Comparison, ComparisonRow, PairedComparison, PairTest
from lossacc_mlflow.records.curves import Curve, CurveSummary, Metric, Split, StepUnit
from lossacc_mlflow.records.files import PredictionFileSummary, PredictionReport
from lossacc_mlflow.records.findings import Diagnosis, Discrepancy, Evidence, Finding, Level, Status, Verdict
from lossacc_mlflow.records.predictions import (
    ClassSummary,
    ClippedLoss,
    Predictions,
    PredictionSteps,
    PredictionSummary,
    SamplePredictions,
    Sums,
)
from lossacc_mlflow.records.regression import RegressionSamples, RegressionSummary
from lossacc_mlflow.records.runs import Artifact, RunData, RunUpdate
from lossacc_mlflow.records.search import SearchResults, SearchScore

__all__ = [
    "Artifact",
    "AttributionGroup",
    "ClassSummary",
    "ClippedLoss",
    "Comparison",
    "ComparisonRow",
    "Curve",
    "CurveSummary",
    "Diagnosis",
    "Discrepancy",
    "Evidence",
    "FigureBounds",
    "FigurePair",
    "FiguresReport",
    "Finding",
    "FloatArray",
    "IntArray",
    "Level",
    "LossBounds",
    "Metric",
    "Miscalibration",
    "PairTest",
    "PairedComparison",
    "PredictionFileSummary",
    "PredictionReport",
    "PredictionSteps",
    "PredictionSummary",
    "Predictions",
    "RegressionSamples",
    "RegressionSummary",
    "ReportedFigures",
    "RunData",
    "RunUpdate",
    "SamplePredictions",
    "SearchResults",
    "SearchScore",
    "Split",
    "Status",
    "StepUnit",
    "Sums",
    "Verdict",
]
