"""Every classifier and regressor of scikit-learn, and small data that each can be fitted on."""

import warnings
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import all_estimators

from lossacc_mlflow.loggers.sklearn import FitData

__all__ = ["EVERY", "Case", "data_for"]

_FAST: dict[str, Any] = {
    "max_iter": 15,
    "n_estimators": 6,
    "hidden_layer_sizes": (5,),
    "cv": 2,
    "n_components": 1,
    "n_alphas": 3,
    "alphas": 3,
    "Cs": 2,
    "radius": 50.0,
    "max_subpopulation": 50,
    "n_nonzero_coefs": 2,
    "min_samples_leaf": 5,
    "random_state": 0,
}
_KEEP = {
    "RidgeCV": {"alphas"},
    "RidgeClassifierCV": {"alphas"},
    "LinearDiscriminantAnalysis": {"n_components"},
    "OrthogonalMatchingPursuitCV": {"max_iter"},
}
_ONLY_BINARY = {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}


@dataclass(frozen=True)
class Case:
    """One class of scikit-learn."""

    name: str
    kind: Any
    is_classifier: bool

    def make(self) -> Any:  # noqa: ANN401
        """Make one that is quick to fit."""
        known = signature(self.kind).parameters
        inner: Any = LogisticRegression() if self.is_classifier else Ridge()
        needed: dict[str, Any] = {
            "estimator": inner,
            "base_estimator": inner,
            "estimators": [("first", inner), ("second", GaussianNB() if self.is_classifier else Ridge(alpha=10.0))],
        }
        given = {key: value for key, value in needed.items() if key in known and known[key].default is known[key].empty}
        if self.name == "SelfTrainingClassifier":
            given = {"estimator": GaussianNB()}
        fast = {key: value for key, value in _FAST.items() if key in known and key not in _KEEP.get(self.name, set())}
        if self.name in {"Lasso", "ElasticNet"}:
            fast["alpha"] = 0.001
        if self.name in {"LabelPropagation", "LabelSpreading"}:
            fast["gamma"] = 0.5
        if self.name == "QuadraticDiscriminantAnalysis":
            fast["reg_param"] = 0.1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # classes that scikit-learn is about to drop
            return self.kind(**fast, **given)


EVERY = tuple(
    Case(name, kind, kind_of == "classifier")
    for kind_of in ("classifier", "regressor")
    for name, kind in all_estimators(type_filter=kind_of)
)


def data_for(case: Case) -> FitData:
    """120 samples to train on and 60 to validate on: counts where counts are needed, positive targets."""
    X: NDArray[Any]
    y: NDArray[Any]
    if case.is_classifier:
        X, y = make_classification(
            180, 6, n_informative=4, n_classes=2 if case.name in _ONLY_BINARY else 3, random_state=0
        )
        y = np.array(["left", "right", "middle"], dtype=object)[y]
        if case.name in {"CategoricalNB", "ComplementNB", "MultinomialNB"}:
            X = np.clip(np.abs(X).astype(int), 0, 2)
    else:
        X, y = make_regression(180, 6, noise=5.0, random_state=0)
        y = np.exp(y / np.abs(y).max())
        if case.name == "IsotonicRegression":
            X = X[:, :1].clip(-1, 1)
    return FitData(X[:120], y[:120], X[120:], y[120:])
