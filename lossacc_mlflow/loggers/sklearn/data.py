"""Training and validation data as an estimator sees them, and which samples of them are scored."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn.scores import ClassScorer, NumberScorer, Scorer
from lossacc_mlflow.records import IntArray

__all__ = [
    "MAX_TRAIN_ROWS",
    "FitData",
    "Part",
    "class_counts",
    "despite_validation",
    "few",
    "leave_out_missing",
    "leave_out_unseen",
    "numbers_of",
    "one_column",
    "parts_of",
    "rows_of",
    "take",
]

MAX_TRAIN_ROWS = 2_000
"""Training samples that are scored by default, the same ones at every step."""

_log = logging.getLogger("lossacc_mlflow")
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, eq=False)
class FitData:
    """What an estimator is fitted on, and what it is scored on.

    Parameters
    ----------
    X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
        As the estimator itself sees it: the transformed data, for the final step of a pipeline.
    y : array-like of shape (n_samples,)
    X_val, y_val : as X and y, optional
        Held-out data.
    sample_weight : array-like of shape (n_samples,), optional
        Of the training samples: what the fit was given. The train scores are weighted by it.
    """

    X: Any
    y: Any
    X_val: Any = None
    y_val: Any = None
    sample_weight: Any = None

    @property
    def has_validation(self) -> bool:
        """Whether there are held-out data."""
        return self.X_val is not None and self.y_val is not None

    def without_validation(self) -> "FitData":
        """Return the training data alone."""
        return replace(self, X_val=None, y_val=None)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The samples of one split that are scored, and what scores them."""

    prefix: str
    X: Any
    scorer: Scorer
    note: str = ""

    def scores(self, answer: Any) -> dict[str, float]:  # noqa: ANN401  (`Answer` of classifiers, an array of regressors)
        """Score what a model answers to these samples, by our keys."""
        return {f"{self.prefix}_{name}": value for name, value in self.scorer.score(answer).items()}


def despite_validation(make: Callable[[FitData], _Made], data: FitData) -> tuple[_Made, FitData, Exception | None]:
    """Make something of data; where that fails, of the training data alone.

    Returns
    -------
    made : object
    data : FitData
        Of which it was made.
    error : Exception or None
        Why it could not be made with the validation data.

    Raises
    ------
    Exception
        What it raised, where it is not the validation data's fault.
    """
    try:
        return make(data), data, None
    except Exception as error:
        if not data.has_validation:
            raise
        bare = data.without_validation()
        return make(bare), bare, error


def leave_out_unseen(data: FitData, classes: NDArray[Any] | None = None) -> FitData:
    """Leave out validation samples of classes that are not in the training data; one warning says how many.

    A classifier has no probability for them: scored at the clip they would add a constant that no training can change,
    and hide the rest.

    Parameters
    ----------
    data : FitData
        Of a classifier.
    classes : array-like of shape (n_classes,), optional
        All that the classifier knows; those in ``data.y`` by default.

    Returns
    -------
    FitData
        The same one where nothing is left out; without validation data where nothing is left.
    """
    if not data.has_validation:
        return data
    return _leave_out(data, one_column(data.y, "y") if classes is None else classes)


def leave_out_missing(data: FitData) -> FitData:
    """Leave out validation samples whose target is no finite number; one warning says how many.

    One of them would make every validation score NaN, which reads as a training that has diverged.

    Parameters
    ----------
    data : FitData
        Of a regressor.

    Returns
    -------
    FitData
        The same one where nothing is left out; without validation data where nothing is left.
    """
    return _leave_out(data, None) if data.has_validation else data


def parts_of(estimator: Any, data: FitData, *, max_train_rows: int | None = MAX_TRAIN_ROWS) -> list[Part]:  # noqa: ANN401
    """Return what is scored: samples of the training data, and the validation data where there are some.

    Parameters
    ----------
    estimator : classifier or regressor
        A classifier has ``classes_`` already.
    data : FitData
    max_train_rows : int, optional
        More training samples than these are not scored, but a fixed part of them, with the class shares of the whole;
        None: all.

    Raises
    ------
    InputError
        If there is more than one target, or only one class.
    """
    classes = estimator.classes_ if is_classifier(estimator) else None
    y = one_column(data.y, "y")
    weight = None if data.sample_weight is None else np.asarray(data.sample_weight, dtype=np.float64)
    rows = np.arange(len(y))
    if classes is not None:
        if isinstance(classes, list) or len(classes) < 2:
            raise InputError(
                f"the training data have {'several targets' if isinstance(classes, list) else 'one class'}; wanted are "
                "one target and at least two classes."
            )
        # Semi-supervised estimators mark samples without a label by one that is no class.
        rows = rows[np.isin(y, classes)]
    n_labelled, note = len(rows), ""
    if max_train_rows is not None and n_labelled > max_train_rows:
        rows = rows[rows_of(y[rows], max_train_rows, by_class=classes is not None)]
        note = f"Train scores are those of {len(rows):,} of {n_labelled:,} training samples."
    parts = [_part("train", data.X, y, weight, rows, classes, note)]
    if data.has_validation:
        y_val, known, note = _scorable(data.y_val, classes)
        rows = np.flatnonzero(known)
        if len(rows):
            parts.append(_part("val", data.X_val, y_val, None, rows, classes, note))
    return parts


