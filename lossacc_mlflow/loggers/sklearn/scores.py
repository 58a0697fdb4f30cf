"""Scores of what a model answers on fixed samples: loss and accuracy of classes, rmse and r2 of numbers."""

from dataclasses import dataclass
from math import nan, sqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from lossacc_mlflow.clips import log_losses
from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["Answer", "ClassScorer", "NumberScorer", "Scorer", "answer_of", "of_decision", "of_margin", "of_proba"]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a classifier answers: the class of every sample, and probabilities or decision values where it has them.

    Parameters
    ----------
    index : ndarray of int64, shape (n_samples,)
        Of the class in ``classes_``.
    proba : ndarray of shape (n_samples, n_classes), optional
    decision : ndarray of shape (n_samples,) or (n_samples, n_classes), optional
        Where there are no probabilities.
    """

    index: IntArray
    proba: FloatArray | None = None
    decision: FloatArray | None = None


class Scorer(Protocol):
    """Scores answers on the samples that it was made for."""

    def score(self, answer: Any) -> dict[str, float]:  # noqa: ANN401  (`Answer` of classifiers, an array of regressors)
        """Return the scores by the end of their key; NaN where an answer is."""
        ...


class ClassScorer:
    """Log loss (hinge loss where there is no probability) and accuracy, as scikit-learn computes them.

    Log losses are clipped as everywhere here, at the float64 eps, whatever type the probabilities have.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Each of them one of `classes`.
    classes : ndarray of shape (n_classes,)
        Sorted, as in ``classes_``.
    sample_weight : ndarray of float64, shape (n_samples,), optional
    """

    def __init__(self, y: NDArray[Any], classes: NDArray[Any], sample_weight: FloatArray | None = None) -> None:
        self.classes = classes
        self.index: IntArray = np.searchsorted(classes, y).astype(np.int64)
        self.sample_weight = sample_weight
        self._rows = np.arange(len(y))

    def score(self, answer: Answer) -> dict[str, float]:
        """Return ``loss``, where there is one, and ``accuracy``."""
        values = answer.proba if answer.proba is not None else answer.decision
        if values is not None and np.isnan(values).any():
            return {"loss": nan, "accuracy": nan}
        scores = {}
        if answer.proba is not None:
            scores["loss"] = self._mean(log_losses(answer.proba[self._rows, self.index].astype(np.float64)))
        elif answer.decision is not None:
            scores["loss"] = self._mean(np.maximum(0.0, 1.0 - self._margin(answer.decision)))
        scores["accuracy"] = self._mean(answer.index == self.index)
        return scores

    def _margin(self, decision: FloatArray) -> FloatArray:
        """How far the true class lies above the best other one (two classes: the signed decision value)."""
        if decision.ndim == 1:
            signed: FloatArray = np.where(self.index == 1, decision, -decision)
            return signed
        true = decision[self._rows, self.index]
        others = decision.astype(np.float64)
        others[self._rows, self.index] = -np.inf
        margin: FloatArray = true - others.max(axis=1)
        return margin

    def _mean(self, values: NDArray[Any]) -> float:
        return float(np.average(values, weights=self.sample_weight))


class NumberScorer:
    """Root mean squared error and r2, as scikit-learn computes them.

    Parameters
    ----------
    y : ndarray of numbers, shape (n_samples,)
    sample_weight : ndarray of float64, shape (n_samples,), optional
    """

    def __init__(self, y: NDArray[Any], sample_weight: FloatArray | None = None) -> None:
        self.y = y.astype(np.float64)
        self.sample_weight = sample_weight
        mean = np.average(self.y, weights=sample_weight)
        self._variance = float(np.average((self.y - mean) ** 2, weights=sample_weight))

    def score(self, answer: NDArray[Any]) -> dict[str, float]:
        """Return ``rmse`` and ``r2``; of a constant target r2 is 1 where it is met, else 0."""
        squares = (self.y - np.asarray(answer, dtype=np.float64).reshape(len(self.y))) ** 2
        error = float(np.average(squares, weights=self.sample_weight))
        if np.isnan(error):
            return {"rmse": nan, "r2": nan}
        r2 = 1 - error / self._variance if self._variance else float(error == 0)
        return {"rmse": sqrt(error), "r2": r2}


def of_proba(proba: FloatArray) -> Answer:
    """Answer with the most probable class."""
    return Answer(proba.argmax(axis=1), proba=proba)


def of_margin(margin: FloatArray, *, scale: float = 1.0, zero_is_second: bool = False) -> Answer:
    """Answer of a model whose margins are log odds, or logits of its classes.

    Parameters
    ----------
    margin : ndarray of shape (n_samples,), (n_samples, 1) or (n_samples, n_classes)
    scale : float
        What the margins are multiplied by to be logits.
    zero_is_second : bool
        Which of two classes a margin of 0 stands for.
    """
    if margin.ndim == 2 and margin.shape[1] > 1:
        # Class by class: along the long axis it takes a third of the time.
        proba = softmax(np.ascontiguousarray((margin * scale).T), axis=0).T
        return Answer(margin.argmax(axis=1), proba=proba)
    margin = margin.ravel()
    proba = np.empty((len(margin), 2))
    proba[:, 1] = expit(margin * scale)
    proba[:, 0] = 1 - proba[:, 1]
    return Answer((margin >= 0 if zero_is_second else margin > 0).astype(np.int64), proba=proba)


def of_decision(decision: FloatArray) -> Answer:
    """Answer of a model that has decision values alone."""
    index = decision.argmax(axis=1) if decision.ndim == 2 else (decision > 0).astype(np.int64)
    return Answer(index, decision=decision)


def answer_of(estimator: Any, X: ArrayLike) -> Any:  # noqa: ANN401, N803
    """Return what a fitted classifier (`Answer`) or regressor (array) answers."""
    predicted = np.asarray(estimator.predict(X))
    if not hasattr(estimator, "classes_"):
        return predicted
    classes = np.asarray(estimator.classes_)
    index = np.searchsorted(classes, predicted).astype(np.int64)
    if hasattr(estimator, "predict_proba"):
        return Answer(index, proba=np.asarray(estimator.predict_proba(X)))
    if has_class_decisions(estimator):
        return Answer(index, decision=np.asarray(estimator.decision_function(X)))
    return Answer(index)


def has_class_decisions(estimator: Any) -> bool:  # noqa: ANN401
    """Whether ``decision_function`` has one column a class, and not one a pair of classes."""
    return hasattr(estimator, "decision_function") and getattr(estimator, "decision_function_shape", "ovr") == "ovr"
