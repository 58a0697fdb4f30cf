"""Prediction files -> labels and probabilities in blocks of rows, however large the file is."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.files.columns import Block, Column, RowSource, Texts, place, refuse
from lossacc_mlflow.files.labels import LabelEncoder, canonical_label, distinct_labels, find_classes
from lossacc_mlflow.files.npz import NpzSource
from lossacc_mlflow.files.tables import CsvSource, ParquetSource
from lossacc_mlflow.wording import quote

__all__ = ["PredictionFile", "Progress", "read_prediction_file"]

_SOURCES: dict[str, Callable[[Path], RowSource]] = {
    ".npz": NpzSource,
    ".parquet": ParquetSource,
    ".csv": CsvSource,
}
_WANTED = "'y_true' with {}, or 'y_true', 'y_pred' and 'confidence' (and 'p_true', if you have it)"
_PREFIX = "proba_"
_BLOCK_ENTRIES = 1 << 20
_MAX_BLOCK_ROWS = 1 << 17
_KEPT_ENTRIES = 1 << 22
"""Files of at most so many numbers are read once and kept: a text file is slow to read again."""

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the rows of this pass that have been read, and how many there are (None: unknown)."""


def read_prediction_file(
    path: Path, *, labels: Sequence[str] | None = None, progress: Progress | None = None
) -> "PredictionFile":
    """Open a prediction file; rows are read where they are asked for.

    An .npz file holds ``y_true`` (n,) and ``y_proba`` (n, n_classes), or (n,) for two classes: the probability of the
    second one; optional are ``sample_id`` (n,) and ``labels`` (n_classes,). A .csv or .parquet file has the columns
    ``y_true`` and ``proba_0``, ``proba_1``, ... or ``proba_<class>``, or ``proba`` for two classes. Any of them may
    instead hold ``y_true``, ``y_pred``, ``confidence`` and, if it is known, ``p_true``. Everything else is ignored.

    Labels are classes by name where the classes have names (``labels``, or the columns' names), by value where
    these names are integers, and else 0 to n_classes - 1. Words without names given are matched to the columns in
    sorted order, as scikit-learn does, if there are as many of them as columns.

    Parameters
    ----------
    path : Path
        A .npz, .parquet or .csv file (whose separator may also be ``;`` or a tab).
    labels : sequence of str, optional
        The class of each column; stands above what the file says.
    progress : callable, optional

    Returns
    -------
    PredictionFile

    Raises
    ------
    PredictionFileError
        If the file cannot be read or used; the message says why and what to do. What is wrong in a row is raised
        where that row is read.
    """
    suffix = path.suffix.lower()
    if suffix not in _SOURCES:
        raise refuse(path, f"its suffix {suffix!r} is unknown; known are {', '.join(_SOURCES)}.")
    if not path.is_file():
        problem = "it is a directory" if path.is_dir() else "it does not exist"
        raise refuse(path, f"{problem}; give a file ({', '.join(_SOURCES)}).")
    if not path.stat().st_size:
        raise refuse(path, "it is empty.")
    return PredictionFile(_SOURCES[suffix](path), labels, progress)


