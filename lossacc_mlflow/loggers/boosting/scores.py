"""Loss and accuracy of boosted models from what their boosters answer: margins, probabilities or numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from lossacc_mlflow.clips import log_losses
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, IntArray, Split

__all__ = ["MAX_ROWS", "ScoredSet", "Task", "probabilities", "score", "scored_set"]

MAX_ROWS = 50_000
"""Of a larger set always the same rows are scored, so that scoring stays cheap beside growing a tree."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a model answers.

    Parameters
    ----------
    kind : {"binary", "multiclass", "one_vs_all", "hinge", "regression"}
        ``one_vs_all``: scores of classes that are no distribution over them; only their order counts.
    is_margin : bool
        The answers are margins, before sigmoid or softmax; else probabilities.
    n_classes : int, optional
    """

    kind: Literal["binary", "multiclass", "one_vs_all", "hinge", "regression"]
    is_margin: bool = False
    n_classes: int | None = None

    @property
    def loss(self) -> str | None:
        """What ``*_loss`` is, by scikit-learn's name."""
        return {"binary": "log_loss", "multiclass": "log_loss", "hinge": "hinge"}.get(self.kind)

    @property
    def has_probabilities(self) -> bool:
        """Whether the answers tell the probability of every class."""
        return self.kind in {"binary", "multiclass"}


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """One data set that is scored at every step.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    y : ndarray of int64 (places of the classes) or float64 (numbers), shape (n_samples,)
    weight : ndarray of float64, shape (n_samples,), or None
    outputs : callable
        Called without arguments, after an iteration: what the model answers for all samples, shape (n_samples,) or
        (n_samples, n_classes).
    rows : ndarray of int64, or None
        Which samples the curves are of; all where there are at most `MAX_ROWS`.
    """

    split: Split
    y: NDArray[Any]
    weight: FloatArray | None
    outputs: Callable[[], NDArray[Any]]
    rows: IntArray | None = None


def scored_set(
    split: Split,
    task: Task,
    y: ArrayLike,
    weight: ArrayLike | None,
    outputs: Callable[[], NDArray[Any]],
) -> ScoredSet | None:
    """Check the labels of one data set; None where it has none, or none that can be scored.

    Raises
    ------
    InputError
        If a sample has several targets.
    """
    target = np.asarray(y, dtype=np.float64)
    if target.ndim == 2 and target.shape[1] > 1:
        raise InputError(
            f"the {split} data have {target.shape[1]} targets a sample; loss and accuracy are logged for one. "
            "The training itself is not touched."
        )
    target = target.ravel()
    if not len(target) or not np.isfinite(target).all():
        return None
    if task.kind != "regression":
        n_classes = task.n_classes or 2
        if target.min() < 0 or target.max() >= n_classes or (target != np.rint(target)).any():
            return None  # soft labels: there is no right answer to count
        target = target.astype(np.int64)
    weights = None if weight is None or not np.size(weight) else np.asarray(weight, dtype=np.float64).ravel()
    if weights is not None and not (len(weights) == len(target) and weights.sum() > 0):
        weights = None
    rows = None
    if len(target) > MAX_ROWS:
        # A generator of its own: the training's random numbers are not touched.
        rows = np.sort(np.random.default_rng(0).choice(len(target), MAX_ROWS, replace=False))
    return ScoredSet(split, target, weights, outputs, rows)


def score(task: Task, one: ScoredSet, outputs: NDArray[Any]) -> dict[str, float]:
    """Score what a model answers for one set.

    Parameters
    ----------
    task : Task
    one : ScoredSet
    outputs : ndarray of shape (n_samples,) or (n_samples, n_classes)

    Returns
    -------
    dict of str to float
        ``loss`` (nats for a log loss) and ``accuracy`` (fraction), or ``rmse`` and ``r2``; without what cannot be
        known.
    """
    y, weight = one.y, one.weight
    if one.rows is not None:
        y, outputs = y[one.rows], outputs[one.rows]
        weight = None if weight is None else weight[one.rows]
    if task.kind == "regression":
        return _of_numbers(outputs, y, weight)
    threshold = 0.0 if task.is_margin else 0.5
    answers = outputs.argmax(axis=1) if outputs.ndim == 2 else outputs > threshold
    values = {"accuracy": _mean((answers == y).astype(np.float64), weight)}
    if task.kind != "one_vs_all":
        values["loss"] = _mean(_losses(task, outputs, y), weight)
    return values


def probabilities(task: Task, outputs: NDArray[Any]) -> FloatArray:
    """Return what a model answers as probabilities, of the second class or of all."""
    if not task.is_margin:
        return outputs
    if outputs.ndim == 1:
        return np.asarray(expit(outputs.astype(np.float64)))
    return np.asarray(softmax(outputs.astype(np.float64), axis=1))


def _losses(task: Task, outputs: NDArray[Any], y: IntArray) -> FloatArray:
    if outputs.ndim == 1:
        losses = _of_one_column(task, outputs, y)
    elif not task.is_margin:
        losses = log_losses(outputs[np.arange(len(y)), y].astype(np.float64))
    else:
        shifted = outputs - outputs.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1, dtype=np.float64)) - shifted[np.arange(len(y)), y]
    return np.asarray(losses, dtype=np.float64)


def _of_one_column(task: Task, outputs: NDArray[Any], y: IntArray) -> NDArray[Any]:
    if not task.is_margin:
        proba = outputs.astype(np.float64)
        return log_losses(np.where(y == 1, proba, 1.0 - proba))
    z = outputs * (2.0 * y - 1.0)
    if task.kind == "hinge":
        return np.asarray(np.maximum(0.0, 1.0 - z))
    return np.asarray(np.log1p(np.exp(-np.abs(z))) - np.minimum(z, 0.0))


def _of_numbers(predicted: NDArray[Any], y: FloatArray, weight: FloatArray | None) -> dict[str, float]:
    error = _mean((predicted - y) ** 2, weight)
    variance = _mean((y - _mean(y, weight)) ** 2, weight)
    values = {"rmse": float(np.sqrt(error))}
    if variance > 0:
        values["r2"] = 1.0 - error / variance
    return values


def _mean(values: FloatArray, weight: FloatArray | None) -> float:
    if weight is None:
        return float(values.mean(dtype=np.float64))
    return float(values @ weight / weight.sum())
