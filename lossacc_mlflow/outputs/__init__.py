"""All that a diagnosis or a comparison leaves behind: pictures, tables, report, metrics, tags and note."""

from lossacc_mlflow.outputs.metrics import headline_metrics
from lossacc_mlflow.outputs.pictures import draw_comparison, draw_diagnosis
from lossacc_mlflow.outputs.updates import (
    KIND_COMPARISON,
    comparison_html,
    comparison_page,
    comparison_update,
    diagnosis_html,
    run_update,
)

__all__ = [
    "KIND_COMPARISON",
    "comparison_html",
    "comparison_page",
    "comparison_update",
    "diagnosis_html",
    "draw_comparison",
    "draw_diagnosis",
    "headline_metrics",
    "run_update",
]
