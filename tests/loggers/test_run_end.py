"""Every way in which a run of MLflow ends is noticed, once, before and after."""

from collections.abc import Iterator
from threading import Thread

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.utils.autologging_utils.client import MlflowAutologgingQueueingClient

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.run_end import after_every_end, before_every_end, before_run_ends
from tests.conftest import Tracking


@pytest.fixture(autouse=True)
def _nothing_stays_wrapped() -> Iterator[None]:
    yield
    before_every_end(None)
    after_every_end(None)
    hooks.detach_all()


@pytest.fixture
def ends(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What was announced: run id, status, and once it has ended the tracking URI."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    announced: list[tuple[str, ...]] = []

    def before(run_id: str, status: str) -> None:
        assert here.client.get_run(run_id).info.status == "RUNNING"
        announced.append((run_id, status))

    def after(run_id: str, status: str, tracking_uri: str) -> None:
        assert here.client.get_run(run_id).info.status == status
        announced.append((run_id, status, tracking_uri))

    before_every_end(before)
    after_every_end(after)
    return announced


def test_the_ends_of_a_block_and_of_a_failed_block_are_noticed(here: Tracking, ends: list[tuple[str, ...]]) -> None:
    with mlflow.start_run() as run, mlflow.start_run(nested=True) as child:
        pass
    with pytest.raises(KeyboardInterrupt), mlflow.start_run() as failed:
        raise KeyboardInterrupt
    a, b, c = (one.info.run_id for one in (child, run, failed))
    assert ends == [
        (a, "FINISHED"),
        (a, "FINISHED", here.uri),
        (b, "FINISHED"),
        (b, "FINISHED", here.uri),
        (c, "FAILED"),
        (c, "FAILED", here.uri),
    ]


def test_clients_end_runs_too(here: Tracking, ends: list[tuple[str, ...]]) -> None:
    first, second, third = here.new_run(), here.new_run(), here.new_run()
    here.client.set_terminated(run_id=first, status="KILLED", end_time=2_000_000_000_000)
    here.client.update_run(second, status="FINISHED")
    here.client.update_run(third, name="still running")
    here.client.set_terminated(third, "RUNNING")
    assert ends == [
        (first, "KILLED"),
        (first, "KILLED", here.uri),
        (second, "FINISHED"),
        (second, "FINISHED", here.uri),
    ]
    assert here.client.get_run(first).info.end_time == 2_000_000_000_000


def test_the_client_of_searches_ends_runs_in_threads_of_its_own(here: Tracking, ends: list[tuple[str, ...]]) -> None:
    run = here.new_run()
    seen: list[str] = []
    with before_run_ends(seen.append):
        client = MlflowAutologgingQueueingClient(here.uri)
        client.set_terminated(run, "FINISHED")
        client.flush(synchronous=True)
    assert ends == [(run, "FINISHED"), (run, "FINISHED", here.uri)]
    assert seen == []


def test_a_run_that_cannot_be_ended_has_not_ended(here: Tracking, ends: list[tuple[str, ...]]) -> None:
    before_every_end(None)
    with pytest.raises(mlflow.MlflowException):
        here.client.set_terminated("0" * 32)
    assert ends == []


def test_a_block_hears_of_runs_that_end_in_it(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    outer: list[str] = []

    def log_late(run_id: str) -> None:
        client = MlflowClient()
        client.log_metric(run_id, "accuracy", 1.0)
        assert client.get_run(run_id).info.status == "RUNNING"
        outer.append(f"inner {run_id}")
        with mlflow.start_run():  # its end is not announced to this function
            pass

    with before_run_ends(outer.append):
        with before_run_ends(log_late), mlflow.start_run() as run:
            pass
        thread = Thread(target=here.client.set_terminated, args=(here.new_run(),))
        thread.start()
        thread.join()
    with mlflow.start_run():
        pass
    mine = run.info.run_id
    assert [outer[0], outer[-1]] == [f"inner {mine}", mine]
    assert len(outer) == 3
    assert here.client.get_run(mine).data.metrics == {"accuracy": 1.0}


def test_what_goes_wrong_at_the_end_is_one_warning(
    here: Tracking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)

    def fail(run_id: str) -> None:
        raise ValueError(f"no model for {run_id}")

    with before_run_ends(fail), mlflow.start_run() as run:
        pass
    ended = here.client.get_run(run.info.run_id)
    assert ended.info.status == "FINISHED"
    assert ended.data.tags["lossacc.status"].startswith("failed: end of run")
    (record,) = caplog.records
    assert "no model for" in record.message
