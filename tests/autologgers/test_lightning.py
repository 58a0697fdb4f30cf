"""What Lightning's own logger and MLflow's autologging of it write is read as what it is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import mlflow
import pytest

import lossacc_mlflow as lossacc
from lossacc_mlflow.records import RunData
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import lightning.pytorch
    import pytorch_lightning
    import torch
    from torch.nn import functional as F  # noqa: N812  (so torch's own documentation calls it)
    from torch.utils.data import DataLoader, TensorDataset

pytestmark = [
    pytest.mark.frameworks,
    # Lightning about the machine, and about toys.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance\\(treespec, LeafSpec\\).*"),
    pytest.mark.filterwarnings("ignore:.*treespec.*"),
]

N_EPOCHS, N_BATCHES = 6, 4


@pytest.fixture(autouse=True)
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    # Lightning's logger sets it for the whole process.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return here


def train(package: Any, logger: object, *, by_batch: bool = False) -> None:  # noqa: ANN401  (either package)
    class Classifier(package.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(5, 3)

        def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            logits = self.net(batch[0])
            loss = F.cross_entropy(logits, batch[1])
            self.log("train_loss", loss, on_step=True, on_epoch=not by_batch)
            self.log("train_acc", (logits.argmax(1) == batch[1]).float().mean(), on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
            logits = self.net(batch[0])
            self.log_dict(
                {
                    "val/loss": F.cross_entropy(logits, batch[1]),
                    "val/acc": (logits.argmax(1) == batch[1]).float().mean(),
                }
            )

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.5)

    x = torch.randn(64, 5)
    batches = DataLoader(TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()), batch_size=64 // N_BATCHES)
    package.Trainer(
        max_epochs=N_EPOCHS,
        logger=logger,
        log_every_n_steps=2,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(Classifier(), batches, batches)


def by_place(run: RunData) -> dict[tuple[str, str, str], list[int]]:
    return {(c.metric.name, c.split, c.step_unit): c.step.tolist() for c in run.curves}


EPOCHS = list(range(N_EPOCHS))
BY_EPOCH = {
    ("loss", "train", "epoch"): EPOCHS,
    ("loss", "validation", "epoch"): EPOCHS,
    ("accuracy", "train", "epoch"): EPOCHS,
    ("accuracy", "validation", "epoch"): EPOCHS,
}


@pytest.mark.parametrize("package", ["lightning", "pytorch_lightning"])
def test_mlflows_autologging_of_lightning(store: Tracking, package: str) -> None:
    mlflow.pytorch.autolog(log_models=False, checkpoint=False)
    try:
        train(lightning.pytorch if package == "lightning" else pytorch_lightning, False)
    finally:
        mlflow.pytorch.autolog(disable=True)
    (logged,) = store.client.search_runs([store.experiment_id])
    assert {"train_loss", "train_loss_step", "train_loss_epoch"} <= set(logged.data.metrics)  # three times the loss
    run = lossacc.read_run(logged.info.run_id)
    places = by_place(run)
    assert {place: places[place] for place in BY_EPOCH} == BY_EPOCH
    assert set(places) - set(BY_EPOCH) == {("loss", "train", "global_step")}
    kept = {curve.key: curve.value for curve in run.curves}
    assert logged.data.metrics["train_loss_epoch"] == kept["train_loss"][-1]
    assert lossacc.diagnose(run).verdict not in {"not_enough_information", "not_learning"}


@pytest.mark.parametrize("package", ["lightning", "pytorch_lightning"])
def test_lightnings_own_logger(store: Tracking, package: str) -> None:
    of = lightning.pytorch if package == "lightning" else pytorch_lightning
    logger = of.loggers.MLFlowLogger("digits", tracking_uri=store.uri)
    train(of, logger)
    run = lossacc.read_run(logger.run_id)
    last_batches = [N_BATCHES * (epoch + 1) - 1 for epoch in EPOCHS]
    steps = [metric.step for metric in store.client.get_metric_history(logger.run_id, "val/loss")]
    assert steps == last_batches  # global steps, which the series `epoch` turns into epochs
    places = by_place(run)
    assert {place: places[place] for place in BY_EPOCH} == BY_EPOCH
    assert places["loss", "train", "global_step"] == list(range(1, N_BATCHES * N_EPOCHS, 2))
    assert lossacc.diagnose(run).verdict not in {"not_enough_information", "not_learning"}


def test_a_loss_that_is_logged_by_batch_keeps_the_axis_of_global_steps(store: Tracking) -> None:
    logger = lightning.pytorch.loggers.MLFlowLogger("digits", tracking_uri=store.uri)
    train(lightning.pytorch, logger, by_batch=True)
    places = by_place(lossacc.read_run(logger.run_id))
    assert {unit for _, _, unit in places} == {"global_step"}
    assert len(places["loss", "train", "global_step"]) == N_BATCHES * N_EPOCHS // 2
    assert len(places["accuracy", "validation", "global_step"]) == N_EPOCHS
