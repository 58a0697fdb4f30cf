"""Keras trains as it would without us, and its figures and predictions are on the run: on PyTorch and on JAX."""

import logging
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import lossacc_mlflow as lossacc
from lossacc_mlflow.records import RunData
from tests.conftest import Tracking

pytestmark = [
    pytest.mark.frameworks,
    # Keras' own variables, when NumPy 2 reads them.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

Array = NDArray[Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64) + (X[:, 2] > 0)
X_VAL = RNG.normal(size=(40, 6)).astype(np.float32)
Y_VAL = (X_VAL[:, 0] + X_VAL[:, 1] > 0).astype(np.int64) + (X_VAL[:, 2] > 0)
VALIDATION = (X_VAL, Y_VAL)


@pytest.fixture
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """A store of one's own, and nothing switched on afterwards."""
    from lossacc_mlflow.loggers import hooks  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    yield here
    hooks.detach_all()


def _callback(**options: Any) -> Any:  # noqa: ANN401
    from lossacc_mlflow.loggers.keras import LossaccCallback  # noqa: PLC0415

    return LossaccCallback(**options)


def _net(
    loss: Any = "sparse_categorical_crossentropy",  # noqa: ANN401
    n_outputs: int = 3,
    activation: str | None = "softmax",
    metrics: Any = ("accuracy",),  # noqa: ANN401
    *,
    learning_rate: float = 0.05,
    hidden: int = 12,
    **compiled: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """A net with everything that draws random numbers or keeps a state."""
    import keras  # noqa: PLC0415
    import torch  # noqa: PLC0415

    keras.utils.set_random_seed(3)
    torch.manual_seed(3)  # by which loaders shuffle on every backend
    layers = keras.layers
    net = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(hidden, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(n_outputs, activation=activation),
        ],
        name="net",
    )
    net.compile(keras.optimizers.Adam(learning_rate), loss=loss, metrics=list(metrics), **compiled)
    return net


def _trained(net: Any, callbacks: list[Any] | None = None, **options: Any) -> tuple[dict[str, list[float]], list[Any]]:  # noqa: ANN401
    """Train; return the history and the random numbers that come next."""
    import torch  # noqa: PLC0415

    arguments = {"x": X, "y": Y, "validation_data": VALIDATION, "epochs": 3, "batch_size": 20, "verbose": 0} | options
    history = net.fit(callbacks=callbacks, **arguments).history
    return history, [random.random(), np.random.rand(), float(torch.rand(1))]  # noqa: NPY002, S311


def _logged(net: Any, callbacks: list[Any] | None = None, **options: Any) -> tuple[RunData, dict[str, list[float]]]:  # noqa: ANN401
    with mlflow.start_run() as run:
        history, _ = _trained(net, callbacks, **options)
    return lossacc.read_run(run.info.run_id), history


def _curves(run: RunData) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in run.curves}


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "lossacc_mlflow" and r.levelno >= logging.WARNING]


