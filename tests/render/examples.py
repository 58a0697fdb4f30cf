"""Diagnoses and comparisons to render: ordinary, hostile, and full of numbers that are not finite."""

from dataclasses import fields, replace
from math import inf, nan
from typing import Any, TypeVar

import numpy as np

from lossacc_mlflow.comparison import compare_diagnoses
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import (
    AttributionGroup,
    Comparison,
    ComparisonRow,
    CurveSummary,
    Diagnosis,
    Evidence,
    Finding,
    LossBounds,
    PairedComparison,
    PredictionSummary,
    RunData,
)
from tests.builders import falling, make_curve

HOSTILE = (
    "<script>alert('x')</script>\"]]>\n| `a` *b* _c_ [l](javascript:alert(1)) @octocat \x1b[31m\u202e\ud800" + "x" * 300
)

Record = TypeVar("Record")


def overfitted_run(name: str = "mlp", *, sharpness: float = 4.0) -> RunData:
    """Validation loss turns at epoch 20 while accuracy holds; three classes, 200 validation samples."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 200)
    logits = sharpness * (np.eye(3)[y] + random.normal(0, 0.6, (200, 3)))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels, ids = ["cat", "dog", HOSTILE], [f"=cmd|'/c calc'!A{i}" for i in range(200)]
    predictions = make_predictions(np.array(labels)[y], proba, labels=labels, sample_id=ids)
    summary, samples = judge_predictions(predictions)
    curves = (
        make_curve("train_loss", falling(60, 1.1, 0.01)),
        make_curve("val_loss", [*falling(21, 1.1, 0.4), *np.linspace(0.42, 0.9, 39)]),
        make_curve("train_accuracy", np.linspace(0.5, 1, 60)),
        make_curve("val_accuracy", [*np.linspace(0.5, 0.9, 21), *np.full(39, 0.9)]),
    )
    return RunData(
        run_id=f"id-{name}",
        name=name,
        curves=curves,
        predictions={"validation": summary},
        samples={"validation": samples},
        n_classes=3,
        n_validation=200,
        experiment_id="7",
    )


def hostile_diagnosis() -> Diagnosis:
    """Everything that a run can name is hostile."""
    run = overfitted_run(HOSTILE)
    curves = tuple(replace(c, key=HOSTILE) for c in run.curves)
    evidence = (Evidence(HOSTILE, nan, inf, HOSTILE),)
    found = Finding("FIT001", HOSTILE, "error", "flagged", HOSTILE, evidence, "train", 3, (1, 9), HOSTILE)
    diagnosis = judge(replace(run, run_id=HOSTILE, curves=curves, other_keys=(HOSTILE,) * 50))
    return replace(diagnosis, headline=HOSTILE, findings=(found, *diagnosis.findings))


def comparison(*names: str) -> Comparison:
    """Runs of rising sharpness, so that their losses differ and their accuracies do not."""
    runs = [overfitted_run(name, sharpness=4.0 + 4.0 * i) for i, name in enumerate(names)]
    return compare_diagnoses([judge(run) for run in runs], name="digits", experiment_id="7")


def broken(record: Record, value: float) -> Record:
    """Set every number of a record that may be a float to a value that is not finite."""
    changed: dict[str, Any] = {}
    for field in fields(record):  # type: ignore[arg-type]  # every record here is a dataclass
        if field.type in {float, float | None}:
            changed[field.name] = value
        elif field.type == tuple[float, float]:
            changed[field.name] = (value, value)
        elif field.type == tuple[float, ...]:
            changed[field.name] = (value,) * 15
    return replace(record, **changed)  # type: ignore[type-var]  # as above


def broken_diagnosis(value: float) -> Diagnosis:
    diagnosis = judge(overfitted_run())
    summary: PredictionSummary = broken(diagnosis.run.predictions["validation"], value)
    bounds: LossBounds = broken(diagnosis.bounds["validation"], value)
    curves: tuple[CurveSummary, ...] = tuple(broken(c, value) for c in diagnosis.curves)
    findings = tuple(
        replace(f, status="flagged", evidence=tuple(broken(e, value) for e in f.evidence)) for f in diagnosis.findings
    )
    run = replace(diagnosis.run, predictions={"validation": summary})
    return replace(diagnosis, run=run, bounds={"validation": bounds}, curves=curves, findings=findings)


def broken_comparison(value: float) -> Comparison:
    made = comparison("a", "b")
    rows: tuple[ComparisonRow, ...] = tuple(broken(r, value) for r in made.rows)
    pairs: list[PairedComparison] = []
    for pair in made.pairs:
        groups: tuple[AttributionGroup, ...] = tuple(broken(g, value) for g in pair.groups)
        pairs.append(replace(broken(pair, value), groups=groups))
    return replace(made, rows=rows, pairs=tuple(pairs))
