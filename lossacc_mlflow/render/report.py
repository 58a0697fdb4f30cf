"""The page about one run: verdict first, then evidence, pictures, predictions and what to do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossacc_mlflow.records import CurveSummary, Diagnosis, Finding, PredictionSummary, SamplePredictions
from lossacc_mlflow.render.format import metric_words, one_line, quantity, score, shorten, step_words, temperature_words
from lossacc_mlflow.render.page import cards, count_outcomes, render_page
from lossacc_mlflow.render.prediction_rows import bounds_rows, loss_identity, prediction_groups
from lossacc_mlflow.render.prediction_tables import prediction_tables
from lossacc_mlflow.render.rows import (
    MOST_TELLING,
    SPLITS,
    curve_rows,
    flagged_first,
    full_headline,
    lacks_information,
    seen_keys,
)
from lossacc_mlflow.render.sheets import suspected_labels, worst_predictions
from lossacc_mlflow.render.words import DISCREPANCIES, KEY_ADVICE, VERDICTS
from lossacc_mlflow.wording import number, percent

__all__ = ["render_report"]

_MAX_WORST = 15
_MAX_CURVES = 60


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number at the top of the page."""

    label: str
    value: str
    detail: str


def render_report(diagnosis: Diagnosis, pictures: Mapping[str, bytes], *, version: str = "") -> str:
    """Write ``report.html`` for one run.

    Parameters
    ----------
    diagnosis : Diagnosis
    pictures : mapping of str to bytes
        PNG (or SVG) by name, ``curves`` or ``lossacc/curves.png``, in the order in which they are to be shown. The
        last ones are replaced by a message where the page would exceed ``PAGE_LIMIT``.
    version : str
        Version of this package, for the foot of the page.

    Returns
    -------
    str
        One HTML document of at most ``PAGE_LIMIT`` bytes in UTF-8. Everything that comes from the run is escaped.
    """
    understood, other = seen_keys(diagnosis)
    context = {
        "name": shorten(diagnosis.run_name, 120) or "unnamed run",
        "run_id": shorten(diagnosis.run_id),
        "verdict": VERDICTS[diagnosis.verdict],
        "discrepancy": DISCREPANCIES[diagnosis.discrepancy],
        "headline": full_headline(diagnosis),
        "figures": _key_figures(diagnosis),
        "cards": cards(diagnosis.findings, diagnosis.curves),
        "counts": count_outcomes(diagnosis.findings),
        "lacks_information": lacks_information(diagnosis),
        "understood": understood,
        "other_keys": other,
        "warnings": [one_line(warning) for warning in diagnosis.run.warnings],
        "key_advice": KEY_ADVICE,
        "curves": curve_rows(diagnosis.curves)[:_MAX_CURVES],
        **_predictions(diagnosis),
        "tables": prediction_tables(diagnosis.run),
        "bounds": _bounds(diagnosis),
        "worst": _worst(diagnosis),
        "suspected": _suspected(diagnosis),
        "advice": _advice(flagged_first(diagnosis.findings)),
        "findings": diagnosis.findings,
        "version": version,
    }
    return render_page("report.html", context, pictures)


def _predictions(diagnosis: Diagnosis) -> dict[str, Any]:
    """Summaries side by side, one column a split, and what right and wrong answers add to each loss."""
    known = [(s, diagnosis.run.predictions[s]) for s in SPLITS if s in diagnosis.run.predictions]
    return {
        "splits": [split for split, _ in known],
        "identities": [(split, loss_identity(p), p.loss_share_incorrect) for split, p in known],
        "prediction_groups": prediction_groups([p for _, p in known]),
    }


def _advice(flagged: Iterable[Finding]) -> list[tuple[str, str]]:
    """Each advice once, with the codes that give it."""
    codes: dict[str, list[str]] = {}
    for finding in flagged:
        if advice := one_line(finding.advice):
            codes.setdefault(advice, []).append(finding.code)
    return [(advice, ", ".join(given)) for advice, given in codes.items()]


