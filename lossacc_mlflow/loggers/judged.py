"""Predictions → what is kept of them, judged and not yet written: so it can be done by any thread."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.label_issues import mark_label_issues
from lossacc_mlflow.predictions import (
    PredictionBuffer,
    judge_prediction_blocks,
    judge_predictions,
    judge_top_predictions,
    make_predictions,
)
from lossacc_mlflow.records import PredictionSummary, SamplePredictions, Split
from lossacc_mlflow.regression import judge_regression
from lossacc_mlflow.store import JudgedPredictions
from lossacc_mlflow.wording import quote

__all__ = ["gathered", "judged_predictions", "judged_regression", "judged_top_predictions"]

_NOT_IN_MEMORY = "Suspected label errors were not searched for: that takes all probabilities in memory."


def judged_predictions(
    y_true: ArrayLike | Iterable[Any],
    y_proba: ArrayLike | None = None,
    split: Split = "validation",
    *,
    step: int | None = None,
    sample_id: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
    sample_weight: ArrayLike | None = None,
    label_issues: bool | None = None,
    release: bool = False,
) -> JudgedPredictions:
    """Judge predictions without writing them anywhere; see `log_predictions`.

    With `release`, a `PredictionBuffer` is empty afterwards: so its rows are not in memory twice.
    """
    at = _checked_step(step)
    looks = label_issues or (label_issues is None and split != "train" and at is None)
    if y_proba is not None:
        given = (y_true, y_proba, sample_weight)
        summary, samples = _judge_arrays(*given, split=split, labels=labels, sample_id=sample_id, looks=looks)
    elif isinstance(y_true, PredictionBuffer):
        summary, samples = _judge_buffer(y_true, split, labels, sample_id, looks=looks, release=release)
    else:
        if sample_weight is not None:
            raise InputError("the weights of blocks belong into the blocks: (y_true, y_proba, sample_weight).")
        with gathered(y_true) as buffer:
            summary, samples = _judge_buffer(buffer, split, labels, sample_id, looks=looks, release=True)
    return _with_tags(summary, samples, at, has_ids=sample_id is not None)


def judged_top_predictions(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    confidence: ArrayLike,
    split: Split = "validation",
    *,
    p_true: ArrayLike | None = None,
    step: int | None = None,
    sample_id: Sequence[object] | None = None,
    labels: Sequence[object] | None = None,
) -> JudgedPredictions:
    """Judge answers and their confidence without writing them anywhere; see `log_top_predictions`."""
    at = _checked_step(step)
    summary, samples = judge_top_predictions(
        y_true, y_pred, confidence, p_true=p_true, split=split, labels=labels, sample_id=sample_id
    )
    return _with_tags(summary, samples, at, has_ids=sample_id is not None, has_labels=labels is not None)


def judged_regression(
    y_true: ArrayLike, y_pred: ArrayLike, split: Split = "validation", *, sample_id: Sequence[object] | None = None
) -> JudgedPredictions:
    """Judge predicted numbers without writing them anywhere; see `log_regression`."""
    summary, samples = judge_regression(y_true, y_pred, split=split, sample_id=sample_id)
    digest = _digest(None if sample_id is None else samples.sample_id, samples.y_true)
    return JudgedPredictions(summary, samples, {f"lossacc.samples.{split}": digest})


def gathered(blocks: Any) -> PredictionBuffer:  # noqa: ANN401  (what somebody gave in the place of blocks)
    """Read blocks ``(y_true, y_proba[, sample_weight])`` once, into bounded memory.

    Raises
    ------
    InputError
        If it is no iterable of blocks.
    """
    if not isinstance(blocks, Iterable) or isinstance(blocks, np.ndarray | str):
        raise InputError("y_proba is missing: give the probabilities, or blocks (y_true, y_proba).")
    buffer = PredictionBuffer()
    for number, block in enumerate(blocks):
        if not isinstance(block, tuple | list) or len(block) not in (2, 3):
            buffer.close()
            raise InputError(
                f"block {number} is no (y_true, y_proba) or (y_true, y_proba, sample_weight): give the probabilities "
                "as second argument, or blocks of rows."
            )
        buffer.add(*block)
    return buffer


def _judge_arrays(
    y_true: Any,  # noqa: ANN401
    y_proba: ArrayLike,
    sample_weight: ArrayLike | None,
    *,
    split: Split,
    labels: Sequence[object] | None,
    sample_id: Sequence[object] | None,
    looks: bool,
) -> tuple[PredictionSummary, SamplePredictions]:
    """Judge what is in memory, and look for wrong labels if `looks`."""
    predictions = make_predictions(
        y_true, y_proba, split=split, labels=labels, sample_id=sample_id, sample_weight=sample_weight
    )
    summary, samples = judge_predictions(predictions)
    return mark_label_issues(predictions, summary, samples) if looks else (summary, samples)


def _judge_buffer(
    buffer: PredictionBuffer,
    split: Split,
    labels: Sequence[object] | None,
    sample_id: Sequence[object] | None,
    *,
    looks: bool,
    release: bool,
) -> tuple[PredictionSummary, SamplePredictions]:
    """Judge what was gathered: in one piece where it is in memory, else block by block."""
    if not buffer.is_spooled:
        rows = buffer.arrays(release=release)
        return _judge_arrays(*rows, split=split, labels=labels, sample_id=sample_id, looks=looks)
    summary, samples = judge_prediction_blocks(buffer, split=split, labels=labels, sample_id=sample_id)
    if looks:
        summary = replace(summary, notes=(*summary.notes, _NOT_IN_MEMORY))
    return summary, samples


def _with_tags(
    summary: PredictionSummary,
    samples: SamplePredictions,
    step: int | None,
    *,
    has_ids: bool,
    has_labels: bool = True,
) -> JudgedPredictions:
    """Add the tags that tell other readers what the predictions are of."""
    tags, y_true = {}, samples.y_true
    if has_labels:
        tags["lossacc.n_classes"] = str(summary.n_classes)
    elif all(name.isdecimal() and len(name) < 19 for name in samples.classes):
        # The classes are those that were seen, which depend on the model; the labels are the same for all of them.
        y_true = np.array(samples.classes).astype(np.int64)[y_true]
    tags[f"lossacc.samples.{samples.split}"] = _digest(samples.sample_id if has_ids else None, y_true)
    return JudgedPredictions(summary, samples, tags, step)


def _checked_step(step: int | None) -> int | None:
    """Any kind of integer; a float or a bool is most often an argument in the wrong place."""
    if step is None:
        return None
    try:
        at = index(step)
    except TypeError:
        at = None
    if at is None or isinstance(step, bool) or not -(2**63) <= at < 2**63:
        raise InputError(f"step must be an integer, such as the epoch; it is {quote(step)}.")
    return at


def _digest(sample_id: Sequence[str] | None, y_true: NDArray[Any]) -> str:
    """What tells whether two runs were judged on the same samples: their ids, else their labels in order."""
    if sample_id is None:
        return sha256(y_true.tobytes()).hexdigest()[:16]
    text = json.dumps(sample_id) if any("\n" in one for one in sample_id) else "\n".join(sample_id)
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
