"""Tracking stores of the benchmarks' own: a database in a folder, and a server before it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.request import urlopen

import mlflow
from mlflow import MlflowClient

__all__ = ["free_port", "serve", "use_database"]

_START_SECONDS = 90


def use_database(folder: Path) -> Path:
    """Have MLflow in this process log to a database in a folder; makes it where there is none.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path
        Of the database.
    """
    database = folder / "mlflow.db"
    uri = f"sqlite:///{database}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    if client.get_experiment_by_name("benchmark") is None:
        client.create_experiment("benchmark", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("benchmark")
    return database


def free_port() -> int:
    """Find a port of this machine that nobody listens on."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(database: Path, port: int | None = None) -> Iterator[str]:
    """Run a tracking server within a block, over HTTP on this machine; when the block ends the server is killed.

    Parameters
    ----------
    database : Path
        Of sqlite. Artifacts go to the folder ``artifacts`` beside it.
    port : int, optional
        A free one by default.

    Yields
    ------
    str
        The tracking URI.

    Raises
    ------
    RuntimeError
        If it does not start.
    """
    folder, address = database.parent, f"http://127.0.0.1:{port or free_port()}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"{address}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the tracking server did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its graceful end takes long, and nothing of it is needed any more
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=1):  # noqa: S310  (our own server)
            return True
    except OSError:
        return False
