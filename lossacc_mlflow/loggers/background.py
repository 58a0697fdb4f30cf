"""Runs that ended, diagnosed one after another off the training's path."""

import atexit
import logging
import os
import shlex
import time
from collections.abc import Callable, Sequence
from multiprocessing import parent_process
from threading import Condition, Thread
from typing import NamedTuple

import mlflow  # noqa: F401  (at exit it ends the run that is open: after our exit, because it is imported before)

from lossacc_mlflow.errors import StoreError
from lossacc_mlflow.wording import without_password

__all__ = ["QUEUE", "DiagnosisQueue", "EndedRun", "wait_for_diagnoses"]

_log = logging.getLogger("lossacc_mlflow")

_SECONDS_BETWEEN_WORDS = 3.0
_SECONDS_WITHOUT_STORE = 60.0


class EndedRun(NamedTuple):
    """A run that ended.

    Parameters
    ----------
    run_id : str
    tracking_uri : str
    forked : int
        When this process was forked, in milliseconds of the epoch: runs that started before are its parent's.
    """

    run_id: str
    tracking_uri: str
    forked: int = 0


class DiagnosisQueue:
    """One thread that diagnoses runs as they end; what is left is done at the exit of the interpreter.

    Parameters
    ----------
    diagnose : callable
        Diagnoses one run and writes to it. It raises `StoreError` where the store does not answer, and nothing else;
        runs of such a store are not tried for a minute.
    """

    def __init__(self, diagnose: Callable[[EndedRun], None]) -> None:
        self.diagnose = diagnose
        self._thread: Thread | None = None
        self._start_anew(0)

    def put(self, run_id: str, tracking_uri: str) -> None:
        """Have a run diagnosed: in the background, or at once where this process may be gone any moment."""
        run = EndedRun(run_id, tracking_uri, self._forked)
        if self._is_exiting or parent_process() is not None:
            self._diagnose_at_once(run)
            return
        with self._changed:
            self._waiting[run] = None
            if self._thread is None:
                self._thread = Thread(target=self._work, name="lossacc-diagnosis", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    @property
    def n_pending(self) -> int:
        """Number of runs that ended and are not diagnosed yet."""
        return len(self._waiting) + (self._current is not None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every run that ended is diagnosed, and say every few seconds how many are left.

        Parameters
        ----------
        timeout : float, optional
            In seconds; as long as it takes by default.

        Returns
        -------
        bool
            Whether none is left.
        """
        end = float("inf") if timeout is None else time.monotonic() + timeout
        word = time.monotonic() + _SECONDS_BETWEEN_WORDS
        with self._changed:
            while self.n_pending and (now := time.monotonic()) < end:
                if now >= word:
                    _log.info("lossacc: diagnosing %s ...", _runs(self.n_pending, "more "))
                    word = now + _SECONDS_BETWEEN_WORDS
                self._changed.wait(min(word, end) - now)
            is_done = not self.n_pending
        if is_done:
            self._say_missed()
        return is_done

    def finish(self) -> None:
        """Diagnose what is left; when interrupted, say what is not. Runs that end later are diagnosed at once."""
        self._is_exiting = True
        try:
            self.wait()
        except KeyboardInterrupt:
            self._give_up()

    def forget(self) -> None:
        """Drop everything, in a process that was forked: its parent diagnoses what is here."""
        self._start_anew(time.time_ns() // 1_000_000)

    def _start_anew(self, forked: int) -> None:
        self._forked = forked
        self._changed = Condition()
        self._waiting: dict[EndedRun, None] = {}
        self._current: EndedRun | None = None
        self._thread = None
        self._missed: dict[EndedRun, str] = {}  # and why
        self._without_store: dict[str, tuple[float, str]] = {}  # by URI: until when it is not tried, and why
        self._is_exiting = self._is_interrupted = False

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                self._current = run = next(iter(self._waiting))
                del self._waiting[run]
            is_news = self._try(run)
            with self._changed:
                self._current = None
                is_done = not self._waiting
                self._changed.notify_all()
            if is_news and is_done:
                self._say_missed()

    def _diagnose_at_once(self, run: EndedRun) -> None:
        if self._is_interrupted:
            self._missed[run] = "interrupted"
        else:
            try:
                self._try(run)
            except KeyboardInterrupt:
                self._is_interrupted = True
                self._missed[run] = "interrupted"
        self._say_missed()

    def _try(self, run: EndedRun) -> bool:
        """Diagnose a run; returns whether a trouble has come up that nothing was said of yet."""
        until, reason = self._without_store.get(run.tracking_uri, (0.0, ""))
        is_known = bool(reason)
        if time.monotonic() >= until:
            try:
                self.diagnose(run)
            except StoreError as error:
                reason = str(error)
                self._without_store[run.tracking_uri] = (time.monotonic() + _SECONDS_WITHOUT_STORE, reason)
            else:
                self._without_store.pop(run.tracking_uri, None)
                return False
        self._missed[run] = reason
        return not is_known

    def _give_up(self) -> None:
        self._is_interrupted = True
        with self._changed:
            left = [*([self._current] if self._current is not None else []), *self._waiting]
            self._waiting.clear()
        self._missed |= dict.fromkeys(left, "interrupted")
        self._say_missed()

    def _say_missed(self) -> None:
        """Say in one warning a store which runs were not diagnosed, and how to do it later."""
        missed, self._missed = self._missed, {}
        for uri in dict.fromkeys(run.tracking_uri for run in missed):
            of_uri = {run.run_id: reason for run, reason in missed.items() if run.tracking_uri == uri}
            reason = next(iter(of_uri.values())).rstrip(".")
            _log.warning(
                "lossacc: %s not diagnosed: %s. To do it later: %s",
                _runs(len(of_uri)),
                reason,
                _command([*of_uri], uri),
            )


def _runs(count: int, kind: str = "") -> str:
    return f"1 {kind}run" if count == 1 else f"{count:,} {kind}runs"


def _command(run_ids: Sequence[str], tracking_uri: str) -> str:
    return f"lossacc diagnose {' '.join(run_ids)} --write --tracking-uri {shlex.quote(without_password(tracking_uri))}"


def _diagnose_by_default(run: EndedRun) -> None:
    from lossacc_mlflow.loggers.diagnosis import diagnose_ended_run  # noqa: PLC0415  (heavy, and not for now)
    from lossacc_mlflow.settings import Settings  # noqa: PLC0415

    diagnose_ended_run(run, Settings())


QUEUE = DiagnosisQueue(_diagnose_by_default)
"""The one of this process."""

atexit.register(QUEUE.finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=QUEUE.forget)


def wait_for_diagnoses(timeout: float | None = None) -> bool:
    """Wait until every run that ended is diagnosed, as before one compares them in the same script.

    At the exit of the interpreter that is done anyway.

    Parameters
    ----------
    timeout : float, optional
        In seconds; as long as it takes by default.

    Returns
    -------
    bool
        Whether none is left.
    """
    return QUEUE.wait(timeout)
