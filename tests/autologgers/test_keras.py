"""What MLflow's own logging of Keras writes is read as it is meant, and logged only once beside ours."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pytest

import lossacc_mlflow as lossacc
from lossacc_mlflow.loggers.options import Options
from tests.conftest import Tracking

pytestmark = [
    pytest.mark.frameworks,
    # Keras' own variables, when NumPy 2 reads them: early stopping does.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    from lossacc_mlflow.loggers import hooks  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    yield here
    mlflow.keras.autolog(disable=True)
    hooks.detach_all()


def fit(*, callbacks: list[Any] | None = None, metrics: Any = ("accuracy",), epochs: int = 6) -> dict[str, list[float]]:  # noqa: ANN401
    import keras  # noqa: PLC0415

    keras.utils.set_random_seed(0)
    net = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, activation="softmax")])
    net.compile(keras.optimizers.SGD(0.3), "sparse_categorical_crossentropy", metrics=list(metrics))
    given = {} if callbacks is None else {"callbacks": callbacks}
    history = net.fit(x=X, y=Y, validation_split=0.4, epochs=epochs, verbose=0, **given)
    return dict(history.history)


def autolog() -> None:
    mlflow.keras.autolog(log_models=False, log_datasets=False, silent=True)


def only_run(tracking: Tracking) -> lossacc.RunData:
    (found,) = tracking.client.search_runs([tracking.experiment_id])
    return lossacc.read_run(found.info.run_id)


def points(tracking: Tracking, run_id: str) -> dict[tuple[str, str], list[int]]:
    """Steps of every curve of the run, key by key as it is read alone."""
    found: dict[tuple[str, str], list[int]] = {}
    for key in tracking.client.get_run(run_id).data.metrics:
        parsed = lossacc.keys.parse_key(key)
        if parsed is not None and not key.startswith("validation_"):
            steps = [m.step for m in tracking.client.get_metric_history(run_id, key)]
            found.setdefault((parsed.split, parsed.metric.name), []).extend(steps)
    return found


@pytest.mark.parametrize("by", ["autolog", "callback"])
@pytest.mark.parametrize("metric", ["accuracy", "sparse_categorical_accuracy"])
def test_curves_and_not_the_points_at_step_0(tracking: Tracking, by: str, metric: str) -> None:
    if by == "autolog":
        autolog()
        history = fit(metrics=[metric])
    else:
        with mlflow.start_run():
            history = fit(metrics=[metric], callbacks=[mlflow.keras.MlflowCallback()])
    run = only_run(tracking)
    assert {(c.split, c.metric.name, c.key, c.step_unit, tuple(c.step)) for c in run.curves} == {
        ("train", "loss", "loss", "epoch", tuple(range(6))),
        ("validation", "loss", "val_loss", "epoch", tuple(range(6))),
        ("train", "accuracy", metric, "epoch", tuple(range(6))),
        ("validation", "accuracy", f"val_{metric}", "epoch", tuple(range(6))),
    }
    for curve in run.curves:
        assert curve.value.tolist() == pytest.approx(history[curve.key])
    assert "validation_loss" in tracking.client.get_run(run.run_id).data.metrics
    assert lossacc.diagnose(run).verdict == "still_improving"


def test_early_stopping_that_restores_the_best_weights(tracking: Tracking) -> None:
    import keras  # noqa: PLC0415

    autolog()
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=2, restore_best_weights=True)
    history = fit(callbacks=[stop], epochs=30)
    (curve,) = (c for c in only_run(tracking).curves if c.key == "val_loss")
    assert curve.value.tolist() == pytest.approx(history["val_loss"])
    assert 2 < len(curve) < 30


@pytest.mark.parametrize("ours_first", [False, True])
@pytest.mark.parametrize("metrics", [("accuracy",), ()])
def test_nothing_is_logged_twice_beside_ours(tracking: Tracking, metrics: tuple[str, ...], ours_first: bool) -> None:
    from lossacc_mlflow.loggers.keras import install  # noqa: PLC0415

    if ours_first:
        install(Options())
    autolog()
    if not ours_first:
        install(Options())
    history = fit(metrics=metrics, callbacks=[])
    (found,) = tracking.client.search_runs([tracking.experiment_id])
    assert found.info.status == "FINISHED"
    logged = points(tracking, found.info.run_id)
    expected = {("train", "loss"), ("validation", "loss"), ("validation", "accuracy")}
    assert set(logged) == (expected | {("train", "accuracy")} if metrics else expected)
    assert all(Counter(steps) == Counter(range(6)) for steps in logged.values())
    run = lossacc.read_run(found.info.run_id)
    assert {(c.metric.name, *c.step) for c in run.curves} == {("log_loss", *range(6)), ("accuracy", *range(6))}
    assert run.predictions["validation"].log_loss == pytest.approx(history["val_loss"][-1], rel=1e-5)
    fit(callbacks=[])
    assert len(tracking.client.search_runs([tracking.experiment_id])) == 2


def test_a_clean_evaluation_wins_over_the_running_mean(tracking: Tracking) -> None:
    from lossacc_mlflow.loggers.keras import install  # noqa: PLC0415

    autolog()
    install(Options(train_evaluation=True))
    history = fit()
    run = only_run(tracking)
    curves = {(c.split, c.metric.name): c for c in run.curves}
    assert curves["train", "log_loss"].key == "train_loss"
    assert curves["train", "accuracy"].key == "train_accuracy"
    assert curves["validation", "log_loss"].key == "val_loss"
    assert not np.allclose(curves["train", "log_loss"].value, history["loss"])


def test_points_of_batches_give_way_to_those_of_epochs(tracking: Tracking) -> None:
    from lossacc_mlflow.loggers.keras import LossaccCallback  # noqa: PLC0415

    by_batch = mlflow.keras.MlflowCallback(log_every_epoch=False, log_every_n_steps=2)
    with mlflow.start_run():
        history = fit(callbacks=[by_batch, LossaccCallback()])
    for curve in only_run(tracking).curves:
        name = curve.key.replace("train_", "")
        assert (curve.step.tolist(), curve.value.tolist()) == (list(range(6)), pytest.approx(history[name]))
