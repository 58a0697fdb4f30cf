"""The difference of two losses is attributed exactly, tested on its level, and told in words."""

import re
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.metrics import log_loss

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.pairing import adjust_for_many, compare_predictions, compare_samples
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import FloatArray, IntArray, PairedComparison
from lossacc_mlflow.wording import number, percent


def _models(seed: int, n: int, n_classes: int = 3) -> tuple[IntArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    a, b = (rng.dirichlet(np.full(n_classes, 0.5), size=n) for _ in range(2))
    return rng.integers(0, n_classes, n), a, b


@settings(deadline=None)
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
    one_hot = np.eye(3)[truth]
    brier = stats.ttest_rel(((a - one_hot) ** 2).sum(axis=1), ((b - one_hot) ** 2).sum(axis=1))
    assert_allclose(pair.brier_t_p, brier.pvalue)
    only_a, only_b = (next(g.n for g in pair.groups if g.name == name) for name in ("only_a_right", "only_b_right"))
    assert_allclose(pair.mcnemar_p, stats.binomtest(only_a, only_a + only_b).pvalue)


def test_equal_models_do_not_differ() -> None:
    truth, a, _ = _models(1, 50)
    pair = compare_predictions(truth, a, a)
    assert (pair.delta_loss, pair.mcnemar_p, pair.paired_t_p, pair.decided) == (0.0, 1.0, 1.0, False)
    assert pair.explanation.startswith("Not significant in accuracy")
    assert "The losses are the same." in pair.explanation


def test_overconfidence_is_told_by_what_temperature_leaves() -> None:
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(3000)
    truth = (rng.random(3000) < 1 / (1 + np.exp(-z))).astype(int)
    noisy = z + 0.3 * rng.standard_normal(3000)
    pair = compare_predictions(
        truth, 1 / (1 + np.exp(-4 * z)), 1 / (1 + np.exp(-noisy)), name_a="sharp", name_b="noisy"
    )
    assert pair.delta_loss > 0 > pair.delta_loss_after_temperature
    assert pair.delta_accuracy > 0
    assert pair.decided
    assert pair.temperature_a == pytest.approx(4, rel=0.1)
    assert f"After temperatures {number(pair.temperature_a)} and {number(pair.temperature_b)}" in pair.explanation
    assert "the order by loss turns round, and agrees with accuracy" in pair.explanation
    largest = max(pair.groups, key=lambda g: g.contribution)
    assert largest.name == "both_wrong"
    assert f"{number(largest.contribution)} comes from {largest.n} samples that both get wrong" in pair.explanation


def test_what_settles_nothing_is_said_first() -> None:
    truth, a, _ = _models(3, 2000)
    flatter = a**0.8 / (a**0.8).sum(axis=1, keepdims=True)
    pair = compare_predictions(truth, a, flatter)
    assert pair.decided
    assert pair.explanation.startswith("Not significant in accuracy: 'A'")
    assert "; significant in loss: " in pair.explanation
    assert compare_predictions(truth, a, a[::-1]).explanation.startswith("Not significant in accuracy")


def _at_clip(n: int, n_impossible: int) -> PairedComparison:
    truth = np.zeros(n, dtype=int)
    a = np.full((n, 2), [0.9, 0.1])
    a[:n_impossible] = [0.0, 1.0]
    return compare_predictions(truth, a, np.full((n, 2), [0.8, 0.2]))


def test_a_probability_at_the_clip_leaves_the_loss_undecided() -> None:
    pair = _at_clip(300, 1)
    assert pair.at_clip
    assert not pair.decided
    assert "undecided" in pair.explanation
    assert "goes up to 36.0" in pair.explanation


@pytest.mark.parametrize(("n", "decided"), [(350, False), (370, True)])
def test_at_the_clip_three_such_samples_must_not_make_up_for_the_difference(n: int, decided: bool) -> None:
    truth = np.zeros(n, dtype=int)
    sure, poor = np.full((n, 2), [1.0, 0.0]), np.full((n, 2), [0.743, 0.257])
    poor[: n // 2] = [0.745, 0.255]
    pair = compare_predictions(truth, sure, poor)
    assert abs(pair.delta_loss) == pytest.approx(0.296, abs=0.001)
    assert pair.brier_t_p < 1e-9
    assert pair.decided is decided


def test_at_the_clip_brier_scores_must_agree() -> None:
    """One impossible error in ten outweighs in the log loss what it does not in the Brier score."""
    truth = np.zeros(2000, dtype=int)
    sure = np.full((2000, 2), [0.999, 0.001])
    sure[:200] = [0.0, 1.0]
    unsure = np.full((2000, 2), [0.51, 0.49])
    pair = compare_predictions(truth, sure, unsure)
    assert pair.delta_loss > 2
    assert pair.delta_brier < 0
    assert pair.brier_t_p < 1e-9
    assert not pair.decided


def test_the_float_type_of_probabilities_does_not_change_their_loss() -> None:
    truth = np.zeros(100, dtype=int)
    a = np.full((100, 2), [0.9, 0.1], dtype=np.float32)
    a[:50] = [0.0, 1.0]
    pair = compare_predictions(truth, a, a.astype(np.float64))
    assert_allclose(pair.loss_a, log_loss(truth, a.astype(np.float64), labels=[0, 1]), rtol=1e-6)
    assert pair.delta_loss == pytest.approx(0, abs=1e-7)
    assert pair.loss_max == pytest.approx(36.04, abs=0.01)


def test_without_probabilities_of_the_true_class_the_accuracy_is_tested_alone() -> None:
    truth, a, b = _models(5, 400)
    first, second = (judge_predictions(make_predictions(truth, p), temperature=False)[1] for p in (a, b))
    unknown = np.where(first.y_pred == first.y_true, first.p_true, nan)
    nothing = np.full(400, nan)
    answers = replace(first, p_true=unknown, p_true_after_temperature=nothing, brier=nothing)
    pair = compare_samples(answers, second)
    assert_allclose(pair.mcnemar_p, compare_samples(first, second).mcnemar_p)
    assert np.isnan([pair.delta_loss, pair.paired_t_p, pair.brier_t_p, pair.delta_loss_after_temperature]).all()
    assert not pair.decided
    assert "The losses are not known" in pair.explanation
    assert f"mean confidence is {percent(float(a.max(axis=1).mean()))}" in pair.explanation
    assert "nan" not in pair.explanation


def test_a_temperature_that_nobody_fitted_is_not_told() -> None:
    truth, a, b = _models(6, 100)
    judged = [judge_predictions(make_predictions(truth, p), temperature=False) for p in (a, b)]
    pair = compare_samples(judged[0][1], judged[1][1], summary_a=judged[0][0], summary_b=judged[1][0])
    assert np.isnan(pair.delta_loss_after_temperature)
    assert "After" not in pair.explanation


@pytest.mark.parametrize("n", [1, 2])
def test_hardly_any_samples(n: int) -> None:
    truth, a, b = _models(7, n)
    pair = compare_predictions(truth, a, b, name_a="{x}", name_b="%s")
    assert np.isnan(pair.paired_t_p) == (n == 1)
    assert not pair.decided
    assert "'{x}'" in pair.explanation


def test_one_of_many_pairs_is_judged_by_its_adjusted_values() -> None:
    truth, a, _ = _models(3, 2000)
    pair = compare_predictions(truth, a, a**0.8 / (a**0.8).sum(axis=1, keepdims=True))
    kept = adjust_for_many(pair, mcnemar_p=1.0, loss_p=0.049, n_pairs=10)
    assert (kept.decided, kept.n_pairs, kept.loss_p_holm) == (True, 10, 0.049)
    lost = adjust_for_many(pair, mcnemar_p=1.0, loss_p=0.051, n_pairs=10)
    assert not lost.decided
    assert "Not significant" in lost.explanation
    assert "0.051 among 10 pairs" in lost.explanation


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
    with pytest.raises(PredictionsError, match="different true labels for 20 of 20"):
        compare_samples(first, other)
    four = judge_predictions(make_predictions(truth, np.full((20, 4), 0.25)), temperature=False)[1]
    with pytest.raises(PredictionsError, match=r"different classes \(3: 0, 1, 2 and 4: 0, 1, 2, 3\)"):
        compare_samples(first, four)
    with pytest.raises(PredictionsError, match="different classes"):
        compare_predictions(truth, a, np.full((20, 4), 0.25))
    twice = replace(first, sample_id=("s",) * 20)
    with pytest.raises(PredictionsError, match="same samples"):
        compare_samples(twice, first)


def test_a_sample_of_weight_two_counts_as_two() -> None:
    truth, a, b = _models(8, 60)
    weight = np.random.default_rng(0).integers(1, 4, 60)
    order = np.arange(60)[::-1]
    first, second = (
        judge_predictions(make_predictions(truth[o], p[o], sample_id=o.tolist()), temperature=False)[1]
        for p, o in ((a, np.arange(60)), (b, order))
    )
    weighted = compare_samples(
        replace(first, sample_weight=weight.astype(float)), replace(second, sample_weight=weight[order].astype(float))
    )
    often = compare_predictions(*(np.repeat(x, weight, axis=0) for x in (truth, a, b)))
    for name in ("loss_a", "loss_b", "delta_loss", "accuracy_a", "delta_accuracy", "delta_brier", "confidence_b"):
        assert_allclose(getattr(weighted, name), getattr(often, name), atol=1e-12)
    assert_allclose([g.contribution for g in weighted.groups], [g.contribution for g in often.groups], atol=1e-12)
    with pytest.raises(PredictionsError, match="different sample weights"):
        compare_samples(replace(first, sample_weight=weight.astype(float)), second)


def test_no_p_value_is_nothing() -> None:
    """Of so many answers that only one model gives right, the exact p value underflows to 0."""
    truth = np.zeros(3000, dtype=int)
    right, wrong = np.full((3000, 2), [0.9, 0.1]), np.full((3000, 2), [0.2, 0.8])
    right[::2] = [0.8, 0.2]
    pair = compare_predictions(truth, right, wrong)
    assert pair.mcnemar_p == 0
    assert "(exact McNemar p < 0.001)" in pair.explanation
    assert "(paired t p < 0.001)" in pair.explanation
    assert not re.search(r"p = 0(?!\.)|p = \S*e-", pair.explanation)


@pytest.mark.parametrize("sure", [True, False])
def test_an_order_that_no_temperature_changes_is_held_against_accuracy(sure: bool) -> None:
    """A calibrated model and one with noise in its logits: more is right, and the loss is lower."""
    rng = np.random.default_rng(0)
    z = 3 * rng.standard_normal(3000)
    truth = (rng.random(3000) < 1 / (1 + np.exp(-z))).astype(int)
    a, b = 1 / (1 + np.exp(-z)), np.full(3000, 0.5 + 0.1 * (truth.mean() > 0.5))
    pair = compare_predictions(truth, a, b) if sure else compare_predictions(truth, b, a)
    assert pair.explanation.endswith(
        "it is not a matter of temperature, and the order by loss still agrees with accuracy."
    )
