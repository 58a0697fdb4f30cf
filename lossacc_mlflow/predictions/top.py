"""Summaries where only the answer and its confidence are known, and not the probability of every class."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.blocks import in_order
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions.figures import summarize_sums
from lossacc_mlflow.predictions.inputs import Labels
from lossacc_mlflow.predictions.labels import ClassNames, label_array
from lossacc_mlflow.predictions.rows import RowFigures
from lossacc_mlflow.predictions.sums import PredictionSums, add_up
from lossacc_mlflow.records import FloatArray, PredictionSummary, SamplePredictions, Split

__all__ = ["judge_top_predictions", "summarize_top_predictions"]

_TOLERANCE = 1e-3
"""By how much the confidence of a right answer and the probability of the true class may differ; they are the same."""

_Rows: TypeAlias = tuple[RowFigures, tuple[str, ...]]


def summarize_top_predictions(
    y_true: ArrayLike | Iterable[Any],
    y_pred: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    p_true: ArrayLike | None = None,
    *,
    n_classes: int | None = None,
    labels: Labels | None = None,
) -> PredictionSummary:
    """Summarise answers and their confidence.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and answered classes. Or, as ``y_true`` alone, an iterable of blocks
        ``(y_true, y_pred, confidence)`` or ``(y_true, y_pred, confidence, p_true)``, read once.
    confidence : array-like of shape (n_samples,)
        Probability of the answer.
    p_true : array-like of shape (n_samples,), optional
        Probability of the true class; NaN where it is not known.
    n_classes : int, optional
        By default the classes that were seen.
    labels : sequence of length n_classes, optional

    Returns
    -------
    PredictionSummary
        Without ``p_true`` the log loss of right answers is known (their confidence is the probability of the true
        class), that of wrong ones is not: it and what needs it is NaN. With two classes, said to be two by
        ``n_classes`` or ``labels``, all is known but the temperature.

    Raises
    ------
    PredictionsError
        If shapes do not fit, a confidence is no probability, a label is none of the classes, or ``p_true`` differs
        from the confidence of a right answer.

    Examples
    --------
    >>> summary = summarize_top_predictions(["a", "b", "c"], ["a", "b", "a"], [0.9, 0.8, 0.6])
    >>> round(summary.accuracy, 3), round(summary.loss_correct, 4), summary.loss_incorrect
    (0.667, 0.1643, nan)
    """
    classes = _classes(n_classes, labels)
    total: PredictionSums | None = None
    parts = in_order(
        lambda part: _add(_read(*part, classes=classes), classes), _parts(y_true, y_pred, confidence, p_true)
    )
    for sums in parts:
        total = sums if total is None else total + sums
    if total is None:
        raise PredictionsError("there are no predictions: give at least one sample.")
    return summarize_sums(total)


def judge_top_predictions(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    confidence: ArrayLike,
    *,
    p_true: ArrayLike | None = None,
    split: Split = "validation",
    labels: Labels | None = None,
    sample_id: Sequence[object] | None = None,
) -> tuple[PredictionSummary, SamplePredictions]:
    """Compute the summary of answers and their confidence, and what is kept of every sample.

    Parameters
    ----------
    y_true, y_pred, confidence, p_true, labels
        See `summarize_top_predictions`.
    split : {"train", "validation", "test"}
    sample_id : sequence of length n_samples, optional

    Returns
    -------
    summary : PredictionSummary
    samples : SamplePredictions
        ``p_true`` and ``brier`` are NaN where they are not known; nothing is changed by a temperature.
    """
    classes = _classes(None, labels)
    rows, names = _read(y_true, y_pred, confidence, p_true, classes=classes)
    n = len(rows)
    if n == 0:
        raise PredictionsError("there are no predictions: give at least one sample.")
    if sample_id is not None and len(sample_id) != n:
        raise PredictionsError(f"sample_id has {len(sample_id)} entries for {n} samples: give one a sample.")
    samples = SamplePredictions(
        split=split,
        sample_id=tuple(map(str, range(n) if sample_id is None else sample_id)),
        y_true=rows.y_true,
        y_pred=rows.y_pred,
        p_true=rows.p_true,
        confidence=rows.confidence,
        p_true_after_temperature=rows.p_true,
        brier=rows.brier,
        classes=names,
    )
    return summarize_sums(_add((rows, names), classes)), samples


def _classes(n_classes: int | None, labels: Labels | None) -> ClassNames | None:
    if labels is None:
        return None if n_classes is None else ClassNames(n_classes)
    classes = ClassNames(labels)
    if n_classes is not None and len(classes) != n_classes:
        raise PredictionsError(f"labels names {len(classes)} classes, n_classes is {n_classes}.")
    return classes


def _parts(y_true: Any, *others: ArrayLike | None) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Arrays as one block; or the blocks that were given, with what they leave out."""
    if others[0] is not None and others[1] is not None:
        yield (y_true, *others)
        return
    if others != (None, None, None):
        raise PredictionsError("wanted y_true, y_pred and confidence, or blocks of them.")
    for number, part in enumerate(y_true):
        if not isinstance(part, Sequence) or isinstance(part, str) or len(part) not in (3, 4):
            raise PredictionsError(f"block {number}: wanted (y_true, y_pred, confidence[, p_true]) of some rows.")
        if len(part[0]):
            yield (*part, *([None] * (4 - len(part))))


