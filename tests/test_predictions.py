"""Summaries agree with scikit-learn and with the definitions, and refuse what is no prediction."""

from inspect import signature
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, f1_score, log_loss

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions import N_BINS, judge_predictions, make_predictions, summarize_predictions


def _random(seed: int, n: int = 300, n_classes: int = 4, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 1 / spread), size=n)
    truth = np.where(rng.random(n) < 0.7, proba.argmax(axis=1), rng.integers(0, n_classes, n))
    return truth, proba


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scores_are_scikit_learns(dtype: type) -> None:
    truth, proba = _random(0)
    proba = proba.astype(dtype)
    summary = summarize_predictions(truth, proba)
    predicted = proba.argmax(axis=1)
    assert_allclose(summary.log_loss, log_loss(truth, proba), rtol=1e-12 if dtype is np.float64 else 1e-6)
    assert_allclose(summary.accuracy, accuracy_score(truth, predicted), rtol=1e-12)
    assert_allclose(summary.balanced_accuracy, balanced_accuracy_score(truth, predicted), rtol=1e-12)
    assert_allclose(summary.f1_macro, f1_score(truth, predicted, average="macro"), rtol=1e-12)
    one_hot = np.eye(4)[truth]
    assert_allclose(summary.brier, ((proba - one_hot) ** 2).sum(axis=1).mean(), rtol=1e-6)


@pytest.mark.skipif(
    "scale_by_half" not in signature(brier_score_loss).parameters,
    reason="this scikit-learn has the Brier score of two classes only",
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_classes", [2, 4, 100])
def test_brier_score_is_scikit_learns(n_classes: int, dtype: type) -> None:
    truth, proba = _random(6, n_classes=n_classes)
    proba = proba.astype(dtype)
    expected = brier_score_loss(truth, proba, labels=range(n_classes), scale_by_half=False)
    brier = summarize_predictions(truth, proba, temperature=False).brier
    assert_allclose(brier, expected, rtol=1e-12 if dtype is np.float64 else 1e-6)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 80), n_classes=st.integers(2, 6))
def test_invariants(seed: int, n: int, n_classes: int) -> None:
    truth, proba = _random(seed, n, n_classes)
    s = summarize_predictions(truth, proba, temperature=False)
    correct = 0.0 if isnan(s.loss_correct) else s.accuracy * s.loss_correct
    incorrect = 0.0 if isnan(s.loss_incorrect) else (1 - s.accuracy) * s.loss_incorrect
    assert_allclose(correct + incorrect, s.log_loss, rtol=1e-9)
    assert_allclose(s.ece, s.ece_overconfident + s.ece_underconfident, atol=1e-12)
    assert sum(s.bin_count) == n
    assert -1e-9 <= s.loss_gini <= 1
    assert 0 <= s.loss_share_incorrect <= 1


