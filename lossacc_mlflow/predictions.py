"""Summaries of predicted probabilities: every figure that explains a log loss, from labels and probabilities."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.calibration import CalibrationSplit, expected_calibration_error_null, split_loss
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import (
    FloatArray,
    IntArray,
    Predictions,
    PredictionSummary,
    SamplePredictions,
    Split,
)

__all__ = ["N_BINS", "judge_predictions", "make_predictions", "sample_losses", "summarize_predictions"]

N_BINS = 15
"""Equal-width confidence bins (lo, hi] of the reliability diagram and of the ECE (Guo et al. 2017)."""

_SUM_TOLERANCE = 1e-3
_ROUNDING = 1e-6


def make_predictions(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    split: Split = "validation",
    labels: Sequence[object] | None = None,
    sample_id: Sequence[object] | None = None,
) -> Predictions:
    """Check labels and probabilities and bring them into one form.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Class labels; integers 0 to K-1, or members of ``labels``. Other labels (strings, say) are matched to the
        columns in sorted order, as scikit-learn does.
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
        Probabilities; one column holds the probability of the second of two classes.
    split : {"train", "validation", "test"}
    labels : sequence of length n_classes, optional
        The class of each column.
    sample_id : sequence of length n_samples, optional

    Returns
    -------
    Predictions
        Probabilities keep their floating dtype. Rows that miss 1 by rounding (up to 1e-3) are renormalised.

    Raises
    ------
    PredictionsError
        If shapes do not fit, values are NaN, negative or no probabilities, or a label has no column.

    Examples
    --------
    >>> make_predictions(["no", "yes"], [0.25, 0.75]).classes
    ('no', 'yes')
    """
    proba = _checked_probabilities(y_proba)
    truth = np.asarray(y_true)
    if truth.ndim != 1 or len(truth) != len(proba):
        raise PredictionsError(
            f"y_true has shape {truth.shape}, y_proba has {len(proba)} rows: give one class label a row."
        )
    index, classes = _encode_labels(truth, proba.shape[1], labels)
    if sample_id is not None and len(sample_id) != len(proba):
        raise PredictionsError(f"sample_id has {len(sample_id)} entries for {len(proba)} samples: give one a sample.")
    ids = None if sample_id is None else tuple(str(s) for s in sample_id)
    return Predictions(split=split, y_true=index, y_proba=proba, classes=classes, sample_id=ids)


def summarize_predictions(
    y_true: ArrayLike, y_proba: ArrayLike, *, temperature: bool = True, labels: Sequence[object] | None = None
) -> PredictionSummary:
    """Summarise labels and probabilities.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    y_proba : array-like of shape (n_samples, n_classes) or (n_samples,)
    temperature : bool
        Whether to fit a temperature and split the loss into calibration and refinement, which takes further passes.
    labels : sequence of length n_classes, optional

    Returns
    -------
    PredictionSummary

    Raises
    ------
    PredictionsError
        See :func:`make_predictions`.

    Examples
    --------
    >>> summary = summarize_predictions([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> round(summary.accuracy, 3), round(summary.log_loss, 4), round(summary.loss_incorrect, 4)
    (0.667, 0.4149, 0.9163)
    """
    return judge_predictions(make_predictions(y_true, y_proba, labels=labels), temperature=temperature)[0]


def judge_predictions(
    predictions: Predictions, *, temperature: bool = True
) -> tuple[PredictionSummary, SamplePredictions]:
    """Compute the summary and what is kept of every sample.

    Parameters
    ----------
    predictions : Predictions
    temperature : bool
        Whether to fit a temperature; without it the samples keep their own probability.

    Returns
    -------
    summary : PredictionSummary
    samples : SamplePredictions
    """
    truth, proba = predictions.y_true, predictions.y_proba
    n, n_classes = proba.shape
    rows = np.arange(n)
    predicted = proba.argmax(axis=1)
    confidence = proba[rows, predicted].astype(np.float64)
    p_true = proba[rows, truth].astype(np.float64)
    # scikit-learn's clip, so that our log loss is the one that users already know.
    eps = float(np.finfo(proba.dtype).eps)
    loss = _clipped_loss(p_true, eps)
    brier = (proba.astype(np.float64) ** 2).sum(axis=1) - 2 * p_true + 1
    split = split_loss(np.log(np.clip(proba, eps, None)), truth) if temperature else None
    correct = predicted == truth
    figures: dict[str, Any] = {
        "n_samples": n,
        "n_classes": n_classes,
        "brier": float(brier.mean()),
        "n_zero_probability": int(np.count_nonzero(p_true <= 0)),
        **_loss_figures(loss, correct),
        **_huge_error_figures(loss, p_true, n_classes),
        **_confidence_figures(confidence, correct),
        **_spiegelhalter(proba, loss, eps),
        **_label_figures(truth, predicted, n_classes, float(loss.mean())),
        **({} if split is None else _temperature_figures(split, correct)),
    }
    samples = SamplePredictions(
        split=predictions.split,
        sample_id=predictions.sample_id or tuple(map(str, range(n))),
        y_true=truth,
        y_pred=predicted,
        p_true=p_true,
        confidence=confidence,
        p_true_after_temperature=p_true if split is None else np.exp(-split.loss_after),
        brier=brier,
        classes=predictions.classes,
    )
    return PredictionSummary(**figures), samples


def sample_losses(samples: SamplePredictions, log_loss: float | None = None) -> FloatArray:
    """Return the log loss of every sample.

    Parameters
    ----------
    samples : SamplePredictions
    log_loss : float, optional
        Their mean, as it was computed from the probabilities; it tells which float type they had, and so where they
        were clipped. float64 by default.

    Returns
    -------
    ndarray of float64, shape (n_samples,)
    """
    kinds = (np.float64, np.float32, np.float16)
    candidates = [_clipped_loss(samples.p_true, float(np.finfo(kind).eps)) for kind in kinds]
    if log_loss is None or not len(samples):
        return candidates[0]
    return min(candidates, key=lambda loss: abs(float(loss.mean()) - log_loss))


def _clipped_loss(p_true: FloatArray, eps: float) -> FloatArray:
    loss: FloatArray = -np.log(np.clip(p_true, eps, 1.0 - eps))
    return loss


def _checked_probabilities(y_proba: ArrayLike) -> NDArray[np.floating[Any]]:
    """Probabilities of shape (n_samples, n_classes), valid, in a floating dtype."""
    try:
        proba = np.asarray(y_proba)
        proba = proba if np.issubdtype(proba.dtype, np.floating) else proba.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"y_proba holds values that are no numbers: {error}") from error
    if proba.ndim == 1:
        proba = np.column_stack([1 - proba, proba])
    elif proba.ndim == 2 and proba.shape[1] == 1:
        proba = np.hstack([1 - proba, proba])
    if proba.ndim != 2 or len(proba) == 0:
        raise PredictionsError(
            f"y_proba has shape {proba.shape}; wanted (n_samples, n_classes) with at least one sample, or "
            "(n_samples,) for two classes."
        )
    if not np.isfinite(proba).all():
        raise PredictionsError(
            f"{np.count_nonzero(~np.isfinite(proba).all(axis=1))} of {len(proba)} rows of y_proba hold NaN or "
            "infinity: the model diverged, or logits overflowed. Leave these rows out or mend the model."
        )
    total = proba.sum(axis=1, dtype=np.float64)
    worst = float(np.abs(total - 1).max())
    eps = float(np.finfo(proba.dtype).eps)
    if proba.min() < 0 or worst > max(_SUM_TOLERANCE, 10 * eps):
        raise PredictionsError(
            f"rows of y_proba sum to {total.min():.4g} .. {total.max():.4g}, their smallest entry is "
            f"{proba.min():.4g}: these are no probabilities. Pass softmax(logits), or predict_proba(X)."
        )
    if worst > max(_ROUNDING, 10 * eps):
        proba = (proba / total[:, None]).astype(proba.dtype)
    return proba


def _encode_labels(
    truth: NDArray[Any], n_classes: int, labels: Sequence[object] | None
) -> tuple[IntArray, tuple[str, ...]]:
    """Index of each label among the columns, and the names of the columns."""
    if labels is not None and len(labels) != n_classes:
        raise PredictionsError(f"labels names {len(labels)} classes, y_proba has {n_classes} columns.")
    if labels is None and np.issubdtype(truth.dtype, np.number):
        if not np.all(np.equal(np.mod(truth, 1), 0)) or truth.min() < 0 or truth.max() >= n_classes:
            raise PredictionsError(
                f"y_true runs from {truth.min()} to {truth.max()}, but y_proba has columns 0 to {n_classes - 1}. "
                "If the classes have other names, pass labels=model.classes_."
            )
        return truth.astype(np.int64), tuple(map(str, range(n_classes)))
    if labels is None:
        labels = sorted(set(truth.tolist()))
        if len(labels) != n_classes:
            raise PredictionsError(
                f"y_true holds {len(labels)} classes, y_proba has {n_classes} columns: pass labels=model.classes_."
            )
    position = {label: i for i, label in enumerate(np.asarray(labels).tolist())}
    unknown = sorted({str(t) for t in truth.tolist() if t not in position})
    if unknown:
        raise PredictionsError(
            f"y_true holds {', '.join(unknown[:5])}, not among the classes {', '.join(map(str, labels))[:200]}."
        )
    return np.array([position[t] for t in truth.tolist()], dtype=np.int64), tuple(map(str, labels))


def _loss_figures(loss: FloatArray, correct: NDArray[np.bool_]) -> dict[str, float]:
    """Who carries the loss: right or wrong answers, and how few samples."""
    n, total = len(loss), float(loss.sum())
    descending = np.sort(loss)[::-1]
    n_top = max(1, round(0.01 * n))
    rank = np.arange(n, 0, -1)  # Gini over ascending ranks, written for the descending order
    gini = float(2 * (rank * descending).sum() / (n * total) - (n + 1) / n) if total > 0 else 0.0
    return {
        "accuracy": float(correct.mean()),
        "log_loss": float(loss.mean()),
        "loss_correct": _mean(loss[correct]),
        "loss_incorrect": _mean(loss[~correct]),
        "loss_share_incorrect": float(loss[~correct].sum()) / total if total > 0 else 0.0,
        "loss_share_top1pct": float(descending[:n_top].sum()) / total if total > 0 else 0.0,
        "loss_gini": gini,
    }


def _huge_error_figures(loss: FloatArray, p_true: FloatArray, n_classes: int) -> dict[str, float]:
    """Count samples so improbable that a calibrated model expects at most one of them."""
    huge = p_true < 1 / (len(loss) * max(1, n_classes - 1))
    total = float(loss.sum())
    return {
        "n_huge_errors": int(huge.sum()),
        "loss_share_huge_errors": float(loss[huge].sum()) / total if total > 0 else 0.0,
    }


def _confidence_figures(confidence: FloatArray, correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Confidence against hits: the reliability diagram, the ECE and what chance alone would show."""
    n = len(confidence)
    edges = np.linspace(0, 1, N_BINS + 1)
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, N_BINS - 1)
    count = np.bincount(which, minlength=N_BINS).astype(np.float64)
    sum_confidence = np.bincount(which, weights=confidence, minlength=N_BINS)
    sum_correct = np.bincount(which, weights=correct, minlength=N_BINS)
    variance = np.bincount(which, weights=confidence * (1 - confidence), minlength=N_BINS)
    gap = (sum_confidence - sum_correct) / n
    expected, q95 = expected_calibration_error_null(count, np.maximum(variance, 0))
    filled = np.maximum(count, 1)
    empty = count == 0
    return {
        "mean_confidence": float(confidence.mean()),
        "confidence_incorrect": _mean(confidence[~correct]),
        "ece": float(np.abs(gap).sum()),
        "ece_expected": expected,
        "ece_q95": q95,
        "ece_overconfident": float(gap[gap > 0].sum()),
        "ece_underconfident": float(-gap[gap < 0].sum()),
        "bin_count": tuple(int(c) for c in count),
        "bin_confidence": tuple(np.where(empty, np.nan, sum_confidence / filled).tolist()),
        "bin_accuracy": tuple(np.where(empty, np.nan, sum_correct / filled).tolist()),
    }


def _spiegelhalter(proba: NDArray[np.floating[Any]], loss: FloatArray, eps: float) -> dict[str, float]:
    """Signed over-confidence in nats, L - mean H(p), and its z (Spiegelhalter 1986, for the log loss)."""
    log_p = np.log(np.clip(proba.astype(np.float64), eps, 1.0 - eps))
    entropy = -(proba * log_p).sum(axis=1)
    variance = np.maximum((proba * log_p**2).sum(axis=1) - entropy**2, 0)
    excess, sd = float((loss - entropy).sum()), float(np.sqrt(variance.sum()))
    return {"overconfidence_nats": excess / len(loss), "overconfidence_z": excess / sd if sd > 0 else float("nan")}


def _label_figures(truth: IntArray, predicted: IntArray, n_classes: int, loss: float) -> dict[str, float]:
    """What the class shares explain: majority and balanced accuracy, macro-F1, and the loss of the shares."""
    n = len(truth)
    support = np.bincount(truth, minlength=n_classes)
    answered = np.bincount(predicted, minlength=n_classes)
    hits = np.bincount(truth[predicted == truth], minlength=n_classes)
    present = support > 0
    used = present | (answered > 0)
    share = support[present] / n
    prior_loss = float(-(share * np.log(share)).sum())
    return {
        "majority_accuracy": float(support.max() / n),
        "balanced_accuracy": float((hits[present] / support[present]).mean()),
        "f1_macro": float((2 * hits[used] / (support[used] + answered[used])).mean()),
        "prior_loss": prior_loss,
        "skill": 1 - loss / prior_loss if prior_loss > 0 else float("nan"),
    }


def _temperature_figures(split: CalibrationSplit, correct: NDArray[np.bool_]) -> dict[str, Any]:
    """Calibration and refinement, with the part of the calibration loss that right and wrong answers carry."""
    removed = split.loss - split.loss_after
    n = len(removed)
    return {
        "temperature": split.temperature,
        "temperature_at_bound": split.at_bound,
        "calibration_loss": float(removed.mean()),
        "calibration_loss_se": float(removed.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"),
        "calibration_loss_incorrect": float(removed[~correct].sum() / n),
        "calibration_loss_correct": float(removed[correct].sum() / n),
        "refinement_loss": float(split.loss_after.mean()),
    }


def _mean(values: FloatArray) -> float:
    """Mean, NaN of nothing."""
    return float(values.mean()) if len(values) else float("nan")
