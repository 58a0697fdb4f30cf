"""LightGBM: every iteration is scored, whatever is evaluated, and the training is the same as without us."""

# ruff: noqa: ANN401  (LightGBM has no types)

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
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error

import lossacc_mlflow as lossacc
from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.boosting.log import Pace
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.records import RunData
from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import lightgbm

    from lossacc_mlflow.loggers.lightgbm import LossaccCallback, curves_of_model, install

pytestmark = [
    pytest.mark.frameworks,
    # What replaces it does not take text for labels.
    pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 4))
NUMBER = X[:, 0] - X[:, 1] ** 2 + RNG.normal(0, 1, 600)
BINARY = (NUMBER > -0.8).astype(int)
THREE = np.digitize(NUMBER, np.quantile(NUMBER, [0.4, 0.8]))
NAMES = np.array(["no", "yes"])[BINARY]
TRAIN, VAL = slice(0, 400), slice(400, 600)


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    monkeypatch.setattr(Pace, "spend", lambda *_: None)  # on a busy machine not every iteration would be scored
    yield here
    hooks.detach_all()


def sets(y: Any, **kwargs: Any) -> tuple[Any, Any]:
    dtrain = lightgbm.Dataset(X[TRAIN], y[TRAIN], **kwargs)
    return dtrain, dtrain.create_valid(X[VAL], y[VAL])


def train(params: dict[str, Any], y: Any, n: Any = 8, **kwargs: Any) -> Any:
    dtrain, dval = sets(y)
    kwargs = {"valid_sets": [dtrain, dval], "valid_names": ["train", "eval"], **kwargs}
    return lightgbm.train(
        {"num_threads": 1, "verbose": -1, "deterministic": True, **params}, dtrain, num_boost_round=n, **kwargs
    )


def classifier(**params: Any) -> Any:
    return lightgbm.LGBMClassifier(**{"n_jobs": 1, "verbose": -1, "n_estimators": 8, **params})


def held_out() -> dict[str, Any]:
    return {"eval_set": [(X[VAL], NAMES[VAL])]}


def only_run(tracking: Tracking) -> RunData:
    (run,) = tracking.client.search_runs([tracking.experiment_id])
    assert run.info.status == "FINISHED"
    return read_run(run.info.run_id, with_samples=True)


def values(run: RunData) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in run.curves}


BOOSTINGS = {
    "gbdt": {},
    "dart": {"boosting": "dart", "drop_rate": 0.5},
    "rf": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
}


@pytest.mark.parametrize("boosting", BOOSTINGS)
@pytest.mark.parametrize(("objective", "y"), [("binary", BINARY), ("multiclass", THREE)])
@pytest.mark.parametrize("validation", ["evaluated", "given"])
def test_every_iteration_has_the_scores_of_the_model_at_that_iteration(
    tracking: Tracking, objective: str, y: Any, boosting: str, validation: str
) -> None:
    params = {"objective": objective, "metric": "None", "sigmoid": 1.5, **BOOSTINGS[boosting]}
    params |= {"num_class": 3} if objective == "multiclass" else {}
    answers: list[tuple[Any, Any]] = []

    def look(env: Any) -> None:
        answers.append((env.model.predict(X[TRAIN]), env.model.predict(X[VAL])))

    where = {"valid_sets": None, "valid_names": None} if validation == "given" else {}
    alone = train(params, y, callbacks=[look], **where)
    install(Options(validation_data=(X[VAL], y[VAL]) if validation == "given" else None))
    mine = [look]
    model = train(params, y, callbacks=mine, **where)
    assert mine == [look]
    assert model.model_to_string() == alone.model_to_string()
    run = only_run(tracking)
    assert [(curve.step_unit, curve.step.tolist()) for curve in run.curves] == [("iteration", list(range(8)))] * 4
    for place, (prefix, part) in enumerate([("train", TRAIN), ("val", VAL)]):
        for step in (0, 1, 7):
            proba = answers[step][place]
            predicted = proba > 0.5 if proba.ndim == 1 else proba.argmax(axis=1)
            assert values(run)[f"{prefix}_loss"][step] == pytest.approx(log_loss(y[part], proba))
            assert values(run)[f"{prefix}_accuracy"][step] == accuracy_score(y[part], predicted)
    assert run.predictions["validation"].log_loss == pytest.approx(log_loss(y[VAL], model.predict(X[VAL])))


