"""Which curve every scikit-learn classifier and regressor gets, and why."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from sklearn.base import is_classifier
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline

from lossacc_mlflow.loggers.sklearn.scores import has_class_decisions
from lossacc_mlflow.loggers.sklearn.staged import stages_of
from lossacc_mlflow.records import StepUnit

__all__ = ["Recipe", "Source", "final_estimator", "recipe_for"]

Source = Literal["during fit", "after fit", "fitted again", "by sample size", "none"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the curve of an estimator is made.

    Parameters
    ----------
    source : {"during fit", "after fit", "fitted again", "by sample size", "none"}
        ``during fit``: scored as the fit goes on. ``after fit``: the finished model is taken apart into its steps,
        without refitting. ``fitted again``: clones with the same random numbers, stopped after 1, 2, ... steps of
        what the fit took. ``by sample size``: clones on parts of the training data, on request only.
    step_unit : {"epoch", "iteration", "n_estimators", "n_samples"}, optional
        None where there is no curve.
    loss : {"log_loss", "hinge", "rmse"}, optional
        Of classifiers: the hinge loss where they have a decision function alone, None where they answer with a class
        alone: then the curve is of accuracy. Of regressors rmse, beside r2.
    why : str
        In a sentence.
    """

    source: Source
    step_unit: StepUnit | None
    loss: str | None
    why: str


def recipe_for(estimator: Any) -> Recipe:  # noqa: ANN401  (scikit-learn has no type for "an estimator")
    """Return how the curve of an estimator is made: of the final step of a pipeline, of the best one of a search.

    Parameters
    ----------
    estimator : classifier or regressor, fitted or not
    """
    final = final_estimator(estimator)
    source, step_unit, why = _way(final)
    return Recipe(source, step_unit, None if source == "none" else _loss(final), why)


def final_estimator(estimator: Any) -> Any:  # noqa: ANN401
    """Return the estimator that learns: the final step of a pipeline, the (best) estimator of a search."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, BaseSearchCV):
            estimator = estimator.estimator
        else:
            return estimator


def _loss(estimator: Any) -> str | None:  # noqa: ANN401
    if not is_classifier(estimator):
        return "rmse"
    if hasattr(estimator, "predict_proba"):
        return "log_loss"
    if "final_estimator" in estimator.get_params(deep=False) and not hasattr(estimator, "final_estimator_"):
        # A stack has the methods of its last estimator, by default a logistic regression, once it is fitted.
        return "log_loss" if estimator.final_estimator is None else _loss(estimator.final_estimator)
    return "hinge" if has_class_decisions(estimator) else None


Way = tuple[Source, StepUnit | None, str]


def _way(estimator: Any) -> Way:  # noqa: ANN401
    if stages_of(estimator) is not None:
        return _of_ensemble(estimator)
    for kind in type(estimator).__mro__:
        way = _WAYS.get(kind.__name__) if kind.__module__.startswith("sklearn.") else None
        if way is not None:
            return way if isinstance(way, tuple) else way(estimator)
    return _BY_SIZE


def _of_ensemble(estimator: Any) -> Way:  # noqa: ANN401
    if hasattr(estimator, "staged_predict"):
        return "after fit", "iteration", "Boosting stages of the fitted model, none fitted again."
    return "after fit", "n_estimators", "The first members of the fitted model, as an ensemble of their own."


def _of_mlp(estimator: Any) -> Way:  # noqa: ANN401
    if estimator.solver == "lbfgs":
        return (
            "fitted again",
            "iteration",
            "Its solver shows nothing while it fits: clones stopped after k steps.",
        )
    return "during fit", "epoch", "Scored after each epoch, as it goes."


def _of_logistic_regression(estimator: Any) -> Way:  # noqa: ANN401
    unit: StepUnit = "epoch" if estimator.solver in {"sag", "saga"} else "iteration"
    if estimator.solver == "lbfgs" and hasattr(estimator, "set_callbacks"):
        return "during fit", unit, "Scored after each iteration, by a callback of scikit-learn (1.9 or later)."
    return "fitted again", unit, "Its solver shows nothing while it fits: clones stopped after k steps."


_BY_SIZE: Way = ("by sample size", "n_samples", "No steps that could be scored.")
_COUNTING: Way = ("by sample size", "n_samples", "Counts each sample once: a second pass would teach it nothing new.")
_PATHS: Way = ("by sample size", "n_samples", "Takes many paths of steps, one a fold and penalty.")
_BY_EPOCH: Way = ("fitted again", "epoch", "Its epochs are compiled code, which shows nothing: clones stopped after k.")
_BY_ITERATION: Way = ("fitted again", "iteration", "Shows nothing while it fits: clones stopped after k iterations.")
_SEVERAL_TARGETS: Way = ("none", None, "Several targets: not supported.")
_NOTHING: Way = ("none", None, "Answers without looking at the samples: nothing is learned.")

_WAYS: dict[str, Way | Callable[[Any], Way]] = {
    "MLPClassifier": _of_mlp,
    "MLPRegressor": _of_mlp,
    "LogisticRegression": _of_logistic_regression,
    "LogisticRegressionCV": _PATHS,
    **dict.fromkeys(
        ("SGDClassifier", "SGDRegressor", "Perceptron", "PassiveAggressiveClassifier", "PassiveAggressiveRegressor"),
        _BY_EPOCH,
    ),
    **dict.fromkeys(
        (
            *("LinearSVC", "LinearSVR", "Lasso", "ElasticNet", "HuberRegressor", "BayesianRidge", "ARDRegression"),
            *("PoissonRegressor", "GammaRegressor", "TweedieRegressor"),
        ),
        _BY_ITERATION,
    ),
    **dict.fromkeys(("BernoulliNB", "CategoricalNB", "ComplementNB", "GaussianNB", "MultinomialNB"), _COUNTING),
    **dict.fromkeys(
        (
            *("MultiOutputClassifier", "MultiOutputRegressor", "ClassifierChain", "RegressorChain"),
            *("MultiTaskLasso", "MultiTaskLassoCV", "MultiTaskElasticNet", "MultiTaskElasticNetCV"),
        ),
        _SEVERAL_TARGETS,
    ),
    "DummyClassifier": _NOTHING,
    "DummyRegressor": _NOTHING,
}
"""By the nearest class of scikit-learn, for subclasses as well; others have no steps."""
