"""Which classes of scikit-learn are watched, and what kind each estimator is."""

import inspect
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, RegressorMixin, is_classifier, is_regressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

__all__ = [
    "CROSS_VALIDATION",
    "is_baseline",
    "is_container",
    "is_search",
    "is_supervised",
    "trains_others",
    "watched_classes",
]

_SUPERVISED = (ClassifierMixin, RegressorMixin, Pipeline, BaseSearchCV)
_PARTS = (
    *("calibration", "compose", "cross_decomposition", "discriminant_analysis", "dummy", "ensemble"),
    *("feature_selection", "frozen", "gaussian_process", "isotonic", "kernel_ridge", "linear_model"),
    *("model_selection", "multiclass", "multioutput", "naive_bayes", "neighbors", "neural_network", "pipeline"),
    *("semi_supervised", "svm", "tree"),
    # What has to be switched on before scikit-learn lets one import it.
    *("model_selection._search_successive_halving", "impute._iterative"),
)

CROSS_VALIDATION = (
    "cross_validate",
    "cross_val_predict",
    "learning_curve",
    "permutation_test_score",
    "validation_curve",
)
"""Functions that fit one estimator on many parts of the data, which is no training of a model."""


@cache
def watched_classes() -> tuple[type, ...]:
    """List the estimators that train a model, or others within them; importing them takes 0.2 s.

    Returns
    -------
    tuple of type
        Every classifier and regressor, pipelines, searches, and the selectors and the like that fit such.
    """
    found = [BaseSearchCV]
    for part in _PARTS:
        with suppress(ImportError):  # of an older scikit-learn
            found += filter(_is_watched, vars(import_module(f"sklearn.{part}")).values())
    return tuple(dict.fromkeys(found))


def _is_watched(owner: Any) -> bool:  # noqa: ANN401  (anything that a module holds)
    if not (inspect.isclass(owner) and issubclass(owner, BaseEstimator) and hasattr(owner, "fit")):
        return False
    is_public = owner.__module__.startswith("sklearn.") and not owner.__name__.startswith("_")
    return is_public and (issubclass(owner, _SUPERVISED) or trains_others(owner))


def trains_others(owner: type) -> bool:
    """Whether the estimators of a class fit estimators that they are given.

    Parameters
    ----------
    owner : type
    """
    return issubclass(owner, MetaEstimatorMixin) or "estimator" in inspect.signature(owner).parameters


def is_supervised(estimator: Any) -> bool:  # noqa: ANN401  (any estimator)
    """Whether an estimator is a classifier or a regressor, also as a whole pipeline or search.

    Parameters
    ----------
    estimator : estimator
    """
    return isinstance(estimator, _SUPERVISED) and bool(is_classifier(estimator) or is_regressor(estimator))


def is_container(estimator: Any) -> bool:  # noqa: ANN401
    """Whether the model is another one, within this estimator.

    Parameters
    ----------
    estimator : estimator
    """
    return isinstance(estimator, Pipeline | BaseSearchCV)


def is_search(estimator: Any) -> bool:  # noqa: ANN401
    """Whether an estimator tries parameters.

    Parameters
    ----------
    estimator : estimator
    """
    return isinstance(estimator, BaseSearchCV)


def is_baseline(estimator: Any) -> bool:  # noqa: ANN401
    """Whether an estimator does not look at the features: it is what models are held against.

    Parameters
    ----------
    estimator : estimator
    """
    return type(estimator).__module__ == "sklearn.dummy"
