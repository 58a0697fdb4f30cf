"""Points on their way to a run: kept for a moment, written in batches by a thread of their own."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from mlflow.entities import Metric

from lossacc_mlflow.store.connection import connect, translated
from lossacc_mlflow.store.keeping import JudgedPredictions, keep
from lossacc_mlflow.store.writing import set_tags

__all__ = ["Outbox", "as_numbers"]

_BATCH = 1_000  # metrics that MLflow takes in one request
_SECONDS = 5.0


def as_numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Floats of whatever holds one number each; what is None is left out."""
    return {key: float(value) for key, value in values.items() if value is not None}


class Outbox:
    """What is to be written to one run, without the training waiting for it.

    Parameters
    ----------
    run_id : str
    tracking_uri : str, optional
        MLflow's own by default.
    """

    def __init__(self, run_id: str, *, tracking_uri: str | None = None) -> None:
        self.run_id, self.tracking_uri = run_id, tracking_uri
        self._points: list[Metric] = []
        self._tags: dict[str, str] = {}
        self._lock, self._wake, self._closed = threading.Lock(), threading.Event(), False
        self._thread: threading.Thread | None = None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Take in the values of one step."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            self._points.extend(Metric(key, float(value), now, int(step)) for key, value in values.items())
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lossacc-outbox", daemon=True)
            self._thread.start()
        if len(self._points) >= _BATCH:
            self._wake.set()

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Take in tags."""
        with self._lock:
            self._tags.update(tags)

    def submit(self, judge: Callable[[], JudgedPredictions | None]) -> None:
        """Have predictions judged and written."""
        judged = judge()
        if judged is not None:
            keep(self.run_id, judged, tracking_uri=self.tracking_uri)

    def close(self, status: str = "FINISHED") -> None:
        """Write what is left, and stop."""
        del status
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._flush()

    def _work(self) -> None:
        while not self._closed:
            self._wake.wait(_SECONDS)
            self._wake.clear()
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            points, self._points = self._points, []
            tags, self._tags = self._tags, {}
        if points:
            connection = connect(self.tracking_uri)
            with translated(connection.uri, f"metrics of run {self.run_id!r} cannot be written"):
                for start in range(0, len(points), _BATCH):
                    connection.client.log_batch(self.run_id, metrics=points[start : start + _BATCH], synchronous=True)
        if tags:
            set_tags(self.run_id, tags, tracking_uri=self.tracking_uri)
