"""Every picture that a diagnosis or a comparison allows, as PNG by name, the most telling first."""

from collections.abc import Iterable, Mapping
from math import isfinite
from types import MappingProxyType

from lossacc_mlflow.plots import (
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
    plot_search,
    to_png,
)
from lossacc_mlflow.records import (
    Comparison,
    Diagnosis,
    LossBounds,
    PairedComparison,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    RunData,
    SamplePredictions,
)
from lossacc_mlflow.rules.base import JUDGED_SPLITS

__all__ = ["draw_comparison", "draw_diagnosis", "judged_samples"]

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
    judged = judged_samples(diagnosis)
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
    if run.search is not None:
        figures["search"] = plot_search(run.search)
    return {f"{name}.png": to_png(figure) for name, figure in figures.items()}


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


def judged_samples(diagnosis: Diagnosis) -> tuple[SamplePredictions, PredictionSummary] | None:
    """Choose the split that predictions are judged on.

    Parameters
    ----------
    diagnosis : Diagnosis

    Returns
    -------
    tuple of (SamplePredictions, PredictionSummary), or None
        None where the samples of no held-out split are known.
    """
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


def _most_telling(pairs: Iterable[PairedComparison]) -> list[PairedComparison]:
    """The pairs to draw: losses that contradict the accuracies first, settled before unsettled, large before small."""

    def rank(pair: PairedComparison) -> tuple[bool, bool, float]:
        size = abs(pair.delta_loss)
        return pair.delta_loss * pair.delta_accuracy > 0, pair.decided, size if isfinite(size) else 0.0

    differing = [p for p in pairs if any(g.contribution for g in p.groups if g.n)]
    return sorted(differing, key=rank, reverse=True)[:_MAX_ATTRIBUTIONS]


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
