"""Curve files -> runs: any table with one row a step whose column names `keys` can read."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lossacc_mlflow.errors import CurveFileError
from lossacc_mlflow.keys import STEP_COLUMNS, ParsedKey, parse_keys
from lossacc_mlflow.records import FloatArray, RunData, Split, StepUnit
from lossacc_mlflow.series import Series, assemble_curves
from lossacc_mlflow.wording import quote

__all__ = ["read_curve_file"]

_SUFFIXES = (".csv", ".parquet", ".jsonl", ".json")
_CONSTANTS: Mapping[str, tuple[float, float, bool]] = {
    "n_classes": (2, inf, True),
    "majority_accuracy": (0, 1, False),
    "n_validation": (1, inf, True),
    "baseline_accuracy": (0, 1, False),
    "baseline_loss": (-inf, inf, False),
}
"""Columns that hold one value a run: the least, the greatest, and whether it is an integer."""

_NOT_LOGGED = ("", "NA", "N/A", "None", "null")  # Keras' CSVLogger writes NA for what an epoch did not log
_DENSE = 0.9
"""Share of the rows between its first and its last value that a column must fill to be logged at every row."""

_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """Numbers of one column; ``logged`` tells a logged NaN from a value that is absent. Both of shape (n_rows,)."""

    value: FloatArray
    logged: _Mask

    def rows(self, rows: slice | NDArray[np.intp]) -> "_Column":
        return _Column(self.value[rows], self.logged[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What the columns of one file are."""

    metrics: Mapping[str, _Column]
    constants: Mapping[str, _Column]
    step: FloatArray | None
    step_unit: StepUnit | None
    epoch: _Column | None
    splits: Mapping[str, Split]
    nan_is_missing: bool


def read_curve_file(
    path: Path,
    *,
    group_by: str | None = None,
    overrides: Mapping[str, ParsedKey] = MappingProxyType({}),
    n_classes: int | None = None,
    loss: str | None = None,
) -> list[RunData]:
    """Read the runs of one curve file.

    The file has one row a step, and any column names that `keys.parse_key` knows: that of Keras' or Lightning's
    CSVLogger, YOLO's results.csv, a trainer_state.json of transformers (its ``log_history``), or a plain table. A
    column ``step``, ``iteration``, ``epoch``, ... holds the steps, else they are the row numbers. Columns that hold
    ``n_classes``, ``majority_accuracy``, ``n_validation``, ``baseline_accuracy`` or ``baseline_loss`` must not change
    within a run.

    An empty cell (JSON: null) is a value that was not logged; the text nan or inf is one that was. A parquet file
    cannot tell the two apart, because pandas writes NaN as null. There, in a column that is filled in at least nine
    tenths of the rows between its first and its last value, a missing value after the first one counts as a NaN that
    was logged if the row holds another value of the same split (the run went on, the loss was not a number) or no
    value at all (the row was written for something). Any other missing value was not logged.

    Parameters
    ----------
    path : Path
        A .csv, .parquet, .jsonl or .json file. The separator of a CSV file may also be ``;`` or a tab.
    group_by : str, optional
        Column that makes one run of all rows with the same value; the value is the run's id.
    overrides : mapping of str to ParsedKey
        What columns mean, by name.
    n_classes : int, optional
        Stands above a column of that name.
    loss : str, optional
        What columns that only say ``loss`` hold, such as ``log_loss``.

    Returns
    -------
    list of RunData
        In the order in which they begin in the file; without `group_by` one, whose id is the file's stem.

    Raises
    ------
    CurveFileError
        If the file cannot be read or used; the message says why and what to do.
    """
    table = _read_table(path)
    if not table or not len(next(iter(table.values()))):
        raise CurveFileError(
            f"curve file {str(path)!r} holds no rows; wanted is one row a step below the column names."
        )
    layout = _lay_out(path, table, group_by, overrides)
    runs = [
        _run(path, layout, name, rows, overrides=overrides, n_classes=n_classes, loss=loss)
        for name, rows in _groups(path, table, group_by)
    ]
    if not any(run.curves for run in runs):
        raise CurveFileError(
            f"curve file {str(path)!r}: the columns {_listed(layout.splits)} are known, but hold no value."
        )
    return runs


