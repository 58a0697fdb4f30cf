"""One training on its way into one run: what the callbacks of every framework share."""

import atexit
import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from lossacc_mlflow import store
from lossacc_mlflow.loggers.base import run_tags
from lossacc_mlflow.loggers.console import tell
from lossacc_mlflow.loggers.judged import gathered, judged_predictions, judged_regression
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.own_run import end_own_run, end_status, find_run
from lossacc_mlflow.loggers.policy import PredictionPolicy
from lossacc_mlflow.loggers.run_end import before_every_end
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.monitor import Alarm, Monitor
from lossacc_mlflow.predictions import PredictionBuffer
from lossacc_mlflow.records import Split, StepUnit

__all__ = ["TrainingLog", "close_trainings", "keep_end"]

_log = logging.getLogger("lossacc_mlflow")


class TrainingLog:
    """Points, predictions and the incremental judge of one training, bound to one run.

    It takes the active run, or starts one, which it ends when it is closed. Nothing that goes wrong in here reaches the
    training: it is one warning, and the tag ``lossacc.status``. Where no run is to be had (the server does not answer),
    it says so once and still judges. In a process that was forked while it was open it does nothing.

    Parameters
    ----------
    options : Options
    name : str
        Of the framework or estimator, for messages.
    step_unit : {"epoch", "iteration", "n_estimators", "global_step", "n_samples"} or None
        None: what is on the run tells, such as a series ``epoch``.
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
    tracking_uri : str, optional
        Of the store of `run_id`; MLflow's own by default.
    before_close : callable, optional
        Called once with the status, before the log is closed, however that comes about: for what is known only at the
        end.

    Attributes
    ----------
    run_id : str
        Empty where there is none.
    alarm : Alarm or None
        Of a verdict in ``options.stop_when``: its ``verdict``, ``best_step`` and ``message``.
    """

    def __init__(
        self,
        options: Options,
        *,
        name: str,
        step_unit: StepUnit | None = "epoch",
        loss: str | None = None,
        n_classes: int | None = None,
        class_counts: Mapping[str, int] | None = None,
        n_validation: int | None = None,
        logged_elsewhere: Collection[str] = (),
        run_id: str | None = None,
        tracking_uri: str | None = None,
        before_close: Callable[[str], None] | None = None,
    ) -> None:
        self.options, self.name, self.run_id = options, name, ""
        self._before_close = before_close
        self.alarm: Alarm | None = None
        self._step_unit = step_unit
        self._elsewhere = frozenset(logged_elsewhere)
        self._policy = PredictionPolicy(options.predictions)
        self._latest_val_loss: tuple[int, float] | None = None
        self._pid, self._is_ours, self._is_closed = os.getpid(), False, False
        self._monitor: Monitor | None = None
        self._outbox: store.Outbox | None = None
        with shielded(f"logging of {name}"):
            if options.alarms:
                self._monitor = Monitor(
                    loss=loss,
                    step_unit=step_unit,
                    n_classes=n_classes,
                    n_validation=n_validation,
                    alarms=options.alarms,
                )
            self.run_id, self._is_ours = (run_id, False) if run_id else find_run()
            self._outbox = store.Outbox(self.run_id, tracking_uri=tracking_uri)
            self._outbox.set_tags(
                run_tags(step_unit=step_unit, loss=loss, n_classes=n_classes, class_counts=class_counts)
            )
            with _State.lock:
                _State.open.setdefault(self.run_id, []).append(self)
            before_every_end(close_trainings)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Take in the values of one step, by our keys (``train_loss``, ``val_accuracy``, ...).

        Costs a few list appends a value; a thread writes them in batches. Several calls may tell of one step.

        Parameters
        ----------
        step : int
        values : mapping of str to number
            Floats, numpy scalars, tensors of one element; NaN and infinities too. None is passed over.
        """
        if self._is_idle:
            return
        with shielded(f"curves of {self.name}", self.run_id, tag=self.set_tags):
            numbers = self._numbers(values)
            if "val_loss" in numbers:
                self._latest_val_loss = (int(step), numbers["val_loss"])
            if self._outbox is not None:
                self._outbox.add(step, {k: v for k, v in numbers.items() if k not in self._elsewhere})
            if self._monitor is not None and self.alarm is None:
                self.alarm = self._monitor.update(step, numbers).alarm

    @property
    def should_stop(self) -> bool:
        """Whether there has been an alarm of a verdict in ``options.stop_when``."""
        return self.alarm is not None

    def note_stop(self, *, step: int, restored_step: int | None, step_unit: StepUnit | None = None) -> None:
        """Say on the run that the training was stopped, why, and which weights it ends with.

        Sets the tags ``lossacc.stopped`` (the verdict), ``lossacc.stopped_step`` and ``lossacc.restored_step``, and
        says it in one line on the console.

        Parameters
        ----------
        step : int
            The last one.
        restored_step : int or None
            Whose weights were restored; None where the training ends with those of the last step.
        step_unit : str, optional
            Of these steps; that of the training by default.
        """
        if self.alarm is None or self._is_idle:
            return
        from lossacc_mlflow.render.format import step_words  # noqa: PLC0415  (with all of it, and for this only)

        unit = step_unit or self._step_unit
        tags = {"lossacc.stopped": self.alarm.verdict, "lossacc.stopped_step": str(int(step))}
        weights = "its last weights stay"
        if restored_step is not None:
            tags["lossacc.restored_step"] = str(int(restored_step))
            weights = f"the weights of {step_words(restored_step, unit)} were restored"
        self.set_tags(tags)
        if not self.options.silent:
            verdict = self.alarm.verdict.replace("_", " ")
            sentence = f" {self.alarm.message}" if self.alarm.message else ""
            tell(
                "lossacc: %s was stopped at %s (%s), and %s.%s",
                *(self.name, step_words(step, unit), verdict, weights, sentence),
            )

    def wants_predictions(self, step: int, val_loss: float | None = None, *, is_last: bool = False) -> bool:
        """Whether ``options.predictions`` asks for predictions of this step; see `PredictionPolicy`.

        Parameters
        ----------
        step : int
        val_loss : float, optional
            By default the one that was logged of this step.
        is_last : bool
            To be asked once when the training has ended.
        """
        if self._is_idle or self._outbox is None:
            return False
        if val_loss is None and self._latest_val_loss is not None and self._latest_val_loss[0] == step:
            val_loss = self._latest_val_loss[1]
        return self._policy.is_due(step, val_loss, is_last=is_last)

    def log_predictions(
        self,
        y_true: ArrayLike | Iterable[Any],
        y_proba: ArrayLike | None = None,
        split: Split = "validation",
        *,
        step: int | None = None,
        labels: Sequence[object] | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> None:
        """Keep predictions of one split; the training does not wait until they are judged and written.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,), or iterable of blocks
            As in `lossacc_mlflow.log_predictions`. Arrays are copied, since training goes on in the same memory; a
            `PredictionBuffer` is taken over, and closed. Blocks from a generator are read before this returns.
        y_proba : array-like of shape (n_samples, n_classes) or (n_samples,), optional
        split : {"train", "validation", "test"}
        step : int, optional
            Of the weights that predicted. The figures of every step are kept where ``options.predictions`` is a
            number; else those of the last call, and the tag ``lossacc.predictions_step`` tells the step.
        labels : sequence of length n_classes, optional
        sample_weight : array-like of shape (n_samples,), optional
        """
        if self._is_idle or self._outbox is None:
            return
        with shielded(f"predictions of {self.name}", self.run_id, tag=self.set_tags):
            buffer = _own(y_true, y_proba, sample_weight)
            at = step if self._policy.keeps_steps else None

            def judge() -> store.JudgedPredictions:
                with buffer:
                    return judged_predictions(buffer, None, split, step=at, labels=labels, release=True)

            self._submit(judge)
            if step is not None and at is None:
                self.set_tags({"lossacc.predictions_step": str(int(step))})

    def log_regression(
        self, y_true: ArrayLike, y_pred: ArrayLike, split: Split = "validation", *, step: int | None = None
    ) -> None:
        """Keep predicted numbers of one split, as `log_predictions` does with probabilities.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
        split : {"train", "validation", "test"}
        step : int, optional
            Of the weights that predicted; told by the tag ``lossacc.predictions_step``.
        """
        if self._is_idle or self._outbox is None:
            return
        with shielded(f"predictions of {self.name}", self.run_id, tag=self.set_tags):
            target, predicted = np.array(y_true), np.array(y_pred)
            self._submit(lambda: judged_regression(target, predicted, split))
            if step is not None:
                self.set_tags({"lossacc.predictions_step": str(int(step))})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the run with the next batch."""
        if self._outbox is not None and not self._is_idle:
            self._outbox.set_tags(tags)

    def close(self, status: str = "FINISHED") -> None:
        """Write what is left; end the run if it is ours. Done twice, it does nothing the second time."""
        self._close(status, end_run=self._is_ours)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(end_status(error))

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is to be written any more: it is closed, or this is a process that was forked."""
        return self._is_closed or os.getpid() != self._pid

    def _numbers(self, values: Mapping[str, Any]) -> dict[str, float]:
        """Read what can be read; each key that cannot costs one warning."""
        numbers = {}
        for key, value in values.items():
            if value is not None:
                with shielded(f"{key!r} of {self.name}", self.run_id, tag=self.set_tags):
                    numbers[key] = store.as_number(value)
        return numbers

    def _submit(self, judge: Callable[[], store.JudgedPredictions]) -> None:
        """Have predictions judged and written by the thread that writes the points."""

        def shielded_judge() -> store.JudgedPredictions | None:
            judged: list[store.JudgedPredictions] = []
            with shielded(f"predictions of {self.name}", self.run_id, tag=self.set_tags):
                judged.append(judge())
            return judged[0] if judged else None

        if self._outbox is not None:
            self._outbox.submit(shielded_judge)

    def _close(self, status: str, *, end_run: bool) -> None:
        if self._is_idle:
            return
        before_close, self._before_close = self._before_close, None
        if before_close is not None:
            with shielded(f"curves of {self.name}", self.run_id, tag=self.set_tags):
                before_close(status)
        is_written = True
        if self._outbox is not None:
            with shielded(f"curves of {self.name}"):
                is_written = self._outbox.close(status)
        self._is_closed = True
        with _State.lock:
            trainings = _State.open.get(self.run_id, [])
            if self in trainings:
                trainings.remove(self)
            if not trainings:
                _State.open.pop(self.run_id, None)
            if not is_written:
                _State.unsent[self.run_id] = self
        if end_run and self._outbox is not None:
            end_own_run(
                self.run_id,
                status,
                self._outbox.keep_end,
                tracking_uri=self._outbox.tracking_uri,
                is_reachable=is_written,
            )

    def keep_end(self, status: str) -> bool:
        """Add how the run ended to what is kept of it; returns whether there is something that nobody has sent."""
        if self._outbox is None or not self._outbox.is_file_there:
            return False
        self._outbox.keep_end(status)
        return True


def _own(
    y_true: ArrayLike | Iterable[Any], y_proba: ArrayLike | None, sample_weight: ArrayLike | None
) -> PredictionBuffer:
    """Predictions in memory, or in a file, that nobody else writes to."""
    if y_proba is None:
        return y_true if isinstance(y_true, PredictionBuffer) else gathered(y_true)
    buffer = PredictionBuffer()
    buffer.add(y_true, y_proba, sample_weight)  # type: ignore[arg-type]  # no blocks beside y_proba
    return buffer


class _State:
    """The open trainings of this process, by run."""

    open: dict[str, list[TrainingLog]] = {}  # noqa: RUF012  (shared by all of them)
    unsent: dict[str, TrainingLog] = {}  # noqa: RUF012  (closed ones that left a local file)
    lock = Lock()


def close_trainings(run_id: str, status: str) -> None:
    """Close the trainings of a run that is about to end, as after an exception."""
    for training in list(_State.open.get(run_id, ())):
        training._close(status, end_run=False)  # noqa: SLF001  (of this module; it is ending already)
    left = _State.unsent.pop(run_id, None)
    if left is not None:
        left.keep_end(status)


def keep_end(run_id: str, status: str) -> None:
    """Keep how a run ended in a local file, because the store cannot be told.

    Parameters
    ----------
    run_id : str
    status : {"FINISHED", "FAILED", "KILLED"}
    """
    left = _State.unsent.pop(run_id, None)
    if left is None or not left.keep_end(status):
        store.Outbox(run_id).keep_end(status)


def _close_all() -> None:
    for training in [one for of_run in list(_State.open.values()) for one in of_run]:
        training.close()


def _forget_all() -> None:
    _State.open, _State.unsent, _State.lock = {}, {}, Lock()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
