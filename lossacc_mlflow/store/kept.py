"""What loggers keep of the predictions of a run: one place for the files' names, and for reading them back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import product
from typing import TypeVar, get_args

import numpy as np
from mlflow.entities import Run

from lossacc_mlflow.curves import LOSS_METRICS, is_over_steps
from lossacc_mlflow.errors import LossaccError
from lossacc_mlflow.keys import METRICS
from lossacc_mlflow.records import (
    Artifact,
    Curve,
    PredictionSteps,
    PredictionSummary,
    RegressionSamples,
    RegressionSummary,
    SamplePredictions,
    SearchResults,
    Split,
    StepUnit,
)
from lossacc_mlflow.store.artifacts import FOLDER, RunArtifacts, open_artifacts
from lossacc_mlflow.store.codec import (
    decode_regression_samples,
    decode_samples,
    encode_regression_samples,
    encode_samples,
)
from lossacc_mlflow.store.connection import Connection
from lossacc_mlflow.store.searches import SEARCH_PATH, decode_search
from lossacc_mlflow.store.steps import decode_steps
from lossacc_mlflow.store.summaries import decode_regression_summary, decode_summary, encode_summary

__all__ = [
    "PREDICTIONS_FOLDER",
    "Kept",
    "prediction_files",
    "read_kept",
    "regression_files",
    "steps_path",
    "with_curves_of_steps",
]

PREDICTIONS_FOLDER = f"{FOLDER}/predictions"
"""Where the loggers' files lie."""

_Content = TypeVar("_Content")
_CURVES: Mapping[str, Sequence[str]] = {"log_loss": LOSS_METRICS, "accuracy": ("accuracy",)}


@dataclass(slots=True)
class Kept:
    """What the artifacts of a run keep.

    Parameters
    ----------
    paths : tuple of str
        All files of ours.
    predictions, samples, by_step, regressions, regression_samples, search
        As in :class:`RunData`.
    digests : dict of str to str
        By path: of the summaries, which tell whether something was logged anew.
    warnings : list of str
        What could not be read.
    """

    paths: tuple[str, ...] = ()
    predictions: dict[Split, PredictionSummary] = field(default_factory=dict)
    samples: dict[Split, SamplePredictions] = field(default_factory=dict)
    by_step: dict[Split, PredictionSteps] = field(default_factory=dict)
    regressions: dict[Split, RegressionSummary] = field(default_factory=dict)
    regression_samples: dict[Split, RegressionSamples] = field(default_factory=dict)
    search: SearchResults | None = None
    digests: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def steps_path(split: Split) -> str:
    """Return where the figures over steps of one split lie."""
    return f"{PREDICTIONS_FOLDER}/{split}_by_step.csv"


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
    name = f"{PREDICTIONS_FOLDER}/{samples.split}"
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
    name = f"{PREDICTIONS_FOLDER}/{samples.split}_regression"
    return [
        Artifact(f"{name}.parquet", encode_regression_samples(samples)),
        Artifact(f"{name}.json", encode_summary(summary)),
    ]


def read_kept(connection: Connection, run: Run, *, with_samples: bool, step_unit: StepUnit = "epoch") -> Kept:
    """Read what was kept of the predictions; a run without artifacts of ours costs one listing.

    Parameters
    ----------
    connection : Connection
    run : mlflow.entities.Run
    with_samples : bool
        Whether to read the predictions of every sample.
    step_unit : str
        What the steps of the run are.

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
    kept.search = _read_at(artifacts, SEARCH_PATH, decode_search, kept)
    for split in get_args(Split):
        _put(kept.predictions, split, _read(artifacts, f"{split}.json", decode_summary, kept))
        decode_table = partial(decode_steps, split=split, step_unit=step_unit)
        _put(kept.by_step, split, _read(artifacts, f"{split}_by_step.csv", decode_table, kept))
        _put(kept.regressions, split, _read(artifacts, f"{split}_regression.json", decode_regression_summary, kept))
        if with_samples:
            decode = partial(decode_samples, split=split)
            _put(kept.samples, split, _read(artifacts, f"{split}.parquet", decode, kept))
            decode_numbers = partial(decode_regression_samples, split=split)
            _put(kept.regression_samples, split, _read(artifacts, f"{split}_regression.parquet", decode_numbers, kept))
    return kept


def with_curves_of_steps(curves: Sequence[Curve], by_step: Mapping[Split, PredictionSteps]) -> tuple[Curve, ...]:
    """Take loss and accuracy over steps from the predictions, for the splits of which none was logged.

    Parameters
    ----------
    curves : sequence of Curve
        As they were logged. A single score is no curve, and gives way.
    by_step : mapping of split to PredictionSteps

    Returns
    -------
    tuple of Curve
        All of them, in the order of `METRICS`, then train, validation, test; those of predictions have keys such as
        ``lossacc/predictions/validation_by_step.csv:log_loss``.
    """
    kept = list(curves)
    for steps, (name, alike) in product(by_step.values(), _CURVES.items()):
        curve = _curve_of_steps(steps, name)
        logged = [c for c in kept if c.split == steps.split and c.metric.name in alike and is_over_steps(c)]
        if not len(curve) or any(len(c) > 1 or len(c) >= len(curve) for c in logged):
            continue
        kept = [c for c in kept if c not in logged or c.metric != curve.metric or c.step_unit != curve.step_unit]
        kept.append(curve)
    order = {name: i for i, name in enumerate(METRICS)}
    return tuple(sorted(kept, key=lambda c: (order[c.metric.name], get_args(Split).index(c.split))))


def _curve_of_steps(steps: PredictionSteps, name: str) -> Curve:
    value = steps.figures.get(name, np.full(len(steps), np.nan))
    known = ~np.isnan(value)  # what a summary does not know was not logged
    key = f"{steps_path(steps.split)}:{name}"
    return Curve(METRICS[name], steps.split, steps.step[known], value[known], steps.step_unit, key)


def _put(found: dict[Split, _Content], split: Split, content: _Content | None) -> None:
    if content is not None:
        found[split] = content


def _read(artifacts: RunArtifacts, name: str, decode: Callable[[bytes], _Content], kept: Kept) -> _Content | None:
    return _read_at(artifacts, f"{PREDICTIONS_FOLDER}/{name}", decode, kept)


def _read_at(artifacts: RunArtifacts, path: str, decode: Callable[[bytes], _Content], kept: Kept) -> _Content | None:
    if path not in kept.paths:
        return None
    try:
        body = artifacts.read(path)
        if not path.endswith(".parquet"):
            kept.digests[path] = sha256(body).hexdigest()
        return decode(body)
    except LossaccError as error:
        kept.warnings.append(f"{path} of run {artifacts.run_id!r} was left out: {error}")
        return None
