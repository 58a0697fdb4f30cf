"""What is kept of the samples of a file whose probabilities do not fit into memory, block by block."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.files.predictions import PredictionFile
from lossacc_mlflow.predictions import judge_top_predictions, make_predictions
from lossacc_mlflow.records import FloatArray, IntArray, PredictionSummary, SamplePredictions

__all__ = ["all_samples", "worst_samples"]

_ARRAYS = ("y_true", "y_pred", "p_true", "confidence", "p_true_after_temperature", "brier")

_Part = Mapping[str, FloatArray | IntArray]


def all_samples(file: PredictionFile, summary: PredictionSummary) -> SamplePredictions:
    """Keep a few numbers of every sample.

    Parameters
    ----------
    file : PredictionFile
    summary : PredictionSummary
        Of the same file; its temperature, which was fitted on all samples, gives ``p_true_after_temperature``.

    Returns
    -------
    SamplePredictions
        Their ids are the numbers of the rows, from 0 on.
    """
    parts = [_judge(file, block, summary) for block in file]
    n = sum(len(part["y_true"]) for part in parts)
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in _ARRAYS}
    return _samples(file, tuple(map(str, range(n))), arrays)


def worst_samples(file: PredictionFile, summary: PredictionSummary, n: int = 20) -> SamplePredictions:
    """Keep the samples with the largest loss, the largest first, in bounded memory; see :func:`all_samples`.

    Those whose probability of the true class is not known are not among them.
    """
    kept: dict[str, FloatArray | IntArray] = {name: np.empty(0) for name in (*_ARRAYS, "row")}
    start = 0
    for block in file:
        rows = _candidates(file, block, n, float(kept["p_true"][-1]) if len(kept["row"]) == n else np.inf)
        if len(rows):
            part = {**_judge(file, tuple(column[rows] for column in block), summary), "row": rows + start}
            both = {name: np.concatenate([kept[name].astype(part[name].dtype), part[name]]) for name in part}
            # Of equal losses the more confident comes first, then the earlier row.
            order = np.lexsort((both["row"], -both["confidence"], both["p_true"]))[:n]
            kept = {name: values[order] for name, values in both.items()}
        start += len(block[0])
    return _samples(file, tuple(str(int(row)) for row in kept.pop("row")), kept)


def _candidates(file: PredictionFile, block: tuple[NDArray[Any], ...], n: int, highest: float) -> IntArray:
    """Rows of a block that may be among the n worst, of which the best so far has the probability ``highest``."""
    if file.has_probabilities:
        y_true, proba = block
        p_true = np.where(y_true == 1, proba, 1 - proba) if proba.ndim == 1 else proba[np.arange(len(proba)), y_true]
    else:
        p_true = block[3] if len(block) > 3 else np.where(block[0] == block[1], block[2], np.nan)
    if len(p_true) > n:
        highest = min(highest, float(np.partition(p_true, n)[n]))
    return np.flatnonzero(p_true <= highest)


def _samples(file: PredictionFile, ids: tuple[str, ...], arrays: _Part) -> SamplePredictions:
    classes = file.classes or tuple(map(str, range(file.n_classes)))
    return SamplePredictions(split="test", sample_id=ids, classes=classes, **arrays)  # type: ignore[arg-type]  # by name


def _judge(file: PredictionFile, block: tuple[NDArray[Any], ...], summary: PredictionSummary) -> _Part:
    if file.has_probabilities:
        return _judge_block(block[0], block[1], summary.temperature)
    p_true = block[3] if len(block) > 3 else None
    samples = judge_top_predictions(*block[:3], p_true=p_true, labels=range(max(2, file.n_classes)))[1]
    return {name: getattr(samples, name) for name in _ARRAYS}


def _judge_block(y_true: IntArray, y_proba: FloatArray, temperature: float | None) -> _Part:
    proba = make_predictions(y_true, y_proba).y_proba
    rows = np.arange(len(proba))
    y_pred = proba.argmax(axis=1)
    p_true = proba[rows, y_true].astype(np.float64)
    after = p_true
    if temperature is not None:
        log_proba = np.log(np.clip(proba, np.finfo(proba.dtype).eps, None)) / temperature
        log_proba -= log_proba.max(axis=1, keepdims=True)
        after = np.exp(log_proba[rows, y_true] - np.log(np.exp(log_proba).sum(axis=1))).astype(np.float64)
    return {
        "y_true": y_true,
        "y_pred": y_pred,
        "p_true": p_true,
        "confidence": proba[rows, y_pred].astype(np.float64),
        "p_true_after_temperature": after,
        "brier": np.einsum("ij,ij->i", proba, proba, dtype=np.float64) - 2 * p_true + 1,
    }
