from typing import Any

import mlflow
import numpy as np
import pytest

from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.policy import PredictionPolicy
from lossacc_mlflow.loggers.training import TrainingLog
from lossacc_mlflow.predictions import PredictionBuffer
from lossacc_mlflow.store import read_run
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
            values: dict[str, Any] = {"train_loss": 1.0, "val_loss": [1, 2]}
            log.log(step, values)
        log.log_predictions([0, 1], [[0.5, 0.5]])
        log.log_predictions([0, 1], [[0.5, 0.5]])
    assert len(caplog.messages) == 2
    assert "predictions of net" in read_run(run_id).tags["lossacc.status"]
