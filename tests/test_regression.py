"""Regression figures agree with scikit-learn, scipy and exact fractions, and refuse what is no regression."""

from fractions import Fraction
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.stats import linregress, pearsonr
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.regression import judge_regression, summarize_regression

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)
PARTS = ("mse_bias", "mse_slope", "mse_residual")


def _random(seed: int = 0, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = rng.gamma(2.0, 3.0, n)
    return target, 0.6 * target + 2.5 + rng.normal(0, 1.5, n)


def test_scores_are_scikit_learns_and_scipys() -> None:
    target, predicted = _random()
    s = summarize_regression(target, predicted)
    line = linregress(predicted, target)
    expected = {
        "mse": mean_squared_error(target, predicted),
        "rmse": mean_squared_error(target, predicted) ** 0.5,
        "mae": mean_absolute_error(target, predicted),
        "r2": r2_score(target, predicted),
        "target_mean": target.mean(),
        "target_sd": target.std(),
        "rmse_over_sd": mean_squared_error(target, predicted) ** 0.5 / target.std(),
        "correlation": pearsonr(target, predicted).statistic,
        "bias": predicted.mean() - target.mean(),
        "slope": line.slope,
    }
    assert_allclose([getattr(s, name) for name in expected], list(expected.values()), rtol=1e-12)


def test_the_three_parts_are_the_textbooks() -> None:
    target, predicted = _random(1)
    s = summarize_regression(target, predicted)
    r, sy, sf = np.corrcoef(target, predicted)[0, 1], target.std(), predicted.std()
    textbook = [(predicted - target).mean() ** 2, (sf - r * sy) ** 2, (1 - r**2) * sy**2]
    assert_allclose([getattr(s, part) for part in PARTS], textbook, rtol=1e-10)


def test_concentration_is_its_definition() -> None:
    target, predicted = _random(2, n=300)
    s = summarize_regression(target, predicted)
    loss = (predicted - target) ** 2
    assert_allclose(s.loss_share_top1pct, np.sort(loss)[-3:].sum() / loss.sum(), rtol=1e-12)
    assert_allclose(s.loss_gini, np.abs(loss[:, None] - loss).mean() / (2 * loss.mean()), rtol=1e-12)


@given(
    st.integers(1, 40).flatmap(
        lambda n: st.tuples(arrays(float, n, elements=NUMBERS), arrays(float, n, elements=NUMBERS))
    )
)
def test_the_parts_sum_to_the_whole(values: tuple[np.ndarray, np.ndarray]) -> None:
    target, predicted = values
    s = summarize_regression(target, predicted)
    parts = [getattr(s, part) for part in PARTS]
    assert min(parts) >= 0
    assert_allclose(sum(parts), s.mse, rtol=1e-12, atol=1e-300)
    exact = sum((Fraction(f) - Fraction(y)) ** 2 for y, f in zip(target.tolist(), predicted.tolist(), strict=True))
    assert_allclose(s.mse, float(exact / len(target)), rtol=1e-12, atol=1e-300)
    assert -1e-12 <= s.loss_gini <= 1
    assert 0 <= s.loss_share_top1pct <= 1 + 1e-12


@pytest.mark.parametrize("offset", [0.0, 1e9], ids=["near zero", "far from zero"])
@pytest.mark.parametrize("error", [1.0, 1e-6], ids=["poor model", "almost exact model"])
def test_no_digit_is_lost_far_from_zero(offset: float, error: float) -> None:
    """Against fractions: the one-pass formula with E[y²] - E[y]² loses everything here."""
    rng = np.random.default_rng(0)
    target = offset + rng.normal(0, 1, 200)
    predicted = target + error * rng.normal(0.3, 1, 200)
    y, f = ([Fraction(v) for v in values.tolist()] for values in (target, predicted))
    n, ybar, fbar = len(y), sum(y) / len(y), sum(f) / len(f)
    syy, sff = sum((v - ybar) ** 2 for v in y) / n, sum((v - fbar) ** 2 for v in f) / n
    sfy = sum((a - ybar) * (b - fbar) for a, b in zip(y, f, strict=True)) / n
    mse = sum((a - b) ** 2 for a, b in zip(y, f, strict=True)) / n
    s = summarize_regression(target, predicted)
    exact = {
        "mse": mse,
        "r2": 1 - mse / syy,
        "mse_bias": (fbar - ybar) ** 2,
        "mse_slope": (sff - sfy) ** 2 / sff,
        "mse_residual": syy - sfy**2 / sff,
        "slope": sfy / sff,
    }
    assert_allclose([getattr(s, name) for name in exact], [float(v) for v in exact.values()], rtol=1e-10)


@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-60, 60), shift=st.sampled_from([0.0, 8.0, -1024.0]))
def test_shares_depend_on_no_unit(seed: int, exponent: int, shift: float) -> None:
    target, predicted = _random(seed, n=60)
    unit = 2.0**exponent
    s, other = (
        summarize_regression(target, predicted),
        summarize_regression((target + shift) * unit, (predicted + shift) * unit),
    )
    for name in ("r2", "rmse_over_sd", "correlation", "slope", "loss_share_top1pct", "loss_gini"):
        assert_allclose(getattr(other, name), getattr(s, name), rtol=1e-9, atol=1e-12, err_msg=name)
    for name in ("rmse", "mae", "target_sd"):
        assert_allclose(getattr(other, name), getattr(s, name) * unit, rtol=1e-9, err_msg=name)
    for part in PARTS:
        assert_allclose(getattr(other, part), getattr(s, part) * unit**2, rtol=1e-6, err_msg=part)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_no_square_overflows_or_vanishes(unit: float) -> None:
    target, predicted = _random()
    s = summarize_regression(target * unit, predicted * unit)
    assert_allclose(s.r2, r2_score(target, predicted), rtol=1e-9)
    assert_allclose(s.rmse / unit, mean_squared_error(target, predicted) ** 0.5, rtol=1e-9)


