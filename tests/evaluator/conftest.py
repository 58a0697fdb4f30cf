"""MLflow with a store of its own and with our evaluator, whether or not this package was installed anew."""

from collections.abc import Iterator

import mlflow
import pytest
from mlflow.models.evaluation.evaluator_registry import _model_evaluation_registry

from lossacc_mlflow.evaluator import LossaccEvaluator
from tests.conftest import Tracking


@pytest.fixture
def store(sqlite_store: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setitem(_model_evaluation_registry._registry, "lossacc", LossaccEvaluator)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(sqlite_store.uri)
    mlflow.set_experiment(experiment_id=sqlite_store.experiment_id)
    yield sqlite_store
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
