"""What skorch's callback for MLflow writes is read as it is meant."""

from typing import Any

import mlflow
import numpy as np
import pytest

import lossacc_mlflow as lossacc
from tests.conftest import Tracking

pytestmark = pytest.mark.frameworks


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    return here


def _history(**options: Any) -> Any:  # noqa: ANN401
    """Train a net on blobs of two classes for six epochs, logged by skorch's own callback."""
    import torch  # noqa: PLC0415
    from skorch import NeuralNetClassifier  # noqa: PLC0415
    from skorch.callbacks import MlflowLogger  # noqa: PLC0415

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3)).astype(np.float32)
    y = (X[:, 0] + rng.normal(size=120) > 0).astype(np.int64)
    net = NeuralNetClassifier(
        torch.nn.Linear(3, 2),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=6,
        batch_size=40,
        verbose=0,
        callbacks=[MlflowLogger(create_artifact=False, **options)],
    )
    with mlflow.start_run():
        net.fit(X, y)
    return net.history


@pytest.mark.parametrize("with_batches", [False, True])
def test_epochs_count_from_one_and_batches_stay_apart(tracking: Tracking, with_batches: bool) -> None:
    history = _history(log_on_batch_end=with_batches, terminate_after_train=False)
    (found,) = tracking.client.search_runs([tracking.experiment_id])
    run = lossacc.read_run(found.info.run_id)
    curves = {f"{curve.split} {curve.metric.name}": curve for curve in run.curves}
    for name, key in {
        "train loss": "train_loss",
        "validation loss": "valid_loss",
        "validation accuracy": "valid_acc",
    }.items():
        assert (curves[name].step_unit, curves[name].step.tolist()) == ("epoch", [1, 2, 3, 4, 5, 6])
        assert curves[name].value.tolist() == pytest.approx(history[:, key])
    assert len(curves) == 3
    assert ("train_loss_batch" in run.other_keys) == with_batches
    assert {"dur", "dur_epoch"} & set(run.other_keys)
    assert lossacc.diagnose(run.run_id).verdict != "not_enough_information"
