"""A training loop of the user's own: each call of ``partial_fit`` is one step of it.

The loop belongs to the run that is active at its first step, and ends with it: then the last step is scored, and the
validation data are predicted. Without a run it gets one of its own, which is nobody's active run, so that the loop may
open others; that one ends with the life of the estimator, or of the interpreter.
"""

import atexit
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.tracking.context.registry import resolve_tags
from mlflow.tracking.fluent import _get_experiment_id
from sklearn.base import is_classifier

from lossacc_mlflow import store
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.sklearn.data import (
    FitData,
    Part,
    despite_validation,
    leave_out_missing,
    leave_out_unseen,
    parts_of,
)
from lossacc_mlflow.loggers.sklearn.kinds import recipe_for
from lossacc_mlflow.loggers.sklearn.model_log import log_validation_predictions
from lossacc_mlflow.loggers.sklearn.quiet import without_traces
from lossacc_mlflow.loggers.sklearn.runs import claim, estimator_tags
from lossacc_mlflow.loggers.sklearn.scores import answer_of
from lossacc_mlflow.loggers.sklearn.steps import Spacing
from lossacc_mlflow.loggers.sklearn.training_curves import NOTE_TAG
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.loggers.validation import held_out_data

__all__ = ["log_partial_fit"]

_TRAIN_NOTE = "Train scores are those of the data of each partial_fit call, after it."


def log_partial_fit(estimator: Any, given: Mapping[str, Any], options: Options) -> None:  # noqa: ANN401
    """Take note of one step of a loop, and score it if its turn has come.

    Of a long loop not every step is scored (see `Spacing`): nobody knows how many there will be.

    Parameters
    ----------
    estimator : classifier or regressor
        After the step.
    given : mapping
        ``X``, ``y`` and ``sample_weight`` of the call.
    options : Options
    """
    loop = _LOOPS.get(id(estimator))
    if loop is None or loop.is_closed or loop.estimator() is not estimator:
        if estimator in _WITHOUT_RUN:
            return
        try:
            loop = _open(estimator, options)
        except Exception:
            _WITHOUT_RUN.add(estimator)  # so that not every step waits for a server that is away
            raise
        if loop is None:
            return
        _LOOPS[id(estimator)] = loop
    loop.take(given, held_out_data(options))


