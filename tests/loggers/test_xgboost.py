"""XGBoost: every iteration is scored, whatever is evaluated, and the training is the same as without us."""

# ruff: noqa: ANN401  (XGBoost has no types)

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

import lossacc_mlflow as lossacc
from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.boosting.log import Pace
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.records import RunData
from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import xgboost

    from lossacc_mlflow.loggers.xgboost import LossaccCallback, curves_of_model, install

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4)).astype(np.float32)
NUMBER = X[:, 0] - X[:, 1] ** 2 + RNG.normal(0, 1, 500)
BINARY = (NUMBER > -0.8).astype(int)
THREE = np.digitize(NUMBER, np.quantile(NUMBER, [0.4, 0.8]))
TRAIN, VAL = slice(0, 300), slice(300, 500)


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    monkeypatch.setattr(Pace, "spend", lambda *_: None)  # on a busy machine not every iteration would be scored
    yield here
    hooks.detach_all()


def matrices(y: Any, **kwargs: Any) -> tuple[Any, Any]:
    return xgboost.DMatrix(X[TRAIN], y[TRAIN], **kwargs), xgboost.DMatrix(X[VAL], y[VAL], **kwargs)


def train(params: dict[str, Any], n: int = 8, **kwargs: Any) -> Any:
    return xgboost.train(
        {"max_depth": 3, "nthread": 1, "verbosity": 0, **params}, num_boost_round=n, verbose_eval=False, **kwargs
    )


def only_run(tracking: Tracking) -> RunData:
    (run,) = tracking.client.search_runs([tracking.experiment_id])
    assert run.info.status == "FINISHED"
    return read_run(run.info.run_id, with_samples=True)


