"""Suspected label errors, by confident learning."""

import warnings
from dataclasses import replace
from importlib.util import find_spec
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.clips import log_losses
from lossacc_mlflow.errors import MissingExtraError, PredictionsError
from lossacc_mlflow.records import Predictions, PredictionSummary, SamplePredictions

__all__ = ["MAX_CLASSES", "MAX_PROBABILITIES", "MAX_SAMPLES", "find_label_issues", "mark_label_issues"]

MAX_CLASSES = 2_000
"""cleanlab goes over every pair of classes, one by one."""

MAX_PROBABILITIES = 100_000_000
"""n_samples x n_classes; cleanlab copies all of them once (50,000 x 2,000: 2 s, and once more their memory)."""

MAX_SAMPLES = 10_000_000
"""cleanlab looks at the labels one by one, and sorts (10,000,000 x 10: 15 s)."""

_alone = Lock()  # cleanlab passes its arrays along in globals


def find_label_issues(predictions: Predictions) -> NDArray[np.bool_]:
    """Find the samples whose given label is probably wrong, by confident learning.

    A sample is suspected where the model gives another class a probability as high as it does, on average, to samples
    that carry that class as their label; so many are taken, those with the largest margin first, as the counted noise
    rate between the two classes says. The probabilities should come from data that the model was not trained on.

    Parameters
    ----------
    predictions : Predictions

    Returns
    -------
    ndarray of bool, shape (n_samples,)
        Nothing is suspected where only one class occurs among the labels, nor the last sample of a class.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.
    PredictionsError
        If there are more than ``MAX_SAMPLES``, ``MAX_CLASSES`` or ``MAX_PROBABILITIES``.

    References
    ----------
    Northcutt, Jiang & Chuang (2021), Confident Learning, JAIR 70, https://doi.org/10.1613/jair.1.12125; as cleanlab
    computes it (``find_label_issues``, pruning by noise rate).

    Examples
    --------
    >>> from lossacc_mlflow.predictions import make_predictions
    >>> sure_of_cat, sure_of_dog = [0.95, 0.05], [0.05, 0.95]
    >>> y_true = ["cat", "cat", "cat", "dog", "dog", "dog"]
    >>> y_proba = [sure_of_cat, sure_of_cat, sure_of_dog, sure_of_dog, sure_of_dog, sure_of_dog]
    >>> find_label_issues(make_predictions(y_true, y_proba)).tolist()
    [False, False, True, False, False, False]
    """
    if find_spec("cleanlab") is None:
        raise MissingExtraError(
            "suspected label errors are found by cleanlab, which is not installed: "
            "pip install 'lossacc-mlflow[cleanlab]'."
        )
    reason = _why_too_large(*predictions.y_proba.shape)
    if reason is not None:
        raise PredictionsError(f"suspected label errors are not searched for in {reason}: pass a part of the samples.")
    if len(np.unique(predictions.y_true)) < 2:
        return np.zeros(len(predictions.y_true), dtype=np.bool_)
    return _confident_learning(predictions)


def mark_label_issues(
    predictions: Predictions, summary: PredictionSummary, samples: SamplePredictions
) -> tuple[PredictionSummary, SamplePredictions]:
    """Add the suspected label errors, and their share of the loss, to what is known of the same predictions.

    Parameters
    ----------
    predictions : Predictions
    summary : PredictionSummary
    samples : SamplePredictions
        Both of ``predictions``.

    Returns
    -------
    summary : PredictionSummary
        With ``n_label_issues``, ``n_sure_label_issues`` and ``loss_share_label_issues``. Unchanged where cleanlab is
        not installed; with a note that says why where it could not be used on these predictions.
    samples : SamplePredictions
        With ``label_issue``.
    """
    try:
        issue = find_label_issues(predictions)
    except MissingExtraError:
        return summary, samples
    except PredictionsError:
        reason = f"in {_why_too_large(*predictions.y_proba.shape)}"
        return _noted(summary, f"Suspected label errors were not searched for {reason}."), samples
    except Exception as error:  # noqa: BLE001  (what cleanlab cannot do must not cost the predictions)
        return _noted(summary, f"Suspected label errors are not known: cleanlab failed with {error!r:.200}."), samples
    loss = log_losses(samples.p_true)
    if samples.sample_weight is not None:
        loss = loss * samples.sample_weight
    total = float(loss.sum())
    share = float(loss[issue].sum()) / total if total != 0 else 0.0
    # By rank: how sure a model says it is depends on its temperature, which answers it is surer of does not.
    surer_half = np.argsort(samples.confidence, kind="stable")[len(issue) // 2 :]
    return (
        replace(
            summary,
            n_label_issues=int(issue.sum()),
            n_sure_label_issues=int(issue[surer_half].sum()),
            loss_share_label_issues=share,
        ),
        replace(samples, label_issue=issue),
    )


def _confident_learning(predictions: Predictions) -> NDArray[np.bool_]:
    """What cleanlab says, in this process and without its warnings about rare classes."""
    from cleanlab import filter as cleanlab_filter  # noqa: PLC0415  (an extra, and it takes a second)

    proba = predictions.y_proba
    if proba.dtype == np.float16:
        proba = proba.astype(np.float32)
    if proba.max() > 1:  # by rounding; cleanlab refuses it
        proba = proba / proba.sum(axis=1, keepdims=True)
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            issue = cleanlab_filter.find_label_issues(predictions.y_true, proba, n_jobs=1)
        finally:
            for name in ("pred_probs_by_class", "prune_count_matrix_cols"):  # a copy of everything, else kept for good
                if hasattr(cleanlab_filter, name):
                    setattr(cleanlab_filter, name, {})
    return np.asarray(issue, dtype=np.bool_)


def _why_too_large(n_samples: int, n_classes: int) -> str | None:
    """What there is too much of for cleanlab's time and memory."""
    if n_samples > MAX_SAMPLES:
        return f"more than {MAX_SAMPLES:,} samples ({n_samples:,})"
    if n_classes > MAX_CLASSES:
        return f"more than {MAX_CLASSES:,} classes ({n_classes:,})"
    if n_samples * n_classes > MAX_PROBABILITIES:
        return f"more than {MAX_PROBABILITIES:,} probabilities ({n_samples:,} samples x {n_classes:,} classes)"
    return None


def _noted(summary: PredictionSummary, note: str) -> PredictionSummary:
    return replace(summary, notes=(*summary.notes, note))
