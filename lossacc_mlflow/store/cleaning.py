"""Taking back everything that this package wrote; logged curves stay."""

from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS, MLFLOW_LOGGED_IMAGES, MLFLOW_RUN_NOTE

from lossacc_mlflow.store.artifacts import open_artifacts
from lossacc_mlflow.store.connection import connect, translated
from lossacc_mlflow.store.lookup import fetch_run, find_experiment, find_run_ids
from lossacc_mlflow.store.tags import OWN_TAG_PREFIX, merge_note, merge_tables
from lossacc_mlflow.store.writing import changed_metrics, comparison_run_id

__all__ = ["VIEW_TAG_PREFIX", "clean_experiment", "clean_run"]

VIEW_TAG_PREFIX = "mlflow.sharedViewState.lossacc"
"""Begins the key of every saved view of ours, a tag of the experiment."""


def clean_run(run_id: str, *, tracking_uri: str | None = None) -> bool:
    """Take our tags, artifacts, images and note out of a run; our metrics, which MLflow cannot delete, become NaN.

    Also goes what loggers of ours kept of the predictions, so the run can no longer be diagnosed from them.

    Parameters
    ----------
    run_id : str
    tracking_uri : str, optional

    Returns
    -------
    bool
        Whether there was anything of ours.

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached or refuses, or the artifact store cannot delete.
    """
    connection = connect(tracking_uri)
    run = fetch_run(connection, run_id)
    has_files, images_left = open_artifacts(connection, run).delete_own()
    metrics = changed_metrics(connection, run, {})
    tags = run.data.tags
    own = [key for key in tags if key.startswith(OWN_TAG_PREFIX)]
    cleaned = {
        MLFLOW_RUN_NOTE: merge_note(tags.get(MLFLOW_RUN_NOTE, ""), ""),
        MLFLOW_LOGGED_ARTIFACTS: merge_tables(tags.get(MLFLOW_LOGGED_ARTIFACTS, ""), ()),
        MLFLOW_LOGGED_IMAGES: tags.get(MLFLOW_LOGGED_IMAGES, "") if images_left or not (has_files or own) else "",
    } | dict.fromkeys(own, "")
    changed = {key: value for key, value in cleaned.items() if tags.get(key, "") != value}
    with translated(connection.uri, f"run {run_id!r} cannot be cleaned"):
        if metrics:
            connection.client.log_batch(run_id, metrics=metrics, synchronous=True)
        for key, value in changed.items():
            if value:
                connection.client.set_tag(run_id, key, value)
            else:
                connection.client.delete_tag(run_id, key)
    return bool(has_files or metrics or changed)


def clean_experiment(experiment: str, *, tracking_uri: str | None = None) -> bool:
    """Clean every run of an experiment, and delete its comparison and our saved views.

    Parameters
    ----------
    experiment : str
        Name or id.
    tracking_uri : str, optional

    Returns
    -------
    bool
        Whether there was anything of ours.

    Raises
    ------
    UnknownRunError
        If there is no such experiment.
    StoreError
        If the store cannot be reached or refuses, or the artifact store cannot delete.
    """
    connection = connect(tracking_uri)
    experiment_id = str(find_experiment(connection, experiment).experiment_id)
    run_ids = find_run_ids(experiment_id, tracking_uri=tracking_uri)
    found = sum(clean_run(run_id, tracking_uri=tracking_uri) for run_id in run_ids) > 0
    while (run_id := comparison_run_id(experiment_id, create=False, tracking_uri=tracking_uri)) is not None:
        clean_run(run_id, tracking_uri=tracking_uri)
        connection.client.delete_run(run_id)
        found = True
    with translated(connection.uri, f"the saved views of experiment {experiment!r} cannot be deleted"):
        tags = connection.client.get_experiment(experiment_id).tags
        views = [key for key in tags if key.startswith(VIEW_TAG_PREFIX)]
        for key in views:
            connection.client.delete_experiment_tag(experiment_id, key)
    return found or bool(views)
