"""How an amount is distributed over samples, kept exactly while they are few, as a fine histogram beyond; mergeable."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["EXACT_UP_TO", "Distribution"]

EXACT_UP_TO = 10_000
"""Samples of which every value is kept."""

_STEPS = 8
"""Bits of the mantissa that tell bins apart: 256 bins an octave, none wider than 0.4 % of its values."""

_SHIFT = 52 - _STEPS


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Weights and amounts by a key, for sums over the samples with the smallest or the largest keys.

    Whether values are kept exactly depends on the number of samples alone, so merging parts gives what the whole
    gives. A Gini coefficient or a top share from the histogram is off by less than 1e-3: that of two values in one
    bin is at most a quarter of the bin's relative width.

    Parameters
    ----------
    octaves : tuple of int
        Keys from 2 ** octaves[0] to 2 ** octaves[1] are told apart; beyond, they share the first or last bin.
    key, weight, amount : ndarray of float64, shape (n_points,)
        Of single samples, or, where ``place`` is given, of the filled bins: their mean key, and sums.
    place : ndarray of int64, shape (n_points,), or None
        Bin numbers, increasing; None while all values are kept.
    n : int
        Samples.
    """

    octaves: tuple[int, int]
    key: FloatArray
    weight: FloatArray
    amount: FloatArray
    place: IntArray | None
    n: int

    @classmethod
    def of(cls, key: FloatArray, weight: FloatArray, amount: FloatArray, octaves: tuple[int, int]) -> "Distribution":
        """Take in samples."""
        whole = cls(octaves, key, weight, amount, None, len(key))
        return _binned([whole], octaves, whole.n) if whole.n > EXACT_UP_TO else whole

    def merge(self, other: "Distribution") -> "Distribution":
        """Take both together."""
        n = self.n + other.n
        if n > EXACT_UP_TO or self.place is not None or other.place is not None:
            return _binned([self, other], self.octaves, n)
        key, weight, amount = (
            np.concatenate([getattr(one, name) for one in (self, other)]) for name in ("key", "weight", "amount")
        )
        return Distribution(self.octaves, key, weight, amount, None, n)

    def below(self, key: float) -> "Distribution":
        """Keep the samples below a key; of a histogram, the bins that lie below that of the key."""
        if self.place is None:
            kept = self.key < key
            n = int(kept.sum())
        else:
            kept = self.place < _places(np.array([key]), self.octaves)[0]
            n = self.n if bool(kept.all()) else round(float(self.weight[kept].sum()))
        place = None if self.place is None else self.place[kept]
        return Distribution(self.octaves, self.key[kept], self.weight[kept], self.amount[kept], place, n)

    def gini(self) -> float:
        """Gini coefficient of the amounts, 0 where all are 0."""
        order = np.argsort(self.key, kind="stable")
        weight, amount = self.weight[order], self.amount[order]
        total = float(amount.sum())
        if total <= 0:
            return 0.0
        reached = np.cumsum(amount)
        area = float(np.dot(weight, 2 * reached - amount))
        return max(0.0, 1 - area / (float(weight.sum()) * total))

    def top_share(self, weight: float) -> float:
        """Part of the amount that the samples with the largest keys carry, up to a weight; 0 where all are 0."""
        order = np.argsort(-self.key, kind="stable")
        weights, amounts = self.weight[order], self.amount[order]
        total = float(amounts.sum())
        if total <= 0:
            return 0.0
        before = np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        part = np.clip((weight - before) / np.where(weights > 0, weights, 1.0), 0, 1)
        return float(np.dot(part, amounts)) / total


def _places(key: FloatArray, octaves: tuple[int, int]) -> NDArray[np.int64]:
    """Bin of each key: its exponent and the first bits of its mantissa."""
    low, high = ((octave + 1023) << _STEPS for octave in octaves)
    place: NDArray[np.int64] = np.ascontiguousarray(key).view(np.int64) >> _SHIFT
    place -= low
    return np.clip(place, 0, high - low - 1, out=place)


def _binned(parts: list[Distribution], octaves: tuple[int, int], n: int) -> Distribution:
    n_bins = (octaves[1] - octaves[0]) << _STEPS
    sums = np.zeros((3, n_bins))
    for part in parts:
        place = _places(part.key, octaves) if part.place is None else part.place
        for i, values in enumerate((part.weight, part.amount, part.weight * part.key)):
            sums[i] += np.bincount(place, values, n_bins)
    place = np.flatnonzero(sums[0])
    weight, amount, keys = sums[:, place]
    return Distribution(octaves, keys / weight, weight, amount, place, n)
