"""Logs of an epoch, as Keras names them -> values by our keys."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from lossacc_mlflow.keys import parse_key
from lossacc_mlflow.loggers.keras.answers import accuracy_of, errors_of
from lossacc_mlflow.loggers.keras.data import Batches
from lossacc_mlflow.loggers.keras.passes import evaluate, predict, variance_of_targets
from lossacc_mlflow.loggers.keras.task import Task

__all__ = ["EpochCurves", "keys_of_mlflow", "mlflow_logs_by"]

Values = dict[str, float]
_PREFIXES: Mapping[str, str] = {"train": "", "val": "val_"}


class EpochCurves:
    """Values of one split, from what Keras has computed as far as it goes, else from a pass of our own.

    Parameters
    ----------
    model : keras.Model
    task : Task
    split : {"train", "val"}
    batches : Batches or None
        The data of the split, where they can be gone through again.
    is_weighted : bool
        Whether Keras' figures are weighted means over the samples.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        task: Task,
        split: Literal["train", "val"],
        batches: Batches | None,
        *,
        is_weighted: bool = False,
    ) -> None:
        self._model, self._task, self._split, self._batches = model, task, split, batches
        self._is_weighted = is_weighted
        self._variance: float | None = None

    def from_logs(self, logs: Mapping[str, float]) -> Values:
        """Return what the logs of an epoch say, and for regressions R², which follows from the targets."""
        named = {name: logs.get(_PREFIXES[self._split] + name) for name in ("loss", *self._names())}
        known = {name: float(value) for name, value in named.items() if value is not None}
        if not known:
            return {}
        if self._task.kind == "regression":
            return self._keyed(self._errors(known))
        values = {"loss": known["loss"]} if "loss" in known else {}
        if self._task.kind == "classification" and self._task.accuracy in known:
            values["accuracy"] = known[self._task.accuracy]
        return self._keyed(values)

    def by_pass(self) -> Values:
        """Return what an evaluation says, after which nothing is missing."""
        if self._batches is None:
            return {}
        if self._task.kind == "regression":
            return self._from_answers()
        logs = evaluate(self._model, self._batches)
        prefix = _PREFIXES[self._split]
        values = self.from_logs({prefix + name: value for name, value in logs.items()})
        return values | self.missing(values)

    def missing(self, values: Mapping[str, float]) -> Values:
        """Return what is not among the values and takes the predictions of the split."""
        wanted = {"classification": "accuracy", "regression": "rmse"}.get(self._task.kind)
        if wanted is None or f"{self._split}_{wanted}" in values or self._batches is None:
            return {}
        if self._task.kind == "classification" and not self._task.has_predictions:
            return {}
        return self._from_answers()

    def _from_answers(self) -> Values:
        if self._batches is None:
            return {}
        answers = predict(self._model, self._batches)
        if self._task.kind == "classification":
            return self._keyed({"accuracy": accuracy_of(answers, self._task.loss)})
        errors = errors_of(answers)
        return self._keyed({"rmse": errors.rmse, "r2": errors.r2})

    def _errors(self, known: Mapping[str, float]) -> Values:
        """Root of the mean squared error and R² where a figure of Keras' gives them; else the loss as it is."""
        names = self._task.errors or {}
        mse = None
        if names.get("rmse") in known:
            mse = known[names["rmse"]] ** 2
        elif names.get("mse") in known:
            mse = known[names["mse"]]
        elif self._task.loss.tag == "mean_squared_error" and not self._task.has_penalty and not self._is_weighted:
            mse = known.get("loss")
        if mse is None:
            return {"loss": known["loss"]} if "loss" in known else {}
        values = {"rmse": math.sqrt(mse) if mse >= 0 else math.nan}
        if names.get("r2") in known:
            values["r2"] = known[names["r2"]]
        elif (variance := self._variance_of_targets()) > 0:
            values["r2"] = 1 - mse / variance
        return values

    def _variance_of_targets(self) -> float:
        if self._variance is None:
            self._variance = 0.0 if self._batches is None else variance_of_targets(self._model, self._batches)
        return self._variance

    def _names(self) -> Iterable[str]:
        accuracy = self._task.accuracy
        return [*([] if accuracy is None else [accuracy]), *(self._task.errors or {}).values()]

    def _keyed(self, values: Mapping[str, float]) -> Values:
        return {f"{self._split}_{name}": value for name, value in values.items()}


def mlflow_logs_by(callbacks: Iterable[Any]) -> Literal["epoch", "batch"] | None:
    """Tell whether a callback of MLflow's own logs the metrics of Keras to the run, and how often."""
    for callback in callbacks:
        if any(base.__module__.partition(".")[0] == "mlflow" for base in type(callback).__mro__):
            return "epoch" if getattr(callback, "log_every_epoch", True) else "batch"
    return None


def keys_of_mlflow(task: Task, *, has_clean_train: bool, has_validation: bool) -> set[str]:
    """Return which of our keys hold what MLflow's callback logs, epoch by epoch, under a key that is known."""
    errors = task.errors or {}
    metrics = {
        "loss": "loss",
        "accuracy": task.accuracy,
        "root_mean_squared_error": errors.get("rmse"),
        "r2": errors.get("r2"),
    }
    spelled = {"root_mean_squared_error": "rmse"}
    found = set()
    for split, prefix in _PREFIXES.items():
        if has_clean_train if split == "train" else not has_validation:
            continue
        for metric, name in metrics.items():
            parsed = parse_key(prefix + name) if name else None
            is_it = parsed is not None and parsed.metric.name == metric and not parsed.complement
            if is_it and parsed is not None and parsed.split == ("train" if split == "train" else "validation"):
                found.add(f"{split}_{spelled.get(metric, metric)}")
    return found