def test_the_training_is_the_same_and_its_figures_are_on_the_run(store: Tracking) -> None:
    plain = _net()
    history, numbers = _trained(plain)
    callback = _callback(predictions="best", train_evaluation=True, stop_when="diverged")
    with mlflow.start_run() as run:
        net = _net()
        assert _trained(net, [callback]) == (history, numbers)
    for ours, theirs in zip(net.weights, plain.weights, strict=True):
        assert_array_equal(np.array(ours), np.array(theirs))
    del store
    data = lossacc.read_run(run.info.run_id)
    assert {(c.metric.name, c.split, c.step_unit, *c.step) for c in data.curves} == {
        (name, split, "epoch", 0, 1, 2) for name in ("log_loss", "accuracy") for split in ("train", "validation")
    }
    assert _curves(data)["val_loss"] == history["val_loss"]
    assert _curves(data)["val_accuracy"] == history["val_accuracy"]
    assert data.n_classes == 3
    assert data.class_counts == {str(k): n for k, n in enumerate(np.bincount(Y).tolist())}
    assert data.predictions["validation"].log_loss == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_autolog_puts_one_callback_into_every_fit(store: Tracking) -> None:
    import keras  # noqa: PLC0415

    from lossacc_mlflow.loggers.keras import install  # noqa: PLC0415
    from lossacc_mlflow.loggers.options import Options  # noqa: PLC0415

    def n_points() -> int:
        (run,) = store.client.search_runs([store.experiment_id], max_results=1, order_by=["start_time DESC"])
        assert run.info.status == "FINISHED"
        return len(store.client.get_metric_history(run.info.run_id, "val_loss"))

    net = _net()
    install(Options())
    install(Options(predictions=None))
    others = [keras.callbacks.ReduceLROnPlateau()]
    _trained(net, others)
    assert len(others) == 1
    assert n_points() == 3
    net.fit(X, Y, 20, 2, 0, others, 0.25)  # positions
    assert n_points() == 2
    listed = keras.callbacks.CallbackList([*others], add_history=True, model=net, epochs=1)
    net.fit(X, Y, 20, validation_data=VALIDATION, callbacks=listed)
    assert n_points() == 1
    assert not any(type(one).__module__.startswith("lossacc") for one in listed.callbacks)
    with mlflow.start_run():
        _trained(net, [_callback()], epochs=4)
    assert n_points() == 4
    lossacc_hooks = sys.modules["lossacc_mlflow.loggers.hooks"]
    lossacc_hooks.detach_all()
    _trained(net)
    assert n_points() == 4


