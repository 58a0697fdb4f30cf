"""How sure a difference between two models on the same samples is: McNemar, paired t, and Holm over many pairs."""

from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from lossacc_mlflow.records import FloatArray

__all__ = ["ALPHA", "holm", "least_disagreement", "mcnemar", "paired_t", "paired_t_half_width"]

ALPHA = 0.05
"""Level of every test."""


def mcnemar(only_a: ArrayLike, only_b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Test whether two models have the same accuracy, from the samples that only one of them gets right.

    Parameters
    ----------
    only_a, only_b : array-like of int, of one shape
        Numbers of samples.

    Returns
    -------
    exact, mid_p : ndarray of float64, of that shape
        Two-sided p values of the exact binomial test, and the same with half the weight on what was observed, which
        holds the level and rejects more often on few samples.

    References
    ----------
    Q. McNemar (1947), doi:10.1007/BF02295996; M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary
    matched-pairs data: mid-p and asymptotic are better than exact conditional" (2013), doi:10.1186/1471-2288-13-91.

    Examples
    --------
    >>> exact, mid_p = mcnemar([0, 1, 5], [0, 8, 5])
    >>> exact.round(4).tolist(), mid_p.round(4).tolist()
    ([1.0, 0.0391, 1.0], [1.0, 0.0215, 1.0])
    """
    a, b = np.asarray(only_a, dtype=np.int64), np.asarray(only_b, dtype=np.int64)
    n, least = a + b, np.minimum(a, b)
    tail: FloatArray = 2 * stats.binom.cdf(least, n, 0.5)
    exact = np.minimum(tail, 1.0)
    mid_p = np.clip(tail - stats.binom.pmf(least, n, 0.5), 0.0, 1.0)
    nobody = n == 0
    return np.where(nobody, 1.0, exact), np.where(nobody, 1.0, mid_p)


def paired_t(mean: ArrayLike, standard_error: ArrayLike, n: int) -> FloatArray:
    """Test whether a mean difference is zero.

    Parameters
    ----------
    mean, standard_error : array-like of one shape
    n : int
        Number of samples.

    Returns
    -------
    ndarray of float64, of that shape
        Two-sided p values; NaN for fewer than two samples, or of NaN. A difference that is the same everywhere has 0.

    Examples
    --------
    >>> paired_t([0.2, 0.0, 0.2], [0.1, 0.0, 0.0], 100).round(4).tolist()
    [0.0482, 1.0, 0.0]
    """
    difference, error = np.asarray(mean, dtype=np.float64), np.asarray(standard_error, dtype=np.float64)
    if n < 2:
        return np.full(difference.shape, np.nan)
    size = np.abs(difference)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, size / error, np.where(size > 0, np.inf, 0.0))
    p: FloatArray = 2 * stats.t.sf(t, n - 1)
    return np.where(np.isnan(difference) | np.isnan(error), np.nan, p)


def paired_t_half_width(standard_error: float, n: int) -> float:
    """Half the width of the confidence interval of a mean difference at level ``ALPHA``; NaN below two samples."""
    return float(stats.t.ppf(1 - ALPHA / 2, n - 1)) * standard_error if n > 1 else float("nan")


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjust p values for their number, so that all of them together hold the level of one.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        What is NaN was not tested: it stays, and is not counted.

    Returns
    -------
    ndarray of float64, shape (n_tests,)

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure" (1979), Scandinavian Journal of Statistics 6.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, float("nan")]).round(4).tolist()
    [0.03, 0.06, 0.06, nan]
    """
    p = np.array(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(p))
    ordered = tested[np.argsort(p[tested], kind="stable")]
    weight = np.arange(len(ordered), 0, -1)
    p[ordered] = np.minimum(np.maximum.accumulate(weight * p[ordered]), 1.0)
    return p


def least_disagreement(n_pairs: int = 1) -> int:
    """Count the samples by which two models must at least differ in right answers for that to be significant.

    Parameters
    ----------
    n_pairs : int
        Pairs of models that are tested together (Holm).

    Returns
    -------
    int
        The smallest m with 2 · 2^-m <= ``ALPHA`` / n_pairs: even if one model is right on all that they differ on.

    Examples
    --------
    >>> [least_disagreement(n) for n in (1, 3, 10)]
    [6, 7, 9]
    """
    return ceil(1 + log2(max(n_pairs, 1) / ALPHA))
