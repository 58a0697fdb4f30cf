"""The difference of two losses is attributed exactly, tested on its level, and told in words."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.metrics import log_loss

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.pairing import compare_predictions, compare_samples
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import FloatArray, IntArray


def _models(seed: int, n: int, n_classes: int = 3) -> tuple[IntArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.full(n_classes, 0.5), size=n) for _ in range(2))
    return rng.integers(0, n_classes, n), a, b


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60))
def test_contributions_sum_to_the_difference(seed: int, n: int) -> None:
    truth, a, b = _models(seed, n)
    pair = compare_predictions(truth, a, b)
    assert_allclose(sum(g.contribution for g in pair.groups), pair.delta_loss, atol=1e-12)
    assert sum(g.n for g in pair.groups) == n
    assert_allclose(
        pair.delta_loss, log_loss(truth, a, labels=range(3)) - log_loss(truth, b, labels=range(3)), atol=1e-9
    )
    mirrored = compare_predictions(truth, b, a)
    assert_allclose(mirrored.delta_loss, -pair.delta_loss, atol=1e-12)
    assert mirrored.mcnemar_p == pair.mcnemar_p


def test_tests_are_scipys() -> None:
    truth, a, b = _models(0, 500)
    pair = compare_predictions(truth, a, b)
    rows = np.arange(500)
    paired = stats.ttest_rel(-np.log(a[rows, truth]), -np.log(b[rows, truth]))
    assert_allclose(pair.paired_t_p, paired.pvalue)
    assert_allclose(pair.delta_loss_ci95, paired.confidence_interval(0.95))
    only_a, only_b = (next(g.n for g in pair.groups if g.name == name) for name in ("only_a_right", "only_b_right"))
    assert_allclose(pair.mcnemar_p, stats.binomtest(only_a, only_a + only_b).pvalue)
    assert pair.mcnemar_mid_p < pair.mcnemar_p


def test_equal_models_do_not_differ() -> None:
    truth, a, _ = _models(1, 50)
    pair = compare_predictions(truth, a, a)
    assert (pair.delta_loss, pair.mcnemar_p, pair.paired_t_p, pair.decided) == (0.0, 1.0, 1.0, False)
    assert "not significant" in pair.explanation


def test_overconfidence_is_told_by_what_temperature_leaves() -> None:
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(3000)
    truth = (rng.random(3000) < 1 / (1 + np.exp(-z))).astype(int)
    noisy = z + 0.3 * rng.standard_normal(3000)
    pair = compare_predictions(
        truth, 1 / (1 + np.exp(-4 * z)), 1 / (1 + np.exp(-noisy)), name_a="sharp", name_b="noisy"
    )
    assert pair.delta_loss > 0 > pair.delta_loss_after_temperature
    assert pair.decided
    assert "turns round" in pair.explanation
    assert "sharp" in pair.explanation


def test_a_probability_at_the_clip_leaves_the_loss_undecided() -> None:
    truth = np.zeros(300, dtype=int)
    a = np.full((300, 2), [0.9, 0.1])
    a[0] = [0.0, 1.0]
    b = np.full((300, 2), [0.8, 0.2])
    assert not compare_predictions(truth, a, b).decided


def test_samples_are_matched_by_id_whatever_their_order() -> None:
    truth, a, b = _models(2, 40)
    ids = [f"s{i}" for i in range(40)]
    order = np.random.default_rng(3).permutation(40)
    first = judge_predictions(make_predictions(truth, a, sample_id=ids), temperature=False)[1]
    same = judge_predictions(make_predictions(truth, b, sample_id=ids), temperature=False)[1]
    shuffled = judge_predictions(
        make_predictions(truth[order], b[order], sample_id=[ids[i] for i in order]), temperature=False
    )[1]
    assert_allclose(compare_samples(first, shuffled).delta_loss, compare_samples(first, same).delta_loss)


def test_other_samples_are_refused() -> None:
    truth, a, b = _models(4, 20)
    first = judge_predictions(make_predictions(truth, a), temperature=False)[1]
    fewer = judge_predictions(make_predictions(truth[:-1], b[:-1]), temperature=False)[1]
    with pytest.raises(PredictionsError, match="same samples"):
        compare_samples(first, fewer)
    other = replace(first, y_true=(first.y_true + 1) % 3)
    with pytest.raises(PredictionsError, match="different true labels"):
        compare_samples(first, other)
