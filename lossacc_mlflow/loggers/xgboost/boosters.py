"""What XGBoost's boosters answer: their task, their data, and their curves after the fact."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import xgboost
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.boosting.held_out import check_features, scorable_data, scorable_rows
from lossacc_mlflow.loggers.boosting.scores import Task
from lossacc_mlflow.loggers.boosting.staged import known_task, staged_curves, stages
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.records import Split

__all__ = ["as_matrix", "curves_of_model", "held_out_matrix", "keeps_iterations", "labels_of", "task_of"]

_REGRESSIONS = frozenset(
    {
        "reg:squarederror",
        "reg:squaredlogerror",
        "reg:pseudohubererror",
        "reg:absoluteerror",
        "reg:logistic",
        "reg:quantileerror",
        "count:poisson",
        "reg:gamma",
        "reg:tweedie",
    }
)
_EXPONENTIAL = frozenset({"count:poisson", "reg:gamma", "reg:tweedie"})


def curves_of_model(
    model: Any,  # noqa: ANN401
    X: ArrayLike,  # noqa: N803  (scikit-learn's name)
    y: ArrayLike,
    X_val: ArrayLike | None = None,  # noqa: N803
    y_val: ArrayLike | None = None,
    *,
    max_stages: int = 200,
) -> TrainingCurves:
    """Score a trained model after each of its iterations, without training it again.

    Every tree is asked once: the time is that of one prediction, and a little. Trees of the booster ``dart`` have the
    weights that they got in the end.

    Parameters
    ----------
    model : fitted XGBClassifier, XGBRegressor, their random forests, or Booster
    X, X_val : array-like of shape (n_samples, n_features)
    y, y_val : array-like of shape (n_samples,)
        For a Booster, as it was trained: classes are 0 to K-1.
    max_stages : int
        Of a model with more iterations so many are scored, evenly spaced.

    Returns
    -------
    TrainingCurves
        Steps are iterations, from 0.

    Raises
    ------
    InputError
        If the model has no iterations (linear boosters), has several targets or an objective without loss and
        accuracy, or labels are unknown to it.
    """
    estimator = model if isinstance(model, xgboost.XGBModel) else None
    booster = model if estimator is None else estimator.get_booster()
    task = known_task(None if callable(getattr(estimator, "objective", None)) else task_of(booster))
    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gblinear":
        raise InputError("a linear booster keeps no iterations: log its curves while it is trained.")
    after = stages(booster.num_boosted_rounds(), max_stages)
    given: dict[Split, Any] = {"train": (X, y)}
    if X_val is not None:
        given["validation"] = (X_val, y_val)
    matrices = {split: as_matrix(pair, None, estimator) for split, pair in given.items()}
    data = {
        split: (labels_of(matrix), _staged_outputs(booster, matrix, task, after)) for split, matrix in matrices.items()
    }
    return staged_curves(task, after, data, kept_step=_kept_step(booster))


def _kept_step(booster: Any) -> int | None:  # noqa: ANN401
    """The iteration at which early stopping says that the model is best."""
    best = booster.attr("best_iteration")
    return None if best is None else int(best)


def _staged_outputs(booster: Any, matrix: Any, task: Task, after: list[int]) -> Iterator[NDArray[Any]]:  # noqa: ANN401
    """Yield what a booster answers after so many iterations, from the margins that the trees in between add."""

    def margin(begin: int, end: int) -> NDArray[Any]:
        answer = booster.predict(matrix, output_margin=True, iteration_range=(begin, end))
        return np.asarray(answer, dtype=np.float64)

    total = margin(0, after[0])
    # Every prediction begins with the intercept; it must count once.
    intercept = margin(0, 1) + margin(1, 2) - margin(0, 2) if booster.num_boosted_rounds() > 1 else 0.0
    for begin, end in zip([0, *after], after, strict=False):
        if begin:
            total = total + margin(begin, end) - intercept
        yield total if task.is_margin else _from_margin(booster, total)


def _from_margin(booster: Any, margin: NDArray[Any]) -> NDArray[Any]:  # noqa: ANN401
    objective = _objective_of(booster)
    if objective in _EXPONENTIAL:
        return np.asarray(np.exp(margin))
    return np.asarray(expit(margin)) if objective == "reg:logistic" else margin


def task_of(booster: Any) -> Task | None:  # noqa: ANN401
    """Tell what a booster answers; None where loss and accuracy mean nothing (ranking, survival).

    Raises
    ------
    InputError
        If it has several targets.
    """
    learner = json.loads(booster.save_config())["learner"]
    shape = learner["learner_model_param"]
    if int(shape.get("num_target", 1)) > 1:
        raise InputError(
            f"the model has {shape['num_target']} targets; loss and accuracy are logged for one. "
            "The training itself is not touched."
        )
    objective = str(learner["objective"]["name"])
    if objective in {"binary:logistic", "binary:logitraw"}:
        return Task("binary", is_margin=True, n_classes=2)
    if objective == "binary:hinge":
        return Task("hinge", is_margin=True, n_classes=2)
    if objective in {"multi:softprob", "multi:softmax"}:
        return Task("multiclass", is_margin=True, n_classes=int(shape["num_class"]))
    return Task("regression") if objective in _REGRESSIONS else None


def _objective_of(booster: Any) -> str:  # noqa: ANN401
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])


def keeps_iterations(booster: Any) -> bool:  # noqa: ANN401
    """Whether the first iterations of a booster are what it was after them: linear ones and DART change them later."""
    return bool(json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gbtree")


def labels_of(matrix: Any) -> NDArray[Any]:  # noqa: ANN401
    """Return the labels of a DMatrix, shape (n_samples,), or (n_samples, n_targets) where there are several."""
    labels = np.asarray(matrix.get_label())
    n_rows = matrix.num_row()
    return labels.reshape(n_rows, -1) if labels.ndim == 1 and len(labels) > n_rows > 0 else labels


def held_out_matrix(data: Any, like: Any, estimator: Any, task: Task) -> Any:  # noqa: ANN401
    """Bring held-out data into the form of the training data, without samples that cannot be scored.

    Parameters
    ----------
    data : tuple of (X, y), or of (DMatrix, None)
    like : DMatrix
        What the model is trained on.
    estimator : XGBModel, optional
    task : Task

    Returns
    -------
    DMatrix or None
        None where no sample can be scored; one warning says why.

    Raises
    ------
    InputError
        If they have other features than the training data, several targets, or no samples.
    """
    X, y = data  # noqa: N806
    if not isinstance(X, xgboost.DMatrix):
        found = scorable_data((X, y), like.num_col(), task)
        return None if found is None else as_matrix(found, like, estimator)
    check_features((X.num_row(), X.num_col()), like.num_col())
    rows = scorable_rows(labels_of(X), task)
    return None if not len(rows) else X if len(rows) == X.num_row() else X.slice(rows)


def as_matrix(data: Any, like: Any, estimator: Any) -> Any:  # noqa: ANN401
    """Bring held-out data into the form of the training data: names and types of features, and what is missing."""
    if isinstance(data, xgboost.DMatrix):
        return data
    X, y = data  # noqa: N806
    if isinstance(X, xgboost.DMatrix):
        return X
    named = hasattr(X, "columns")
    return xgboost.DMatrix(
        X,
        label=np.asarray(y),
        missing=np.nan if estimator is None else estimator.missing,
        feature_names=None if named or like is None else like.feature_names,
        feature_types=None if named or like is None else like.feature_types,
        enable_categorical=True,
    )
