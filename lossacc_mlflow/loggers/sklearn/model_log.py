"""What is known of a trained model -> its run: curves, tags and predictions of the validation data."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from lossacc_mlflow.loggers.base import run_tags
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.loggers.sklearn.data import FitData, Part, despite_validation, parts_of
from lossacc_mlflow.loggers.sklearn.fitted import boosted_curves, is_boosted_elsewhere
from lossacc_mlflow.loggers.sklearn.fitting import Fitting
from lossacc_mlflow.loggers.sklearn.kinds import recipe_for
from lossacc_mlflow.loggers.sklearn.recipes import curves_after
from lossacc_mlflow.loggers.sklearn.scores import answer_of, of_proba
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.loggers.training import TrainingLog

__all__ = ["VALIDATION_TAG", "facts_of", "log_model", "log_validation_predictions"]

VALIDATION_TAG = "lossacc.validation_data"
"""Says where the validation data come from, where they were split off the training data."""


def log_model(fitting: Fitting, options: Options, run_id: str, tags: Mapping[str, str]) -> None:
    """Log curves and predictions of a model to a run; of a training that failed, what was seen before it did.

    Parameters
    ----------
    fitting : Fitting
        With its data.
    options : Options
    run_id : str
    tags : mapping of str to str
        What else is to be said of the training.
    """
    model, data, watched = fitting.model, fitting.data, fitting.watched
    if data is None:
        return
    curves = None if watched is None else watched.curves
    if fitting.is_fitted:
        curves, data = _curves_and_data(fitting, data, options, run_id)
    if curves is None and not fitting.is_fitted:
        return
    loss = recipe_for(model).loss if curves is None else curves.loss
    if not is_classifier(model):
        loss = None
    elif curves is None and hasattr(model, "predict_proba"):
        loss = "log_loss"  # also of those that learn nothing
    facts, facts_tags = facts_of(model, data, loss) if fitting.is_fitted else ({}, {})
    with TrainingLog(
        replace(options, stop_when=None),  # it is over
        name=fitting.name,
        step_unit=None if curves is None else curves.step_unit,
        loss=loss,
        run_id=run_id,
        **facts,
    ) as training:
        training.set_tags({**tags, **facts_tags})
        if curves is not None:
            _log_curves(curves, training)
        answer = None
        if fitting.is_fitted and data.has_validation and options.predictions is not None:
            answer = log_validation_predictions(model, data, training)
        if curves is None:
            _log_final_scores(model, data, answer, training, with_train=not fitting.is_seen_by_mlflow)


def _curves_and_data(
    fitting: Fitting, data: FitData, options: Options, run_id: str
) -> tuple[TrainingCurves | None, FitData]:
    """Make the curves, of the training data alone where the validation data are at fault; and say of which data."""
    curves, error = None, None
    with shielded(f"curves of {fitting.name}", run_id):
        curves, data, error = despite_validation(partial(_curves_of, fitting, options), data)
    if error is not None:
        with shielded(f"validation curves of {fitting.name}", run_id):
            raise error
    return curves, data


def _curves_of(fitting: Fitting, options: Options, data: FitData) -> TrainingCurves | None:
    if is_boosted_elsewhere(fitting.model):
        return boosted_curves(fitting.model, data)
    return curves_after(fitting.model, data, watched=fitting.watched, by_sample_size=options.by_sample_size)


def facts_of(model: Any, data: FitData, loss: str | None) -> tuple[dict[str, Any], dict[str, str]]:  # noqa: ANN401
    """Say what scores of a model are held against.

    Parameters
    ----------
    model : estimator
        Fitted.
    data : FitData
    loss : str or None
        The one that is logged.

    Returns
    -------
    facts : dict
        Keyword arguments of `TrainingLog`.
    tags : dict of str to str
        What answering with the class shares of the training data reaches on the validation data.
    """
    facts: dict[str, Any] = {}
    if data.has_validation:
        facts["n_validation"] = len(data.y_val)
    if not is_classifier(model):
        return facts, {}
    y = np.ravel(data.y)
    labels, counts = np.unique(y[np.isin(y, model.classes_)], return_counts=True)
    facts["n_classes"] = len(model.classes_)
    facts["class_counts"] = dict(zip(map(str, labels.tolist()), counts.tolist(), strict=True))
    if not data.has_validation:
        return facts, {}
    y_val, shares = np.ravel(data.y_val), counts / counts.sum()
    accuracy = float(np.mean(y_val == labels[counts.argmax()]))
    cross_entropy = None
    if loss == "log_loss" and np.isin(y_val, labels).all():
        cross_entropy = float(-np.log(shares[np.searchsorted(labels, y_val)]).mean())
    return facts, run_tags(baseline_accuracy=accuracy, baseline_loss=cross_entropy)


def _log_curves(curves: TrainingCurves, training: TrainingLog) -> None:
    for place, step in enumerate(curves.step.tolist()):
        training.log(step, {key: float(value[place]) for key, value in curves.values.items()})
    training.set_tags(curves.tags)


def _log_final_scores(
    model: Any,  # noqa: ANN401
    data: FitData,
    answer: Any,  # noqa: ANN401
    training: TrainingLog,
    *,
    with_train: bool,
) -> None:
    """Log the scores of a finished model that has no steps, as single points."""
    with shielded(f"scores of {training.name}", training.run_id, tag=training.set_tags):
        for part in parts_of(model, data):
            if part.prefix == "train" and with_train:
                _log_scores(part, answer_of(model, part.X), training)
            elif part.prefix == "val":
                # In the words of the predictions, of which the same is said: once.
                with shielded(f"predictions of {training.name}", training.run_id, tag=training.set_tags):
                    _log_scores(part, answer_of(model, part.X) if answer is None else answer, training)


def _log_scores(part: Part, answer: Any, training: TrainingLog) -> None:  # noqa: ANN401
    training.log(1, part.scores(answer))


def log_validation_predictions(model: Any, data: FitData, training: TrainingLog) -> Any:  # noqa: ANN401
    """Log what a trained model answers on the validation data; of one without probabilities there is nothing to keep.

    Parameters
    ----------
    model : estimator
        Fitted.
    data : FitData
    training : TrainingLog

    Returns
    -------
    Answer, array or None
        What it answers, as `answer_of` does; None where nothing was kept.
    """
    with shielded(f"predictions of {training.name}", training.run_id, tag=training.set_tags):
        y_val = np.ravel(data.y_val)
        if not is_classifier(model):
            predicted = np.ravel(model.predict(data.X_val))
            training.log_regression(y_val, predicted)
            return predicted
        if hasattr(model, "predict_proba"):
            proba = np.asarray(model.predict_proba(data.X_val))
            training.log_predictions(y_val, proba, labels=model.classes_.tolist())
            return of_proba(proba)
    return None
