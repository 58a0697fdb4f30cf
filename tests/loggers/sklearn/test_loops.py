"""Loops of ``partial_fit``: each call is a step of one training, in one run."""

import gc
import logging
import time
from collections.abc import Iterator

import mlflow
import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

import lossacc_mlflow
from tests.conftest import Tracking
from tests.loggers.sklearn.runs import Logged, digits, logged, only_run


@pytest.fixture
def on(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """Automatic logging, without diagnoses."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    lossacc_mlflow.autolog(diagnose=False)
    yield here
    lossacc_mlflow.autolog(disable=True)


def _sgd() -> SGDClassifier:
    return SGDClassifier(loss="log_loss", random_state=0)


def test_each_call_is_a_step_and_the_last_one_is_scored_and_predicted(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with mlflow.start_run(), lossacc_mlflow.validation_data(X_val, y_val):
        model = _sgd()
        for _ in range(27):
            model.partial_fit(X, y, classes=np.arange(4))
        accuracy = model.score(X_val, y_val)
        del model  # the run keeps it until it ends
    run = only_run(on)
    steps, values = run.curves["val_accuracy"]
    assert steps[:10] == list(range(1, 11))
    assert steps[-1] == 27
    assert len(steps) < 27
    assert values[-1] == accuracy
    assert run.tags["lossacc.step_unit"] == "epoch"
    assert "of the data of each partial_fit call" in run.tags["lossacc.curves_note"]
    assert "lossacc/predictions/validation.json" in run.files


def test_steps_of_batches_are_global_steps_whose_train_scores_are_the_batch_s(on: Tracking) -> None:
    X, y, *_ = digits()
    accuracies = []
    with mlflow.start_run():
        model = GaussianNB()
        for start in range(0, 80, 20):
            batch = slice(start, start + 20)
            model.partial_fit(X[batch], y[batch], np.arange(4))
            accuracies.append(model.score(X[batch], y[batch]))
    run = only_run(on)
    assert run.tags["lossacc.step_unit"] == "global_step"
    assert run.curves["train_accuracy"][1].tolist() == accuracies


def test_a_long_loop_is_scored_ever_less_often(on: Tracking) -> None:
    X, y, *_ = digits(n_samples=40)
    with mlflow.start_run():
        model = SGDRegressor(random_state=0)
        for _ in range(500):
            model.partial_fit(X, y)
    steps = only_run(on).curves["train_rmse"][0]
    assert len(steps) < 65
    assert steps[-1] == 500


def test_without_a_run_a_loop_has_one_of_its_own_that_nobody_notices(on: Tracking) -> None:
    X, y, *_ = digits()
    model = SGDClassifier(random_state=0)
    for _ in range(3):
        model.partial_fit(X, y, classes=np.arange(4))
        assert mlflow.active_run() is None
        with mlflow.start_run():
            mlflow.log_metric("mine", 1.0)
    of_loop = next(run for run in logged(on) if "train_loss" in run.curves or run.status == "RUNNING")
    assert of_loop.status == "RUNNING"
    del model
    gc.collect()
    ended = _ended(on, of_loop.run_id)
    assert ended.curves["train_loss"][0] == [1, 2, 3]
    assert ended.tags["lossacc.loss"] == "hinge"
    assert len(logged(on)) == 4


def _ended(store: Tracking, run_id: str) -> Logged:
    """The run, once the thread that ends it is done."""
    for _ in range(100):
        (run,) = (run for run in logged(store) if run.run_id == run_id)
        if run.status == "FINISHED":
            return run
        time.sleep(0.05)
    pytest.fail("the run was not ended")


def test_a_second_loop_in_the_run_is_not_logged(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        for seed in range(2):
            model = SGDClassifier(random_state=seed)
            for _ in range(3):
                model.partial_fit(X, y, classes=np.arange(4))
    assert only_run(on).curves["train_accuracy"][0] == [1, 2, 3]
    assert len([r for r in caplog.records if r.name == "lossacc_mlflow" and r.levelno >= logging.WARNING]) == 1


def test_a_model_that_trains_others_by_parts_is_one_loop(on: Tracking) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        model = OneVsRestClassifier(_sgd())
        for _ in range(2):
            model.partial_fit(X, y, classes=np.arange(4))
    assert only_run(on).curves["train_accuracy"][0] == [1, 2]
    assert not hasattr(OneVsRestClassifier(LinearSVC()), "partial_fit")


def test_validation_data_at_fault_cost_a_loop_its_validation_curves_alone(
    on: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    X, y, X_val, y_val = digits()
    with mlflow.start_run(), lossacc_mlflow.validation_data(X_val[:, :3], y_val):
        model = _sgd()
        for _ in range(5):
            model.partial_fit(X, y, classes=np.arange(4))
    assert model.t_ == 5 * len(y) + 1
    run = only_run(on)
    assert run.tags["lossacc.status"].startswith("failed: validation curves of SGDClassifier")
    assert run.curves["train_loss"][0] == [1, 2, 3, 4, 5]
    assert "val_loss" not in run.curves
    (message,) = [r.getMessage() for r in caplog.records if r.name == "lossacc_mlflow"]
    assert "3 features" in message


def test_without_a_server_a_loop_goes_on_after_one_warning(
    on: Tracking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    X, y, *_ = digits()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    model, alone = _sgd(), _sgd()
    for _ in range(5):
        model.partial_fit(X, y, classes=np.arange(4))
    assert ["no tracking server answers" in record.message for record in caplog.records] == [True]
    lossacc_mlflow.autolog(disable=True)
    for _ in range(5):
        alone.partial_fit(X, y, classes=np.arange(4))
    np.testing.assert_array_equal(model.coef_, alone.coef_)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", on.uri)