class _Loop:
    """The steps of one estimator on their way into one run.

    Parameters
    ----------
    estimator : callable
        Returns the estimator, or None when it is gone.
    options : Options
    run_id : str
    """

    def __init__(self, estimator: Callable[[], Any], options: Options, run_id: str) -> None:
        self.estimator, self.options, self.run_id = estimator, options, run_id
        self.name, self.key = type(estimator()).__name__, id(estimator())
        self.is_closed = False
        self._training: TrainingLog | None = None
        self._spacing = Spacing()
        self._step = self._scored_step = 0
        self._data: FitData | None = None
        self._is_of_batches = self._has_bad_validation = False

    def take(self, given: Mapping[str, Any], held_out: tuple[Any, Any] | None) -> None:
        """Take note of one step."""
        self._step += 1
        X_val, y_val = (None, None) if held_out is None or self._has_bad_validation else held_out  # noqa: N806
        before, self._data = self._data, FitData(given["X"], given["y"], X_val, y_val, given["sample_weight"])
        if self._training is None:
            self._training = self._open_log(self.estimator(), self._data)
        if before is not None and not self._is_of_batches and not _is_same(before.X, given["X"]):
            self._is_of_batches = True
            self._training.set_tags({"lossacc.step_unit": "global_step"})
        if self._spacing.is_due(self._step):
            with shielded(f"curves of {self.name}", self.run_id):
                self._score(self.estimator(), self._data, self._training)

    def close(self) -> None:
        """Score the last step and predict the validation data, if the estimator still lives."""
        self.forget()
        estimator, data, training = self.estimator(), self._data, self._training
        if estimator is None or data is None or training is None:
            return
        if self._scored_step != self._step:
            self._score(estimator, data, training)
        if data.has_validation and not self._has_bad_validation and self.options.predictions is not None:
            with without_traces(estimator):
                is_of_classes = is_classifier(estimator)
                data = leave_out_unseen(data, estimator.classes_) if is_of_classes else leave_out_missing(data)
                log_validation_predictions(estimator, data, training)

    def forget(self) -> None:
        """Take no more steps: what comes is of another loop."""
        self.is_closed = True
        if _LOOPS.get(self.key) is self:
            del _LOOPS[self.key]

    def end_later(self) -> None:
        """End the run, which is ours, as the estimator goes away.

        That may be anywhere, also in code that holds what writing takes: so it is done by a thread of its own.
        """
        self.forget()
        threading.Thread(target=self.end, name="lossacc-end-of-loop").start()

    def end(self) -> None:
        """Write what is left, and end the run, which is ours."""
        if self._training is not None:
            self._training.close()
        with shielded(f"end of run {self.run_id}"):
            MlflowClient().set_terminated(self.run_id)

    def _score(self, estimator: Any, data: FitData, training: TrainingLog) -> None:  # noqa: ANN401
        with without_traces(estimator), np.errstate(all="ignore"):
            (parts, scores), _, error = despite_validation(partial(_scores_of, estimator), data)
        if error is not None:
            self._has_bad_validation = True
            with shielded(f"validation curves of {self.name}", self.run_id, tag=training.set_tags):
                raise error
        if not self._scored_step:
            notes = [_TRAIN_NOTE, *(part.note for part in parts if part.note)]
            training.set_tags({NOTE_TAG: " ".join(notes)})
        training.log(self._step, scores)
        self._scored_step = self._step

    def _open_log(self, estimator: Any, data: FitData) -> TrainingLog:  # noqa: ANN401
        is_of_classes = is_classifier(estimator)
        return TrainingLog(
            self.options,
            name=self.name,
            loss=recipe_for(estimator).loss if is_of_classes else None,
            n_classes=len(estimator.classes_) if is_of_classes else None,
            n_validation=len(data.y_val) if data.has_validation else None,
            run_id=self.run_id,
            before_close=lambda _: self.close(),
        )


_LOOPS: dict[int, _Loop] = {}
"""By the identity of the estimator."""
_OWN_RUNS: "weakref.WeakSet[_Loop]" = weakref.WeakSet()
_WITHOUT_RUN: "weakref.WeakSet[Any]" = weakref.WeakSet()
"""Estimators for whose loop no run could be opened."""


def _open(estimator: Any, options: Options) -> _Loop | None:  # noqa: ANN401
    """Open a loop in the active run, which keeps the estimator until it ends, or in one of its own."""
    active = mlflow.active_run()
    if active is not None:
        run_id = str(active.info.run_id)
        return _Loop(lambda: estimator, options, run_id) if claim(run_id, estimator) else None
    store.check_server()  # MLflow would try for minutes
    tags = resolve_tags(estimator_tags(estimator))
    run_id = str(MlflowClient().create_run(_get_experiment_id(), tags=tags).info.run_id)
    loop = _Loop(weakref.ref(estimator), options, run_id)
    weakref.finalize(estimator, loop.end_later).atexit = False
    _OWN_RUNS.add(loop)
    return loop


def _scores_of(estimator: Any, data: FitData) -> tuple[list[Part], dict[str, float]]:  # noqa: ANN401
    parts = parts_of(estimator, data)
    return parts, {k: v for part in parts for k, v in part.scores(answer_of(estimator, part.X)).items()}


def _end_all() -> None:
    for loop in list(_OWN_RUNS):
        if not loop.is_closed:
            loop.end()


atexit.register(_end_all)


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Whether two calls were given the same samples, as far as that shows at no cost."""
    if one is other:
        return True
    both = isinstance(one, np.ndarray) and isinstance(other, np.ndarray)
    return both and one.shape == other.shape and one.__array_interface__["data"] == other.__array_interface__["data"]
