"""No predictions violate the bounds of any loss, and some reach every end of them."""

from collections.abc import Callable
from math import inf, isnan, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, hinge_loss

from lossacc_mlflow.bounds import find_loss, loss_bounds, plane_regions
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.records import FloatArray, IntArray

_Losses = Callable[[FloatArray, IntArray], FloatArray]


def _q(proba: FloatArray, truth: IntArray) -> FloatArray:
    q: FloatArray = proba[np.arange(len(truth)), truth]
    return q


def _smoothed(proba: FloatArray, truth: IntArray, alpha: float = 0.1) -> FloatArray:
    k = proba.shape[1]
    target = (1 - alpha) * np.eye(k)[truth] + alpha / k
    losses: FloatArray = -(target * np.log(proba)).sum(axis=1)
    return losses


def _focal(proba: FloatArray, truth: IntArray) -> FloatArray:
    q = _q(proba, truth)
    losses: FloatArray = -0.25 * (1 - q) ** 2 * np.log(q)
    return losses


LOSSES: dict[str, _Losses] = {
    "log_loss": lambda p, y: -np.log(_q(p, y)),
    "brier": lambda p, y: ((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1),
    "focal:2:0.25": _focal,
    "smoothed:0.1": _smoothed,
}


def _proba(seed: int, n: int, n_classes: int, spread: float, clip: float) -> FloatArray:
    logits = spread * np.random.default_rng(seed).standard_normal((n, n_classes))
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    clipped: FloatArray = np.maximum(proba / proba.sum(axis=1, keepdims=True), clip)
    return clipped


def _check(
    truth: IntArray, answer: IntArray, losses: FloatArray, n_classes: int | None, name: str, clip: float
) -> None:
    right = truth == answer
    bounds = loss_bounds(float(right.mean()), float(losses.mean()), n_classes, loss_name=name, clip=clip)
    slack = 1e-9 * (1 + bounds.loss)
    assert bounds.floor - slack <= bounds.loss <= bounds.ceiling + slack
    share = losses[~right].sum() / losses.sum() if losses.sum() else 0.0
    for known, value, (low, high) in (
        (right.any(), losses[right], bounds.loss_correct),
        (not right.all(), losses[~right], bounds.loss_incorrect),
        (True, np.array([share]), bounds.loss_share_incorrect),
    ):
        assert isnan(low) is not bool(known)
        assert not known or low - slack <= value.mean() <= high + slack


@pytest.mark.parametrize("name", LOSSES)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 40),
    n_classes=st.integers(2, 12),
    spread=st.floats(0.01, 30),
    clip=st.sampled_from([1e-7, 1e-16]),
    known=st.booleans(),
)
@settings(max_examples=60)
def test_no_predictions_violate_the_bounds(
    name: str, seed: int, n: int, n_classes: int, spread: float, clip: float, *, known: bool
) -> None:
    proba = _proba(seed, n, n_classes, spread, clip)
    truth = np.random.default_rng(seed + 1).integers(0, n_classes, n)
    losses = LOSSES[name](proba, truth)
    _check(truth, proba.argmax(axis=1), losses, n_classes if known else None, name, clip)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 40), n_classes=st.integers(3, 6), spread=st.floats(0.01, 30))
