"""Answers of the last and of the best evaluation, held until it is known which of them are to be kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["HeldAnswers"]


@dataclass(slots=True, eq=False)
class _Held:
    """The answers of one step; None once they have been handed on."""

    step: int
    answers: PredictionBuffer | None


class HeldAnswers:
    """The answers of up to two evaluations.

    Only when a training has ended does one know which evaluation was the last, and whose weights it ends with.

    Parameters
    ----------
    log : TrainingLog
    is_regression : bool
    labels : sequence, optional
        Names of the classes.
    """

    def __init__(self, log: TrainingLog, *, is_regression: bool, labels: Sequence[object] | None) -> None:
        self._log, self._is_regression, self._labels = log, is_regression, labels
        self._last: _Held | None = None
        self._best: _Held | None = None

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
        held = _Held(step, answers)
        if self._log.wants_predictions(step, val_loss):
            self._write(held)
        self._replace(last=held, best=held if may_be_restored else self._best)

    def finish(self, restored_step: int | None) -> None:
        """Keep the answers of the weights that the training ends with, if they are asked for and are not kept yet.

        Parameters
        ----------
        restored_step : int or None
            Whose weights were restored; None where they are those of the last step.
        """
        of_restored = self._best is not None and self._best.step == restored_step
        held = self._best if of_restored else self._last
        if held is not None and held.answers is not None and self._log.wants_predictions(held.step, is_last=True):
            self._write(held)
        self._replace(last=None, best=None)

    def _replace(self, *, last: _Held | None, best: _Held | None) -> None:
        dropped = [held for held in (self._last, self._best) if held is not last and held is not best]
        self._last, self._best = last, best
        for held in dropped:
            if held is not None and held.answers is not None:
                held.answers.close()

    def _write(self, held: _Held) -> None:
        answers, held.answers = held.answers, None
        if answers is None or not len(answers):
            return
        if self._is_regression:
            with answers:
                y_true, y_pred, _ = answers.arrays()
                self._log.log_regression(y_true, y_pred, step=held.step)
        else:
            self._log.log_predictions(answers, step=held.step, labels=self._labels)
