import json
import time
from collections.abc import Callable
from pathlib import Path

import mlflow
import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.stores import free_port
from lossacc_mlflow.cli import main
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.options import Options
from lossacc_mlflow.loggers.training import TrainingLog, _State
from lossacc_mlflow.store import outbox, read_run, send_unsent
from lossacc_mlflow.store.connection import portable_uri
from lossacc_mlflow.store.points import make_points
from lossacc_mlflow.store.unsent import (
    Entry,
    Header,
    RunEnd,
    RunTags,
    Unreadable,
    append_entries,
    read_entries,
    read_header,
)
from tests.conftest import Tracking, serve


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trainings start here, and leave here what they could not write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "lossacc-unsent"


def keep(store: Tracking, run_id: str, folder: Path, n_points: int = 3) -> Path:
    path = folder / f"{run_id}.jsonl"
    points = make_points({"val_loss": (range(n_points), [float("nan"), float("inf"), *[0.5] * (n_points - 2)])}, 1_000)
    entries: list[Entry] = [points, RunTags({"lossacc.loss": "log_loss"}), RunEnd("FAILED", 2_000)]
    append_entries(path, Header(run_id, portable_uri(store.uri)), entries)
    return path


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_server_that_goes_away_in_mid_training(
    sqlite_store: Tracking, monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setattr(outbox, "_SECONDS", 0.2)
    monkeypatch.setattr(outbox, "_RETRY_SECONDS", 0.2)
    truth, proba = np.array([0, 1] * 10), np.tile([[0.9, 0.1], [0.2, 0.8]], (10, 1))

    def step(log: TrainingLog, at: int) -> None:
        log.log(at, {"train_loss": 1 / (at + 1), "val_loss": 1 / (at + 1) + 0.1})

    with serve(sqlite_store.database, port):
        store = Tracking(address, sqlite_store.database, mlflow.MlflowClient(address).create_experiment("served"))
        monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", store.experiment_id)
        back = TrainingLog(Options(), name="back", run_id=store.new_run())
        gone = TrainingLog(Options(), name="gone")
        for log in (gone, back):
            step(log, 0)
        wait_until(lambda: all(store.count_rows(log.run_id) == 2 for log in (gone, back)))
    started = time.monotonic()
    for log in (gone, back):
        for at in range(1, 8):
            step(log, at)
        log.log_predictions(truth, proba)
    gone.close()
    assert mlflow.active_run() is None
    assert time.monotonic() - started < 10
    wait_until((folder / f"{back.run_id}.jsonl").exists)
    assert [f"lossacc send {folder / gone.run_id}" in line for line in caplog.messages].count(True) == 1
    with pytest.raises(SystemExit, match="3"):
        main(["send", str(folder)])

    with serve(sqlite_store.database, port):
        wait_until(lambda: not (folder / f"{back.run_id}.jsonl").exists())
        step(back, 8)
        back.close()
        assert (folder / f"{gone.run_id}.jsonl").exists()
        _State.unsent.clear()  # it is another process that sends
        sent = CliRunner().invoke(main, ["send"])
        assert sent.exit_code == 0, sent.output
        assert f"14 points and the predictions of 1 split are in run {gone.run_id}" in sent.output
        assert not folder.exists()
        for log, n_steps in ((gone, 8), (back, 9)):
            run = read_run(log.run_id)
            assert {curve.key: len(curve) for curve in run.curves} == {"train_loss": n_steps, "val_loss": n_steps}
            assert run.predictions["validation"].accuracy == 1
            assert run.warnings == ()
        info = store.client.get_run(gone.run_id).info
        assert info.status == "FINISHED"
        assert info.end_time is not None
        assert read_run(gone.run_id).tags["lossacc.verdict"]
    assert len([line for line in caplog.messages if "Training goes on" in line]) == 2  # one a training


def test_sent_twice_it_is_there_once(here: Tracking, folder: Path) -> None:
    run_id = here.new_run()
    path = keep(here, run_id, folder)
    for _ in range(2):
        sent = send_unsent(path, keep_file=True)
    assert (sent.n_points, sent.status) == (3, "FAILED")
    assert here.count_rows(run_id) == 3
    (curve,) = read_run(run_id).curves
    np.testing.assert_array_equal(curve.value, [np.nan, np.inf, 0.5])
    assert here.client.get_run(run_id).info.end_time == 2_000


def test_a_run_that_was_ended_keeps_its_status(here: Tracking, folder: Path) -> None:
    run_id = here.new_run()
    here.client.set_terminated(run_id, "FINISHED")
    assert send_unsent(keep(here, run_id, folder)).status == "FINISHED"
    assert not folder.exists()


def test_lines_that_were_torn_do_not_cost_the_others(here: Tracking, folder: Path) -> None:
    run_id = here.new_run()
    path = keep(here, run_id, folder)
    with path.open("ab") as file:
        file.write(b'{"points":{"val_lo')
    append_entries(path, read_header(path), [RunTags({"lossacc.n_classes": "3"})])
    sent = send_unsent(path)
    assert here.client.get_run(run_id).data.tags["lossacc.n_classes"] == "3"
    assert len(sent.unreadable) == 1
    assert path.exists()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"points":{"a":{"step":[1],"value":[true],"timestamp":[1]}}}',
        b'{"points":{"a":{"step":[1,2],"value":[1],"timestamp":[1,2]}}}',
        b'{"points":{"a":{"step":[99999999999999999999],"value":[1],"timestamp":[1]}}}',
        b'{"points":[]}',
        b'{"tags":{"mlflow.user":"me"}}',
        b'{"tags":{"a":1}}',
        b'{"end":{"status":"RUNNING","end_time":1}}',
        b'{"end":{"status":[],"end_time":1}}',
        b'{"predictions":{"of":"classification","split":"../..","step":0,"tags":{},"summary":{},"samples":""}}',
        b'{"predictions":{"of":"classification","split":"test","step":0,"tags":{},"summary":{},"samples":"AAAA"}}',
        b'{"exec":"x"}',
        b"\xff\xfe",
    ],
)
def test_a_hostile_line_is_not_used(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "file.jsonl"
    append_entries(path, Header("abc", "http://localhost"), [RunEnd("FINISHED", 1)])
    with path.open("ab") as file:
        file.write(line + b"\n")
    (_, end), (_, found) = read_entries(path)
    assert isinstance(end, RunEnd)
    assert isinstance(found, Unreadable)
    assert len(found.reason) < 300


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"kind": "lossacc-unsent", "schema_version": 9, "run_id": "abc", "uri": ""}, "schema version 9"),
        ({"kind": "lossacc-unsent", "schema_version": 1, "run_id": "../abc", "uri": ""}, "none of the files"),
        ({"kind": "other", "schema_version": 1, "run_id": "abc", "uri": ""}, "none of the files"),
        ([], "none of the files"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, header: object, message: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text(json.dumps(header) + "\n")
    with pytest.raises(InputError, match=message):
        send_unsent(path)


def test_credentials_do_not_follow_a_file(here: Tracking, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "file.jsonl"
    append_entries(path, Header(here.new_run(), "http://127.0.0.1:9"), [RunEnd("FINISHED", 1)])
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with pytest.raises(InputError, match="would get the credentials"):
        send_unsent(path)


def test_no_password_is_kept() -> None:
    assert portable_uri("postgresql://me:secret@host:5432/db") == "postgresql://host:5432/db"


def test_files_that_are_not_there(here: Tracking, folder: Path) -> None:
    nothing = CliRunner().invoke(main, ["send"])
    assert (nothing.exit_code, "Nothing to send" in nothing.output) == (0, True)
    assert CliRunner().invoke(main, ["send", "elsewhere"]).exit_code == 2
    keep(here, "0" * 32, folder)
    keep(here, here.new_run(), folder)
    partly = CliRunner().invoke(main, ["send", "--no-diagnose"])
    assert partly.exit_code == 2
    assert [path.name for path in folder.iterdir()] == [f"{'0' * 32}.jsonl"]
