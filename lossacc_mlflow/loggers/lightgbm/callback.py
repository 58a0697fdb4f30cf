"""The callback, and what puts it into every training of LightGBM."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.boosting.held_out import scorable_data
from lossacc_mlflow.loggers.boosting.log import BoostingLog
from lossacc_mlflow.loggers.boosting.roles import (
    Entry,
    argument,
    assign_roles,
    class_places,
    foreign_keys,
    is_same_data,
    with_argument,
)
from lossacc_mlflow.loggers.boosting.scores import ScoredSet, Task, scored_set
from lossacc_mlflow.loggers.lightgbm.boosters import (
    GrowingOutputs,
    Header,
    current_outputs,
    header_of,
    task_of,
)
from lossacc_mlflow.loggers.options import Options, Predictions
from lossacc_mlflow.loggers.own_run import end_status
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.validation import held_out_data
from lossacc_mlflow.records import Split

__all__ = ["LossaccCallback", "install"]

_ORDER = 25  # after those that log and record, before early stopping (30), which hides its last iteration from others
_CLASSES: ContextVar[Any] = ContextVar("lossacc_lightgbm_classes", default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What the callback itself is not told: the raw data of the evaluation sets, the classes, the other callbacks."""

    raw_data: Mapping[int, Any] = field(default_factory=dict)
    classes: NDArray[Any] | None = None
    callbacks: Sequence[Any] = ()


