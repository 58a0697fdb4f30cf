"""Outputs of a model -> probabilities, accuracy, squared error."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.loggers.keras.compiled import CompiledLoss
from lossacc_mlflow.loggers.keras.data import labels_of
from lossacc_mlflow.loggers.keras.passes import Outputs

__all__ = ["Errors", "accuracy_of", "errors_of", "numbers_of", "probabilities_of", "targets_of"]

_TOLERANCE = 1e-2
"""By which a sum of probabilities of half precision may differ from 1."""


@dataclass(frozen=True, slots=True)
class Errors:
    """How far predicted numbers are from their targets: root of the mean squared error, and R²."""

    rmse: float
    r2: float


def targets_of(outputs: Outputs) -> NDArray[np.int64]:
    """Return the true class of every sample; of targets of -1 and 1, as for a hinge loss, -1 is the first.

    Raises
    ------
    PredictionsError
        If the targets are no classes.
    """
    labels = labels_of(outputs.y_true)
    if labels is None or len(labels) != len(outputs.y_pred):
        raise PredictionsError(f"targets of shape {outputs.y_true.shape} are no classes.")
    return np.where(labels < 0, 0, labels) if _is_binary(outputs) else labels


def accuracy_of(answers: Iterable[Outputs], loss: CompiledLoss) -> float:
    """Return the share of right answers: the greatest output, or the side of the threshold of a single one.

    NaN where there are none, or where an output is NaN.
    """
    right = [_right(outputs, loss) for outputs in answers]
    return float(np.mean(np.concatenate(right))) if right else float("nan")


def probabilities_of(outputs: Outputs, loss: CompiledLoss) -> NDArray[np.float64]:
    """Return the probabilities that the outputs are, or are the logits of.

    Parameters
    ----------
    outputs : Outputs
    loss : CompiledLoss
        Says which of the two; where it does not, numbers that are probabilities are taken for such.

    Returns
    -------
    ndarray of float64, shape (n,) or (n, n_classes)

    Raises
    ------
    PredictionsError
        If they are neither.
    """
    y_pred = outputs.y_pred.astype(np.float64)
    if _is_binary(outputs):
        y_pred = y_pred.reshape(-1)
        if loss.from_logits:
            return np.asarray(expit(y_pred), dtype=np.float64)
        proba, sums = y_pred, np.ones(len(y_pred))
    elif loss.from_logits:
        return np.asarray(softmax(y_pred, axis=1), dtype=np.float64)
    else:
        sums = y_pred.sum(axis=1)
        proba = y_pred / np.where(sums == 0, 1.0, sums)[:, None]
    in_range = bool(((y_pred >= 0) & ((y_pred <= 1 + _TOLERANCE) | loss.has_normalised_outputs)).all())
    is_one = loss.has_normalised_outputs or bool((np.abs(sums - 1) <= _TOLERANCE).all())
    if not np.isnan(y_pred).any() and not (in_range and is_one and not loss.has_scores):
        says = f"loss {loss.name}" if loss.name else "loss, which is not one of Keras',"
        raise PredictionsError(
            f"the outputs are no probabilities, and the {says} does not say that they are logits: give the model a "
            "softmax or sigmoid, or compile it with a cross-entropy with from_logits=True."
        )
    return np.asarray(np.clip(proba, 0.0, 1.0), dtype=np.float64)


def errors_of(answers: Iterable[Outputs]) -> Errors:
    """Return the errors of predicted numbers; R² is NaN where the targets are all the same.

    Raises
    ------
    PredictionsError
        If there is more than one number a sample.
    """
    pairs = [numbers_of(outputs) for outputs in answers]
    if not pairs:
        return Errors(float("nan"), float("nan"))
    y_true, y_pred = (np.concatenate(part) for part in zip(*pairs, strict=True))
    mse, variance = float(np.mean((y_true - y_pred) ** 2)), float(np.var(y_true))
    return Errors(float(np.sqrt(mse)), 1 - mse / variance if variance else float("nan"))


def numbers_of(outputs: Outputs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return targets and predicted numbers, each of shape (n,).

    Raises
    ------
    PredictionsError
        If there is more than one number a sample.
    """
    return _column(outputs.y_true), _column(outputs.y_pred)


def _right(outputs: Outputs, loss: CompiledLoss) -> NDArray[np.float64]:
    y_pred = outputs.y_pred.astype(np.float64)
    if _is_binary(outputs):
        threshold = 0.0 if loss.from_logits or loss.has_scores else 0.5
        answers = (y_pred.reshape(-1) > threshold).astype(np.int64)
    else:
        answers = y_pred.argmax(axis=1)
    right: NDArray[np.float64] = (answers == targets_of(outputs)).astype(np.float64)
    right[np.isnan(y_pred.reshape(len(y_pred), -1)).any(axis=1)] = np.nan
    return right


def _column(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.size != len(values):
        raise PredictionsError(f"a regression of shape {values.shape} has more than one target a sample.")
    return np.asarray(values, dtype=np.float64).reshape(-1)


def _is_binary(outputs: Outputs) -> bool:
    return outputs.y_pred.size == len(outputs.y_pred)
