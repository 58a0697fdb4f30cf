"""Runs of a tracking store -> RunData."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import isfinite
from types import MappingProxyType

from mlflow.entities import Run

from lossacc_mlflow.keys import OWN_PREFIX, ParsedKey, is_bookkeeping
from lossacc_mlflow.records import RunData
from lossacc_mlflow.series import Series, assemble_curves
from lossacc_mlflow.store.connection import Connection, connect, each, translated
from lossacc_mlflow.store.histories import decoded, open_histories
from lossacc_mlflow.store.kept import Kept, read_kept, with_curves_of_steps
from lossacc_mlflow.store.lookup import fetch_runs
from lossacc_mlflow.store.tags import read_facts

__all__ = ["read_run", "read_runs"]

_RUNS_AT_ONCE = 25  # fetched with one request; a server also gives all their histories of one key at once
_NO_OVERRIDES: Mapping[str, ParsedKey] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller says about the runs."""

    overrides: Mapping[str, ParsedKey]
    n_classes: int | None
    loss: str | None
    with_samples: bool


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
        What metric keys mean, before the tag ``lossacc.keys`` and `keys` are asked.
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
        series,
        loss=wanted.loss or facts.loss,
        step_unit=facts.step_unit,
        overrides={**facts.overrides, **wanted.overrides},
    )
    read_keys = {one.key for one in series}
    unread_keys = (key for key in run.data.metrics if key not in read_keys and not is_bookkeeping(key))
    kept = read_kept(connection, run, with_samples=wanted.with_samples, step_unit=facts.step_unit or "epoch")
    validation = kept.predictions.get("validation")
    judged = validation or kept.regressions.get("validation")
    majority = validation.majority_accuracy if validation else None
    if facts.class_counts:
        majority = max(facts.class_counts.values()) / sum(facts.class_counts.values())
    of_predictions = next((summary.n_classes for summary in kept.predictions.values()), None)
    return RunData(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        curves=with_curves_of_steps(curves, kept.by_step),
        predictions=kept.predictions,
        samples=kept.samples,
        by_step=kept.by_step,
        regressions=kept.regressions,
        regression_samples=kept.regression_samples,
        search=kept.search,
        params=run.data.params,
        tags=run.data.tags,
        n_classes=wanted.n_classes or facts.n_classes or of_predictions,
        class_counts=facts.class_counts,
        majority_accuracy=majority,
        n_validation=judged.n_samples if judged else None,
        baseline_accuracy=_baseline(run, facts.baseline_accuracy, "baseline_accuracy"),
        baseline_loss=_baseline(run, facts.baseline_loss, "baseline_loss"),
        other_keys=tuple(sorted({*other_keys, *unread_keys} - {"baseline_accuracy", "baseline_loss"})),
        own_metrics={k: decoded(v) for k, v in sorted(run.data.metrics.items()) if k.startswith(OWN_PREFIX)},
        artifacts=kept.paths,
        experiment_id=run.info.experiment_id,
        fingerprint=_fingerprint(series, kept),
        warnings=(*facts.warnings, *kept.warnings),
    )


def _baseline(run: Run, tagged: float | None, key: str) -> float | None:
    """What a baseline reaches: as the tag says, else as a metric of that name."""
    logged = decoded(run.data.metrics.get(key, float("nan")))
    return tagged if tagged is not None else (logged if isfinite(logged) else None)


def _fingerprint(series: Sequence[Series], kept: Kept) -> str:
    """Digest of where each history ends, and of the kept summaries: it changes when something is logged."""
    ends = [
        (one.key, int(one.step.max()), int(one.timestamp.max()), len(one))
        for one in series
        if one.timestamp is not None and len(one)
    ]
    return sha256(json.dumps([*ends, *sorted(kept.digests.items())]).encode()).hexdigest()[:16]
