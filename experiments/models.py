"""How the experiments train: a model and the digits in, what is to be logged out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from experiments.data import Part
from lossacc_mlflow.loggers.sklearn import (
    TrainingCurves,
    curves_by_iteration,
    curves_by_n_estimators,
    curves_by_sample_size,
    fit_by_epoch,
)
from lossacc_mlflow.records import FloatArray, Split

__all__ = [
    "Parts",
    "Recipe",
    "TrainedModel",
    "by_epoch",
    "by_iteration",
    "by_n_estimators",
    "by_sample_size",
]

Parts = Mapping[Split, Part]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """What is kept of a training.

    Parameters
    ----------
    params : mapping of str to object
        What was chosen before the training.
    curves : TrainingCurves
    proba : mapping of split to ndarray, each of shape (n_samples, n_classes)
        Probabilities that the trained model predicts, for validation and test.
    """

    params: Mapping[str, object]
    curves: TrainingCurves
    proba: Mapping[Split, FloatArray]


Recipe = Callable[[Parts], TrainedModel]


def by_epoch(model: Any, parts: Parts, *, n_epochs: int) -> TrainedModel:  # noqa: ANN401  (scikit-learn has no types)
    """Train by passes over the training part; one point an epoch."""
    # How BLAS rounds depends on its number of threads, and long trainings amplify the last bit.
    with threadpool_limits(limits=1, user_api="blas"):
        curves = fit_by_epoch(model, *_train_and_validation(parts), n_epochs=n_epochs)
    return _trained(model, parts, curves, n_epochs=n_epochs)


def by_iteration(model: Any, parts: Parts) -> TrainedModel:  # noqa: ANN401
    """Train a boosted model; one point an iteration."""
    model.fit(parts["train"].X, parts["train"].y)
    return _trained(model, parts, curves_by_iteration(model, *_train_and_validation(parts)))


def by_n_estimators(model: Any, parts: Parts) -> TrainedModel:  # noqa: ANN401
    """Train a forest; one point a tree."""
    model.fit(parts["train"].X, parts["train"].y)
    return _trained(model, parts, curves_by_n_estimators(model, *_train_and_validation(parts)))


def by_sample_size(model: Any, parts: Parts) -> TrainedModel:  # noqa: ANN401
    """Train a model that has no steps; one point a size of the training part."""
    return _trained(model, parts, curves_by_sample_size(model, *_train_and_validation(parts)))


def _train_and_validation(parts: Parts) -> tuple[Any, Any, Any, Any]:
    train, validation = parts["train"], parts["validation"]
    return train.X, train.y, validation.X, validation.y


def _trained(model: Any, parts: Parts, curves: TrainingCurves, **params: object) -> TrainedModel:  # noqa: ANN401
    settings = {name: value for name, value in model.get_params().items() if not hasattr(value, "get_params")}
    splits: tuple[Split, ...] = ("validation", "test")
    return TrainedModel(
        params={"estimator": type(model).__name__, **settings, **params},
        curves=curves,
        proba={split: model.predict_proba(parts[split].X) for split in splits},
    )
