"""Runs that ended, diagnosed one after another off the training's path."""

import atexit
import queue
import threading

from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.pipeline import diagnose

__all__ = ["DiagnosisQueue"]


class DiagnosisQueue:
    """One thread that diagnoses runs as they end; what is left is done at the exit of the interpreter."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_exiting = False
        atexit.register(self.finish)

    def put(self, run_id: str, tracking_uri: str) -> None:
        """Have a run diagnosed; at once, where the interpreter exits."""
        if self._is_exiting:
            self._diagnose(run_id, tracking_uri)
            return
        self._queue.put((run_id, tracking_uri))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lossacc-diagnosis", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait until every run is diagnosed."""
        self._is_exiting = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            self._diagnose(*item)

    def _diagnose(self, run_id: str, tracking_uri: str) -> None:
        with shielded(f"diagnosis of run {run_id}", run_id):
            diagnose(run_id, write=True, tracking_uri=tracking_uri)
