"""A training loop in PyTorch: what is logged is what the loop saw, and the loop does not notice."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import mlflow
import numpy as np
import pytest

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Predictions
from lossacc_mlflow.records import RunData
from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import torch
    from torch import nn
    from torch.nn import functional as F  # noqa: N812  (so torch's own documentation calls it)
    from torch.utils.data import DataLoader, TensorDataset

    from lossacc_mlflow.loggers.torch import Track, loop, sums, track

pytestmark = pytest.mark.frameworks

N, N_CLASSES = 96, 3
Batch = tuple[object, object, object]


@pytest.fixture(autouse=True)
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return here


def data(seed: int, n: int = N) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=generator)
    return x, (x[:, 0] > 0.4).long() + (x[:, 1] > 0).long()


def net(dropout: float = 0.0) -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, N_CLASSES))


def loader(seed: int, n: int = N, **options: object) -> DataLoader:
    return DataLoader(TensorDataset(*data(seed, n)), **{"batch_size": 16, **options})


def train(log: Track | None, *, n_epochs: int = 6) -> nn.Module:
    """A plain loop; `log` may be None."""
    torch.manual_seed(1)
    model, batches, held_out = net(0.2), loader(0, shuffle=True), loader(1, 50)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(n_epochs):
        model.train()
        for x, y in batches:
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if log is not None:
                log.log_batch(loss, logits, y)
        if log is not None:
            log.evaluate(model, held_out)
            log.end_epoch()
    return model


def only_run(store: Tracking) -> RunData:
    (run,) = store.client.search_runs([store.experiment_id])
    return read_run(run.info.run_id, with_samples=True)


def curves(run: RunData) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in run.curves if not curve.key.startswith("lossacc/")}


def test_a_loop_leaves_curves_and_predictions_and_is_not_changed(store: Tracking) -> None:
    alone = train(None)
    after_alone = torch.rand(3)
    with track() as log:
        model = train(log)
    assert torch.equal(torch.rand(3), after_alone)
    for ours, theirs in zip(model.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)

    run = only_run(store)
    logged = curves(run)
    assert set(logged) == {"train_loss", "val_loss", "train_accuracy", "val_accuracy"}
    assert [curve.step.tolist() for curve in run.curves] == [list(range(6))] * 4
    assert run.tags["lossacc.loss"] == "log_loss"  # found out by itself
    assert run.class_counts == {str(i): int((data(0)[1] == i).sum()) for i in range(N_CLASSES)}
    x, y = data(1, 50)
    model.eval()
    with torch.no_grad():
        logits = model(x)
    assert logged["val_loss"][-1] == pytest.approx(torch.nn.functional.cross_entropy(logits, y).item(), rel=1e-6)
    assert logged["val_accuracy"][-1] == pytest.approx((logits.argmax(1) == y).float().mean().item())
    assert run.predictions["validation"].log_loss == pytest.approx(logged["val_loss"][-1], rel=1e-6)
    assert store.client.get_run(run.run_id).info.status == "FINISHED"


def logged_of(batches: Sequence[Batch], tracked: Track | None = None) -> dict[str, float]:
    with tracked or track() as log:
        for batch in batches:
            log.log_batch(*batch)
        log.end_epoch()
        assert log._training is not None
        run_id = log._training.run_id
    return {curve.key: float(curve.value[0]) for curve in read_run(run_id).curves}


def test_every_form_of_targets_and_losses_gives_the_same_figures() -> None:
    x = torch.randn(70, 3)
    y = torch.randint(0, 3, (70,))
    expected = {"train_loss": F.cross_entropy(x, y).item(), "train_accuracy": (x.argmax(1) == y).float().mean().item()}
    cuts = [slice(0, 32), slice(32, 64), slice(64, 70), slice(70, 70)]  # the last one is empty

    def each(loss: Callable[..., object], logits: torch.Tensor, targets: torch.Tensor) -> list[Batch]:
        return [(loss(x[cut], y[cut]), logits[cut], targets[cut]) for cut in cuts]

    ignored = torch.where(torch.arange(70) % 7 == 0, -100, y)
    kept = ignored != -100
    forms: dict[str, Sequence[Batch]] = {
        "mean": each(F.cross_entropy, x, y),
        "a sample": each(lambda a, b: F.cross_entropy(a, b, reduction="none"), x, y),
        "computed": [(None, x[cut], y[cut]) for cut in cuts],
        "number": each(lambda a, b: F.cross_entropy(a, b).item(), x, y),
        "column": each(F.cross_entropy, x, y[:, None]),
        "one-hot": each(F.cross_entropy, x, F.one_hot(y, 3)),
        "soft": each(F.cross_entropy, x, F.one_hot(y, 3).float()),
        "bytes": each(F.cross_entropy, x, y.to(torch.uint8)),
        "numpy": each(F.cross_entropy, x.numpy(), y.numpy()),
    }
    for name, batches in forms.items():
        assert logged_of(batches) == pytest.approx(expected, rel=1e-5), name
    totals = each(lambda a, b: F.cross_entropy(a, b, reduction="sum"), x, y)
    assert logged_of(totals, track(loss_reduction="sum")) == pytest.approx(expected, rel=1e-5)
    probabilities = [(None, x.softmax(1)[cut], y[cut]) for cut in cuts]
    assert logged_of(probabilities, track(from_logits=False)) == pytest.approx(expected, rel=1e-5)

    expected = {
        "train_loss": F.cross_entropy(x[kept], y[kept]).item(),
        "train_accuracy": (x.argmax(1) == y)[kept].float().mean().item(),
    }
    some = [(F.cross_entropy(x[cut], ignored[cut]), x[cut], ignored[cut]) for cut in cuts]
    assert logged_of(some) == pytest.approx(expected, rel=1e-5)
    unknown = torch.where(kept, y, 255)  # as in data for segmentation, where nobody said so
    assert logged_of([(F.cross_entropy(x, unknown, ignore_index=255), x, unknown)]) == pytest.approx(expected, rel=1e-5)
    pixels = [(F.cross_entropy(x, ignored), x.T.reshape(1, 3, 7, 10), ignored.reshape(1, 7, 10))]
    assert logged_of(pixels) == pytest.approx(expected, rel=1e-5)
    tokens = [(F.cross_entropy(x, ignored), x.reshape(2, 35, 3), ignored.reshape(2, 35))]
    assert logged_of(tokens) == pytest.approx(expected, rel=1e-5)


def test_one_column_is_a_binary_classifier_or_a_regression() -> None:
    scores, labels = torch.randn(60, 1), torch.randint(0, 2, (60,))
    expected = {
        "train_loss": F.binary_cross_entropy_with_logits(scores[:, 0], labels.float()).item(),
        "train_accuracy": ((scores[:, 0] > 0) == labels).float().mean().item(),
    }
    unknown = torch.where(torch.arange(63) < 60, torch.cat([labels, labels[:3]]), -100).float()
    scores = torch.cat([scores, scores[:3]])
    assert logged_of([(None, scores, unknown)]) == pytest.approx(expected, rel=1e-5)
    scores = scores[:60]
    for targets in (labels, labels.float()[:, None], labels.bool()):
        assert logged_of([(None, scores, targets)]) == pytest.approx(expected, rel=1e-5)
    assert logged_of([(None, scores.sigmoid(), labels)], track(from_logits=False)) == pytest.approx(expected, rel=1e-5)

    target = 1e6 + torch.randn(300, dtype=torch.float64)
    predicted = (target + 0.3 * torch.randn(300, dtype=torch.float64))[:, None]
    error = (predicted[:, 0] - target).numpy()
    r2 = 1 - (error**2).mean() / target.numpy().var()
    batches = [(F.mse_loss(predicted[i::3, 0], target[i::3]), predicted[i::3], target[i::3]) for i in range(3)]
    measured = logged_of(batches)
    assert measured == pytest.approx({"train_rmse": np.sqrt((error**2).mean()), "train_r2": r2}, rel=1e-9)


def test_what_cannot_be_judged_is_one_warning_and_leaves_the_loss(caplog: pytest.LogCaptureFixture) -> None:
    outputs, labels = torch.randn(8, 4), torch.randint(0, 2, (8, 4)).float()
    labels[0] = 1
    assert logged_of([(torch.tensor(0.5), outputs, labels)] * 3) == {"train_loss": 0.5}
    assert [record.getMessage().count("several labels") for record in caplog.records] == [1]
    caplog.clear()
    wrong = [(torch.tensor(0.25), outputs, torch.zeros(5).long())] * 3
    assert logged_of(wrong) == {"train_loss": 0.25}
    assert len(caplog.records) == 1
    caplog.clear()
    assert logged_of([("no loss", outputs, labels), (torch.tensor(0.5), None, None)]) == {"train_loss": 0.5}
    assert len(caplog.records) == 1


def test_the_type_of_the_numbers_and_the_mode_do_not_matter(store: Tracking) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(5, N_CLASSES)
    x, y = data(0)
    with track() as log:
        with torch.inference_mode():
            for _ in range(70):  # more than are summed at once
                log.log_batch(F.cross_entropy(model(x), y), model(x), y, split="val")
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(x)
            log.log_batch(F.cross_entropy(logits, y), logits, y)
        log.log_batch(F.cross_entropy(model(x), y), model(x), y, split="val")
        assert logits.dtype == torch.bfloat16
        log.end_epoch()
    logged = curves(only_run(store))
    assert logged["val_loss"][0] == pytest.approx(F.cross_entropy(model(x), y).item(), rel=1e-6)
    assert logged["train_loss"][0] == pytest.approx(logged["val_loss"][0], rel=0.02)


def test_sums_in_single_precision_are_compensated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_precision", lambda _: torch.float32)
    batches = sums.BatchSums()
    for _ in range(20_000):
        batches._add_loss(torch.tensor(0.1), 1)
    assert batches.finish().loss == pytest.approx(0.1, rel=1e-6)


def test_a_nan_is_logged_and_an_epoch_without_batches_is_not(store: Tracking) -> None:
    with track(first_epoch=3) as log:
        log.end_epoch()
        log.log_batch(torch.tensor(float("nan")), torch.full((4, 2), torch.nan), torch.zeros(4).long())
        log.end_epoch()
        log.log_batch(torch.tensor(1.0), torch.zeros(4, 2), torch.zeros(4).long())
    run = only_run(store)
    assert run.curves[0].step.tolist() == [4, 5]
    assert np.isnan(curves(run)["train_loss"][0])


def test_train_evaluation_is_the_same_samples_in_evaluation_mode(store: Tracking) -> None:
    torch.manual_seed(1)
    model, batches = net(0.5), loader(0, shuffle=True)
    with track(model, train_evaluation=40, train_loader=batches) as log:
        for _ in log.epochs(2):  # without training: the same twice, though dropout and order would differ
            for x, y in batches:
                log.log_batch(torch.tensor(99.0), model.eval()(x), y)
    logged = curves(only_run(store))
    assert logged["train_loss"][0] == logged["train_loss"][1] < 9
    assert logged["train_accuracy"][0] * 40 == pytest.approx(round(logged["train_accuracy"][0] * 40))


def test_an_evaluation_leaves_modes_and_random_numbers_as_they_were() -> None:
    model, generator = net(0.5), torch.Generator().manual_seed(3)
    model[3].eval()
    modes = [module.training for module in model.modules()]
    batches = loader(0, shuffle=True, generator=generator)
    state, own, python = torch.get_rng_state(), generator.get_state(), random.getstate()
    statistics = model[1].running_mean.clone()
    with track() as log:
        measured = log.evaluate(model, batches)
        log._recorder.drop("validation")
    assert set(measured) == {"val_loss", "val_accuracy"}
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(generator.get_state(), own)
    assert random.getstate() == python
    assert torch.equal(model[1].running_mean, statistics)


def overfit(log: Track, model: nn.Module, n_epochs: int = 60) -> list[int]:
    """Validation loss falls until epoch 5 and rises from there on; the weights tell the epoch."""
    seen = []
    for epoch in log.epochs(n_epochs):
        with torch.no_grad():
            model.weight.fill_(epoch)
        y = torch.arange(40) % 2
        logits = torch.nn.functional.one_hot(y, 2).float()
        log.log_batch(torch.tensor(0.9**epoch), logits, y)
        log.log_batch(torch.tensor(0.3 + 0.01 * abs(epoch - 5)), logits * (epoch + 1), y, split="validation")
        seen.append(epoch)
    return seen


def test_an_alarm_ends_the_training_with_the_best_weights(store: Tracking) -> None:
    model = torch.nn.Linear(1, 1)
    with track(model, stop_when={"overfitting", "loss_overfitting"}) as log:
        seen = overfit(log, model)
        assert log.should_stop
        assert len(seen) < 60
        assert model.weight.item() == 5
    run = only_run(store)
    assert run.tags["lossacc.stopped"] in {"overfitting", "loss_overfitting"}
    assert run.tags["lossacc.restored_step"] == "5"
    assert run.tags["lossacc.predictions_step"] == "5"  # of the weights that the training ends with
    proba = 1 / (1 + np.exp(-6.0))
    assert run.predictions["validation"].mean_confidence == pytest.approx(proba, rel=1e-6)


def test_who_trains_on_after_an_alarm_keeps_the_last_weights(store: Tracking) -> None:
    model = torch.nn.Linear(1, 1)
    with track(model, stop_when={"overfitting", "loss_overfitting"}) as log:
        stopped_at = overfit(log, model)[-1]
        torch.nn.init.constant_(model.weight, 77.0)
        log.log_batch(torch.tensor(0.1), torch.zeros(2, 2), torch.zeros(2).long())
        log.end_epoch()
    assert model.weight.item() == 77
    run = only_run(store)
    assert "lossacc.stopped" not in run.tags
    assert run.curves[0].step[-1] == stopped_at + 1


@pytest.mark.parametrize("predictions", [2, "best", None])
def test_predictions_of_the_epochs_that_were_asked_for(store: Tracking, predictions: Predictions) -> None:
    with track(predictions=predictions) as log:
        for epoch in log.epochs(5):
            logits = torch.zeros(30, 2)
            logits[:, 0] = epoch + 1
            loss = torch.tensor([0.5, 0.4, 0.3, 0.6, 0.7][epoch])
            log.log_batch(loss, logits, torch.zeros(30).long(), split="validation")
    run = only_run(store)
    if predictions is None:
        assert not run.predictions
    elif predictions == "best":
        assert run.predictions["validation"].mean_confidence == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-6)
    else:
        assert run.by_step["validation"].step.tolist() == [1, 3, 4]


def test_it_binds_to_the_run_that_is_active_wherever_that_begins(store: Tracking) -> None:
    with track() as log, mlflow.start_run() as outer:
        train(log, n_epochs=2)
    with mlflow.start_run() as inner, track() as log:
        train(log, n_epochs=2)
    for run in (outer, inner):
        assert len(read_run(run.info.run_id).curves) == 4
    assert len(store.client.search_runs([store.experiment_id])) == 2


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_an_exception_ends_the_run_and_leaves_whole_epochs(
    store: Tracking, error: type[BaseException], status: str
) -> None:
    def fail() -> None:
        with track() as log:
            train(log, n_epochs=2)
            log.log_batch(torch.tensor(5.0), torch.zeros(4, 3), torch.zeros(4).long())
            raise error

    with pytest.raises(error):
        fail()
    run = only_run(store)
    assert run.curves[0].step.tolist() == [0, 1]
    assert store.client.get_run(run.run_id).info.status == status
    assert run.predictions["validation"].n_samples == 50


def test_two_threads_have_a_run_each(store: Tracking) -> None:
    def work(value: float) -> None:
        with track() as log:
            for _ in log.epochs(3):
                log.log_batch(torch.tensor(value), torch.zeros(4, 3), torch.zeros(4).long())

    threads = [threading.Thread(target=work, args=(value,)) for value in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = [read_run(run.info.run_id) for run in store.client.search_runs([store.experiment_id])]
    assert sorted(tuple(curves(run)["train_loss"]) for run in runs) == [(1.0,) * 3, (2.0,) * 3]


def test_other_ranks_log_nothing(
    store: Tracking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_is_distributed", lambda: True)
    monkeypatch.setattr(loop, "_rank", lambda: 1)
    caplog.set_level(logging.WARNING)
    with track(torch.nn.Linear(1, 1), stop_when="overfitting") as log:
        train(log, n_epochs=2)
        assert log.evaluate(net(), loader(1)) == {}
        assert not log.should_stop
    assert store.client.search_runs([store.experiment_id]) == []
    assert len(caplog.records) == 1


def test_workers_of_the_loader_that_are_forked_disturb_nothing(store: Tracking) -> None:
    held_out = loader(1, 32, num_workers=2, multiprocessing_context="fork")
    with track() as log:
        model = net()
        for _ in log.epochs(2):
            log.log_batch(torch.tensor(1.0), torch.zeros(4, 3), torch.zeros(4).long())
            log.evaluate(model, held_out)
    assert len(curves(only_run(store))["val_loss"]) == 2


def test_arguments_that_are_wrong_are_said_at_once() -> None:
    for options in ({"predictions": "first"}, {"loss_reduction": "max"}, {"train_evaluation": True}):
        with pytest.raises(InputError):
            track(**options)
