"""Scores of yes/no answers: precision, recall, macro-F1 with bootstrap intervals, and paired tests."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

__all__ = ["N_RESAMPLES", "Ballot", "Comparison", "Score"]

N_RESAMPLES = 1000
_SEED = 20240229

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """How well yes/no answers fit the truth; with several rounds (seeds of noise) every figure is their mean.

    ``interval`` is the 95 % percentile interval of ``macro_f1`` from resampling runs.
    """

    n_positive: int
    n_negative: int
    precision: float
    recall: float
    f1: float
    macro_f1: float
    interval: tuple[float, float]
    false_alarm_rate: float
    abstained: float
    """Mean number of runs without an answer; each counts as wrong."""


@dataclass(frozen=True)
class Comparison:
    """One judge against another on the same runs: macro-F1 of the first minus that of the second.

    ``mcnemar_p`` is exact and two-sided, over the runs that one of both got right (most rounds, where there are
    several); ``wins`` and ``losses`` count them.
    """

    difference: float
    interval: tuple[float, float]
    wins: int
    losses: int
    mcnemar_p: float

    @property
    def is_behind(self) -> bool:
        """Whether the first is significantly worse, by the interval or by McNemar's test."""
        return self.interval[1] < 0 or (self.mcnemar_p < 0.05 and self.losses > self.wins)


@dataclass(frozen=True, eq=False)
class Ballot:
    """What several judges answered to one question about the same runs.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_runs,)
    answers : ndarray of float64, shape (n_runs, n_rounds, n_judges)
        1 yes, 0 no, NaN no answer, which counts as the wrong one.

    Examples
    --------
    >>> answers = np.array([1.0, np.nan, 0.0]).reshape(3, 1, 1)
    >>> score = Ballot(np.array([True, True, False]), answers).score(0)
    >>> score.precision, score.recall, score.abstained
    (1.0, 0.5, 1.0)
    """

    truth: BoolArray
    answers: FloatArray

    def score(self, judge: int) -> Score:
        """Score one judge; ratios with nothing below the line are 0, as with scikit-learn's ``zero_division=0``."""
        tp, fp, fn, tn = (count[0, :, judge] for count in self._counts)
        return Score(
            n_positive=int(self.truth.sum()),
            n_negative=int((~self.truth).sum()),
            precision=float(_ratio(tp, tp + fp).mean()),
            recall=float(_ratio(tp, tp + fn).mean()),
            f1=float(_ratio(2 * tp, 2 * tp + fp + fn).mean()),
            macro_f1=float(_macro_f1((tp, fp, fn, tn)).mean()),
            interval=_interval(self._resampled[:, judge]),
            false_alarm_rate=float(_ratio(fp, fp + tn).mean()),
            abstained=float(np.isnan(self.answers[:, :, judge]).sum(axis=0).mean()),
        )

    def compare(self, ours: int, theirs: int) -> Comparison:
        """Compare two judges."""
        macro_f1 = _macro_f1(self._counts)[0].mean(axis=0)
        right = (self._said == self.truth[:, None, None]).mean(axis=1) > 0.5
        wins = int((right[:, ours] & ~right[:, theirs]).sum())
        losses = int((right[:, theirs] & ~right[:, ours]).sum())
        return Comparison(
            difference=float(macro_f1[ours] - macro_f1[theirs]),
            interval=_interval(self._resampled[:, ours] - self._resampled[:, theirs]),
            wins=wins,
            losses=losses,
            mcnemar_p=float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
        )

    @cached_property
    def _said(self) -> BoolArray:
        said: BoolArray = np.where(np.isnan(self.answers), ~self.truth[:, None, None], self.answers == 1)
        return said

    @cached_property
    def _counts(self) -> tuple[FloatArray, ...]:
        return _confusion(np.ones((1, len(self.truth))), self.truth, self._said)

    @cached_property
    def _resampled(self) -> FloatArray:
        """Macro-F1 of every judge in every resample, mean over the rounds; shape (n_resamples, n_judges)."""
        resampled: FloatArray = _macro_f1(_confusion(_resamples(len(self.truth)), self.truth, self._said)).mean(axis=1)
        return resampled


@lru_cache(maxsize=64)
def _resamples(n: int) -> FloatArray:
    """How often each run is drawn; the same draws for every judge, so that they can be compared."""
    rng = np.random.default_rng(_SEED)
    return rng.multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(np.float64)


def _confusion(weights: FloatArray, truth: BoolArray, said: BoolArray) -> tuple[FloatArray, ...]:
    """True positives, false positives, false negatives, true negatives; shape (n_weights, n_rounds, n_judges)."""
    yes, positive = said.reshape(len(truth), -1).astype(np.float64), truth.astype(np.float64)
    shape = (len(weights), *said.shape[1:])
    tp = ((weights * positive) @ yes).reshape(shape)
    said_yes = (weights @ yes).reshape(shape)
    positives, total = (weights @ positive)[:, None, None], weights.sum(axis=1)[:, None, None]
    fp, fn = said_yes - tp, positives - tp
    return tp, fp, fn, total - tp - fp - fn


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def _macro_f1(counts: tuple[FloatArray, ...]) -> FloatArray:
    tp, fp, fn, tn = counts
    return (_ratio(2 * tp, 2 * tp + fp + fn) + _ratio(2 * tn, 2 * tn + fp + fn)) / 2


def _interval(values: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
