"""What figures of n independent samples prove about the model, beyond these samples."""

from collections.abc import Callable
from math import exp, inf, isnan, log, nan, pi, sqrt

import numpy as np
from scipy.stats import binom

from lossacc_mlflow.errors import InputError

__all__ = [
    "least_n_that_proves",
    "log_normalizer",
    "mcnemar_gap_needed",
    "mcnemar_p_range",
    "miscalibration_p",
]

_EXACT_TO = 1_000_000
"""Beyond that the asymptotic series agrees to the last digits of a float64."""

_MOST = 10**15


def log_normalizer(n: int) -> float:
    """Logarithm of C_n, the sum over all outcomes of n trials of the likelihood at its own maximum.

    Parameters
    ----------
    n : int
        Number of samples, at least 1.

    Returns
    -------
    float
        ln sum_s C(n, s) (s/n)^s (1 - s/n)^(n - s), about ln(sqrt(pi n / 2) + 2/3).

    Notes
    -----
    The sum equals 1 + Q(n) with Ramanujan's Q(n) = 1 + (n-1)/n + (n-1)(n-2)/n^2 + ..., whose terms vanish after a
    few times sqrt(n); above a million samples its asymptotic series is used [1]_.

    References
    ----------
    .. [1] P. Flajolet, P. Grabner, P. Kirschenhofer and H. Prodinger, "On Ramanujan's Q-function", Journal of
       Computational and Applied Mathematics 58 (1995), 103-116, doi:10.1016/0377-0427(93)E0258-N.

    Examples
    --------
    >>> from math import exp
    >>> [round(exp(log_normalizer(n)), 3) for n in (1, 2, 1000)]
    [2.0, 2.5, 40.303]
    """
    if n < 1:
        raise InputError(f"a number of samples is at least 1, got {n}")
    if n > _EXACT_TO:
        return log(sqrt(pi * n / 2) + 2 / 3 + sqrt(pi / (2 * n)) / 12 - 4 / (135 * n))
    k = np.arange(min(n, 10 * int(sqrt(n)) + 10))
    return log(1.0 + float(np.cumprod(1.0 - k / n).sum()))


def miscalibration_p(excess: float, n: int) -> float:
    """Bound the probability that a calibrated model has a log loss this far above the band.

    Parameters
    ----------
    excess : float
        L - F(accuracy, K), in nats: how much the mean log loss of the samples exceeds that of one constant
        confidence, fitted to the same samples (see `plane_regions`).
    n : int
        Number of independent samples that both figures are of, at least 1.

    Returns
    -------
    float
        min(1, C_n exp(-n excess)), a p value: over all samples of size n, a calibrated model gets a value of at most
        alpha with probability at most alpha, whatever its number of classes, its accuracy and the clip of its loss.
        1 where there is no excess; NaN where the excess is.

    Raises
    ------
    InputError
        If n < 1.

    Notes
    -----
    For a calibrated model exp(-n L) is the probability of the n labels. Summed over all labels, the largest
    likelihood exp(-n F) of the models with one constant confidence is C_n (their normalised maximum likelihood [1]_).
    So exp(n (L - F)) has an expectation of at most C_n, and Markov's inequality gives the bound. What it refutes is
    calibration of the whole probability vector.

    References
    ----------
    .. [1] Yu. M. Shtarkov, "Universal sequential coding of single messages", Problems of Information Transmission 23
       (1987), 3-17.

    Examples
    --------
    >>> f"{miscalibration_p(0.1833, 106):.1e}", miscalibration_p(-0.01, 106)
    ('5.0e-08', 1.0)
    """
    constant = log_normalizer(n)
    if isnan(excess):
        return nan
    if excess <= 0:
        return 1.0
    exponent = -inf if excess == inf else constant - n * excess
    return min(1.0, exp(exponent))


def least_n_that_proves(excess: float, p_at: Callable[[float, int], float], alpha: float) -> int | None:
    """Find the number of samples from which on a loss above the band is significant.

    Parameters
    ----------
    excess : float
        How far the mean loss is above that of the best constant confidence.
    p_at : callable
        Of an excess and a number of samples, such as `miscalibration_p`.
    alpha : float
        Level.

    Returns
    -------
    int or None
        None where it never is, or only beyond 10^15 samples.

    Examples
    --------
    >>> least_n_that_proves(0.1833, miscalibration_p, 0.05), least_n_that_proves(0.0, miscalibration_p, 0.05)
    (28, None)
    """
    if not excess > 0 or p_at(excess, _MOST) > alpha:
        return None
    low, high = 0, _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if p_at(excess, middle) <= alpha else (middle, high)
    return high


def mcnemar_gap_needed(alpha: float) -> int:
    """Find by how many right answers two models must differ at least to be told apart by an exact McNemar test.

    Parameters
    ----------
    alpha : float
        Level of the test; over m pairs Holm's smallest is alpha / m.

    Returns
    -------
    int
        The best case, in which the worse model is right nowhere that the better one is not: 2^(1 - gap) <= alpha.

    Examples
    --------
    >>> mcnemar_gap_needed(0.05), mcnemar_gap_needed(0.05 / 3), mcnemar_gap_needed(0.05 / 10)
    (6, 7, 9)
    """
    gap = 1
    while 2.0 ** (1 - gap) > alpha:
        gap += 1
    return gap


def mcnemar_p_range(right_a: tuple[int, int], right_b: tuple[int, int], n: int) -> tuple[float, float]:
    """Bound the p value of an exact McNemar test of two models, of which only the accuracies are known.

    Parameters
    ----------
    right_a, right_b : tuple of (low, high)
        How many of the same n samples each can have right; a is the one with more.
    n : int

    Returns
    -------
    tuple of (low, high)
        Over all tables with these margins: the errors of one within those of the other, and as apart as they can be.

    Examples
    --------
    >>> low, high = mcnemar_p_range((991, 991), (985, 985), 1000)
    >>> round(low, 3), round(high, 2)
    (0.031, 0.31)
    """
    most = right_a[1] - right_b[0]
    best = min(1.0, 2.0 ** (1 - most)) if most > 0 else 1.0
    if right_a[0] <= right_b[1]:
        return best, 1.0
    wrong_a, wrong_b = n - right_a[0], n - right_b[1]
    both = max(0, wrong_a + wrong_b - n)
    only_b, only_a = wrong_a - both, wrong_b - both
    return best, min(1.0, 2.0 * float(binom.cdf(only_b, only_a + only_b, 0.5)))
