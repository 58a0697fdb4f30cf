"""What loggers keep of the predictions of a run: one place for the files' names, and for reading them back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TypeVar, get_args

from mlflow.entities import Run

from lossacc_mlflow.errors import LossaccError
from lossacc_mlflow.records import (
    Artifact,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    SamplePredictions,
    Split,
)
from lossacc_mlflow.store.artifacts import FOLDER, RunArtifacts, open_artifacts
from lossacc_mlflow.store.codec import (
    decode_regression_samples,
    decode_samples,
    encode_regression_samples,
    encode_samples,
)
from lossacc_mlflow.store.connection import Connection
from lossacc_mlflow.store.summaries import decode_regression_summary, decode_summary, encode_summary

__all__ = ["Kept", "prediction_files", "read_kept", "regression_files"]

_FOLDER = f"{FOLDER}/predictions"
_Content = TypeVar("_Content")


@dataclass(slots=True)
class Kept:
    """What the artifacts of a run keep.

    Parameters
    ----------
    paths : tuple of str
        All files of ours.
    predictions, samples, regressions, regression_samples
        As in :class:`RunData`.
    digests : dict of str to str
        By path: of the summaries, which tell whether something was logged anew.
    warnings : list of str
        What could not be read.
    """

    paths: tuple[str, ...] = ()
    predictions: dict[Split, PredictionSummary] = field(default_factory=dict)
    samples: dict[Split, SamplePredictions] = field(default_factory=dict)
    regressions: dict[Split, RegressionSummary] = field(default_factory=dict)
    regression_samples: dict[Split, RegressionSamples] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def prediction_files(summary: PredictionSummary, samples: SamplePredictions) -> list[Artifact]:
    """Write the predictions of one split as files: a reader who finds the summary finds its samples.

    Parameters
    ----------
    summary : PredictionSummary
    samples : SamplePredictions

    Returns
    -------
    list of Artifact
    """
    name = f"{_FOLDER}/{samples.split}"
    return [
        Artifact(f"{name}.parquet", encode_samples(samples)),
        Artifact(f"{name}.json", encode_summary(summary)),
    ]


def regression_files(summary: RegressionSummary, samples: RegressionSamples) -> list[Artifact]:
    """Write the predicted numbers of one split as files.

    Parameters
    ----------
    summary : RegressionSummary
    samples : RegressionSamples

    Returns
    -------
    list of Artifact
    """
    name = f"{_FOLDER}/{samples.split}_regression"
    return [
        Artifact(f"{name}.parquet", encode_regression_samples(samples)),
        Artifact(f"{name}.json", encode_summary(summary)),
    ]


def read_kept(connection: Connection, run: Run, *, with_samples: bool) -> Kept:
    """Read what was kept of the predictions; a run without artifacts of ours costs one listing.

    Parameters
    ----------
    connection : Connection
    run : mlflow.entities.Run
    with_samples : bool
        Whether to read the predictions of every sample.

    Returns
    -------
    Kept
    """
    kept = Kept()
    try:
        artifacts = open_artifacts(connection, run)
        kept.paths = tuple(sorted(artifacts.sizes()))
    except LossaccError as error:
        kept.warnings.append(str(error))
        return kept
    for split in get_args(Split):
        _put(kept.predictions, split, _read(artifacts, f"{split}.json", decode_summary, kept))
        _put(kept.regressions, split, _read(artifacts, f"{split}_regression.json", decode_regression_summary, kept))
        if with_samples:
            decode = partial(decode_samples, split=split)
            _put(kept.samples, split, _read(artifacts, f"{split}.parquet", decode, kept))
            decode_numbers = partial(decode_regression_samples, split=split)
            _put(kept.regression_samples, split, _read(artifacts, f"{split}_regression.parquet", decode_numbers, kept))
    return kept


def _put(found: dict[Split, _Content], split: Split, content: _Content | None) -> None:
    if content is not None:
        found[split] = content


def _read(artifacts: RunArtifacts, name: str, decode: Callable[[bytes], _Content], kept: Kept) -> _Content | None:
    path = f"{_FOLDER}/{name}"
    if path not in kept.paths:
        return None
    try:
        body = artifacts.read(path)
        if not name.endswith(".parquet"):
            kept.digests[path] = sha256(body).hexdigest()
        return decode(body)
    except LossaccError as error:
        kept.warnings.append(f"{path} of run {artifacts.run_id!r} was left out: {error}")
        return None