class LossaccCallback:
    """Log loss and accuracy of training and validation data at every iteration, and predictions at the end.

    LightGBM does not tell its callbacks when early stopping ends the training. So use it in a ``with`` block where
    there is early stopping, ``with LossaccCallback() as curves: lightgbm.train(..., callbacks=[curves])``; else it ends
    with the last iteration by itself.

    Parameters
    ----------
    validation_data : tuple of (X, y), optional
        Held-out data, where the training is given no evaluation set but the training data.
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
    _raw: Any

    def __init__(
        self,
        validation_data: tuple[Any, Any] | None = None,
        *,
        predictions: Predictions = "last",
        stop_when: str | Collection[str] | None = None,
    ) -> None:
        self.order, self.before_iteration = _ORDER, False
        self.options = Options(validation_data=validation_data, predictions=predictions, stop_when=stop_when)
        self.training = Training()
        self.is_managed = False
        self._forget()

    def __deepcopy__(self, memo: dict[int, Any]) -> "LossaccCallback":
        """Share the data, which nobody changes: so estimators are cloned."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(self.__dict__)
        twin._forget()  # noqa: SLF001  (its own class)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Leave the data out of files."""
        options = replace(self.options, validation_data=None)
        return {**self.__dict__, "options": options, "training": Training(), "_log": None, "_model": None, "_raw": None}

    def __call__(self, env: Any) -> None:  # noqa: ANN401  (LightGBM has no types)
        """Score the sets as the model stands after an iteration; stop here if there was an alarm."""
        if env.iteration == env.begin_iteration:
            self._forget()
            self._is_off = not isinstance(env.model, lightgbm.Booster)
        if self._is_off:
            return
        entries = [(str(one[0]), str(one[1]), float(one[2])) for one in env.evaluation_result_list or ()]
        is_last = env.iteration == env.end_iteration - 1
        may_end = self._patience.may_end(env)
        if self._log is None or is_last or may_end or self._log.is_due(env.iteration):
            self._score(env, entries)
        if self._log is not None and self.options.alarms:
            self._evaluated[env.iteration] = env.evaluation_result_list or []
            if self._log.log.should_stop and not is_last:
                self._stop(env)
        if is_last and not self.is_managed:
            self.close()

    def __enter__(self) -> Self:
        self.is_managed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_managed = False
        self.close(end_status(error))

    def close(self, status: str = "FINISHED") -> None:
        """Log the predictions, and write what is left."""
        if self._log is not None:
            self._log.log.close(status)
        self._forget()

    def _forget(self) -> None:
        """Hold on to nothing of a training: estimators are cloned and pickled with their callbacks."""
        self._log: BoostingLog | None = None
        self._model = self._raw = None
        self._header: Header | None = None
        self._patience = _Patience(self.training.callbacks)
        self._evaluated: dict[int, Any] = {}
        self._is_off = False

    def _score(self, env: Any, entries: list[Entry]) -> None:  # noqa: ANN401
        is_done = False
        with shielded("curves of lightgbm", None if self._log is None else self._log.log.run_id):
            if self._log is None:
                self._log = self._begin(env.model, entries)
            if self._log is not None:
                self._log.take(env.iteration, entries)
                is_done = True
        self._is_off = not is_done

    def _begin(self, model: Any, entries: list[Entry]) -> BoostingLog | None:  # noqa: ANN401
        """Look at the data and at the objective, once there is a tree; None where there is nothing to log."""
        self._model, self._header = model, header_of(model)
        task = task_of(self._header)
        train_name = getattr(model, "_train_data_name", "training")
        names = [train_name, *model.name_valid_sets]
        is_train = [index == 0 or self._holds_train(index) for index in range(len(names))]
        roles = dict(zip(names, assign_roles(names, is_train), strict=True))
        sets = [] if task is None else self._sets(model, task, names, roles)
        if task is not None and not any(one.split == "train" for one in sets):
            task, sets = None, []  # labels that cannot be counted
        if not sets and not foreign_keys(entries, roles)[0]:
            return None
        return BoostingLog(
            self.options,
            name="lightgbm",
            task=task,
            sets=sets,
            roles=roles,
            entries=entries,
            is_logged_by_mlflow=any(_is_of_mlflow(one) for one in self.training.callbacks),
            classes=self.training.classes,
            answer=self._answer,
        )

    def _holds_train(self, index: int) -> bool:
        labels = [self._model.train_set.get_label(), self._model.valid_sets[index - 1].get_label()]
        if any(one is None for one in labels) or np.shape(labels[0]) != np.shape(labels[1]):
            return False
        if not np.array_equal(*labels):
            return False
        return is_same_data(labels[1], current_outputs(self._model, index), labels[0], current_outputs(self._model, 0))

    def _sets(self, model: Any, task: Task, names: list[str], roles: Mapping[str, Split | None]) -> list[ScoredSet]:  # noqa: ANN401
        found = []
        for index, name in enumerate(names):
            role = "train" if index == 0 else roles[name]
            if role is None or (index and role == "train"):
                continue
            data = model.train_set if index == 0 else model.valid_sets[index - 1]
            outputs = partial(current_outputs, model, index)
            found.append(scored_set(role, task, data.get_label(), data.get_weight(), outputs))
            if role == "validation" or (role == "test" and self._raw is None):
                self._raw = self.training.raw_data.get(id(data), data.data)
        given = held_out_data(self.options)
        if given is not None and self._header is not None and not {"validation", "test"} & set(roles.values()):
            with shielded("validation curves of lightgbm"):
                classes = self.training.classes
                scorable = scorable_data(given, model.num_feature(), task, classes)
                if scorable is not None:
                    X, y = scorable  # noqa: N806
                    growing = GrowingOutputs(model, X, self._header)
                    growing()  # what LightGBM does not take fails here
                    found.append(scored_set("validation", task, class_places(y, classes), None, growing))
                    self._raw = X
        return [one for one in found if one is not None]

    def _stop(self, env: Any) -> None:  # noqa: ANN401
        """End the training as LightGBM's own early stopping does."""
        if self._log is None or self._log.log.alarm is None:
            return
        best: int | None = self._log.log.alarm.best_step
        if self._header is not None and self._header.is_dart:
            best = None  # its earlier trees have been changed since
        end = env.iteration if best is None else best
        self._log.log.note_stop(step=env.iteration, restored_step=best)
        raise lightgbm.callback.EarlyStopException(end, self._evaluated.get(end, []))

    def _answer(self) -> tuple[int, NDArray[Any]] | None:
        """Answer of the model's own ``predict``, which ends at the best iteration where early stopping found one."""
        if self._log is None:
            return None
        step = self._model.best_iteration - 1
        if step < 0:
            return self._log.last
        for known in (self._log.last, self._log.best):
            if known is not None and known[0] == step:
                return known
        if self._raw is None or isinstance(self._raw, str):
            return None
        return step, np.asarray(self._model.predict(self._raw))


