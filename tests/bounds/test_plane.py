"""Bounds hold for any predictions, are tight, and answer the motivating question."""

from math import inf, isnan, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lossacc_mlflow.bounds import loss_bounds, loss_bounds_within, plane_regions
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
    clipped = loss_bounds(0.991, 0.2544, 10, clip=1e-7)
    assert clipped.loss_share_incorrect[1] == pytest.approx(0.570, abs=0.001)


@given(
    a=st.floats(0.001, 1),
    width=st.floats(0, 0.02),
    loss=st.floats(0, 5),
    height=st.floats(0, 0.1),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    clip=st.sampled_from([0.0, 1e-7]),
    name=st.sampled_from(["log_loss", "brier", "hinge", "smoothed:0.1"]),
    n_classes=st.sampled_from([2, 10, None]),
)
def test_what_holds_within_intervals_holds_everywhere_in_them(
    a: float,
    width: float,
    loss: float,
    height: float,
    where: tuple[float, float],
    clip: float,
    name: str,
    n_classes: int | None,
) -> None:
    accuracy, losses = (max(0.0, a - width), a), (loss, loss + height)
    options: dict[str, Any] = {"n_classes": n_classes, "loss_name": name, "clip": clip}
    all_ = loss_bounds_within(accuracy, losses, **options)
    inner = accuracy[0] + where[0] * (accuracy[1] - accuracy[0]), loss + where[1] * height
    one = loss_bounds(min(max(inner[0], accuracy[0]), a), min(max(inner[1], loss), losses[1]), **options)
    assert all_.floor <= one.floor + 1e-12
    assert all_.ceiling >= one.ceiling - 1e-12
    if not isnan(one.calibrated_high):
        assert all_.calibrated_low - 1e-12 <= one.calibrated_low
        assert all_.calibrated_high + 1e-12 >= one.calibrated_high
    if not isnan(one.removable_loss):
        assert all_.removable_loss <= one.removable_loss + 1e-12
    for field in ("loss_correct", "loss_incorrect", "loss_share_incorrect"):
        (low, high), (wide_low, wide_high) = getattr(one, field), getattr(all_, field)
        assert isnan(low) or (wide_low - 1e-9 <= low * (1 + 1e-9) and high <= wide_high * (1 + 1e-9) + 1e-9)


def test_figures_that_are_not_possible_do_not_widen_what_is() -> None:
    # Half of this rectangle is below the floor; only from it would wrong answers cost less than ln 2.
    cut = loss_bounds_within((0.9, 0.9), (0.0, 0.1), 10)
    assert cut.loss_incorrect == pytest.approx((log(2), 1.0))
    assert cut.loss_correct == pytest.approx((0.0, (0.1 - 0.1 * log(2)) / 0.9))
    assert isnan(loss_bounds_within((0.4, 0.5), (0.1, 0.2), 10).loss_correct[0])
    assert loss_bounds_within((0.5, 0.5), (0.4, 0.6), 2, loss_name="brier").loss_share_incorrect[0] == 0.5
    perfect = loss_bounds_within((0.995, 1.0), (0.1, 0.1), 10)
    assert perfect.loss_incorrect[1] == inf
    assert isnan(loss_bounds(1.0, 3.0, 10).loss_correct[0])


def test_the_calibrated_band_of_every_number_of_classes() -> None:
    regions = plane_regions(None, [1.0, 0.75, 5 / 12, 0.01])
    assert_allclose(regions.calibrated_low, [0, 0.5 * log(2), (log(2) + log(3)) / 2, log(100)], atol=1e-9)
    assert regions.calibrated_high.tolist() == [0.0, inf, inf, inf]


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
