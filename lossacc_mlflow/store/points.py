"""Points of metrics in compact form, and the one way in which they are written: a thousand with a request."""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException
from numpy.typing import ArrayLike

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, IntArray
from lossacc_mlflow.store.connection import Connection, translated
from lossacc_mlflow.store.histories import decoded

__all__ = ["BATCH", "PointBuffer", "Points", "make_points", "write_points"]

BATCH = 1_000
"""Metrics that MLflow takes with one request."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points of some keys, in the order in which they came: 32 bytes each.

    Parameters
    ----------
    keys : tuple of str
    key : ndarray of int64, shape (n_points,)
        Index into ``keys``.
    step : ndarray of int64, shape (n_points,)
    value : ndarray of float64, shape (n_points,)
    timestamp : ndarray of int64, shape (n_points,)
        Milliseconds. Of points with the same key and step the one with the latest counts.
    """

    keys: tuple[str, ...]
    key: IntArray
    step: IntArray
    value: FloatArray
    timestamp: IntArray

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, rows: slice) -> "Points":
        return Points(self.keys, self.key[rows], self.step[rows], self.value[rows], self.timestamp[rows])

    def only(self, keys: Collection[str]) -> "Points":
        """Return the points of these keys."""
        wanted = np.array([key in keys for key in self.keys], dtype=np.bool_)
        rows = np.flatnonzero(wanted[self.key]) if len(self) else np.empty(0, np.int64)
        return Points(self.keys, self.key[rows], self.step[rows], self.value[rows], self.timestamp[rows])

    def metrics(self) -> list[Metric]:
        """Return them as MLflow wants them."""
        columns = (self.key.tolist(), self.value.tolist(), self.timestamp.tolist(), self.step.tolist())
        return [Metric(self.keys[key], value, at, step) for key, value, at, step in zip(*columns, strict=True)]

    def batches(self) -> Iterator["Points"]:
        """Cut them into as many as one request takes."""
        for start in range(0, len(self), BATCH):
            yield self[start : start + BATCH]


class PointBuffer:
    """Points that are gathered until they are taken: 28 bytes each."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._clear()

    def __len__(self) -> int:
        return len(self._key)

    def append(self, key: str, step: int, value: float, timestamp: int) -> None:
        """Take in one point."""
        place = self._places.setdefault(key, len(self._places))
        self._step.append(step)  # the one that can fail, where a step is beyond 64 bits
        self._key.append(place)
        self._value.append(value)
        self._timestamp.append(timestamp)

    def take(self) -> Points:
        """Hand all of them out, and begin anew."""
        points = Points(
            tuple(self._places),
            np.array(self._key, np.int64),
            np.array(self._step, np.int64),
            np.array(self._value, np.float64),
            np.array(self._timestamp, np.int64),
        )
        self._clear()
        return points

    def _clear(self) -> None:
        self._key, self._step, self._value, self._timestamp = array("i"), array("q"), array("d"), array("q")


def make_points(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], now: int) -> Points:
    """Make points of whole curves.

    Parameters
    ----------
    curves : mapping of str to (steps, values)
        Integers and floats, each of shape (n_points,). Of points with the same step the last one counts.
    now : int
        Milliseconds.

    Returns
    -------
    Points

    Raises
    ------
    InputError
        If steps and values do not have the same shape (n_points,), or steps are not integers.
    """
    buffer = PointBuffer()
    for key, (steps, values) in curves.items():
        step, value = np.asarray(steps), np.asarray(values, dtype=np.float64)
        is_whole = step.dtype.kind in "iu" or (
            step.dtype.kind == "f" and np.isfinite(step).all() and (step % 1 == 0).all()
        )
        if step.shape != value.shape or step.ndim != 1 or not is_whole:
            raise InputError(
                f"metric {key!r}: one integer step a value is needed; got steps of shape {step.shape} and "
                f"{step.dtype}, values of shape {value.shape}."
            )
        # MLflow does not keep the order of points with the same timestamp.
        seen: Counter[int] = Counter()
        for at, logged in zip(step.astype(np.int64).tolist(), value.tolist(), strict=True):
            buffer.append(key, at, logged, now + seen[at])
            seen[at] += 1
    return buffer.take()


def write_points(
    connection: Connection, run_id: str, points: Points, *, progress: Callable[[int], None] | None = None
) -> None:
    """Write points to a run; what is there already stays there once.

    Parameters
    ----------
    connection : Connection
    run_id : str
    points : Points
    progress : callable, optional
        Called after every request, with the number of points that it wrote.

    Raises
    ------
    StoreError
        If the store cannot be reached, or refuses.
    """
    for batch in points.batches():
        metrics = batch.metrics()
        with translated(connection.uri, f"metrics of run {run_id!r} cannot be written"):
            try:
                connection.client.log_batch(run_id, metrics=metrics, synchronous=True)
            except MlflowException as error:
                if not _says_twice(error):
                    raise
                missing = _without_known(connection, run_id, metrics)
                connection.client.log_batch(run_id, metrics=missing, synchronous=True)
        if progress is not None:
            progress(len(batch))


def _says_twice(error: MlflowException) -> bool:
    """Whether a store refuses points because they are there: MLflow 3.9 with SQLAlchemy 2.1 does not look itself."""
    return any(sign in str(error) for sign in ("UNIQUE constraint", "IntegrityError", "UniqueViolation"))


def _without_known(connection: Connection, run_id: str, metrics: Sequence[Metric]) -> list[Metric]:
    def identity(metric: Metric) -> tuple[str, int, int, str]:
        return metric.key, metric.timestamp, metric.step, repr(decoded(metric.value))

    keys = dict.fromkeys(metric.key for metric in metrics)
    there = {identity(one) for key in keys for one in connection.client.get_metric_history(run_id, key)}
    return [metric for metric in metrics if identity(metric) not in there]
