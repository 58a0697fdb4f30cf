"""What MLflow's own autologging of XGBoost writes is read as it is meant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import mlflow
import numpy as np
import pytest

import lossacc_mlflow as lossacc
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import xgboost

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4))
BINARY = (X[:, 0] + RNG.normal(size=400) > 0).astype(int)
THREE = np.digitize(X[:, 0] + RNG.normal(size=400), [-0.5, 0.5])
TRAIN, VAL = slice(0, 250), slice(250, 400)


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    mlflow.xgboost.autolog(log_models=False, log_datasets=False, silent=True)
    yield here
    mlflow.xgboost.autolog(disable=True)


def curves_of_only_run(tracking: Tracking) -> tuple[dict[tuple[str, str], Any], lossacc.RunData]:
    (found,) = tracking.client.search_runs([tracking.experiment_id])
    run = lossacc.read_run(found.info.run_id)
    assert {curve.step_unit for curve in run.curves} == {"iteration"}
    return {(curve.split, curve.metric.name): curve for curve in run.curves}, run


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "eval"), ("train", "validation")),
        (("train", "valid"), ("train", "validation")),
        (("training", "validation"), ("train", "validation")),
        (("dtrain", "dval"), ("train", "validation")),
        (("train", "test"), ("train", "test")),
    ],
)
def test_the_names_of_the_evaluation_sets_and_the_extra_point_of_early_stopping(
    tracking: Tracking, names: tuple[str, str], splits: tuple[str, str]
) -> None:
    dtrain, dval = xgboost.DMatrix(X[TRAIN], BINARY[TRAIN]), xgboost.DMatrix(X[VAL], BINARY[VAL])
    history: dict[str, Any] = {}
    booster = xgboost.train(
        {"objective": "binary:logistic", "eval_metric": ["auc", "error", "error@0.7", "logloss"], "nthread": 1},
        dtrain,
        60,
        evals=[(dtrain, names[0]), (dval, names[1])],
        evals_result=history,
        early_stopping_rounds=4,
        verbose_eval=False,
    )
    n = len(history[names[1]]["logloss"])
    assert booster.best_iteration < n - 1
    curves, run = curves_of_only_run(tracking)
    assert len(tracking.client.get_metric_history(run.run_id, f"{names[1]}-logloss")) == n + 1
    for split, name in zip(splits, names, strict=True):
        for metric, theirs, logged in (
            ("log_loss", "logloss", history[name]["logloss"]),
            ("accuracy", "error", 1 - np.array(history[name]["error"])),
            ("roc_auc", "auc", history[name]["auc"]),
        ):
            curve = curves[split, metric]
            assert curve.key == f"{name}-{theirs}"
            assert curve.step.tolist() == list(range(n))
            np.testing.assert_allclose(curve.value, logged)
    # The error at another threshold is no accuracy of the answers.
    assert run.other_keys == tuple(sorted(f"{name}-error_at_0.7" for name in names))
    assert lossacc.diagnose(run).verdict != "not_enough_information"


@pytest.mark.parametrize("flavor", ["xgboost", "all"])
def test_an_estimator_of_several_classes(tracking: Tracking, flavor: str) -> None:
    if flavor == "all":
        mlflow.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        model = xgboost.XGBClassifier(n_estimators=12, eval_metric=["merror", "mlogloss"], n_jobs=1)
        evaluation = [(X[TRAIN], THREE[TRAIN]), (X[VAL], THREE[VAL])]
        model.fit(X[TRAIN], THREE[TRAIN], eval_set=evaluation, verbose=False)
    finally:
        mlflow.autolog(disable=True)
    curves, _ = curves_of_only_run(tracking)
    assert {(key, curve.key, len(curve)) for key, curve in curves.items()} == {
        (("train", "log_loss"), "validation_0-mlogloss", 12),
        (("validation", "log_loss"), "validation_1-mlogloss", 12),
        (("train", "accuracy"), "validation_0-merror", 12),
        (("validation", "accuracy"), "validation_1-merror", 12),
    }
    errors = model.evals_result()["validation_1"]["merror"]
    np.testing.assert_allclose(curves["validation", "accuracy"].value, 1 - np.array(errors))


def test_a_regression(tracking: Tracking) -> None:
    evaluation = [(X[TRAIN], X[TRAIN, 0]), (X[VAL], X[VAL, 0])]
    model = xgboost.XGBRegressor(n_estimators=12, n_jobs=1)
    model.fit(X[TRAIN], X[TRAIN, 0], eval_set=evaluation, verbose=False)
    curves, _ = curves_of_only_run(tracking)
    assert {key: len(curve) for key, curve in curves.items()} == {
        ("train", "root_mean_squared_error"): 12,
        ("validation", "root_mean_squared_error"): 12,
    }
