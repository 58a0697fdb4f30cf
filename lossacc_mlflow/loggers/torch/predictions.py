"""Predictions of the validation data, from the device to the run: of the last epoch, the best, or every n-th."""

from dataclasses import dataclass, field

import torch

from lossacc_mlflow.loggers.held_answers import HeldAnswers
from lossacc_mlflow.loggers.torch.answers import Task
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["KeptPredictions"]

_BYTES = 32 << 20
"""So much stays on the device before the host waits for it."""


@dataclass(slots=True)
class _Pass:
    """One pass over the validation data."""

    task: Task
    buffer: PredictionBuffer = field(default_factory=PredictionBuffer)
    waiting: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    n_bytes: int = 0

    def add(self, scores: torch.Tensor, targets: torch.Tensor) -> None:
        self.waiting.append((scores.clone(), targets.clone()))
        self.n_bytes += scores.nbytes + targets.nbytes
        if self.n_bytes >= _BYTES:
            self.fetch()

    def fetch(self) -> None:
        """Bring what waits on the device to the host, and make probabilities of it."""
        waiting, self.waiting, self.n_bytes = self.waiting, [], 0
        if waiting:
            scores, targets = (torch.cat(column).cpu() for column in zip(*waiting, strict=True))
            self.buffer.add(*self.task.predictions(scores, targets))


class KeptPredictions:
    """Outputs of the pass over the validation data that is under way; those of ended ones are held as answers."""

    def __init__(self) -> None:
        self._current: _Pass | None = None
        self._held: HeldAnswers | None = None

    def add(self, task: Task, scores: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in one batch; its copy waits on its device until there is enough to bring to the host."""
        if self._current is None:
            self._current = _Pass(task)
        self._current.add(scores, targets)

    def drop(self) -> None:
        """Forget the pass that is under way."""
        self._current = None

    def end_pass(self, step: int, loss: float | None, training: TrainingLog, *, is_best: bool = False) -> None:
        """End the pass that is under way, and log it if it is to be logged.

        Parameters
        ----------
        step : int
        loss : float or None
            Of the validation data.
        training : TrainingLog
        is_best : bool
            Whether the weights of this step are kept, and may be restored.
        """
        ended, self._current = self._current, None
        if ended is None:
            return
        ended.fetch()
        if self._held is None:
            is_regression = ended.task.kind == "regression"
            labels = None if is_regression else list(range(ended.task.n_classes))
            self._held = HeldAnswers(training, is_regression=is_regression, labels=labels)
        self._held.take(step, ended.buffer, val_loss=loss, may_be_restored=is_best)

    def finish(self, restored_step: int | None) -> None:
        """Log the predictions of the weights that the training ends with, if they are to be logged.

        Parameters
        ----------
        restored_step : int or None
            Whose weights were restored; None where they are those of the last step.
        """
        if self._held is not None:
            self._held.finish(restored_step)
