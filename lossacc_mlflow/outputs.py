"""All that a diagnosis or a comparison leaves behind: pictures, tables, report, metrics, tags and note."""

from collections.abc import Iterable, Mapping
from math import isfinite, isnan
from types import MappingProxyType

from lossacc_mlflow import __version__
from lossacc_mlflow.curves import held_out_split, is_over_steps, loss_curve, quality_curve, summarize_curve
from lossacc_mlflow.keys import OWN_PREFIX
from lossacc_mlflow.plots import (
    fit_pngs,
    plot_attribution,
    plot_calibration,
    plot_class_loss,
    plot_confidence,
    plot_confusion,
    plot_curves,
    plot_curves_overlay,
    plot_loss_accuracy_plane,
    plot_loss_concentration,
    plot_predictions_by_step,
    plot_regression,
    plot_reliability,
    shrink_png,
    to_png,
)
from lossacc_mlflow.records import (
    Artifact,
    Comparison,
    Curve,
    Diagnosis,
    LossBounds,
    PairedComparison,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    RunData,
    RunUpdate,
    SamplePredictions,
)
from lossacc_mlflow.render import (
    PAGE_LIMIT,
    notebook_frame,
    render_comparison_csv,
    render_comparison_json,
    render_comparison_note,
    render_comparison_report,
    render_diagnostics_table,
    render_json,
    render_note,
    render_pairs_csv,
    render_report,
    render_suspected_labels_csv,
    render_worst_predictions_csv,
)
from lossacc_mlflow.rules.base import JUDGED_SPLITS
from lossacc_mlflow.smoothing import shape_of

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

KIND_COMPARISON = "comparison"
"""Value of the tag ``lossacc.kind`` on an experiment's comparison run."""

_NOTE_WIDTH = 780
_SHOWN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "predictions_by_step": frozenset({"DIS001", "DIS002"}),
        "calibration": frozenset({"DIS003", "DIS004", "DIS006"}),
        "reliability": frozenset({"DIS006"}),
        "confidence": frozenset({"DIS003", "DIS004"}),
        "loss_concentration": frozenset({"DIS005", "DIS008", "DIS009"}),
        "class_loss": frozenset({"DIS007"}),
    }
)
"""Which picture of predictions shows which findings."""
_MAX_ATTRIBUTIONS = 4
_CAPTION_ROOM = 1_200
"""Bytes of a page that the words around one picture take at most."""
_HEADLINES = ("curves", "loss_accuracy_plane", "predictions_by_step", "calibration", "reliability", "regression")
"""Pictures that MLflow's image grid shows; all are among the artifacts and in the report."""
_ONSET_CODES = ("FIT001", "FIT002", "TRN002", "DIS001")


def draw_diagnosis(diagnosis: Diagnosis) -> dict[str, bytes]:
    """Draw every picture that the run allows.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    dict of str to bytes
        PNG by file name, the most telling first; a run without curves has no ``curves.png``, one without predictions
        no reliability diagram.
    """
    run, figures = diagnosis.run, {}
    if run.curves:
        figures["curves"] = plot_curves(diagnosis)
    if diagnosis.bounds:
        splits = {str(split): bounds for split, bounds in diagnosis.bounds.items()}
        figures["loss_accuracy_plane"] = plot_loss_accuracy_plane(splits, title=diagnosis.run_name)
    codes = {name: [f.code for f in diagnosis.flagged if f.code in shown] for name, shown in _SHOWN.items()}
    if run.by_step:
        figures["predictions_by_step"] = plot_predictions_by_step(run.by_step, codes=codes["predictions_by_step"])
    if run.predictions:
        figures["calibration"] = plot_calibration(run.predictions, codes=codes["calibration"])
    judged = _judged_samples(diagnosis)
    if judged is not None:
        samples, summary = judged
        title = f"Is it right as often as it is sure? ({samples.split})"
        figures["reliability"] = plot_reliability(summary, title=title, codes=codes["reliability"])
        figures["confidence"] = plot_confidence(samples, codes=codes["confidence"])
        figures["loss_concentration"] = plot_loss_concentration(samples, summary, codes=codes["loss_concentration"])
        if summary.classes:
            figures["class_loss"] = plot_class_loss(summary, samples.split, codes=codes["class_loss"])
        figures["confusion"] = plot_confusion(samples)
    numbers = _judged_regression(run)
    if numbers is not None:
        figures["regression"] = plot_regression(*numbers)
    return {f"{name}.png": to_png(figure) for name, figure in figures.items()}


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """Render the report of one run for a notebook.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    str
        An HTML frame.
    """
    return notebook_frame(_report(diagnosis, draw_diagnosis(diagnosis)))