def _read_table(path: Path) -> dict[str, Any]:
    """Read the columns as Arrow arrays, where null means not logged."""
    if path.suffix.lower() not in _SUFFIXES:
        raise CurveFileError(f"curve file {str(path)!r} has an unknown suffix; known are {', '.join(_SUFFIXES)}.")
    if not path.is_file():
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise CurveFileError(f"curve file {str(path)!r} {problem}; give a file ({', '.join(_SUFFIXES)}).")
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".jsonl": _read_jsonl, ".json": _read_json}
    try:
        if not path.stat().st_size:
            raise CurveFileError(f"curve file {str(path)!r} is empty.")
        return readers[path.suffix.lower()](path)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error, json.JSONDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CurveFileError(f"curve file {str(path)!r} cannot be read as {path.suffix[1:]}: {reason}") from error


def _read_csv(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        separator = max(",;\t", key=file.readline().count)
        file.seek(0)
        lines = csv.reader(file, delimiter=separator)
        names = next((cells for cells in lines if cells), [])
        n_header_lines = lines.line_num
        if not any(lines):
            return {}
    labels = [str(i) for i in range(len(names))]
    table = pa_csv.read_csv(
        path,
        read_options=pa_csv.ReadOptions(column_names=labels, skip_rows=n_header_lines),
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        # Read as text: Arrow's own inference would take the text nan for a missing value.
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(labels, pa.string()), strings_can_be_null=True, null_values=[""]
        ),
    )
    return dict(zip(_distinct(names), (column.combine_chunks() for column in table.columns), strict=True))


def _read_parquet(path: Path) -> dict[str, Any]:
    table = pq.ParquetFile(path).read()
    columns = zip(_distinct(table.column_names), table.columns, strict=True)
    return {name: column.combine_chunks() for name, column in columns if not name.startswith("__index_level_")}


def _read_jsonl(path: Path) -> dict[str, Any]:
    rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise CurveFileError(f"curve file {str(path)!r}, line {number} is not JSON: {error}.") from error
    return _columns_of(path, rows)


def _read_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    rows = content.get("log_history") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise CurveFileError(
            f"curve file {str(path)!r} holds no list of rows; wanted is one under 'log_history', as in the "
            "trainer_state.json of transformers."
        )
    return _columns_of(path, rows)


def _columns_of(path: Path, rows: Sequence[object]) -> dict[str, Any]:
    """Turn JSON objects into columns; a column that does not hold numbers only becomes text."""
    cells: dict[str, list[object]] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise CurveFileError(f"curve file {str(path)!r}, row {number + 1} is not a JSON object.")
        for name, value in row.items():
            cells.setdefault(name, [None] * len(rows))[number] = value
    columns = {}
    for name, values in zip(_distinct(cells), cells.values(), strict=True):
        if all(value is None or type(value) in {int, float} for value in values):
            columns[name] = pa.array(values, pa.float64())
        else:
            texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
            columns[name] = pa.array(texts, pa.string())
    return columns


def _distinct(names: Iterable[str]) -> list[str]:
    """Strip column names of their padding; number those that come twice, so that none hides another."""
    seen: dict[str, int] = {}
    distinct = []
    for name in (name.strip() for name in names):
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}.{seen[name] - 1}")
    return distinct


