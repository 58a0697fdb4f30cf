"""From predictions that a logger judged to the files of a run; nothing is written before the store has answered."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from mlflow.entities import Run, RunTag

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import (
    Artifact,
    PredictionSteps,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    SamplePredictions,
    Split,
)
from lossacc_mlflow.store.artifacts import RunArtifacts, open_artifacts
from lossacc_mlflow.store.connection import Connection, connect, translated
from lossacc_mlflow.store.kept import PREDICTIONS_FOLDER, prediction_files, regression_files, steps_path
from lossacc_mlflow.store.lookup import fetch_run
from lossacc_mlflow.store.steps import decode_steps, encode_steps, with_step

__all__ = ["JudgedPredictions", "keep", "keep_predictions", "keep_regression"]

_log = logging.getLogger(__name__)
_MOST_REMEMBERED = 16


@dataclass(frozen=True, slots=True, eq=False)
class JudgedPredictions:
    """What is kept of the predictions of one split, ready to be written to a run.

    Parameters
    ----------
    summary : PredictionSummary or RegressionSummary
    samples : SamplePredictions or RegressionSamples
    tags : mapping of str to str
    step : int, optional
        As in `keep_predictions`; a regression has none.
    """

    summary: PredictionSummary | RegressionSummary
    samples: SamplePredictions | RegressionSamples
    tags: Mapping[str, str]
    step: int | None = None


@dataclass(slots=True)
class _StepMemory:
    """What this process wrote last of the predictions over steps, so that no file is read at every step.

    A file whose size is not the one that was written last is that of another process, or was cleaned away.
    """

    known: OrderedDict[tuple[str, str, Split], tuple[int, PredictionSteps]] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def recall(self, artifacts: RunArtifacts, split: Split) -> PredictionSteps | None:
        path = steps_path(split)
        sizes = artifacts.sizes(PREDICTIONS_FOLDER)
        if path not in sizes:
            return None
        size, steps = self.known.get((artifacts.location, artifacts.run_id, split), (-1, None))
        if steps is not None and sizes[path] in {size, None}:
            return steps
        try:
            return decode_steps(artifacts.read(path), split)
        except PredictionsError as error:
            _log.warning("%s of run %s is begun anew: %s", path, artifacts.run_id, error)
            return None

    def remember(self, artifacts: RunArtifacts, steps: PredictionSteps, size: int) -> None:
        key = (artifacts.location, artifacts.run_id, steps.split)
        self.known[key] = (size, steps)
        self.known.move_to_end(key)
        while len(self.known) > _MOST_REMEMBERED:
            self.known.popitem(last=False)


_MEMORY = _StepMemory()


def keep(run_id: str, judged: JudgedPredictions, *, tracking_uri: str | None = None) -> None:
    """Write judged predictions of either kind to a run; see `keep_predictions` and `keep_regression`."""
    summary, samples = judged.summary, judged.samples
    if isinstance(summary, PredictionSummary) and isinstance(samples, SamplePredictions):
        keep_predictions(run_id, summary, samples, tags=judged.tags, step=judged.step, tracking_uri=tracking_uri)
    elif isinstance(summary, RegressionSummary) and isinstance(samples, RegressionSamples):
        keep_regression(run_id, summary, samples, tags=judged.tags, tracking_uri=tracking_uri)


def keep_predictions(
    run_id: str,
    summary: PredictionSummary,
    samples: SamplePredictions,
    *,
    tags: Mapping[str, str],
    step: int | None = None,
    tracking_uri: str | None = None,
) -> None:
    """Write the predictions of one split to a run.

    Parameters
    ----------
    run_id : str
    summary : PredictionSummary
    samples : SamplePredictions
    tags : mapping of str to str
    step : int, optional
        The summary becomes one row of the figures over steps; the samples are kept if no later step is known.
    tracking_uri : str, optional

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    run = fetch_run(connection, run_id)
    artifacts = open_artifacts(connection, run)
    if step is None:
        _write(artifacts, prediction_files(summary, samples))
    else:
        with _MEMORY.lock:
            steps = with_step(_MEMORY.recall(artifacts, samples.split), step, samples.split, summary)
            table = Artifact(steps_path(samples.split), encode_steps(steps))
            of_latest = prediction_files(summary, samples) if step == steps.step[-1] else []
            _write(artifacts, [*of_latest, table])
            _MEMORY.remember(artifacts, steps, len(table.body))
    _set_changed_tags(connection, run, tags)


def keep_regression(
    run_id: str,
    summary: RegressionSummary,
    samples: RegressionSamples,
    *,
    tags: Mapping[str, str],
    tracking_uri: str | None = None,
) -> None:
    """Write the predicted numbers of one split to a run.

    Parameters
    ----------
    run_id : str
    summary : RegressionSummary
    samples : RegressionSamples
    tags : mapping of str to str
    tracking_uri : str, optional

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    run = fetch_run(connection, run_id)
    _write(open_artifacts(connection, run), regression_files(summary, samples))
    _set_changed_tags(connection, run, tags)


def _write(artifacts: RunArtifacts, files: Sequence[Artifact]) -> None:
    artifacts.write({file.path: file.body for file in files})


def _set_changed_tags(connection: Connection, run: Run, tags: Mapping[str, str]) -> None:
    changed = [RunTag(key, value) for key, value in tags.items() if run.data.tags.get(key) != value]
    if changed:
        with translated(connection.uri, f"tags of run {run.info.run_id!r} cannot be written"):
            connection.client.log_batch(run.info.run_id, tags=changed, synchronous=True)
