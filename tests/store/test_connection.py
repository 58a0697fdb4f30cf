import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import mlflow
import pytest
from packaging.version import Version

from lossacc_mlflow.errors import StoreError
from lossacc_mlflow.records import RunData, RunUpdate
from lossacc_mlflow.store import find_run_ids, read_run, write_update
from tests.conftest import Tracking


def failure(uri: str) -> str:
    start = time.monotonic()
    with pytest.raises(StoreError) as caught:
        read_run("0" * 32, tracking_uri=uri)
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_server_that_is_not_there() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        message = failure(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert "no tracking server answers" in message
    assert "connection refused" in message


def test_a_server_that_never_answers() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        message = failure(f"http://user:secret@127.0.0.1:{silent.getsockname()[1]}")
    assert "no answer within 5 s" in message
    assert "secret" not in message


def test_a_host_that_does_not_exist() -> None:
    assert "no tracking server answers at https://nosuch.invalid" in failure("https://nosuch.invalid")


class _Refusing(BaseHTTPRequestHandler):
    status = 403

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else self.status)
        self.end_headers()
        self.wfile.write(b"<html>\nForbidden\n</html>")

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """What stands before many a server: a proxy that lets nobody through."""
    handler = type("Handler", (_Refusing,), {"status": request.param})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("refusing_server", [401, 403], indirect=True)
def test_permission_refused(refusing_server: str) -> None:
    assert "permission refused; check MLFLOW_TRACKING_USERNAME" in failure(refusing_server)


@pytest.mark.parametrize("refusing_server", [200], indirect=True)
def test_a_web_server_of_another_kind(refusing_server: str) -> None:
    assert "JSON" in failure(refusing_server)


def test_a_missing_database_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "mlflow.db"
    assert f"there is no file '{path}'" in failure(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="there is no file"):
        write_update(RunData("r", "r"), RunUpdate(), tracking_uri=f"sqlite:///{path}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no database at all" * 99])
def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(content)
    message = failure(f"sqlite:///{path}")
    assert "not one of MLflow's" in message or "not a database" in message
    assert path.read_bytes() == content


def test_a_database_of_another_version_is_not_upgraded(sqlite_store: Tracking) -> None:
    with closing(sqlite3.connect(sqlite_store.database)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
    before = sqlite_store.database.read_bytes()
    message = failure(sqlite_store.uri)
    assert "schema version 451aebb31d03" in message
    assert "mlflow db upgrade" in message
    assert sqlite_store.database.read_bytes() == before


@pytest.mark.parametrize(
    "uri",
    ["nonsense://host", "http://", "sqlite:/one-slash", "postgresql://user:secret@127.0.0.1:1/db", "://", "mysql://["],
)
def test_uris_that_lead_nowhere(uri: str) -> None:
    assert "secret" not in failure(uri)


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "there is no folder" in failure((tmp_path / "mlruns").as_uri())
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(Version(mlflow.__version__) < Version("3.13"), reason="older MLflow reads folders")
def test_a_folder_store(tmp_path: Path) -> None:
    assert "migrate to a database" in failure(tmp_path.as_uri())


def test_the_default_store_is_mlflows(sqlite_store: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_store.uri)
    run_id = sqlite_store.new_run()
    assert find_run_ids("digits") == (run_id,)
