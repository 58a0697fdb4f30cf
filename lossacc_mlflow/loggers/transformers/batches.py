"""What a model answers to the batches of one evaluation, and what that scores."""

from collections.abc import Mapping
from math import nan, sqrt
from typing import Any

import torch
from transformers.trainer_pt_utils import find_batch_size

from lossacc_mlflow.loggers.transformers.tasks import IGNORED, Task, aligned, first_tensor
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["Batches"]


class Batches:
    """Sums over the batches of one evaluation, on the device where they are; its answers too, where they are wanted.

    Parameters
    ----------
    task : Task
    keeps : bool
        Whether the answers are to be kept, as probabilities.
    """

    def __init__(self, task: Task, *, keeps: bool) -> None:
        self.task = task
        self._correct: Any = 0
        self._n: Any = 0
        self._loss: Any = 0.0
        self._has_loss = False
        self._n_numbers, self._mean, self._spread, self._errors = 0, 0.0, 0.0, 0.0  # of targets; sums of squares
        self.answers: PredictionBuffer | None = PredictionBuffer() if keeps and task.keeps_predictions else None

    def add(self, loss: Any, logits: Any, labels: Any) -> None:  # noqa: ANN401
        """Take in one batch, as ``prediction_step`` returned it."""
        if not self.task.is_scored:
            self._add_loss(loss, find_batch_size(labels if labels is not None else logits) or 1)
            return
        answers = first_tensor(logits).detach()
        if self.task.kind == "regression":
            self._add_loss(loss, labels.numel())
            self._add_numbers(labels.detach().flatten(), answers.flatten())
            return
        highest, answered = answers.max(dim=-1)
        # A model that answers NaN has no answer: whatever class comes first is not right by that.
        answered = torch.where(torch.isfinite(highest), answered, IGNORED)
        answered, truth = aligned(self.task, answered, labels.detach())
        counted = truth != IGNORED
        self._correct = self._correct + ((answered == truth) & counted).sum()
        self._add_loss(loss, counted.sum())
        if self.answers is not None:
            proba = torch.softmax(answers.reshape(-1, answers.shape[-1])[counted].float(), dim=-1)
            self.answers.add(truth[counted].cpu().numpy(), proba.cpu().numpy())

    def scores(self) -> Mapping[str, float]:
        """Return ``loss`` and ``accuracy``, or ``rmse`` and ``r2``, as far as they are known."""
        n = int(self._n)
        if not n:
            return {}
        scores = {"loss": float(self._loss) / n} if self._has_loss else {}
        if self.task.kind == "regression":
            scores["rmse"] = sqrt(self._errors / n) if self._errors >= 0 else nan
            scores["r2"] = 1 - self._errors / self._spread if self._spread > 0 else nan
        elif self.task.has_accuracy:
            scores["accuracy"] = int(self._correct) / n
        return scores

    def close(self) -> None:
        """Let go of the answers."""
        if self.answers is not None:
            self.answers.close()

    def _add_loss(self, loss: Any, n: Any) -> None:  # noqa: ANN401
        self._n = self._n + n
        if loss is not None:
            self._has_loss = True
            mean = loss.detach().float().mean()
            # The mean over no token at all is NaN, and says nothing.
            self._loss = self._loss + torch.where(torch.as_tensor(n) > 0, mean * n, torch.zeros_like(mean))

    def _add_numbers(self, target: torch.Tensor, answer: torch.Tensor) -> None:
        y, predicted = target.cpu().double().numpy(), answer.cpu().double().numpy()
        # Chan's way to merge sums of squares: those of large targets that vary little do not cancel out.
        n, distance = self._n_numbers + len(y), y.mean() - self._mean
        self._spread += ((y - y.mean()) ** 2).sum() + distance**2 * self._n_numbers * len(y) / n
        self._mean += distance * len(y) / n
        self._errors += ((y - predicted) ** 2).sum()
        self._n_numbers = n
        if self.answers is not None:
            self.answers.add(y, predicted)
