"""What is done with a run that ended. Imported when the first one has: it brings everything that judges and draws."""

import logging
from collections.abc import Mapping

from mlflow import MlflowClient

from lossacc_mlflow import __version__, store
from lossacc_mlflow.errors import UnknownRunError
from lossacc_mlflow.loggers.background import EndedRun
from lossacc_mlflow.loggers.shield import shielded
from lossacc_mlflow.pipeline import diagnose
from lossacc_mlflow.records import RunData
from lossacc_mlflow.settings import Settings
from lossacc_mlflow.store.connection import connect

__all__ = ["diagnose_ended_run"]

_log = logging.getLogger("lossacc_mlflow")


def diagnose_ended_run(ended: EndedRun, settings: Settings) -> None:
    """Diagnose a run and write to it, unless nothing was logged since it was diagnosed last.

    A comparison of ours is left alone, and so are runs that were deleted meanwhile and those of the process that this
    one was forked from. Whatever else goes wrong is one warning and the tag ``lossacc.status``.

    Parameters
    ----------
    ended : EndedRun
    settings : Settings
        With the thresholds, and the rules to list.

    Raises
    ------
    StoreError
        If the tracking store does not answer.
    """
    client = connect(ended.tracking_uri).client

    def tag(tags: Mapping[str, str]) -> None:
        status = {"lossacc.status": tags["lossacc.status"]}  # the logging is not what failed
        store.set_tags(ended.run_id, status, tracking_uri=ended.tracking_uri)

    with shielded(f"diagnosis of run {ended.run_id}", ended.run_id, tag=tag):
        try:
            if _is_of_parent_process(client, ended):
                return
            run = store.read_run(ended.run_id, tracking_uri=ended.tracking_uri, with_samples=True)
            if run.tags.get("lossacc.kind") == "comparison" or _is_diagnosed(run):
                return
            diagnose(run, write=True, tracking_uri=ended.tracking_uri, rules=settings.rules, codes=settings.codes)
        except UnknownRunError:
            _log.debug("lossacc: run %s was deleted before it was diagnosed", ended.run_id)


def _is_of_parent_process(client: MlflowClient, ended: EndedRun) -> bool:
    return bool(ended.forked) and (client.get_run(ended.run_id).info.start_time or 0) < ended.forked


def _is_diagnosed(run: RunData) -> bool:
    """Whether it stands there what a diagnosis would say."""
    done = {"lossacc.status": "ok", "lossacc.version": __version__, "lossacc.fingerprint": run.fingerprint}
    return all(run.tags.get(key) == value for key, value in done.items())