def values(run: RunData) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in run.curves}


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
@pytest.mark.parametrize(("objective", "y"), [("binary:logistic", BINARY), ("multi:softmax", THREE)])
def test_every_iteration_has_the_scores_of_the_model_at_that_iteration(
    tracking: Tracking, objective: str, y: Any, booster: str
) -> None:
    params = {"objective": objective, "booster": booster, "eval_metric": "auc", "rate_drop": 0.5}
    params |= {"num_class": 3} if objective == "multi:softmax" else {}
    dtrain, dval = matrices(y)

    def evaluated(install_us: bool) -> tuple[Any, Any, Any]:
        history: dict[str, Any] = {}
        probabilities: list[Any] = []

        class Look(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # XGBoost has no types
            def after_iteration(self, model: Any, *_: Any) -> bool:
                shadow = pickle.loads(pickle.dumps(model))  # noqa: S301  (our own bytes)
                probabilities.append([shadow.predict(d, output_margin=True) for d in (dtrain, dval)])
                return False

        if install_us:
            install(Options())
        callbacks = [] if install_us else [Look()]
        evals = [(dtrain, "train"), (dval, "eval")]
        model = train(params, dtrain=dtrain, evals=evals, evals_result=history, callbacks=callbacks)
        return model.save_raw("json"), history, probabilities

    raw, history, margins = evaluated(install_us=False)
    assert evaluated(install_us=True)[:2] == (raw, history)
    run = only_run(tracking)
    assert {curve.step_unit for curve in run.curves} == {"iteration"}
    assert [curve.step.tolist() for curve in run.curves] == [list(range(8))] * 4
    for place, (prefix, part) in enumerate([("train", TRAIN), ("val", VAL)]):
        for step in (0, 7):
            margin = margins[step][place].astype(float)
            two = np.stack([np.zeros_like(margin), margin], axis=1) if margin.ndim == 1 else margin
            proba = np.exp(two) / np.exp(two).sum(axis=1, keepdims=True)
            assert values(run)[f"{prefix}_loss"][step] == pytest.approx(log_loss(y[part], proba), rel=1e-5)
            assert values(run)[f"{prefix}_accuracy"][step] == accuracy_score(y[part], proba.argmax(axis=1))
    assert run.predictions["validation"].log_loss == pytest.approx(values(run)["val_loss"][-1], rel=1e-5)
    assert run.tags["lossacc.predictions_step"] == "7"


def test_a_regression_has_rmse_and_r2_in_the_unit_of_its_target(tracking: Tracking) -> None:
    install(Options())
    y = np.exp(NUMBER / 2)
    model = xgboost.XGBRegressor(objective="reg:gamma", n_estimators=6, n_jobs=1)
    model.fit(X[TRAIN], y[TRAIN], eval_set=[(X[VAL], y[VAL])], verbose=False)
    run = only_run(tracking)
    predicted = model.predict(X[VAL])
    assert values(run)["val_rmse"][-1] == pytest.approx(root_mean_squared_error(y[VAL], predicted), rel=1e-5)
    assert values(run)["val_r2"][-1] == pytest.approx(r2_score(y[VAL], predicted), rel=1e-4)
    assert set(values(run)) == {"train_rmse", "val_rmse", "train_r2", "val_r2"}
    np.testing.assert_allclose(run.regression_samples["validation"].y_pred, predicted, rtol=1e-6)


def test_estimators_stop_early_as_without_us_and_their_best_predictions_are_kept(tracking: Tracking) -> None:
    def fitted() -> Any:
        model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=4, learning_rate=0.5, n_jobs=1)
        return model.fit(
            X[TRAIN], BINARY[TRAIN], eval_set=[(X[TRAIN], BINARY[TRAIN]), (X[VAL], BINARY[VAL])], verbose=False
        )

    alone = fitted()
    lossacc.autolog(diagnose=False)
    mlflow.xgboost.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        model = fitted()
    finally:
        mlflow.xgboost.autolog(disable=True)
        lossacc.autolog(disable=True)
    assert (model.best_iteration, model.evals_result()) == (alone.best_iteration, alone.evals_result())
    assert model.get_booster().save_raw() == alone.get_booster().save_raw()
    run = only_run(tracking)
    n = len(model.evals_result()["validation_1"]["logloss"])
    assert model.best_iteration < n - 1
    # The losses are MLflow's, the accuracies ours; nothing is there twice.
    found = {(curve.split, curve.metric.name): (curve.key, len(curve)) for curve in run.curves}
    assert found["validation", "accuracy"] == ("val_accuracy", n)
    assert not {"train_loss", "val_loss"} & set(tracking.client.get_run(run.run_id).data.metrics)
    assert "validation_0-logloss=train:log_loss" in run.tags["lossacc.keys"]
    assert run.tags["lossacc.predictions_step"] == str(model.best_iteration)
    proba = model.predict_proba(X[VAL])
    assert run.predictions["validation"].log_loss == pytest.approx(log_loss(BINARY[VAL], proba), rel=1e-5)


def test_the_training_set_is_known_by_itself_or_by_its_content_and_never_guessed(tracking: Tracking) -> None:
    install(Options())
    dtrain, dval = matrices(BINARY)
    again, _ = matrices(BINARY)
    evals = [(dval, "first"), (dval, "second"), (again, "validation_2"), (dval, "test_set")]
    train({"objective": "binary:logistic"}, dtrain=dtrain, evals=evals)
    assert set(values(only_run(tracking))) == {
        f"{s}_{m}" for s in ("train", "val", "test") for m in ("loss", "accuracy")
    }


@pytest.mark.parametrize("how", ["block", "option"])
def test_given_validation_data_are_scored_where_the_training_has_none(tracking: Tracking, how: str) -> None:
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=pd.Categorical(np.where(X[:, 2] > 0, "up", "down")))
    held_out = frame[VAL], BINARY[VAL]
    install(Options(validation_data=held_out if how == "option" else None))
    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1, enable_categorical=True, missing=-1.0)
    if how == "block":
        with lossacc.validation_data(*held_out):
            model.fit(frame[TRAIN], BINARY[TRAIN])
    else:
        model.fit(frame[TRAIN], BINARY[TRAIN])
    loss = values(only_run(tracking))["val_loss"][-1]
    assert loss == pytest.approx(log_loss(BINARY[VAL], model.predict_proba(frame[VAL])), rel=1e-5)


