"""How the experiments train: a model and a data set in, what is to be logged out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.data import DataSet
from lossacc_mlflow.loggers.sklearn import (
    TrainingCurves,
    curves_by_iteration,
    curves_by_n_estimators,
    curves_by_sample_size,
    fit_by_epoch,
)
from lossacc_mlflow.records import FloatArray, Split

__all__ = [
    "Recipe",
    "TrainedModel",
    "by_epoch",
    "by_iteration",
    "by_n_estimators",
    "by_sample_size",
]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """What is kept of a training.

    Parameters
    ----------
    data : DataSet
        What it was trained on.
    params : mapping of str to object
        What was chosen before the training.
    curves : TrainingCurves
    proba : mapping of split to ndarray, each of shape (n_samples, n_classes)
        Probabilities that the trained model predicts, for validation and test; empty where they are not finite.
    baseline : mapping of {"accuracy", "loss"} to float
        What a simpler model reaches on the validation part, where one is known.
    """

    data: DataSet
    params: Mapping[str, object]
    curves: TrainingCurves
    proba: Mapping[Split, FloatArray]
    baseline: Mapping[str, float] = field(default_factory=dict)


Recipe = Callable[[DataSet], TrainedModel]


def by_epoch(model: Any, data: DataSet, *, n_epochs: int) -> TrainedModel:  # noqa: ANN401  (scikit-learn has no types)
    """Train by passes over the training part; one point an epoch."""
    # How BLAS rounds depends on its number of threads, and long trainings amplify the last bit.
    with threadpool_limits(limits=1, user_api="blas"):
        curves = fit_by_epoch(model, *_train_and_validation(data), n_epochs=n_epochs)
    return _trained(model, data, curves, n_epochs=n_epochs)


def by_iteration(model: Any, data: DataSet) -> TrainedModel:  # noqa: ANN401
    """Train a boosted model; one point an iteration."""
    model.fit(data.parts["train"].X, data.parts["train"].y)
    return _trained(model, data, curves_by_iteration(model, *_train_and_validation(data)))


def by_n_estimators(model: Any, data: DataSet) -> TrainedModel:  # noqa: ANN401
    """Train a forest; one point a tree."""
    model.fit(data.parts["train"].X, data.parts["train"].y)
    return _trained(model, data, curves_by_n_estimators(model, *_train_and_validation(data)))


def by_sample_size(model: Any, data: DataSet) -> TrainedModel:  # noqa: ANN401
    """Train a model that has no steps; one point a size of the training part."""
    return _trained(model, data, curves_by_sample_size(model, *_train_and_validation(data)))


def _train_and_validation(data: DataSet) -> tuple[Any, Any, Any, Any]:
    train, validation = data.parts["train"], data.parts["validation"]
    return train.X, train.y, validation.X, validation.y


def _trained(model: Any, data: DataSet, curves: TrainingCurves, **params: object) -> TrainedModel:  # noqa: ANN401
    settings = {name: value for name, value in model.get_params().items() if not hasattr(value, "get_params")}
    splits: tuple[Split, ...] = ("validation", "test")
    proba = {split: model.predict_proba(data.parts[split].X) for split in splits}
    return TrainedModel(
        data=data,
        params={"estimator": type(model).__name__, **settings, **params},
        curves=curves,
        proba={} if any(not np.isfinite(p).all() for p in proba.values()) else proba,
    )
