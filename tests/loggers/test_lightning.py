"""A Lightning training: what the module does not log itself is measured, and nothing is logged twice."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

import lossacc_mlflow as lossacc
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import RunData
from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.callbacks import EarlyStopping
    from lightning.pytorch.loggers import MLFlowLogger
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  (so torch's own documentation calls it)
    from torch.utils.data import DataLoader, TensorDataset

    from lossacc_mlflow.loggers.lightning import LossaccCallback, install

pytestmark = [
    pytest.mark.frameworks,
    # Lightning about the machine, and about toys.
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*`LeafSpec` is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance\\(treespec, LeafSpec\\).*"),
    pytest.mark.filterwarnings("ignore:.*smaller than the logging interval.*"),
]

ALL = ["train_accuracy", "train_loss", "val_accuracy", "val_loss"]


@pytest.fixture(autouse=True)
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    # Lightning's logger sets it for the whole process.
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", None)
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))
    torch.set_num_threads(1)
    return here


@pytest.fixture
def automatic() -> Iterator[None]:
    lossacc.autolog(diagnose=False)
    yield
    lossacc.autolog(disable=True)


def data(seed: int, n: int) -> TensorDataset:
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    return TensorDataset(x, (x[:, 0] > 0.4).long() + (x[:, 1] > 0).long())


def loaders() -> tuple[DataLoader, DataLoader]:
    return DataLoader(data(0, 96), batch_size=16, shuffle=True), DataLoader(data(1, 50), batch_size=20)


LOSSES: dict[str, Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "forward": lambda model, x, y: F.cross_entropy(model(x), y),
    "manual": lambda model, x, y: F.cross_entropy(model(x), y),
    "criterion": lambda model, x, y: model.criterion(model.net(x), y),
    "part": lambda model, x, y: F.cross_entropy(model.net(x), y),
    "hidden": lambda model, x, y: F.cross_entropy(model.net[3](F.relu(model.net[0](x))), y),
    "probabilities": lambda model, x, y: F.nll_loss(model(x).log(), y),
}
"""How a module comes to its loss."""


class Classifier(pl.LightningModule if "pl" in globals() else object):  # type: ignore[misc]
    """A classifier in the style that `kind` names, which logs `logs` by itself."""

    def __init__(self, kind: str, logs: tuple[str, ...], lr: float) -> None:
        super().__init__()
        self.kind, self.logs, self.lr = kind, logs, lr
        self.net = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        if self.kind == "criterion":
            self.criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
        self.automatic_optimization = self.kind != "manual"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).softmax(1) if self.kind == "probabilities" else self.net(x)

    def training_step(self, batch: list[torch.Tensor]) -> object:
        loss = LOSSES[self.kind](self, *batch)
        if "train_loss" in self.logs:
            self.log("train_loss", loss)  # as most people do: by batch
        if "train_acc" in self.logs:
            self.log("train_acc", loss.exp(), on_step=False, on_epoch=True)
        if self.kind != "manual":
            return {"loss": loss} if self.kind == "criterion" else loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return None

    def validation_step(self, batch: list[torch.Tensor]) -> None:
        loss = LOSSES[self.kind](self, *batch)
        self.log_dict({name: loss for name in self.logs if name.startswith("val")})

    def on_train_epoch_end(self) -> None:
        if "late_train_acc" in self.logs:
            self.log("train_acc", 0.25)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def module(kind: str = "forward", logs: tuple[str, ...] = (), lr: float = 0.05) -> pl.LightningModule:
    torch.manual_seed(3)
    return Classifier(kind, logs, lr)


def fit(model: pl.LightningModule, *callbacks: object, **options: object) -> pl.Trainer:
    options = {"max_epochs": 3, "logger": False, "enable_checkpointing": False, "log_every_n_steps": 2, **options}
    trainer = pl.Trainer(
        callbacks=list(callbacks), accelerator="cpu", enable_progress_bar=False, enable_model_summary=False, **options
    )
    torch.manual_seed(7)
    trainer.fit(model, *loaders())
    return trainer


def only_run(store: Tracking) -> RunData:
    (run,) = store.client.search_runs([store.experiment_id])
    return read_run(run.info.run_id, with_samples=True)


def curves(run: RunData) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in run.curves if not curve.key.startswith("lossacc/")}


def validated(model: pl.LightningModule) -> tuple[float, float]:
    x, y = data(1, 50).tensors
    model.eval()
    with torch.no_grad():
        logits = model(x)
    return float(F.cross_entropy(logits, y)), float((logits.argmax(1) == y).float().mean())


def test_what_the_module_does_not_log_is_measured_and_the_training_is_not_changed(store: Tracking) -> None:
    alone = module()
    fit(alone)
    after_alone = torch.rand(3)
    model = module()
    fit(model, LossaccCallback(train_evaluation=30))
    assert torch.equal(torch.rand(3), after_alone)
    for ours, theirs in zip(model.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    assert not model._forward_hooks

    run = only_run(store)
    assert sorted(curves(run)) == ALL
    assert [(curve.step.tolist(), curve.step_unit) for curve in run.curves] == [([0, 1, 2], "epoch")] * 4
    assert run.tags["lossacc.loss"] == "log_loss"
    loss, accuracy = validated(model)
    assert curves(run)["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert curves(run)["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)
    assert run.predictions["validation"].log_loss == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("kind", ["criterion", "part", "probabilities", "manual"])
def test_every_style_of_module_gives_all_four_curves(store: Tracking, kind: str) -> None:
    model = module(kind)
    fit(model, LossaccCallback())
    run = only_run(store)
    # With smoothed labels the loss of the validation data is not measured: it would be another one.
    assert sorted(curves(run)) == (ALL if kind != "criterion" else [key for key in ALL if key != "val_loss"])
    _, accuracy = validated(model)
    assert curves(run)["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)
    assert run.predictions["validation"].accuracy == pytest.approx(accuracy, rel=1e-5)
    assert ("lossacc.loss" in run.tags) == (kind != "criterion")


def test_outputs_that_are_not_seen_are_asked_for(store: Tracking) -> None:
    fit(module("hidden"), LossaccCallback())
    with mlflow.start_run() as asked:
        fit(module("hidden"), LossaccCallback(predict=lambda model, batch: (model(batch[0]), batch[1])))
    assert set(curves(read_run(asked.info.run_id))) == {"train_loss", "val_loss", "val_accuracy"}
    (other,) = [run for run in store.client.search_runs([store.experiment_id]) if run.info.run_id != asked.info.run_id]
    assert set(curves(read_run(other.info.run_id))) == {"train_loss"}


def test_a_regression_in_another_precision(store: Tracking) -> None:
    class Regressor(Classifier):
        def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
            return F.mse_loss(self(batch[0])[:, 0].float(), batch[0].sum(1).float())

        def validation_step(self, batch: list[torch.Tensor]) -> None:
            self.training_step(batch)

    torch.manual_seed(0)
    predict = lambda model, batch: (model(batch[0])[:, 0], batch[0].sum(1))  # noqa: E731
    callback = LossaccCallback(predict=predict, train_evaluation=40, task="regression")
    fit(Regressor("forward", (), 0.05), callback, precision="bf16-true")
    run = only_run(store)
    assert set(curves(run)) == {"train_rmse", "train_r2", "val_rmse", "val_r2"}
    assert run.regressions["validation"].n_samples == 50


def test_a_loss_over_accumulated_batches_is_that_of_each(store: Tracking) -> None:
    fit(module(lr=0.0), LossaccCallback(train_evaluation=96), max_epochs=1)
    fit(module(lr=0.0), LossaccCallback(), max_epochs=1, accumulate_grad_batches=4)
    losses = [
        curves(read_run(run.info.run_id))["train_loss"][0] for run in store.client.search_runs([store.experiment_id])
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)  # but for dropout


@pytest.mark.parametrize("options", [{"fast_dev_run": True}, {"max_epochs": 0}])
def test_what_is_no_training_leaves_no_run(store: Tracking, options: dict[str, object]) -> None:
    fit(module(), LossaccCallback(), **options)
    assert store.client.search_runs([store.experiment_id]) == []


def logger(store: Tracking, tmp_uri: str | None = None, **options: object) -> MLFlowLogger:
    return MLFlowLogger("digits", tracking_uri=tmp_uri or store.uri, **options)


@pytest.mark.parametrize(
    ("logs", "ours", "theirs"),
    [
        ((), set(ALL), set()),
        (("val_loss",), {"train_loss", "train_accuracy", "val_accuracy"}, {"val_loss"}),
        (("train_loss", "val_loss"), {"train_loss_epoch", "train_accuracy", "val_accuracy"}, {"val_loss"}),
        (("val_loss", "val_acc", "train_acc"), {"train_loss"}, {"val_loss", "val_acc", "train_acc"}),
        (("late_train_acc", "val_loss"), {"train_loss", "val_accuracy"}, {"train_acc", "val_loss"}),
    ],
)
def test_beside_lightnings_own_logger_nothing_is_logged_twice(
    store: Tracking, logs: tuple[str, ...], ours: set[str], theirs: set[str]
) -> None:
    of_lightning = logger(store)
    fit(module(logs=logs), LossaccCallback(), logger=of_lightning)
    run = read_run(of_lightning.run_id)
    by_epoch = {curve.key for curve in run.curves if len(curve) == 3}
    assert by_epoch == ours | theirs
    assert {curve.key for curve in run.curves if len(curve) != 3} == ({"train_loss"} & set(logs))
    if theirs:  # an axis by epochs, through the series that Lightning logs
        assert all(curve.step.tolist() == [0, 1, 2] for curve in run.curves if len(curve) == 3)
        assert {curve.step_unit for curve in run.curves if len(curve) == 3} == {"epoch"}
    assert len(store.client.search_runs([store.experiment_id])) == 1


def test_the_logger_of_another_store_is_followed(store: Tracking, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    of_lightning = logger(store, other, artifact_location=str(tmp_path))
    fit(module(), LossaccCallback(predictions="best"), logger=of_lightning)
    run = read_run(of_lightning.run_id, tracking_uri=other)
    assert sorted(curves(run)) == ALL
    assert run.predictions["validation"].n_samples == 50
    assert store.client.search_runs([store.experiment_id]) == []


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_mlflows_autologging_and_ours_share_a_run(store: Tracking, order: str) -> None:
    import pytorch_lightning  # noqa: F401, PLC0415  (MLflow's autologging imports it)

    def ours() -> None:
        lossacc.autolog(diagnose=False)

    def theirs() -> None:
        mlflow.pytorch.autolog(log_models=False, checkpoint=False)

    first, second = (ours, theirs) if order == "ours first" else (theirs, ours)
    try:
        first()
        second()
        fit(module(logs=("train_loss", "val_loss", "late_train_acc")))
    finally:
        lossacc.autolog(disable=True)
        mlflow.pytorch.autolog(disable=True)
    run = only_run(store)
    kept = curves(run)
    # The last batch's loss, and an accuracy that MLflow logs an epoch late, do not stand for the training's.
    assert set(kept) == {"train_loss_epoch", "train_accuracy_epoch", "val_accuracy", "val_loss"}
    assert all(curve.step.tolist() == [0, 1, 2] for curve in run.curves)
    assert store.client.get_run(run.run_id).info.status == "FINISHED"


@pytest.mark.usefixtures("automatic")
def test_a_trainer_is_given_the_callback_once_and_for_its_fit_alone(store: Tracking) -> None:
    trainer = fit(module())
    assert not any(isinstance(callback, LossaccCallback) for callback in trainer.callbacks)
    with mlflow.start_run() as second:
        own = LossaccCallback(predictions=None)
        trainer = fit(module(), own)
        assert [callback for callback in trainer.callbacks if isinstance(callback, LossaccCallback)] == [own]
    assert not read_run(second.info.run_id).predictions
    assert len(store.client.search_runs([store.experiment_id])) == 2


def test_the_older_package_is_hooked_without_the_newer_one(tmp_path: Path) -> None:
    code = """
