"""MLflow with a store of its own and with our evaluator, whether or not this package was installed anew."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry

from lossacc_mlflow.evaluator import LossaccEvaluator
from tests.conftest import Tracking


@pytest.fixture
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setitem(_model_evaluation_registry._registry, "lossacc", LossaccEvaluator)
    # By the environment: what MLflow is told by its functions stays for the tests that follow.
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    yield here
    while mlflow.active_run():
        mlflow.end_run()
