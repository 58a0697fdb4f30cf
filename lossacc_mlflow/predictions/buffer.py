"""Predictions that come batch by batch: gathered, in bounded memory, to be read as often as needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossacc_mlflow.blocks import block_size
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions.inputs import check_weight
from lossacc_mlflow.predictions.probabilities import probability_array
from lossacc_mlflow.records import FloatArray

__all__ = ["MAX_BYTES", "PredictionBuffer"]

MAX_BYTES = 1 << 28
"""Probabilities that are held in memory; more of them go to a temporary file."""


@dataclass(slots=True)
class _Part:
    """Some rows: their probabilities, or where these lie in the file."""

    y_true: NDArray[Any]
    weight: FloatArray | None
    proba: NDArray[Any] | None
    start: int = 0


class PredictionBuffer:
    """Labels and predictions of many batches, copied as they come.

    Iterating yields blocks ``(y_true, y_proba)``, or ``(y_true, y_proba, sample_weight)``, in the order in which they
    were added and as often as one likes: what `summarize_predictions` and `log_predictions` take. Up to ``max_bytes``
    of probabilities stay in memory, more go to a temporary file that vanishes with the buffer; labels and weights
    (8 bytes a sample each) always stay. Blocks are read from the file, not mapped: what was read takes no memory.

    Parameters
    ----------
    max_bytes : int

    Examples
    --------
    >>> buffer = PredictionBuffer()
    >>> buffer.add([0], [[0.9, 0.1]])
    >>> buffer.add([1, 1], [[0.2, 0.8], [0.6, 0.4]])
    >>> len(buffer), [y_true.tolist() for y_true, _ in buffer]
    (3, [[0, 1, 1]])
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes, self._n_bytes, self._n_rows, self._n_pending = max_bytes, 0, 0, 0
        self._dtype: np.dtype[Any] = np.dtype(np.float64)
        self._shape: tuple[int, ...] = ()
        self._is_weighted = False
        self._parts: list[_Part] = []
        self._pending: list[_Part] = []
        self._file: FileIO | None = None
        self._lock = Lock()

    def add(self, y_true: ArrayLike, y_proba: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Take in a copy of some rows.

        Parameters
        ----------
        y_true : array-like of shape (n_rows,)
        y_proba : array-like of shape (n_rows, n_classes) or (n_rows,)
            Kept in the floating type of the first batch (float16, float32 or float64).
        sample_weight : array-like of shape (n_rows,), optional

        Raises
        ------
        PredictionsError
            If the shapes do not fit together, or differ from those of the earlier rows.
        """
        proba, truth = probability_array(y_proba), np.array(y_true)
        if truth.ndim == 2 and truth.shape[1] == 1:
            truth = truth[:, 0]
        if truth.shape != (len(proba),):
            raise PredictionsError(
                f"y_true has shape {truth.shape}, y_proba has {len(proba)} rows: give one class label a row."
            )
        weight = None if sample_weight is None else check_weight(np.array(sample_weight, np.float64), len(truth))
        if self._n_rows == 0:
            self._dtype = proba.dtype if proba.dtype.kind == "f" else np.dtype(np.float64)
            self._shape, self._is_weighted = proba.shape[1:], weight is not None
        self._check_like_first(proba, weight)
        with self._lock:
            # A copy: frameworks write the next batch into the same memory.
            self._pending.append(_Part(truth, weight, np.array(proba, self._dtype, order="C")))
            self._n_pending += len(truth)
            self._n_rows += len(truth)
            if self._n_pending >= block_size(self._width):
                self._pack()

    def arrays(self, *, release: bool = False) -> tuple[NDArray[Any], NDArray[Any], FloatArray | None]:
        """Return all rows in one piece: labels, predictions, and weights or None.

        Parameters
        ----------
        release : bool
            Whether to forget the rows on the way, so that they are not in memory twice.

        Raises
        ------
        PredictionsError
            If there are none.
        """
        n = len(self)
        if not n:
            raise PredictionsError("there are no predictions: give at least one sample.")
        proba = np.empty((n, *self._shape), self._dtype)
        truth, weights, start = [], [], 0
        for y_true, y_proba, *weight in self:
            proba[start : start + len(y_true)] = y_proba
            truth.append(y_true)
            weights += weight
            start += len(y_true)
            if release:
                self._parts[len(truth) - 1].proba = np.empty(0)
        if release:
            self.close()
        return np.concatenate(truth), proba, np.concatenate(weights) if weights else None

    @property
    def is_spooled(self) -> bool:
        """Whether the probabilities lie in a temporary file."""
        with self._lock:
            self._pack()
            return self._file is not None

    def close(self) -> None:
        """Forget everything, and delete the temporary file."""
        with self._lock:
            self._parts, self._pending, self._n_rows, self._n_pending, self._n_bytes = [], [], 0, 0, 0
            if self._file is not None:
                self._file.close()
                self._file = None

    def __len__(self) -> int:
        return self._n_rows

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        with self._lock:
            self._pack()
            parts = list(self._parts)
        for part in parts:
            proba = self._read(part) if part.proba is None else part.proba
            yield (part.y_true, proba) if part.weight is None else (part.y_true, proba, part.weight)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _width(self) -> int:
        return self._shape[0] if self._shape else 1

    def _check_like_first(self, proba: NDArray[Any], weight: FloatArray | None) -> None:
        if proba.shape[1:] != self._shape:
            raise PredictionsError(
                f"these probabilities have shape {proba.shape}, those before them (n_rows, {self._width}): give the "
                "same classes in every batch."
            )
        if (weight is not None) != self._is_weighted:
            raise PredictionsError("some batches have weights and others do not: give them in all, or in none.")

    def _pack(self) -> None:
        """Make one block of the small ones that came; move all to the file where they are too many for memory."""
        if not self._pending:
            return
        pending, self._pending, self._n_pending = self._pending, [], 0
        weights = [part.weight for part in pending if part.weight is not None]
        proba = np.concatenate([part.proba for part in pending if part.proba is not None])
        block = _Part(np.concatenate([part.y_true for part in pending]), None, proba)
        block.weight = np.concatenate(weights) if weights else None
        self._parts.append(block)
        self._n_bytes += proba.nbytes
        if self._n_bytes <= self._max_bytes:
            return
        if self._file is None:
            self._file = TemporaryFile(buffering=0, prefix="lossacc-")  # noqa: SIM115  (closed by close)
        for part in self._parts:
            if part.proba is not None:
                part.start = self._file.seek(0, 2)
                part.proba.tofile(self._file)
                part.proba = None

    def _read(self, part: _Part) -> NDArray[Any]:
        with self._lock:
            if self._file is None:
                raise PredictionsError("the predictions were closed before they were read.")
            self._file.seek(part.start)
            values = np.fromfile(self._file, self._dtype, len(part.y_true) * self._width)
        return values.reshape(len(part.y_true), *self._shape)