def _add(read: _Rows, classes: ClassNames | None) -> PredictionSums:
    return add_up(read[0], read[1], None if classes is None else len(classes))


def _read(
    y_true: ArrayLike, y_pred: ArrayLike, confidence: ArrayLike, p_true: ArrayLike | None, *, classes: ClassNames | None
) -> _Rows:
    """What is known of every row, and the names of the classes."""
    truth, answer = label_array(y_true), label_array(y_pred, "y_pred")
    sure = _probabilities(confidence, "confidence")
    if not len(truth) == len(answer) == len(sure):
        raise PredictionsError(
            f"y_true has {len(truth)} entries, y_pred {len(answer)}, confidence {len(sure)}: give one of each a sample."
        )
    known = classes or _seen(truth, answer)
    true_place, place = known.places(truth), known.places(answer, "y_pred")
    correct = true_place == place
    true_sure = _true_probabilities(sure, correct, p_true, two=classes is not None and len(classes) == 2)
    brier, entropy, variance = np.full((3, len(truth)), np.nan)
    if classes is not None and len(classes) == 2:
        brier, (entropy, variance) = 2 * (1 - true_sure) ** 2, _binary_moments(sure)
    return RowFigures(true_place, place, sure, true_sure, brier, entropy, variance, None), known.names


def _seen(truth: NDArray[Any], answer: NDArray[Any]) -> ClassNames:
    """The classes that occur; numbers count from 0."""
    if truth.dtype.kind in "biuf" and answer.dtype.kind in "biuf":
        highest = max((int(a.max()) for a in (truth, answer) if len(a)), default=1)
        return ClassNames(max(2, highest + 1))
    found = sorted({*map(str, truth.tolist()), *map(str, answer.tolist())})
    return ClassNames(found, at_least=1)


def _probabilities(values: ArrayLike, name: str) -> FloatArray:
    """Read probabilities as float64."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PredictionsError(f"{name} holds values that are no numbers: {error}") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise PredictionsError(f"{name} has shape {array.shape}: give one probability a sample.")
    finite = array[~np.isnan(array)] if name == "p_true" else array
    if len(finite) and not (finite.min() >= -1e-6 and finite.max() <= 1 + _TOLERANCE):
        raise PredictionsError(
            f"{name} runs from {finite.min():.4g} to {finite.max():.4g}, or holds NaN: wanted probabilities in [0, 1]."
        )
    probabilities: FloatArray = np.clip(array, 0, 1)
    return probabilities


def _true_probabilities(
    confidence: FloatArray, correct: NDArray[np.bool_], p_true: ArrayLike | None, *, two: bool
) -> FloatArray:
    """Probability of the true class: as given, else that of the answer where it is right."""
    if p_true is None:
        return np.where(correct, confidence, 1 - confidence if two else np.nan)
    given = _probabilities(p_true, "p_true")
    if len(given) != len(confidence):
        raise PredictionsError(f"p_true has {len(given)} entries for {len(confidence)} samples: give one a sample.")
    n_off = int(np.count_nonzero(correct & (np.abs(given - confidence) > _TOLERANCE)))
    if n_off:
        raise PredictionsError(
            f"p_true differs from the confidence of {n_off:,} right answers: there both are the probability of the "
            "same class."
        )
    return np.where(np.isnan(given) & correct, confidence, given)


def _binary_moments(confidence: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the log loss of two classes, if the true one were drawn from their probabilities."""
    p = np.column_stack([confidence, 1 - confidence])
    log_p = np.log(np.maximum(p, np.finfo(np.float64).tiny))
    mean = (p * log_p).sum(axis=1)
    return -mean, np.maximum((p * log_p**2).sum(axis=1) - mean**2, 0)
