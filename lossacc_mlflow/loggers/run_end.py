"""The end of every run of this process: where what is left is written, and the run handed on to be diagnosed."""

from collections.abc import Callable
from typing import Any

from mlflow import MlflowClient

from lossacc_mlflow.loggers import hooks

__all__ = ["on_run_end"]

_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


def on_run_end(before: Callable[[str, str], None], after: Callable[[str, str, str], None]) -> None:
    """Have two functions called around the end of every run.

    Parameters
    ----------
    before : callable
        Called with run id and status, while the run still is running.
    after : callable
        Called with run id, status and tracking URI.
    """

    def set_terminated(below: Any, client: MlflowClient, run_id: str, status: str | None = None, *args: Any) -> None:  # noqa: ANN401
        ending = status or "FINISHED"
        before(run_id, ending)
        below(client, run_id, status, *args)
        after(run_id, ending, str(client.tracking_uri))

    hooks.attach(MlflowClient, "set_terminated", set_terminated)
