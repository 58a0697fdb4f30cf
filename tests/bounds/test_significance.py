"""Tests of the model: their level holds, and they have power."""

from math import comb, exp, inf, isnan, nan

import pytest

from lossacc_mlflow.bounds import miscalibration_p
from lossacc_mlflow.bounds.significance import log_normalizer
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
