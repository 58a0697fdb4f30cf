"""Tracking stores to test with: a database, and a server."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from mlflow import MlflowClient

from lossacc_mlflow.records import Artifact
from lossacc_mlflow.store.artifacts import open_artifacts
from lossacc_mlflow.store.connection import connect
from lossacc_mlflow.store.lookup import fetch_run

START_SECONDS = 90


@dataclass(frozen=True)
class Tracking:
    """A tracking store to test with: its URI, and the database behind it."""

    uri: str
    database: Path
    experiment_id: str

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def new_run(self, name: str = "net", **tags: str) -> str:
        return str(self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id)

    def files(self, run_id: str) -> dict[str, bytes]:
        """The artifacts as they lie on the disk."""
        uri = str(self.client.get_run(run_id).info.artifact_uri)
        served = self.database.parent / "artifacts" / uri.removeprefix("mlflow-artifacts:/")
        folder = served if uri.startswith("mlflow-artifacts:") else Path(uri)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def count_rows(self, run_id: str) -> int:
        with closing(sqlite3.connect(self.database)) as database:
            return int(database.execute("SELECT count(*) FROM metrics WHERE run_uuid = ?", (run_id,)).fetchone()[0])


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it; making one takes a second, copying it none."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def sqlite_store(empty_database: Path, tmp_path: Path) -> Tracking:
    database = Path(shutil.copy(empty_database, tmp_path / "mlflow.db"))
    uri = f"sqlite:///{database}"
    experiment_id = MlflowClient(uri).create_experiment("digits", artifact_location=str(tmp_path / "artifacts"))
    return Tracking(uri, database, experiment_id)


@pytest.fixture
def here(sqlite_store: Tracking, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    """The store as MLflow's own, as training code sees it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store.uri)
    return sqlite_store


@dataclass(frozen=True)
class Server:
    """A running tracking server: its address, and the database behind it (faster to fill than through the server)."""

    url: str
    database: Path

    @property
    def store_uri(self) -> str:
        return f"sqlite:///{self.database}"


@pytest.fixture(scope="session")
def server(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A tracking server with an artifact store of its own."""
    folder = tmp_path_factory.mktemp("server")
    database = Path(shutil.copy(empty_database, folder / "mlflow.db"))
    with serve(database, free_port()) as running:
        yield running


def free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(database: Path, port: int) -> Iterator[Server]:
    """Run a tracking server within a block; when it ends the server is killed."""
    folder = database.parent
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(folder / "artifacts")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/health", process, folder / "log")
        yield Server(address, database)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its graceful end takes long, and nothing of it is needed any more
        process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(address, timeout=1):  # noqa: S310  (our own server)
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"the tracking server did not start within {START_SECONDS} s:\n{log.read_text()[-2000:]}")


@pytest.fixture
def http_store(server: Server, request: pytest.FixtureRequest) -> Tracking:
    experiment_id = MlflowClient(server.url).create_experiment(f"{request.node.name} {time.time_ns()}")
    return Tracking(server.url, server.database, experiment_id)


@pytest.fixture(params=["sqlite_store", "http_store"])
def tracking(request: pytest.FixtureRequest) -> Tracking:
    store: Tracking = request.getfixturevalue(request.param)
    return store


def log_artifacts(run_id: str, artifacts: Iterable[Artifact], *, tracking_uri: str | None = None) -> None:
    """Put files into a run, as our own writers do."""
    connection = connect(tracking_uri)
    files = {artifact.path: artifact.body for artifact in artifacts}
    open_artifacts(connection, fetch_run(connection, run_id)).write(files)
