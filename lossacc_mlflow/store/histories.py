"""Whole metric histories with the fewest requests, and never a point lost."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import copysign, inf, isnan
from typing import Any

import numpy as np
import sqlalchemy
from mlflow.entities import Run
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from requests import Response

from lossacc_mlflow.keys import AUXILIARY, ParsedKey, parse_keys
from lossacc_mlflow.series import Series
from lossacc_mlflow.store.connection import Connection, each, open_engine
from lossacc_mlflow.store.tags import read_facts

__all__ = ["HistoryReader", "decoded", "open_histories"]

HistoryReader = Callable[[Sequence[Run]], Mapping[str, tuple[Series, ...]]]
"""Reads the histories of some runs: run id to series, in the order of their keys."""

_Point = tuple[int, int, float]  # timestamp, step, value
_Points = dict[tuple[str, str], list[_Point]]  # by run id and key
_Wanted = Mapping[str, Mapping[str, float]]  # by run id and key: the latest value, which the run itself tells

_HUGE = 1.797e308
_BULK_CAP = 25_000  # of MLflow's server, for all runs of a request together
_MOST_BOUND_KEYS = 500  # parameters of one SQL statement; some databases allow few more

_METRICS = sqlalchemy.table(
    "metrics", *map(sqlalchemy.column, ("run_uuid", "key", "timestamp", "step", "value", "is_nan"))
)


def decoded(value: float) -> float:
    """Undo MLflow's writing of an infinity as the largest float, which some databases round."""
    return value if abs(value) < _HUGE or isnan(value) else copysign(inf, value)


@contextmanager
def open_histories(connection: Connection, overrides: Mapping[str, ParsedKey]) -> Iterator[HistoryReader]:
    """Open the way by which this store gives whole histories.

    SQL: one query a run, straight from the table of metrics. Server: its bulk endpoint, one request a key for many
    runs. Any other store: one call a key.

    Parameters
    ----------
    connection : Connection
    overrides : mapping of str to ParsedKey
        Keys to read that `keys` does not understand, besides those that the tag ``lossacc.keys`` of a run names.

    Yields
    ------
    HistoryReader
    """
    if connection.kind != "sql":
        read = _read_by_bulk if connection.kind == "http" else _read_by_client
        yield partial(_read, partial(read, connection), overrides)
        return
    with open_engine(connection) as engine:
        yield partial(_read, partial(_read_by_query, engine), overrides)


def _read(
    read_points: Callable[[_Wanted], _Points], overrides: Mapping[str, ParsedKey], runs: Sequence[Run]
) -> dict[str, tuple[Series, ...]]:
    wanted = {
        run.info.run_id: _wanted(run.data.metrics, {**read_facts(run.data.tags).overrides, **overrides}) for run in runs
    }
    points = read_points(wanted)
    return {
        run_id: tuple(_series(key, points[run_id, key]) for key in keys if points.get((run_id, key)))
        for run_id, keys in wanted.items()
    }


def _wanted(latest: Mapping[str, float], overrides: Mapping[str, ParsedKey]) -> dict[str, float]:
    """The keys that can become curves, and those that place their steps, with their latest values."""
    known = parse_keys(sorted(latest))
    return {key: latest[key] for key in sorted(latest) if key in known or key in overrides or key.lower() in AUXILIARY}


def _series(key: str, points: Iterable[_Point]) -> Series:
    """Bring the points into MLflow's own order, so that every way of reading gives the same."""
    timestamp, step, value = (np.array(column) for column in zip(*points, strict=True))
    order = np.lexsort((value, step, timestamp))
    return Series(key=key, step=step[order], value=value[order].astype(np.float64), timestamp=timestamp[order])


def _read_by_query(engine: sqlalchemy.Engine, wanted: _Wanted) -> _Points:
    """One query a run: only the columns that are needed, none of MLflow's objects."""
    points: _Points = defaultdict(list)
    columns = _METRICS.c
    with engine.connect() as database:
        for run_id, keys in wanted.items():
            query = sqlalchemy.select(columns.key, columns.timestamp, columns.step, columns.value, columns.is_nan)
            query = query.where(columns.run_uuid == run_id)
            if len(keys) <= _MOST_BOUND_KEYS:
                query = query.where(columns.key.in_(list(keys)))
            for key, timestamp, step, value, is_nan in database.execute(query).fetchall() if keys else ():
                points[run_id, key].append((timestamp, step, np.nan if is_nan else value))
    return points


def _read_by_client(connection: Connection, wanted: _Wanted) -> _Points:
    pairs = [(run_id, key) for run_id, keys in wanted.items() for key in keys]
    return dict(zip(pairs, each(partial(_history, connection), pairs), strict=True))


def _history(connection: Connection, pair: tuple[str, str]) -> list[_Point]:
    return [(point.timestamp, point.step, point.value) for point in connection.client.get_metric_history(*pair)]


def _read_by_bulk(connection: Connection, wanted: _Wanted) -> _Points:
    """One request a key for all runs that have it; what comes back cut is asked for again, history by history."""
    latest: dict[str, dict[str, float]] = defaultdict(dict)
    for run_id, keys in wanted.items():
        for key, value in keys.items():
            latest[key][run_id] = value
    parts = each(lambda item: _bulk(connection, item[0], tuple(item[1])), latest.items())
    points = {pair: found for part in parts for pair, found in part.items()}
    cut = [(run_id, key) for (run_id, key), found in points.items() if not _is_whole(found, latest[key][run_id])]
    return points | dict(zip(cut, each(partial(_history, connection), cut), strict=True))


def _bulk(connection: Connection, key: str, run_ids: Sequence[str]) -> _Points:
    """Ask for one key of some runs; an answer that reaches the server's cap was cut, so ask for half of them."""
    answer = http_request(
        get_default_host_creds(connection.uri.rstrip("/")),
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "GET",
        params={"run_id": list(run_ids), "metric_key": key, "max_results": _BULK_CAP},
        max_retries=2,
        raise_on_status=False,
    )
    rows = _rows(answer)
    if len(rows) >= _BULK_CAP and len(run_ids) > 1:
        half = len(run_ids) // 2
        return _bulk(connection, key, run_ids[:half]) | _bulk(connection, key, run_ids[half:])
    points: _Points = {(run_id, key): [] for run_id in run_ids}
    if len(rows) < _BULK_CAP:
        for row in rows:
            points[row["run_id"], key].append((int(row["timestamp"]), int(row["step"]), float(row["value"])))
    return points


def _rows(answer: Response) -> list[dict[str, Any]]:
    """Rows of an answer; none where the server, or a proxy before it, does not offer the endpoint."""
    try:
        return list(answer.json()["metrics"]) if answer.ok else []
    except (KeyError, TypeError, ValueError):
        return []


def _is_whole(points: Sequence[_Point], latest: float) -> bool:
    """Tell whether a history ends where the run says that it does."""
    if not points:
        return False
    last = max((step, timestamp) for timestamp, step, _ in points)
    values = (value for timestamp, step, value in points if (step, timestamp) == last)
    return any(value == latest or (isnan(value) and isnan(latest)) for value in values)