def rows_of(y: NDArray[Any], n_rows: int, *, by_class: bool) -> IntArray:
    """Choose `n_rows` of the samples, always the same ones, spread over the classes; in their order."""
    if by_class:
        # Every k-th sample of those sorted by class, which keeps shares to within one sample a class.
        _, index = np.unique(y, return_inverse=True)
        shuffled = np.random.default_rng(0).permutation(len(y))
        order = shuffled[np.argsort(index[shuffled], kind="stable")]
        chosen = order[np.linspace(0, len(y) - 1, n_rows).round().astype(np.int64)]
    else:
        chosen = np.random.default_rng(0).choice(len(y), n_rows, replace=False)
    return np.sort(chosen).astype(np.int64)


def take(X: Any, rows: IntArray) -> Any:  # noqa: ANN401, N803
    """Return some of the samples, in the kind of container that they came in (sparse ones as CSR)."""
    return X.tocsr()[rows] if issparse(X) else _safe_indexing(X, rows)


def one_column(y: Any, name: str) -> NDArray[Any]:  # noqa: ANN401
    """Return a target as one array of shape (n_samples,).

    Raises
    ------
    InputError
        If there is more than one.
    """
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(
            f"{name} has the shape {array.shape}; curves are made of one target a sample. Multi-label and multi-output "
            "models are not supported."
        )
    return array


def numbers_of(y: Any, name: str) -> NDArray[np.float64]:  # noqa: ANN401
    """Return the target of a regression as one array of shape (n_samples,).

    Raises
    ------
    InputError
        If there is more than one, or they are no numbers.
    """
    column = one_column(y, name)
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} holds what is no number: {error}.") from error


def class_counts(y: Any) -> dict[str, int]:  # noqa: ANN401
    """Count the samples of each class of a target of shape (n_samples,)."""
    labels, counts = np.unique(one_column(y, "y"), return_counts=True)
    return {str(label): int(count) for label, count in zip(labels.tolist(), counts.tolist(), strict=True)}


def few(labels: NDArray[Any]) -> str:
    """Write labels out, the first five of many."""
    shown = ", ".join(repr(label) for label in labels[:5].tolist())
    return shown if len(labels) <= 5 else f"{shown}, ... ({len(labels)} in all)"


def _leave_out(data: FitData, classes: NDArray[Any] | None) -> FitData:
    """Leave out validation samples that cannot be scored, and say so."""
    y_val, known, note = _scorable(data.y_val, classes)
    if not note:
        return data
    _log.warning("lossacc: %s", note)
    rows = np.flatnonzero(known)
    return replace(data, X_val=take(data.X_val, rows), y_val=y_val[rows]) if len(rows) else data.without_validation()


def _scorable(y: Any, classes: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[np.bool_], str]:  # noqa: ANN401
    """Return validation targets, which of them can be scored, and what is to be said of the others."""
    target = numbers_of(y, "y_val") if classes is None else one_column(y, "y_val")
    known = np.isfinite(target) if classes is None else np.isin(target, classes)
    if known.all():
        return target, known, ""
    note = f"{np.count_nonzero(~known):,} of {len(known):,} validation samples have "
    if classes is None:
        note += "no target (NaN or infinite) and are left out of the validation scores."
    else:
        note += (
            f"classes that are not in the training data ({few(np.unique(target[~known]))}) and are left out of the "
            "validation scores: the model cannot answer with these classes, so that its accuracy on all of them is at "
            f"most {known.mean():.1%}."
        )
    return target, known, note


def _part(
    prefix: str,
    X: Any,  # noqa: ANN401, N803
    y: NDArray[Any],
    weight: NDArray[np.float64] | None,
    rows: IntArray,
    classes: NDArray[Any] | None,
    note: str,
) -> Part:
    if len(rows) < len(y):
        X, y = take(X, rows), y[rows]  # noqa: N806
        weight = None if weight is None else weight[rows]
    scorer = NumberScorer(y, weight) if classes is None else ClassScorer(y, classes, weight)
    return Part(prefix, X, scorer, note)
