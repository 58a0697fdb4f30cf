"""McNemar, paired t and Holm against independent ways to compute the same."""

from itertools import product
from math import comb, nan

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from lossacc_mlflow.pairing import ALPHA, holm, least_disagreement, mcnemar, paired_t


def test_mcnemar_is_the_binomial_test() -> None:
    counts = list(product(range(12), repeat=2))
    exact, mid_p = mcnemar(*np.transpose(counts))
    for (a, b), p, mid in zip(counts, exact, mid_p, strict=True):
        observed = comb(a + b, a) * 0.5 ** (a + b)
        wanted = stats.binomtest(a, a + b).pvalue if a + b else 1.0
        # Half of the weight of what was observed, on both sides where these are two.
        less = wanted if a == b else wanted - observed
        assert_allclose([p, mid], [wanted, less], atol=1e-12)


def test_mcnemar_holds_its_level_and_mid_p_is_nearer_to_it() -> None:
    rng = np.random.default_rng(0)
    only_a = rng.binomial(30, 0.5, 20_000)
    exact, mid_p = mcnemar(only_a, 30 - only_a)
    rejected = float(np.mean(exact < ALPHA)), float(np.mean(mid_p < ALPHA))
    assert rejected[0] <= 0.045
    assert rejected[0] <= rejected[1] <= 0.055


def test_paired_t_of_one_sample_is_not_known() -> None:
    assert np.isnan(paired_t(0.1, 0.1, 1))
    assert np.isnan(paired_t([nan, 0.1], [0.1, nan], 9)).all()


def test_holm_rejects_what_its_definition_does() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        p = rng.random(7) ** 4
        rejected = set()
        for rank, i in enumerate(np.argsort(p)):
            if p[i] > ALPHA / (7 - rank):
                break
            rejected.add(int(i))
        assert set(np.flatnonzero(holm(p) <= ALPHA).tolist()) == rejected
    assert_allclose(holm([0.02, nan]), [0.02, nan])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("n_pairs", [1, 2, 3, 10, 45, 1225])
def test_fewer_samples_cannot_be_significant(n_pairs: int) -> None:
    least = least_disagreement(n_pairs)
    exact, _ = mcnemar([0, 0], [least - 1, least])
    assert exact[1] <= ALPHA / n_pairs < exact[0]
