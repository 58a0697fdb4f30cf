"""Temperature and the expected ECE, against scikit-learn, scipy and simulation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from lossacc_mlflow.calibration import BETA_BOUNDS, expected_calibration_error_null, fit_temperature, split_loss
from lossacc_mlflow.predictions import summarize_predictions


def _sample(seed: int, n: int = 2000, n_classes: int = 5, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z), and log-probabilities of a model that says softmax(sharpness · z)."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, n_classes))
    truth = (rng.random((n, 1)) > np.exp(log_softmax(z, axis=1)).cumsum(axis=1)).sum(axis=1)
    return truth.astype(np.int64), log_softmax(sharpness * z, axis=1)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 2.0, 20.0])
def test_temperature_is_the_minimum_that_scipy_finds(sharpness: float) -> None:
    truth, log_proba = _sample(0, sharpness=sharpness)

    def loss_at(log_t: float) -> float:
        return float(log_loss(truth, np.exp(log_softmax(log_proba / np.exp(log_t), axis=1)), labels=range(5)))

    oracle = minimize_scalar(loss_at, bounds=(-4, 4), method="bounded", options={"xatol": 1e-7})
    assert_allclose(fit_temperature(log_proba, truth), np.exp(oracle.x), rtol=1e-4)
    assert_allclose(fit_temperature(log_proba, truth), sharpness, rtol=0.1)


def test_temperature_stays_within_its_bounds() -> None:
    log_proba = np.log(np.tile([0.6, 0.4], (50, 1)))
    always_right = split_loss(log_proba, np.zeros(50, dtype=np.int64))
    assert always_right.temperature == pytest.approx(1 / BETA_BOUNDS[1])
    assert always_right.at_bound
    always_wrong = split_loss(log_proba, np.ones(50, dtype=np.int64))
    assert always_wrong.temperature == pytest.approx(1 / BETA_BOUNDS[0])
    assert always_wrong.at_bound


def test_a_calibrated_model_has_next_to_no_calibration_loss() -> None:
    truth, log_proba = _sample(1, n=20_000)
    split = split_loss(log_proba, truth)
    assert split.temperature == pytest.approx(1.0, abs=0.05)
    removed = split.loss - split.loss_after
    assert abs(removed.mean()) < 4 * removed.std() / np.sqrt(len(removed)) + 1e-4


def test_losses_before_temperature_are_scikit_learns() -> None:
    truth, log_proba = _sample(2)
    assert_allclose(split_loss(log_proba, truth).loss.mean(), log_loss(truth, np.exp(log_proba)), rtol=1e-12)


def test_nothing_is_cross_fitted_from_nine_samples() -> None:
    truth, log_proba = _sample(3, n=9)
    split = split_loss(log_proba, truth)
    assert split.temperature == 1.0
    assert_allclose(split.loss_after, split.loss)


def test_expected_ece_agrees_with_simulated_calibrated_models() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 2000)
    proba = np.column_stack([1 - confidence, confidence])
    simulated = [
        summarize_predictions((rng.random(2000) < confidence).astype(int), proba, temperature=False).ece
        for _ in range(200)
    ]
    summary = summarize_predictions((rng.random(2000) < confidence).astype(int), proba, temperature=False)
    assert_allclose(summary.ece_expected, np.mean(simulated), rtol=0.05)
    assert_allclose(summary.ece_q95, np.quantile(simulated, 0.95), rtol=0.08)


def test_expected_ece_of_nothing_is_unknown() -> None:
    assert np.isnan(expected_calibration_error_null(np.zeros(3), np.zeros(3))).all()
