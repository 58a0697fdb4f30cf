"""Labels and probabilities in blocks of rows, tiles of them, two threads to work on them, and operations over classes.

Numpy is fast along the longest axis: few classes are laid out one class a line, many classes one sample a line. Work on
single probabilities happens in float32 where the input has no more than that (float16 is widened), in float64
otherwise; what is kept of a sample is float64.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["Block", "Floats", "Tile", "block_size", "dot", "in_order", "make_tiles", "working_type"]

Floats = NDArray[np.floating[Any]]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_BLOCK_ROWS = 1 << 16
_BLOCK_ENTRIES = 1 << 23
_FEW_CLASSES = 64
_ENTRIES = 1 << 19
"""Entries of a tile: in smaller ones, threads wait for the interpreter's lock more than they compute."""

_N_THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some rows of the input, in its order.

    Parameters
    ----------
    start : int
        How many rows came before.
    y_true : ndarray of int64, shape (n_rows,)
        Index of the true class.
    y_proba : ndarray of shape (n_rows, n_classes)
        As it came, of any numeric type.
    weight : ndarray of float64, shape (n_rows,), or None
    """

    start: int
    y_true: IntArray
    y_proba: NDArray[Any]
    weight: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.y_true)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A few rows of a matrix, laid out for speed.

    Parameters
    ----------
    rows : slice
        Of the matrix it was cut from.
    values : ndarray
        Shape (n_classes, n_rows) if ``by_class``, else (n_rows, n_classes); may be a view of the input: read only.
    by_class : bool
    """

    rows: slice
    values: Floats
    by_class: bool

    def __len__(self) -> int:
        return int(self.values.shape[1 if self.by_class else 0])

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return int(self.values.shape[0 if self.by_class else 1])

    def total(self, values: Floats) -> FloatArray:
        """Sum over the classes, shape (n_rows,)."""
        return np.asarray(values.sum(axis=0 if self.by_class else 1), np.float64)

    def dot(self, a: Floats, b: Floats) -> FloatArray:
        """Sum of the products over the classes, shape (n_rows,)."""
        if self.by_class:
            return np.asarray(np.einsum("kr,kr->r", a, b), np.float64)
        return np.asarray(_dot_rows(a, b), np.float64)

    def spread(self, per_row: NDArray[Any]) -> NDArray[Any]:
        """Bring one number a row into a shape that broadcasts, in the type of the values."""
        per_row = per_row.astype(self.values.dtype, copy=False)
        return per_row[None, :] if self.by_class else per_row[:, None]

    def take(self, values: Floats, classes: IntArray) -> FloatArray:
        """Pick one class of every row, shape (n_rows,)."""
        rows = np.arange(len(self))
        return (values[classes, rows] if self.by_class else values[rows, classes]).astype(np.float64)

    def argmax(self) -> IntArray:
        """Find the first class of the largest value of every row, shape (n_rows,)."""
        if not self.by_class:
            return np.asarray(self.values.argmax(axis=1), np.int64)
        best, place = self.values[0].copy(), np.zeros(len(self), dtype=np.int64)
        for k, values in enumerate(self.values[1:], start=1):
            np.copyto(place, k, where=values > best)
            np.maximum(best, values, out=best)
        return place


def working_type(dtype: np.dtype[Any]) -> type[np.floating[Any]]:
    """Return the type in which single probabilities are worked on.

    Examples
    --------
    >>> [working_type(np.dtype(t)).__name__ for t in ("f2", "f4", "f8", "i8", "?")]
    ['float32', 'float32', 'float64', 'float64', 'float64']
    """
    return np.float32 if dtype in (np.float16, np.float32) else np.float64


def make_tiles(matrix: NDArray[Any]) -> Iterator[Tile]:
    """Cut a matrix into tiles, in the order of its rows; what is no copy of a tile is a view.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_classes)
        Of any numeric type and memory order.
    """
    n, n_classes = matrix.shape
    by_class, dtype = n_classes <= _FEW_CLASSES, working_type(matrix.dtype)
    size = max(1, _ENTRIES // n_classes)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        part = matrix[rows].T if by_class else matrix[rows]
        yield Tile(rows, np.ascontiguousarray(part, dtype=dtype), by_class)


def block_size(n_classes: int) -> int:
    """How many rows are worked on together, so that memory is bounded whatever the number of classes."""
    return max(1, min(_BLOCK_ROWS, _BLOCK_ENTRIES // n_classes))


def in_order(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Apply a function to every item, two at a time in threads; results come in the order of the items.

    Numpy works without the interpreter's lock, and what comes out does not depend on which thread was faster. At most
    three items are held at once.

    Examples
    --------
    >>> list(in_order(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    with ThreadPoolExecutor(_N_THREADS) as pool:
        waiting: deque[Future[_Result]] = deque(pool.submit(function, item) for item in first)
        for item in items:
            waiting.append(pool.submit(function, item))
            yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def dot(a: FloatArray, b: FloatArray) -> float:
    """Sum the products of two columns; BLAS would wake threads of its own for it, beside those of other blocks.

    Examples
    --------
    >>> dot(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    return float(np.einsum("i,i->", a, b))


def _dot_rows(a: Floats, b: Floats) -> Floats:
    if hasattr(np, "vecdot"):  # numpy >= 2.0
        product: Floats = np.vecdot(a, b)
        return product
    summed: Floats = np.einsum("ij,ij->i", a, b)
    return summed