def _lay_out(path: Path, table: Mapping[str, Any], group_by: str | None, overrides: Mapping[str, ParsedKey]) -> _Layout:
    """Find out what the columns are."""
    if absent := [name for name in (group_by, *overrides) if name is not None and name not in table]:
        raise CurveFileError(f"curve file {str(path)!r} has no column {absent[0]!r}; it has {_listed(table)}.")
    if group_by in overrides:
        raise CurveFileError(f"curve file {str(path)!r}: column {group_by!r} cannot name the runs and be a metric.")
    known = {**parse_keys(name for name in table if name != group_by), **overrides}
    numbers = {}
    for name, cells in table.items():
        if name == group_by:
            continue
        column = _numbers(cells, nan_is_missing=path.suffix.lower() == ".parquet")
        if column is not None:
            numbers[name] = column
        elif name in known or name in _CONSTANTS:
            raise CurveFileError(f"curve file {str(path)!r}, column {name!r}: {_first_non_number(cells)}.")
    if not known:
        raise CurveFileError(
            f"curve file {str(path)!r} has no column that is known as a loss or an accuracy; it has {_listed(table)}. "
            "Name one such as 'val_loss', or map yours with --key 'my_column=validation:log_loss'."
        )
    steps = {name.lower(): name for name in numbers if name.lower() in STEP_COLUMNS and name not in known}
    step_name = _choose_steps(path, steps, numbers, known)
    epoch_name = steps.get("epoch")
    epoch = numbers[epoch_name] if epoch_name and epoch_name != step_name else None
    return _Layout(
        metrics={n: c for n, c in numbers.items() if n not in _CONSTANTS and n not in steps.values()},
        constants={name: numbers[name] for name in _CONSTANTS if name in numbers},
        step=numbers[step_name].value if step_name else None,
        # Beside an epoch column, steps may turn out to be epochs.
        step_unit=STEP_COLUMNS[step_name.lower()] if step_name and epoch is None else None,
        epoch=epoch,
        splits={name: parsed.split for name, parsed in known.items()},
        nan_is_missing=path.suffix.lower() == ".parquet",
    )


def _numbers(cells: Any, *, nan_is_missing: bool) -> _Column | None:  # noqa: ANN401  (an Arrow array)
    """Convert a column to numbers; None where it holds anything else."""
    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = pc.utf8_trim_whitespace(cells)
        cells = pc.if_else(pc.is_in(texts, pa.array(_NOT_LOGGED, kind)), pa.scalar(None, kind), texts)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    try:
        numbers = cells.cast(pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return None
    value = numbers.to_numpy(zero_copy_only=False)
    logged = pc.is_valid(numbers).to_numpy(zero_copy_only=False)
    return _Column(value, logged & ~np.isnan(value) if nan_is_missing else logged)


def _first_non_number(cells: Any) -> str:  # noqa: ANN401  (an Arrow array)
    """Say which cell of a column is not a number."""
    for row, cell in enumerate(cells.to_pylist(), start=1):
        try:
            float("nan" if cell is None or str(cell).strip() in _NOT_LOGGED else cell)
        except (TypeError, ValueError):
            return f"row {row} holds {quote(cell)}, which is not a number"
    return f"its type {cells.type} is not a number"


def _choose_steps(
    path: Path, steps: Mapping[str, str], numbers: Mapping[str, _Column], known: Mapping[str, ParsedKey]
) -> str | None:
    """Return the finest step column that has a step wherever a value was logged; None when there is no step column."""
    needed = np.logical_or.reduce([numbers[name].logged for name in known])
    first_gap = {}
    for name in (steps[wanted] for wanted in STEP_COLUMNS if wanted in steps):
        gaps = needed & ~(numbers[name].logged & np.isfinite(numbers[name].value))
        if not gaps.any():
            return name
        first_gap[name] = int(np.argmax(gaps)) + 1
    for name, row in first_gap.items():
        raise CurveFileError(
            f"curve file {str(path)!r}: row {row} has no step in column {name!r}; fill it, or leave the column out to "
            "count rows."
        )
    return None


def _groups(path: Path, table: Mapping[str, Any], group_by: str | None) -> list[tuple[str, slice | NDArray[np.intp]]]:
    """Return name and rows of every run, in the order in which they begin."""
    if group_by is None:
        return [(path.stem, slice(None))]
    cells = table[group_by]
    if pa.types.is_nested(cells.type):
        raise CurveFileError(
            f"curve file {str(path)!r}: column {group_by!r} cannot name runs, its type is {cells.type}."
        )
    if cells.null_count:
        row = pc.index(pc.is_null(cells), value=True).as_py() + 1
        raise CurveFileError(f"curve file {str(path)!r}: row {row} has no value in column {group_by!r}, so no run.")
    encoded = cells.cast(pa.large_string()).dictionary_encode()
    code = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    # Runs whose rows stand together, as they do in most files, need no copies.
    order = None if (np.diff(code) >= 0).all() else np.argsort(code, kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(names))).tolist()
    spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [(name, span if order is None else order[span]) for name, span in zip(names, spans, strict=True)]


