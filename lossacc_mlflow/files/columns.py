"""What a prediction file is read from: named columns that come in blocks of rows, whatever the format."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionFileError
from lossacc_mlflow.records import IntArray

__all__ = ["Block", "Column", "RowSource", "Texts", "place", "refuse", "texts_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """A block of a text column: each different text once, and which of them every row holds; -1 where none."""

    values: tuple[str, ...]
    code: IntArray

    def __len__(self) -> int:
        return len(self.code)

    def rows(self) -> list[str | None]:
        """Return the text of every row, None where it is missing."""
        values = (*self.values, None)
        return [values[code] for code in self.code.tolist()]


Column = NDArray[Any] | Texts
"""Numbers (NaN where a value is missing) of shape (n_rows,) or (n_rows, n_columns), or texts."""

Block = dict[str, Column]


class RowSource(Protocol):
    """A file that yields some of its columns, in blocks of rows, as often as it is asked.

    ``columns`` names all columns (those of no use too), ``n_rows`` is None where only reading tells.
    """

    path: Path
    columns: tuple[str, ...]
    n_rows: int | None

    def blocks(self, names: Sequence[str], n_rows: int) -> Iterator[Block]:
        """Read the named columns; the blocks hold about ``n_rows`` rows, the last one fewer."""
        ...

    def width(self, name: str) -> int | None:
        """Return the number of columns of a table that is kept under one name; None where it is one column."""
        ...

    def given_labels(self) -> Column | None:
        """Return the classes of the columns, where the file keeps them beside the rows."""
        ...


def place(path: Path, row: int) -> str:
    """Say where in a file a row is (``row`` counts from 0)."""
    index = f" (index {row})" if path.suffix.lower() == ".npz" else ""
    return f"row {row + 1:,}{index}"


def refuse(path: Path, problem: str) -> PredictionFileError:
    """Make the error that says what is wrong with a file."""
    return PredictionFileError(f"prediction file {str(path)!r}: {problem}")


def texts_of(values: NDArray[np.str_]) -> Texts:
    """Find the different texts of an array."""
    different, code = np.unique(values, return_inverse=True)
    return Texts(tuple(different.tolist()), code.reshape(-1).astype(np.int64))
