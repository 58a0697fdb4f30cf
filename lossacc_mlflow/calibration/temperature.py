"""Temperature scaling over blocks of rows: the best temperature, and those of a cross-fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossacc_mlflow.blocks import Block, Floats, Tile, in_order, make_tiles
from lossacc_mlflow.calibration.folds import N_FOLDS, assign_folds
from lossacc_mlflow.clips import LOG_LOSS_CLIP, largest_loss
from lossacc_mlflow.records import FloatArray, IntArray

__all__ = ["BETA_BOUNDS", "MIN_SAMPLES", "Temperatures", "fit_temperature", "fit_temperatures", "losses_after"]

BETA_BOUNDS = (0.01, 100.0)
"""Bounds of 1 / T; a fit that ends on one of them says that temperature alone is no model of this miscalibration."""

MIN_SAMPLES = 2 * N_FOLDS
"""Two samples a fold; below, no temperature is fitted."""

_FLOOR = 1e-12
"""Added to a probability before its logarithm, as scikit-learn's temperature calibration does."""

_PRIOR_SD = 0.5
_MAX_PASSES = 60
_SMALL_STEP = 0.02
_TIGHT, _LOOSE = 1e-7, 1e-3
"""Steps after which a fit ends. Newton's error squares: a step of 1e-3 leaves some 1e-6."""

_NO_UNDERFLOW = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Temperatures:
    """The best temperature of all samples, and that for each fold, fitted on the other ones.

    Parameters
    ----------
    temperature : float
    at_bound : bool
        Whether 1 / T ended at one of ``BETA_BOUNDS``.
    by_fold : ndarray of float64, shape (N_FOLDS,)
    """

    temperature: float
    at_bound: bool
    by_fold: FloatArray


def fit_temperature(log_proba: NDArray[np.floating[Any]], y_true: IntArray) -> float:
    """Find the temperature T that minimises the mean log loss of softmax(log_proba / T).

    Parameters
    ----------
    log_proba : ndarray of shape (n_samples, n_classes)
        Finite natural logarithms of the probabilities (or any logits).
    y_true : ndarray of int64, shape (n_samples,)

    Returns
    -------
    float
        T > 1 where the model is over-confident, T < 1 where it is under-confident, with 1 / T within ``BETA_BOUNDS``.

    Examples
    --------
    >>> p = np.array([[0.99, 0.01]] * 9 + [[0.99, 0.01]])
    >>> y = np.array([0] * 9 + [1])
    >>> round(fit_temperature(np.log(p), y), 3)  # softmax of ln(99)/T gives .9
    2.091
    """
    search, _ = _fit_all([Block(0, y_true, log_proba)], 1.0, _TIGHT, logits=True)
    return 1 / search.at


def fit_temperatures(blocks: Iterable[Block], sample: Sequence[Block] = ()) -> Temperatures:
    """Fit the best temperature of all samples, and one for each fold without the samples of that fold.

    Parameters
    ----------
    blocks : iterable of Block
        Read several times. At least ``MIN_SAMPLES`` samples; rows need not sum to 1.
    sample : sequence of Block, optional
        Some of the rows of large data, to start from: saves passes over all of them.

    Returns
    -------
    Temperatures

    Notes
    -----
    The loss is convex in b = 1 / T with derivative sum(E_b[z] - z_y) and curvature sum(Var_b[z]); Newton steps are
    kept within a bracket of the root and a factor of 4 (Guo et al. 2017, arXiv:1706.04599). Every pass sums both
    derivatives by fold, so the fits without one fold each are one more Newton step from the common optimum; where that
    step is not small, or the data is, they are iterated on their own. A fold's fit has a weak prior, ln b normal
    around that of all samples with standard deviation 1/2, worth one sample: without it, a few dozen samples with
    hardly a wrong answer make a fold's T run away, and the one wrong answer that it is judged by costs several nats.
    That prior is all that a fold's fit knows of its own samples. Around T = 1 instead, refinement would depend on how
    sharp the model is.
    """
    start = _fit_all(sample, 1.0, _LOOSE)[0].at if sample else 1.0
    search, found = _fit_all(blocks, start, _LOOSE if sample else _TIGHT)
    return Temperatures(
        temperature=1 / search.at,
        at_bound=search.at in BETA_BOUNDS,
        by_fold=1 / _fit_folds(blocks, search, found, _SMALL_STEP if sample else _TIGHT),
    )


def losses_after(block: Block, temperatures: Temperatures) -> tuple[FloatArray, FloatArray]:
    """Log losses before and after the temperature that every sample had no part in.

    Parameters
    ----------
    block : Block
    temperatures : Temperatures

    Returns
    -------
    before, after : ndarray of float64, shape (n_rows,)
        The true class counts with its probability at ``LOG_LOSS_CLIP`` or more in both: at T = 1 they are the same.
    """
    beta = 1 / temperatures.by_fold[assign_folds(block.start, len(block))]
    before, after = np.empty((2, len(block)))
    for tile in make_tiles(block.y_proba):
        z, truth, beta_rows = _logarithms(tile), block.y_true[tile.rows], beta[tile.rows]
        total, z_used = tile.total(tile.values), tile.take(z, truth)
        z_true = np.log(np.maximum(tile.take(tile.values, truth), LOG_LOSS_CLIP))
        before[tile.rows] = np.log(total) - z_true
        z *= tile.spread(beta_rows)
        top = _shift(tile, z, float(beta_rows.max()))
        np.exp(z, out=z)
        own, others = np.exp(beta_rows * z_true - top), tile.total(z) - np.exp(beta_rows * z_used - top)
        after[tile.rows] = np.log(np.maximum(others, 0) + own) + top - beta_rows * z_true
    low, high = -log(1 - LOG_LOSS_CLIP), largest_loss(LOG_LOSS_CLIP)
    return np.clip(before, low, high), np.clip(after, low, high)