import sys, warnings
warnings.simplefilter("ignore")
import lossacc_mlflow
lossacc_mlflow.autolog()
import pytorch_lightning
from lossacc_mlflow.loggers import hooks
print(hooks.is_attached(pytorch_lightning.Trainer, "fit"), "lightning" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], text=True, cwd=tmp_path, capture_output=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["True", "False"]
    assert "lossacc" not in done.stderr


def test_several_validations_an_epoch_are_all_logged_by_global_step(store: Tracking) -> None:
    fit(module(logs=("val_loss",)), LossaccCallback(predictions=2), max_epochs=2, val_check_interval=3)
    run = only_run(store)
    assert sorted(curves(run)) == ALL
    assert [(c.step.tolist(), c.step_unit) for c in run.curves] == [([3, 6, 9, 12], "global_step")] * 4
    assert run.by_step["validation"].step.tolist() == [6, 12]


def test_epochs_without_a_validation_have_train_values_alone(store: Tracking) -> None:
    fit(module(logs=("val_loss",)), LossaccCallback(), max_epochs=5, check_val_every_n_epoch=2)
    steps = {curve.key: curve.step.tolist() for curve in only_run(store).curves}
    assert steps == {
        "train_loss": [0, 1, 2, 3, 4],
        "train_accuracy": [0, 1, 2, 3, 4],
        "val_loss": [1, 3],
        "val_accuracy": [1, 3],
    }


