import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.store import Outbox, as_number, outbox, read_run
from lossacc_mlflow.store.claims import _Claims
from tests.conftest import Tracking


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trainings start here, and leave here what they could not write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lossacc-unsent"


def points(store: Tracking, run_id: str, key: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in store.client.get_metric_history(run_id, key))


def train(run_id: str, steps: range, **values: float) -> Outbox:
    box = Outbox(run_id)
    for step in steps:
        box.add(step, values)
    assert box.close()
    return box


def as_after_a_restart() -> None:
    """Forget what this process wrote, as another one would not know it."""
    _Claims.by_run.clear()


def test_points_go_in_batches(here: Tracking, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    sizes: list[int] = []
    log_batch = MlflowClient.log_batch

    def counted(self: MlflowClient, run_id: str, metrics: tuple[Metric, ...] = (), **rest: object) -> object:
        sizes.append(len(metrics))
        return log_batch(self, run_id, metrics, **rest)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    run_id = here.new_run()
    box = Outbox(run_id)
    for step in range(1_250):
        box.add(step, {"train_loss": 1 / (step + 1), "val_loss": float("nan")})
    assert box.close()
    assert sorted(size for size in sizes if size) == [500, 1_000, 1_000]
    assert here.count_rows(run_id) == 2_500
    assert points(here, run_id, "train_loss")[7] == (7, 1 / 8)
    assert not folder.exists()


def test_a_short_training_is_two_requests_and_later_tags_one_more(
    here: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, list[str]]] = []
    log_batch = MlflowClient.log_batch

    def noted(self: MlflowClient, run_id: str, **content: Any) -> object:  # noqa: ANN401
        asked.append((len(content.get("metrics", ())), [tag.key for tag in content.get("tags", ())]))
        return log_batch(self, run_id, **content)

    monkeypatch.setattr(MlflowClient, "log_batch", noted)
    run_id = here.new_run()
    box = Outbox(run_id)
    box.set_tags({"lossacc.loss": "log_loss"})
    for step in range(3):
        box.add(step, {"val_loss": 0.5})
    box.set_tags({"lossacc.step_unit": "epoch"})
    assert box.close()
    assert asked == [(0, ["lossacc.curves", "lossacc.loss", "lossacc.step_unit"]), (3, [])]
    box = Outbox(run_id)
    for unit in ("epoch", "iteration", "epoch"):
        box.set_tags({"lossacc.step_unit": unit})
        box._step()
    assert box.close()
    assert asked[2:] == [(0, ["lossacc.step_unit"])] * 3
    assert here.client.get_run(run_id).data.tags["lossacc.step_unit"] == "epoch"


def test_of_one_step_the_last_value_counts(here: Tracking) -> None:
    run_id = here.new_run()
    box = Outbox(run_id)
    for step in [0, 1, 2, 1, 3, 3, 4]:
        box.add(step, {"val_loss": float(here.count_rows(run_id) + len(box._points))})
    box.close()
    (curve,) = read_run(run_id).curves
    assert curve.value.tolist() == [0, 3, 2, 5, 6]