@pytest.mark.parametrize(
    "params", [{"objective": "gamma"}, {"objective": "l2", "reg_sqrt": True}, {"objective": "mae"}]
)
@pytest.mark.parametrize("validation", ["evaluated", "given"])
def test_a_regression_has_rmse_and_r2_in_the_unit_of_its_target(
    tracking: Tracking, params: dict[str, Any], validation: str
) -> None:
    y = np.exp(NUMBER / 2)
    install(Options(validation_data=(pd.DataFrame(X[VAL]), y[VAL]) if validation == "given" else None))
    model = train(params, y, **({"valid_sets": None, "valid_names": None} if validation == "given" else {}))
    run = only_run(tracking)
    predicted = model.predict(X[VAL])
    curves = {key: series[-1] for key, series in values(run).items() if key.startswith("val")}
    assert curves == pytest.approx(
        {"val_rmse": root_mean_squared_error(y[VAL], predicted), "val_r2": r2_score(y[VAL], predicted)}, rel=1e-5
    )
    np.testing.assert_allclose(run.regression_samples["validation"].y_pred, predicted)


@pytest.mark.parametrize("how", ["callback", "parameter"])
def test_estimators_stop_early_as_without_us_and_their_best_predictions_are_kept(tracking: Tracking, how: str) -> None:
    def fitted() -> Any:
        callbacks = [lightgbm.early_stopping(4, verbose=False)] if how == "callback" else []
        model = classifier(n_estimators=60, learning_rate=0.5, **({"early_stopping_round": 4} if not callbacks else {}))
        return model.fit(X[TRAIN], NAMES[TRAIN], **held_out(), callbacks=callbacks)

    alone = fitted()
    lossacc.autolog(diagnose=False)
    mlflow.lightgbm.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        model = fitted()
    finally:
        mlflow.lightgbm.autolog(disable=True)
        lossacc.autolog(disable=True)
    assert (model.best_iteration_, model.evals_result_) == (alone.best_iteration_, alone.evals_result_)
    assert model.booster_.model_to_string() == alone.booster_.model_to_string()
    run = only_run(tracking)
    n = len(model.evals_result_["valid_0"]["binary_logloss"])
    assert model.best_iteration_ < n < 60
    # The loss is MLflow's, the accuracies and the training loss are ours; nothing is there twice.
    found = {(curve.split, curve.metric.name): (curve.key, len(curve)) for curve in run.curves}
    assert found == {
        ("train", "log_loss"): ("train_loss", n),
        ("train", "accuracy"): ("train_accuracy", n),
        ("validation", "log_loss"): ("valid_0-binary_logloss", n),
        ("validation", "accuracy"): ("val_accuracy", n),
    }
    assert "val_loss" not in tracking.client.get_run(run.run_id).data.metrics
    assert run.tags["lossacc.keys"] == "valid_0-binary_logloss=validation:log_loss"
    assert run.tags["lossacc.predictions_step"] == str(model.best_iteration_ - 1)
    proba = model.predict_proba(X[VAL])
    assert run.predictions["validation"].log_loss == pytest.approx(log_loss(NAMES[VAL], proba), rel=1e-6)
    assert run.samples["validation"].classes == ("no", "yes")
    assert '"yes"' in run.tags["lossacc.class_counts"]


def test_the_last_iteration_is_scored_though_not_all_are(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "is_due", lambda _, step: step % 7 == 0)
    install(Options())
    callbacks = [lightgbm.early_stopping(4, verbose=False)]
    history: dict[str, Any] = {}
    callbacks.append(lightgbm.record_evaluation(history))
    train({"objective": "binary", "learning_rate": 0.5}, BINARY, 60, callbacks=callbacks)
    n = len(history["eval"]["binary_logloss"])
    run = only_run(tracking)
    assert n % 7 != 1
    assert run.curves[0].step[-1] == n - 1
    assert len(run.curves[0]) < n


def test_the_training_set_is_known_by_itself_or_by_its_content_and_never_guessed(tracking: Tracking) -> None:
    install(Options())
    dtrain, dval = sets(BINARY)
    again = dtrain.create_valid(X[TRAIN], BINARY[TRAIN])
    last = dtrain.create_valid(X[VAL][:100], BINARY[VAL][:100])
    model = train({"objective": "binary"}, BINARY, valid_sets=[dval, last, again], valid_names=["train", "mine", "c"])
    losses = values(only_run(tracking))
    assert set(losses) == {f"{split}_{metric}" for split in ("train", "val") for metric in ("loss", "accuracy")}
    assert losses["val_loss"][-1] == pytest.approx(log_loss(BINARY[VAL][:100], model.predict(X[VAL][:100])))


