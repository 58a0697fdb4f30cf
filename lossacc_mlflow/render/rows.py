"""The tables that several outputs share, as rows of text: curves, predictions, bounds, runs, findings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lossacc_mlflow.curves import held_out_split
from lossacc_mlflow.records import (
    ComparisonRow,
    CurveSummary,
    Diagnosis,
    Finding,
    PairedComparison,
    Split,
)
from lossacc_mlflow.render.format import metric_words, score, shorten, signed, step_words
from lossacc_mlflow.render.words import DISCREPANCIES, GROUPS, VERDICTS
from lossacc_mlflow.wording import number, p_value, percent

__all__ = [
    "COMPARISON_COLUMNS",
    "MOST_TELLING",
    "SPLITS",
    "TABLE_COLUMNS",
    "CurveRow",
    "comparison_rows",
    "curve_rows",
    "flagged_first",
    "full_headline",
    "group_rows",
    "lacks_information",
    "pair_tests",
    "render_table",
    "seen_keys",
    "since",
]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
MOST_TELLING: tuple[Split, ...] = ("validation", "test", "train")
"""Splits in the order in which one of them speaks for a run."""
TABLE_COLUMNS = ("run", "accuracy", "loss", "verdict", "discrepancy", "best step")
COMPARISON_COLUMNS = (
    "model",
    "accuracy",
    "loss",
    "after temperature",
    "test accuracy",
    "test loss",
    "verdict",
    "discrepancy",
    "best step",
)

_LEVEL_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One curve in a table, ready to be read."""

    split: Split
    metric: str
    key: str
    n_points: str
    first: str
    best: str
    best_step: str
    smoothed_best: str
    smoothed_best_step: str
    last: str
    last_step: str


def curve_rows(curves: Iterable[CurveSummary]) -> tuple[CurveRow, ...]:
    """Write the figures of curves for a table, losses first and train before validation before test.

    Parameters
    ----------
    curves : iterable of CurveSummary

    Returns
    -------
    tuple of CurveRow
    """

    def rank(curve: CurveSummary) -> tuple[bool, bool, str, int]:
        return (curve.step_unit == "n_samples", "loss" not in curve.metric, curve.metric, SPLITS.index(curve.split))

    return tuple(_curve_row(c) for c in sorted(curves, key=rank) if c.n_points)


def _curve_row(curve: CurveSummary) -> CurveRow:
    first, best, smoothed, last = score(curve.metric, curve.first, curve.best, curve.smoothed_best, curve.last)
    return CurveRow(
        split=curve.split,
        metric=metric_words(curve.metric),
        key=shorten(curve.key),
        n_points=f"{curve.n_points:,}",
        first=first,
        best=best,
        best_step=step_words(curve.best_step, curve.step_unit),
        smoothed_best=smoothed,
        smoothed_best_step=step_words(curve.smoothed_best_step, curve.step_unit),
        last=last,
        last_step=step_words(curve.last_step, curve.step_unit),
    )