def test_sample_weights_count_where_all_sets_have_them(tracking: Tracking) -> None:
    install(Options())
    weight = np.random.default_rng(1).uniform(0.1, 3, 500)
    fit = {"eval_set": [(X[VAL], BINARY[VAL])], "sample_weight": weight[TRAIN], "verbose": False}
    losses = []
    for more in ({}, {"sample_weight_eval_set": [weight[VAL]]}):
        model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X[TRAIN], BINARY[TRAIN], **fit, **more)
        run, *_ = tracking.client.search_runs([tracking.experiment_id], order_by=["attribute.start_time DESC"])
        losses.append(values(read_run(run.info.run_id)))
    proba = model.predict_proba(X)
    assert losses[0]["train_loss"][-1] == pytest.approx(log_loss(BINARY[TRAIN], proba[TRAIN]), rel=1e-5)
    assert losses[1]["train_loss"][-1] == pytest.approx(
        log_loss(BINARY[TRAIN], proba[TRAIN], sample_weight=weight[TRAIN]), rel=1e-5
    )
    assert losses[1]["val_accuracy"][-1] == pytest.approx(
        accuracy_score(BINARY[VAL], proba[VAL].argmax(axis=1), sample_weight=weight[VAL])
    )


@pytest.mark.parametrize("api", ["native", "estimator"])
def test_an_alarm_stops_the_training_and_the_best_iteration_answers(tracking: Tracking, api: str) -> None:
    install(Options(stop_when=["overfitting", "loss_overfitting"], silent=True))
    y = np.where(np.random.default_rng(1).uniform(size=500) < 0.2, 1 - BINARY, BINARY)
    params = {"learning_rate": 0.4, "max_depth": 6}
    if api == "native":
        dtrain, dval = matrices(y)
        booster = train({"objective": "binary:logistic", **params}, 200, dtrain=dtrain, evals=[(dval, "val")])
        proba = booster.predict(dval)
        assert booster.num_boosted_rounds() == booster.best_iteration + 1
    else:
        model = xgboost.XGBClassifier(n_estimators=200, n_jobs=1, **params)
        model.fit(X[TRAIN], y[TRAIN], eval_set=[(X[VAL], y[VAL])], verbose=False)
        booster, proba = model.get_booster(), model.predict_proba(X[VAL])[:, 1]
        assert booster.num_boosted_rounds() > booster.best_iteration + 1
    run = only_run(tracking)
    losses = values(run)["val_loss"]
    assert len(losses) < 200
    assert run.tags["lossacc.restored_step"] == str(booster.best_iteration) == str(int(np.argmin(losses)))
    assert run.tags["lossacc.stopped_step"] == str(len(losses) - 1)
    assert log_loss(y[VAL], proba) == pytest.approx(min(losses), rel=1e-5)
    assert run.predictions["validation"].log_loss == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("booster", ["dart", "gblinear"])
def test_boosters_that_change_what_they_were_end_with_their_last_weights(tracking: Tracking, booster: str) -> None:
    y = np.where(np.random.default_rng(1).uniform(size=500) < 0.2, 1 - BINARY, BINARY)
    install(Options(stop_when=["overfitting", "loss_overfitting", "not_learning", "underfitting"], silent=True))
    dtrain, dval = matrices(y)
    params = {"objective": "binary:logistic", "booster": booster, "learning_rate": 0.4, "max_depth": 6}
    model = train(params, 150, dtrain=dtrain, evals=[(dval, "val")])
    run = only_run(tracking)
    losses = values(run)["val_loss"]
    assert log_loss(y[VAL], model.predict(dval)) == pytest.approx(losses[-1], rel=1e-5)
    assert run.tags["lossacc.predictions_step"] == str(len(losses) - 1)
    assert "lossacc.restored_step" not in run.tags
    assert booster == "gblinear" or (run.tags["lossacc.stopped_step"] == str(len(losses) - 1) and len(losses) < 150)