class _Search:
    """A safeguarded Newton search for the root of an increasing function of 1 / T."""

    def __init__(self, start: float) -> None:
        self.at = self.came_from = start
        self._low, self._high = BETA_BOUNDS
        self._seen_low = self._seen_high = False

    def advance(self, slope: float, curvature: float) -> float:
        """Move on from where the slope was found; return by which part, 0 where a bound is the answer."""
        beta = self.came_from = self.at
        if beta == (BETA_BOUNDS[1] if slope <= 0 else BETA_BOUNDS[0]):
            return 0.0
        if slope <= 0:
            self._low, self._seen_low = beta, True
        else:
            self._high, self._seen_high = beta, True
        step = -slope / curvature if curvature > 0 else (inf if slope <= 0 else -inf)
        if abs(step) <= 1e-12 * beta:
            return 0.0
        following = min(max(beta + step, beta / 4, self._low), 4 * beta, self._high)
        if (following == self._low and self._seen_low) or (following == self._high and self._seen_high):
            following = sqrt(self._low * self._high)
        self.at = following
        return abs(following - beta) / beta


def _fit_all(
    blocks: Iterable[Block], start: float, tolerance: float, *, logits: bool = False
) -> tuple[_Search, FloatArray]:
    """The search for the optimum of all rows, and the sums by fold where it came from."""
    search = _Search(start)
    for n_passes in range(_MAX_PASSES):
        found = _sum_slopes(blocks, np.array([search.at]), logits=logits)[0]
        slope, curvature, weight, _ = found.sum(axis=0)
        if n_passes == 0 and max(abs(slope), curvature) <= 1e-9 * weight:
            break  # equal probabilities, or hardly a loss: every T is as good
        if search.advance(float(slope), float(curvature)) <= tolerance:
            break
    return search, found


def _fit_folds(blocks: Iterable[Block], common: _Search, found: FloatArray, enough: float) -> FloatArray:
    """1 / T for every fold, shape (N_FOLDS,), from the sums by fold where the common search came from."""
    searches = [_Search(common.came_from) for _ in range(N_FOLDS)]
    if _advance_folds(searches, np.broadcast_to(found, (N_FOLDS, *found.shape)), common.at) > enough:
        for _ in range(_MAX_PASSES):
            each = _sum_slopes(blocks, np.array([search.at for search in searches]))
            if _advance_folds(searches, each, common.at) <= min(enough, _LOOSE):
                break
    return np.array([search.at for search in searches])


def _advance_folds(searches: Sequence[_Search], found: FloatArray, centre: float) -> float:
    """Move every fold's search by the rows of the other folds, and the prior; return the largest step."""
    steps = []
    for k, search in enumerate(searches):
        slope, curvature, weight, squared = found[k].sum(axis=0) - found[k, k]
        one_sample = squared / weight if weight > 0 else 1.0
        pull = one_sample / (_PRIOR_SD * search.at) ** 2
        steps.append(search.advance(float(slope + pull * search.at * log(search.at / centre)), float(curvature + pull)))
    return max(steps)


def _sum_slopes(blocks: Iterable[Block], betas: FloatArray, *, logits: bool = False) -> FloatArray:
    """Sums over the rows of every fold, at every place, shape (n_places, N_FOLDS, 4), see `_slopes`."""
    total = np.zeros((len(betas), N_FOLDS, 4))
    for part in in_order(partial(_slopes, betas=betas, logits=logits), blocks):
        total += part
    return total


def _slopes(block: Block, betas: FloatArray, *, logits: bool) -> FloatArray:
    """Sums by place and fold: weighted slope and curvature of the loss, weight and its square."""
    fold = assign_folds(block.start, len(block))
    weight = np.ones(len(block)) if block.weight is None else block.weight
    slope, curvature = np.empty((2, len(betas), len(block)))
    for tile in make_tiles(block.y_proba):
        z = tile.values if logits else _logarithms(tile)
        z_true, scratch = tile.take(z, block.y_true[tile.rows]), np.empty_like(z)
        for i, beta in enumerate(betas):
            np.multiply(z, z.dtype.type(beta), out=scratch)
            _shift(tile, scratch, inf if logits else float(beta))
            np.exp(scratch, out=scratch)
            total, first = tile.total(scratch), tile.dot(scratch, z)
            scratch *= z
            mean = first / total
            slope[i, tile.rows] = mean - z_true
            curvature[i, tile.rows] = np.maximum(tile.dot(scratch, z) / total - mean**2, 0)
    sums = np.empty((len(betas), N_FOLDS, 4))
    sums[:, :, 2:] = np.column_stack([np.bincount(fold, w, N_FOLDS) for w in (weight, weight**2)])
    for i in range(len(betas)):
        sums[i, :, 0] = np.bincount(fold, weight * slope[i], N_FOLDS)
        sums[i, :, 1] = np.bincount(fold, weight * curvature[i], N_FOLDS)
    return sums


def _logarithms(tile: Tile) -> Floats:
    z: Floats = tile.values + tile.values.dtype.type(_FLOOR)
    return np.log(z, out=z)


def _shift(tile: Tile, scaled: Floats, beta: float) -> FloatArray | float:
    """Subtract the largest of every row where all of a row could vanish; return what was subtracted."""
    if beta * log(tile.n_classes) < _NO_UNDERFLOW:  # the largest probability is at least 1 / n_classes
        return 0.0
    top = scaled.max(axis=0 if tile.by_class else 1)
    scaled -= tile.spread(top)
    return np.asarray(top, np.float64)
