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

__all__ = ["serve", "use_database"]

_START_SECONDS = 90


def use_database(folder: Path) -> str:
    """Have MLflow in this process log to a database in a folder; makes it where there is none.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        The tracking URI.
    """
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    if client.get_experiment_by_name("benchmark") is None:
        client.create_experiment("benchmark", artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment("benchmark")
    return uri


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the database of a folder, over HTTP on this machine.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    str
        The tracking URI.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", use_database(folder), "--artifacts-destination", str(folder / "served")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"{address}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=1):  # noqa: S310  (our own server)
            return True
    except OSError:
        return False
