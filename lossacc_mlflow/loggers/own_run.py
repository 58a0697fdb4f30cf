"""The run that a training is logged to: the active one, or one of our own, which we end."""

import logging
from collections.abc import Callable, Mapping

import mlflow
from mlflow.tracking.fluent import _active_run_stack

from lossacc_mlflow import store

__all__ = ["end_own_run", "end_status", "find_run", "start_own_run"]

_log = logging.getLogger("lossacc_mlflow")


def find_run() -> tuple[str, bool]:
    """Return the id of the active run, or of a new one, and whether it is new.

    Raises
    ------
    StoreError
        As `start_own_run`.
    """
    active = mlflow.active_run()
    if active is not None:
        return str(active.info.run_id), False
    return start_own_run(), True


def start_own_run(tags: Mapping[str, str] | None = None) -> str:
    """Start a run, which becomes the active one, and return its id.

    Parameters
    ----------
    tags : mapping of str to str, optional

    Raises
    ------
    StoreError
        If the server does not answer; MLflow would try for minutes.
    """
    store.check_server()
    return str(mlflow.start_run(tags=None if tags is None else dict(tags)).info.run_id)


def end_status(error: BaseException | None) -> str:
    """How a run ends whose training ended so: FINISHED, KILLED by a person, or FAILED.

    Parameters
    ----------
    error : BaseException or None
        What the training raised.
    """
    if error is None:
        return "FINISHED"
    return "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"


def end_own_run(
    run_id: str,
    status: str,
    keep_end: Callable[[str], None],
    *,
    tracking_uri: str | None = None,
    is_reachable: bool = True,
) -> None:
    """End a run that we started; where the store is gone, how it ended is kept on this machine.

    Parameters
    ----------
    run_id : str
    status : {"FINISHED", "FAILED", "KILLED"}
    keep_end : callable
        Takes the status where the store cannot be told it.
    tracking_uri : str, optional
        MLflow's own by default.
    is_reachable : bool
        Whether the store answered just now: else it is not asked.
    """
    # A run that MLflow does not think active here is ended by its id: the thread, or the fluent state, is another.
    stack = _active_run_stack.get()
    is_active = bool(stack) and stack[-1].info.run_id == run_id
    if is_reachable:
        try:
            store.check_server(tracking_uri)
            if is_active:
                mlflow.end_run(status)
            else:
                mlflow.MlflowClient(tracking_uri).set_terminated(run_id, status)
        except Exception:  # noqa: BLE001  (whatever a store raises)
            _log.debug("lossacc: run %s cannot be ended", run_id, exc_info=True)
        else:
            return
    if stack and stack[-1].info.run_id == run_id:
        stack.pop()  # `mlflow.end_run` would ask the store for minutes
    keep_end(status)
