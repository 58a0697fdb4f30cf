"""Saved views of an experiment in the MLflow UI, and links that open them.

A saved view is an experiment tag ``mlflow.sharedViewState.<id>`` that holds the state of the runs page as deflated
JSON. From MLflow 3.15 it carries a name and stands in the *Views* menu; older versions open it by its link only.
"""

import base64
import json
import time
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import mlflow

from lossacc_mlflow.keys import METRICS, ParsedKey, parse_keys, plainness
from lossacc_mlflow.store.connection import connect, translated

__all__ = ["CURVES_VIEW", "GROUPS_VIEW", "VERDICTS_VIEW", "experiment_link", "write_views"]

CURVES_VIEW: Final = "lossacc-curves"
"""Charts: train and validation curves of every run, one metric a chart, and best score against best loss."""

VERDICTS_VIEW: Final = "lossacc-verdicts"
"""Table: verdict, discrepancy and headline figures of every run, lowest validation loss first."""

GROUPS_VIEW: Final = "lossacc-groups"
"""The same table, grouped by verdict."""

_NAMES: Final = MappingProxyType(
    {CURVES_VIEW: "lossacc: curves", VERDICTS_VIEW: "lossacc: verdicts", GROUPS_VIEW: "lossacc: by verdict"}
)
_TAG_PREFIX: Final = "mlflow.sharedViewState."
_DEFLATE: Final = "deflate;"
_LOCAL_UI: Final = "http://127.0.0.1:5000"

# Ordered by a metric, the table does not fold nested runs into their parents, so that their curves are drawn.
_ORDER_KEY: Final = "metrics.`lossacc/best_loss`"
# A filter on a tag drops runs without it: the comparison run, and parents that only hold other runs together.
_DIAGNOSED: Final = "tags.`lossacc.verdict` != ''"

# The UI has six dash styles, given by a key's place in its chart. Before MLflow 3.16 a tag holds 5,000 characters.
_MAX_KEYS: Final = 6
_MAX_OVERLAYS: Final = 8

_OVERLAYS_SECTION: Final = "lossacc-overlays"
_Json = dict[str, Any]


def write_views(
    experiment_id: str,
    *,
    metric_keys: Collection[str],
    log_scale_keys: Collection[str] = (),
    tracking_uri: str | None = None,
) -> Mapping[str, str]:
    """Write the saved views of an experiment, where they changed.

    They show the runs that were diagnosed (those with a tag ``lossacc.verdict``), nested ones too. With MLflow before
    3.15 (the version of the client decides) the views have no name, and only the returned links reach them.

    Parameters
    ----------
    experiment_id : str
    metric_keys : collection of str
        The keys under which the runs logged their metrics; those that are not understood get no chart here.
    log_scale_keys : collection of str
        Those of them that are drawn on a logarithmic axis; every value must be positive.
    tracking_uri : str, optional
        MLflow's own by default.

    Returns
    -------
    mapping of str to str
        Link by name of the view, the charts first.

    Raises
    ------
    UnknownRunError
        If the store has no such experiment, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    cannot, unknown = "saved views cannot be written", f"there is no active experiment {experiment_id!r}"
    with translated(connection.uri, cannot, unknown=unknown):
        tags = connection.client.get_experiment(experiment_id).tags
        for view_id, state in _states(metric_keys, frozenset(log_scale_keys)).items():
            written = tags.get(_TAG_PREFIX + view_id)
            value = _tag_value(_NAMES[view_id], state, written)
            if value != written:
                connection.client.set_experiment_tag(experiment_id, _TAG_PREFIX + view_id, value)
    links = {name: experiment_link(experiment_id, tracking_uri=tracking_uri, view_id=i) for i, name in _NAMES.items()}
    return MappingProxyType(links)


def experiment_link(experiment_id: str, *, tracking_uri: str | None = None, view_id: str | None = None) -> str:
    """Link to the runs of an experiment in the MLflow UI.

    Parameters
    ----------
    experiment_id : str
    tracking_uri : str, optional
        MLflow's own by default. For a local store the link is that of ``mlflow ui`` on its default port; of a
        server's URL, user name and password are left out.
    view_id : str, optional
        A saved view. Without, the charts of the runs ordered by validation loss.

    Returns
    -------
    str

    Examples
    --------
    >>> experiment_link("1", tracking_uri="sqlite:///mlflow.db", view_id=VERDICTS_VIEW)
    'http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=lossacc-verdicts&compareRunsMode=TABLE&workflowType=machine_learning'
    """
    # Any search parameter in the URL makes the UI ignore the saved view, so the view holds filter and order itself.
    query = {"viewStateShareKey": view_id} if view_id else {"orderByKey": _ORDER_KEY, "orderByAsc": "true"}
    query["compareRunsMode"] = "TABLE" if view_id in {VERDICTS_VIEW, GROUPS_VIEW} else "CHART"
    query["workflowType"] = "machine_learning"
    base = _ui_base(tracking_uri or mlflow.get_tracking_uri())
    return f"{base}/#/experiments/{quote(experiment_id, safe='')}/runs?{urlencode(query, quote_via=quote)}"


def _ui_base(tracking_uri: str) -> str:
    parts = urlsplit(tracking_uri)
    if parts.scheme not in {"http", "https"}:
        return _LOCAL_UI
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _states(metric_keys: Collection[str], log_scale_keys: frozenset[str]) -> dict[str, _Json]:
    """Every view's state of the runs page, by view id."""
    parsed = parse_keys(sorted(metric_keys))
    names = {p.metric.name for p in parsed.values()}
    score = "lossacc/best_r2" if "r2" in names and "accuracy" not in names else "lossacc/best_accuracy"
    state = _table_state(score) | _chart_state(_overlays(parsed), log_scale_keys, score)
    by_verdict = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "lossacc.verdict"}]}
    return {CURVES_VIEW: state, VERDICTS_VIEW: state, GROUPS_VIEW: state | {"groupBy": by_verdict}}


