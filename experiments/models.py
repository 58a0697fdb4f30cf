"""How the experiments train: a model and a data set in, what is to be logged out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.metrics import mean_squared_error, r2_score
from threadpoolctl import threadpool_limits

from experiments.data import DataSet
from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after, fit_by_epoch
from lossacc_mlflow.records import FloatArray, Split

__all__ = [
    "Recipe",
    "TrainedModel",
    "as_answered",
    "by_epoch",
    "by_epoch_with_predictions",
    "by_sample_size",
    "by_step",
    "regression_by_epoch",
    "squared_error_and_r2",
]


NO_CURVES = TrainingCurves({}, np.arange(0), "epoch")


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
        Without steps where nothing was trained step by step.
    proba : mapping of split to ndarray, each of shape (n_samples, n_classes)
        Probabilities that the trained model predicts, for validation and test; empty where they are not finite.
    proba_by_step : mapping of int to ndarray, each of shape (n_samples, n_classes)
        Probabilities for validation at some steps of the training.
    predicted : mapping of split to ndarray, each of shape (n_samples,)
        Numbers that a trained regressor predicts.
    baseline : mapping of {"accuracy", "loss"} to float
        What a simpler model reaches on the validation part, where one is known.
    loss : str
        What the curves' ``*_loss`` is.
    figures : mapping of str to float
        Further figures, one point each.
    """

    data: DataSet
    params: Mapping[str, object]
    curves: TrainingCurves = NO_CURVES
    proba: Mapping[Split, FloatArray] = field(default_factory=dict)
    proba_by_step: Mapping[int, FloatArray] = field(default_factory=dict)
    predicted: Mapping[Split, FloatArray] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    loss: str = "log_loss"
    figures: Mapping[str, float] = field(default_factory=dict)


Recipe = Callable[[DataSet], TrainedModel]
Scores = Callable[[FloatArray, FloatArray], Mapping[str, float]]
"""Figures by the end of their key, from targets and predictions of one split."""


def by_epoch(model: Any, data: DataSet, *, n_epochs: int) -> TrainedModel:  # noqa: ANN401  (scikit-learn has no types)
    """Train by passes over the training part; one point an epoch."""
    # How BLAS rounds depends on its number of threads, and long trainings amplify the last bit.
    with threadpool_limits(limits=1, user_api="blas"):
        curves = fit_by_epoch(model, *_train_and_validation(data), n_epochs=n_epochs)
    return _trained(model, data, curves, n_epochs=n_epochs)


def by_epoch_with_predictions(
    model: Any,  # noqa: ANN401
    data: DataSet,
    *,
    n_epochs: int,
    every: int,
) -> TrainedModel:
    """Train as `by_epoch`, and keep what the model predicts for validation after each `every` epochs."""
    proba_by_step, blocks = {}, []
    with threadpool_limits(limits=1, user_api="blas"):
        for start in range(0, n_epochs, every):
            # The next block goes on where the last one ended.
            blocks.append(fit_by_epoch(model, *_train_and_validation(data), n_epochs=every))
            proba_by_step[start + every] = model.predict_proba(data.parts["validation"].X)
    values = {key: np.concatenate([block.values[key] for block in blocks]) for key in blocks[0].values}
    curves = TrainingCurves(values, np.arange(1, n_epochs + 1), "epoch")
    return replace(_trained(model, data, curves, n_epochs=n_epochs), proba_by_step=proba_by_step)


def by_step(model: Any, data: DataSet) -> TrainedModel:  # noqa: ANN401
    """Train an ensemble; one point a boosting iteration, or a tree of a forest."""
    return _fitted(model, data)


def by_sample_size(model: Any, data: DataSet) -> TrainedModel:  # noqa: ANN401
    """Train a model that has no steps; one point a size of the training part."""
    return _fitted(model, data, by_sample_size=True)


def as_answered(data: DataSet, proba: FloatArray, **params: object) -> TrainedModel:
    """Take given answers to the validation part for those of a model: nothing is trained."""
    return TrainedModel(data=data, params=params, proba={"validation": proba})


def squared_error_and_r2(y_true: FloatArray, y_pred: FloatArray) -> Mapping[str, float]:
    """Return the mean squared error and the share of the variance that is explained."""
    return {"loss": float(mean_squared_error(y_true, y_pred)), "r2": float(r2_score(y_true, y_pred))}


def regression_by_epoch(
    model: Any,  # noqa: ANN401
    data: DataSet,
    *,
    n_epochs: int,
    scores: Scores = squared_error_and_r2,
) -> TrainedModel:
    """Train a regressor by passes over the training part; one point an epoch for each score."""
    logged: tuple[tuple[str, Split], ...] = (("train", "train"), ("val", "validation"))
    rows = []
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in range(n_epochs):
            model.partial_fit(data.parts["train"].X, data.parts["train"].y)
            scored = {
                prefix: scores(data.parts[split].y, model.predict(data.parts[split].X)) for prefix, split in logged
            }
            rows.append({f"{prefix}_{name}": v for prefix, found in scored.items() for name, v in found.items()})
    held_out: tuple[Split, ...] = ("validation", "test")
    values = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return TrainedModel(
        data=data,
        params={"estimator": type(model).__name__, **model.get_params(), "n_epochs": n_epochs},
        curves=TrainingCurves(values, np.arange(1, n_epochs + 1), "epoch"),
        predicted={split: model.predict(data.parts[split].X) for split in held_out},
        loss="mean_squared_error",
    )


def _train_and_validation(data: DataSet) -> tuple[Any, Any, Any, Any]:
    train, validation = data.parts["train"], data.parts["validation"]
    return train.X, train.y, validation.X, validation.y


def _fitted(model: Any, data: DataSet, *, by_sample_size: bool = False) -> TrainedModel:  # noqa: ANN401
    parts = FitData(*_train_and_validation(data))
    model.fit(parts.X, parts.y)
    curves = curves_after(model, parts, by_sample_size=by_sample_size, max_steps=None, max_train_rows=None)
    return _trained(model, data, NO_CURVES if curves is None else curves)


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
