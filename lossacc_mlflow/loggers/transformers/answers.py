"""Answers of the last and of the best evaluation, held until it is known which of them are to be kept."""

from collections.abc import Sequence

from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["HeldAnswers"]


class HeldAnswers:
    """The answers of up to two evaluations.

    Only when a training has ended does one know which evaluation was the last, and whose weights it ends with.

    Parameters
    ----------
    log : TrainingLog
    is_regression : bool
    labels : sequence of str, optional
        Names of the classes.
    """

    def __init__(self, log: TrainingLog, *, is_regression: bool, labels: Sequence[str] | None) -> None:
        self._log, self._is_regression, self._labels = log, is_regression, labels
        self._last: tuple[int, PredictionBuffer] | None = None
        self._best: tuple[int, PredictionBuffer] | None = None

    def take(self, step: int, answers: PredictionBuffer, *, val_loss: float | None, may_be_restored: bool) -> None:
        """Take the answers of one evaluation, and keep them at once if that is asked for.

        Parameters
        ----------
        step : int
        answers : PredictionBuffer
            Now ours.
        val_loss : float or None
        may_be_restored : bool
            Whether the training may end with the weights of this step.
        """
        if self._log.wants_predictions(step, val_loss):
            self._write(step, answers)
            self._replace(last=None, best=None if may_be_restored else self._best)
            return
        held = (step, answers)
        self._replace(last=held, best=held if may_be_restored else self._best)

    def finish(self, restored_step: int | None) -> None:
        """Keep the answers of the weights that the training ends with, if they are asked for."""
        of_restored = self._best is not None and self._best[0] == restored_step
        held = self._best if of_restored else self._last
        if held is not None and self._log.wants_predictions(held[0], is_last=True):
            self._write(*held)
            self._last = None if self._last is held else self._last
            self._best = None if self._best is held else self._best
        self._replace(last=None, best=None)

    def _replace(self, *, last: tuple[int, PredictionBuffer] | None, best: tuple[int, PredictionBuffer] | None) -> None:
        dropped = {id(held): held for held in (self._last, self._best) if held not in {None, last, best}}
        self._last, self._best = last, best
        for held in dropped.values():
            if held is not None:
                held[1].close()

    def _write(self, step: int, answers: PredictionBuffer) -> None:
        if self._is_regression:
            with answers:
                y_true, y_pred, _ = answers.arrays()
                self._log.log_regression(y_true, y_pred, step=step)
        else:
            self._log.log_predictions(answers, step=step, labels=self._labels)
