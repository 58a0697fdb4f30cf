"""What a diagnosis says -> its run; written twice, it stands there once."""

import time
from collections.abc import Mapping
from math import isnan, nan

from mlflow.entities import Metric, Run, RunTag
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_LOGGED_IMAGES, MLFLOW_RUN_NOTE
from numpy.typing import ArrayLike

from lossacc_mlflow.keys import OWN_PREFIX
from lossacc_mlflow.records import RunData, RunUpdate
from lossacc_mlflow.store.artifacts import grid_images, open_artifacts
from lossacc_mlflow.store.connection import Connection, connect, translated
from lossacc_mlflow.store.histories import decoded
from lossacc_mlflow.store.lookup import fetch_run
from lossacc_mlflow.store.points import make_points
from lossacc_mlflow.store.tags import KIND_TAG, MAX_TAG_LENGTH, merge_note, merge_tables

__all__ = [
    "COMPARISON_NAME",
    "changed_metrics",
    "comparison_run_id",
    "log_points",
    "set_tags",
    "tag_entities",
    "write_update",
]

COMPARISON_NAME = "lossacc comparison"
"""Name of the run that compares the others of its experiment."""


def write_update(run: RunData, update: RunUpdate, *, tracking_uri: str | None = None) -> bool:
    """Bring a run to the state that a diagnosis wants; what is so already is not written again.

    Files go first and tags last: a run whose tags tell a verdict has its pictures. For a status alone, as after a
    failure, use `set_tags`: this function takes away what an earlier diagnosis wrote and this one does not hold.

    Parameters
    ----------
    run : RunData
    update : RunUpdate
    tracking_uri : str, optional

    Returns
    -------
    bool
        Whether anything changed.

    Raises
    ------
    UnknownRunError
        If the run is gone.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    # Read again: a person may have written a note since.
    current = fetch_run(connection, run.run_id)
    files = {artifact.path: artifact.body for artifact in update.artifacts}
    files |= grid_images(update.images, current.info.start_time or 0)
    has_new_files = open_artifacts(connection, current).replace_own(files)
    metrics = changed_metrics(connection, current, update.metrics)
    before = current.data.tags
    changed = {k: v for k, v in _wanted_tags(before, update).items() if before.get(k, "") != v}
    tags = {key: value for key, value in changed.items() if value}
    emptied = changed.keys() - tags.keys()
    with translated(connection.uri, f"run {run.run_id!r} cannot be written"):
        for key in emptied:
            connection.client.delete_tag(run.run_id, key)
        if metrics or tags:
            connection.client.log_batch(run.run_id, metrics=metrics, tags=tag_entities(tags), synchronous=True)
    return bool(has_new_files or metrics or changed)


def changed_metrics(connection: Connection, run: Run, wanted: Mapping[str, float]) -> list[Metric]:
    """List the metrics of ours to log: those whose value changed, and as NaN those that no longer hold.

    Parameters
    ----------
    connection : Connection
    run : mlflow.entities.Run
        As it stands.
    wanted : mapping of str to float

    Returns
    -------
    list of mlflow.entities.Metric
        At step 0, later than what is there: MLflow shows the latest of (step, timestamp, value).
    """
    known = {key: decoded(value) for key, value in run.data.metrics.items() if key.startswith(OWN_PREFIX)}
    now = _now()
    metrics = []
    for key, value in (dict.fromkeys(known, nan) | dict(wanted)).items():
        if _is_same(float(value), known.get(key, nan)):
            continue
        timestamp = now
        if key in known:
            with translated(connection.uri, f"metric {key!r} of run {run.info.run_id!r} cannot be read"):
                history = connection.client.get_metric_history(run.info.run_id, key)
            timestamp = max(now, *(point.timestamp + 1 for point in history))
        metrics.append(Metric(key, float(value), timestamp, 0))
    return metrics


def comparison_run_id(experiment_id: str, *, create: bool, tracking_uri: str | None = None) -> str | None:
    """Find the run that compares the others of an experiment.

    Parameters
    ----------
    experiment_id : str
    create : bool
        Make it where there is none. Its start is the experiment's creation, so that it never is the latest run.
    tracking_uri : str, optional

    Returns
    -------
    str or None

    Raises
    ------
    UnknownRunError
        If there is no such experiment.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    client = connection.client
    with translated(
        connection.uri, "the comparison cannot be found", unknown=f"there is no experiment with id {experiment_id!r}"
    ):
        experiment = client.get_experiment(experiment_id)
        found = client.search_runs(
            [experiment_id],
            f"tags.`{KIND_TAG}` = 'comparison'",
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
    if found or not create:
        return str(found[0].info.run_id) if found else None
    with translated(connection.uri, f"the comparison of experiment {experiment.name!r} cannot be written"):
        run_id = client.create_run(
            experiment_id,
            start_time=experiment.creation_time or 1,
            tags={KIND_TAG: "comparison"},
            run_name=COMPARISON_NAME,
        ).info.run_id
        client.update_run(run_id, status="FINISHED")
    return str(run_id)


def set_tags(run_id: str, tags: Mapping[str, str], *, tracking_uri: str | None = None) -> None:
    """Set tags of a run, cut at what MLflow keeps.

    Parameters
    ----------
    run_id : str
    tags : mapping of str to str
    tracking_uri : str, optional

    Raises
    ------
    UnknownRunError
        If there is no such run.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    with translated(connection.uri, f"tags of run {run_id!r} cannot be written", unknown=f"there is no run {run_id!r}"):
        connection.client.log_batch(run_id, tags=tag_entities(tags), synchronous=True)


def log_points(
    run_id: str, points: Mapping[str, tuple[ArrayLike, ArrayLike]], *, tracking_uri: str | None = None
) -> None:
    """Log whole curves, in few requests.

    Parameters
    ----------
    run_id : str
    points : mapping of str to (steps, values)
        Metric key to integers and floats, each of shape (n_points,). Of points with the same step the last one counts.
    tracking_uri : str, optional

    Raises
    ------
    InputError
        If steps and values do not have the same shape (n_points,), or steps are not integers.
    UnknownRunError
        If there is no such run.
    StoreError
        If the store cannot be reached, or refuses.
    """
    made = make_points(points, _now())
    connection = connect(tracking_uri)
    with translated(
        connection.uri, f"metrics of run {run_id!r} cannot be written", unknown=f"there is no run {run_id!r}"
    ):
        for batch in made.batches():
            connection.client.log_batch(run_id, metrics=batch.metrics(), synchronous=True)


def _wanted_tags(current: Mapping[str, str], update: RunUpdate) -> dict[str, str]:
    """Every tag that we answer for, empty where it is to be deleted; the verdict comes last."""
    shared = {
        MLFLOW_RUN_NOTE: merge_note(current.get(MLFLOW_RUN_NOTE, ""), update.note),
        MLFLOW_LOGGED_ARTIFACTS: merge_tables(current.get(MLFLOW_LOGGED_ARTIFACTS, ""), update.tables),
    }
    if update.images:
        shared[MLFLOW_LOGGED_IMAGES] = "True"
    return shared | {key: value[:MAX_TAG_LENGTH] for key, value in update.tags.items()}


def tag_entities(tags: Mapping[str, str]) -> list[RunTag]:
    """Return tags as MLflow wants them, cut at what it keeps."""
    return [RunTag(key, value[:MAX_TAG_LENGTH]) for key, value in tags.items()]


def _is_same(a: float, b: float) -> bool:
    return a == b or (isnan(a) and isnan(b))


def _now() -> int:
    return time.time_ns() // 1_000_000
