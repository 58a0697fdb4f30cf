"""Tracking stores to test with: a database, and a server."""

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks import stores
from lossacc_mlflow.records import Artifact
from lossacc_mlflow.store.artifacts import open_artifacts
from lossacc_mlflow.store.connection import connect
from lossacc_mlflow.store.lookup import fetch_run


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
    with serve(database) as running:
        yield running


@contextmanager
def serve(database: Path, port: int | None = None) -> Iterator[Server]:
    """Run a tracking server within a block; when it ends the server is killed."""
    with stores.serve(database, port) as address:
        yield Server(address, database)


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