def _overlays(parsed: Mapping[str, ParsedKey]) -> list[list[str]]:
    """Keys to draw in one chart, validation first (the solid line): one chart a metric and kind of step.

    A metric of which only one split is known comes only when there is nothing to overlay: the UI charts it anyway.
    """
    groups: defaultdict[tuple[bool, int, bool, bool], list[str]] = defaultdict(list)
    order = list(METRICS)
    for key, p in parsed.items():
        if p.split != "test":
            rank = order.index(p.metric.name)
            groups[p.step_unit == "n_samples", rank, p.complement, p.step_unit == "global_step"].append(key)
    charts = [
        sorted(keys, key=lambda key: (parsed[key].split == "train", plainness(key)))[:_MAX_KEYS]
        for _, keys in sorted(groups.items())
    ]
    paired = [keys for keys in charts if len({parsed[key].split for key in keys}) > 1]
    return (paired or charts)[:_MAX_OVERLAYS]


def _table_state(score: str) -> _Json:
    """Which runs the page shows, in which order, and the columns of its table.

    Every field that the page keeps is there: MLflow before 3.15 does not fill in the absent ones.
    """
    others = ("onset_step", "generalization_gap_loss", "ece", "temperature", "n_flagged")
    columns = ["tags.`lossacc.verdict`", _ORDER_KEY, f"metrics.`{score}`", "tags.`lossacc.discrepancy`"]
    columns += [f"metrics.`lossacc/{name}`" for name in others]
    return {
        "searchFilter": _DIAGNOSED,
        "orderByKey": _ORDER_KEY,
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "columnWidths": {column: 150 if column.startswith("tags") else 100 for column in columns},
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "SHOW_ALL",
        "groupBy": None,
        "groupsExpanded": {},
        "viewMaximized": False,
        "runListHidden": False,
        "autoRefreshEnabled": True,
    }


def _chart_state(overlays: list[list[str]], log_scale_keys: frozenset[str], score: str) -> _Json:
    """The charts of the page: ours in a section on top, the UI's own ones folded below it."""
    charts = [
        _line_chart(f"{_OVERLAYS_SECTION}-{i}", keys, "log" if log_scale_keys.issuperset(keys) else "linear")
        for i, keys in enumerate(overlays)
    ]
    folded = ("lossacc", "Model metrics", "System metrics")
    return {
        "compareRunCharts": [*charts, _scatter_chart("lossacc/best_loss", score)],
        "compareRunSections": [
            _section(_OVERLAYS_SECTION, "Train and validation") | {"columns": 2, "cardHeight": 360},
            *(_section(f"lossacc-folded-{i}", name, display=False) for i, name in enumerate(folded)),
        ],
        # Otherwise the UI sorts the sections by name.
        "isAccordionReordered": True,
        "useGroupedValuesInCharts": False,
        "hideEmptyCharts": True,
        "chartsSearchFilter": "",
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }


def _section(uuid: str, name: str, *, display: bool = True) -> _Json:
    return {"uuid": uuid, "name": name, "display": display, "isReordered": True, "deleted": False, "isGenerated": False}


def _card(uuid: str, kind: str) -> _Json:
    return {
        "uuid": uuid,
        "type": kind,
        "metricSectionId": _OVERLAYS_SECTION,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
    }


def _line_chart(uuid: str, keys: list[str], scale: str) -> _Json:
    return _card(uuid, "LINE") | {
        "metricKey": keys[0],
        "selectedMetricKeys": keys,
        "lineSmoothness": 0,
        "scaleType": scale,
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        # Markers hide the dashes that tell train from validation.
        "displayPoints": False,
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _scatter_chart(x_key: str, y_key: str) -> _Json:
    axes = {"xaxis": {"key": x_key, "type": "METRIC"}, "yaxis": {"key": y_key, "type": "METRIC"}}
    return _card("lossacc-scatter", "SCATTER") | axes


def _tag_value(name: str, state: _Json, written: str | None) -> str:
    """Value of a view's tag: the one that is already written, if that says the same."""
    old = _read_tag(written) if written else {}
    packed = _DEFLATE + base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()
    if not _has_named_views():
        return written if written and old == {"state": state} else packed
    if written and old.get("name") == name and old.get("state") == state:
        return written
    now = int(time.time() * 1000)
    return json.dumps({"name": name, "createdAt": old.get("createdAt", now), "updatedAt": now, "state": packed})


def _read_tag(value: str) -> _Json:
    """Read a view's tag, of MLflow before or after 3.15; empty where it is neither."""
    try:
        view = {"state": value} if value.startswith(_DEFLATE) else json.loads(value)
        packed = base64.b64decode(view["state"].removeprefix(_DEFLATE))
        return {**view, "state": json.loads(zlib.decompress(packed))}
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error):
        return {}


def _has_named_views() -> bool:
    major, minor = map(int, mlflow.__version__.split(".")[:2])
    return (major, minor) >= (3, 15)