def test_ece_is_its_definition() -> None:
    truth, proba = _random(3, n=1000)
    confidence, correct = proba.max(axis=1), proba.argmax(axis=1) == truth
    ece = 0.0
    for low, high in zip(np.linspace(0, 1, N_BINS + 1)[:-1], np.linspace(0, 1, N_BINS + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        ece += abs(confidence[inside].sum() - correct[inside].sum()) / 1000
    assert_allclose(summarize_predictions(truth, proba).ece, ece, atol=1e-12)


def test_gini_is_the_mean_absolute_difference() -> None:
    truth, proba = _random(4, n=200)
    loss = -np.log(proba[np.arange(200), truth])
    expected = np.abs(loss[:, None] - loss[None, :]).mean() / (2 * loss.mean())
    assert_allclose(summarize_predictions(truth, proba).loss_gini, expected, rtol=1e-9)


def test_calibration_and_refinement_split_the_loss() -> None:
    truth, proba = _random(5, n=1000)
    sharp = proba**6 / (proba**6).sum(axis=1, keepdims=True)
    s = summarize_predictions(truth, sharp)
    assert s.temperature is not None
    assert s.temperature > 1
    assert s.calibration_loss is not None
    assert s.refinement_loss is not None
    assert_allclose(s.calibration_loss + s.refinement_loss, s.log_loss, rtol=1e-12)
    assert s.calibration_loss_incorrect is not None
    assert s.calibration_loss_correct is not None
    assert_allclose(s.calibration_loss_incorrect + s.calibration_loss_correct, s.calibration_loss, rtol=1e-9)
    assert s.calibration_loss_incorrect > 0 > s.calibration_loss_correct


def test_huge_errors_are_those_a_calibrated_model_does_not_make() -> None:
    proba = np.full((1000, 3), [0.98, 0.01, 0.01])
    proba[:5] = [1 - 2e-6, 1e-6, 1e-6]  # below 1 / (1000 · 2)
    truth = np.zeros(1000, dtype=int)
    truth[:6] = 1
    s = summarize_predictions(truth, proba, temperature=False)
    assert s.n_huge_errors == 5
    expected = 5 * -np.log(1e-6) / (5 * -np.log(1e-6) - np.log(0.01) - 994 * np.log(0.98))
    assert_allclose(s.loss_share_huge_errors, expected, rtol=1e-9)


def test_zero_probability_is_counted_and_clipped_as_scikit_learn_does() -> None:
    s = summarize_predictions([1, 0], [[1.0, 0.0], [0.8, 0.2]])
    assert s.n_zero_probability == 1
    assert_allclose(s.log_loss, log_loss([1, 0], [[1.0, 0.0], [0.8, 0.2]]), rtol=1e-12)


def test_labels_match_columns() -> None:
    by_name = summarize_predictions(["cat", "dog"], [[0.9, 0.1], [0.3, 0.7]], labels=["cat", "dog"])
    by_index = summarize_predictions([0, 1], [0.1, 0.7])
    assert by_name.log_loss == pytest.approx(by_index.log_loss)
    assert by_name.accuracy == by_index.accuracy == 1.0
    assert make_predictions([30, 10], [[0.1, 0.9], [0.8, 0.2]], labels=[10, 30]).y_true.tolist() == [1, 0]


def test_rounded_rows_are_renormalised() -> None:
    proba = np.array([[0.50002, 0.5], [0.2, 0.80002]], dtype=np.float32)
    assert_allclose(make_predictions([0, 1], proba).y_proba.sum(axis=1), 1, rtol=1e-6)


def test_samples_follow_the_input() -> None:
    predictions = make_predictions([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], sample_id=["a", "b", "c"])
    summary, samples = judge_predictions(predictions)
    assert samples.sample_id == ("a", "b", "c")
    assert_allclose(samples.p_true, [0.9, 0.4, 0.8])
    assert_allclose(samples.brier, [0.02, 0.72, 0.08])
    assert samples.y_pred.tolist() == [0, 0, 1]
    assert summary.n_samples == 3


@pytest.mark.parametrize(
    ("truth", "proba", "told"),
    [
        ([0, 1], [[0.5, 0.5]], "one class label a row"),
        ([0], [[2.0, -1.0]], "softmax"),
        ([0], [[5.0, 3.0]], "softmax"),
        ([0], [[np.nan, 1.0]], "NaN"),
        ([], np.empty((0, 2)), "at least one sample"),
        ([2], [[0.5, 0.5]], "labels=model.classes_"),
        ([0.5], [[0.5, 0.5]], "labels=model.classes_"),
        (["a", "b"], [[0.2, 0.3, 0.5]] * 2, "labels=model.classes_"),
        ([0], [["x", "y"]], "no numbers"),
        ([0], np.full((1, 2, 2), 0.5), "shape"),
    ],
)
def test_what_is_no_prediction_is_refused(truth: list[object], proba: object, told: str) -> None:
    with pytest.raises(PredictionsError, match=told):
        make_predictions(truth, proba)  # type: ignore[arg-type]  # that is the point


def test_labels_and_ids_must_fit() -> None:
    with pytest.raises(PredictionsError, match="names 3 classes"):
        make_predictions([0], [[0.5, 0.5]], labels=["a", "b", "c"])
    with pytest.raises(PredictionsError, match="not among the classes"):
        make_predictions(["z"], [[0.5, 0.5]], labels=["a", "b"])
    with pytest.raises(PredictionsError, match="one a sample"):
        make_predictions([0], [[0.5, 0.5]], sample_id=["a", "b"])