class _Patience:
    """Tells at which iterations early stopping may end the training, so that the last one is scored.

    It may say so too often, never too seldom, of all early stopping that it knows of.
    """

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self._others = [one for one in callbacks if isinstance(getattr(one, "stopping_rounds", None), int)]
        self._best: dict[tuple[str, str], tuple[float, int]] = {}

    def may_end(self, env: Any) -> bool:  # noqa: ANN401
        """Take in what was evaluated after an iteration."""
        rounds = [one.stopping_rounds for one in self._others]
        given = env.params.get("early_stopping_round")
        if isinstance(given, int) and given > 0:
            rounds.append(given)
        if not rounds:
            return False
        deltas = [getattr(one, "min_delta", 0.0) for one in self._others]
        deltas.append(env.params.get("early_stopping_min_delta", 0.0))
        delta = max(np.max(one, initial=0.0) for one in deltas)
        longest = 0
        for name, metric, value, is_greater_better in (one[:4] for one in env.evaluation_result_list or ()):
            gain = value if is_greater_better else -value
            best, since = self._best.get((name, metric), (-np.inf, env.iteration))
            if gain > best + delta or best == -np.inf:
                self._best[name, metric] = (gain, env.iteration)
            longest = max(longest, env.iteration - since)
        return bool(longest >= min(rounds))


def install(options: Options) -> None:
    """Log every training of LightGBM, by ``lightgbm.train`` and by its scikit-learn estimators."""

    def fit(below: Any, estimator: Any, X: Any, y: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N803
        classes = None
        with shielded("classes of lightgbm"):
            classes = np.unique(np.asarray(y))
        token = _CLASSES.set(classes)
        try:
            return below(estimator, X, y, *args, **kwargs)
        finally:
            _CLASSES.reset(token)

    def train(below: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with hooks.outermost() as is_outermost:
            return _train(options, below, args, kwargs) if is_outermost else below(*args, **kwargs)

    hooks.attach(lightgbm.LGBMClassifier, "fit", fit)
    for module in (lightgbm, lightgbm.sklearn):
        hooks.attach(module, "train", train)


def _train(options: Options, below: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
    callback: LossaccCallback | None = None
    with shielded("curves of lightgbm"):
        names = list(inspect.signature(below).parameters)
        valid_sets, given = (argument(names, args, kwargs, name) for name in ("valid_sets", "callbacks"))
        callbacks = list(given or ())
        callback = next((one for one in callbacks if isinstance(one, LossaccCallback)), None)
        if callback is None:
            callback = LossaccCallback()
            callback.options = options
            callbacks.append(callback)
        sets = [valid_sets] if isinstance(valid_sets, lightgbm.Dataset) else list(valid_sets or ())
        # LightGBM drops the raw data when it makes its bins of them. MLflow appends its own callback to this very list.
        callback.training = Training({id(one): one.data for one in sets}, _CLASSES.get(), callbacks)
        args, kwargs = with_argument(names, args, kwargs, "callbacks", callbacks)
    with callback or nullcontext():
        try:
            return below(*args, **kwargs)
        finally:
            if callback is not None:
                callback.training = Training()


def _is_of_mlflow(callback: Any) -> bool:  # noqa: ANN401
    """Whether a callback is MLflow's own, under the functions that guard it."""
    while isinstance(callback, partial):
        inner = callback.args[0] if callback.args and callable(callback.args[0]) else callback.func
        callback = inner
    return getattr(callback, "__module__", "") == "mlflow.lightgbm"
