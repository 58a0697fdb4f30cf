import logging
import multiprocessing
import threading
from pathlib import Path

import mlflow
import numpy as np
import pytest

from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.policy import PredictionPolicy
from lossacc_mlflow.loggers.training import TrainingLog, _State
from lossacc_mlflow.pipeline import diagnose
from lossacc_mlflow.predictions import PredictionBuffer
from lossacc_mlflow.store import read_run, send_unsent
from tests.conftest import Tracking


@pytest.fixture
def run_id(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    return here.new_run()


def test_values_of_any_kind_of_number_arrive(run_id: str) -> None:
    with TrainingLog(Options(), name="net", run_id=run_id) as log:
        for step in range(6):
            log.log(step, {"train_loss": np.float32(step), "val_loss": np.array(step), "val_accuracy": None})
        log.log(6, {"train_loss": float("nan"), "val_loss": np.inf})
    curves = {curve.key: curve.value.tolist() for curve in read_run(run_id).curves}
    assert curves["val_loss"] == [0, 1, 2, 3, 4, 5, np.inf]
    assert np.isnan(curves["train_loss"][-1])


def test_a_run_of_its_own_is_ended(here: Tracking, run_id: str) -> None:
    log = TrainingLog(Options(), name="net")
    assert log.run_id != run_id
    log.log(0, {"train_loss": 1.0})
    log.close("FAILED")
    assert here.client.get_run(log.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None


def test_predictions_do_not_change_with_the_arrays_they_came_from(run_id: str) -> None:
    truth, proba = np.array([0, 1] * 10), np.tile([[0.9, 0.1], [0.2, 0.8]], (10, 1))
    with TrainingLog(Options(), name="net", run_id=run_id) as log:
        assert not log.wants_predictions(3)
        assert log.wants_predictions(3, is_last=True)
        log.log_predictions(truth, proba, step=3)
        truth[:], proba[:] = 0, 0.5
    run = read_run(run_id)
    assert run.predictions["validation"].accuracy == 1
    assert run.tags["lossacc.predictions_step"] == "3"


def test_predictions_of_every_nth_step_stay(run_id: str) -> None:
    with TrainingLog(Options(predictions=2), name="net", run_id=run_id) as log:
        for step in range(5):
            log.log(step, {"val_loss": 1.0})
            if log.wants_predictions(step):
                buffer = PredictionBuffer()
                for _ in range(10):
                    buffer.add([0, 1], [[0.9, 0.1], [0.2, 0.8]])
                log.log_predictions(buffer, step=step)
        if log.wants_predictions(4, is_last=True):
            log.log_predictions(([(0, 1), [[0.9, 0.1], [0.2, 0.8]]] for _ in range(10)), step=4)
    assert read_run(run_id).by_step["validation"].step.tolist() == [1, 3, 4]


def test_best_without_a_validation_loss_is_last() -> None:
    policy = PredictionPolicy("best")
    assert [policy.is_due(step) for step in range(3)] == [False] * 3
    assert policy.is_due(2, is_last=True)


def test_a_stop_is_told_by_tags(run_id: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lossacc_mlflow")
    with TrainingLog(Options(stop_when="overfitting"), name="net", run_id=run_id) as log:
        for step in range(60):
            log.log(step, {"train_loss": 0.9**step, "val_loss": 0.2 + (step - 10) ** 2 / 1000})
            if log.should_stop:
                break
        assert log.alarm is not None
        log.note_stop(step=step, restored_step=log.alarm.best_step)
    tags = read_run(run_id).tags
    assert tags["lossacc.stopped"] == "overfitting"
    assert tags["lossacc.stopped_step"] == str(step)
    assert tags["lossacc.restored_step"] == "10"
    assert [f"stopped at epoch {step}" in line for line in caplog.messages] == [True]


def test_what_cannot_be_read_is_one_warning(run_id: str, caplog: pytest.LogCaptureFixture) -> None:
    with TrainingLog(Options(), name="net", run_id=run_id) as log:
        for step in range(20):
            log.log(step, {"train_loss": 1.0, "val_loss": [1, 2]})
        log.log_predictions([0, 1], [[0.5, 0.5]])
        log.log_predictions([0, 1], [[0.5, 0.5]])
    assert len(caplog.messages) == 2
    run = read_run(run_id)
    assert "predictions of net" in run.tags["lossacc.status"]
    assert diagnose(run_id, write=True).run.tags["lossacc.logging"] == run.tags["lossacc.status"]
    assert read_run(run_id).tags["lossacc.status"] == "ok"
    assert "predictions of net" in read_run(run_id).tags["lossacc.logging"]
    assert [len(curve) for curve in run.curves] == [20]


def test_predicted_numbers_are_kept(run_id: str) -> None:
    target = np.arange(20.0)
    with TrainingLog(Options(), name="net", run_id=run_id) as log:
        log.log_regression(target, target + 1, step=4)
        target[:] = 0
    run = read_run(run_id)
    assert run.regressions["validation"].bias == pytest.approx(1)
    assert run.tags["lossacc.predictions_step"] == "4"


def test_what_is_logged_elsewhere_is_only_judged(run_id: str) -> None:
    with TrainingLog(
        Options(stop_when="diverged"), name="net", logged_elsewhere=["val_loss", "train_loss"], run_id=run_id
    ) as log:
        for step in range(9):
            log.log(step, {"train_loss": float("nan"), "val_loss": float("nan"), "val_accuracy": 0.1})
    assert log.should_stop
    assert [curve.key for curve in read_run(run_id).curves] == ["val_accuracy"]


def test_a_second_training_in_a_run_leaves_no_trace(run_id: str, caplog: pytest.LogCaptureFixture) -> None:
    for value, labels in ((1.0, [0, 1]), (2.0, [1, 0])):
        with TrainingLog(Options(), name="net", n_classes=2, run_id=run_id) as log:
            log.log(0, {"val_loss": value})
            log.log_predictions(labels * 10, [[0.9, 0.1], [0.1, 0.9]] * 10)
            log.set_tags({"lossacc.loss": f"loss {value}"})
    run = read_run(run_id)
    assert run.curves[0].value.tolist() == [1.0]
    assert run.predictions["validation"].accuracy == 1
    assert run.tags["lossacc.loss"] == "loss 1.0"
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_exception_ends_the_run_with_what_was_logged(
    here: Tracking, run_id: str, error: type[BaseException], status: str
) -> None:
    del run_id
    log = TrainingLog(Options(), name="net")
    with pytest.raises(error), log:  # noqa: PT012  (the training)
        log.log(0, {"train_loss": 1.0})
        raise error
    assert here.client.get_run(log.run_id).info.status == status
    assert here.count_rows(log.run_id) == 1


def test_the_end_of_the_run_closes_its_trainings(here: Tracking, run_id: str) -> None:
    del run_id
    with mlflow.start_run(experiment_id=here.experiment_id) as run:
        log = TrainingLog(Options(), name="net")
        log.log(0, {"train_loss": 1.0})
    assert here.count_rows(run.info.run_id) == 1
    log.log(1, {"train_loss": 1.0})
    log.close()
    assert here.count_rows(run.info.run_id) == 1


def test_two_trainings_in_two_threads_have_a_run_each(here: Tracking, run_id: str) -> None:
    del run_id
    logged: list[tuple[str, str]] = []

    def train() -> None:
        with mlflow.start_run(experiment_id=here.experiment_id) as run, TrainingLog(Options(), name="net") as log:
            for step in range(20):
                log.log(step, {"val_loss": 1.0})
            logged.append((run.info.run_id, log.run_id))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(active == found for active, found in logged)
    assert [here.count_rows(one) for one, _ in logged] == [20, 20]


def test_without_a_server_one_still_trains(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with TrainingLog(Options(stop_when="diverged"), name="net") as log:
        for step in range(9):
            value = 1.0 if step < 3 else float("nan")
            log.log(step, {"train_loss": value, "val_loss": value})
        log.log_predictions([0, 1], [[0.5, 0.5]] * 2)
        log.set_tags({"a": "b"})
        log.note_stop(step=1, restored_step=None)
    assert log.should_stop
    assert not log.wants_predictions(1, is_last=True)
    (line,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert "no tracking server answers" in line


def test_the_server_goes_before_its_own_run_is_ended(
    here: Tracking, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del run_id
    monkeypatch.chdir(tmp_path)
    log = TrainingLog(Options(), name="net")
    log.log(0, {"train_loss": 1.0})

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(mlflow.MlflowClient, "set_terminated", refuse)
    log.close("FAILED")
    monkeypatch.undo()
    assert mlflow.active_run() is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", here.uri)
    sent = send_unsent(tmp_path / "lossacc-unsent" / f"{log.run_id}.jsonl")
    assert sent.status == "FAILED"
    assert len(caplog.messages) == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_training_leaves_the_run_to_its_parent(here: Tracking, run_id: str) -> None:
    del run_id
    log = TrainingLog(Options(), name="net")
    log.log(0, {"train_loss": 1.0})
    with _State.lock:
        child = multiprocessing.get_context("fork").Process(target=log.close)
        child.start()
    child.join(20)
    assert child.exitcode == 0
    assert here.client.get_run(log.run_id).info.status == "RUNNING"
    log.close()
    assert here.client.get_run(log.run_id).info.status == "FINISHED"
