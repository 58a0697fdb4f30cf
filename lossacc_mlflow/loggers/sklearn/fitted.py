"""Curves of a model that is fitted already, into a run."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import mlflow
from sklearn.base import is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from lossacc_mlflow import store
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers import base
from lossacc_mlflow.loggers.sklearn.data import MAX_TRAIN_ROWS, FitData, class_counts, leave_out_unseen
from lossacc_mlflow.loggers.sklearn.recipes import curves_after, recipe_for
from lossacc_mlflow.loggers.sklearn.steps import MAX_STEPS
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves

__all__ = ["boosted_curves", "is_boosted_elsewhere", "log_curves"]


def log_curves(
    model: Any,  # noqa: ANN401
    X: Any,  # noqa: ANN401, N803
    y: Any,  # noqa: ANN401
    X_val: Any = None,  # noqa: ANN401, N803
    y_val: Any = None,  # noqa: ANN401
    *,
    sample_weight: Any = None,  # noqa: ANN401
    by_sample_size: bool = False,
    sizes: Sequence[int] | None = None,
    max_steps: int | None = MAX_STEPS,
    max_train_rows: int | None = MAX_TRAIN_ROWS,
    max_refit_seconds: float | None = None,
    run_id: str | None = None,
) -> TrainingCurves:
    """Log train and validation curves of a fitted scikit-learn model to a run; the model is not changed.

    Ensembles are taken apart into their steps. Of models that leave nothing of their steps behind, clones are fitted
    again for fewer of them: the same model for every ``random_state`` that is a number.

    Parameters
    ----------
    model : fitted classifier or regressor, pipeline, or search
        Of a pipeline the final step is scored on transformed data, of a search its best estimator; also ``XGB*`` and
        ``LGBM*`` models.
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        What it was fitted on.
    y : array-like of shape (n_samples,)
    X_val, y_val : as X and y, optional
        Held-out data.
    sample_weight : array-like of shape (n_samples,), optional
        That the fit was given. The train scores are weighted by it.
    by_sample_size : bool
        Whether a model without steps is fitted again on growing parts of the data.
    sizes : sequence of int, optional
        Of these parts; by default eight from a tenth of the data to all of it.
    max_steps : int, optional
        Of an ensemble with more steps so many are scored, the first ones and then some in equal ratios; None: all.
    max_train_rows : int, optional
        More training samples than these are not scored, but a fixed part of them; None: all.
    max_refit_seconds : float, optional
        What fitting again for fewer steps may take; by default as long as it takes.
    run_id : str, optional
        The active run by default.

    Returns
    -------
    TrainingCurves
        What was logged.

    Raises
    ------
    InputError
        If the model is not fitted, there is no curve of it, or none with these arguments; if it has several targets;
        if no run is active and none is given.
    StoreError
        If MLflow cannot be reached or refuses.

    Examples
    --------
    >>> import mlflow
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from lossacc_mlflow.loggers.sklearn import log_curves
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier().fit(X[::2], y[::2])
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     log_curves(forest, X[::2], y[::2], X[1::2], y[1::2])
    """
    if run_id is None and mlflow.active_run() is None:
        raise InputError("no run is active: call this inside 'with mlflow.start_run():', or pass run_id.")
    final, data = _as_the_final_step_sees(model, FitData(X, y, X_val, y_val, sample_weight))
    curves: TrainingCurves | None
    if is_boosted_elsewhere(final):
        curves = boosted_curves(final, data)
    else:
        _check(final)
        data = leave_out_unseen(data) if is_classifier(final) else data
        curves = curves_after(
            final,
            data,
            by_sample_size=by_sample_size,
            sizes=sizes,
            max_steps=max_steps,
            max_train_rows=max_train_rows,
            max_refit_seconds=max_refit_seconds,
        )
    if curves is None or not len(curves):
        raise InputError(_why_none(final, max_refit_seconds))
    counts = class_counts(data.y) if is_classifier(final) else None
    base.log_curves(
        {key: value.tolist() for key, value in curves.values.items()},
        step=curves.step.tolist(),
        step_unit=curves.step_unit,
        loss=curves.loss if counts else None,
        n_classes=len(counts) if counts else None,
        class_counts=counts,
        run_id=run_id,
    )
    if curves.tags:
        store.set_tags(run_id or mlflow.active_run().info.run_id, curves.tags)
    return curves


def _as_the_final_step_sees(model: Any, data: FitData) -> tuple[Any, FitData]:  # noqa: ANN401
    """Open searches and pipelines, and transform the data by the steps of these, which are fitted."""
    while True:
        if hasattr(model, "cv_results_") and not hasattr(model, "best_estimator_"):
            raise InputError(f"{type(model).__name__} has no best estimator: it was fitted with refit=False.")
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif isinstance(model, Pipeline):
            before, model = model[:-1], model.steps[-1][1]
            if len(before):
                try:
                    X = before.transform(data.X)  # noqa: N806
                    X_val = before.transform(data.X_val) if data.has_validation else None  # noqa: N806
                except NotFittedError as error:
                    raise InputError("the pipeline is not fitted: fit it first.") from error
                data = FitData(X, data.y, X_val, data.y_val, data.sample_weight)
        else:
            return model, data


def _check(model: Any) -> None:  # noqa: ANN401
    if not hasattr(model, "fit") or not (is_classifier(model) or is_regressor(model)):
        raise InputError(f"{type(model).__name__} is no classifier and no regressor: there is no curve of it.")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise InputError(f"{type(model).__name__} is not fitted: fit it first.") from error


def is_boosted_elsewhere(model: Any) -> bool:  # noqa: ANN401
    """Whether a model is one of XGBoost's or LightGBM's, whose own loggers know its curves.

    Parameters
    ----------
    model : estimator
    """
    return _boosting_library(model) is not None


def boosted_curves(model: Any, data: FitData) -> TrainingCurves:  # noqa: ANN401
    """Return the curves of a fitted model for which `is_boosted_elsewhere` holds.

    Parameters
    ----------
    model : estimator
    data : FitData

    Raises
    ------
    InputError
        As ``curves_of_model`` of its logger.
    """
    scorer = import_module(f"lossacc_mlflow.loggers.{_boosting_library(model)}")
    curves: TrainingCurves = scorer.curves_of_model(model, data.X, data.y, data.X_val, data.y_val)
    return curves


def _boosting_library(model: Any) -> str | None:  # noqa: ANN401
    roots = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    return next((root for root in roots if root in {"xgboost", "lightgbm"}), None)


def _why_none(model: Any, max_refit_seconds: float | None) -> str:  # noqa: ANN401
    recipe, name = recipe_for(model), type(model).__name__
    if recipe.source == "by sample size":
        return (
            f"there is no curve of {name} over steps. {recipe.why} Pass by_sample_size=True for one over the size of "
            "the training data: eight clones are fitted for it."
        )
    if recipe.source == "none":
        return f"there is no curve of {name}. {recipe.why}"
    took = "" if max_refit_seconds is None else f", or fitting it again takes more than {max_refit_seconds:g} s"
    return f"there is no curve of {name}: it took no step{took}."
