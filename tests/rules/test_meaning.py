"""LOG007 and LOG008 tell what is no accuracy and what is no loss."""

from collections.abc import Mapping
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.records import RegressionSummary
from lossacc_mlflow.rules.meaning import AccuracyOnRegression, LossIsScore
from tests.builders import falling, make_run

_REGRESSION = AccuracyOnRegression()
_SCORE = LossIsScore()
_FALLING = np.array(falling(20))
_RISING = np.linspace(0.5, 0.9, 20)


@pytest.mark.parametrize(
    ("tags", "params", "status"),
    [
        ({"estimator_name": "RandomForestRegressor"}, {}, "flagged"),
        ({"estimator_class": "sklearn.linear_model._base.LinearRegression"}, {}, "flagged"),
        ({"estimator_class": "sklearn.svm._classes.SVR"}, {}, "flagged"),
        ({}, {"objective": "reg:squarederror"}, "flagged"),
        ({}, {"objective": "regression"}, "flagged"),
        ({}, {"objective": "reg:logistic"}, "clear"),
        ({"estimator_name": "LogisticRegression"}, {}, "clear"),
        ({"estimator_name": "RidgeClassifier"}, {}, "clear"),
        ({"estimator_name": "RandomForestClassifier"}, {}, "clear"),
    ],
)
def test_the_estimator_tells(tags: Mapping[str, str], params: Mapping[str, str], status: str) -> None:
    found = _REGRESSION.check(make_run({"val_accuracy": _RISING}, tags=tags, params=params))
    assert (found.status, found.level) == (status, "warning")


def test_r2_tells_unless_classes_are_known() -> None:
    curves = {"val_accuracy": _RISING, "val_r2": _RISING}
    found = _REGRESSION.check(make_run(curves))
    assert found.status == "flagged"
    assert "'val_r2' is logged too. This is a regression, and the accuracy says nothing." in found.message
    assert _REGRESSION.check(make_run(curves, n_classes=2)).status == "clear"
    assert _REGRESSION.check(make_run(curves | {"val_roc_auc": _RISING})).status == "clear"


@pytest.mark.parametrize(("accuracy", "level"), [(0.09, "warning"), (0.11, "note")])
def test_a_classifier_can_be_trained_by_squared_error(accuracy: float, level: str) -> None:
    values = np.append(np.zeros(19), accuracy)
    found = _REGRESSION.check(make_run({"val_accuracy": values, "val_mean_squared_error": _FALLING}))
    assert (found.status, found.level) == ("flagged", level)
    assert ("a classifier was trained" in found.message) == (level == "note")
    by_param = make_run({"val_accuracy": values, "val_loss": np.ones(20)}, params={"loss": "mse"})
    assert "the parameter loss is 'mse'" in _REGRESSION.check(by_param).message
    with_log_loss = {"val_accuracy": values, "val_mean_squared_error": _FALLING, "val_log_loss": _FALLING}
    assert _REGRESSION.check(make_run(with_log_loss)).status == "clear"


@pytest.mark.parametrize(("largest", "status"), [(3.9, "flagged"), (98.1, "clear"), (0.98, "clear")])
def test_classes_that_were_learned_as_numbers(largest: float, status: str) -> None:
    curves = {"val_accuracy": np.linspace(largest / 2, largest, 20), "val_mean_squared_error": _FALLING}
    found = _REGRESSION.check(make_run(curves, n_classes=4))
    assert (found.status, found.level) == (status, "note" if status == "flagged" else "warning")
    with_log_loss = make_run(curves | {"val_log_loss": _FALLING}, n_classes=4)
    assert _REGRESSION.check(with_log_loss).status == "clear"


def test_predicted_numbers_tell() -> None:
    names = RegressionSummary.__dataclass_fields__
    summary = RegressionSummary(**{name: 9 for name in names if name != "notes"})  # type: ignore[arg-type]
    run = make_run({"val_accuracy": _RISING}, regressions={"validation": summary}, n_classes=4)
    assert "the predictions that were logged are numbers" in _REGRESSION.check(run).message


