"""Points on their way to a run: kept for a moment, written in batches by a thread of their own.

The training never waits for the store. What cannot be written goes to a local file, and from there to the run as soon
as the store is back; what is in the file when the training ends is sent by ``lossacc send``.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import mlflow

from lossacc_mlflow.errors import InputError, LossaccError, StoreError
from lossacc_mlflow.store.claims import claim
from lossacc_mlflow.store.connection import portable_uri
from lossacc_mlflow.store.keeping import JudgedPredictions
from lossacc_mlflow.store.local import LocalFile
from lossacc_mlflow.store.logged import StepRange
from lossacc_mlflow.store.points import PointBuffer
from lossacc_mlflow.store.run_writer import RunWriter
from lossacc_mlflow.store.unsent import UNSENT_FOLDER, Entry, Header, RunTags
from lossacc_mlflow.wording import quote

__all__ = ["CLOSE_SECONDS", "Outbox", "as_number"]

CLOSE_SECONDS = 10.0
"""How long the end of a training waits for a store that does not answer."""

_SECONDS = 5.0  # between two writings
_RETRY_SECONDS = 10.0  # between two questions whether the store is back
_MANY = 5_000  # points that are written before their time
_TOO_MANY = 100_000  # points that go to the local file because the store is slower than the training: 3 MB
_MOST_JOBS = 2  # predictions that are judged or wait for it; each may hold 256 MiB

_log = logging.getLogger("lossacc_mlflow")
_owners = count()


def as_number(value: Any) -> float:  # noqa: ANN401  (whatever training code calls a number)
    """Make a float of whatever holds one number: Python's and numpy's, arrays and tensors of one element.

    Raises
    ------
    InputError
        If it does not.
    """
    try:
        if isinstance(value, float | int):
            return float(value)
        value = value.detach() if hasattr(value, "detach") else value
        return float(value.item() if hasattr(value, "item") else value.__float__())
    except Exception as error:
        raise InputError(f"{quote(value)} is no number.") from error


class Outbox:
    """What is to be written to one run, without the training waiting for it.

    Before the first points of a key are written, one request asks what the run holds: a curve that another logger
    writes of the same metric and split is not written a second time, and neither is the curve of a second training.

    Parameters
    ----------
    run_id : str
    tracking_uri : str, optional
        MLflow's own by default.
    folder : Path, optional
        Where a local file is made if it must be; ``lossacc-unsent`` in the current folder by default.
    """

    def __init__(self, run_id: str, *, tracking_uri: str | None = None, folder: Path | None = None) -> None:
        self.run_id = run_id
        self.tracking_uri = str(tracking_uri or mlflow.get_tracking_uri())
        self._local = LocalFile(
            Path(folder or UNSENT_FOLDER).absolute(), Header(run_id, portable_uri(self.tracking_uri))
        )
        self._pid, self._owner = os.getpid(), next(_owners)
        self._lock = threading.Lock()
        self._points, self._tags = PointBuffer(), dict[str, str]()
        self._jobs: deque[Callable[[], JudgedPredictions | None]] = deque()
        self._in_flight: Entry | None = None
        self._steps: dict[str, StepRange] = {}
        self._all_tags: dict[str, str] = {}
        self._writer = RunWriter(run_id, self.tracking_uri, self._steps, self._all_tags)
        self._wake = threading.Event()
        self._is_closing = self._is_abandoned = self._is_away = False
        self._has_warned = self._has_said_lost = False
        self._lost = ""  # why nothing could be kept
        self._first_added: float | None = None
        self._next_try = 0.0
        self._thread: threading.Thread | None = None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the values of one step.

        Parameters
        ----------
        step : int
        values : mapping of str to float
        """
        if self._is_idle:
            return
        at, now = int(step), time.time_ns() // 1_000_000
        with self._lock:
            for key, value in values.items():
                steps = self._steps.get(key)
                if steps is None and (steps := self._claim(key, at)) is None:
                    continue
                if key not in self._writer.dropped:
                    self._points.append(key, at, value, steps.add(at, now))
            n = len(self._points)
            self._first_added = self._first_added or time.monotonic()
        self._start()
        if n >= _TOO_MANY:
            self._keep_points()
        elif n and n % _MANY < len(values):
            self._wake.set()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Take in tags."""
        if self._is_idle or not tags:
            return
        with self._lock:
            self._tags.update(tags)
            self._all_tags.update(tags)
        self._start()

    def submit(self, judge: Callable[[], JudgedPredictions | None]) -> None:
        """Have predictions judged and written by the thread; waits only while there are others before them.

        Parameters
        ----------
        judge : callable
            Returns what is to be kept, or None; it should not raise.
        """
        if self._is_idle:
            return
        self._start()
        while len(self._jobs) >= _MOST_JOBS and self._is_working and not self._is_stuck():
            time.sleep(0.01)
        self._jobs.append(judge)
        self._wake.set()
        if self._is_stuck():
            self._keep_all()

    def close(self, status: str = "FINISHED") -> bool:
        """Write what is left, and stop.

        Parameters
        ----------
        status : {"FINISHED", "FAILED", "KILLED"}
            Of the run, for the local file, if there must be one.

        Returns
        -------
        bool
            Whether everything is written.
        """
        if self._is_idle:
            return self._local.path is None
        self._is_closing = True
        self._wake.set()
        started = time.monotonic()
        while self._is_working and not self._is_stuck(started):
            if self._thread is not None:
                self._thread.join(0.05)
        if self._is_working:
            self._is_abandoned = self._writer.is_stopped = True
            self._went_away(StoreError(f"the tracking store did not answer within {CLOSE_SECONDS:.0f} s"))
        elif self._thread is None:
            self._step(is_last=True)  # where no thread could be started, as at the exit of the interpreter
        self._is_abandoned = True
        if self._local.path is not None:
            self.keep_end(status)
        return self._local.path is None and not self._lost

    def keep_end(self, status: str) -> None:
        """Keep how the run ended in the local file, because the store cannot be told."""
        try:
            self._local.end(status)
        except OSError:
            _log.debug("lossacc: the end of run %s cannot be kept", self.run_id, exc_info=True)
        self._warn_once("the end of the run cannot be written")

    @property
    def is_file_there(self) -> bool:
        """Whether there is a local file."""
        return self._local.path is not None and self._local.path.exists()

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is taken in any more; in a forked process a lock may be held for ever: no lock is asked."""
        return self._is_abandoned or os.getpid() != self._pid

    @property
    def _is_working(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _is_stuck(self, since: float = 0.0) -> bool:
        """Whether a request has gone without an answer for so long, at least since a moment."""
        asked_at = self._writer.asked_at
        return asked_at is not None and time.monotonic() - max(asked_at, since) > CLOSE_SECONDS

    def _start(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    thread = threading.Thread(target=self._work, name="lossacc-outbox", daemon=True)
                    with suppress(RuntimeError):  # at the exit of the interpreter: `close` writes
                        thread.start()
                        self._thread = thread

    def _claim(self, key: str, step: int) -> StepRange | None:
        """Ask for a new key; None where another training of this process writes it."""
        if key in self._writer.dropped:
            return None
        if not claim(self.run_id, key, self._owner, step):
            self._writer.drop_second_training([key])
            return None
        return self._steps.setdefault(key, StepRange(step, step - 1))

    def _work(self) -> None:
        while not self._is_closing:
            self._wake.wait(_SECONDS)
            self._wake.clear()
            if not self._is_closing:
                self._step()
        self._step(is_last=True)

    def _step(self, *, is_last: bool = False) -> None:
        """Write what there is; or keep it, while the store is away."""
        if self._is_abandoned or not (self._points or self._tags or self._jobs or self._local.path):
            return
        if self._is_away and not is_last and time.monotonic() < self._next_try:
            self._keep_all()
            return
        try:
            connection = self._writer.connect()
            self._local.send(lambda entry: self._writer.write(connection, entry))
            for entry in self._entries(is_last=is_last):
                self._in_flight = entry
                if not self._writer.write(connection, entry):
                    self._warn_once("the files of its predictions cannot be written")
                    self._keep([entry])
                self._in_flight = None
        except Exception as error:  # noqa: BLE001  (it must not end the thread)
            if not self._is_abandoned:
                self._went_away(error)
            return
        if self._is_away and self._local.path is None:
            _log.info("lossacc: run %s: the store is back, and everything is written.", self.run_id)
        self._is_away = False

    def _entries(self, *, is_last: bool) -> Iterator[Entry]:
        """Hand out what is to be written. Other loggers get a moment to write their first points."""
        while True:
            with self._lock:
                tags, self._tags = self._tags, {}
                opened = self._first_added or 0.0
                is_due = is_last or time.monotonic() - opened >= _SECONDS
                points = self._points.take() if is_due and len(self._points) else None
                job = self._jobs[0] if self._jobs else None
            if points is not None:
                yield points
            if tags and not self._writer.is_second_training:
                yield RunTags(tags)
            if job is not None:
                judged = None if self._writer.is_second_training else job()
                with suppress(IndexError):
                    self._jobs.popleft()
                if judged is not None:
                    yield judged
            if points is None and not tags and job is None:
                return

    def _went_away(self, error: Exception) -> None:
        self._is_away, self._next_try = True, time.monotonic() + _RETRY_SECONDS
        self._keep_all()
        self._warn_once(str(error) if isinstance(error, LossaccError) else f"{type(error).__name__}: {error}")

    def _warn_once(self, reason: str) -> None:
        """Say what is wrong, and where things are kept; and once more if that fails later."""
        if self._lost and not self._has_said_lost:
            self._has_said_lost = self._has_warned = True
            _log.warning(
                "lossacc: run %s: %s Training goes on. What cannot be written cannot be kept on this machine either, "
                "and is lost: %s",
                *(self.run_id, f"{reason.rstrip('.')}.", self._lost),
            )
        if self._has_warned:
            return
        self._has_warned = True
        path = self._local.planned_path
        _log.warning(
            "lossacc: run %s: %s Training goes on. What cannot be written is kept in %s, and sent when the store is "
            "back; if that is after the training: lossacc send %s",
            *(self.run_id, f"{reason.rstrip('.')}.", path, path),
        )

    def _keep_points(self) -> None:
        """Move the points to the local file."""
        with self._lock:
            points = self._points.take()
        self._keep([points] if len(points) else [])

    def _keep_all(self) -> None:
        """Move everything to the local file."""
        with self._lock:
            entry, self._in_flight = self._in_flight, None
            points, tags, self._tags = self._points.take(), self._tags, {}
            jobs = list(self._jobs)
            self._jobs.clear()
        entries: list[Entry] = [] if entry is None else [entry]
        entries += [points] if len(points) else []
        entries += [RunTags(tags)] if tags and not self._writer.is_second_training else []
        self._keep(entries)
        for job in jobs:
            judged = job()
            self._keep([] if judged is None else [judged])

    def _keep(self, entries: list[Entry]) -> None:
        try:
            self._local.keep(entries)
        except OSError as error:
            self._lost = str(error)
