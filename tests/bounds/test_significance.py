"""Tests of the model: their level holds, and they have power."""

from math import comb, exp, inf, isnan, nan

import pytest
from scipy.stats import binomtest

from lossacc_mlflow.bounds import miscalibration_p
from lossacc_mlflow.bounds.significance import (
    least_n_that_proves,
    log_normalizer,
    mcnemar_gap_needed,
    mcnemar_p_range,
)
from lossacc_mlflow.errors import InputError


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50, 400])
def test_the_normalizer_is_its_definition(n: int) -> None:
    exact = sum(comb(n, s) * (s / n) ** s * (1 - s / n) ** (n - s) for s in range(n + 1))
    assert exp(log_normalizer(n)) == pytest.approx(exact, rel=1e-12)


def test_the_normalizer_of_many_samples_goes_on_without_a_step() -> None:
    steps = [log_normalizer(n) - log_normalizer(n - 1) for n in (1_000_000, 1_000_001, 1_000_002)]
    assert steps == pytest.approx([5e-7] * 3, rel=0.01)


@pytest.mark.parametrize(("n", "margin"), [(50, 0.105), (200, 0.030), (1000, 0.0067), (10_000, 0.0008)])
def test_margins_at_five_percent(n: int, margin: float) -> None:
    assert miscalibration_p(margin * 1.02, n) < 0.05 < miscalibration_p(margin * 0.93, n)


def test_p_values_at_the_edges() -> None:
    assert miscalibration_p(0.0, 10) == miscalibration_p(-1.0, 10) == miscalibration_p(1e-9, 10) == 1.0
    assert miscalibration_p(inf, 10) == 0.0
    assert isnan(miscalibration_p(nan, 10))
    with pytest.raises(InputError, match="at least 1"):
        miscalibration_p(0.1, 0)


@pytest.mark.parametrize("n", [12, 25])
def test_mcnemar_is_between_its_best_and_worst_table(n: int) -> None:
    for right_a in range(n + 1):
        for right_b in range(right_a):
            wrong_a, wrong_b = n - right_a, n - right_b
            both_wrong = range(max(0, wrong_a + wrong_b - n), wrong_a + 1)
            p = [binomtest(wrong_a - both, wrong_a + wrong_b - 2 * both).pvalue for both in both_wrong]
            low, high = mcnemar_p_range((right_a, right_a), (right_b, right_b), n)
            assert (low, high) == pytest.approx((min(p), max(p)))
    assert mcnemar_p_range((5, 7), (6, 6), n)[1] == 1.0


def test_a_gap_that_can_be_significant() -> None:
    for alpha in (0.05, 0.05 / 3, 0.05 / 10):
        needed = mcnemar_gap_needed(alpha)
        assert binomtest(0, needed).pvalue <= alpha < binomtest(0, needed - 1).pvalue


def test_least_n_is_the_first_that_proves() -> None:
    for excess in (5.0, 0.3, 0.001):
        n = least_n_that_proves(excess, miscalibration_p, 0.05)
        assert n is not None
        assert miscalibration_p(excess, n) <= 0.05
        assert n == 1 or miscalibration_p(excess, n - 1) > 0.05
    assert least_n_that_proves(nan, miscalibration_p, 0.05) is None