def _key_figures(diagnosis: Diagnosis) -> list[_Figure]:
    """At most four numbers: the best loss and accuracy, who carries the loss, and the temperature."""
    run = diagnosis.run
    figures = [_curve_figure(c) for c in _headline_curves(diagnosis.curves)]
    summary = next((run.predictions[s] for s in MOST_TELLING if s in run.predictions), None)
    numbers = next((run.regressions[s] for s in MOST_TELLING if s in run.regressions), None)
    if summary is None and numbers is not None:
        of_target = f"{percent(numbers.rmse_over_sd)} of the standard deviation"
        residual = percent(numbers.mse_residual / numbers.mse if numbers.mse > 0 else None)
        figures.append(_Figure("R²", number(numbers.r2), f"RMSE {number(numbers.rmse)}, {of_target}"))
        figures.append(_Figure("Unexplained", residual, "of the squared error no straight line removes"))
    if summary is None:
        return figures
    if not figures:
        figures.append(_Figure("Log loss", number(summary.log_loss), f"over {summary.n_samples:,} predictions"))
        figures.append(
            _Figure("Accuracy", percent(summary.accuracy), f"largest class {percent(summary.majority_accuracy)}")
        )
    wrong = f"comes from the {percent(1 - summary.accuracy)} wrong answers"
    figures.append(_Figure("Share of the loss", percent(summary.loss_share_incorrect), wrong))
    if summary.temperature is not None:
        figures.append(_Figure("Best temperature", number(summary.temperature), temperature_words(summary.temperature)))
    return figures


def _headline_curves(curves: Sequence[CurveSummary]) -> list[CurveSummary]:
    """One loss and one accuracy, of the split that says most."""
    known = [c for c in curves if c.n_points]
    known.sort(key=lambda c: (MOST_TELLING.index(c.split), c.step_unit == "n_samples"))
    losses = [c for c in known if "loss" in c.metric or "error" in c.metric]
    others = [c for c in known if c not in losses]
    return losses[:1] + others[:1]


def _curve_figure(curve: CurveSummary) -> _Figure:
    best, last = score(curve.metric, curve.best, curve.last)  # as `lossacc/best_*`: never worse than the end
    name = f"{curve.split} {metric_words(curve.metric)}"
    if curve.n_points == 1:
        return _Figure(name[0].upper() + name[1:], last, "a single point")
    return _Figure(f"Best {name}", best, f"at {step_words(curve.best_step, curve.step_unit)}; {last} at the end")


def _bounds(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """Bounds side by side, one column a split."""
    known = [(s, diagnosis.bounds[s]) for s in SPLITS if s in diagnosis.bounds]
    if not known:
        return None
    columns = [bounds_rows(b) for _, b in known]
    return {
        "heads": [(s, *score("accuracy", b.accuracy), number(b.loss)) for s, b in known],
        "rows": [(cells[0][0], [value for _, value in cells]) for cells in zip(*columns, strict=True)],
        "n_classes": f"{known[0][1].n_classes:,}",
        "loss_max": quantity(known[0][1].loss_max, "nats") if known[0][1].clip else "",
    }


def _worst(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """The worst predictions of the split that models are chosen by."""
    judged = _judged_samples(diagnosis)
    if judged is None:
        return None
    worst = worst_predictions(judged[0], _MAX_WORST)
    rows = [
        {
            "sample": shorten(w.sample_id, 40),
            "truth": shorten(w.y_true, 40),
            "answer": shorten(w.y_pred, 40),
            "is_right": w.y_true == w.y_pred,
            "is_suspected": bool(w.label_issue),
            "figures": (number(w.p_true), percent(w.confidence), number(w.loss), percent(w.loss_share)),
        }
        for w in worst
    ]
    return {"split": judged[0].split, "rows": rows}


def _suspected(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """Suspected label errors on the same split, and how much of the loss hangs on them."""
    judged = _judged_samples(diagnosis)
    if judged is None or not judged[1].n_label_issues:
        return None
    samples, summary = judged
    rows = [
        {
            "sample": shorten(s.sample_id, 40),
            "given": shorten(s.given_label, 40),
            "suggested": shorten(s.suggested_label, 40),
            "figures": (number(s.p_true), percent(s.confidence), number(s.loss), percent(s.loss_share)),
        }
        for s in suspected_labels(samples, _MAX_WORST)
    ]
    return {
        "split": samples.split,
        "n": f"{summary.n_label_issues:,}",
        "n_samples": f"{summary.n_samples:,}",
        "loss_share": percent(summary.loss_share_label_issues),
        "rows": rows,
    }


def _judged_samples(diagnosis: Diagnosis) -> tuple[SamplePredictions, PredictionSummary] | None:
    """Samples and summary of the split that models are chosen by."""
    run = diagnosis.run
    split = next((s for s in SPLITS[1:] if s in run.samples and s in run.predictions), None)
    return None if split is None else (run.samples[split], run.predictions[split])
