"""Data sets that `fit` takes, gone through once more batch by batch, with nothing drawn at random for good."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.loggers.random_numbers import generators_kept

__all__ = ["Batch", "Batches", "first_samples", "labels_of", "n_rows", "open_batches", "split_arrays"]

Batch = tuple[Any, Any, Any]
"""Inputs, targets and sample weights; the last two may be None."""

DEFAULT_BATCH_SIZE = 32
"""Keras' own."""


class Batches(Protocol):
    """Batches that can be gone through as often as one wants."""

    @property
    def n_samples(self) -> int | None:
        """Number of samples; None where that is not known without going through them."""

    def __iter__(self) -> Iterator[Batch]:
        """Go through all of them."""


@dataclass(frozen=True, slots=True)
class ArrayBatches:
    """Rows of arrays.

    Parameters
    ----------
    arrays : tuple of trees of arrays
        Inputs, targets, sample weights.
    batch_size : int
    rows : ndarray of int64, optional
        All by default.
    """

    arrays: Batch
    batch_size: int
    rows: NDArray[np.int64] | slice

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        if isinstance(self.rows, slice):
            return int(self.rows.stop)
        return len(self.rows)

    def __iter__(self) -> Iterator[Batch]:
        """Go through the rows."""
        for start in range(0, self.n_samples, self.batch_size):
            end = min(start + self.batch_size, self.n_samples)
            chosen = slice(start, end) if isinstance(self.rows, slice) else self.rows[start:end]
            x, y, weight = (_take(part, chosen) for part in self.arrays)
            yield _as_fitted(x), _as_fitted(y), _as_fitted(weight)


@dataclass(frozen=True, slots=True)
class DatasetBatches:
    """Batches of a `keras.utils.PyDataset`, by their number."""

    dataset: Any
    numbers: range | Sequence[int]

    @property
    def n_samples(self) -> int | None:
        """Number of samples."""
        return None

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches."""
        for number in self.numbers:
            yield _unpacked(self.dataset[number])


@dataclass(frozen=True, slots=True)
class IterableBatches:
    """Whatever yields batches each time that it is gone through: a DataLoader of PyTorch, data sets of others."""

    iterable: Any
    n_batches: int | None = None

    @property
    def n_samples(self) -> int | None:
        """Number of samples, of a DataLoader that goes through all of them."""
        dataset: Any = getattr(self.iterable, "dataset", None)
        if self.n_batches is not None or not hasattr(dataset, "__len__"):
            return None
        return len(dataset)

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches."""
        with generators_kept(self.iterable):
            for batch in islice(iter(self.iterable), self.n_batches):
                yield _unpacked(batch)


