"""What transformers' own callback writes to MLflow is read as it is meant."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

import lossacc_mlflow as lossacc
from lossacc_mlflow.records import Curve
from tests.conftest import Tracking
from tests.loggers.test_transformers import accuracy, only_run, trainer

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning"),  # torch, about machines without a GPU
]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, here: Tracking) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("MLFLOW_MAX_LOG_PARAMS", "3")  # they take most of the time
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    yield
    mlflow.transformers.autolog(disable=True)


def curves_of(path: Path, store: Tracking, **arguments: Any) -> dict[str, Curve]:  # noqa: ANN401
    trainer(path, compute_metrics=accuracy, num_train_epochs=6, **arguments).train()
    return {f"{c.split} {c.metric.name}": c for c in lossacc.read_run(only_run(store).info.run_id).curves}


@pytest.mark.parametrize("by", ["report_to", "autolog"])
def test_steps_are_epochs_where_everything_is_logged_by_epoch(tmp_path: Path, here: Tracking, by: str) -> None:
    if by == "autolog":
        mlflow.transformers.autolog()
    curves = curves_of(tmp_path, here, logging_strategy="epoch", report_to="mlflow" if by == "report_to" else "none")
    assert set(curves) == {"train loss", "validation loss", "validation accuracy"}
    assert {key: (c.key, c.step_unit, c.step.tolist()) for key, c in curves.items()} == {
        "train loss": ("loss", "epoch", [1, 2, 3, 4, 5, 6]),
        "validation loss": ("eval_loss", "epoch", [1, 2, 3, 4, 5, 6]),
        "validation accuracy": ("eval_accuracy", "epoch", [1, 2, 3, 4, 5, 6]),
    }
    diagnosis = lossacc.diagnose(only_run(here).info.run_id)
    assert diagnosis.verdict != "not_enough_information"


def test_train_and_validation_share_an_axis_where_the_loss_is_logged_between_epochs(
    tmp_path: Path, here: Tracking
) -> None:
    curves = curves_of(tmp_path, here, logging_steps=3, report_to="mlflow")
    assert {c.step_unit for c in curves.values()} == {"global_step"}
    assert curves["train loss"].step.tolist() == [3, 6, 9, 12, 15, 18, 21, 24]
    assert curves["validation loss"].step.tolist() == [4, 8, 12, 16, 20, 24]
    findings = {f.code: f.status for f in lossacc.diagnose(only_run(here).info.run_id).findings}
    assert findings["LOG004"] == "clear"


def test_the_mean_over_the_run_is_no_curve(tmp_path: Path, here: Tracking) -> None:
    curves = curves_of(tmp_path, here, logging_steps=500, report_to="mlflow")
    assert set(curves) == {"validation loss", "validation accuracy"}
    assert len(here.client.get_metric_history(only_run(here).info.run_id, "train_loss")) == 1
