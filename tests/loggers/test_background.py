"""Runs that ended are diagnosed one after another, in the background, once a change, and at the exit at the latest."""

import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

import lossacc_mlflow
from lossacc_mlflow.errors import StoreError
from lossacc_mlflow.loggers import background
from lossacc_mlflow.loggers.background import DiagnosisQueue, EndedRun
from lossacc_mlflow.loggers.diagnosis import diagnose_ended_run
from lossacc_mlflow.loggers.shield import _SAID
from lossacc_mlflow.settings import Settings
from tests.conftest import Tracking

CURVES = {"train_loss": [1.0, 0.7, 0.5, 0.4, 0.3, 0.25], "val_loss": [1.0, 0.8, 0.7, 0.8, 0.9, 1.0]}


def wait_until_idle(queue: DiagnosisQueue) -> None:
    assert queue.wait(timeout=60)


def test_the_training_does_not_wait_and_a_run_is_not_queued_twice() -> None:
    release, done = Event(), list[str]()

    def diagnose(run: EndedRun) -> None:
        release.wait(20)
        done.append(run.run_id)

    queue = DiagnosisQueue(diagnose)
    for run_id in ("a", "b", "b", "c", "b"):
        queue.put(run_id, "uri")
    assert not queue.wait(timeout=0.01)
    assert queue.n_pending == 3
    release.set()
    wait_until_idle(queue)
    assert done == ["a", "b", "c"]
    queue.finish()
    queue.put("at exit", "uri")
    assert done == ["a", "b", "c", "at exit"]


