"""Passes through a module that its training does not make: for predictions that are not seen, and for clean figures."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.torch.answers import score_tensor
from lossacc_mlflow.loggers.torch.evaluation import evaluating, first_samples, forward_batch, split_batch, to_device

__all__ = ["Predict", "predicted_scores", "train_scores"]

Predict = Callable[[Any, Any], tuple[Any, Any]]
"""Called as ``predict(module, batch)``; returns outputs and targets."""


def predicted_scores(
    trainer: Any,  # noqa: ANN401  (of either package)
    module: Any,  # noqa: ANN401
    batch: Any,  # noqa: ANN401
    predict: Predict | None,
) -> tuple[torch.Tensor | None, Any]:
    """What a module predicts of a batch, by `predict` or a ``predict_step`` of its own; (None, None) without both."""
    if predict is None:
        of_lightning = next(one for one in type(module).__mro__ if one.__name__ == "LightningModule")
        if type(module).predict_step is vars(of_lightning)["predict_step"]:
            return None, None
        predict = _by_predict_step
    with evaluating(module), trainer.precision_plugin.forward_context():
        outputs, targets = predict(module, batch)
    scores = score_tensor(outputs)
    return (scores, targets) if scores is not None and isinstance(targets, torch.Tensor) else (None, None)


def train_scores(
    trainer: Any,  # noqa: ANN401
    module: Any,  # noqa: ANN401
    n_samples: int | None,
    predict: Predict | None,
) -> Iterator[tuple[torch.Tensor, Any]]:
    """Scores and targets of training data in evaluation mode, of the same samples at every call.

    Raises
    ------
    InputError
        If the module returns no scores.
    """
    forward, data = predict or forward_batch, trainer.train_dataloader
    with evaluating(module, data, seed=0), trainer.precision_plugin.forward_context():
        for batch in first_samples(data, n_samples):
            outputs, targets = forward(module, to_device(trainer.precision_plugin.convert_input(batch), module.device))
            scores = score_tensor(outputs)
            if scores is None:
                raise InputError("the module returns no scores: give LossaccCallback(predict=...).")
            yield scores, targets


def _by_predict_step(module: Any, batch: Any) -> tuple[Any, Any]:  # noqa: ANN401
    return module.predict_step(batch, 0), split_batch(batch)[2]
