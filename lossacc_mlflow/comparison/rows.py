"""One row a run: its figures on the split that models are chosen by, its name, its place."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite

from lossacc_mlflow.curves import is_over_steps, loss_curve, quality_curve, summarize_curve
from lossacc_mlflow.records import ComparisonRow, CurveSummary, Diagnosis, RunData, Split

__all__ = [
    "choose_split",
    "is_reversed",
    "known_accuracy",
    "needs_temperature",
    "rank_rows",
    "sample_size",
    "settled_loss",
]


def choose_split(diagnoses: Sequence[Diagnosis]) -> Split:
    """Choose the split that models are compared on: validation where a run has it, else test.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis

    Returns
    -------
    {"validation", "test"}
    """
    return "validation" if any(_knows_validation(d.run) for d in diagnoses) else "test"


def rank_rows(diagnoses: Sequence[Diagnosis], split: Split) -> list[tuple[ComparisonRow, Diagnosis]]:
    """Make one row of each run, under a name that no other run has, most accurate first.

    Parameters
    ----------
    diagnoses : sequence of Diagnosis
    split : {"train", "validation", "test"}

    Returns
    -------
    list of (ComparisonRow, Diagnosis)
        By accuracy, then by loss; those without an accuracy last.
    """
    labels = _labels(diagnoses)
    return sorted(((_row(d, labels[d.run_id], split), d) for d in diagnoses), key=lambda item: _rank(item[0]))


def known_accuracy(row: ComparisonRow) -> float | None:
    """Return the accuracy where it can be one: finite and not above 1."""
    return row.accuracy if row.accuracy is not None and isfinite(row.accuracy) and row.accuracy <= 1 else None


def settled_loss(row: ComparisonRow) -> float:
    """Return the loss as it is best: after temperature where that removes some; infinite where unknown."""
    known = [v for v in (row.loss, row.loss_after_temperature) if v is not None and isfinite(v)]
    return min(known, default=float("inf"))


def needs_temperature(row: ComparisonRow) -> bool:
    """Tell whether the settled loss is that after temperature."""
    return row.loss_after_temperature is not None and settled_loss(row) == row.loss_after_temperature != row.loss


def sample_size(run: RunData, split: Split) -> int | None:
    """Return how many samples the figures of a split are of, where it is known."""
    if split in run.predictions:
        return run.predictions[split].n_samples
    if split in run.regressions:
        return run.regressions[split].n_samples
    return run.n_validation if split == "validation" else None


def is_reversed(a: ComparisonRow, b: ComparisonRow) -> bool:
    """Tell whether one of two runs has both the higher accuracy and the higher loss, of the same kind."""
    x, y = known_accuracy(a), known_accuracy(b)
    if x is None or y is None or a.loss is None or b.loss is None or a.loss_name != b.loss_name:
        return False
    return (x - y) * (a.loss - b.loss) > 0


def _knows_validation(run: RunData) -> bool:
    return "validation" in (*run.predictions, *run.regressions) or any(c.split == "validation" for c in run.curves)


def _labels(diagnoses: Sequence[Diagnosis]) -> Mapping[str, str]:
    """A name for each run id that no other run has."""
    count = Counter(d.run_name for d in diagnoses)
    return {d.run_id: d.run_name if count[d.run_name] == 1 else f"{d.run_name} ({d.run_id[:6]})" for d in diagnoses}


def _row(diagnosis: Diagnosis, label: str, split: Split) -> ComparisonRow:
    run = diagnosis.run
    row = _final_figures(run, label, split)
    test = _final_figures(run, label, "test")
    course = _course(run, split)
    return replace(
        row,
        test_accuracy=test.accuracy,
        test_loss=test.loss,
        verdict=diagnosis.verdict,
        discrepancy=diagnosis.discrepancy,
        best_step=None if course is None else course.smoothed_best_step,
        last_step=None if course is None else course.last_step,
        step_unit=None if course is None else course.step_unit,
        findings=tuple(f.code for f in diagnosis.flagged),
    )


def _final_figures(run: RunData, label: str, split: Split) -> ComparisonRow:
    """A row with the figures of one split: of the predictions where they are known, else the last ones logged."""
    summary, numbers = run.predictions.get(split), run.regressions.get(split)
    quality, loss = quality_curve(run, split), loss_curve(run, split)
    row = ComparisonRow(
        run_id=run.run_id,
        name=label,
        split=None if all(known is None for known in (summary, numbers, quality, loss)) else split,
        accuracy=float(quality.value[-1]) if quality is not None and len(quality) else None,
        loss=float(loss.value[-1]) if loss is not None and len(loss) else None,
        loss_name="" if loss is None else loss.metric.name,
        loss_after_temperature=None,
        test_accuracy=None,
        test_loss=None,
        verdict="not_enough_information",
        discrepancy="not_enough_information",
        best_step=None,
        last_step=None,
        step_unit=None,
        findings=(),
        quality_name="accuracy" if quality is None else quality.metric.name,
    )
    if summary is None and numbers is not None:
        r2 = numbers.r2 if isfinite(numbers.r2) else None
        return replace(row, accuracy=r2, quality_name="r2", loss=numbers.mse, loss_name="mean_squared_error")
    if summary is None:
        return row
    return replace(
        row,
        accuracy=summary.accuracy,
        loss=summary.log_loss,
        loss_name="log_loss",
        loss_after_temperature=summary.refinement_loss,
        quality_name="accuracy",
    )


def _course(run: RunData, split: Split) -> CurveSummary | None:
    curve = loss_curve(run, split)
    return None if curve is None or len(curve) < 2 or not is_over_steps(curve) else summarize_curve(curve)


def _rank(row: ComparisonRow) -> tuple[bool, float, float, str]:
    """Accuracy first, loss among equals; what is not known or not finite last."""
    accuracy = known_accuracy(row)
    loss = row.loss if row.loss is not None and isfinite(row.loss) else float("inf")
    return accuracy is None, -(accuracy or 0.0), loss, row.name