@pytest.mark.parametrize("predictions", ["best", 3])
def test_predictions_of_other_iterations(tracking: Tracking, predictions: Any) -> None:
    install(Options(predictions=predictions))
    dtrain, dval = matrices(np.random.default_rng(1).permutation(BINARY))
    train({"objective": "binary:logistic", "learning_rate": 1.0}, 8, dtrain=dtrain, evals=[(dval, "val")])
    run = only_run(tracking)
    losses = values(run)["val_loss"]
    if predictions == "best":
        assert run.predictions["validation"].log_loss == pytest.approx(min(losses), rel=1e-5)
    else:
        assert run.by_step["validation"].step.tolist() == [2, 5, 7]
        assert run.by_step["validation"].figures["log_loss"].tolist() == pytest.approx(
            [losses[i] for i in (2, 5, 7)], rel=1e-5
        )


def test_what_has_no_loss_and_accuracy_is_left_alone(tracking: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    install(Options())
    groups = {"group": [100] * 3}
    xgboost.XGBRanker(n_estimators=3, n_jobs=1).fit(X[TRAIN], THREE[TRAIN], **groups)
    xgboost.cv({"objective": "binary:logistic"}, matrices(BINARY)[0], 3)
    with hooks.outermost():  # as within a search of scikit-learn's
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X, BINARY)
    assert not tracking.client.search_runs([tracking.experiment_id])
    assert not caplog.records
    two = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(X, np.stack([NUMBER, NUMBER], axis=1))
    assert two.predict(X).shape == (500, 2)
    assert ["2 targets" in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("api", ["estimator", "booster"])
def test_samples_of_labels_that_the_model_does_not_know_are_left_out(
    tracking: Tracking, caplog: pytest.LogCaptureFixture, api: str
) -> None:
    known = X[VAL][:, 0] < 1
    y_val = np.where(known, THREE[VAL], 3)
    if api == "estimator":
        install(Options())
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1)
        with lossacc.validation_data(X[VAL], y_val):
            model.fit(X[TRAIN], THREE[TRAIN])
        answers = model.predict(X[VAL][known])
    else:
        dtrain, dval = matrices(np.concatenate([THREE[TRAIN], y_val]))
        callback = LossaccCallback(dtrain, dval)
        model = train({"objective": "multi:softmax", "num_class": 3}, 3, dtrain=dtrain, callbacks=[callback])
        answers = model.predict(xgboost.DMatrix(X[VAL][known]))
    run = only_run(tracking)
    assert values(run)["val_accuracy"][-1] == accuracy_score(y_val[known], answers)
    assert run.predictions["validation"].n_samples == known.sum()
    assert [f"{np.sum(~known)} of 200 validation" in record.message for record in caplog.records] == [True]


