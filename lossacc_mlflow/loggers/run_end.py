"""The end of every run of this process: where what is left is written, and the run handed on to be diagnosed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from mlflow import MlflowClient

from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.shield import shielded

__all__ = ["after_every_end", "before_every_end", "before_run_ends"]

_log = logging.getLogger("lossacc_mlflow")

_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})

Before = Callable[[str, str], None]
After = Callable[[str, str, str], None]


class _Listeners:
    """What is called around the end of every run."""

    before: Before | None = None
    after: After | None = None


@dataclass(slots=True, eq=False)
class _Waiting:
    """A block of code that wants to know of runs that end within it."""

    callback: Callable[[str], None]
    is_called: bool = False


_WAITING: ContextVar[tuple[_Waiting, ...]] = ContextVar("lossacc_before_run_ends", default=())


def before_every_end(callback: Before | None) -> None:
    """Have a function called just before any run ends, while it still is running; done twice, the last one counts.

    A run ends when its status becomes FINISHED, FAILED or KILLED: at the end of a ``with mlflow.start_run()``, by
    ``mlflow.end_run``, by a client, by MLflow's autologging for a run of its own and for the child runs of a search,
    and at the exit of the interpreter. MLflow has no event for it, so the two methods of its client that do it are
    wrapped.

    Parameters
    ----------
    callback : callable, optional
        Called with run id and status, in the thread that ends the run. What it raises is one warning.
    """
    _Listeners.before = callback
    _watch()


def after_every_end(callback: After | None) -> None:
    """Have a function called once any run has ended, as `before_every_end` does before.

    Parameters
    ----------
    callback : callable, optional
        Called with run id, status and tracking URI.
    """
    _Listeners.after = callback
    _watch()


@contextmanager
def before_run_ends(callback: Callable[[str], None]) -> Iterator[None]:
    """Call a function just before a run ends within this block, in this thread.

    That is for trainings whose run is started and ended by MLflow's autologging inside the wrapped function: what is
    known only of the trained model can still be logged to it. The child runs of a search are ended in threads of
    MLflow's; those that end here carry the tag ``mlflow.parentRunId``.

    Parameters
    ----------
    callback : callable
        Called with the run's id: MLflow no longer takes the run for the active one by then. Of nested blocks the
        innermost is called first. What it raises is one warning. Runs that it ends itself are not announced to it.
    """
    _watch()
    token = _WAITING.set((*_WAITING.get(), _Waiting(callback)))
    try:
        yield
    finally:
        _WAITING.reset(token)


def _watch() -> None:
    # What each of the two does where it is not told a status.
    for name, default in (("set_terminated", "FINISHED"), ("update_run", "")):
        hooks.attach(MlflowClient, name, partial(_around_end, default))


def _around_end(
    default: str,
    below: Any,  # noqa: ANN401  (the method as it was)
    client: MlflowClient,
    run_id: str,
    status: str | None = None,
    *args: Any,  # noqa: ANN401
    **kwargs: Any,  # noqa: ANN401
) -> None:
    ending = status or default
    _before(run_id, ending)
    below(client, run_id, status, *args, **kwargs)
    _after(client, run_id, ending)


def _before(run_id: str, status: str) -> None:
    """Announce the end of a run; nothing that goes wrong here keeps it from ending."""
    if str(status).upper() not in _ENDED:
        return
    for waiting in reversed(_WAITING.get()):
        if waiting.is_called:
            continue
        waiting.is_called = True
        try:
            with shielded(f"end of run {run_id}", run_id):
                waiting.callback(run_id)
        finally:
            waiting.is_called = False
    if _Listeners.before is not None:
        with shielded(f"end of run {run_id}", run_id):
            _Listeners.before(run_id, status)


def _after(client: MlflowClient, run_id: str, status: str) -> None:
    if str(status).upper() in _ENDED and _Listeners.after is not None:
        with shielded(f"end of run {run_id}"):
            _Listeners.after(run_id, status, str(client.tracking_uri))
