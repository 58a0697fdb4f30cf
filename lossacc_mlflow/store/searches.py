"""The candidates of a search, as CSV and back, and on their way to a run."""

import csv
from collections.abc import Sequence
from io import StringIO
from math import isnan, nan
from typing import Final

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import SearchResults, SearchScore
from lossacc_mlflow.store.artifacts import FOLDER, open_artifacts
from lossacc_mlflow.store.connection import connect
from lossacc_mlflow.store.lookup import fetch_run
from lossacc_mlflow.store.summaries import one_line

__all__ = ["SEARCH_PATH", "decode_search", "encode_search", "keep_search"]

SEARCH_PATH = f"{FOLDER}/search.csv"
"""Where the candidates of a search lie."""

_FIELDS: Final = ("validation_mean", "validation_sd", "train_mean", "train_sd")


def keep_search(run_id: str, results: SearchResults, *, tracking_uri: str | None = None) -> None:
    """Write the candidates of a search to a run.

    Parameters
    ----------
    run_id : str
    results : SearchResults
    tracking_uri : str, optional

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    open_artifacts(connection, fetch_run(connection, run_id)).write({SEARCH_PATH: encode_search(results)})


def encode_search(results: SearchResults) -> bytes:
    """Write the candidates of a search as CSV, one row each.

    Parameters
    ----------
    results : SearchResults

    Returns
    -------
    bytes
        UTF-8. ``candidate``, ``is_best`` and ``n_splits``; then ``param_*``, and ``validation_mean_*``,
        ``validation_sd_*``, ``train_mean_*`` and ``train_sd_*`` of each metric. An empty cell is what is not known.
    """
    columns: dict[str, Sequence[object]] = {
        "candidate": range(1, len(results) + 1),
        "is_best": [int(i == results.best) for i in range(len(results))],
        "n_splits": [results.n_splits] * len(results),
    }
    columns |= {f"param_{name}": values for name, values in results.parameters.items()}
    for score in results.scores:
        columns |= {f"{field}_{score.metric}": getattr(score, field).tolist() for field in _FIELDS}
    sink = StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(map(_cell, column) for column in columns.values()), strict=True))
    return sink.getvalue().encode()


def decode_search(body: bytes) -> SearchResults:
    """Read what `encode_search` wrote.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    SearchResults

    Raises
    ------
    InputError
        If there is no candidate or no score, or a score is no number.
    """
    try:
        header, *rows = csv.reader(StringIO(body.decode()))
        columns = dict(zip(header, zip(*rows, strict=True), strict=True))
        metrics = [name.removeprefix("validation_mean_") for name in header if name.startswith("validation_mean_")]
        scores = tuple(_score(metric, columns, len(rows)) for metric in metrics)
        best = [i for i, cell in enumerate(columns["is_best"]) if cell == "1"]
        n_splits = int(columns["n_splits"][0])
    except (csv.Error, KeyError, ValueError) as error:
        raise InputError(f"these are not the candidates of a search: {one_line(error)}") from error
    if not scores:
        raise InputError("these are not the candidates of a search: there is no column 'validation_mean_...'.")
    parameters = {name.removeprefix("param_"): _values(columns[name]) for name in header if name.startswith("param_")}
    return SearchResults(parameters, scores, best[0] if best else None, n_splits)


def _score(metric: str, columns: dict[str, tuple[str, ...]], n_candidates: int) -> SearchScore:
    unknown = ("",) * n_candidates
    cells = {field: columns.get(f"{field}_{metric}", unknown) for field in _FIELDS}
    return SearchScore(metric, **{k: [float(cell or "nan") for cell in v] for k, v in cells.items()})  # type: ignore[arg-type]  # frozen as arrays


def _values(cells: tuple[str, ...]) -> tuple[str, ...] | tuple[float, ...]:
    """Numbers, where every value that is there is one."""
    try:
        numbers = tuple(float(cell) if cell else nan for cell in cells)
    except ValueError:
        return cells
    return cells if all(isnan(number) for number in numbers) else numbers


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