def _run(
    path: Path,
    layout: _Layout,
    name: str,
    rows: slice | NDArray[np.intp],
    *,
    overrides: Mapping[str, ParsedKey],
    n_classes: int | None,
    loss: str | None,
) -> RunData:
    columns = {key: column.rows(rows) for key, column in layout.metrics.items()}
    if layout.nan_is_missing:
        columns |= _with_written_nans({key: columns[key] for key in layout.splits}, layout.splits)
    n_rows = len(next(iter(columns.values())).value)
    step = np.arange(n_rows) if layout.step is None else layout.step[rows]
    if layout.epoch is not None:
        columns["epoch"] = layout.epoch.rows(rows)
    series = [Series(key, step[column.logged], column.value[column.logged]) for key, column in columns.items()]
    curves, other_keys = assemble_curves(series, loss=loss, step_unit=layout.step_unit, overrides=overrides)
    constants = {key: _constant(path, key, column.rows(rows), name) for key, column in layout.constants.items()}
    n_validation, classes = constants.get("n_validation"), constants.get("n_classes")
    return RunData(
        run_id=name,
        name=name,
        curves=curves,
        n_classes=n_classes if n_classes is not None else None if classes is None else int(classes),
        majority_accuracy=constants.get("majority_accuracy"),
        n_validation=None if n_validation is None else int(n_validation),
        baseline_accuracy=constants.get("baseline_accuracy"),
        baseline_loss=constants.get("baseline_loss"),
        other_keys=other_keys,
    )


def _with_written_nans(columns: Mapping[str, _Column], splits: Mapping[str, Split]) -> dict[str, _Column]:
    """Find the NaNs that were logged, in a file that cannot tell them from missing values (see `read_curve_file`)."""
    if all(column.logged.all() for column in columns.values()):
        return dict(columns)
    of_split = {
        split: np.logical_or.reduce([columns[key].logged for key in columns if splits[key] == split])
        for split in set(splits.values())
    }
    is_blank = ~np.logical_or.reduce(list(of_split.values()))
    written = {}
    for key, column in columns.items():
        filled = np.flatnonzero(column.logged)
        logged = column.logged
        if len(filled) and len(filled) >= _DENSE * (filled[-1] - filled[0] + 1):
            logged = logged | of_split[splits[key]] | is_blank
            logged[: filled[0]] = False
        written[key] = _Column(column.value, logged)
    return written


def _constant(path: Path, key: str, column: _Column, name: str) -> float | None:
    """Return the one value that a column has within a run; None where it has none."""
    values = np.unique(column.value[column.logged])
    lowest, highest, is_integer = _CONSTANTS[key]
    problem = None
    if len(values) > 1:
        problem = f"changes within it, from {values[0]:g} to {values[-1]:g}; it must be the same in all of its rows"
    elif len(values) and not (np.isfinite(values[0]) and values[0] >= lowest):
        problem = f"is {values[0]:g}; wanted is at least {lowest:g}"
    elif len(values) and values[0] > highest:
        problem = f"is {values[0]:g}; wanted is a fraction, at most {highest:g}"
    elif len(values) and is_integer and values[0] != int(values[0]):
        problem = f"is {values[0]:g}; wanted is an integer"
    if problem:
        raise CurveFileError(f"curve file {str(path)!r}, run {quote(name)}: {key} {problem}.")
    return float(values[0]) if len(values) else None


def _listed(names: Iterable[str]) -> str:
    shown = [quote(name) for name in names]
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")
