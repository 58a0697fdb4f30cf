"""Runs and experiments, found by id, by name or by a filter."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from textwrap import shorten

from mlflow.entities import Experiment, LifecycleStage, Run
from mlflow.exceptions import MlflowException

from lossacc_mlflow.errors import InputError, UnknownRunError
from lossacc_mlflow.store.connection import Connection, connect, each, translated
from lossacc_mlflow.store.tags import KIND_TAG

__all__ = ["experiment_name", "fetch_run", "fetch_runs", "find_experiment", "find_run_ids"]

_PAGE = 1_000
_SHOWN_EXPERIMENTS = 10
_RUN_ID = re.compile(r"\w{1,64}", re.ASCII)


def find_run_ids(
    experiment: str | None = None, filter_string: str = "", *, tracking_uri: str | None = None
) -> tuple[str, ...]:
    """Find the runs of an experiment, without the comparison that we keep there.

    Parameters
    ----------
    experiment : str, optional
        Name or id; every experiment that was not deleted when it is not given.
    filter_string : str
        As of ``mlflow.search_runs``.
    tracking_uri : str, optional

    Returns
    -------
    tuple of str
        Run ids, the oldest first.

    Raises
    ------
    UnknownRunError
        If there is no such experiment.
    InputError
        If MLflow cannot read the filter.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    with translated(connection.uri, "the runs cannot be listed"):
        if experiment is None:
            experiment_ids = [found.experiment_id for found in _all_experiments(connection)]
        else:
            experiment_ids = [find_experiment(connection, experiment).experiment_id]
        return tuple(
            run.info.run_id
            for run in _search(connection, experiment_ids, filter_string)
            if run.data.tags.get(KIND_TAG) != "comparison"
        )


def experiment_name(experiment_id: str, *, tracking_uri: str | None = None) -> str:
    """Return the name of an experiment.

    Parameters
    ----------
    experiment_id : str
    tracking_uri : str, optional

    Returns
    -------
    str

    Raises
    ------
    UnknownRunError
        If there is no experiment of this id.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    unknown = f"there is no experiment with id {experiment_id!r}"
    with translated(connection.uri, f"experiment {experiment_id!r} cannot be read", unknown=unknown):
        return str(connection.client.get_experiment(experiment_id).name)


def fetch_run(connection: Connection, run_id: str) -> Run:
    """Fetch one run that was not deleted.

    Parameters
    ----------
    connection : Connection
    run_id : str

    Returns
    -------
    mlflow.entities.Run

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store refuses.
    """
    with translated(connection.uri, f"run {run_id!r} cannot be read", unknown=f"there is no run {run_id!r}"):
        run = connection.client.get_run(run_id)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        raise UnknownRunError(
            f"run {run_id!r} in {connection.shown} was deleted; 'mlflow runs restore --run-id {run_id}' brings it back."
        )
    return run


def fetch_runs(connection: Connection, run_ids: Sequence[str]) -> list[Run]:
    """Fetch some runs, in the order given; those of one experiment with one request.

    Parameters
    ----------
    connection : Connection
    run_ids : sequence of str

    Returns
    -------
    list of mlflow.entities.Run

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store refuses.
    """
    if len(run_ids) < 3 or connection.kind == "other":
        return each(partial(fetch_run, connection), run_ids)
    first = fetch_run(connection, run_ids[0])
    quoted = ", ".join(f"'{run_id}'" for run_id in sorted(set(run_ids)) if _RUN_ID.fullmatch(run_id))
    with translated(connection.uri, "the runs cannot be read"):
        found = _search(connection, [first.info.experiment_id], f"attributes.run_id IN ({quoted})")
        runs = {run.info.run_id: run for run in found} | {run_ids[0]: first}
    missing = [run_id for run_id in run_ids if run_id not in runs]
    runs |= dict(zip(missing, each(partial(fetch_run, connection), missing), strict=True))
    return [runs[run_id] for run_id in run_ids]


def _all_experiments(connection: Connection) -> list[Experiment]:
    experiments: list[Experiment] = []
    token = None
    while True:
        page = connection.client.search_experiments(max_results=_PAGE, page_token=token)
        experiments += page
        token = page.token
        if not token:
            return experiments


def find_experiment(connection: Connection, name_or_id: str) -> Experiment:
    """Find an experiment that was not deleted, by its name or its id.

    Parameters
    ----------
    connection : Connection
    name_or_id : str

    Returns
    -------
    mlflow.entities.Experiment

    Raises
    ------
    UnknownRunError
        If there is no such experiment; the message names some that there are.
    """
    client = connection.client
    found = client.get_experiment_by_name(name_or_id)
    if found is None and name_or_id.isdecimal():
        with suppress(UnknownRunError), translated(connection.uri, "the experiment cannot be read", unknown="unknown"):
            found = client.get_experiment(name_or_id)
    if found is None:
        names = [repr(one.name) for one in client.search_experiments(max_results=_SHOWN_EXPERIMENTS + 1)]
        there_is = ", ".join(names[:_SHOWN_EXPERIMENTS]) + (", ..." if len(names) > _SHOWN_EXPERIMENTS else "")
        raise UnknownRunError(
            f"there is no experiment {name_or_id!r} in {connection.shown}; there is {there_is or 'none at all'}."
        )
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise UnknownRunError(
            f"experiment {name_or_id!r} in {connection.shown} was deleted; "
            f"'mlflow experiments restore --experiment-id {found.experiment_id}' brings it back."
        )
    return found


def _search(connection: Connection, experiment_ids: Sequence[str], filter_string: str) -> Iterator[Run]:
    token = None
    while experiment_ids:
        try:
            page = connection.client.search_runs(
                list(experiment_ids),
                filter_string,
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        except MlflowException as error:
            if filter_string and error.error_code == "INVALID_PARAMETER_VALUE":
                reason = shorten(str(error), 300, placeholder=" ...")
                raise InputError(f"MLflow cannot read the filter {filter_string!r}: {reason}") from error
            raise
        yield from page
        token = page.token
        if not token:
            return
