"""What MLflow's own autologging of LightGBM writes is read as it is meant."""

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
    import lightgbm

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 4))
BINARY = (X[:, 0] + RNG.normal(size=600) > 0).astype(int)
THREE = np.digitize(X[:, 0] + RNG.normal(size=600), [-0.5, 0.5])
TRAIN, VAL = slice(0, 400), slice(400, 600)


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    mlflow.lightgbm.autolog(log_models=False, log_datasets=False, silent=True)
    yield here
    mlflow.lightgbm.autolog(disable=True)


def curves_of_only_run(tracking: Tracking) -> tuple[dict[tuple[str, str], Any], lossacc.RunData]:
    (found,) = tracking.client.search_runs([tracking.experiment_id])
    run = lossacc.read_run(found.info.run_id)
    assert {curve.step_unit for curve in run.curves} == {"iteration"}
    return {(curve.split, curve.metric.name): curve for curve in run.curves}, run


@pytest.mark.parametrize("names", [None, ["train", "valid"], ["training", "eval"], ["dtrain", "dval"]])
def test_the_names_of_the_evaluation_sets_and_the_extra_point_of_early_stopping(
    tracking: Tracking, names: list[str] | None
) -> None:
    dtrain = lightgbm.Dataset(X[TRAIN], BINARY[TRAIN])
    dval = dtrain.create_valid(X[VAL], BINARY[VAL])
    history: dict[str, Any] = {}
    model = lightgbm.train(
        {"objective": "binary", "metric": ["auc", "binary_error", "binary_logloss"], "num_threads": 1, "verbose": -1},
        dtrain,
        90,
        valid_sets=[dtrain, dval],
        valid_names=names,
        callbacks=[lightgbm.early_stopping(4, verbose=False), lightgbm.record_evaluation(history)],
    )
    seen = names or ["training", "valid_1"]
    n = len(history[seen[1]]["binary_logloss"])
    assert model.best_iteration < n
    curves, run = curves_of_only_run(tracking)
    assert len(tracking.client.get_metric_history(run.run_id, f"{seen[1]}-binary_logloss")) == n + 1
    for split, name in zip(("train", "validation"), seen, strict=True):
        for metric, theirs, logged in (
            ("log_loss", "binary_logloss", history[name]["binary_logloss"]),
            ("accuracy", "binary_error", 1 - np.array(history[name]["binary_error"])),
            ("roc_auc", "auc", history[name]["auc"]),
        ):
            curve = curves[split, metric]
            assert curve.key == f"{name}-{theirs}"
            assert curve.step.tolist() == list(range(n))
            np.testing.assert_allclose(curve.value, logged)
    assert lossacc.diagnose(run).verdict != "not_enough_information"


@pytest.mark.parametrize("flavor", ["lightgbm", "all"])
def test_an_estimator_of_several_classes(tracking: Tracking, flavor: str) -> None:
    if flavor == "all":
        mlflow.autolog(log_models=False, log_datasets=False, silent=True)
    train, val = (X[TRAIN], THREE[TRAIN]), (X[VAL], THREE[VAL])
    try:
        model = lightgbm.LGBMClassifier(n_estimators=12, n_jobs=1, verbose=-1)
        model.fit(*train, eval_X=(train[0], val[0]), eval_y=(train[1], val[1]), eval_metric="multi_error")
    finally:
        mlflow.autolog(disable=True)
    curves, _ = curves_of_only_run(tracking)
    (own, held_out) = model.evals_result_
    assert {key: (curve.key, len(curve)) for key, curve in curves.items() if key[0] == "validation"} == {
        ("validation", "log_loss"): (f"{held_out}-multi_logloss", 12),
        ("validation", "accuracy"): (f"{held_out}-multi_error", 12),
    }
    np.testing.assert_allclose(
        curves["validation", "accuracy"].value, 1 - np.array(model.evals_result_[held_out]["multi_error"])
    )
    # Given as the same objects, LightGBM names the training data; else nothing tells that the first set is theirs.
    assert (("train", "log_loss") in curves) == (own == "training")


def test_a_regression(tracking: Tracking) -> None:
    model = lightgbm.LGBMRegressor(n_estimators=12, n_jobs=1, verbose=-1)
    model.fit(X[TRAIN], X[TRAIN, 0], eval_X=(X[VAL],), eval_y=(X[VAL, 0],), eval_metric="rmse")
    curves, _ = curves_of_only_run(tracking)
    assert {key: len(curve) for key, curve in curves.items()} == {
        ("validation", "mean_squared_error"): 12,
        ("validation", "root_mean_squared_error"): 12,
    }
