"""Evaluations of our own, between two steps of a training that must not notice them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from transformers import Trainer

from lossacc_mlflow.loggers.torch.evaluation import evaluating
from lossacc_mlflow.loggers.transformers.batches import Batches
from lossacc_mlflow.loggers.transformers.tasks import Task, find_task

__all__ = ["evaluate", "subset_of", "undisturbed"]

_SEED = 0


def subset_of(dataset: Any, n_samples: int) -> Any | None:  # noqa: ANN401  (any data set with or without a length)
    """Draw the samples on which a training is evaluated, the same ones each time; None where it has no length.

    Parameters
    ----------
    dataset : torch or datasets Dataset
    n_samples : int
        All of them, where there are no more.
    """
    try:
        n = len(dataset)
    except TypeError:
        return None
    if not n:
        return None
    chosen = np.random.default_rng(_SEED).permutation(n)[:n_samples]
    return Subset(dataset, np.sort(chosen).tolist())


def evaluate(
    trainer: Any,  # noqa: ANN401
    dataset: Any,  # noqa: ANN401
    collate: Callable[[list[Any]], Any],
    *,
    settle: Callable[..., None],
    task: Task | None = None,
    keeps: bool = False,
) -> Batches | None:
    """Evaluate the model as it stands, as `Trainer` does, and leave no trace.

    Parameters
    ----------
    trainer : transformers.Trainer
    dataset : torch Dataset
    collate : callable
        Makes a batch of samples.
    settle : callable
        Told of the task, if it was not known, with loss, logits and labels of the first batch.
    task : Task, optional
        Found out from the first batch by default.
    keeps : bool
        Whether the answers are kept.

    Returns
    -------
    Batches or None
        None where there are no samples.
    """
    batches: Batches | None = None
    # A generator of its own: loaders draw from the global one otherwise.
    loader = DataLoader(
        dataset, batch_size=trainer.args.eval_batch_size, collate_fn=collate, generator=torch.Generator()
    )
    with undisturbed(trainer.model, trainer.optimizer):
        for inputs in loader:
            # Trainer's own step: a subclass may generate text in its place.
            loss, logits, labels = Trainer.prediction_step(trainer, trainer.model, inputs, prediction_loss_only=False)
            if task is None:
                task = find_task(trainer.model, logits, labels)
                settle(task, loss, logits, labels)
            batches = batches or Batches(task, keeps=keeps)
            batches.add(loss, logits, labels)
    return batches


@contextmanager
def undisturbed(model: Any, optimizer: Any) -> Iterator[None]:  # noqa: ANN401
    """Evaluation mode, also of the optimizer; afterwards every mode, and every generator's state, is what it was."""
    averages = _is_evaluating(optimizer)
    if averages is False:
        optimizer.eval()
    try:
        with evaluating(model):
            yield
    finally:
        if averages is False:
            optimizer.train()


def _is_evaluating(optimizer: Any) -> bool | None:  # noqa: ANN401
    """Whether an optimizer that keeps averaged weights for evaluation has them in place; None: it has no modes."""
    if not (callable(getattr(optimizer, "eval", None)) and callable(getattr(optimizer, "train", None))):
        return None
    groups = getattr(optimizer, "param_groups", None) or [{}]
    mode = groups[0].get("train_mode")
    return None if mode is None else not mode
