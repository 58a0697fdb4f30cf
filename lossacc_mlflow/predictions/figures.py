"""Sums → the figures of a summary."""

from math import nan, sqrt
from typing import Any

import numpy as np

from lossacc_mlflow.calibration import expected_calibration_error_null
from lossacc_mlflow.clips import CLIPS
from lossacc_mlflow.predictions.sums import PredictionSums, huge_error_bound
from lossacc_mlflow.records import ClassSummary, ClippedLoss, FloatArray, PredictionSummary

__all__ = ["TOP_ONLY_NOTE", "summarize_sums"]

TOP_ONLY_NOTE = (
    "Only the answer and its confidence were given: what needs the probability of the true class is known where it "
    "follows from them, and NaN elsewhere."
)


def summarize_sums(sums: PredictionSums, *, notes: tuple[str, ...] = (), **temperature: Any) -> PredictionSummary:  # noqa: ANN401
    """Compute every figure.

    Parameters
    ----------
    sums : PredictionSums
        Of at least one sample with a weight.
    notes : tuple of str
        To append to those that the sums call for.
    **temperature
        Fields of the summary that took further passes.
    """
    n_classes = sums.n_classes or max(2, len(sums.names))
    total = sums.loss_correct + sums.loss_incorrect
    loss = total / sums.weight
    incorrect = sums.weight - sums.weight_correct
    known = sums.losses.n == sums.n
    top = 0.01 * sums.weight if sums.weighted else max(1, round(0.01 * sums.n))
    top_only = (TOP_ONLY_NOTE,) if np.isnan(sums.variance) else ()
    return PredictionSummary(
        n_samples=sums.n,
        n_classes=n_classes,
        accuracy=sums.weight_correct / sums.weight,
        log_loss=loss,
        brier=sums.brier / sums.weight,
        loss_correct=_ratio(sums.loss_correct, sums.weight_correct),
        loss_incorrect=_ratio(sums.loss_incorrect, _cleared(incorrect, sums.weight)),
        loss_share_incorrect=_share(sums.loss_incorrect, total),
        loss_share_top1pct=sums.losses.top_share(top) if known else nan,
        loss_gini=sums.losses.gini() if known else nan,
        mean_confidence=sums.confidence / sums.weight,
        confidence_incorrect=_ratio(sums.confidence_incorrect, _cleared(incorrect, sums.weight)),
        overconfidence_nats=sums.excess / sums.weight,
        overconfidence_z=_ratio(sums.excess, sqrt(sums.variance)),
        n_zero_probability=sums.n_zero,
        **_huge_errors(sums, n_classes, total),
        **_bin_figures(sums),
        **_class_figures(sums, loss),
        loss_by_clip=_clipped_losses(sums),
        classes=_class_summaries(sums, total),
        notes=sums.repairs.describe(sums.n) + top_only + notes,
        sums=sums,
        **temperature,
    )


def _huge_errors(sums: PredictionSums, n_classes: int, total: float) -> dict[str, Any]:
    """Samples so improbable that a calibrated model expects at most one of them."""
    huge = sums.improbable.below(huge_error_bound(sums.n, n_classes))
    return {"n_huge_errors": huge.n, "loss_share_huge_errors": _share(float(huge.amount.sum()), total)}


def _bin_figures(sums: PredictionSums) -> dict[str, Any]:
    """Confidence against hits: the reliability diagram, the ECE and what chance alone would show."""
    bins = sums.bins
    gap = (bins.confidence - bins.correct) / sums.weight
    expected, q95 = expected_calibration_error_null(bins.weight, bins.variance)
    return {
        "ece": float(np.abs(gap).sum()),
        "ece_expected": expected,
        "ece_q95": q95,
        "ece_overconfident": float(gap[gap > 0].sum()),
        "ece_underconfident": float(-gap[gap < 0].sum()),
        "bin_count": tuple(int(c) for c in bins.count),
        "bin_confidence": tuple(_ratios(bins.confidence, bins.weight).tolist()),
        "bin_accuracy": tuple(_ratios(bins.correct, bins.weight).tolist()),
    }


def _class_figures(sums: PredictionSums, loss: float) -> dict[str, Any]:
    """What the class shares explain: majority and balanced accuracy, macro-F1, and the loss of the shares."""
    classes = sums.classes
    present = classes.weight > 0
    used = present | (classes.weight_predicted > 0)
    share = classes.weight[present] / sums.weight
    prior_loss = max(0.0, float(-(share * np.log(share)).sum()))
    f1 = 2 * classes.hits[used] / (classes.weight[used] + classes.weight_predicted[used])
    return {
        "majority_accuracy": float(classes.weight.max()) / sums.weight,
        "balanced_accuracy": float((classes.hits[present] / classes.weight[present]).mean()),
        "f1_macro": float(f1.mean()),
        "prior_loss": prior_loss,
        "skill": 1 - loss / prior_loss if prior_loss > 0 else nan,
    }


def _class_summaries(sums: PredictionSums, total: float) -> tuple[ClassSummary, ...]:
    classes = sums.classes
    columns = (
        classes.count.astype(np.int64),
        classes.count_predicted.astype(np.int64),
        _ratios(classes.hits, classes.weight),
        _ratios(classes.hits, classes.weight_predicted),
        _ratios(2 * classes.hits, classes.weight + classes.weight_predicted),
        _ratios(classes.loss, classes.weight),
        classes.loss / total if total > 0 or np.isnan(total) else np.zeros(len(classes.loss)),
    )
    return tuple(ClassSummary(*row) for row in zip(sums.names, *(c.tolist() for c in columns), strict=True))


def _clipped_losses(sums: PredictionSums) -> tuple[ClippedLoss, ...]:
    return tuple(
        ClippedLoss(name, clip, float(total / sums.weight))
        for (name, clip), total in zip(CLIPS.items(), sums.by_clip, strict=True)
    )


def _cleared(difference: float, scale: float) -> float:
    """A difference of sums, 0 where it is nothing but rounding."""
    return difference if difference > 1e-12 * scale else 0.0


def _ratio(part: float, whole: float) -> float:
    """NaN of nothing."""
    return part / whole if whole > 0 else nan


def _share(part: float, whole: float) -> float:
    """0 of nothing; NaN of what is not known."""
    return part / whole if whole > 0 or np.isnan(whole) else 0.0


def _ratios(part: FloatArray, whole: FloatArray) -> FloatArray:
    ratios: FloatArray = np.divide(part, whole, out=np.full(len(whole), nan), where=whole > 0)
    return ratios