@pytest.mark.parametrize("api", ["native", "estimator"])
def test_an_alarm_stops_the_training_and_the_best_iteration_answers(tracking: Tracking, api: str) -> None:
    install(Options(stop_when=["overfitting", "loss_overfitting"], silent=True))
    y = np.where(np.random.default_rng(1).uniform(size=600) < 0.2, 1 - BINARY, BINARY)
    stopping = [lightgbm.early_stopping(100, verbose=False)]
    if api == "native":
        model = train({"objective": "binary", "learning_rate": 0.4}, y, 300, callbacks=stopping)
        best, proba = model.best_iteration, model.predict(X[VAL])
    else:
        model = classifier(n_estimators=300, learning_rate=0.4)
        model.fit(X[TRAIN], y[TRAIN], eval_X=(X[VAL],), eval_y=(y[VAL],), callbacks=stopping)
        best, proba = model.best_iteration_, model.predict_proba(X[VAL])
    run = only_run(tracking)
    losses = values(run)["val_loss"]
    assert len(losses) < 100
    assert run.tags["lossacc.restored_step"] == str(best - 1) == str(int(np.argmin(losses)))
    assert run.tags["lossacc.stopped_step"] == str(len(losses) - 1)
    assert log_loss(y[VAL], proba) == pytest.approx(min(losses))
    assert run.predictions["validation"].log_loss == pytest.approx(min(losses), rel=1e-6)


def test_an_alarm_on_given_data_alone_leaves_mlflow_unharmed(tracking: Tracking) -> None:
    y = np.where(np.random.default_rng(1).uniform(size=600) < 0.2, 1 - BINARY, BINARY)
    lossacc.autolog((X[VAL], y[VAL]), diagnose=False, stop_when="overfitting", silent=True)
    mlflow.lightgbm.autolog(log_models=False, log_datasets=False, silent=True)
    try:
        model = train({"objective": "binary", "learning_rate": 0.4}, y, 300, valid_sets=None, valid_names=None)
    finally:
        mlflow.lightgbm.autolog(disable=True)
        lossacc.autolog(disable=True)
    assert only_run(tracking).tags["lossacc.restored_step"] == str(model.best_iteration - 1)


