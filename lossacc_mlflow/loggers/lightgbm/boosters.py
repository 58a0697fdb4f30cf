"""What LightGBM's boosters answer: their task, their outputs, and their curves after the fact."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from lossacc_mlflow.loggers.boosting.roles import class_places
from lossacc_mlflow.loggers.boosting.scores import Task
from lossacc_mlflow.loggers.boosting.staged import known_task, staged_curves, stages
from lossacc_mlflow.loggers.sklearn.training_curves import TrainingCurves
from lossacc_mlflow.records import Split

__all__ = ["GrowingOutputs", "Header", "current_outputs", "curves_of_model", "header_of", "task_of"]

_INNER_PREDICT = "_Booster__inner_predict"  # private, but what every evaluation function is called with
_EXPONENTIAL = frozenset({"poisson", "gamma", "tweedie"})
_REGRESSIONS = _EXPONENTIAL | {"regression", "regression_l1", "huber", "fair", "quantile", "mape"}


@dataclass(frozen=True, slots=True)
class Header:
    """What the text of a model says about it, whatever aliases its parameters were given by.

    Parameters
    ----------
    objective : str
        Empty where it is a function of the user's.
    details : tuple of str
        Of the objective, such as ``sigmoid:1`` or ``sqrt``.
    n_classes : int
    is_average : bool
        The trees are averaged (random forests).
    is_dart : bool
        Earlier trees change later on.
    """

    objective: str
    details: tuple[str, ...]
    n_classes: int
    is_average: bool
    is_dart: bool

    def outputs(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return what the model answers for a raw score: probabilities, or numbers."""
        if self.objective in _EXPONENTIAL:
            return np.asarray(np.exp(raw))
        if self.objective == "multiclass":
            return np.asarray(softmax(raw, axis=1))
        if self.objective in {"binary", "cross_entropy"}:
            slope = next((float(one.partition(":")[2]) for one in self.details if one.startswith("sigmoid:")), 1.0)
            return np.asarray(expit(slope * raw))
        return np.sign(raw) * raw**2 if "sqrt" in self.details else raw


def header_of(booster: Any) -> Header:  # noqa: ANN401  (LightGBM has no types)
    """Read what a booster with at least one tree is."""
    lines = booster.model_to_string(num_iteration=1).splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    objective, *details = fields.get("objective", "").split() or [""]
    return Header(
        objective=objective,
        details=tuple(details),
        n_classes=int(fields.get("num_class", 1)),
        is_average="average_output" in lines,
        is_dart="[boosting: dart]" in lines,
    )


def task_of(header: Header) -> Task | None:
    """Tell what a booster answers; None where loss and accuracy mean nothing (ranking), or are not known."""
    if header.objective in {"binary", "cross_entropy"}:
        return Task("binary", n_classes=2)
    if header.objective == "multiclass":
        return Task("multiclass", n_classes=header.n_classes)
    if header.objective == "multiclassova":
        return Task("one_vs_all", n_classes=header.n_classes)
    return Task("regression") if header.objective in _REGRESSIONS else None


def current_outputs(booster: Any, index: int) -> NDArray[Any]:  # noqa: ANN401
    """Return what a booster in training answers for a data set of its own (0: training), from its running scores."""
    inner_predict = getattr(booster, _INNER_PREDICT, None)
    if inner_predict is not None:
        return np.array(inner_predict(data_idx=index))
    # The public way evaluates every metric of the training once more.
    seen: list[NDArray[Any]] = []

    def look(outputs: NDArray[Any], _: Any) -> tuple[str, float, bool]:  # noqa: ANN401
        seen.append(np.array(outputs))
        return "lossacc", 0.0, True

    if index == 0:
        booster.eval_train(look)
    else:
        booster.eval(booster.valid_sets[index - 1], booster.name_valid_sets[index - 1], look)
    return seen[0]


class GrowingOutputs:
    """What a booster in training answers for data that are not its own: each call asks only the trees that are new.

    Parameters
    ----------
    booster : Booster
    X : array-like of shape (n_samples, n_features)
    header : Header
    """

    def __init__(self, booster: Any, X: Any, header: Header) -> None:  # noqa: ANN401, N803
        self._booster, self._header = booster, header
        # A frame would be converted at every call; one with categories has to be.
        is_numeric = hasattr(X, "dtypes") and all(getattr(kind, "kind", "O") in "iufb" for kind in X.dtypes)
        self._X = X.to_numpy() if is_numeric else X
        self._n_trees = 0
        self._total: NDArray[Any] | float = 0.0

    def __call__(self) -> NDArray[Any]:
        """Return outputs of shape (n_samples,) or (n_samples, n_classes)."""
        n, known = self._booster.current_iteration(), self._n_trees
        return self._header.outputs(self._raw(0, n) if self._header.is_dart else self.raw_until(n, known))

    def raw_until(self, n: int, known: int | None = None) -> NDArray[Any]:
        """Return raw scores after n iterations, adding to those after fewer that are known."""
        known = self._n_trees if known is None else known
        if n > known:
            raw = self._raw(known, n)
            self._total = self._total + (raw * (n - known) if self._header.is_average else raw)
            self._n_trees = n
        return np.asarray(self._total / n if self._header.is_average else self._total)

    def _raw(self, begin: int, end: int) -> NDArray[Any]:
        raw = self._booster.predict(self._X, raw_score=True, start_iteration=begin, num_iteration=end - begin)
        return np.asarray(raw, dtype=np.float64)


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

    Every tree is asked once: the time is that of one prediction, and a little. With ``boosting="dart"`` the trees have
    the weights that they got in the end.

    Parameters
    ----------
    model : fitted LGBMClassifier, LGBMRegressor, or Booster
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
        If the model has an objective without loss and accuracy, or labels are unknown to it.
    """
    estimator = model if isinstance(model, lightgbm.LGBMModel) else None
    booster = model if estimator is None else estimator.booster_
    header = header_of(booster)
    task = known_task(task_of(header))
    classes = getattr(estimator, "classes_", None) if isinstance(model, lightgbm.LGBMClassifier) else None
    after = stages(booster.current_iteration(), max_stages)
    given: dict[Split, Any] = {"train": (X, y)}
    if X_val is not None:
        given["validation"] = (X_val, y_val)
    data = {
        split: (class_places(target, classes), _staged_outputs(booster, inputs, header, after))
        for split, (inputs, target) in given.items()
    }
    kept = booster.best_iteration - 1 if booster.best_iteration > 0 else None
    return staged_curves(task, after, data, kept_step=kept)


def _staged_outputs(booster: Any, X: Any, header: Header, after: list[int]) -> Iterator[NDArray[Any]]:  # noqa: ANN401, N803
    growing = GrowingOutputs(booster, X, header)
    for n in after:
        yield header.outputs(growing.raw_until(n))