def run_update(diagnosis: Diagnosis) -> RunUpdate:
    """Collect all that is to be written to a diagnosed run.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    RunUpdate
        Only the tag ``lossacc.status`` where nothing was known about the run.
    """
    run = diagnosis.run
    if not (run.curves or run.predictions or run.by_step or run.regressions):
        seen = ", ".join(run.other_keys[:10]) or "none"
        return RunUpdate(tags={"lossacc.status": f"nothing to judge: no known metric (keys seen: {seen})"[:500]})
    pictures = draw_diagnosis(diagnosis)
    files = {
        "report.html": _report(diagnosis, pictures),
        "findings.json": render_json(diagnosis),
        "diagnostics.json": render_diagnostics_table(diagnosis),
    }
    judged = _judged_samples(diagnosis)
    if judged is not None:
        files["worst_predictions.csv"] = render_worst_predictions_csv(*judged)
        if judged[0].label_issue is not None and judged[0].label_issue.any():
            files["suspected_labels.csv"] = render_suspected_labels_csv(*judged)
    note_picture = _note_picture(pictures, "curves.png", "calibration.png", "regression.png", "predictions_by_step.png")
    return RunUpdate(
        metrics=headline_metrics(diagnosis),
        tags={
            "lossacc.verdict": diagnosis.verdict,
            "lossacc.discrepancy": diagnosis.discrepancy,
            "lossacc.findings": ",".join(f.code for f in diagnosis.flagged),
            "lossacc.status": "ok",
            "lossacc.version": __version__,
            "lossacc.fingerprint": run.fingerprint,
        },
        note=render_note(diagnosis, picture=note_picture[0].path if note_picture else None),
        artifacts=(*_artifacts(files, pictures), *note_picture),
        tables=(f"{OWN_PREFIX}diagnostics.json",),
        images=_grid(pictures),
    )


def headline_metrics(diagnosis: Diagnosis) -> dict[str, float]:
    """Compute the at most fifteen ``lossacc/`` metrics of a run.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    dict of str to float
        Finite values only: what is not known is left out.
    """
    run = diagnosis.run
    held_out = held_out_split(run)
    loss, quality = loss_curve(run, held_out), quality_curve(run, held_out)
    judged = next((run.predictions[s] for s in JUDGED_SPLITS if s in run.predictions), None)
    metrics: dict[str, float | None] = {
        **_best("loss", loss),
        **_best("r2" if quality is not None and quality.metric.name == "r2" else "accuracy", quality),
        "generalization_gap_loss": _gap(loss, loss_curve(run, "train")),
        "generalization_gap_accuracy": _gap(quality, quality_curve(run, "train")),
        "onset_step": next((f.step for f in diagnosis.flagged if f.code in _ONSET_CODES), None),
        "n_flagged": len(diagnosis.flagged),
    }
    numbers = next((run.regressions[s] for s in JUDGED_SPLITS if s in run.regressions), None)
    if numbers is not None:
        metrics.setdefault("best_r2", numbers.r2)
        metrics.setdefault("best_loss", numbers.mse)
    if judged is not None:
        metrics.setdefault("best_loss", judged.log_loss)
        metrics.setdefault("best_accuracy", judged.accuracy)
        for name in ("loss_correct", "loss_incorrect", "loss_share_incorrect", "ece", "temperature"):
            metrics[name] = getattr(judged, name)
        metrics["calibration_loss"] = judged.calibration_loss
        metrics["refinement_loss"] = judged.refinement_loss
    return {OWN_PREFIX + name: float(value) for name, value in metrics.items() if value is not None and isfinite(value)}


def draw_comparison(comparison: Comparison) -> dict[str, bytes]:
    """Draw every picture that the compared runs allow.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict of str to bytes
        PNG by file name.
    """
    pictures = {}
    if any(d.run.curves for d in comparison.diagnoses):
        pictures["curves_overlay.png"] = to_png(plot_curves_overlay(comparison))
    bounds = _bounds_by_name(comparison)
    if bounds:
        pictures["loss_accuracy_plane.png"] = to_png(plot_loss_accuracy_plane(bounds, title=comparison.name))
    for place, pair in enumerate(_most_telling(comparison.pairs), start=1):
        pictures[f"attribution{f'_{place}' if place > 1 else ''}.png"] = to_png(plot_attribution(pair))
    return pictures


def comparison_html(comparison: Comparison) -> str:
    """Render the comparison for a notebook.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        An HTML frame.
    """
    return notebook_frame(comparison_page(comparison))


def comparison_page(comparison: Comparison) -> str:
    """Render the comparison as one self-contained page.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
    """
    return _comparison_report(comparison, draw_comparison(comparison))


def comparison_update(comparison: Comparison, run_id: str) -> RunUpdate:
    """Collect all that is to be written to an experiment's comparison run.

    Parameters
    ----------
    comparison : Comparison
    run_id : str
        The comparison run.

    Returns
    -------
    RunUpdate
    """
    pictures = draw_comparison(comparison)
    files = {
        "comparison.html": _comparison_report(comparison, pictures),
        "comparison.json": render_comparison_json(comparison),
        "comparison.csv": render_comparison_csv(comparison),
        "pairs.csv": render_pairs_csv(comparison),
    }
    note_picture = _note_picture(pictures, "loss_accuracy_plane.png", "curves_overlay.png")
    return RunUpdate(
        tags={"lossacc.kind": KIND_COMPARISON, "lossacc.status": "ok", "lossacc.version": __version__},
        note=render_comparison_note(comparison, run_id=run_id, picture=note_picture[0].path if note_picture else None),
        artifacts=(*_artifacts(files, pictures), *note_picture),
        images=_grid(pictures),
    )