class PredictionFile:
    """Labels and predictions of one file, to be iterated over as often as needed.

    Iterating yields blocks of rows: ``(y_true, y_proba)`` with ``y_proba`` of shape (n_rows, n_classes), or (n_rows,)
    where only the second of two classes is given; or ``(y_true, y_pred, confidence[, p_true])`` where
    `has_probabilities` is False. Labels are int64 indices of the classes, probabilities keep their floating dtype.

    Attributes
    ----------
    path : Path
    has_probabilities : bool
        Whether the probability of every class is known.
    n_classes : int
    classes : tuple of str or None
        Names of the classes; None where they are only numbered.
    n_rows : int or None
        None where only reading tells.
    """

    def __init__(self, source: RowSource, labels: Sequence[str] | None, progress: Progress | None) -> None:
        self._source = source
        self._progress = progress
        self._kept: list[tuple[NDArray[Any], ...]] | None = None
        self.path = source.path
        self._columns = _choose_columns(source)
        self.has_probabilities = self._columns[0] != "y_pred"
        self.n_rows = source.n_rows
        self._encoder = self._find_encoder(labels)
        self.classes, self.n_classes = self._encoder.classes, self._encoder.n_classes
        if self.n_rows == 0:
            raise refuse(self.path, "it holds no rows; wanted is one row a sample.")

    def __iter__(self) -> Iterator[tuple[NDArray[Any], ...]]:
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[tuple[NDArray[Any], ...]] | None = [] if self._is_small() else None
        for first_row, block in self._read(("y_true", *self._columns), self._block_rows()):
            part = self._convert(block, first_row)
            if kept is not None:
                kept.append(part)
            yield part
        self._kept = kept

    @property
    def has_sample_id(self) -> bool:
        """Whether the samples have names."""
        return "sample_id" in self._source.columns

    def sample_ids(self, rows: Sequence[int] | None = None) -> tuple[str, ...]:
        """Read the names of samples; the numbers of their rows, from 0 on, where they have none.

        Parameters
        ----------
        rows : sequence of int, optional
            All of them by default.
        """
        if not self.has_sample_id:
            return tuple(map(str, range(self.n_rows or 0) if rows is None else rows))
        wanted = None if rows is None else set(rows)
        found: dict[int, str] = {}
        for first_row, block in self._read(("sample_id",), _MAX_BLOCK_ROWS):
            column = block["sample_id"]
            names = column.rows() if isinstance(column, Texts) else _number_names(column)
            for row, name in enumerate(names, first_row):
                if name is None:
                    raise refuse(self.path, f"{place(self.path, row)} has no value in sample_id.")
                if wanted is None or row in wanted:
                    found[row] = name
        return tuple(found[row] for row in (sorted(found) if rows is None else rows))

    def _find_encoder(self, labels: Sequence[str] | None) -> LabelEncoder:
        n_classes = self._n_columns()
        given = self._given_classes() if labels is None else tuple(labels)
        if given is not None:
            if n_classes is not None and len(given) != n_classes:
                raise refuse(
                    self.path, f"labels names {len(given)} classes for {n_classes} columns of probabilities: name each."
                )
            if twice := _first_repeated([canonical_label(name) for name in given]):
                raise refuse(self.path, f"labels names the class {quote(twice)} twice.")
            self._count_rows()
            return LabelEncoder(self.path, given, len(given))
        if n_classes is not None and not self._labels_are_text():
            return LabelEncoder(self.path, None, n_classes)
        names = ["y_true"] if self.has_probabilities else ["y_true", "y_pred"]
        found = distinct_labels(self.path, self._label_columns(names))
        classes = find_classes(self.path, found, n_classes)
        if n_classes is None:
            n_classes = len(classes) if classes is not None else max(map(int, found), default=0) + 1
        return LabelEncoder(self.path, classes, n_classes)

    def _label_columns(self, names: Sequence[str]) -> Iterator[Column]:
        n_rows = 0
        for first_row, block in self._read(names, _MAX_BLOCK_ROWS):
            n_rows = first_row + len(block[names[0]])
            yield from block.values()
        self.n_rows = n_rows

    def _count_rows(self) -> None:
        if self.n_rows is None:
            for _ in self._label_columns(["y_true"]):
                pass

    def _labels_are_text(self) -> bool:
        if self.path.suffix.lower() == ".csv":
            return True
        first = next(self._source.blocks(("y_true",), 1), None)
        return first is not None and isinstance(first["y_true"], Texts)

    def _n_columns(self) -> int | None:
        if not self.has_probabilities:
            return None
        if self._columns[0] == "y_proba":
            width = self._source.width("y_proba")
            return width if width is not None and width > 1 else 2
        return 2 if self._columns[0] == "proba" else len(self._columns)

    def _given_classes(self) -> tuple[str, ...] | None:
        """Return the names that the file gives to the classes."""
        given = self._source.given_labels()
        if given is not None:
            names = given.rows() if isinstance(given, Texts) else _number_names(given)
            return tuple(name if name is not None else "" for name in names)
        if not self._columns[0].startswith(_PREFIX):
            return None
        named = [name.removeprefix(_PREFIX) for name in self._columns]
        return None if named == [str(k) for k in range(len(named))] else tuple(named)

    def _is_small(self) -> bool:
        return (self.n_rows or 0) * (1 + self._width()) <= _KEPT_ENTRIES

    def _block_rows(self) -> int:
        return max(1, min(_MAX_BLOCK_ROWS, _BLOCK_ENTRIES // max(1, self._width())))

    def _width(self) -> int:
        return self.n_classes if self.has_probabilities else len(self._columns)

    def _read(self, names: Sequence[str], n_rows: int) -> Iterator[tuple[int, Block]]:
        row = 0
        for block in self._source.blocks(names, n_rows):
            yield row, block
            row += len(block[names[0]])
            if self._progress:
                self._progress(self.path.name, row, self.n_rows)

    def _convert(self, block: Block, first_row: int) -> tuple[NDArray[Any], ...]:
        y_true = self._encoder.encode(block["y_true"], "y_true", first_row)
        if not self.has_probabilities:
            y_pred = self._encoder.encode(block["y_pred"], "y_pred", first_row)
            numbers = (self._numbers(block[name], name, first_row) for name in self._columns[1:])
            return (y_true, y_pred, *numbers)
        if len(self._columns) == 1:
            return y_true, self._numbers(block[self._columns[0]], self._columns[0], first_row)
        columns = [self._numbers(block[name], name, first_row) for name in self._columns]
        proba = np.empty((len(y_true), len(columns)), np.result_type(*columns))
        for k, column in enumerate(columns):
            proba[:, k] = column
        return y_true, proba

    def _numbers(self, column: Column, name: str, first_row: int) -> NDArray[Any]:
        if isinstance(column, Texts):
            raise refuse(self.path, f"{name} holds texts; wanted are numbers.")
        values = column if column.dtype.kind == "f" else column.astype(np.float64)
        values = values.astype(np.float64) if values.dtype.itemsize > 8 else values
        if name != "p_true" and not np.isfinite(values.sum(dtype=np.float64)):
            finite = np.isfinite(values)
            bad = ~(finite if finite.ndim == 1 else finite.all(axis=1))
            if bad.any():
                row = int(np.argmax(bad))
                raise refuse(
                    self.path,
                    f"{place(self.path, first_row + row)} of {name} holds no number, NaN or infinity: the model "
                    "diverged, or logits overflowed. Leave such rows out, or mend the model.",
                )
        if name in {"confidence", "p_true"}:
            # A NaN in p_true is a probability that is not known.
            outside = (values < 0) | (values > 1 + 1e-3)
            if outside.any():
                row = int(np.argmax(outside))
                raise refuse(
                    self.path,
                    f"{place(self.path, first_row + row)} has {name} {values[row]:.4g}, which is no probability; "
                    "wanted is a fraction from 0 to 1, not percent and not a logit.",
                )
        return values


def _choose_columns(source: RowSource) -> tuple[str, ...]:
    """Find the columns beside ``y_true`` that hold what was predicted; probabilities before answers alone."""
    there = set(source.columns)
    numbered = tuple(name for name in source.columns if name.startswith(_PREFIX) and name != _PREFIX)
    is_npz = source.path.suffix.lower() == ".npz"
    if "y_true" in there:
        if is_npz and "y_proba" in there:
            return ("y_proba",)
        if not is_npz and len(numbered) > 1:
            return _in_order(numbered)
        if not is_npz and "proba" in there:
            return ("proba",)
        if {"y_pred", "confidence"} <= there:
            return ("y_pred", "confidence", *(("p_true",) if "p_true" in there else ()))
    kind = "arrays" if is_npz else "columns"
    has = ", ".join(quote(name) for name in source.columns[:20]) or "none"
    more = f" and {len(source.columns) - 20} more" if len(source.columns) > 20 else ""
    what = "'y_proba'" if is_npz else "'proba_0', 'proba_1', ... (for two classes 'proba')"
    raise refuse(source.path, f"its {kind} are {has}{more}; wanted are {_WANTED.format(what)}.")


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sort columns that are numbered; those named after classes stay as they are."""
    numbers = [name.removeprefix(_PREFIX) for name in names]
    if set(numbers) == {str(k) for k in range(len(numbers))}:
        return tuple(dict.fromkeys(f"{_PREFIX}{k}" for k in range(len(numbers))))
    return names


def _number_names(values: NDArray[Any]) -> list[str | None]:
    """Write numbers as names; 3.0, as a table with gaps has it, is 3."""
    return [None if value != value else canonical_label(str(value)) for value in values.tolist()]  # noqa: PLR0124  (NaN)


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
