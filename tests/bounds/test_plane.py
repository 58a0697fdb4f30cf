"""Bounds hold for any predictions, are tight, and answer the motivating question."""

from math import isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lossacc_mlflow.bounds import loss_bounds, plane_regions
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.predictions import summarize_predictions


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 60), n_classes=st.integers(2, 12), spread=st.floats(0.01, 30))
def test_no_predictions_violate_the_bounds(seed: int, n: int, n_classes: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logits = spread * rng.standard_normal((n, n_classes))
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    summary = summarize_predictions(rng.integers(0, n_classes, n), proba, temperature=False)
    bounds = loss_bounds(summary.accuracy, summary.log_loss, n_classes)
    slack = 1e-9
    assert bounds.floor - slack <= bounds.loss <= bounds.ceiling + slack
    for value, (low, high) in (
        (summary.loss_correct, bounds.loss_correct),
        (summary.loss_incorrect, bounds.loss_incorrect),
        (summary.loss_share_incorrect, bounds.loss_share_incorrect),
    ):
        assert isnan(value) or low - slack <= value <= high + slack


@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 10), spread=st.floats(0.01, 10))
def test_calibrated_models_lie_in_the_band(seed: int, n_classes: int, spread: float) -> None:
    # Expected accuracy and loss of a model whose probabilities are the true ones.
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 1 / spread), size=40)
    accuracy = float(proba.max(axis=1).mean())
    entropy = float(-(proba * np.log(np.maximum(proba, 1e-300))).sum(axis=1).mean())
    regions = plane_regions(n_classes, [accuracy])
    assert regions.calibrated_low[0] - 1e-9 <= entropy <= regions.calibrated_high[0] + 1e-9


def test_one_constant_confidence_reaches_the_upper_end_of_the_band() -> None:
    n, n_classes, right = 1000, 10, 991
    proba = np.full((n, n_classes), 0.009 / 9)
    proba[:, 0] = 0.991
    truth = np.array([0] * right + [1] * (n - right))
    summary = summarize_predictions(truth, proba, temperature=False)
    assert_allclose(summary.log_loss, plane_regions(n_classes, [0.991]).calibrated_high[0], rtol=1e-12)


def test_lower_end_is_the_chord_through_one_over_j() -> None:
    regions = plane_regions(5, [1.0, 0.75, 0.5, 5 / 12, 1 / 3, 0.2])
    assert_allclose(
        regions.calibrated_low, [0, 0.5 * log(2), log(2), (log(2) + log(3)) / 2, log(3), log(5)], atol=1e-12
    )


def test_motivating_question() -> None:
    third = loss_bounds(0.991, 0.2544, 10)
    assert third.removable_loss / third.loss == pytest.approx(0.72, abs=0.005)
    second = loss_bounds(0.985, 0.0997, 10)
    assert second.removable_loss == 0.0
    clipped = loss_bounds(0.991, 0.2544, 10, loss_max=-log(1e-7))
    assert clipped.loss_share_incorrect[1] == pytest.approx(0.570, abs=0.001)


def test_contradicting_figures_have_no_attribution() -> None:
    below = loss_bounds(0.5, 0.1, 10)
    assert below.loss < below.floor
    assert isnan(below.loss_correct[0])
    assert isnan(below.loss_share_incorrect[1])


def test_extremes() -> None:
    perfect = loss_bounds(1.0, 0.0, 2)
    assert perfect.loss_share_incorrect == (0.0, 0.0)
    assert isnan(perfect.loss_incorrect[0])
    assert isnan(loss_bounds(0.0, 1.0, 3).loss_correct[0])
    assert isnan(plane_regions(2, [0.4]).calibrated_high[0])


@pytest.mark.parametrize(
    ("accuracy", "loss", "n_classes"),
    [(98.1, 0.2, 10), (-0.1, 0.2, 10), (0.9, -0.1, 10), (0.9, float("nan"), 10), (0.9, 0.2, 1), (float("nan"), 1, 3)],
)
def test_impossible_arguments(accuracy: float, loss: float, n_classes: int) -> None:
    with pytest.raises(InputError):
        loss_bounds(accuracy, loss, n_classes)
