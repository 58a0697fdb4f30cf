"""One call of `fit`: what is logged of it, when it is stopped, and what is done at its end."""

import logging
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import keras
import numpy as np

from lossacc_mlflow.loggers.best_step import BestStep
from lossacc_mlflow.loggers.keras.answers import numbers_of, probabilities_of, targets_of
from lossacc_mlflow.loggers.keras.curves import EpochCurves, keys_of_mlflow, mlflow_logs_by
from lossacc_mlflow.loggers.keras.data import Batches, first_samples, open_batches
from lossacc_mlflow.loggers.keras.fitting import Fit
from lossacc_mlflow.loggers.keras.passes import predict, undisturbed
from lossacc_mlflow.loggers.keras.task import find_task
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.loggers.validation import held_out_data
from lossacc_mlflow.predictions import PredictionBuffer

__all__ = ["KerasTraining"]

_log = logging.getLogger("lossacc_mlflow")
_Result = TypeVar("_Result")

_DEFAULT_TRAIN_SAMPLES = 1_000
"""Of the clean train evaluation, where the number of validation samples is not known."""


class KerasTraining:
    """What is logged of one call of `fit`.

    Parameters
    ----------
    model : keras.Model
        Built and compiled.
    options : Options
    fit : Fit
    run_id : str, optional
        The active run by default.
    """

    def __init__(self, model: Any, options: Options, fit: Fit, run_id: str | None = None) -> None:  # noqa: ANN401
        self._model, self._options, self._fit = model, options, fit
        self._name = f"the Keras model {model.name!r}"
        self._failed: set[str] = set()
        self._task = find_task(model, fit)
        self._validation = fit.validation or self._held_out()
        self._clean = self._open_train_subset()
        self._train = EpochCurves(model, self._task, "train", self._clean or fit.train, is_weighted=fit.is_weighted)
        self._val = EpochCurves(model, self._task, "val", self._validation, is_weighted=fit.is_validation_weighted)
        self._log = self._open_log(run_id)
        self._offset = _find_offset(
            model, self._log.run_id, fit.initial_epoch, is_shared=mlflow_logs_by(fit.callbacks) is not None
        )
        self._best, self._best_weights = BestStep(), list[Any]()
        self._last_epoch: int | None = None
        self._stopped_epoch: int | None = None
        self._warn_of_what_is_missing()

    def end_epoch(self, epoch: int, logs: Mapping[str, float], *, n_epochs: int | None = None) -> None:
        """Take in the logs of an epoch, and stop the training if there is reason to.

        Parameters
        ----------
        epoch : int
            From 0.
        logs : mapping of str to float
        n_epochs : int, optional
            At which number of epochs the training ends.
        """
        values = self._attempt("curves", lambda: self._values(logs)) or {}
        step = epoch + self._offset
        self._log.log(step, values)
        _LOGGED[self._log.run_id] = _Epochs(self._model, step)
        self._last_epoch = epoch
        if self._options.alarms or self._options.predictions == "best":
            self._attempt("best weights", lambda: self._keep_best(epoch, values))
        if self._log.should_stop and self._stopped_epoch is None:
            self._stopped_epoch = epoch
            self._model.stop_training = True
        every = self._options.predictions
        is_last = self._model.stop_training or epoch + 1 == n_epochs
        if isinstance(every, int) and ((epoch + 1) % every == 0 or is_last):
            self._log_predictions(step)

    def finish(self) -> None:
        """Restore the best weights of a training that was stopped, log predictions, and close."""
        last = self._last_epoch
        if last is not None:
            ending = last
            if self._stopped_epoch is not None:
                restored = self._attempt("best weights", self._restore)
                ending = last if restored is None else restored
                self._log.note_stop(
                    step=self._stopped_epoch + self._offset,
                    restored_step=None if ending == last else ending + self._offset,
                )
            best = self._best.step
            if self._options.predictions == "best" and best is not None and best != ending:
                self._attempt("best weights", lambda: self._log_best_predictions(best + self._offset))
            elif self._options.predictions in {"best", "last"}:
                self._log_predictions(ending + self._offset)
        self.close("FINISHED")

    def close(self, status: str) -> None:
        """Write what is left."""
        self._log.close(status)

    def _values(self, logs: Mapping[str, float]) -> dict[str, float]:
        val = self._val.from_logs(logs)
        if val:
            val |= self._attempt("validation scores", lambda: self._val.missing(val)) or {}
        elif not self._fit.has_validation:
            val = self._attempt("validation scores", self._val.by_pass) or {}
        train = self._train.from_logs(logs) if self._clean is None else {}
        if self._clean is not None and (val or self._validation is None):
            train = self._attempt("the evaluation of training data", self._train.by_pass) or {}
        if self._task.kind == "regression":
            # The loss of a regression is logged where it is all that train and validation have in common.
            val.pop("val_loss", None)
            if "train_loss" in train and "val_loss" in logs:
                val["val_loss"] = float(logs["val_loss"])
        return {**train, **val}

    def _keep_best(self, epoch: int, values: Mapping[str, float]) -> None:
        if self._best.consider(epoch, values):
            self._best_weights = _weights(self._model)

    def _restore(self) -> int | None:
        """Give the model its best weights; return their epoch."""
        for callback in self._fit.callbacks:
            if isinstance(callback, keras.callbacks.EarlyStopping) and callback.best_weights is not None:
                return int(callback.best_epoch)  # it has restored its own
        epoch = self._best.step
        if epoch not in {None, self._last_epoch}:
            self._model.set_weights(self._best_weights)
        return epoch

    def _log_best_predictions(self, step: int) -> None:
        weights = _weights(self._model)
        self._model.set_weights(self._best_weights)
        try:
            self._log_predictions(step)
        finally:
            self._model.set_weights(weights)

    def _log_predictions(self, step: int) -> None:
        if self._validation is not None and self._task.kind != "loss_only" and self._task.has_predictions:
            validation = self._validation
            self._attempt("predictions", lambda: self._predict(validation, step))

    def _predict(self, validation: Batches, step: int) -> None:
        answers = predict(self._model, validation)
        if self._task.kind == "regression":
            pairs = [numbers_of(outputs) for outputs in answers]
            if pairs:
                y_true, y_pred = (np.concatenate(part) for part in zip(*pairs, strict=True))
                self._log.log_regression(y_true, y_pred, step=step)
            return
        buffer = PredictionBuffer()
        for outputs in answers:
            buffer.add(targets_of(outputs), probabilities_of(outputs, self._task.loss), outputs.sample_weight)
        if len(buffer):
            self._log.log_predictions(buffer, step=step)

    def _open_log(self, run_id: str | None) -> TrainingLog:
        task, fit = self._task, self._fit
        by = mlflow_logs_by(fit.callbacks)
        has_clean = self._clean is not None
        is_plain = not task.has_penalty and not fit.is_validation_weighted and (has_clean or not fit.is_weighted)
        log = TrainingLog(
            self._options,
            name=self._name,
            loss=task.loss.tag if is_plain and task.kind != "loss_only" else None,
            n_classes=task.n_classes,
            class_counts=task.class_counts,
            n_validation=None if self._validation is None else self._validation.n_samples,
            logged_elsewhere=(
                keys_of_mlflow(task, has_clean_train=has_clean, has_validation=fit.has_validation)
                if by == "epoch"
                else ()
            ),
            run_id=run_id,
        )
        if (has_clean or by == "batch") and task.kind != "regression":
            # MLflow's callback logs the running mean as well.
            log.set_tags({"lossacc.keys": "train_loss=train:loss,train_accuracy=train:accuracy"})
        return log

    def _held_out(self) -> Batches | None:
        held_out = held_out_data(self._options)
        return None if held_out is None else open_batches(*keras.utils.unpack_x_y_sample_weight(held_out))

    def _open_train_subset(self) -> Batches | None:
        wanted, train = self._options.train_evaluation, self._fit.train
        if not wanted or train is None:
            return None
        known = None if self._validation is None else self._validation.n_samples
        n_samples = (known or _DEFAULT_TRAIN_SAMPLES) if wanted is True else wanted
        with undisturbed(self._model):
            return first_samples(train, n_samples)

    def _warn_of_what_is_missing(self) -> None:
        options, task, fit = self._options, self._task, self._fit
        if task.why:
            _log.warning("lossacc: %s: %s, which is not supported: only its loss is logged.", self._name, task.why)
        elif options.predictions is not None and not task.has_predictions:
            _log.warning("lossacc: predictions of %s are not kept: it gives more than one answer a sample.", self._name)
        elif options.predictions is not None and fit.has_validation and self._validation is None:
            _log.warning(
                "lossacc: predictions of %s are not kept: its validation data can be gone through only once. Give "
                "arrays, a PyDataset or a DataLoader, to fit or as validation_data of autolog or LossaccCallback.",
                self._name,
            )
        if options.train_evaluation and self._clean is None:
            _log.warning(
                "lossacc: %s is not evaluated on training data: they can be gone through only once, or are not known. "
                "The running mean of Keras is logged.",
                self._name,
            )

    def _attempt(self, doing: str, do: Callable[[], _Result]) -> _Result | None:
        """Do something that may fail; what failed once is not tried again, and said once."""
        if doing in self._failed:
            return None
        result = None
        self._failed.add(doing)
        with shielded(f"{doing} of {self._name}", self._log.run_id, tag=self._log.set_tags):
            result = do()
            self._failed.discard(doing)
        return result