@pytest.mark.parametrize("values", [[-0.3, 0.2], [0.5, 390.0]])
def test_values_that_no_accuracy_has(values: list[float]) -> None:
    found = _REGRESSION.check(make_run({"val_accuracy": values}))
    assert (found.status, found.level) == ("flagged", "note")
    assert "or it is another score" in found.message


@pytest.mark.parametrize(
    ("accuracy", "change", "fall", "status"),
    [
        (0.003, 0.0, 0.6, "flagged"),
        (0.003, 0.009, 0.6, "flagged"),
        (0.003, 0.011, 0.6, "clear"),
        (0.003, 0.0, 0.4, "clear"),
        (0.101, 0.0, 0.6, "clear"),
    ],
)
def test_an_accuracy_that_stands_still_while_the_loss_falls(
    accuracy: float, change: float, fall: float, status: str
) -> None:
    values = np.append(np.full(19, accuracy), accuracy + change)
    curves = {"val_accuracy": values, "train_loss": np.linspace(1.0, 1 - fall, 10)}
    assert _REGRESSION.check(make_run(curves)).status == status


@pytest.mark.parametrize("curves", [{}, {"val_loss": [1.0]}, {"val_accuracy": [nan]}])
def test_no_accuracy_no_question(curves: dict[str, list[float]]) -> None:
    assert _REGRESSION.check(make_run(curves)).status == "not_applicable"


def test_a_score_under_the_key_of_a_loss() -> None:
    curves = {"train_loss": 3 * _RISING, "train_accuracy": _RISING}
    found = _SCORE.check(make_run(curves))
    assert (found.code, found.status, found.level, found.step) == ("LOG008", "flagged", "error", 0)
    assert "rises from 1.5" in found.message
    assert "Log the negative of it" in found.advice


@pytest.mark.parametrize(("gain", "status"), [(0.045, "clear"), (0.055, "flagged")])
def test_gain_of_the_accuracy(gain: float, status: str) -> None:
    accuracy = np.append(np.linspace(0.5, 0.5 + gain, 19), [0.5 + gain] * 2)
    run = make_run({"train_loss": np.linspace(1, 2, 21), "train_accuracy": accuracy})
    assert _SCORE.check(run).status == status


def test_correlation_with_the_accuracy() -> None:
    zigzag = _RISING + 0.25 * (-1.0) ** np.arange(20) * np.linspace(0, 1, 20)
    assert _SCORE.check(make_run({"train_loss": _RISING, "train_accuracy": zigzag})).status == "clear"


def test_divergence_and_overfitting_are_no_scores() -> None:
    diverging = {"train_loss": 3 * _RISING, "train_accuracy": _RISING[::-1]}
    assert _SCORE.check(make_run(diverging)).status == "clear"
    overfitting = {"train_loss": _FALLING, "train_accuracy": _RISING, "val_loss": _RISING, "val_accuracy": _RISING}
    assert _SCORE.check(make_run(overfitting)).status == "clear"
    valley = np.concatenate([[1.0, 0.8, 0.6, 0.5], np.linspace(0.6, 3, 16)])
    assert _SCORE.check(make_run({"train_loss": valley, "train_accuracy": _RISING})).status == "clear"


def test_a_log_likelihood_is_negative_and_rises() -> None:
    found = _SCORE.check(make_run({"train_loss": -_FALLING}))
    assert found.status == "flagged"
    assert "negative throughout" in found.message
    assert _SCORE.check(make_run({"train_loss": _FALLING - 5})).status == "clear"
    assert _SCORE.check(make_run({"train_loss": _RISING})).status == "not_applicable"


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [nan] * 9])
def test_too_few_points_for_a_direction(values: list[float]) -> None:
    assert _SCORE.check(make_run({"train_loss": values, "train_accuracy": values})).status == "not_applicable"