def test_a_callback_that_is_made_in_the_call_of_fit(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    """Python looks `fit` up before it makes the callback."""
    net = _net()
    sys.modules["lossacc_mlflow.loggers.hooks"].detach_all()
    with mlflow.start_run():
        net.fit(X, Y, validation_data=VALIDATION, verbose=0, callbacks=[_callback()])
    (message,) = _warnings(caplog)
    assert "on a line before" in message
    with mlflow.start_run() as run:
        net.fit(X, Y, validation_data=VALIDATION, verbose=0, callbacks=[_callback()])
    assert lossacc.read_run(run.info.run_id).predictions["validation"].n_samples == 40
    assert len(_warnings(caplog)) == 1
    del store


def test_clean_training_figures_are_those_of_an_evaluation(store: Tracking) -> None:
    del store
    net = _net()
    run, history = _logged(net, [_callback(train_evaluation=True)], x=X, y=Y, validation_freq=2, epochs=4)
    curves = {(c.metric.name, c.split): c for c in run.curves}
    assert curves["log_loss", "train"].step.tolist() == [1, 3]
    assert curves["log_loss", "validation"].step.tolist() == [1, 3]
    rows = np.unique(np.linspace(0, len(X) - 1, len(X_VAL)).astype(int))
    loss, accuracy = net.evaluate(X[rows], Y[rows], verbose=0)
    assert curves["log_loss", "train"].value[-1] == pytest.approx(loss, rel=1e-5)
    assert curves["accuracy", "train"].value[-1] == pytest.approx(accuracy)
    assert curves["log_loss", "train"].value[-1] != pytest.approx(history["loss"][-1], rel=1e-3)


def _cross_entropy(name: str, **options: Any) -> Callable[[], Any]:  # noqa: ANN401
    def make() -> Any:  # noqa: ANN401
        import keras  # noqa: PLC0415

        return getattr(keras.losses, name)(**options)

    return make


@pytest.mark.parametrize(
    ("loss", "n_outputs", "activation", "tag"),
    [
        (_cross_entropy("SparseCategoricalCrossentropy", from_logits=True), 3, None, "log_loss"),
        (lambda: "categorical_crossentropy", 3, "softmax", "log_loss"),
        (lambda: "crossentropy", 3, "softmax", "log_loss"),
        (_cross_entropy("CategoricalCrossentropy", from_logits=True, label_smoothing=0.1), 3, None, "smoothed:0.1"),
        (_cross_entropy("CategoricalFocalCrossentropy"), 3, "softmax", "focal:2:0.25"),
        (lambda: "binary_crossentropy", 1, "sigmoid", "log_loss"),
        (_cross_entropy("BinaryCrossentropy", from_logits=True), 1, None, "log_loss"),
        (_cross_entropy("BinaryFocalCrossentropy", gamma=1.5), 1, "sigmoid", "focal:1.5"),
        (lambda: "hinge", 1, "tanh", "hinge"),
    ],
)
def test_losses_and_outputs_of_classifiers(
    store: Tracking,
    caplog: pytest.LogCaptureFixture,
    loss: Callable[[], Any],
    n_outputs: int,
    activation: str | None,
    tag: str,
) -> None:
    """The accuracy is not compiled: it is that of the predictions."""
    y: Array = Y if n_outputs == 3 else Y > 0
    y_val: Array = Y_VAL if n_outputs == 3 else Y_VAL > 0
    chosen = loss()
    if n_outputs == 3 and "sparse" not in str(chosen).lower() and "Sparse" not in type(chosen).__name__:
        y, y_val = np.eye(3)[y], np.eye(3)[y_val]
    net = _net(chosen, n_outputs, activation, metrics=())
    run, history = _logged(net, [_callback()], y=y, validation_data=(X_VAL, y_val), epochs=2)
    assert run.tags["lossacc.loss"] == tag
    assert set(_curves(run)) == {"train_loss", "val_loss", "val_accuracy"}
    outputs = net.predict(X_VAL, verbose=0)
    if n_outputs == 3:
        right = outputs.argmax(axis=1) == Y_VAL
    else:
        right = (outputs[:, 0] > (0.5 if activation == "sigmoid" else 0)) == (Y_VAL > 0)
    assert _curves(run)["val_accuracy"][-1] == pytest.approx(right.mean())
    if tag == "hinge":
        (message,) = _warnings(caplog)
        assert "no probabilities" in message
        return
    assert _warnings(caplog) == []
    summary = run.predictions["validation"]
    assert summary.n_classes == max(2, n_outputs)
    assert summary.accuracy == pytest.approx(right.mean())
    if tag == "log_loss":
        assert summary.log_loss == pytest.approx(history["val_loss"][-1], rel=1e-4)
    del store


def _loader(x: Array, y: Array) -> Any:  # noqa: ANN401
    import torch  # noqa: PLC0415
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415

    generator = torch.Generator().manual_seed(5)
    pairs = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return DataLoader(pairs, batch_size=16, shuffle=True, generator=generator)


def _numbered(x: Array, y: Array) -> Any:  # noqa: ANN401
    import keras  # noqa: PLC0415

    class Numbered(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
        def __len__(self) -> int:
            return (len(x) + 15) // 16

        def __getitem__(self, index: int) -> tuple[Array, Array]:
            np.random.rand()  # noqa: NPY002  (as augmentation does)
            return x[index * 16 : index * 16 + 16], y[index * 16 : index * 16 + 16]

    return Numbered()


def _frame(x: Array, y: Array) -> Any:  # noqa: ANN401
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(x), pd.Series(y)


@pytest.mark.parametrize("kind", ["loader", "numbered", "frame", "split", "steps"])
def test_kinds_of_data(store: Tracking, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    def options() -> dict[str, Any]:
        if kind == "split":
            return {"validation_data": None, "validation_split": 0.3}
        if kind == "steps":
            return {"validation_steps": 1, "validation_batch_size": 8, "steps_per_epoch": 2, "batch_size": 15}
        make: Callable[[Array, Array], Any] = {"loader": _loader, "numbered": _numbered, "frame": _frame}[kind]
        train, validation = make(X, Y), make(X_VAL, Y_VAL)
        x, y = train if kind == "frame" else (train, None)
        size = 20 if kind == "frame" else None
        shuffle = kind == "frame"
        return {"x": x, "y": y, "validation_data": validation, "batch_size": size, "shuffle": shuffle}

    expected = _trained(_net(), **options())
    with mlflow.start_run() as run:
        assert _trained(_net(), [_callback(train_evaluation=30, predictions=2)], **options()) == expected
    history = expected[0]
    data = lossacc.read_run(run.info.run_id)
    assert data.by_step["validation"].step.tolist() == [1, 2]
    assert data.predictions["validation"].log_loss == pytest.approx(history["val_loss"][-1], rel=1e-4)
    assert data.predictions["validation"].n_samples == {"split": 28, "steps": 8}.get(kind, 40)
    assert len(_curves(data)["train_loss"]) == 3
    assert _warnings(caplog) == []
    del store


def test_what_can_be_gone_through_only_once_is_said_once(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    def batches(x: Array, y: Array) -> Iterator[tuple[Array, Array]]:
        while True:
            yield x[:16], y[:16]

    def options() -> dict[str, Any]:
        data = {"x": batches(X, Y), "y": None, "validation_data": batches(*VALIDATION), "shuffle": False}
        return data | {"batch_size": None, "steps_per_epoch": 2, "validation_steps": 1}

    history, _ = _trained(_net(), **options())
    run, given = _logged(_net(), [_callback(train_evaluation=True)], **options())
    assert given == history
    assert _curves(run)["train_loss"] == history["loss"]
    assert _curves(run)["val_accuracy"] == history["val_accuracy"]
    assert [m.partition("net' ")[2].partition(":")[0] for m in _warnings(caplog)] == [
        "are not kept",
        "is not evaluated on training data",
    ]
    run, given = _logged(_net(), [_callback(validation_data=VALIDATION)], **options())
    assert run.predictions["validation"].n_samples == 40
    del store


def test_held_out_data_that_fit_is_not_given(store: Tracking) -> None:
    plain = _net()
    history, numbers = _trained(plain, validation_data=None)
    with mlflow.start_run() as run, lossacc.validation_data(*VALIDATION):
        net = _net()
        assert _trained(net, [_callback()], validation_data=None) == (history, numbers)
    data = lossacc.read_run(run.info.run_id)
    loss, accuracy = net.evaluate(*VALIDATION, verbose=0)
    assert _curves(data)["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert _curves(data)["val_accuracy"][-1] == pytest.approx(accuracy)
    assert len(_curves(data)["val_loss"]) == 3
    del store


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_regressions(store: Tracking, loss: str) -> None:
    target = X @ np.arange(6.0) + 5
    target_val = (X_VAL @ np.arange(6.0) + 5)[:, None]
    net = _net(loss, 1, None, metrics=())
    data = {"y": target, "validation_data": (X_VAL, target_val)}
    run, history = _logged(net, [_callback(train_evaluation=90)], **data)
    predicted = net.predict(X_VAL, verbose=0)
    mse = float(np.mean((predicted - target_val) ** 2))
    train_mse = float(np.mean((net.predict(X, verbose=0)[:, 0] - target) ** 2))
    curves = _curves(run)
    assert curves["val_rmse"][-1] == pytest.approx(np.sqrt(mse), rel=1e-4)
    assert curves["val_r2"][-1] == pytest.approx(1 - mse / target_val.var(), rel=1e-4)
    assert curves["train_rmse"][-1] == pytest.approx(np.sqrt(train_mse), rel=1e-4)
    assert set(curves) == {"train_rmse", "val_rmse", "train_r2", "val_r2"}
    assert run.regressions["validation"].n_samples == 40
    running, history = _logged(_net(loss, 1, None, metrics=()), [_callback(predictions=None)], **data)
    if loss == "mse":
        assert _curves(running)["train_rmse"] == pytest.approx(np.sqrt(history["loss"]))
        assert set(_curves(running)) == set(curves)
    else:
        assert _curves(running)["train_loss"] == history["loss"]
        assert _curves(running)["val_loss"] == history["val_loss"]
        assert running.tags["lossacc.loss"] == "mean_absolute_error"
    del store


def test_several_outputs_and_several_labels_are_said_to_be_unsupported(
    store: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    import keras  # noqa: PLC0415

    inputs = keras.Input((6,))
    net = keras.Model(inputs, [keras.layers.Dense(3, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)])
    net.compile("sgd", loss=["mse", "mse"])
    one = np.ones((90, 3)), np.ones((90, 1))
    run, history = _logged(net, [_callback()], y=one, validation_data=(X, one))
    assert _curves(run) == {"train_loss": history["loss"], "val_loss": history["val_loss"]}
    several = (RNG.random((90, 3)) > 0.5).astype(np.float32)
    data = {"y": several, "validation_data": (X, several)}
    run, history = _logged(_net("binary_crossentropy", 3, "sigmoid"), [_callback()], **data)
    assert set(_curves(run)) == {"train_loss", "val_loss"}
    first, second = _warnings(caplog)
    assert "several outputs" in first
    assert "several labels" in second
    del store


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_training_is_stopped_and_ends_with_its_best_weights(store: Tracking, early_stopping: bool) -> None:
    import keras  # noqa: PLC0415

    rng = np.random.default_rng(1)
    x = rng.normal(size=(490, 6))
    y = np.where(rng.random(490) < 0.3, rng.integers(3, size=490), (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    x_val, y_val = x[90:], y[90:]
    data = {"x": x[:90], "y": y[:90], "validation_data": (x_val, y_val), "epochs": 60, "batch_size": 90}
    net = _net(hidden=60)
    others = [keras.callbacks.EarlyStopping(patience=50, restore_best_weights=True)] if early_stopping else []
    run, history = _logged(net, [_callback(stop_when={"overfitting", "loss_overfitting"}), *others], **data)
    n_epochs = len(history["val_loss"])
    best = int(np.argmin(history["val_loss"]))
    assert n_epochs < 60
    assert best < n_epochs - 1
    assert net.evaluate(x_val, y_val, verbose=0)[0] == pytest.approx(history["val_loss"][best], rel=1e-5)
    assert run.tags["lossacc.stopped"] in {"overfitting", "loss_overfitting"}
    assert run.tags["lossacc.stopped_step"] == str(n_epochs - 1)
    assert run.tags["lossacc.restored_step"] == run.tags["lossacc.predictions_step"] == str(best)
    assert run.predictions["validation"].log_loss == pytest.approx(history["val_loss"][best], rel=1e-5)
    del store


def test_a_loss_is_named_only_where_it_is_a_plain_mean(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    import keras  # noqa: PLC0415

    def tag(net: Any, **options: Any) -> str | None:  # noqa: ANN401
        run, _ = _logged(net, [_callback(train_evaluation=options.pop("clean", False))], epochs=1, **options)
        assert run.predictions["validation"].n_samples == 40
        return run.tags.get("lossacc.loss")

    penalised = _net()
    penalised.layers[0].kernel_regularizer = None
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(3, activation="softmax", kernel_regularizer="l2")(inputs)
    penalised = keras.Model(inputs, outputs)
    penalised.compile("sgd", "sparse_categorical_crossentropy")
    assert tag(penalised) is None
    assert tag(_net(), class_weight={0: 1.0, 1: 2.0, 2: 3.0}) is None
    assert tag(_net(), class_weight={0: 1.0, 1: 2.0, 2: 3.0}, clean=True) == "log_loss"
    assert tag(_net(), sample_weight=np.linspace(0, 1, 90)) is None
    assert tag(_net(), validation_data=(*VALIDATION, np.linspace(0, 1, 40))) is None
    assert tag(_net(loss_weights=[0.5])) is None
    assert tag(_net(keras.losses.SparseCategoricalCrossentropy(reduction="sum"))) is None
    assert tag(_net(lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p) + 0)) is None
    assert _warnings(caplog) == []
    del store


def test_the_end_of_a_training_that_does_not_come_to_its_end(store: Tracking) -> None:
    import keras  # noqa: PLC0415

    class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
        def __init__(self, error: BaseException) -> None:
            super().__init__()
            self.error = error

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ANN401
            del logs
            if epoch == 2:
                raise self.error

    for error, status in ((ValueError("no more"), "FAILED"), (KeyboardInterrupt(), "KILLED")):
        with pytest.raises(type(error)):
            _trained(_net(), [_callback(), Interrupt(error)], epochs=5)
        (run,) = store.client.search_runs([store.experiment_id], max_results=1, order_by=["start_time DESC"])
        assert run.info.status == status
        assert len(store.client.get_metric_history(run.info.run_id, "train_accuracy")) == 2
    assert mlflow.active_run() is None


def test_a_loss_that_is_not_a_number(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    import keras  # noqa: PLC0415

    x = X.copy()
    x[50] = np.nan
    callbacks = [_callback(stop_when="diverged"), keras.callbacks.TerminateOnNaN()]
    run, _ = _logged(_net(), callbacks, x=x, epochs=4)
    assert np.isnan(_curves(run)["train_loss"]).tolist() == [True]
    assert len(_warnings(caplog)) <= 1
    del store


def test_epochs_of_a_second_fit_are_counted_on(store: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    net = _net()
    with mlflow.start_run() as run:
        _trained(net, [_callback()], epochs=2)
        _trained(net, [_callback()], epochs=3)
    (curve,) = (c for c in lossacc.read_run(run.info.run_id).curves if c.key == "val_loss")
    assert curve.step.tolist() == [0, 1, 2, 3, 4]
    assert curve.n_repeated == 0
    (message,) = _warnings(caplog)
    assert "initial_epoch=2" in message
    caplog.clear()
    with mlflow.start_run() as run:
        _trained(net, [_callback()], epochs=2)
        _trained(net, [_callback()], epochs=4, initial_epoch=2)
        assert _warnings(caplog) == []
        _trained(net, [_callback()], epochs=5, initial_epoch=3)
    (curve,) = (c for c in lossacc.read_run(run.info.run_id).curves if c.key == "val_loss")
    assert (curve.step.tolist(), curve.n_repeated) == ([0, 1, 2, 3, 4], 1)
    (message,) = _warnings(caplog)
    assert "from epoch 3 on" in message
    del store


def test_a_pass_that_fails_costs_one_warning_and_not_the_training(
    store: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    validation = _numbered(*VALIDATION)
    plain = _net(metrics=())
    history, numbers = _trained(plain, validation_data=validation)
    broken = _numbered(*VALIDATION)
    get = type(broken).__getitem__

    def get_or_break(self: Any, index: int) -> tuple[Array, Array]:  # noqa: ANN401
        if index == 1 and "lossacc_mlflow.loggers.keras.data" in {
            frame.f_globals.get("__name__") for frame in _frames()
        }:
            raise OSError("the file is gone")
        return get(self, index)  # type: ignore[no-any-return]

    type(broken).__getitem__ = get_or_break
    with mlflow.start_run():
        net = _net(metrics=())
        assert _trained(net, [_callback()], validation_data=broken) == (history, numbers)
    for ours, theirs in zip(net.weights, plain.weights, strict=True):
        assert_array_equal(np.array(ours), np.array(theirs))
    assert len(_warnings(caplog)) == 2
    assert all("the file is gone" in message for message in _warnings(caplog))
    del store


def _frames() -> Iterator[Any]:
    frame: Any = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def test_a_subclassed_model_with_named_inputs_in_half_precision(store: Tracking) -> None:
    import keras  # noqa: PLC0415

    class Net(keras.Model):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__(dtype="mixed_float16")
            self.answer = keras.layers.Dense(3, dtype="mixed_float16")

        def call(self, inputs: dict[str, Any]) -> Any:  # noqa: ANN401
            return self.answer(keras.ops.concatenate([inputs["left"], inputs["right"]], axis=1))

    net = Net()
    net.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), weighted_metrics=["acc"])
    data = {"x": {"left": X[:, :2], "right": X[:, 2:]}}
    validation = ({"left": X_VAL[:, :2], "right": X_VAL[:, 2:]}, Y_VAL)
    run, history = _logged(net, [_callback()], **data, validation_data=validation)
    assert run.n_classes == 3
    assert _curves(run)["val_accuracy"] == history["val_acc"]
    assert run.predictions["validation"].log_loss == pytest.approx(history["val_loss"][-1], rel=1e-2)
    del store


_ON_JAX = (
    "test_the_training_is_the_same_and_its_figures_are_on_the_run",
    "test_kinds_of_data[loader]",
    "test_a_training_is_stopped_and_ends_with_its_best_weights[False]",
    "test_a_pass_that_fails_costs_one_warning_and_not_the_training",
)
"""What goes through the state of its trainer; compiling takes long."""


def test_the_same_on_jax(tmp_path: Path) -> None:
    """Keras has one backend a process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    environment |= {f"JAX_PERSISTENT_CACHE_MIN_{what}": "-1" for what in ("COMPILE_TIME_SECS", "ENTRY_SIZE_BYTES")}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--durations=0"]
    command += [f"{__file__}::{name}" for name in _ON_JAX]
    done = subprocess.run(  # noqa: S603  (our own command)
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert f"{len(_ON_JAX)} passed" in done.stdout
