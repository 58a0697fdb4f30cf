"""Runs of a tracking store -> RunData."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from math import isfinite
from types import MappingProxyType
from typing import TypeVar, get_args

from mlflow.entities import Run

from lossacc_mlflow.errors import LossaccError
from lossacc_mlflow.keys import OWN_PREFIX, ParsedKey, is_bookkeeping
from lossacc_mlflow.records import PredictionSummary, RunData, SamplePredictions, Split
from lossacc_mlflow.series import Series, assemble_curves
from lossacc_mlflow.store.artifacts import FOLDER, RunArtifacts, open_artifacts
from lossacc_mlflow.store.codec import decode_samples, decode_summary
from lossacc_mlflow.store.connection import Connection, connect, each, translated
from lossacc_mlflow.store.histories import decoded, open_histories
from lossacc_mlflow.store.lookup import fetch_runs
from lossacc_mlflow.store.tags import read_facts

__all__ = ["read_run", "read_runs"]

_RUNS_AT_ONCE = 25  # fetched with one request; a server also gives all their histories of one key at once
_Content = TypeVar("_Content")
_NO_OVERRIDES: Mapping[str, ParsedKey] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller says about the runs."""

    overrides: Mapping[str, ParsedKey]
    n_classes: int | None
    loss: str | None
    with_samples: bool


@dataclass(slots=True)
class _Kept:
    """What the artifacts of a run keep."""

    paths: tuple[str, ...] = ()
    predictions: dict[Split, PredictionSummary] = field(default_factory=dict)
    samples: dict[Split, SamplePredictions] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_run(
    run_id: str,
    *,
    tracking_uri: str | None = None,
    overrides: Mapping[str, ParsedKey] = _NO_OVERRIDES,
    n_classes: int | None = None,
    loss: str | None = None,
    with_samples: bool = False,
) -> RunData:
    """Read one run; see `read_runs`.

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    (run,) = read_runs(
        [run_id],
        tracking_uri=tracking_uri,
        overrides=overrides,
        n_classes=n_classes,
        loss=loss,
        with_samples=with_samples,
    )
    return run


def read_runs(
    run_ids: Sequence[str],
    *,
    tracking_uri: str | None = None,
    overrides: Mapping[str, ParsedKey] = _NO_OVERRIDES,
    n_classes: int | None = None,
    loss: str | None = None,
    with_samples: bool = False,
) -> Iterator[RunData]:
    """Read runs one after the other, in the order given.

    Parameters
    ----------
    run_ids : sequence of str
    tracking_uri : str, optional
    overrides : mapping of str to ParsedKey
        What metric keys mean, before `keys` is asked.
    n_classes : int, optional
        Instead of what the tag ``lossacc.n_classes``, the class counts or the predictions say.
    loss : str, optional
        Instead of the tag ``lossacc.loss``.
    with_samples : bool
        Also read the predictions of every sample.

    Yields
    ------
    RunData
        What could not be read in it (a damaged file, an odd tag) is left out and told in its ``warnings``.

    Raises
    ------
    UnknownRunError
        If there is no such run, or it was deleted.
    StoreError
        If the store cannot be reached, or refuses.
    """
    connection = connect(tracking_uri)
    wanted = _Wanted(overrides, n_classes, loss, with_samples)
    with translated(connection.uri, "the runs cannot be read"), open_histories(connection, overrides) as histories:
        for start in range(0, len(run_ids), _RUNS_AT_ONCE):
            runs = fetch_runs(connection, run_ids[start : start + _RUNS_AT_ONCE])
            series = histories(runs)
            pairs = [(run, series[run.info.run_id]) for run in runs]
            yield from each(partial(_assemble, connection, wanted), pairs)


def _assemble(connection: Connection, wanted: _Wanted, logged: tuple[Run, Sequence[Series]]) -> RunData:
    run, series = logged
    facts = read_facts(run.data.tags)
    curves, other_keys = assemble_curves(
        series, loss=wanted.loss or facts.loss, step_unit=facts.step_unit, overrides=wanted.overrides
    )
    read_keys = {one.key for one in series}
    unread_keys = (key for key in run.data.metrics if key not in read_keys and not is_bookkeeping(key))
    kept = _read_artifacts(connection, run, with_samples=wanted.with_samples)
    validation = kept.predictions.get("validation")
    majority = validation.majority_accuracy if validation else None
    if facts.class_counts:
        majority = max(facts.class_counts.values()) / sum(facts.class_counts.values())
    of_predictions = next((summary.n_classes for summary in kept.predictions.values()), None)
    return RunData(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        curves=curves,
        predictions=kept.predictions,
        samples=kept.samples,
        params=run.data.params,
        tags=run.data.tags,
        n_classes=wanted.n_classes or facts.n_classes or of_predictions,
        class_counts=facts.class_counts,
        majority_accuracy=majority,
        n_validation=validation.n_samples if validation else None,
        baseline_accuracy=_baseline(run, facts.baseline_accuracy, "baseline_accuracy"),
        baseline_loss=_baseline(run, facts.baseline_loss, "baseline_loss"),
        other_keys=tuple(sorted({*other_keys, *unread_keys} - {"baseline_accuracy", "baseline_loss"})),
        own_metrics={k: decoded(v) for k, v in sorted(run.data.metrics.items()) if k.startswith(OWN_PREFIX)},
        artifacts=kept.paths,
        experiment_id=run.info.experiment_id,
        fingerprint=_fingerprint(series),
        warnings=(*facts.warnings, *kept.warnings),
    )


def _baseline(run: Run, tagged: float | None, key: str) -> float | None:
    """What a baseline reaches: as the tag says, else as a metric of that name."""
    logged = decoded(run.data.metrics.get(key, float("nan")))
    return tagged if tagged is not None else (logged if isfinite(logged) else None)


def _read_artifacts(connection: Connection, run: Run, *, with_samples: bool) -> _Kept:
    """Read what was kept of the predictions; a run without artifacts of ours costs one listing."""
    kept = _Kept()
    try:
        artifacts = open_artifacts(connection, run)
        kept.paths = tuple(sorted(artifacts.sizes()))
    except LossaccError as error:
        kept.warnings.append(str(error))
        return kept
    for split in get_args(Split):
        summary = _read_file(artifacts, f"{split}.json", decode_summary, kept)
        if summary is not None:
            kept.predictions[split] = summary
        if with_samples:
            samples = _read_file(artifacts, f"{split}.parquet", partial(decode_samples, split=split), kept)
            if samples is not None:
                kept.samples[split] = samples
    return kept


def _read_file(artifacts: RunArtifacts, name: str, decode: Callable[[bytes], _Content], kept: _Kept) -> _Content | None:
    path = f"{FOLDER}/predictions/{name}"
    if path not in kept.paths:
        return None
    try:
        return decode(artifacts.read(path))
    except LossaccError as error:
        kept.warnings.append(f"{path} of run {artifacts.run_id!r} was left out: {error}")
        return None


def _fingerprint(series: Sequence[Series]) -> str:
    """Digest of where each history ends: it changes when something more is logged."""
    ends = [
        (one.key, int(one.step.max()), int(one.timestamp.max()), len(one))
        for one in series
        if one.timestamp is not None and len(one)
    ]
    return sha256(json.dumps(ends).encode()).hexdigest()[:16]
