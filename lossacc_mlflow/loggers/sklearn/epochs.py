"""Training by epochs from the outside: one pass over the data at a time, scored after each."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn.data import Part, few, one_column
from lossacc_mlflow.loggers.sklearn.kinds import Recipe
from lossacc_mlflow.loggers.sklearn.scored import ScoredSteps
from lossacc_mlflow.loggers.sklearn.scores import ClassScorer, of_proba
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves

__all__ = ["fit_by_epoch"]

_RECIPE = Recipe("during fit", "epoch", "log_loss", "Trained by passes over the data.")


def fit_by_epoch(
    estimator: Any,  # noqa: ANN401  (scikit-learn has no type for "a classifier")
    X: ArrayLike,  # noqa: N803  (scikit-learn's name)
    y: ArrayLike,
    X_val: ArrayLike,  # noqa: N803
    y_val: ArrayLike,
    *,
    n_epochs: int,
    classes: ArrayLike | None = None,
) -> TrainingCurves:
    """Fit a classifier one pass at a time and score it after each.

    The estimator is fitted in place. Of a pipeline, the transformers are fitted once and the last step by epochs.
    ``LogisticRegression`` has no ``partial_fit``: it is refitted from its last coefficients (``warm_start``) with one
    iteration a step. The stochastic solvers take those as epochs; ``lbfgs`` forgets its curvature in between and so
    takes steepest-descent steps.

    Parameters
    ----------
    estimator : classifier with ``partial_fit`` and ``predict_proba``, LogisticRegression, or a pipeline ending in one
        An integer ``random_state`` makes ``SGDClassifier`` visit the samples in the same order in each epoch; give it
        a ``RandomState`` to shuffle anew.
    X, X_val : array-like of shape (n_samples, n_features)
    y, y_val : array-like of shape (n_samples,)
    n_epochs : int
        At least 1.
    classes : array-like of shape (n_classes,), optional
        All labels, where `y` may lack some.

    Raises
    ------
    InputError
        If the estimator cannot be trained by epochs, or labels are unknown to it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> curves = fit_by_epoch(LogisticRegression(), X[::2], y[::2], X[1::2], y[1::2], n_epochs=30)
    >>> curves.step_unit, len(curves), bool(curves.values["val_loss"][-1] < curves.values["val_loss"][0])
    ('epoch', 30, True)
    """
    if n_epochs < 1:
        raise InputError(f"n_epochs must be at least 1; it is {n_epochs}.")
    labels = np.unique(one_column(y, "y") if classes is None else np.asarray(classes))
    final, inputs, val_inputs = _final_step(estimator, X, y, X_val)
    parts = [Part("train", inputs, _scorer(y, labels, "y")), Part("val", val_inputs, _scorer(y_val, labels, "y_val"))]
    fit_once, scored = _one_epoch(final), ScoredSteps(parts)
    for epoch in range(1, n_epochs + 1):
        fit_once(inputs, one_column(y, "y"), labels)
        scored.add(epoch, lambda part: of_proba(final.predict_proba(part.X)))
    return scored.curves(_RECIPE)


def _scorer(y: ArrayLike, classes: NDArray[Any], name: str) -> ClassScorer:
    labels = one_column(y, name)
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise InputError(
            f"{name} has labels that the estimator does not know: {few(unknown)}; it knows {few(classes)}. "
            "Train it on all classes, or leave these samples out."
        )
    return ClassScorer(labels, classes)


def _final_step(
    estimator: Any,  # noqa: ANN401
    X: ArrayLike,  # noqa: N803
    y: ArrayLike,
    X_val: ArrayLike,  # noqa: N803
) -> tuple[Any, Any, Any]:
    """Return the classifier to train, and the inputs as it sees them; fits a pipeline's transformers."""
    if not isinstance(estimator, Pipeline):
        return estimator, X, X_val
    transformers = estimator[:-1]
    return estimator[-1], transformers.fit_transform(X, y), transformers.transform(X_val)


def _one_epoch(estimator: Any) -> Callable[[Any, NDArray[Any], NDArray[Any]], None]:  # noqa: ANN401
    """Return the function that trains the estimator for one more pass over (X, y), given all labels."""
    if hasattr(estimator, "partial_fit"):
        return lambda X, y, labels: estimator.partial_fit(X, y, classes=labels)  # noqa: N803
    if not isinstance(estimator, LogisticRegression):
        raise InputError(
            f"{type(estimator).__name__} cannot be trained by epochs: it has no partial_fit. "
            "Fit it, and use curves_after."
        )
    estimator.set_params(warm_start=True, max_iter=1)

    def fit_once(X: Any, y: NDArray[Any], _: NDArray[Any]) -> None:  # noqa: ANN401, N803
        with warnings.catch_warnings():
            # Stopping after one iteration is the purpose here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)

    return fit_once
