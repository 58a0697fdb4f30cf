"""Logged series -> clean curves: sorted, one value a step, one curve for each (metric, split, step unit).

What the frameworks do to a series on its way into a store or a file is undone here, and only here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.keys import AUXILIARY, METRICS, ParsedKey, find_metric, is_bookkeeping, parse_keys, plainness
from lossacc_mlflow.records import Curve, FloatArray, IntArray, Metric, StepUnit

__all__ = ["Series", "assemble_curves"]

_HUGE = 1.797e308
"""MLflow stores an infinity as the largest double, which databases round."""

_EXACT = 2.0**53
"""Beyond it a float does not tell neighbouring integers apart."""

_SPLIT_ORDER = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The points of one key as they were logged, in any order.

    Parameters
    ----------
    key : str
    step : ndarray of integers or floats, shape (n,)
    value : ndarray of float64, shape (n,)
        A value that was not logged is absent; NaN and infinities are ones that were.
    timestamp : ndarray of int64, shape (n,), or None
        None: the points are in the order in which they were logged.
    """

    key: str
    step: NDArray[Any]
    value: FloatArray
    timestamp: IntArray | None = None

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A curve, and what decides on its step unit and on which of several is kept."""

    curve: Curve
    told_unit: StepUnit | None
    is_override: bool


def assemble_curves(
    series: Iterable[Series],
    *,
    loss: str | None = None,
    step_unit: StepUnit | None = None,
    overrides: Mapping[str, ParsedKey] = MappingProxyType({}),
) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """Make clean curves of the series of one run.

    - Points are sorted by step. Of those with the same step the last by timestamp stays (without timestamps the last
      given); points without a finite step are left out.
    - MLflow's ±1.797e308 is ±inf again, and error rates become accuracies.
    - Steps that are not integers (fractions of an epoch) are replaced, in all series alike, by their rank among all
      steps of the run, and count as ``global_step``.
    - Global steps become epochs through a series ``epoch``, if that gives each point of each curve an epoch of its
      own; with several points an epoch, or with fractions of epochs, they stay what they are. Keys that end in
      ``_step`` always stay. A curve of which another key holds a version by epoch does not keep the others back.
    - The extra last point of XGBoost, LightGBM and Keras after early stopping, a repetition of the best one, is
      dropped.
    - The mean over the whole run that transformers logs as ``train_loss`` when it ends is no point of a curve.
    - Of several keys for one (metric, split, step unit) an override is kept, else the one with the most finite points,
      else the plainest spelling. So ``val_loss`` is kept and not the single ``validation_loss`` of Keras.

    Parameters
    ----------
    series : iterable of Series
        One for each key.
    loss : str, optional
        What a key that only says ``loss`` means (the tag ``lossacc.loss``); unknown names leave it ``loss``.
    step_unit : str, optional
        What steps are where the key does not tell (the tag ``lossacc.step_unit``); default ``iteration`` for keys of
        boosting libraries, else ``epoch``.
    overrides : mapping of str to ParsedKey
        What keys mean, before anything else.

    Returns
    -------
    curves : tuple of Curve
        In the order of `METRICS`, then train, validation, test.
    other_keys : tuple of str
        Keys that are not understood, sorted; without our own, the system's and step counters.

    Examples
    --------
    >>> value = np.array([0.7, 0.5, 0.4])
    >>> curves, other = assemble_curves([Series("val_loss", np.array([0, 2, 1]), value), Series("lr", value, value)])
    >>> curves[0].split, curves[0].step.tolist(), curves[0].value.tolist(), curves[0].n_unsorted, other
    ('validation', [0, 1, 2], [0.7, 0.4, 0.5], 1, ('lr',))
    """
    by_key = _without_run_mean({one.key: one for one in series if len(one)})
    parsed = {**parse_keys(by_key), **{key: overrides[key] for key in by_key if key in overrides}}
    other_keys = tuple(sorted(key for key in by_key if key not in parsed and not is_bookkeeping(key)))
    counters = {key.lower(): one for key, one in by_key.items() if key.lower() in AUXILIARY and key not in parsed}

    axis = _fractional_axis([one.step for one in (*counters.values(), *(by_key[key] for key in parsed))])
    if axis is not None and step_unit in {None, "epoch"}:
        step_unit = "global_step"
    marks = {key: _clean(one, _COUNTER, axis) for key, one in counters.items()}
    loss_metric = _loss_metric(loss)
    candidates = []
    for key, meaning in parsed.items():
        metric = loss_metric if meaning.metric.name == "loss" else meaning.metric
        curve = _clean(by_key[key], replace(meaning, metric=metric), axis)
        if not len(curve):
            continue
        told = step_unit or meaning.step_unit if meaning.step_unit in {None, "iteration"} else meaning.step_unit
        candidates.append(_Candidate(_without_repeated_best(curve, marks), told, key in overrides))
    if "epoch" in marks:
        candidates = _with_epochs(candidates, marks["epoch"])
    return _one_of_each(candidates), other_keys


def _without_run_mean(by_key: dict[str, Series]) -> dict[str, Series]:
    """Drop the mean over the whole run that transformers logs as one more point of ``train_loss``.

    It comes with ``train_runtime``, at the same step and in the same moment.
    """
    ends, losses = by_key.get("train_runtime"), by_key.get("train_loss")
    if ends is None or losses is None:
        return by_key
    is_mean = np.isin(losses.step, ends.step)
    if losses.timestamp is not None and ends.timestamp is not None:
        is_mean &= np.isin(losses.timestamp, ends.timestamp)
    kept = Series(
        losses.key,
        losses.step[~is_mean],
        losses.value[~is_mean],
        None if losses.timestamp is None else losses.timestamp[~is_mean],
    )
    others = {key: one for key, one in by_key.items() if key != "train_loss"}
    return {**others, "train_loss": kept} if len(kept) else others


_COUNTER = ParsedKey(METRICS["loss"], "train", None)
"""Reads a step counter as if it were a curve: as it is."""


def _loss_metric(loss: str | None) -> Metric:
    found = find_metric(loss) if loss else None
    return found[0] if found and not found[0].greater_is_better else METRICS["loss"]


def _fractional_axis(steps: Sequence[NDArray[Any]]) -> FloatArray | None:
    """Return all steps of a run, sorted, if any of them is not an integer."""
    floats = [step[np.isfinite(step)] for step in steps if step.dtype.kind == "f"]
    if not any(((step != np.rint(step)) | (np.abs(step) > _EXACT)).any() for step in floats):
        return None
    return np.unique(np.concatenate([*floats, *(step for step in steps if step.dtype.kind != "f")]).astype(np.float64))


def _clean(series: Series, meaning: ParsedKey, axis: FloatArray | None) -> Curve:
    """Sort by step, keep the last value of each step, and undo what the store and the logger did to the values."""
    step, value, timestamp = series.step, np.asarray(series.value, dtype=np.float64), series.timestamp
    if step.dtype.kind == "f" and not (finite := np.isfinite(step)).all():
        step, value = step[finite], value[finite]
        timestamp = timestamp[finite] if timestamp is not None else None
    step = (np.searchsorted(axis, step) if axis is not None else step).astype(np.int64)

    is_sorted = bool((step[1:] > step[:-1]).all())
    if timestamp is not None and not (is_sorted and bool((timestamp[1:] >= timestamp[:-1]).all())):
        # Points of one batch share a timestamp, and their order means nothing.
        order = np.lexsort((step, timestamp))
        step, value = step[order], value[order]
        is_sorted = bool((step[1:] > step[:-1]).all())
    n_repeated = n_unsorted = 0
    if not is_sorted:
        n_unsorted = int(np.count_nonzero(step[1:] < np.maximum.accumulate(step)[:-1]))
        if n_unsorted:
            order = np.argsort(step, kind="stable")
            step, value = step[order], value[order]
        is_last = np.append(step[1:] != step[:-1], True)
        n_repeated = len(step) - int(np.count_nonzero(is_last))
        step, value = step[is_last], value[is_last]

    value = np.where(np.abs(value) >= _HUGE, np.copysign(np.inf, value), value)
    return Curve(
        metric=meaning.metric,
        split=meaning.split,
        step=step,
        value=1 - value if meaning.complement else value,
        key=series.key,
        n_repeated=n_repeated,
        n_unsorted=n_unsorted,
    )


def _without_repeated_best(curve: Curve, marks: Mapping[str, Curve]) -> Curve:
    """Drop the last point if it is the one that autologging appends after early stopping."""
    for stopped_key, best_key in (("stopped_iteration", "best_iteration"), ("stopped_epoch", "restored_epoch")):
        if stopped_key not in marks or best_key not in marks:
            continue
        stopped, best = marks[stopped_key].value[-1], marks[best_key].value[-1]
        last = curve.step[-1]
        if last == stopped and best_key == "best_iteration":
            best -= 1  # LightGBM counts iterations from 1, and logs them from 0
        elif last != stopped + 1:
            continue
        at_best = np.flatnonzero(curve.step[:-1] == best)
        if len(at_best) and np.array_equal(curve.value[at_best], curve.value[-1:], equal_nan=True):
            return replace(curve, step=curve.step[:-1], value=curve.value[:-1])
    return curve


def _with_epochs(candidates: Sequence[_Candidate], epoch: Curve) -> list[_Candidate]:
    """Replace global steps by epochs, in all curves whose keys do not tell or in none: they share an axis."""
    if not len(epoch):
        return list(candidates)
    epochs = [_epochs_of(candidate.curve, epoch) for candidate in candidates]
    untold = [
        steps
        for candidate, steps in zip(candidates, epochs, strict=True)
        if candidate.told_unit is None
        and _is_within(candidate.curve, epoch)
        and not _has_epoch_version(candidate, candidates)
    ]
    all_map = all(steps is not None for steps in untold)
    placed = []
    for candidate, steps in zip(candidates, epochs, strict=True):
        unit = candidate.told_unit
        if steps is not None and (unit == "epoch" or (unit is None and all_map)):
            placed.append(replace(candidate, curve=replace(candidate.curve, step=steps), told_unit="epoch"))
        elif unit is None and _is_within(candidate.curve, epoch):
            placed.append(replace(candidate, told_unit="global_step"))
        else:
            placed.append(candidate)
    return placed


def _has_epoch_version(candidate: _Candidate, candidates: Sequence[_Candidate]) -> bool:
    """Tell whether another key holds the same metric by epoch, so that this one need not be what is judged."""
    curve = candidate.curve
    return not candidate.is_override and any(
        (other.is_override or other.told_unit == "epoch")
        and (other.curve.metric, other.curve.split) == (curve.metric, curve.split)
        for other in candidates
        if other is not candidate
    )


def _is_within(curve: Curve, epoch: Curve) -> bool:
    return bool(np.isin(curve.step, epoch.step, assume_unique=True).all())


def _epochs_of(curve: Curve, epoch: Curve) -> IntArray | None:
    """Return the epoch of every point; None where one is not known, not an integer, or that of another point."""
    if not _is_within(curve, epoch):
        return None
    epochs = epoch.value[np.searchsorted(epoch.step, curve.step)]
    if not (np.isfinite(epochs).all() and (epochs == np.rint(epochs)).all() and (np.diff(epochs) > 0).all()):
        return None
    return epochs.astype(np.int64)


def _one_of_each(candidates: Iterable[_Candidate]) -> tuple[Curve, ...]:
    """Keep one curve for each (metric, split, step unit)."""
    names = tuple(METRICS)

    def place(candidate: _Candidate) -> tuple[int, int, str]:
        curve = candidate.curve
        unit = candidate.told_unit or curve.step_unit
        return names.index(curve.metric.name), _SPLIT_ORDER.index(curve.split), unit

    def preference(candidate: _Candidate) -> tuple[bool, int, int, tuple[int, int, str]]:
        curve = candidate.curve
        n_finite = int(np.count_nonzero(np.isfinite(curve.value)))
        return not candidate.is_override, -n_finite, -len(curve), plainness(curve.key)

    kept = (min(group, key=preference) for _, group in groupby(sorted(candidates, key=place), key=place))
    return tuple(replace(one.curve, step_unit=one.told_unit) if one.told_unit else one.curve for one in kept)
