"""Finished ensembles, one step after another without refitting: boosting stages, and prefixes of independent members.

A stage costs what one more member costs; only the stages that are scored are turned into probabilities.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from lossacc_mlflow.loggers.sklearn.scores import of_margin, of_proba

__all__ = ["STAGED", "Stages", "stages_of"]


@dataclass(frozen=True, slots=True)
class Stages:
    """How the steps of one kind of ensemble are gone through.

    Parameters
    ----------
    n_steps : callable
        Of a fitted estimator: the number of its steps.
    run : callable
        Of estimator and samples: yields what belongs to each step, valid until the next one.
    answer : callable
        Of estimator, what was yielded, and step: the answer (`Answer` of classifiers, an array of regressors).
    """

    n_steps: Callable[[Any], int]
    run: Callable[[Any, Any], Iterator[Any]]
    answer: Callable[[Any, Any, int], Any]


def stages_of(estimator: Any) -> Stages | None:  # noqa: ANN401
    """Return how the steps of a fitted ensemble are gone through; None for other estimators."""
    return next((stages for kind, stages in STAGED.items() if isinstance(estimator, kind)), None)


def _members(estimator: Any) -> int:  # noqa: ANN401
    return len(estimator.estimators_)


def _iterations(estimator: Any) -> int:  # noqa: ANN401
    return int(estimator.n_iter_)


def _margins(estimator: Any, X: Any) -> Iterator[NDArray[Any]]:  # noqa: ANN401, N803
    yield from estimator.staged_decision_function(X)


def _numbers(estimator: Any, X: Any) -> Iterator[NDArray[Any]]:  # noqa: ANN401, N803
    yield from estimator.staged_predict(X)


def _as_is(_: Any, numbers: NDArray[Any], __: int) -> NDArray[Any]:  # noqa: ANN401
    return numbers


def _gradient_boosting(estimator: Any, margin: NDArray[Any], _: int) -> Any:  # noqa: ANN401
    scale = 2.0 if estimator.loss == "exponential" else 1.0
    return of_margin(margin, scale=scale, zero_is_second=True)


def _hist_gradient_boosting(_: Any, margin: NDArray[Any], __: int) -> Any:  # noqa: ANN401
    return of_margin(margin)


def _ada_boost(estimator: Any, margin: NDArray[Any], _: int) -> Any:  # noqa: ANN401
    # Zhu et al. 2009, equation 15; of two classes the margin is that of the second one.
    return of_margin(margin, scale=1.0 / (len(estimator.classes_) - 1))


def _sorted_members(estimator: Any, X: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:  # noqa: ANN401, N803
    """Yield, at every stage, what each member predicts, sorted within each sample, and which member it is.

    scikit-learn's own stages let all members so far predict anew at every stage, and sort anew.
    """
    X = X.tocsr() if issparse(X) else np.asarray(X)  # noqa: N806
    predicted = np.column_stack([member.predict(X) for member in estimator.estimators_])
    member = predicted.argsort(axis=1)
    both = np.take_along_axis(predicted, member, axis=1), member
    for _ in estimator.estimators_:
        yield both


def _weighted_median(estimator: Any, both: tuple[NDArray[Any], NDArray[Any]], step: int) -> NDArray[Any]:  # noqa: ANN401
    predicted, member = both
    weights = np.asarray(estimator.estimator_weights_).copy()
    weights[step:] = 0.0
    reached = weights[member].cumsum(axis=1)
    # Members that are not there yet weigh nothing: the first to reach the half is one that is.
    middle = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)[:, None]
    return np.take_along_axis(predicted, middle, axis=1)[:, 0]


def _tree_sums(forest: Any, X: Any) -> Iterator[NDArray[Any]]:  # noqa: ANN401, N803
    """Yield the sum over the first 1, 2, ... trees."""
    X = forest._validate_X_predict(X)  # noqa: N806, SLF001  (float32, converted once and not once a tree)
    classes = isinstance(forest, RandomForestClassifier | ExtraTreesClassifier)
    total = 0.0
    for tree in forest.estimators_:
        total = total + (tree.predict_proba if classes else tree.predict)(X, check_input=False)
        yield np.asarray(total)


def _bagged_sums(bagging: Any, X: Any) -> Iterator[NDArray[Any]]:  # noqa: ANN401, N803
    """Yield the sum over the first 1, 2, ... members, each on its own features: of probabilities, votes or numbers."""
    X = X.tocsr() if issparse(X) else np.asarray(X)  # noqa: N806
    n_classes = len(getattr(bagging, "classes_", ()))
    total = np.zeros((X.shape[0], n_classes) if n_classes else X.shape[0])
    rows = np.arange(X.shape[0])
    for member, features in zip(bagging.estimators_, bagging.estimators_features_, strict=True):
        inputs = X[:, features]
        if not n_classes:
            total += member.predict(inputs)
        elif hasattr(member, "predict_proba"):
            # Members count the classes that they have seen by their place among all of them.
            total[:, member.classes_.astype(np.int64)] += member.predict_proba(inputs)
        else:
            total[rows, member.predict(inputs).astype(np.int64)] += 1
        yield total


def _mean_proba(_: Any, total: NDArray[Any], step: int) -> Any:  # noqa: ANN401
    return of_proba(total / step)


def _mean_number(_: Any, total: NDArray[Any], step: int) -> NDArray[Any]:  # noqa: ANN401
    mean: NDArray[Any] = total / step
    return mean


STAGED: dict[type, Stages] = {
    GradientBoostingClassifier: Stages(_members, _margins, _gradient_boosting),
    GradientBoostingRegressor: Stages(_members, _numbers, _as_is),
    HistGradientBoostingClassifier: Stages(_iterations, _margins, _hist_gradient_boosting),
    HistGradientBoostingRegressor: Stages(_iterations, _numbers, _as_is),
    AdaBoostClassifier: Stages(_members, _margins, _ada_boost),
    AdaBoostRegressor: Stages(_members, _sorted_members, _weighted_median),
    RandomForestClassifier: Stages(_members, _tree_sums, _mean_proba),
    ExtraTreesClassifier: Stages(_members, _tree_sums, _mean_proba),
    BaggingClassifier: Stages(_members, _bagged_sums, _mean_proba),
    RandomForestRegressor: Stages(_members, _tree_sums, _mean_number),
    ExtraTreesRegressor: Stages(_members, _tree_sums, _mean_number),
    BaggingRegressor: Stages(_members, _bagged_sums, _mean_number),
}
"""By class; subclasses are gone through as their base class."""
