"""Curves of scikit-learn estimators: train and validation log loss and accuracy at every step.

Nothing here touches MLflow: each function takes an estimator and arrays and returns :class:`TrainingCurves`, whose
``values`` and ``step`` are what ``log_curves`` takes.

===========================  ==================================================  ==================================
function                     estimators                                          a step is
===========================  ==================================================  ==================================
`fit_by_epoch`               with ``partial_fit``; ``LogisticRegression``        one pass over the training data
`curves_by_iteration`        with ``staged_predict_proba``, fitted               one boosting iteration
`curves_by_n_estimators`     random forests and extra trees, fitted              one more tree
`curves_by_sample_size`      any with ``predict_proba``                          a larger part of the training data
===========================  ==================================================  ==================================
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, IntArray, StepUnit

__all__ = [
    "TrainingCurves",
    "curves_by_iteration",
    "curves_by_n_estimators",
    "curves_by_sample_size",
    "fit_by_epoch",
]

_KEYS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingCurves:
    """Scores of one model over its training.

    Parameters
    ----------
    values : mapping of str to ndarray of float64, each of shape (n_steps,)
        ``train_loss``, ``train_accuracy``, ``val_loss``, ``val_accuracy``; with the suffix ``_by_n_samples`` where the
        step is the size of the training set. Losses are log losses in nats, accuracies fractions.
    step : ndarray of int64, shape (n_steps,)
        Strictly increasing, from 1.
    step_unit : {"epoch", "iteration", "n_estimators", "n_samples"}
    """

    values: Mapping[str, FloatArray]
    step: IntArray
    step_unit: StepUnit

    def __post_init__(self) -> None:
        arrays = {key: np.array(value, dtype=np.float64) for key, value in self.values.items()}
        step = np.array(self.step, dtype=np.int64)
        for array in (step, *arrays.values()):
            array.setflags(write=False)
        object.__setattr__(self, "values", MappingProxyType(arrays))
        object.__setattr__(self, "step", step)

    def __len__(self) -> int:
        return len(self.step)


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
    y = np.asarray(y)
    labels = np.unique(y if classes is None else np.asarray(classes))
    final, inputs, val_inputs = _final_step(estimator, X, y, X_val)
    fit_once = _one_epoch(final)

    def stages() -> Iterator[tuple[FloatArray, FloatArray]]:
        for _ in range(n_epochs):
            fit_once(inputs, y, labels)
            yield final.predict_proba(inputs), final.predict_proba(val_inputs)

    return _curves_of_stages(stages(), labels, y, y_val, "epoch")


def curves_by_iteration(
    estimator: Any,  # noqa: ANN401
    X: ArrayLike,  # noqa: N803
    y: ArrayLike,
    X_val: ArrayLike,  # noqa: N803
    y_val: ArrayLike,
) -> TrainingCurves:
    """Score a fitted boosted classifier after each of its iterations, without refitting.

    Parameters
    ----------
    estimator : fitted GradientBoosting-, HistGradientBoosting- or AdaBoostClassifier
    X, X_val : array-like of shape (n_samples, n_features)
    y, y_val : array-like of shape (n_samples,)

    Raises
    ------
    InputError
        If the estimator has no ``staged_predict_proba``, or labels are unknown to it.
    """
    if not hasattr(estimator, "staged_predict_proba"):
        raise InputError(
            f"{type(estimator).__name__} has no staged_predict_proba: it has no boosting iterations to score. "
            "Use curves_by_n_estimators for forests, fit_by_epoch or curves_by_sample_size for others."
        )
    stages = zip(estimator.staged_predict_proba(X), estimator.staged_predict_proba(X_val), strict=True)
    return _curves_of_stages(stages, estimator.classes_, y, y_val, "iteration")


def curves_by_n_estimators(
    estimator: RandomForestClassifier | ExtraTreesClassifier,
    X: ArrayLike,  # noqa: N803
    y: ArrayLike,
    X_val: ArrayLike,  # noqa: N803
    y_val: ArrayLike,
) -> TrainingCurves:
    """Score the first 1, 2, ... trees of a fitted forest as forests of their own, without refitting.

    A forest predicts the mean of its trees, so one prediction a tree and a running sum give every prefix.

    Parameters
    ----------
    estimator : fitted RandomForestClassifier or ExtraTreesClassifier
    X, X_val : array-like of shape (n_samples, n_features)
    y, y_val : array-like of shape (n_samples,)

    Raises
    ------
    InputError
        If the estimator is not a forest, or labels are unknown to it.
    """
    if not isinstance(estimator, RandomForestClassifier | ExtraTreesClassifier):
        raise InputError(f"{type(estimator).__name__} is not a forest; wanted a RandomForest- or ExtraTreesClassifier.")
    stages = zip(_tree_prefixes(estimator, X), _tree_prefixes(estimator, X_val), strict=True)
    return _curves_of_stages(stages, estimator.classes_, y, y_val, "n_estimators")


def curves_by_sample_size(
    estimator: Any,  # noqa: ANN401
    X: ArrayLike,  # noqa: N803
    y: ArrayLike,
    X_val: ArrayLike,  # noqa: N803
    y_val: ArrayLike,
    *,
    sizes: Sequence[int] | None = None,
    random_state: int = 0,
) -> TrainingCurves:
    """Refit a classifier on growing parts of the training data and score each fit.

    Each part contains the smaller ones and has the class shares of the whole, to within one sample a class. The train
    scores are those on the part that was fitted. The estimator itself is fitted, in place, on the largest part;
    clones of it on the others.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
    X, X_val : array-like of shape (n_samples, n_features)
    y, y_val : array-like of shape (n_samples,)
    sizes : sequence of int, optional
        Numbers of training samples, increasing; by default eight from a tenth of the data to all of it, in equal
        ratios.
    random_state : int
        Decides which samples come first.

    Raises
    ------
    InputError
        If the sizes do not increase, exceed the data, or leave a class without a sample.
    """
    X, y = np.asarray(X), np.asarray(y)  # noqa: N806
    labels = np.unique(y)
    order = _stratified_order(y, random_state)
    if sizes is None:
        sizes = np.unique(np.geomspace(max(len(y) // 10, 1), len(y), 8).round().astype(int)).tolist()
    _check_sizes(sizes, y[order], labels)

    train, validation = _class_index(y, labels, "y"), _class_index(y_val, labels, "y_val")
    rows = []
    for size in sizes:
        model = estimator if size == sizes[-1] else clone(estimator)
        part = order[:size]
        model.fit(X[part], y[part])
        rows.append(
            (
                *_loss_and_accuracy(model.predict_proba(X[part]), train[part]),
                *_loss_and_accuracy(model.predict_proba(X_val), validation),
            )
        )
    values = {f"{key}_by_n_samples": column for key, column in zip(_KEYS, np.array(rows).T, strict=True)}
    return TrainingCurves(values, np.array(sizes), "n_samples")


def _curves_of_stages(
    stages: Iterable[tuple[FloatArray, FloatArray]],
    classes: NDArray[Any],
    y: ArrayLike,
    y_val: ArrayLike,
    step_unit: StepUnit,
) -> TrainingCurves:
    """Score the probabilities (train, validation) of each stage as it comes; steps count from 1."""
    train, validation = _class_index(y, classes, "y"), _class_index(y_val, classes, "y_val")
    rows = [(*_loss_and_accuracy(p, train), *_loss_and_accuracy(q, validation)) for p, q in stages]
    values = dict(zip(_KEYS, np.array(rows).T, strict=True))
    return TrainingCurves(values, np.arange(1, len(rows) + 1), step_unit)


def _loss_and_accuracy(proba: FloatArray, y_index: IntArray) -> tuple[float, float]:
    """Mean log loss, clipped as scikit-learn >= 1.3 does, and accuracy; both NaN where a probability is."""
    if np.isnan(proba).any():
        return np.nan, np.nan
    eps = np.finfo(proba.dtype).eps
    p_true = np.clip(proba[np.arange(len(y_index)), y_index], eps, 1 - eps)
    return float(-np.log(p_true).mean(dtype=np.float64)), float(np.mean(proba.argmax(axis=1) == y_index))


def _class_index(y: ArrayLike, classes: NDArray[Any], name: str) -> IntArray:
    """Return the column of each label in ``predict_proba``."""
    y = np.asarray(y)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise InputError(
            f"{name} has labels that the estimator does not know: {_few(unknown)}; it knows {_few(classes)}. "
            "Train it on all classes, or leave these samples out."
        )
    return np.searchsorted(classes, y).astype(np.int64)


def _few(labels: NDArray[Any]) -> str:
    shown = ", ".join(repr(label) for label in labels[:5].tolist())
    return shown if len(labels) <= 5 else f"{shown}, ... ({len(labels)} in all)"


def _final_step(
    estimator: Any,  # noqa: ANN401
    X: ArrayLike,  # noqa: N803
    y: NDArray[Any],
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
            "Use curves_by_iteration, curves_by_n_estimators or curves_by_sample_size."
        )
    estimator.set_params(warm_start=True, max_iter=1)

    def fit_once(X: Any, y: NDArray[Any], _: NDArray[Any]) -> None:  # noqa: ANN401, N803
        with warnings.catch_warnings():
            # Stopping after one iteration is the purpose here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            estimator.fit(X, y)

    return fit_once


def _tree_prefixes(forest: Any, X: ArrayLike) -> Iterator[FloatArray]:  # noqa: ANN401, N803
    """Yield the probabilities of the first 1, 2, ... trees; each array is valid until the next one."""
    X = np.asarray(X, dtype=np.float32)  # noqa: N806  (what trees compute with: converted once, not once a tree)
    total = 0.0
    for n_trees, tree in enumerate(forest.estimators_, start=1):
        total = total + tree.predict_proba(X, check_input=False)
        yield total / n_trees


def _stratified_order(y: NDArray[Any], random_state: int) -> IntArray:
    """Return an order of the samples of which every prefix has the class shares of the whole."""
    shuffled = np.random.default_rng(random_state).permutation(len(y))
    _, index, counts = np.unique(y[shuffled], return_inverse=True, return_counts=True)
    by_class = np.argsort(index, kind="stable")
    rank = np.empty(len(y))
    rank[by_class] = np.concatenate([np.arange(count) for count in counts])
    return shuffled[np.argsort((rank + 0.5) / counts[index], kind="stable")]


def _check_sizes(sizes: Sequence[int], y: NDArray[Any], labels: NDArray[Any]) -> None:
    if not len(sizes) or np.any(np.diff([0, *sizes]) < 1) or sizes[-1] > len(y):
        raise InputError(f"sizes must increase from at least 1 to at most {len(y)} samples; they are {list(sizes)}.")
    missing = np.setdiff1d(labels, y[: sizes[0]])
    if len(missing):
        raise InputError(
            f"the smallest part, {sizes[0]} samples, lacks the classes {_few(missing)}. Start with a larger one."
        )
