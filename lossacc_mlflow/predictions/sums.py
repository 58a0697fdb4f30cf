"""Sums over rows, of which every figure of a summary is made; what two parts have, added, is what the whole has."""

from dataclasses import dataclass, fields, replace
from math import log
from typing import TypeVar, cast

import numpy as np

from lossacc_mlflow.blocks import dot
from lossacc_mlflow.clips import CLIPS, LOG_LOSS_CLIP, largest_loss
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions.bins import N_BINS, place_in_bins
from lossacc_mlflow.predictions.distribution import Distribution
from lossacc_mlflow.predictions.probabilities import Repairs
from lossacc_mlflow.predictions.rows import RowFigures
from lossacc_mlflow.records import FloatArray, IntArray, PredictionSummary, Sums

__all__ = ["BinSums", "ClassSums", "PredictionSums", "add_up", "huge_error_bound"]

_LOSSES = (-53, 6)
"""Octaves of the losses that are told apart: scikit-learn's clip leaves 2.2e-16 to 36.04 nats."""

_PROBABILITIES = (-64, 1)


@dataclass(frozen=True, slots=True, eq=False)
class BinSums:
    """Sums over the confidence bins, each of shape (N_BINS,); ``variance`` is of the (weighted) number of hits."""

    count: FloatArray
    weight: FloatArray
    confidence: FloatArray
    correct: FloatArray
    variance: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums:
    """Sums over the classes, each of shape (n_classes,); numbers of samples, and sums of their weights."""

    count: FloatArray
    count_predicted: FloatArray
    weight: FloatArray
    weight_predicted: FloatArray
    hits: FloatArray
    loss: FloatArray

    def moved(self, places: list[int], n_classes: int) -> "ClassSums":
        """Put every class into its place among more of them."""
        wider = {field.name: np.zeros(n_classes) for field in fields(self)}
        for name, values in wider.items():
            values[places] = getattr(self, name)
        return ClassSums(**wider)


_S = TypeVar("_S", BinSums, ClassSums)


@dataclass(frozen=True, slots=True, eq=False)
class PredictionSums:
    """All sums over some rows; weights are 1 where none were given, and NaN what is not known.

    Parameters
    ----------
    names : tuple of str
        Classes of the columns.
    n_classes : int or None
        None where the classes are only those that were seen.
    n : int
        Samples.
    weighted : bool
    n_zero : int
        Samples whose true class got nothing.
    weight, weight_squared, weight_correct : float
    loss_correct, loss_incorrect : float
        Clipped at ``LOG_LOSS_CLIP``.
    confidence, confidence_incorrect, brier : float
    excess, variance : float
        Sum of weight · (loss - entropy) and of weight² · its variance, for Spiegelhalter's z.
    by_clip : ndarray of float64
        Sum of the losses under every clip of ``CLIPS``.
    bins : BinSums
    classes : ClassSums
    losses : Distribution
        Of the losses.
    improbable : Distribution
        Samples by the probability of their true class, below ``huge_error_bound``.
    repairs : Repairs
    """

    names: tuple[str, ...]
    n_classes: int | None
    n: int
    weighted: bool
    n_zero: int
    weight: float
    weight_squared: float
    weight_correct: float
    loss_correct: float
    loss_incorrect: float
    confidence: float
    confidence_incorrect: float
    brier: float
    excess: float
    variance: float
    by_clip: FloatArray
    bins: BinSums
    classes: ClassSums
    losses: Distribution
    improbable: Distribution
    repairs: Repairs

    def summarize_with(self, other: Sums) -> PredictionSummary:
        """Summarise the samples of both."""
        from lossacc_mlflow.predictions.figures import summarize_sums  # noqa: PLC0415  (figures read sums)

        return summarize_sums(self + cast("PredictionSums", other))

    def __add__(self, other: "PredictionSums") -> "PredictionSums":
        one, two = _aligned(self, other)
        total = {
            field.name: getattr(one, field.name) + getattr(two, field.name)
            for field in fields(one)
            if isinstance(getattr(one, field.name), int | float | np.ndarray | Repairs)
        }
        losses = one.losses.merge(two.losses)
        improbable = one.improbable.merge(two.improbable)
        total |= {
            "n_classes": one.n_classes,
            "weighted": one.weighted or two.weighted,
            "bins": _added(one.bins, two.bins),
            "classes": _added(one.classes, two.classes),
            "losses": losses,
            "improbable": improbable.below(huge_error_bound(one.n + two.n, one.n_classes or len(one.names))),
        }
        return replace(one, **total)


def huge_error_bound(n: int, n_classes: int) -> float:
    """The probability of the true class below which a calibrated model expects at most one of n samples."""
    return 1 / (n * max(1, n_classes - 1))