def test_other_names_of_features_cost_the_validation_curves_alone(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    install(Options())
    with lossacc.validation_data(pd.DataFrame(X[VAL], columns=list("abcx")), BINARY[VAL]):
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(pd.DataFrame(X[TRAIN], columns=list("abcd")), BINARY[TRAIN])
    assert set(values(only_run(tracking))) == {"train_loss", "train_accuracy"}
    assert ["feature_names mismatch" in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("fault", ["features", "one sample", "targets", "empty", "labels"])
def test_validation_data_at_fault_cost_the_validation_curves_alone(
    tracking: Tracking, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    install(Options())
    given = {
        "features": (X[VAL][:, :3], BINARY[VAL]),
        "one sample": (X[0], BINARY[: X.shape[1]]),
        "targets": (X[VAL], np.column_stack([BINARY[VAL], BINARY[VAL]])),
        "empty": (X[VAL][:0], BINARY[VAL][:0]),
        "labels": (X[VAL], np.arange(len(BINARY[VAL])) + 7),
    }[fault]
    with lossacc.validation_data(*given):
        xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(X[TRAIN], BINARY[TRAIN])
    assert set(values(only_run(tracking))) == {"train_loss", "train_accuracy"}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("n_missing", [9, 200])
def test_held_out_samples_of_a_regression_without_a_target_are_left_out(
    tracking: Tracking, caplog: pytest.LogCaptureFixture, n_missing: int
) -> None:
    install(Options())
    target = NUMBER[VAL].copy()
    target[:n_missing] = np.nan
    with lossacc.validation_data(X[VAL], target):
        model = xgboost.XGBRegressor(n_jobs=1, n_estimators=3).fit(X[TRAIN], NUMBER[TRAIN])
    logged = values(only_run(tracking))
    if n_missing < len(target):
        assert logged["val_r2"][-1] == pytest.approx(model.score(X[VAL][9:], target[9:]))
    else:
        assert set(logged) == {"train_rmse", "train_r2"}
    assert [f"{n_missing} of 200 validation samples have no target" in record.message for record in caplog.records] == [
        True
    ]


def test_with_an_objective_of_ones_own_only_what_is_evaluated_is_known(tracking: Tracking) -> None:
    def squared(predicted: Any, data: Any) -> tuple[Any, Any]:
        return predicted - data.get_label(), np.ones_like(predicted)

    install(Options())
    dtrain, dval = matrices(NUMBER)
    train({"eval_metric": ["mae", "rmse"]}, dtrain=dtrain, evals=[(dtrain, "a"), (dval, "b")], obj=squared)
    assert set(values(only_run(tracking))) == {"train_mae", "val_mae", "train_rmse", "val_rmse"}


def test_the_callback_alone(tracking: Tracking) -> None:
    callback = LossaccCallback((X[TRAIN], BINARY[TRAIN]), (X[VAL], BINARY[VAL]))
    mine = [callback]
    model = clone(xgboost.XGBClassifier(n_estimators=6, n_jobs=1, callbacks=mine)).fit(X[TRAIN], BINARY[TRAIN])
    run = only_run(tracking)
    assert len(values(run)["val_accuracy"]) == 6
    loss = log_loss(BINARY[VAL], model.predict_proba(X[VAL]))
    assert values(run)["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert pickle.loads(pickle.dumps(model)).get_params()["n_estimators"] == 6  # noqa: S301  (our own bytes)
    assert mine == [callback]


def test_sparse_data_and_two_runs_in_threads(tracking: Tracking) -> None:
    install(Options())

    def fit(n_estimators: int) -> None:
        with mlflow.start_run(), lossacc.validation_data(csr_matrix(X[VAL]), BINARY[VAL]):
            xgboost.XGBClassifier(n_estimators=n_estimators, n_jobs=1).fit(csr_matrix(X[TRAIN]), BINARY[TRAIN])

    threads = [threading.Thread(target=fit, args=(n,)) for n in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [read_run(run.info.run_id) for run in tracking.client.search_runs([tracking.experiment_id])]
    assert sorted({key: len(points) for key, points in values(run).items()}["val_loss"] for run in runs) == [3, 5]
    assert all(len(values(run)) == 4 for run in runs)


def test_a_training_that_fails_ends_its_run(tracking: Tracking) -> None:
    class Fails(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # XGBoost has no types
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model, evals_log
            if epoch == 3:
                raise KeyboardInterrupt
            return False

    install(Options())
    dtrain, dval = matrices(BINARY)
    with pytest.raises(KeyboardInterrupt):
        train({"objective": "binary:logistic"}, dtrain=dtrain, evals=[(dval, "val")], callbacks=[Fails()])
    (run,) = tracking.client.search_runs([tracking.experiment_id])
    assert run.info.status == "KILLED"
    assert len(values(read_run(run.info.run_id))["val_loss"]) == 4


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob", "count:poisson"])
def test_curves_after_the_fact_are_those_of_the_training(tracking: Tracking, objective: str) -> None:
    install(Options())
    kind = xgboost.XGBRegressor if objective.startswith("count") else xgboost.XGBClassifier
    y = {"binary:logistic": BINARY, "multi:softprob": THREE}.get(objective, THREE)
    model = kind(n_estimators=7, n_jobs=1, objective=objective)
    model.fit(X[TRAIN], y[TRAIN], eval_set=[(X[VAL], y[VAL])], verbose=False)
    curves = curves_of_model(model, X[TRAIN], y[TRAIN], X[VAL], y[VAL])
    assert curves.step.tolist() == list(range(7))
    logged = values(only_run(tracking))
    assert set(curves.values) == set(logged)
    for key, series in logged.items():
        np.testing.assert_allclose(curves.values[key], series, rtol=1e-4, atol=1e-6)  # noqa: PD011  (no frame)
    few = curves_of_model(model.get_booster(), X[TRAIN], y[TRAIN], max_stages=3)
    assert few.step.tolist() == [0, 3, 6]