def flagged_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the flagged findings, errors before warnings before notes."""
    return tuple(sorted((f for f in findings if f.status == "flagged"), key=lambda f: _LEVEL_ORDER[f.level]))


def since(finding: Finding, curves: Sequence[CurveSummary] = ()) -> str:
    """Write since which step a finding holds, with the uncertainty of that step; empty where it has none."""
    if finding.step is None:
        return ""
    long_enough = [c for c in curves if c.last_step >= finding.step and c.n_points > 1]
    own = [c for c in long_enough if c.split == finding.split] or long_enough
    start = step_words(finding.step, own[0].step_unit if own else None)
    low, high = finding.step_interval or (finding.step, finding.step)
    return start if low == high else f"{start} (between {low:,} and {high:,})"


def full_headline(diagnosis: Diagnosis, default: str = "") -> str:
    """Say the headline of a run, or `default` where it has none, and that its training was stopped if it was."""
    return " ".join(filter(None, (diagnosis.headline or default, _stopped(diagnosis))))


def _stopped(diagnosis: Diagnosis) -> str:
    """Write in one sentence that a logger of ours stopped the training, and whose weights it kept; else nothing.

    The tags that say so are untrusted: what is no verdict and no number is left out.
    """
    tags = diagnosis.run.tags
    verdict = next((words for name, words in VERDICTS.items() if name == tags.get("lossacc.stopped")), None)
    steps = [tags.get(key, "") for key in ("lossacc.stopped_step", "lossacc.restored_step")]
    at, restored = (int(text) if text.isdecimal() and len(text) < 16 else None for text in steps)
    if verdict is None or at is None:
        return ""
    unit = diagnosis.curves[0].step_unit if diagnosis.curves else None
    end = f"; it ends with the weights of {step_words(restored, unit)}" if restored is not None else ""
    return (
        f"Training was stopped at {step_words(at, unit)}, at the first lasting sign of: {verdict.label.lower()}{end}."
    )


def lacks_information(diagnosis: Diagnosis) -> bool:
    """Tell whether a person has to log more, or to map a key, before this run can be judged."""
    return "not_enough_information" in {diagnosis.verdict, diagnosis.discrepancy}


def seen_keys(diagnosis: Diagnosis, limit: int = 20) -> tuple[str, str]:
    """Name the metric keys of a run.

    Returns
    -------
    understood, not_understood : str
        Comma-separated, with the number of those left out; empty where there is none.
    """
    understood = [f"{c.key or c.metric} ({c.split} {metric_words(c.metric)})" for c in diagnosis.curves if c.n_points]
    return _listed(understood, limit), _listed(diagnosis.run.other_keys, limit)


def _listed(names: Sequence[str], limit: int) -> str:
    shown = ", ".join(shorten(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit:,} more" if len(names) > limit else shown


def render_table(diagnoses: Iterable[Diagnosis]) -> list[tuple[str, ...]]:
    """Write one row for each run, under ``TABLE_COLUMNS``.

    Parameters
    ----------
    diagnoses : iterable of Diagnosis

    Returns
    -------
    list of tuple of str
        Accuracy and loss are those of the validation predictions, or where there are none the last values of the
        validation curves; plain text, not escaped for any markup.
    """
    return [_table_row(d) for d in diagnoses]


def _table_row(diagnosis: Diagnosis) -> tuple[str, ...]:
    split = held_out_split(diagnosis.run)
    held_out = [c for c in diagnosis.curves if c.split == split and c.n_points]
    loss = next((c for c in held_out if "loss" in c.metric or "error" in c.metric), None)
    accuracy = next((c for c in held_out if c is not loss and c.metric in {"accuracy", "r2"}), None)
    summary = diagnosis.run.predictions.get(split)
    return (
        shorten(diagnosis.run_name or diagnosis.run_id, 40),
        percent(summary.accuracy)
        if summary
        else score(accuracy.metric, accuracy.last)[0]
        if accuracy
        else number(None),
        number(summary.log_loss) if summary else score(loss.metric, loss.last)[0] if loss else number(None),
        VERDICTS[diagnosis.verdict].label,
        DISCREPANCIES[diagnosis.discrepancy].label,
        step_words(loss.smoothed_best_step, loss.step_unit)
        if loss and loss.n_points > 1 and loss.step_unit != "n_samples"
        else step_words(None),
    )


def comparison_rows(rows: Iterable[ComparisonRow]) -> list[tuple[str, ...]]:
    """Write one row for each run of a comparison, under ``COMPARISON_COLUMNS``."""
    return [
        (
            shorten(row.name or row.run_id, 40),
            *score(row.quality_name, row.accuracy),
            *score(row.loss_name, row.loss),
            number(row.loss_after_temperature),
            *score(row.quality_name, row.test_accuracy),
            *score(row.loss_name, row.test_loss),
            VERDICTS[row.verdict].label,
            DISCREPANCIES[row.discrepancy].label,
            step_words(row.best_step, row.step_unit),
        )
        for row in rows
    ]


def group_rows(pair: PairedComparison) -> tuple[tuple[str, str, str, str, str, str], ...]:
    """Write which samples make the loss difference of two models.

    Parameters
    ----------
    pair : PairedComparison

    Returns
    -------
    tuple of (group, n, mean loss of A, mean loss of B, contribution in nats, share of the difference)
        The share is not known where the losses are equal.
    """
    return tuple(
        (
            GROUPS[group.name],
            f"{group.n:,}",
            number(group.mean_loss_a),
            number(group.mean_loss_b),
            signed(group.contribution, "nats"),
            signed(group.contribution / pair.delta_loss if pair.delta_loss else None, "fraction"),
        )
        for group in pair.groups
    )


def pair_tests(pair: PairedComparison) -> tuple[tuple[str, str], ...]:
    """Write how certain the differences of two models are."""
    mid_p = f"; mid-p {p_value(pair.mcnemar_mid_p)}" if pair.n_samples < 1000 else ""
    many = pair.n_pairs > 1
    return (
        (
            "Accuracy, A minus B",
            f"{100 * pair.delta_accuracy:+.1f} points (exact McNemar {p_value(pair.mcnemar_p)}{mid_p})",
        ),
        ("Loss, A minus B", _loss_test(pair)),
        ("The same after each model's own temperature", signed(pair.delta_loss_after_temperature, "nats")),
        *(
            [
                (
                    f"Among {pair.n_pairs:,} pairs (Holm)",
                    f"accuracy {p_value(pair.mcnemar_p_holm)}; loss {p_value(pair.loss_p_holm)}",
                )
            ]
            if many
            else []
        ),
        (f"Is the difference in loss settled at 5 %{', among all pairs' * many}?", "yes" if pair.decided else "no"),
    )


def _loss_test(pair: PairedComparison) -> str:
    low, high = pair.delta_loss_ci95
    tests = f"paired t {p_value(pair.paired_t_p)}; Brier score {p_value(pair.brier_t_p)}"
    return f"{signed(pair.delta_loss, 'nats')}, 95 % interval {signed(low)} to {signed(high)} ({tests})"
