"""Tables for other programs: CSV for spreadsheets, and MLflow's logged table."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from io import StringIO

import numpy as np

from lossacc_mlflow.clips import log_losses
from lossacc_mlflow.records import (
    Comparison,
    ComparisonRow,
    Diagnosis,
    IntArray,
    PairedComparison,
    SamplePredictions,
)
from lossacc_mlflow.render.format import one_line
from lossacc_mlflow.render.prediction_rows import prediction_groups
from lossacc_mlflow.render.rows import SPLITS, curve_rows, since
from lossacc_mlflow.render.words import DISCREPANCIES, VERDICTS

__all__ = [
    "SuspectedLabel",
    "WorstPrediction",
    "render_comparison_csv",
    "render_diagnostics_table",
    "render_pairs_csv",
    "render_suspected_labels_csv",
    "render_worst_predictions_csv",
    "suspected_labels",
    "worst_predictions",
]

_PAIR_FIGURES = tuple(f.name for f in fields(PairedComparison) if f.name not in {"groups", "delta_loss_ci95"})
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_STATUS_WORDS = {"flagged": "flagged", "clear": "clear", "not_applicable": "not applicable"}


@dataclass(frozen=True, slots=True)
class WorstPrediction:
    """One sample with a large loss: its id, class and answer by name, loss in nats, and share of the whole loss.

    ``label_issue`` is None where nobody looked for label errors.
    """

    sample_id: str
    y_true: str
    y_pred: str
    p_true: float
    confidence: float
    loss: float
    loss_share: float
    label_issue: bool | None


@dataclass(frozen=True, slots=True)
class SuspectedLabel:
    """One sample whose given label is probably wrong, and the class that the model takes it for."""

    sample_id: str
    given_label: str
    suggested_label: str
    p_true: float
    confidence: float
    loss: float
    loss_share: float


def render_comparison_csv(comparison: Comparison) -> str:
    """Write ``comparison.csv``: one row a run, the columns of ``ComparisonRow``.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        What is not known is empty; codes of findings, and remarks, are separated by spaces.
    """
    columns = [f.name for f in fields(ComparisonRow)]
    rows = [
        [" ".join(value) if isinstance(value := getattr(row, name), tuple) else value for name in columns]
        for row in comparison.rows
    ]
    return _csv(columns, rows)


def render_pairs_csv(comparison: Comparison) -> str:
    """Write ``pairs.csv``: one row for each pair and group of samples, the figures of the pair repeated on each.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
    """
    columns = ["group", "n", "mean_loss_a", "mean_loss_b", "contribution", *_PAIR_FIGURES]
    columns += ["delta_loss_ci95_low", "delta_loss_ci95_high"]
    rows = [
        [g.name, g.n, g.mean_loss_a, g.mean_loss_b, g.contribution]
        + [getattr(pair, name) for name in _PAIR_FIGURES]
        + list(pair.delta_loss_ci95)
        for pair in comparison.pairs
        for g in pair.groups
    ]
    # The names come first, where a reader looks for them.
    order = sorted(range(len(columns)), key=lambda i: columns[i] not in {"name_a", "name_b", "split"})
    return _csv([columns[i] for i in order], [[row[i] for i in order] for row in rows])


def render_diagnostics_table(diagnosis: Diagnosis) -> str:
    """Write the diagnosis as MLflow's logged table of (diagnostic, value), which its UI compares across runs.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    str
        JSON as ``mlflow.log_table`` writes it; every value is text for a person, so that a column has one type.
    """
    data = [
        ["verdict", VERDICTS[diagnosis.verdict].label],
        ["discrepancy", DISCREPANCIES[diagnosis.discrepancy].label],
        ["headline", one_line(diagnosis.headline)],
    ]
    for row in curve_rows(diagnosis.curves):
        data.append([f"{row.split} {row.metric}, best", f"{row.best} at {row.best_step}"])
        data.append([f"{row.split} {row.metric}, last", f"{row.last} at {row.last_step}"])
    for split in SPLITS:
        if summary := diagnosis.run.predictions.get(split):
            lines = [line for _, group in prediction_groups([summary]) for line in group]
            data += [[f"{split} predictions: {label}", values[0]] for label, values in lines]
    for finding in diagnosis.findings:
        start = since(finding, diagnosis.curves)
        status = _STATUS_WORDS[finding.status] + (f" since {start}" if start and finding.status == "flagged" else "")
        data.append([f"{finding.code} {one_line(finding.title)}", status])
    return json.dumps({"columns": ["diagnostic", "value"], "data": data}, allow_nan=False)


def worst_predictions(samples: SamplePredictions, n: int = 100) -> list[WorstPrediction]:
    """List the samples with the largest loss, the largest first.

    Parameters
    ----------
    samples : SamplePredictions
    n : int
        Largest number of rows.

    Returns
    -------
    list of WorstPrediction
        Of equal losses, as where probabilities are clipped, the more confident one first, then in their own order.
        Samples whose loss is not known come last.
    """
    issue = samples.label_issue
    return [
        WorstPrediction(*_described(samples, i), loss, share, None if issue is None else bool(issue[i]))
        for i, loss, share in _largest_losses(samples, np.arange(len(samples)), n)
    ]


def render_worst_predictions_csv(samples: SamplePredictions, n: int = 100) -> str:
    """Write ``worst_predictions.csv``; see :func:`worst_predictions`."""
    return _records_csv(WorstPrediction, worst_predictions(samples, n))


def suspected_labels(samples: SamplePredictions, n: int = 10_000) -> list[SuspectedLabel]:
    """List the samples whose given label is probably wrong, in the order of :func:`worst_predictions`.

    Parameters
    ----------
    samples : SamplePredictions
    n : int
        Largest number of rows.

    Returns
    -------
    list of SuspectedLabel
        Empty where nobody looked (see ``label_issues``).
    """
    if samples.label_issue is None:
        return []
    suspected = np.flatnonzero(samples.label_issue)
    return [
        SuspectedLabel(*_described(samples, i), loss, share)
        for i, loss, share in _largest_losses(samples, suspected, n)
    ]


def render_suspected_labels_csv(samples: SamplePredictions, n: int = 10_000) -> str:
    """Write ``suspected_labels.csv``; see :func:`suspected_labels`."""
    return _records_csv(SuspectedLabel, suspected_labels(samples, n))


def _described(samples: SamplePredictions, i: int) -> tuple[str, str, str, float, float]:
    """Sample id, true class and answer by name, probability of the true class, and confidence."""
    return (
        samples.sample_id[i],
        samples.classes[int(samples.y_true[i])],
        samples.classes[int(samples.y_pred[i])],
        float(samples.p_true[i]),
        float(samples.confidence[i]),
    )


def _largest_losses(samples: SamplePredictions, among: IntArray, n: int) -> list[tuple[int, float, float]]:
    """Position, loss and share of the whole loss of the n samples with the largest loss."""
    if not len(among):
        return []
    loss = log_losses(samples.p_true)
    total = float(loss.sum())
    order = among[np.lexsort((-samples.confidence[among], -loss[among]))][:n]
    return [(i, float(loss[i]), float(loss[i]) / total if total > 0 else float("nan")) for i in order.tolist()]


def _records_csv(kind: type[WorstPrediction] | type[SuspectedLabel], records: Iterable[object]) -> str:
    columns = [f.name for f in fields(kind)]
    return _csv(columns, [[getattr(record, name) for name in columns] for record in records])


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: object) -> str:
    """Write one cell; text that a spreadsheet would run as a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else str(value)
    text = value.encode("utf-8", "replace").decode()
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