def add_up(
    rows: RowFigures, names: tuple[str, ...], n_classes: int | None, repairs: Repairs | None = None
) -> PredictionSums:
    """Sum over the rows of one block.

    Parameters
    ----------
    rows : RowFigures
        At least one.
    names : tuple of str
    n_classes : int or None
    repairs : Repairs, optional
    """
    n = len(rows)
    weight = np.ones(n) if rows.weight is None else rows.weight
    with np.errstate(divide="ignore"):
        raw = -np.log(rows.p_true)
    loss = _clipped(raw, LOG_LOSS_CLIP)
    correct = rows.y_pred == rows.y_true
    costs, hits = weight * loss, weight * correct
    surprise = np.minimum(raw, largest_loss(LOG_LOSS_CLIP)) - rows.entropy
    known = ~np.isnan(loss)
    rare = known & (rows.p_true < huge_error_bound(n, n_classes or len(names)))
    return PredictionSums(
        names=names,
        n_classes=n_classes,
        n=n,
        weighted=rows.weight is not None,
        n_zero=int(np.count_nonzero(rows.p_true <= 0)),
        weight=float(weight.sum()),
        weight_squared=dot(weight, weight),
        weight_correct=float(hits.sum()),
        loss_correct=float(costs[correct].sum()),
        loss_incorrect=float(costs[~correct].sum()),
        confidence=dot(weight, rows.confidence),
        confidence_incorrect=dot(weight - hits, rows.confidence),
        brier=dot(weight, rows.brier),
        excess=dot(weight, surprise),
        variance=dot(weight**2, rows.variance),
        by_clip=_by_clip(raw, weight),
        bins=_sum_bins(rows, weight, hits),
        classes=_sum_classes(rows, weight, hits, costs, len(names)),
        losses=Distribution.of(loss[known], weight[known], costs[known], _LOSSES),
        improbable=Distribution.of(rows.p_true[rare], np.ones(int(rare.sum())), costs[rare], _PROBABILITIES),
        repairs=repairs or Repairs(),
    )


def _by_clip(raw: FloatArray, weight: FloatArray) -> FloatArray:
    """Sums of the losses under every clip; only what one of them touches is looked at for each."""
    widest = max(CLIPS.values())
    touched = ~((raw > -log(1 - widest)) & (raw < -log(widest)))
    rest = dot(weight[~touched], raw[~touched])
    raw, weight = raw[touched], weight[touched]
    used = weight > 0  # 0 · inf
    raw, weight = raw[used], weight[used]
    return np.array([rest + dot(weight, _clipped(raw, clip)) for clip in CLIPS.values()])


def _clipped(raw: FloatArray, clip: float) -> FloatArray:
    return np.clip(raw, -log(1 - clip) if clip < 1 else 0.0, largest_loss(clip)) if clip > 0 else raw


def _sum_bins(rows: RowFigures, weight: FloatArray, hits: FloatArray) -> BinSums:
    place = place_in_bins(rows.confidence)
    spread = weight**2 * np.maximum(rows.confidence * (1 - rows.confidence), 0)
    count = np.bincount(place, minlength=N_BINS).astype(np.float64)
    return BinSums(
        count=count,
        weight=count if rows.weight is None else _by_place(place, weight, N_BINS),
        confidence=_by_place(place, weight * rows.confidence, N_BINS),
        correct=_by_place(place, hits, N_BINS),
        variance=_by_place(place, spread, N_BINS),
    )


def _sum_classes(
    rows: RowFigures, weight: FloatArray, hits: FloatArray, costs: FloatArray, n_classes: int
) -> ClassSums:
    count, answered = (np.bincount(y, minlength=n_classes).astype(np.float64) for y in (rows.y_true, rows.y_pred))
    plain = rows.weight is None
    return ClassSums(
        count=count,
        count_predicted=answered,
        weight=count if plain else _by_place(rows.y_true, weight, n_classes),
        weight_predicted=answered if plain else _by_place(rows.y_pred, weight, n_classes),
        hits=_by_place(rows.y_true, hits, n_classes),
        loss=_by_place(rows.y_true, costs, n_classes),
    )


def _by_place(place: IntArray, values: FloatArray, n_places: int) -> FloatArray:
    return np.asarray(np.bincount(place, values, n_places), np.float64)


def _added(one: _S, two: _S) -> _S:
    return type(one)(**{f.name: getattr(one, f.name) + getattr(two, f.name) for f in fields(one)})


def _aligned(one: PredictionSums, two: PredictionSums) -> tuple[PredictionSums, PredictionSums]:
    """Bring the classes of both into the same places."""
    if one.names == two.names and one.n_classes == two.n_classes:
        return one, two
    if one.n_classes is not None or two.n_classes is not None:
        raise PredictionsError(
            f"the summaries are of different classes: {', '.join(one.names)[:100]}, and "
            f"{', '.join(two.names)[:100]}. Give both the same labels."
        )
    longer = max(one.names, two.names, key=len)
    both = {*one.names, *two.names}
    names = longer if len(longer) == len(both) else tuple(sorted(both))
    place = {name: i for i, name in enumerate(names)}
    first, second = (
        replace(s, names=names, classes=s.classes.moved([place[name] for name in s.names], len(names)))
        for s in (one, two)
    )
    return first, second
