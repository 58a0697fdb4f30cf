"""One training on its way into one run: what the callbacks of every framework share."""

import logging
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Self

import mlflow
from numpy.typing import ArrayLike

from lossacc_mlflow import store
from lossacc_mlflow.loggers.base import log_predictions, run_tags
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.monitor import Alarm, Monitor
from lossacc_mlflow.records import Split, StepUnit

__all__ = ["TrainingLog", "close_trainings"]

_log = logging.getLogger("lossacc_mlflow")


class TrainingLog:
    """Points, predictions and the incremental judge of one training, bound to one run.

    It takes the active run, or starts one, which it ends when it is closed. Nothing that goes wrong in here reaches the
    training: it is one warning, and the tag ``lossacc.status``. What another logger writes to the run under a known
    key is left to it.

    Parameters
    ----------
    options : Options
    name : str
        Of the framework or estimator, for messages.
    step_unit : {"epoch", "iteration", "n_estimators", "global_step", "n_samples"}
    loss : str, optional
        What the loss is, such as ``log_loss``, where it is known.
    n_classes : int, optional
    class_counts : mapping of class label to count, optional
        In the training data.
    n_validation : int, optional
        Number of validation samples: the judge tells noise by it.
    logged_elsewhere : collection of str
        Keys of ours, such as ``train_loss``, for whose metric and split another logger writes curves to this run: the
        judge sees them, the run gets no second copy.
    run_id : str, optional
        The active run by default.
    """

    def __init__(
        self,
        options: Options,
        *,
        name: str,
        step_unit: StepUnit = "epoch",
        loss: str | None = None,
        n_classes: int | None = None,
        class_counts: Mapping[str, int] | None = None,
        n_validation: int | None = None,
        logged_elsewhere: Collection[str] = (),
        run_id: str | None = None,
    ) -> None:
        self.options, self.name = options, name
        self.alarm: Alarm | None = None
        self._elsewhere = frozenset(logged_elsewhere)
        self._is_ours = False
        self._is_closed = False
        self.run_id = run_id or self._find_run()
        self._outbox = store.Outbox(self.run_id)
        self._monitor: Monitor | None = None
        if options.alarms:
            self._monitor = Monitor(
                loss=loss, step_unit=step_unit, n_classes=n_classes, n_validation=n_validation, alarms=options.alarms
            )
        self._outbox.set_tags(run_tags(step_unit=step_unit, loss=loss, n_classes=n_classes, class_counts=class_counts))
        with _LOCK:
            _OPEN.setdefault(self.run_id, []).append(self)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the values of one step, by our keys (``train_loss``, ``val_accuracy``, ...).

        Costs a dictionary lookup and a list append a value; a thread writes them in batches.
        """
        with shielded(f"curves of {self.name}", self.run_id):
            self._outbox.add(step, {k: v for k, v in values.items() if k not in self._elsewhere})
            if self._monitor is not None and self.alarm is None:
                self.alarm = self._monitor.update(step, values).alarm

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm of a verdict in ``options.stop_when``."""
        return self.alarm is not None

    def note_stop(self, *, step: int, restored_step: int | None) -> None:
        """Say on the run that the training was stopped, why, and which weights it ends with."""

    def log_predictions(
        self,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        split: Split = "validation",
        *,
        step: int | None = None,
        labels: Sequence[object] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        """Keep predictions of one split, as `log_predictions` does."""
        with shielded(f"predictions of {self.name}", self.run_id):
            log_predictions(
                y_true, y_proba, split, step=step, labels=labels, sample_weight=sample_weight, run_id=self.run_id
            )

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run with the next batch."""
        self._outbox.set_tags(tags)

    def close(self, status: str = "FINISHED") -> None:
        """Write what is left; end the run if it is ours. Done twice, it does nothing the second time."""
        if self._is_closed:
            return
        self._is_closed = True
        with _LOCK:
            _OPEN[self.run_id].remove(self)
        with shielded(f"curves of {self.name}"):
            self._outbox.close()
        if self._is_ours:
            with shielded(f"end of the run of {self.name}"):
                mlflow.end_run(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("FINISHED" if kind is None else "KILLED" if kind is KeyboardInterrupt else "FAILED")

    def _find_run(self) -> str:
        active: Any = mlflow.active_run()
        if active is None:
            active = mlflow.start_run()
            self._is_ours = True
        return str(active.info.run_id)


_OPEN: dict[str, list[TrainingLog]] = {}
_LOCK = Lock()


def close_trainings(run_id: str, status: str) -> None:
    """Close the trainings of a run that is about to end, as after an exception."""
    for training in list(_OPEN.get(run_id, ())):
        training.close(status)
