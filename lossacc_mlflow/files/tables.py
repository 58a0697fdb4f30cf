"""The columns of CSV and parquet files, read in blocks of rows."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from lossacc_mlflow.files.columns import Block, Column, Texts, refuse

__all__ = ["CsvSource", "ParquetSource"]

_TEXT_COLUMNS = frozenset({"y_true", "y_pred", "sample_id"})
"""Columns of a CSV file that are not read as numbers: labels may be words, and ids may begin with a zero."""

_BLOCK_BYTES = 1 << 20


class _Table:
    """What both formats have in common: column names, found by their position."""

    path: Path
    columns: tuple[str, ...]

    def width(self, _: str) -> int | None:
        """Return None: every column is one."""
        return None

    def given_labels(self) -> Column | None:
        """Return None: the columns' names are all there is."""
        return None

    def _positions(self, names: Sequence[str]) -> list[int]:
        for name in names:
            if self.columns.count(name) > 1:
                raise refuse(self.path, f"column {name!r} is there {self.columns.count(name)} times: keep one.")
        return [self.columns.index(name) for name in names]


class ParquetSource(_Table):
    """Columns of a parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self.columns = tuple(file.schema_arrow.names)
                self.n_rows: int | None = file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error

    def blocks(self, names: Sequence[str], n_rows: int) -> Iterator[Block]:
        """Read the named columns in blocks of rows."""
        self._positions(names)
        try:
            # Buffered, and not read ahead, so that neither a large row group nor all of them are held as a whole.
            with pq.ParquetFile(self.path, buffer_size=_BLOCK_BYTES, pre_buffer=False) as file:
                for batch in file.iter_batches(n_rows, columns=list(names), use_threads=False):
                    if len(batch):
                        yield {name: self._column(name, batch.column(name)) for name in names}
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.path, error) from error

    def _column(self, name: str, cells: Any) -> Column:  # noqa: ANN401  (an Arrow array)
        kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _texts(cells)
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        if pa.types.is_boolean(kind):
            cells = cells.cast(pa.int8())
        elif pa.types.is_decimal(kind):
            cells = cells.cast(pa.float64())
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise refuse(self.path, f"column {name!r} holds values of type {kind}; wanted are numbers or texts.")
        # A missing number becomes NaN.
        return np.asarray(cells.to_numpy(zero_copy_only=False))


class CsvSource(_Table):
    """Columns of a CSV file, whose separator may also be ``;`` or a tab."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_rows: int | None = None
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                self._separator = max(",;\t", key=file.readline().count)
                file.seek(0)
                lines = csv.reader(file, delimiter=self._separator)
                names = next((cells for cells in lines if cells), [])
                self._n_header_lines = lines.line_num
                self._has_rows = any(lines)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _unreadable(path, error) from error
        self.columns = tuple(name.strip() for name in names)

    def blocks(self, names: Sequence[str], n_rows: int) -> Iterator[Block]:
        """Read the named columns in blocks of rows."""
        if not self._has_rows:
            return
        positions = [str(i) for i in self._positions(names)]
        types = {p: pa.string() if n in _TEXT_COLUMNS else pa.float64() for p, n in zip(positions, names, strict=True)}
        labels = [str(i) for i in range(len(self.columns))]
        try:
            reader = pa_csv.open_csv(
                self.path,
                read_options=pa_csv.ReadOptions(
                    column_names=labels,
                    skip_rows=self._n_header_lines,
                    block_size=max(_BLOCK_BYTES, 256 * len(labels)),
                    use_threads=False,
                ),
                parse_options=pa_csv.ParseOptions(delimiter=self._separator, newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(include_columns=positions, column_types=types),
            )
            with reader:
                for batch in reader:
                    for start in range(0, len(batch), n_rows):
                        yield _csv_block(batch.slice(start, n_rows), names)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.path, error) from error


def _csv_block(batch: Any, names: Sequence[str]) -> Block:  # noqa: ANN401  (an Arrow record batch)
    return {
        name: _texts(pc.utf8_trim_whitespace(cells))
        if name in _TEXT_COLUMNS
        else np.asarray(cells.to_numpy(zero_copy_only=False))
        for name, cells in zip(names, batch.columns, strict=True)
    }


def _texts(cells: Any) -> Texts:  # noqa: ANN401  (an Arrow array)
    """Find the different texts; an empty one is a missing value."""
    encoded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
    values = tuple(encoded.dictionary.to_pylist())
    code = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if "" in values:
        code = np.where(code == values.index(""), -1, code)
    return Texts(values, code)


def _unreadable(path: Path, error: Exception) -> Exception:
    reason = " ".join(str(error).split())
    if isinstance(error, UnicodeDecodeError) or "UTF8" in reason:
        return refuse(path, "it is not text in UTF-8: save it as UTF-8.")
    kind = path.suffix[1:].lower()
    hint = ": it is cut off, or no parquet file" if kind == "parquet" else ""
    return refuse(path, f"it cannot be read as {kind} ({reason[:200]}){hint}.")