@dataclass(frozen=True, slots=True)
class KeptBatches:
    """Batches that are held in memory."""

    batches: list[Batch] = field(default_factory=list)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return sum(n_rows(batch[0]) for batch in self.batches)

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches."""
        return iter(self.batches)


def open_batches(
    x: Any,  # noqa: ANN401
    y: Any = None,  # noqa: ANN401
    sample_weight: Any = None,  # noqa: ANN401
    *,
    batch_size: int | None = None,
    n_batches: int | None = None,
) -> Batches | None:
    """Open a data set.

    Parameters
    ----------
    x, y, sample_weight
        As `fit` takes them.
    batch_size : int, optional
        Of arrays; Keras' own by default.
    n_batches : int, optional
        Where to end; all by default.

    Returns
    -------
    Batches or None
        None for what can be gone through only once, such as a generator.
    """
    if isinstance(x, keras.utils.PyDataset):
        n = x.num_batches if n_batches is None else n_batches
        return None if n is None else DatasetBatches(x, range(n))
    if _is_arrays(x):
        size = batch_size or DEFAULT_BATCH_SIZE
        n_samples = n_rows(x) if n_batches is None else min(n_rows(x), n_batches * size)
        return ArrayBatches((x, y, sample_weight), size, slice(0, n_samples))
    if isinstance(x, Iterator) or not hasattr(x, "__iter__"):
        return None
    return IterableBatches(x, n_batches)


def first_samples(batches: Batches, n_samples: int) -> Batches:
    """Choose a fixed part of a data set: evenly spaced rows of arrays, the first batches of others.

    Batches of others are held in memory: a loader that shuffles or augments would give other ones each time.

    Parameters
    ----------
    batches : Batches
    n_samples : int
        At most so many; whole batches of data sets that are no arrays.

    Returns
    -------
    Batches
    """
    if isinstance(batches, ArrayBatches):
        n = batches.n_samples
        rows = np.unique(np.linspace(0, n - 1, min(n, n_samples)).astype(np.int64))
        return ArrayBatches(batches.arrays, batches.batch_size, rows)
    kept = KeptBatches()
    for batch in batches:
        kept.batches.append(batch)
        if kept.n_samples >= n_samples:
            break
    return kept


def split_arrays(arrays: Batch, validation_split: float) -> tuple[Batch, Batch]:
    """Split arrays as Keras does: the last share of the rows is the validation data."""
    n = n_rows(arrays[0])
    at = int(n * (1.0 - validation_split))
    x, y, weight = (_take(part, slice(0, at)) for part in arrays)
    x_val, y_val, weight_val = (_take(part, slice(at, n)) for part in arrays)
    return (x, y, weight), (x_val, y_val, weight_val)


def labels_of(y: Any) -> NDArray[np.int64] | None:  # noqa: ANN401
    """Return class numbers of targets: sparse or one-hot, as one column or none; None where they are neither.

    Parameters
    ----------
    y : array-like of shape (n,), (n, 1) or (n, n_classes)

    Returns
    -------
    ndarray of int64, shape (n,), or None
    """
    targets = to_numpy(y)
    if targets.ndim == 2 and targets.shape[1] > 1:
        return np.asarray(targets.argmax(axis=1), dtype=np.int64)
    if targets.ndim == 2:
        targets = targets[:, 0]
    if targets.ndim != 1 or targets.dtype.kind not in "biuf":
        return None
    labels = targets.astype(np.int64)
    return labels if np.array_equal(labels, targets) else None


def n_rows(x: Any) -> int:  # noqa: ANN401
    """Return the number of samples of a tree of arrays."""
    return int(keras.tree.flatten(x)[0].shape[0])


def to_numpy(value: Any) -> NDArray[Any]:  # noqa: ANN401
    """Return any tensor, array, frame or series as an array."""
    if hasattr(value, "to_numpy"):
        return np.asarray(value.to_numpy())
    if hasattr(value, "toarray"):
        return np.asarray(value.toarray())
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value)


def _is_arrays(x: Any) -> bool:  # noqa: ANN401
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(
        hasattr(leaf, "shape") and hasattr(leaf, "__getitem__") and len(leaf.shape) > 0 for leaf in leaves
    )


def _take(part: Any, rows: Any) -> Any:  # noqa: ANN401
    """Return some rows of a tree of arrays."""

    def take(leaf: Any) -> Any:  # noqa: ANN401
        if leaf is None:
            return None
        return leaf.iloc[rows] if hasattr(leaf, "iloc") else leaf[rows]

    return None if part is None else keras.tree.map_structure(take, part)


def _unpacked(batch: Any) -> Batch:  # noqa: ANN401
    x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
    return _as_fitted(x), _as_fitted(y), _as_fitted(weight)


def _as_fitted(part: Any) -> Any:  # noqa: ANN401
    """Return a tree as `fit` hands it to the model."""
    return None if part is None else keras.tree.map_structure(_converted, part)


def _converted(leaf: Any) -> Any:  # noqa: ANN401
    """Tensors of the backend stay where they are; anything else becomes an array of Keras' precision."""
    if leaf is None or keras.ops.is_tensor(leaf):
        return leaf
    array = to_numpy(leaf)
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array
