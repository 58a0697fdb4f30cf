"""The callback, and what puts it into every training of XGBoost."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.boosting.log import BoostingLog
from lossacc_mlflow.loggers.boosting.roles import (
    Entry,
    argument,
    assign_roles,
    foreign_keys,
    is_same_data,
    named_split,
    with_argument,
)
from lossacc_mlflow.loggers.boosting.scores import ScoredSet, Task, scored_set
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.validation import held_out_data
from lossacc_mlflow.loggers.xgboost.boosters import as_matrix, held_out_matrix, keeps_iterations, labels_of, task_of
from lossacc_mlflow.records import Split

__all__ = ["LossaccCallback", "install"]

_FITTING: ContextVar[Any] = ContextVar("lossacc_xgboost_estimator", default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What the callback itself is not told: the data, and who trains."""

    dtrain: Any = None
    evals: Sequence[tuple[Any, str]] = ()
    has_own_objective: bool = False
    estimator: Any = None
    callbacks: Sequence[Any] = ()


class LossaccCallback(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # XGBoost has no types
    """Log loss and accuracy of training and validation data at every iteration, and predictions at the end.

    Parameters
    ----------
    train_data : DMatrix or tuple of (X, y), optional
        What the model is trained on. XGBoost does not tell its callbacks: without it, and without
        ``lossacc_mlflow.autolog()``, only what XGBoost evaluates itself is logged, by the names of its evaluation sets.
    validation_data : DMatrix or tuple of (X, y), optional
        Held-out data.
    predictions : {"last", "best"}, int or None
        Of which iterations predictions of the held-out data are kept.
    stop_when : str or collection of str, optional
        Verdicts, such as ``"overfitting"``, at whose first alarm that lasts the training is stopped.

    Raises
    ------
    InputError
        If a value is none of these.
    """

    _model: Any
    _held_out: Any
    _evals_log: Mapping[str, Mapping[str, Any]]

    def __init__(
        self,
        train_data: Any = None,  # noqa: ANN401  (XGBoost has no types)
        validation_data: Any = None,  # noqa: ANN401
        *,
        predictions: Predictions = "last",
        stop_when: str | Collection[str] | None = None,
    ) -> None:
        super().__init__()
        given = (validation_data, None) if isinstance(validation_data, xgboost.DMatrix) else validation_data
        self.options = Options(validation_data=given, predictions=predictions, stop_when=stop_when)
        self.training = Training(None if train_data is None else as_matrix(train_data, None, None))
        self._forget()

    def __deepcopy__(self, memo: dict[int, Any]) -> "LossaccCallback":
        """Share the data, which nobody changes: so estimators are cloned."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(self.__dict__)
        twin._forget()  # noqa: SLF001  (its own class)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave the data out of the files of estimators."""
        options = replace(self.options, validation_data=None)
        return {**self.__dict__, "options": options, "training": Training(), "_log": None, "_model": None}

    def before_training(self, model: Any) -> Any:  # noqa: ANN401
        """Begin anew."""
        self._forget()
        self._is_off = not isinstance(model, xgboost.Booster) or xgboost.collective.get_rank() != 0
        if not self._is_off:
            self._first = model.num_boosted_rounds()
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401
        """Stop here, after every other callback has seen the last iteration, if there was an alarm."""
        del model, epoch, evals_log
        self._has_stopped = self._log is not None and self._log.log.should_stop
        return self._has_stopped

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401
        """Score the sets as the model stands now."""
        self._epoch, self._evals_log = epoch, evals_log
        if not self._is_off and (self._log is None or self._log.is_due(epoch)):
            self._score(model)
        return False

    def after_training(self, model: Any) -> Any:  # noqa: ANN401
        """Log the predictions, and leave the best iteration to the model if the training was stopped here."""
        if self._log is not None:
            if self._log.last_step != self._epoch and not self._is_off:
                self._score(model)
            with shielded("end of the training of xgboost", self._log.log.run_id):
                if self._has_stopped:
                    model = self._keep_best(model)
                self._model = model
            self._log.log.close()
        self._forget()
        return model

    def abandon(self, status: str) -> None:
        """Close the log of a training that has failed."""
        if self._log is not None:
            self._log.log.close(status)
        self._forget()

    def _forget(self) -> None:
        """Hold on to nothing of a training: estimators are cloned and pickled with their callbacks."""
        self._log: BoostingLog | None = None
        self._task: Task | None = None
        self._model = self._held_out = None
        self._evals_log = {}
        self._is_off = self._has_stopped = False
        self._epoch = self._first = 0

    def _score(self, model: Any) -> None:  # noqa: ANN401
        self._model, is_done = model, False
        with shielded("curves of xgboost", None if self._log is None else self._log.log.run_id):
            entries = [
                (name, metric, _number(values[-1]))
                for name, metrics in self._evals_log.items()
                for metric, values in metrics.items()
            ]
            self._log = self._log or self._begin(entries)
            if self._log is not None:
                self._log.take(self._epoch, entries)
                is_done = True
        self._is_off = not is_done

    def _begin(self, entries: list[Entry]) -> BoostingLog | None:
        """Look at the data and at the objective, once there is a tree; None where there is nothing to log."""
        training = self.training
        is_known = training.dtrain is not None and not training.has_own_objective
        task = self._task = task_of(self._model) if is_known else None
        matrices = {name: matrix for matrix, name in training.evals}
        names = list(dict.fromkeys([*matrices, *(name for name, _, _ in entries)]))
        is_train = [self._is_train(matrices.get(name), name) for name in names]
        roles = dict(zip(names, assign_roles(names, is_train), strict=True))
        by_split = {role: matrices[name] for name, role in roles.items() if role is not None and name in matrices}
        if not {"validation", "test"} & set(roles.values()) and task is not None:
            by_split["validation"] = self._given_data(task)
        by_split["train"] = training.dtrain
        self._held_out = by_split.get("validation", by_split.get("test"))
        sets = [] if task is None else self._sets(by_split, task)
        if task is not None and not any(one.split == "train" for one in sets):
            task, sets = None, []  # labels that cannot be counted
        if not sets and not foreign_keys(entries, roles)[0]:
            return None
        return BoostingLog(
            self.options,
            name="xgboost",
            task=task,
            sets=sets,
            roles=roles,
            entries=entries,
            is_logged_by_mlflow=_is_logged_by_mlflow(training.callbacks),
            classes=None,
            answer=self._answer,
        )

    def _is_train(self, matrix: Any, name: str) -> bool:  # noqa: ANN401
        """Whether an evaluation set is the training data: the same object, or the same labels and margins."""
        dtrain = self.training.dtrain
        if matrix is None or dtrain is None:
            return named_split(name) == "train"
        if matrix is dtrain:
            return True
        if matrix.num_row() != dtrain.num_row() or not np.array_equal(matrix.get_label(), dtrain.get_label()):
            return False
        outputs = [self._model.predict(one, output_margin=True) for one in (matrix, dtrain)]
        return is_same_data(matrix.get_label(), outputs[0], dtrain.get_label(), outputs[1])

    def _sets(self, by_split: dict[Split, Any], task: Task) -> list[ScoredSet]:
        found = []
        for split in ("train", "validation", "test"):
            matrix = by_split.get(split)
            if matrix is not None:
                weight = matrix.get_weight()
                found.append(scored_set(split, task, labels_of(matrix), weight, partial(self._outputs, matrix)))
        return [one for one in found if one is not None]

    def _outputs(self, matrix: Any, end: int = 0) -> NDArray[Any]:  # noqa: ANN401
        """What the booster answers after so many iterations (0: all); of the last one it remembers it."""
        is_margin = self._task is not None and self._task.is_margin
        window = {} if end == 0 else {"iteration_range": (0, end)}
        return np.asarray(self._model.predict(matrix, output_margin=is_margin, **window))

    def _given_data(self, task: Task) -> Any:  # noqa: ANN401
        """Held-out data that were given to this callback, to `autolog` or by `validation_data`; None without."""
        given, matrix = held_out_data(self.options), None
        if given is not None:
            with shielded("validation curves of xgboost"):
                found = held_out_matrix(given, self.training.dtrain, self.training.estimator, task)
                if found is not None:
                    self._outputs(found)  # other features than those of the training fail here
                matrix = found
        return matrix

    def _answer(self) -> tuple[int, NDArray[Any]] | None:
        """Answer of the model's own ``predict``: estimators, and shortened boosters, end at the best iteration."""
        best = self._model.attr("best_iteration")
        is_shortened = any(getattr(callback, "save_best", False) for callback in self.training.callbacks)
        ends_at_best = self.training.estimator is not None or self.training.dtrain is None or is_shortened
        if best is None or not (ends_at_best or self._has_stopped):
            return None if self._log is None else self._log.last
        return int(best) - self._first, self._outputs(self._held_out, int(best) + 1)

    def _keep_best(self, model: Any) -> Any:  # noqa: ANN401
        """Let a model end at the best iteration of the alarm, as XGBoost's own early stopping does.

        Estimators look at the attribute ``best_iteration``; boosters do not, and are cut.
        """
        if self._log is None or self._log.log.alarm is None:
            return model
        best = self._log.log.alarm.best_step
        if not keeps_iterations(model):
            self._log.log.note_stop(step=self._epoch, restored_step=None)
            return model
        if self.training.estimator is None:
            model = model[: best + self._first + 1]
        scores = [values[best] for metrics in self._evals_log.values() for values in metrics.values()]
        score = _number(scores[-1]) if scores else self._log.held_out_loss.get(best)
        model.set_attr(best_iteration=str(best + self._first), best_score=None if score is None else str(score))
        self._log.log.note_stop(step=self._epoch, restored_step=best)
        return model


def install(options: Options) -> None:
    """Log every training of XGBoost, by ``xgboost.train`` and by its scikit-learn estimators."""

    def fit(below: Any, estimator: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        token = _FITTING.set(estimator)
        try:
            return below(estimator, *args, **kwargs)
        finally:
            _FITTING.reset(token)

    def train(below: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with hooks.outermost() as is_outermost:
            return _train(options, below, args, kwargs) if is_outermost else below(*args, **kwargs)

    for estimator in (xgboost.XGBModel, xgboost.XGBClassifier):
        hooks.attach(estimator, "fit", fit)
    for module in (xgboost, xgboost.sklearn):
        hooks.attach(module, "train", train)


def _train(options: Options, below: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    callback: LossaccCallback | None = None
    with shielded("curves of xgboost"):
        names = list(inspect.signature(below).parameters)
        dtrain, evals, own, given = (argument(names, args, kwargs, n) for n in ("dtrain", "evals", "obj", "callbacks"))
        callbacks = list(given or ())
        callback = next((one for one in callbacks if isinstance(one, LossaccCallback)), None)
        if callback is None:
            callback = LossaccCallback()
            callback.options = options
            callbacks.insert(0, callback)  # any() of all callbacks: one that stops the training hides those after it
        # MLflow appends its own callback to this very list.
        callback.training = Training(dtrain, tuple(evals or ()), own is not None, _FITTING.get(), callbacks)
        args, kwargs = with_argument(names, args, kwargs, "callbacks", callbacks)
    try:
        return below(*args, **kwargs)
    except BaseException as error:
        if callback is not None:
            callback.abandon(end_status(error))
        raise
    finally:
        if callback is not None:
            callback.training = Training()


def _is_logged_by_mlflow(callbacks: Sequence[Any]) -> bool:
    """Whether MLflow's own callback is among those of this training."""
    return any(type(one).__module__ == "mlflow.xgboost._autolog" for one in callbacks)


def _number(value: Any) -> float:  # noqa: ANN401  (a number, or mean and deviation)
    return float(value[0] if isinstance(value, tuple) else value)