class _Epochs:
    """Steps that a model has logged to a run."""

    def __init__(self, model: Any, last: int) -> None:  # noqa: ANN401
        self.model, self.last = weakref.ref(model), last


_LOGGED: dict[str, _Epochs] = {}
"""By run."""


def _find_offset(model: Any, run_id: str, initial_epoch: int, *, is_shared: bool) -> int:  # noqa: ANN401
    """What is added to the epochs of Keras, which begin at 0 in every `fit`."""
    before = _LOGGED.get(run_id)
    if before is None or before.model() is not model or initial_epoch > before.last or is_shared:
        return 0
    if initial_epoch:
        _log.warning(
            "lossacc: epochs up to %d are in run %s already: from epoch %d on the later values replace them.",
            *(before.last, run_id, initial_epoch),
        )
        return 0
    _log.warning(
        "lossacc: epochs 0 to %d of run %s are of an earlier fit of this model: those of this one are counted on from "
        "there, as with initial_epoch=%d.",
        *(before.last, run_id, before.last + 1),
    )
    return before.last + 1


def _weights(model: Any) -> list[Any]:  # noqa: ANN401
    """Copies of the weights, as `get_weights` makes them, which NumPy 2 warns of."""
    return [keras.ops.convert_to_numpy(v) for v in model.weights]