class Rising(pl.LightningModule if "pl" in globals() else object):  # type: ignore[misc]
    """Its validation loss falls until epoch 5 and rises from there on; its weight tells the epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def on_train_epoch_start(self) -> None:
        with torch.no_grad():
            self.weight.fill_(float(self.current_epoch))
        self.log("epoch_number", float(self.current_epoch))

    def training_step(self, _: object) -> torch.Tensor:
        return 0.9**self.current_epoch + 0 * self.weight

    def validation_step(self, _: object) -> torch.Tensor:
        return torch.tensor(0.3 + 0.01 * abs(self.current_epoch - 5))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("has_logger", [False, True])
def test_an_alarm_ends_the_training_with_the_best_weights(
    store: Tracking, has_logger: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "lossacc_mlflow")
    model = Rising()
    patient = EarlyStopping("epoch_number", mode="max", patience=5)
    callback = LossaccCallback(stop_when={"overfitting", "loss_overfitting"})
    trainer = fit(model, callback, patient, max_epochs=60, min_epochs=30, logger=has_logger and logger(store))
    assert patient.stopped_epoch == 0
    assert callback.should_stop
    assert trainer.current_epoch == 30
    assert model.weight.item() == 5
    run = only_run(store)
    assert run.tags["lossacc.stopped"] in {"overfitting", "loss_overfitting"}
    # Also where points are logged by global step, which a series tells the epochs of: they are read by epoch.
    assert {curve.step_unit for curve in run.curves} == {"epoch"}
    assert (run.tags["lossacc.stopped_step"], run.tags["lossacc.restored_step"]) == ("29", "5")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "lossacc_mlflow"]
    assert "stopped at epoch 29" in line
    assert "the weights of epoch 5 were restored" in line


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_exception_leaves_whole_epochs(store: Tracking, error: type[BaseException], status: str) -> None:
    class Failing(pl.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
            if trainer.current_epoch == 2:
                raise error

    with pytest.raises(SystemExit if error is KeyboardInterrupt else error):
        fit(module(), Failing(), LossaccCallback(), max_epochs=5)
    run = only_run(store)
    assert [curve.step.tolist() for curve in run.curves] == [[0, 1]] * 4
    assert store.client.get_run(run.run_id).info.status == status


def test_a_training_goes_on_where_it_was_resumed(store: Tracking) -> None:
    trainer = fit(module(), max_epochs=2)
    trainer.save_checkpoint("half.ckpt")
    model = module()
    again = pl.Trainer(
        callbacks=[LossaccCallback()],
        max_epochs=4,
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    again.fit(model, *loaders(), ckpt_path="half.ckpt")
    assert only_run(store).curves[0].step.tolist() == [2, 3]


def test_the_callback_and_a_module_that_is_watched_can_be_copied(store: Tracking) -> None:
    class Copying(pl.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
            copy.deepcopy(pl_module)
            pickle.loads(pickle.dumps(trainer.callbacks[1]))  # noqa: S301  (our own)

    fit(Rising(), Copying(), LossaccCallback())
    assert len(only_run(store).curves) == 2


def test_other_batches_and_nothing_to_judge(store: Tracking) -> None:
    class Mapped(pl.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(5, 3)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.net(inputs)

        def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return F.cross_entropy(self(batch["inputs"]), batch["labels"])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    samples = [{"inputs": x, "labels": y} for x, y in data(0, 32)]
    trainer = pl.Trainer(
        callbacks=[LossaccCallback(train_evaluation=True)],
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
    )
    trainer.fit(Mapped(), DataLoader(samples, batch_size=8))
    run = only_run(store)
    assert set(curves(run)) == {"train_loss", "train_accuracy"}
    assert np.isfinite(curves(run)["train_loss"]).all()


def test_arguments_that_are_wrong_are_said_at_once() -> None:
    with pytest.raises(InputError):
        LossaccCallback(predictions="first")  # type: ignore[arg-type]
    assert callable(install)