def test_a_constant_target_has_no_r2_and_says_so() -> None:
    s = summarize_regression([0.1] * 7, [0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1])
    assert all(isnan(v) for v in (s.r2, s.correlation, s.rmse_over_sd))
    assert s.target_sd == 0
    assert s.mse_residual == pytest.approx(0, abs=1e-18)
    assert "Every target is 0.1" in " ".join(s.notes)


def test_a_constant_prediction_has_no_slope_and_says_so() -> None:
    target, _ = _random()
    s = summarize_regression(target, np.full(len(target), target.mean()))
    assert isnan(s.correlation)
    assert isnan(s.slope)
    assert s.r2 == pytest.approx(0, abs=1e-12)
    assert s.mse_residual == pytest.approx(target.var())
    assert "Every prediction is" in " ".join(s.notes)


def test_one_sample_is_told_and_not_judged() -> None:
    s = summarize_regression([3.0], [5.0])
    assert (s.n_samples, s.mse, s.bias, s.mse_bias, s.loss_share_top1pct, s.loss_gini) == (1, 4.0, 2.0, 4.0, 1.0, 0.0)
    assert all(isnan(v) for v in (s.r2, s.correlation, s.slope))
    assert s.notes == ("One sample has no variance: R², RMSE/sd, correlation and slope are not defined.",)


def test_exact_predictions_have_no_loss() -> None:
    s = summarize_regression([1, 2, 3], [1, 2, 3])
    assert (s.mse, s.r2, s.slope, s.loss_gini, s.loss_share_top1pct) == (0, 1, 1, 0, 0)
    assert s.correlation == pytest.approx(1)
    assert s.notes == ()


def test_columns_are_flattened_and_never_broadcast() -> None:
    target, predicted = _random()
    expected = summarize_regression(target.astype(np.float32), predicted.astype(np.float32))
    assert summarize_regression(target.astype(np.float32), predicted.astype(np.float32)[:, None]) == expected


def test_samples_keep_their_ids() -> None:
    _, samples = judge_regression([1, 2], [1.5, 2.5], split="test", sample_id=["a", 7])
    assert (samples.split, samples.sample_id, samples.y_pred.tolist()) == ("test", ("a", "7"), [1.5, 2.5])


@pytest.mark.parametrize(
    ("target", "predicted", "says"),
    [
        ([1.0, np.nan], [1.0, 2.0], r"1 of 2 values of y_true are NaN.*missing"),
        ([1.0, 2.0], [np.inf, np.nan], r"2 of 2 values of y_pred.*diverged"),
        ([1.0, 2.0], [1.0], r"2 values, y_pred has 1"),
        ([], [], "at least one sample"),
        (1.0, [1.0], r"shape \(\)"),
        ([[1.0, 2.0]], [[1.0, 2.0]], r"Several targets.*y_true\[:, 0\]"),
        (["cat", "dog"], [1.0, 2.0], "wanted numbers"),
        ([1.0, None], [1.0, 2.0], "y_true"),
        ([1.0, [2.0]], [1.0, 2.0], "no numbers"),
        (np.array(["2024-01-01"], "M8[D]"), [1.0], "wanted numbers"),
        ([1j], [1.0], "wanted numbers"),
    ],
)
def test_what_is_no_regression_is_refused(target: object, predicted: object, says: str) -> None:
    with pytest.raises(PredictionsError, match=says):
        summarize_regression(target, predicted)  # type: ignore[arg-type]


def test_ids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(PredictionsError, match="1 entries for 2 samples"):
        judge_regression([1, 2], [1, 2], sample_id=["a"])
