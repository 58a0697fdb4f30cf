"""Temperature and the expected ECE, against scikit-learn, scipy, probmetrics and simulation."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from lossacc_mlflow.blocks import Block
from lossacc_mlflow.calibration import (
    BETA_BOUNDS,
    N_FOLDS,
    Temperatures,
    assign_folds,
    expected_calibration_error_null,
    fit_temperature,
    fit_temperatures,
    losses_after,
)
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


@pytest.mark.frameworks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n_classes", "sharpness"), [(2, 2.0), (5, 0.5), (100, 1.5)])
def test_temperature_is_that_of_probmetrics(n_classes: int, sharpness: float, dtype: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit, as it is imported there, is deprecated
        from probmetrics.calibrators import TemperatureScalingCalibrator  # noqa: PLC0415  (only where it is installed)

    truth, log_proba = _sample(7, n_classes=n_classes, sharpness=sharpness)
    proba = np.exp(log_proba).astype(dtype)
    oracle = TemperatureScalingCalibrator().fit(proba, truth)
    fitted = summarize_predictions(truth, proba).temperature
    assert fitted is not None
    assert_allclose(fitted, 1 / oracle.invtemp_, rtol=1e-4)
    assert_allclose(fitted, sharpness, rtol=0.1)


@pytest.mark.frameworks
def test_calibration_and_refinement_are_those_of_probmetrics() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch  # noqa: PLC0415
        from probmetrics.metrics import Metrics  # noqa: PLC0415

        truth, log_proba = _sample(8, n=10_000, sharpness=2.0)
        proba = np.exp(log_proba)
        names = ["calib-err_logloss_ts-mix_cv-5", "refinement_logloss_ts-mix_cv-5"]
        found = Metrics.from_names(names).compute_all_from_labels_probs(torch.tensor(truth), torch.tensor(proba))
    calibration, refinement = (float(found[name]) for name in names)
    summary = summarize_predictions(truth, proba)
    # Their folds are others, and they mix a little of the base rate into what they calibrate.
    assert calibration > 0.1
    assert summary.calibration_loss == pytest.approx(calibration, abs=1e-3)
    assert summary.refinement_loss == pytest.approx(refinement, abs=1e-3)


def test_temperature_stays_within_its_bounds() -> None:
    log_proba = np.log(np.tile([0.6, 0.4], (50, 1)))
    always_right = fit_temperatures([Block(0, np.zeros(50, dtype=np.int64), np.exp(log_proba))])
    assert always_right.temperature == pytest.approx(1 / BETA_BOUNDS[1])
    assert always_right.at_bound
    always_wrong = fit_temperatures([Block(0, np.ones(50, dtype=np.int64), np.exp(log_proba))])
    assert always_wrong.temperature == pytest.approx(1 / BETA_BOUNDS[0])
    assert always_wrong.at_bound


def test_a_calibrated_model_has_next_to_no_calibration_loss() -> None:
    truth, log_proba = _sample(1, n=20_000)
    summary = summarize_predictions(truth, np.exp(log_proba))
    assert summary.temperature == pytest.approx(1.0, abs=0.05)
    assert summary.calibration_loss is not None
    assert summary.calibration_loss_se is not None
    assert abs(summary.calibration_loss) < 4 * summary.calibration_loss_se + 1e-4


def test_losses_after_temperature_are_those_of_the_fold_that_was_held_out() -> None:
    truth, log_proba = _sample(2, sharpness=2.0)
    block = Block(0, truth, np.exp(log_proba))
    temperatures = fit_temperatures([block])
    before, after = losses_after(block, temperatures)
    assert_allclose(before.mean(), log_loss(truth, np.exp(log_proba)), rtol=1e-10)
    fold = assign_folds(0, len(truth))
    for k in range(N_FOLDS):
        others = fold != k
        # The prior is worth one sample of 1,600, so the plain fit of the others is near.
        assert_allclose(temperatures.by_fold[k], fit_temperature(log_proba[others], truth[others]), rtol=1e-2)
        scaled = log_softmax(log_proba[~others] / temperatures.by_fold[k], axis=1)
        assert_allclose(after[~others], -scaled[np.arange(len(scaled)), truth[~others]], atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_at_temperature_one_no_loss_changes_not_even_at_the_clip(dtype: type) -> None:
    proba: np.ndarray = np.array([[1.0, 0.0, 0.0], [0.2, 0.8, 0.0], [1e-7, 0.5, 0.5]], dtype=dtype)
    one = Temperatures(1.0, at_bound=False, by_fold=np.ones(N_FOLDS))
    before, after = losses_after(Block(0, np.array([1, 2, 0]), proba), one)
    assert_allclose(after, before, rtol=1e-6)
    assert_allclose(before[:2], -np.log(np.finfo(np.float64).eps), rtol=1e-3)


def test_nothing_is_fitted_from_nine_samples() -> None:
    truth, log_proba = _sample(3, n=10)
    summary = summarize_predictions(truth[:9], np.exp(log_proba)[:9])
    assert summary.temperature is summary.calibration_loss is summary.refinement_loss is None
    assert any("temperature was not fitted" in note for note in summary.notes)
    assert summarize_predictions(truth, np.exp(log_proba)).temperature is not None


def test_one_wrong_answer_of_36_does_not_ruin_the_cross_fit() -> None:
    proba = np.tile([0.97, 0.03], (36, 1))
    truth = np.zeros(36, dtype=int)
    truth[7] = 1
    summary = summarize_predictions(truth, proba)
    assert summary.calibration_loss is not None
    assert abs(summary.calibration_loss) < 0.1  # without the prior it is -0.9: the fold without errors takes T = .01


def test_folds_take_neither_classes_nor_periods_apart() -> None:
    fold = assign_folds(0, 10_000)
    assert np.bincount(fold).tolist() == [2000] * N_FOLDS
    for period in (5, 10):
        for offset in range(period):
            assert np.bincount(fold[offset::period], minlength=N_FOLDS).min() > 10_000 / period / N_FOLDS * 0.8
    assert assign_folds(1234, 100).tolist() == fold[1234:1334].tolist()


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