def test_what_has_no_loss_and_accuracy_is_left_alone(tracking: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    install(Options())
    lightgbm.LGBMRanker(n_estimators=3, n_jobs=1, verbose=-1).fit(X[TRAIN], THREE[TRAIN], group=[100] * 4)
    lightgbm.cv({"objective": "binary", "verbose": -1}, sets(BINARY)[0], 3, nfold=2)
    with hooks.outermost():  # as within a search of scikit-learn's
        classifier().fit(X, NAMES)
    assert not tracking.client.search_runs([tracking.experiment_id])
    assert not caplog.records


def test_samples_of_labels_that_the_model_does_not_know_are_left_out(
    tracking: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    install(Options())
    known = X[VAL][:, 0] < 1
    with lossacc.validation_data(X[VAL], np.where(known, NAMES[VAL], "maybe")):
        model = classifier().fit(X[TRAIN], NAMES[TRAIN])
    score = model.score(X[VAL][known], NAMES[VAL][known])
    assert values(only_run(tracking))["val_accuracy"][-1] == pytest.approx(score)
    assert ["'maybe'" in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("fault", ["features", "one sample", "targets", "empty", "labels"])
def test_validation_data_at_fault_cost_the_validation_curves_alone(
    tracking: Tracking, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    install(Options())
    given = {
        "features": (X[VAL][:, :3], NAMES[VAL]),
        "one sample": (X[0], NAMES[: X.shape[1]]),
        "targets": (X[VAL], np.column_stack([NAMES[VAL], NAMES[VAL]])),
        "empty": (X[VAL][:0], NAMES[VAL][:0]),
        "labels": (X[VAL], np.arange(len(NAMES[VAL])) + 7),
    }[fault]
    with lossacc.validation_data(*given):
        classifier().fit(X[TRAIN], NAMES[TRAIN])
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
        model = lightgbm.LGBMRegressor(n_jobs=1, verbose=-1, n_estimators=3).fit(X[TRAIN], NUMBER[TRAIN])
    logged = values(only_run(tracking))
    if n_missing < len(target):
        assert logged["val_r2"][-1] == pytest.approx(model.score(X[VAL][9:], target[9:]))
    else:
        assert set(logged) == {"train_rmse", "train_r2"}
    assert [f"{n_missing} of 200 validation samples have no target" in record.message for record in caplog.records] == [
        True
    ]


def test_sparse_data_and_two_runs_in_threads(tracking: Tracking) -> None:
    install(Options())

    def fit(n_estimators: int) -> None:
        with mlflow.start_run(), lossacc.validation_data(csr_matrix(X[VAL]), NAMES[VAL]):
            classifier(n_estimators=n_estimators).fit(csr_matrix(X[TRAIN]), NAMES[TRAIN])

    threads = [threading.Thread(target=fit, args=(n,)) for n in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [read_run(run.info.run_id) for run in tracking.client.search_runs([tracking.experiment_id])]
    assert sorted({key: len(points) for key, points in values(run).items()}["val_loss"] for run in runs) == [3, 5]
    assert all(len(values(run)) == 4 for run in runs)


def test_an_interrupted_training_ends_its_run(tracking: Tracking) -> None:
    def interrupt(env: Any) -> None:
        if env.iteration == 3:
            raise KeyboardInterrupt

    install(Options())
    with pytest.raises(KeyboardInterrupt):
        train({"objective": "binary"}, BINARY, callbacks=[interrupt])
    (run,) = tracking.client.search_runs([tracking.experiment_id])
    assert run.info.status == "KILLED"
    assert len(values(read_run(run.info.run_id))["val_loss"]) == 3  # their callback comes before ours


def test_sample_weights_count_where_all_sets_have_them() -> None:
    weight = np.random.default_rng(1).uniform(0.1, 3, 600)
    install(Options())
    model = classifier()
    for more in ({}, {"eval_sample_weight": [weight[VAL]]}):
        with mlflow.start_run() as run:
            model.fit(X[TRAIN], NAMES[TRAIN], sample_weight=weight[TRAIN], **held_out(), **more)
        of_fit = {"sample_weight": weight[TRAIN]} if more else {}
        expected = log_loss(NAMES[TRAIN], model.predict_proba(X[TRAIN]), **of_fit)
        assert values(read_run(run.info.run_id))["train_loss"][-1] == pytest.approx(expected, rel=1e-5)


def test_one_against_all_has_accuracy_alone_and_an_objective_of_ones_own_what_is_evaluated() -> None:
    def squared(predicted: Any, data: Any) -> tuple[Any, Any]:
        return predicted - data.get_label(), np.ones_like(predicted)

    install(Options())
    with mlflow.start_run() as run:
        train({"objective": "ova", "num_class": 3}, THREE)
    assert set(values(read_run(run.info.run_id))) == {"train_accuracy", "val_accuracy"}
    with mlflow.start_run() as run:
        train({"objective": squared, "metric": ["l1", "rmse"]}, NUMBER)
    assert set(values(read_run(run.info.run_id))) == {"train_mae", "val_mae", "train_rmse", "val_rmse"}


@pytest.mark.parametrize("block", [True, False])
def test_the_callback_alone(tracking: Tracking, block: bool) -> None:
    callback = LossaccCallback(predictions="last")
    params = {"objective": "binary", "learning_rate": 0.5}
    if block:
        with callback:
            stopping = lightgbm.early_stopping(4, verbose=False)
            model = train(params, BINARY, 60, callbacks=[stopping, callback])
    else:
        model = train(params, BINARY, callbacks=[callback])
    run = only_run(tracking)
    loss = log_loss(BINARY[VAL], model.predict(X[VAL]))
    assert run.predictions["validation"].log_loss == pytest.approx(loss, rel=1e-6)
    assert pickle.loads(pickle.dumps(callback)).order == callback.order  # noqa: S301  (our own bytes)


def test_without_the_private_function_the_public_one_is_asked(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(Options())
    train({"objective": "multiclass", "num_class": 3}, THREE)
    first = values(only_run(tracking))
    monkeypatch.setattr("lossacc_mlflow.loggers.lightgbm.boosters._INNER_PREDICT", "_Booster__gone")
    with mlflow.start_run() as run:
        train({"objective": "multiclass", "num_class": 3}, THREE)
    assert values(read_run(run.info.run_id)) == first


@pytest.mark.parametrize("boosting", ["gbdt", "rf"])
@pytest.mark.parametrize(("objective", "y"), [("binary", NAMES), ("multiclass", THREE), ("poisson", THREE)])
def test_curves_after_the_fact_are_those_of_the_training(
    tracking: Tracking, objective: str, y: Any, boosting: str
) -> None:
    install(Options())
    kind = lightgbm.LGBMRegressor if objective == "poisson" else lightgbm.LGBMClassifier
    model = kind(n_estimators=7, n_jobs=1, verbose=-1, objective=objective, **BOOSTINGS[boosting])
    model.fit(X[TRAIN], y[TRAIN], eval_set=[(X[VAL], y[VAL])])
    curves = curves_of_model(model, X[TRAIN], y[TRAIN], X[VAL], y[VAL])
    assert curves.step.tolist() == list(range(7))
    logged = values(only_run(tracking))
    assert set(curves.values) == set(logged)
    for key, series in logged.items():
        np.testing.assert_allclose(curves.values[key], series, rtol=1e-6)  # noqa: PD011  (no frame)
    assert len(curves_of_model(model, X[TRAIN], y[TRAIN], max_stages=3)) == 3
