"""Findings, comparisons and pictures as text, JSON, CSV, Markdown and HTML; draws nothing and judges nothing."""

from lossacc_mlflow.render.comparison_report import render_comparison_report
from lossacc_mlflow.render.figures import figures_payload, render_figures_json, render_figures_text
from lossacc_mlflow.render.jsonable import (
    SCHEMA_VERSION,
    comparison_payload,
    findings_payload,
    jsonable,
    render_comparison_json,
    render_json,
    render_jsonl,
    render_predictions_json,
)
from lossacc_mlflow.render.junit import render_junit
from lossacc_mlflow.render.manual import render_manual
from lossacc_mlflow.render.note import render_comparison_note, render_note
from lossacc_mlflow.render.page import PAGE_LIMIT, notebook_frame
from lossacc_mlflow.render.predictions_text import render_predictions_text
from lossacc_mlflow.render.report import render_report
from lossacc_mlflow.render.rows import COMPARISON_COLUMNS, TABLE_COLUMNS, comparison_rows, render_table
from lossacc_mlflow.render.sheets import (
    render_comparison_csv,
    render_diagnostics_table,
    render_pairs_csv,
    render_suspected_labels_csv,
    render_worst_predictions_csv,
)
from lossacc_mlflow.render.text import render_comparison_text, render_text
from lossacc_mlflow.render.words import DISCREPANCIES, VERDICTS, Words

__all__ = [
    "COMPARISON_COLUMNS",
    "DISCREPANCIES",
    "PAGE_LIMIT",
    "SCHEMA_VERSION",
    "TABLE_COLUMNS",
    "VERDICTS",
    "Words",
    "comparison_payload",
    "comparison_rows",
    "figures_payload",
    "findings_payload",
    "jsonable",
    "notebook_frame",
    "render_comparison_csv",
    "render_comparison_json",
    "render_comparison_note",
    "render_comparison_report",
    "render_comparison_text",
    "render_diagnostics_table",
    "render_figures_json",
    "render_figures_text",
    "render_json",
    "render_jsonl",
    "render_junit",
    "render_manual",
    "render_note",
    "render_pairs_csv",
    "render_predictions_json",
    "render_predictions_text",
    "render_report",
    "render_suspected_labels_csv",
    "render_table",
    "render_text",
    "render_worst_predictions_csv",
]