@settings(max_examples=60)
def test_margins_and_one_probability_do_not_either(seed: int, n: int, n_classes: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    margins = spread * rng.standard_normal((n, n_classes))
    each = [hinge_loss([t], m[None], labels=np.arange(n_classes)) for t, m in zip(truth, margins, strict=True)]
    _check(truth, margins.argmax(axis=1), np.array(each), None, "hinge", 0.0)
    label, p = truth % 2, _proba(seed, n, 2, spread, 0.0)[:, 1]
    one = (p - label) ** 2
    assert one.mean() == pytest.approx(brier_score_loss(label, p, pos_label=1))
    _check(label, (p > 0.5).astype(np.int64), one, 2, "brier:binary", 0.0)
    error = spread * rng.standard_normal(n)
    _check(
        (np.abs(error) <= 0.5).astype(np.int64), np.ones(n, dtype=np.int64), error**2, None, "squared_error:0.5", 0.0
    )


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("n_classes", [2, 3, 7])
@pytest.mark.parametrize("clip", [0.05, 1e-7])
def test_every_end_of_the_ranges_is_reached(name: str, n_classes: int, clip: float) -> None:
    def loss(*rest: float) -> float:
        return float(LOSSES[name](np.array([rest]), np.array([0]))[0])

    k, ranges = n_classes, find_loss(name).ranges(n_classes, clip)
    smoothing = 0.1 / k
    tie = (1 - (k - 2) * smoothing) / 2
    right_low = loss(1 - (k - 1) * smoothing, *[smoothing] * (k - 1)) if name == "smoothed:0.1" else 0.0
    wrong_low = loss(tie, tie, *[smoothing] * (k - 2)) if name == "smoothed:0.1" else loss(0.5, 0.5, *[0.0] * (k - 2))
    # What is clipped need not sum to 1 where a single probability decides.
    worst = loss(clip, 1 - (k - 1) * clip, *[clip] * (k - 2)) if name != "brier" else loss(0.0, 1.0, *[0.0] * (k - 2))
    shares = [((1 - (k - 1 - m) * clip) / (m + 1), m) for m in range(k)]
    hesitant = max(loss(*[top] * (m + 1), *[clip] * (k - 1 - m)) for top, m in shares)
    assert ranges.right == pytest.approx((right_low, hesitant if name == "smoothed:0.1" else loss(*[1 / k] * k)))
    assert ranges.wrong == pytest.approx((wrong_low, worst))


def test_the_ranges_of_every_number_of_classes_hold_those_of_each() -> None:
    for name in (*LOSSES, "focal:0", "smoothed:0", "smoothed:1"):
        loss = find_loss(name)
        for clip in (0.0, 1e-7):
            every = loss.ranges(None, clip)
            for k in (2, 3, 10, 1000):
                one = loss.ranges(k, clip)
                for wide, narrow in ((every.right, one.right), (every.wrong, one.wrong)):
                    assert wide[0] <= narrow[0] + 1e-12
                    assert narrow[1] <= wide[1] + 1e-12


def test_losses_that_are_the_same_have_the_same_ranges() -> None:
    for clip in (0.0, 1e-7):
        plain = find_loss("log_loss").ranges(7, clip)
        for other in ("focal:0", "smoothed:0"):
            ranges = find_loss(other).ranges(7, clip)
            assert (*ranges.right, *ranges.wrong) == pytest.approx((*plain.right, *plain.wrong), abs=1e-6)
    assert find_loss("smoothed:0.1").ranges(7, 0.0).right[1] == inf


@given(seed=st.integers(0, 2**32 - 1), n_classes=st.integers(2, 10), spread=st.floats(0.01, 10))
def test_calibrated_models_lie_in_the_band(seed: int, n_classes: int, spread: float) -> None:
    # Expected accuracy and losses of a model whose probabilities are the true ones.
    proba = np.random.default_rng(seed).dirichlet(np.full(n_classes, 1 / spread), size=40)
    accuracy = float(proba.max(axis=1).mean())
    expected = {
        "log_loss": float(-(proba * np.log(np.maximum(proba, 1e-300))).sum(axis=1).mean()),
        "brier": float(1 - (proba**2).sum(axis=1).mean()),
    }
    for name, loss in expected.items():
        for k in (n_classes, None):
            regions = plane_regions(k, [accuracy], loss_name=name)
            assert regions.calibrated_low[0] - 1e-9 <= loss <= regions.calibrated_high[0] + 1e-9
    if n_classes == 2:
        half = plane_regions(2, [accuracy], loss_name="brier:binary")
        assert half.calibrated_low[0] - 1e-9 <= expected["brier"] / 2 <= half.calibrated_high[0] + 1e-9


def test_the_ends_of_the_brier_band_are_reached() -> None:
    regions = plane_regions(10, [0.5, 0.7], loss_name="brier")
    even = np.array([0.5, 0.5, *[0.0] * 8])
    constant = np.array([0.7, *[0.3 / 9] * 9])
    assert regions.calibrated_low[0] == pytest.approx(1 - (even**2).sum())
    assert regions.calibrated_high[1] == pytest.approx(1 - (constant**2).sum())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("log-loss", "log_loss"),
        ("focal", "gamma"),
        ("focal:-1", "gamma"),
        ("focal:2:0", "alpha above 0"),
        ("focal:nan", "gamma"),
        ("focal:x", "gamma"),
        ("focal:1:1:1", "gamma"),
        ("smoothed:1.5", "between 0 and 1"),
        ("smoothed", "between 0 and 1"),
        ("squared_error:0", "above 0"),
        ("squared_error:inf", "above 0"),
        ("brier:2", "brier:binary"),
        ("hinge:1", "hinge"),
        ("", "log_loss"),
    ],
)
def test_losses_that_there_are_not(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        find_loss(text)


def test_spelling_leads_back_to_the_loss() -> None:
    for text in ("log_loss", "brier", "brier:binary", "hinge", "focal:2", "focal:2:0.25", "smoothed:0.1"):
        assert find_loss(text).spelling == text
    assert find_loss("Focal:2.0:1").spelling == "focal:2"
    assert find_loss("focal:2:0.25").ranges(10, 0.0).wrong[0] == pytest.approx(0.25 * 0.25 * log(2))