def _most_telling(pairs: Iterable[PairedComparison]) -> list[PairedComparison]:
    """The pairs to draw: losses that contradict the accuracies first, settled before unsettled, large before small."""

    def rank(pair: PairedComparison) -> tuple[bool, bool, float]:
        size = abs(pair.delta_loss)
        return pair.delta_loss * pair.delta_accuracy > 0, pair.decided, size if isfinite(size) else 0.0

    differing = [p for p in pairs if any(g.contribution for g in p.groups if g.n)]
    return sorted(differing, key=rank, reverse=True)[:_MAX_ATTRIBUTIONS]


def _report(diagnosis: Diagnosis, pictures: Mapping[str, bytes]) -> str:
    """The page about a run, its pictures in as few colours as they need to fit all."""
    words = render_report(diagnosis, {}, version=__version__)
    return render_report(diagnosis, _fitting(pictures, words), version=__version__)


def _comparison_report(comparison: Comparison, pictures: Mapping[str, bytes]) -> str:
    """The page about several runs, likewise."""
    words = render_comparison_report(comparison, {}, version=__version__)
    return render_comparison_report(comparison, _fitting(pictures, words), version=__version__)


def _fitting(pictures: Mapping[str, bytes], words: str) -> dict[str, bytes]:
    """Pictures that fit into a page beside its words; base64 makes four bytes of three."""
    room = PAGE_LIMIT - len(words.encode()) - _CAPTION_ROOM * len(pictures)
    return fit_pngs(pictures, max(0, room) * 3 // 4)


def _judged_samples(diagnosis: Diagnosis) -> tuple[SamplePredictions, PredictionSummary] | None:
    """Samples and summary of the split that predictions are judged on."""
    run = diagnosis.run
    for split in JUDGED_SPLITS:
        if split in run.samples and split in run.predictions:
            return run.samples[split], run.predictions[split]
    return None


def _judged_regression(run: RunData) -> tuple[RegressionSamples, RegressionSummary] | None:
    """Samples and summary of the split that predicted numbers are judged on."""
    for split in JUDGED_SPLITS:
        if split in run.regression_samples and split in run.regressions:
            return run.regression_samples[split], run.regressions[split]
    return None


def _bounds_by_name(comparison: Comparison) -> Mapping[str, LossBounds]:
    """The bounds of every run on the first judged split, for the class count that most runs share."""
    labels = {row.run_id: row.name for row in comparison.rows}
    found = {
        labels[d.run_id]: next(d.bounds[s] for s in JUDGED_SPLITS if s in d.bounds)
        for d in comparison.diagnoses
        if any(s in d.bounds for s in JUDGED_SPLITS)
    }
    counts = [b.n_classes for b in found.values()]
    shared = max(set(counts), key=counts.count, default=0)
    return {name: b for name, b in found.items() if b.n_classes == shared}


def _best(name: str, curve: Curve | None) -> dict[str, float]:
    """Best value and its step; scores against training-set size have a last value and no step."""
    if curve is None or shape_of(curve) is None:
        return {}
    summary = summarize_curve(curve)
    if not is_over_steps(curve):
        return {f"best_{name}": summary.last}
    return {f"best_{name}": summary.best, f"best_{name}_step": summary.best_step}


def _gap(validation: Curve | None, train: Curve | None) -> float | None:
    """How much worse validation ends than train, positive whatever the metric's direction."""
    if validation is None or train is None or validation.metric != train.metric:
        return None
    ends = shape_of(validation), shape_of(train)
    if ends[0] is None or ends[1] is None:
        return None
    gap = ends[0].end - ends[1].end
    return None if isnan(gap) else -gap if validation.metric.greater_is_better else gap


def _artifacts(files: Mapping[str, str], pictures: Mapping[str, bytes]) -> tuple[Artifact, ...]:
    texts = [Artifact(OWN_PREFIX + name, text.encode()) for name, text in files.items()]
    return (*texts, *(Artifact(OWN_PREFIX + name, body) for name, body in pictures.items()))


def _grid(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    """The headline pictures for MLflow's image grid; its keys must not hold a slash."""
    names = {name: name.removesuffix(".png") for name in pictures}
    return {f"lossacc_{names[name]}": body for name, body in pictures.items() if names[name] in _HEADLINES}


def _note_picture(pictures: Mapping[str, bytes], *names: str) -> tuple[Artifact, ...]:
    """A copy of the first of these pictures, small enough for MLflow's notes, which cut wide pictures off."""
    found = next((pictures[name] for name in names if name in pictures), None)
    return () if found is None else (Artifact(f"{OWN_PREFIX}note.png", shrink_png(found, _NOTE_WIDTH)),)