def test_a_key_that_mlflow_refuses_costs_only_itself(here: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    run_id = here.new_run()
    train(run_id, range(5), **{"val_loss": 1.0, "what#is$this": 2.0})
    assert len(points(here, run_id, "val_loss")) == 5
    (line,) = caplog.messages
    assert "'what#is$this' is not logged" in line


@pytest.mark.parametrize(
    ("key", "steps", "is_logged"),
    [
        ("validation_loss", [0, 1, 2], False),  # another logger's curve
        ("val_loss", [0, 1, 2], False),  # under our own name
        ("val_log_loss", [0, 1, 2], False),
        ("validation_loss", [0], True),  # a score
        ("val_loss_step", [0, 1, 2], True),  # by global step
        ("training_loss", [0, 1, 2], True),  # of another split
        ("validation_loss", [0, 100, 200], True),  # by batches
        ("val_loss", [0, 100, 200], False),  # by batches, where ours would be mixed with it
    ],
)
def test_what_another_logger_writes_is_not_written_twice(
    here: Tracking, key: str, steps: list[int], is_logged: bool
) -> None:
    run_id = here.new_run()
    for step in steps:
        here.client.log_metric(run_id, key, 7.0, step=step)
    box = Outbox(run_id)
    box.set_tags({"lossacc.loss": "log_loss"})
    for step in range(3):
        box.add(step, {"val_loss": 1.0})
    box.close()
    ours = [point for point in points(here, run_id, "val_loss") if point[1] == 1.0]
    assert bool(ours) == is_logged


def test_an_own_evaluation_stands_beside_a_running_mean(here: Tracking) -> None:
    run_id = here.new_run()
    for step in range(3):
        here.client.log_metric(run_id, "loss", 7.0, step=step)
    box = Outbox(run_id)
    box.set_tags({"lossacc.keys": "train_loss=train:log_loss"})
    for step in range(3):
        box.add(step, {"train_loss": 1.0})
    box.close()
    assert len(points(here, run_id, "train_loss")) == 3


@pytest.mark.parametrize("between", [lambda: None, as_after_a_restart])
def test_a_training_that_goes_on_continues_its_curve(
    here: Tracking, between: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = here.new_run()
    train(run_id, range(3), val_loss=1.0)
    between()
    train(run_id, range(3, 6), val_loss=2.0)
    assert [step for step, _ in points(here, run_id, "val_loss")] == [0, 1, 2, 3, 4, 5]
    assert caplog.messages == []


@pytest.mark.parametrize("between", [lambda: None, as_after_a_restart])
def test_a_second_training_is_not_mixed_with_the_first(
    here: Tracking, between: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    run_id = here.new_run()
    train(run_id, range(3), val_loss=1.0, train_loss=1.0)
    between()
    box = Outbox(run_id)
    for step in range(5):
        box.add(step, {"val_loss": 2.0, "train_loss": 2.0})
    box.set_tags({"lossacc.n_classes": "99"})
    box.close()
    assert points(here, run_id, "val_loss") == [(0, 1.0), (1, 1.0), (2, 1.0)]
    assert "lossacc.n_classes" not in here.client.get_run(run_id).data.tags
    (line,) = caplog.messages
    assert "one run a model" in line


def test_two_trainings_in_two_threads(here: Tracking) -> None:
    run_ids = [here.new_run(), here.new_run()]
    threads = [threading.Thread(target=train, args=(one, range(200)), kwargs={"val_loss": 1.0}) for one in run_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [here.count_rows(run_id) for run_id in run_ids] == [200, 200]


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)  # as joblib does
def test_a_forked_process_writes_nothing_and_does_not_hang(here: Tracking) -> None:
    run_id = here.new_run()
    box = Outbox(run_id)
    box.add(0, {"val_loss": 1.0})

    def work() -> None:
        box.add(1, {"val_loss": 2.0})
        box.set_tags({"lossacc.loss": "hinge"})
        box.submit(lambda: None)
        box.close()

    with box._lock, _Claims.lock:  # as another thread may hold them
        child = multiprocessing.get_context("fork").Process(target=work)
        child.start()
    child.join(20)
    assert child.exitcode == 0
    box.close()
    assert points(here, run_id, "val_loss") == [(0, 1.0)]


def test_predictions_are_judged_by_the_thread(here: Tracking) -> None:
    box, threads = Outbox(here.new_run()), set()
    for _ in range(6):
        box.submit(lambda: threads.add(threading.current_thread().name))
    assert box.close()
    assert threads == {"lossacc-outbox"}


def test_a_store_that_does_not_answer_holds_nothing_up(
    here: Tracking, monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = threading.Event()
    log_batch = MlflowClient.log_batch

    def silent(self: MlflowClient, *args: object, **kwargs: object) -> object:
        answer.wait(30)
        return log_batch(self, *args, **kwargs)

    monkeypatch.setattr(MlflowClient, "log_batch", silent)
    monkeypatch.setattr(outbox, "CLOSE_SECONDS", 0.5)
    run_id = here.new_run()
    box = Outbox(run_id)
    box.add(0, {"val_loss": 1.0})
    started = time.monotonic()
    assert not box.close("FAILED")
    assert time.monotonic() - started < 5
    (line,) = caplog.messages
    assert f"lossacc send {folder / run_id}.jsonl" in line
    text = (folder / f"{run_id}.jsonl").read_text()
    assert '"val_loss":{"step":[0],"value":[1.0]' in text
    assert '"FAILED"' in text
    answer.set()
    assert box._thread is not None
    box._thread.join(10)


def test_where_nothing_can_be_kept_that_is_said(
    here: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "file"))
    box = Outbox(here.new_run(), folder=tmp_path / "file" / "folder")
    here.database.rename(tmp_path / "away")
    box.add(0, {"val_loss": 1.0})
    assert not box.close()
    (line,) = caplog.messages
    assert "there is no file" in line
    assert "is lost" in line
    assert "lossacc send" not in line


@pytest.mark.parametrize("value", [1, True, np.float32(1), np.array(1.0), np.array([1.0]), np.int64(1)])
def test_numbers(value: object) -> None:
    assert as_number(value) == 1.0


@pytest.mark.parametrize("value", ["1", None, [1.0], np.zeros(2), 1j, 10**400])
def test_no_numbers(value: object) -> None:
    with pytest.raises(InputError, match="is no number"):
        as_number(value)


_LONG_TRAINING = """
import sys, time
from mlflow import MlflowClient
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.training import TrainingLog

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024

written = 0
def slow(self, run_id, metrics=(), **rest):  # a store that takes 400,000 points a second
    global written
    written += len(metrics)
    time.sleep(len(metrics) / 400_000)
MlflowClient.log_batch = slow

def train(run_id, n_steps):
    with TrainingLog(Options(stop_when="diverged"), name="net", run_id=run_id) as log:
        for step in range(n_steps):
            log.log(step, {"train_loss": 0.5, "val_loss": 0.5})

short, long = sys.argv[1:]
train(short, 2_000)
before = peak()
train(long, 100_000)
print(written - 4_000, peak() - before)
"""


def test_a_long_training_does_not_grow(here: Tracking) -> None:
    command = [sys.executable, "-c", _LONG_TRAINING, here.new_run(), here.new_run()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  (our own command)
    n_points, grown = map(float, done.stdout.split())
    assert n_points == 200_000
    assert grown < 36, f"{grown} MB more; with the points as objects of MLflow it is 54"