def test_a_long_wait_says_how_many_are_left(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_SECONDS_BETWEEN_WORDS", 0.05)
    queue = DiagnosisQueue(lambda _: time.sleep(0.2))
    for run_id in "abc":
        queue.put(run_id, "uri")
    with caplog.at_level(logging.INFO):
        wait_until_idle(queue)
    said = [int(re.findall(r"\d+", record.message)[0]) for record in caplog.records]
    assert said
    assert said == sorted(said, reverse=True)
    assert set(said) <= {1, 2, 3}


def test_a_store_that_does_not_answer_is_one_warning_with_the_command(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[str] = []
    hold = Event()

    def diagnose(run: EndedRun) -> None:
        hold.wait(20)
        tried.append(run.run_id)
        if run.tracking_uri.startswith("http"):
            raise StoreError("nobody answers at http://me:***@host.")

    queue = DiagnosisQueue(diagnose)
    for run_id in "abcd":
        queue.put(run_id, "sqlite:///other.db" if run_id == "c" else "http://me:secret@host")
    hold.set()
    wait_until_idle(queue)
    assert tried == ["a", "c"]
    (record,) = caplog.records
    assert record.message == (
        "lossacc: 3 runs not diagnosed: nobody answers at http://me:***@host. To do it later: "
        "lossacc diagnose a b d --write --tracking-uri 'http://me:***@host'"
    )
    for run_id in "ef":
        queue.put(run_id, "http://me:secret@host")
        while queue.n_pending:
            time.sleep(0.01)
    assert len(caplog.records) == 1
    queue.finish()
    assert len(caplog.records) == 2
    assert "diagnose e f --write" in caplog.records[1].message


def test_an_interrupted_exit_says_which_runs_are_left(caplog: pytest.LogCaptureFixture) -> None:
    started, release = Event(), Event()

    def diagnose(_: EndedRun) -> None:
        started.set()
        release.wait(20)

    queue = DiagnosisQueue(diagnose)
    queue.put("a", "uri")
    started.wait(20)
    queue.put("b", "uri")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        queue.finish()
    finally:
        signal.signal(signal.SIGALRM, before)
        release.set()
    queue.put("c", "uri")
    first, second = caplog.records
    assert "2 runs not diagnosed: interrupted. To do it later: lossacc diagnose a b --write" in first.message
    assert "lossacc diagnose c --write" in second.message


def test_a_forked_child_leaves_the_runs_of_its_parent_alone(here: Tracking) -> None:
    hold = Event()

    def diagnose(_: EndedRun) -> None:
        hold.wait(20)

    queue = DiagnosisQueue(diagnose)
    for run_id in "ab":
        queue.put(run_id, here.uri)
    child = DiagnosisQueue(lambda run: diagnose_ended_run(run, Settings()))
    of_parent = here.new_run()
    lossacc_mlflow.log_curves(CURVES, run_id=of_parent)
    time.sleep(0.01)
    queue.forget()
    child.forget()
    hold.set()
    assert queue.n_pending == 0
    time.sleep(0.01)
    own = here.new_run()
    lossacc_mlflow.log_curves(CURVES, run_id=own)
    for run_id in (of_parent, own):
        child.put(run_id, here.uri)
    wait_until_idle(child)
    assert "lossacc.verdict" not in here.client.get_run(of_parent).data.tags
    assert "lossacc.verdict" in here.client.get_run(own).data.tags


@pytest.fixture
def run_id(here: Tracking) -> Iterator[str]:
    run_id = here.new_run()
    lossacc_mlflow.log_curves(CURVES, run_id=run_id)
    yield run_id
    _SAID.clear()


def test_a_run_that_ended_is_diagnosed_once_a_change(
    here: Tracking, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended = EndedRun(run_id, here.uri)
    diagnose_ended_run(ended, Settings(thresholds={"FIT001": {"max_rise": 0.01}}))
    tags = here.client.get_run(run_id).data.tags
    assert tags["lossacc.status"] == "ok"
    here.client.delete_tag(run_id, "lossacc.verdict")
    diagnose_ended_run(ended, Settings())
    assert "lossacc.verdict" not in here.client.get_run(run_id).data.tags
    here.client.log_metric(run_id, "val_loss", 1.1, step=7)
    diagnose_ended_run(ended, Settings())
    assert "lossacc.verdict" in here.client.get_run(run_id).data.tags
    assert not caplog.records


def test_the_thresholds_of_the_settings_hold(here: Tracking, run_id: str) -> None:
    diagnose_ended_run(EndedRun(run_id, here.uri), Settings(ignore=("FIT",)))
    assert "FIT" not in here.client.get_run(run_id).data.tags["lossacc.findings"]


def test_comparisons_and_deleted_runs_are_left_alone(
    here: Tracking, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    comparison = here.new_run("lossacc comparison", **{"lossacc.kind": "comparison"})
    here.client.delete_run(run_id)
    for one in (comparison, run_id, "0" * 32):
        diagnose_ended_run(EndedRun(one, here.uri), Settings())
    assert "lossacc.status" not in here.client.get_run(comparison).data.tags
    assert not caplog.records


def test_what_goes_wrong_in_a_diagnosis_is_one_warning_and_a_tag(
    here: Tracking, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("lossacc_mlflow.loggers.diagnosis.diagnose", fail)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'another.db'}")
    diagnose_ended_run(EndedRun(run_id, here.uri), Settings())
    (record,) = caplog.records
    assert "ZeroDivisionError: by zero" in record.message
    tags = here.client.get_run(run_id).data.tags
    assert tags["lossacc.status"].startswith(f"failed: diagnosis of run {run_id}")
    assert "lossacc.logging" not in tags
    with pytest.raises(StoreError):
        diagnose_ended_run(EndedRun(run_id, f"sqlite:///{tmp_path / 'gone.db'}"), Settings())


SCRIPT = f"""
import os, sys
import mlflow, lossacc_mlflow
lossacc_mlflow.autolog()
if sys.argv[1] == "left open":
    mlflow.start_run()
    lossacc_mlflow.log_curves({CURVES})
elif sys.argv[1] == "forked":
    mlflow.start_run()
    lossacc_mlflow.log_curves({CURVES})
    if os.fork() == 0:
        mlflow.end_run()
        with mlflow.start_run(run_name="child"):
            lossacc_mlflow.log_curves({CURVES})
        sys.exit()
    os.wait()
    mlflow.log_metric("accuracy", 1.0)
elif sys.argv[1] == "worker":
    from multiprocessing import get_context
    def train():
        with mlflow.start_run():
            lossacc_mlflow.log_curves({CURVES})
    worker = get_context("fork").Process(target=train)
    worker.start()
    worker.join()
else:
    for _ in range(3):
        with mlflow.start_run():
            lossacc_mlflow.log_curves({CURVES})
"""


@pytest.mark.parametrize(("how", "n_runs"), [("left open", 1), ("in the background", 3), ("worker", 1), ("forked", 2)])
def test_the_exit_of_the_interpreter_diagnoses_what_is_left(
    here: Tracking, tmp_path: Path, how: str, n_runs: int
) -> None:
    environment = os.environ | {"MLFLOW_EXPERIMENT_ID": here.experiment_id}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", SCRIPT, how], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    runs = here.client.search_runs([here.experiment_id])
    assert len(runs) == n_runs
    verdicts = [run.data.tags.get("lossacc.verdict") for run in runs]
    assert set(verdicts) == {"loss_overfitting"} or set(verdicts) == {"overfitting"}, done.stderr
    assert "Traceback" not in done.stderr
