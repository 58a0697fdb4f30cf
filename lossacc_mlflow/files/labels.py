"""Class labels of a file, whatever they look like -> indices of the classes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionFileError
from lossacc_mlflow.files.columns import Column, Texts, place, refuse
from lossacc_mlflow.records import IntArray
from lossacc_mlflow.wording import quote

__all__ = ["MAX_CLASSES", "LabelEncoder", "distinct_labels", "find_classes"]

MAX_CLASSES = 100_000


class LabelEncoder:
    """Turns labels into indices of classes; all numbers are the same whether they came as text or not.

    Parameters
    ----------
    path : Path
        Of the file, for messages.
    classes : sequence of str or None
        Their names; None where they have none, and labels are 0 to n_classes - 1.
    n_classes : int
    """

    def __init__(self, path: Path, classes: Sequence[str] | None, n_classes: int) -> None:
        self._path = path
        self.classes = None if classes is None else tuple(classes)
        self.n_classes = n_classes
        self._place = {canonical_label(name): k for k, name in enumerate(self.classes or ())}
        # Numbers are members of classes that are numbers, and indices of classes that have names.
        self._by_value = classes is not None and all(_integer(name) is not None for name in classes)
        self._values: NDArray[np.int64] | None = None
        if self._by_value:
            self._values = np.array([_integer(name) for name in classes or ()], dtype=np.int64)
            self._order = np.argsort(self._values)

    def encode(self, column: Column, name: str, first_row: int) -> IntArray:
        """Return the index of the class of every row.

        Parameters
        ----------
        column : Column
        name : str
            ``y_true`` or ``y_pred``.
        first_row : int
            Number of the first row of the block within the file, counted from 0.

        Raises
        ------
        PredictionFileError
            With the row of the first label that is missing or no class.
        """
        if isinstance(column, Texts):
            table = np.array([*(self._index(value) for value in column.values), -1], dtype=np.int64)
            index = table[column.code]
            if (index < 0).any():
                row = int(np.argmax(index < 0))
                raise self._unknown(column.rows()[row], name, first_row + row)
            return index
        return self._encode_numbers(column, name, first_row)

    def _encode_numbers(self, values: NDArray[np.generic], name: str, first_row: int) -> IntArray:
        if values.dtype.kind == "f":
            numbers = values.astype(np.float64)
            odd = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2**62))
            if odd.any():
                row = int(np.argmax(odd))
                value = None if np.isnan(numbers[row]) else float(numbers[row])
                raise self._unknown(value, name, first_row + row)
        index = values.astype(np.int64, copy=False)
        if self._values is not None:
            found = np.searchsorted(self._values, index, sorter=self._order).clip(0, len(self._values) - 1)
            member = self._order[found]
            index = np.where(self._values[member] == index, member, -1)
        outside = (index < 0) | (index >= self.n_classes)
        if outside.any():
            row = int(np.argmax(outside))
            raise self._unknown(values[row].item(), name, first_row + row)
        return index

    def _index(self, text: str) -> int:
        if (found := self._place.get(canonical_label(text))) is not None:
            return found
        number = _integer(text)
        usable = number is not None and not self._by_value and 0 <= number < self.n_classes
        return number if usable and number is not None else -1

    def _unknown(self, value: object, name: str, row: int) -> PredictionFileError:
        if value is None:
            return refuse(self._path, f"{place(self._path, row)} has no value in {name}: give every sample a class.")
        if self.classes is None:
            known = f"0 to {self.n_classes - 1}"
        else:
            known = ", ".join(quote(c) for c in self.classes[:8]) + (", ..." if len(self.classes) > 8 else "")
        where = "in 'labels'" if self._path.suffix.lower() == ".npz" else "in the columns, as proba_<class>"
        return refuse(
            self._path,
            f"{place(self._path, row)} has {name} {quote(value)}, which is none of the classes ({known}). "
            f"If the classes have other names, give them {where}, or with --labels.",
        )


def find_classes(path: Path, labels: Sequence[str], n_classes: int | None) -> tuple[str, ...] | None:
    """Tell the classes from the different labels that occur, where nothing else names them.

    Parameters
    ----------
    path : Path
    labels : sequence of str
        Every label that occurs, once.
    n_classes : int or None
        Number of columns of probabilities; None where there are none.

    Returns
    -------
    tuple of str or None
        In sorted order, as scikit-learn has them; None where the labels are numbers from 0 on.

    Raises
    ------
    PredictionFileError
        If there are not as many as columns.
    """
    numbers = [_integer(label) for label in labels]
    known = [number for number in numbers if number is not None]
    if len(known) == len(labels):
        if n_classes is not None or min(known, default=0) >= 0:
            return None
        return tuple(str(number) for number in sorted(known))
    if n_classes is not None and len(labels) != n_classes:
        some = ", ".join(quote(label) for label in sorted(labels)[:5]) + (", ..." if len(labels) > 5 else "")
        where = "'labels' in the file" if path.suffix.lower() == ".npz" else "column names such as proba_<class>"
        raise refuse(
            path,
            f"y_true holds {len(labels):,} different labels ({some}) for {n_classes:,} columns of probabilities, so "
            f"nothing tells which column is which class: name the classes by {where}, or with --labels.",
        )
    return tuple(sorted(labels))


def distinct_labels(path: Path, columns: Iterable[Column]) -> list[str]:
    """Collect every label that occurs; numbers as text.

    Parameters
    ----------
    path : Path
    columns : iterable of Column
        Blocks of label columns.

    Raises
    ------
    PredictionFileError
        If there are more than ``MAX_CLASSES``: then they are no classes.
    """
    seen: set[str] = set()
    for column in columns:
        if isinstance(column, Texts):
            used = np.unique(column.code[column.code >= 0])
            seen.update(canonical_label(column.values[code]) for code in used.tolist())
        else:
            finite = column[np.isfinite(column)] if column.dtype.kind == "f" else column
            seen.update(canonical_label(str(value)) for value in np.unique(finite).tolist())
        if len(seen) > MAX_CLASSES:
            raise refuse(
                path, f"y_true holds more than {MAX_CLASSES:,} different values; wanted are classes, not measurements."
            )
    return sorted(seen)


def canonical_label(text: str) -> str:
    """Write a label so that 3, '3' and '3.0' are one class.

    Examples
    --------
    >>> canonical_label("3.0"), canonical_label(" 03"), canonical_label("cat")
    ('3', '3', 'cat')
    """
    number = _integer(text)
    return text.strip() if number is None else str(number)


def _integer(text: str) -> int | None:
    """Return the integer that a text is; None where it is none."""
    try:
        return int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return {"false": 0, "true": 1}.get(text.strip().lower())
    return int(number) if number.is_integer() else None
