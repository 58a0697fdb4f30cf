"""What is learned: classes or numbers, and what of it is logged."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from lossacc_mlflow.loggers.keras.compiled import (
    CompiledLoss,
    accuracy_name,
    error_names,
    has_penalty,
    output_shape,
    read_loss,
)
from lossacc_mlflow.loggers.keras.data import labels_of
from lossacc_mlflow.loggers.keras.fitting import Fit
from lossacc_mlflow.loggers.keras.passes import undisturbed

__all__ = ["Task", "find_task"]

_MAX_COUNTS = 7_500
"""Characters of the class counts: longer ones no tag holds."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a training is about.

    Parameters
    ----------
    kind : {"classification", "regression", "loss_only"}
    loss : CompiledLoss
    why : str
        What is not supported, and so is logged as a loss alone; empty where nothing is amiss.
    accuracy : str or None
        Under which name Keras logs the accuracy.
    errors : dict of str to str
        Under which names it logs ``mse``, ``rmse`` and ``r2``.
    has_penalty : bool
        Whether something is added to the loss.
    n_classes : int or None
    class_counts : dict of str to int, or None
    has_predictions : bool
        Whether there is one answer a sample, which can be kept.
    """

    kind: Literal["classification", "regression", "loss_only"]
    loss: CompiledLoss
    why: str = ""
    accuracy: str | None = None
    errors: dict[str, str] | None = None
    has_penalty: bool = False
    n_classes: int | None = None
    class_counts: dict[str, int] | None = None
    has_predictions: bool = True


def find_task(model: Any, fit: Fit) -> Task:  # noqa: ANN401
    """Find out what a model that is about to be trained learns."""
    loss = read_loss(model)
    shape = _output_shape(model, fit)
    why = _unsupported(model, loss, shape, fit.train_targets)
    if why:
        return Task("loss_only", loss, why, has_penalty=has_penalty(model))
    accuracy = accuracy_name(model)
    is_classification = loss.kind in {"binary", "categorical", "cross_entropy"} or (
        accuracy is not None and (loss.kind == "unknown" or _has_probabilities(model))
    )
    is_flat = shape is None or len(shape) == 2
    if is_classification:
        return Task(
            "classification",
            loss,
            accuracy=accuracy,
            has_penalty=has_penalty(model),
            n_classes=None if shape is None or shape[-1] is None else max(2, shape[-1]),
            class_counts=_count_classes(fit.train_targets) if is_flat else None,
            has_predictions=is_flat,
        )
    if loss.kind == "regression" and (shape is None or shape[1:] in {(), (1,)}):
        return Task("regression", loss, errors=error_names(model), has_penalty=has_penalty(model))
    return Task("loss_only", loss, has_penalty=has_penalty(model))


def _output_shape(model: Any, fit: Fit) -> tuple[int | None, ...] | None:  # noqa: ANN401
    def find_inputs() -> Any:  # noqa: ANN401
        with undisturbed(model):
            batch = next(iter(fit.validation or fit.train or ()), None)
        return None if batch is None else batch[0]

    return output_shape(model, find_inputs)


def _unsupported(model: Any, loss: CompiledLoss, shape: tuple[int | None, ...] | None, targets: Any) -> str:  # noqa: ANN401
    outputs = getattr(model, "outputs", None)
    if loss.kind == "several" or (outputs is not None and len(outputs) > 1):
        return "it has several outputs"
    if len(keras.tree.flatten(targets)) > 1:
        return "it has several targets"
    if loss.kind == "binary" and shape is not None and len(shape) == 2 and (shape[1] or 1) > 1:
        return f"{loss.name} judges each of its {shape[1]} outputs by itself (several labels a sample)"
    if loss.kind == "regression" and shape is not None and len(shape) == 2 and (shape[1] or 1) > 1:
        return "" if _has_probabilities(model) else f"it predicts {shape[1]} numbers a sample"
    return ""


def _has_probabilities(model: Any) -> bool:  # noqa: ANN401
    """Whether the last layer answers with probabilities."""
    layers = getattr(model, "layers", None)
    activation = getattr(layers[-1], "activation", layers[-1]) if layers else None
    name = getattr(activation, "__name__", type(activation).__name__).lower()
    return name in {"softmax", "sigmoid"}


def _count_classes(targets: Any) -> dict[str, int] | None:  # noqa: ANN401
    leaves = keras.tree.flatten(targets)
    if targets is None or len(leaves) != 1 or not hasattr(leaves[0], "shape"):
        return None
    labels = labels_of(leaves[0])
    if labels is None or not len(labels):
        return None
    names, counts = np.unique(labels, return_counts=True)
    found = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    return found if len(json.dumps(found)) <= _MAX_COUNTS else None
