"""Held-out data that a boosted training is not given itself: checked before they are scored beside it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.boosting.scores import Task
from lossacc_mlflow.loggers.sklearn.data import FitData, leave_out_missing, leave_out_unseen, one_column, take
from lossacc_mlflow.records import IntArray

__all__ = ["check_features", "scorable_data", "scorable_rows"]


def scorable_data(
    data: tuple[Any, Any], n_features: int, task: Task, classes: NDArray[Any] | None = None
) -> tuple[Any, NDArray[Any]] | None:
    """Return the held-out samples that can be scored; None where there are none, as one warning says.

    Parameters
    ----------
    data : tuple of (X, y)
    n_features : int
        Of the training data.
    task : Task
    classes : ndarray of shape (n_classes,), optional
        That the model knows; 0 to K-1 by default.

    Raises
    ------
    InputError
        If they have other features than the training data, several targets, or no samples.
    """
    X, y = data[0], one_column(data[1], "y_val")  # noqa: N806
    check_features(np.shape(X) if isinstance(X, list) else getattr(X, "shape", None), n_features)
    rows = scorable_rows(y, task, classes)
    if not len(rows):
        return None
    return (X, y) if len(rows) == len(y) else (take(X, rows), y[rows])


def check_features(shape: tuple[int, ...] | None, n_features: int) -> None:
    """Check that held-out samples have the features of the training data: XGBoost takes others, and answers nonsense.

    Parameters
    ----------
    shape : tuple of (n_samples, n_features) or None
        None where it is not known.
    n_features : int
        Of the training data.

    Raises
    ------
    InputError
        If they have not.
    """
    if shape is not None and (len(shape) != 2 or shape[1] != n_features):
        raise InputError(
            f"the validation data have the shape {tuple(shape)}; wanted are samples of {n_features} features, as in "
            "training."
        )


def scorable_rows(y: ArrayLike, task: Task, classes: NDArray[Any] | None = None) -> IntArray:
    """Return which held-out samples have a target that the model can meet; one warning says how many have none.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
    task : Task
    classes : ndarray of shape (n_classes,), optional
        That the model knows; 0 to K-1 by default.

    Returns
    -------
    ndarray of int64
        Places of the samples.

    Raises
    ------
    InputError
        If there are several targets, no samples, or targets of a regression that are no numbers.
    """
    labels = one_column(y, "y_val")
    if not len(labels):
        raise InputError("the validation data have no samples.")
    data = FitData(None, None, np.arange(len(labels)), labels)
    if task.kind == "regression":
        data = leave_out_missing(data)
    else:
        data = leave_out_unseen(data, np.arange(task.n_classes or 2) if classes is None else classes)
    return np.asarray(data.X_val if data.has_validation else [], dtype=np.int64)
