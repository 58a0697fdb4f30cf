"""Every step of an ensemble against scikit-learn's own, of the same model cut off there."""

import copy
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
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
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after
from lossacc_mlflow.loggers.sklearn.steps import Spacing, spaced_steps

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _classes(n_classes: int) -> FitData:
    X, y = make_classification(200, 8, n_informative=5, n_classes=n_classes, flip_y=0.1, random_state=0)
    y = np.array(["b", "a", "c"])[y]
    return FitData(X[:130], y[:130], X[130:], y[130:])


def _numbers() -> FitData:
    X, y = make_regression(200, 6, noise=10.0, random_state=0)
    return FitData(X[:130], np.exp(y[:130] / 200), X[130:], np.exp(y[130:] / 200))


def _all_steps(model: Any, data: FitData) -> TrainingCurves:  # noqa: ANN401
    curves = curves_after(model.fit(data.X, data.y), data, max_steps=None, max_train_rows=None)
    assert curves is not None
    return curves


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingClassifier(n_estimators=7, random_state=0),
        GradientBoostingClassifier(n_estimators=40, n_iter_no_change=2, random_state=0),
        GradientBoostingClassifier(n_estimators=7, loss="exponential", random_state=0),
        GradientBoostingClassifier(n_estimators=3, init="zero", learning_rate=1e-9, random_state=0),
        HistGradientBoostingClassifier(max_iter=7, random_state=0),
        HistGradientBoostingClassifier(max_iter=40, early_stopping=True, n_iter_no_change=2, random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=7, random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(), n_estimators=7, random_state=0),
    ],
)
def test_stages_of_classifiers_are_scikit_learns(model: Any, n_classes: int) -> None:  # noqa: ANN401
    if getattr(model, "loss", "") == "exponential" and n_classes > 2:
        return
    data = _classes(n_classes)
    curves = _all_steps(model, data)
    for split, X, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
        losses = [log_loss(y, proba, labels=model.classes_) for proba in model.staged_predict_proba(X)]
        np.testing.assert_allclose(curves.values[f"{split}_loss"], losses, rtol=1e-9)
        accuracies = [accuracy_score(y, predicted) for predicted in model.staged_predict(X)]
        np.testing.assert_array_equal(curves.values[f"{split}_accuracy"], accuracies)
    assert curves.step.tolist() == list(range(1, len(losses) + 1))


@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingRegressor(n_estimators=7, loss="huber", random_state=0),
        HistGradientBoostingRegressor(max_iter=7, loss="poisson"),
        AdaBoostRegressor(n_estimators=12, random_state=0),
        AdaBoostRegressor(Ridge(), n_estimators=12, loss="exponential", random_state=0),
    ],
)
def test_stages_of_regressors_are_scikit_learns(model: Any) -> None:  # noqa: ANN401
    data = _numbers()
    curves = _all_steps(model, data)
    for split, X, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
        staged = list(model.staged_predict(X))
        np.testing.assert_allclose(curves.values[f"{split}_r2"], [r2_score(y, p) for p in staged], rtol=1e-9)
        errors = [root_mean_squared_error(y, p) for p in staged]
        np.testing.assert_allclose(curves.values[f"{split}_rmse"], errors, rtol=1e-9)


def _first(model: Any, n_members: int) -> Any:  # noqa: ANN401
    """The ensemble of the first members."""
    cut = copy.copy(model)
    cut.n_estimators, cut.estimators_ = n_members, model.estimators_[:n_members]
    if hasattr(model, "estimators_features_"):
        cut.estimators_features_ = model.estimators_features_[:n_members]
    return cut


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(7, random_state=0),
        ExtraTreesClassifier(7, random_state=0, n_jobs=2),
        BaggingClassifier(n_estimators=7, random_state=0),
        BaggingClassifier(KNeighborsClassifier(1), n_estimators=7, max_features=0.4, max_samples=0.1, random_state=0),
        BaggingClassifier(LinearSVC(), n_estimators=7, bootstrap_features=True, random_state=0),
        BaggingClassifier(DecisionTreeClassifier(), n_estimators=7, max_samples=4, random_state=0),
        RandomForestRegressor(7, random_state=0),
        ExtraTreesRegressor(7, random_state=0),
        BaggingRegressor(Ridge(), n_estimators=7, max_features=0.5, random_state=0),
    ],
)
def test_prefixes_are_ensembles_of_the_first_members(model: Any) -> None:  # noqa: ANN401
    data = _classes(3) if hasattr(model, "predict_proba") else _numbers()
    curves = _all_steps(model, data)
    assert curves.step.tolist() == [1, 2, 3, 4, 5, 6, 7]
    for at, n_members in enumerate(curves.step.tolist()):
        cut = _first(model, n_members)
        for split, X, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
            if curves.loss == "rmse":
                assert curves.values[f"{split}_r2"][at] == pytest.approx(r2_score(y, cut.predict(X)), rel=1e-9)
                continue
            loss = log_loss(y, cut.predict_proba(X), labels=model.classes_)
            assert curves.values[f"{split}_loss"][at] == pytest.approx(loss, rel=1e-9)
            assert curves.values[f"{split}_accuracy"][at] == accuracy_score(y, cut.predict(X))


def test_long_ensembles_are_scored_at_some_steps_whose_numbers_are_true() -> None:
    data, model = _classes(2), GradientBoostingClassifier(n_estimators=90, max_depth=1, random_state=0)
    every = _all_steps(model, data)
    some = curves_after(model, data, max_steps=20, max_train_rows=None)
    assert some is not None
    assert len(some) == 20
    assert (some.step[0], some.step[-1]) == (1, 90)
    for key, value in some.values.items():
        np.testing.assert_array_equal(value, every.values[key][some.step - 1])


@pytest.mark.parametrize(("n_steps", "max_steps"), [(1, 5), (5, 5), (6, 5), (61, 60), (100, 60), (10_000, 60), (9, 1)])
def test_steps_are_spread_in_equal_ratios(n_steps: int, max_steps: int) -> None:
    steps = spaced_steps(n_steps, max_steps)
    assert (steps[0], steps[-1]) == (1, n_steps)
    assert min(n_steps, 0.9 * max_steps) <= len(steps) <= max(max_steps, 2)
    assert np.all(np.diff(steps) >= 1)


def test_spacing_of_trainings_whose_end_is_not_known() -> None:
    spacing = Spacing()
    steps = [step for step in range(1, 1_001) if spacing.is_due(step)]
    assert [sum(step <= end for step in steps) for end in (10, 50, 200, 1_000)] == [10, 26, 42, 62]
