"""Blocks, merged summaries, weights and answers alone agree with the whole; bad input is mended or refused."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.calibration import _TemperatureScaling
from sklearn.metrics import log_loss

from lossacc_mlflow.clips import CLIPS
from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions import (
    judge_predictions,
    judge_top_predictions,
    make_predictions,
    summarize_predictions,
    summarize_top_predictions,
)
from lossacc_mlflow.records import PredictionSummary


def _data(seed: int, n: int, n_classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.5), size=n)
    return np.where(rng.random(n) < 0.7, proba.argmax(axis=1), rng.integers(0, n_classes, n)), proba


def _same(one: PredictionSummary, two: PredictionSummary, rtol: float = 1e-12) -> None:
    for field in fields(PredictionSummary):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name == "classes":
            for x, y in zip(a, b, strict=True):
                assert (x.label, x.n_samples, x.n_predicted) == (y.label, y.n_samples, y.n_predicted)
                assert_allclose([x.recall, x.log_loss, x.loss_share], [y.recall, y.log_loss, y.loss_share], rtol=1e-10)
        elif field.name == "loss_by_clip":
            assert_allclose([c.log_loss for c in a], [c.log_loss for c in b], rtol=rtol)
        elif field.name not in {"sums", "notes"} and a is not None:
            assert_allclose(a, b, rtol=rtol, atol=1e-12, err_msg=field.name)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 60), cut=st.floats(0, 1))
def test_merged_parts_are_the_whole(seed: int, n: int, cut: float) -> None:
    truth, proba = _data(seed, n)
    k = 1 + int(cut * (n - 2))
    parts = [summarize_predictions(truth[i], proba[i], temperature=False) for i in (slice(k), slice(k, n))]
    _same(parts[0].merge(parts[1]), summarize_predictions(truth, proba, temperature=False), rtol=1e-9)


def test_merged_parts_are_the_whole_beyond_what_is_kept_exactly() -> None:
    truth, proba = _data(1, 25_000)
    whole = summarize_predictions(truth, proba, temperature=False)
    parts = [summarize_predictions(truth[i::3], proba[i::3], temperature=False) for i in range(3)]
    _same(parts[0].merge(parts[1]).merge(parts[2]), whole, rtol=1e-9)
    loss = np.sort(-np.log(np.clip(proba[np.arange(25_000), truth], 2.3e-16, 1)))
    gini = 2 * np.dot(np.arange(1, 25_001), loss) / (25_000 * loss.sum()) - 25_001 / 25_000
    assert_allclose(whole.loss_gini, gini, atol=1e-3)
    assert_allclose(whole.loss_share_top1pct, loss[-250:].sum() / loss.sum(), atol=1e-3)


def test_blocks_give_what_the_arrays_give() -> None:
    truth, proba = _data(2, 1_000)
    blocks = [(truth[i : i + 300], proba[i : i + 300]) for i in range(0, 1_000, 300)]
    whole = summarize_predictions(truth, proba)
    again = summarize_predictions(blocks)
    _same(again, whole, rtol=1e-9)
    once = summarize_predictions(iter(blocks))
    assert once.temperature is None
    assert any("read once" in note for note in once.notes)
    assert_allclose(once.log_loss, whole.log_loss, rtol=1e-12)


def test_weights_count_as_repetitions() -> None:
    truth, proba = _data(3, 200)
    weight = np.random.default_rng(0).integers(0, 4, 200)
    repeated = summarize_predictions(np.repeat(truth, weight), np.repeat(proba, weight, axis=0), temperature=False)
    weighted = summarize_predictions(truth, proba, temperature=False, sample_weight=weight)
    assert weighted.n_samples == 200
    for name in ("accuracy", "log_loss", "brier", "ece", "loss_gini", "f1_macro", "prior_loss", "overconfidence_nats"):
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, err_msg=name)


def test_temperature_is_scikit_learns() -> None:
    truth, proba = _data(4, 5_000)
    sharp = proba**3 / (proba**3).sum(axis=1, keepdims=True)
    oracle = _TemperatureScaling().fit(sharp, truth)
    fitted = summarize_predictions(truth, sharp).temperature
    assert fitted is not None
    assert_allclose(fitted, 1 / oracle.beta_, rtol=1e-4)


def test_every_clip_is_shown() -> None:
    summary = summarize_predictions([1, 0, 0], [[1.0, 0.0], [0.8, 0.2], [1.0, 0.0]], temperature=False)
    assert [c.name for c in summary.loss_by_clip] == list(CLIPS)
    for clipped in summary.loss_by_clip:
        p = np.clip([0.0, 0.8, 1.0], clipped.clip, 1 - clipped.clip)
        with np.errstate(divide="ignore"):
            assert_allclose(clipped.log_loss, -np.log(p).mean(), rtol=1e-12)
    assert summary.loss_by_clip[-1].log_loss == np.inf


def test_answers_alone() -> None:
    truth, proba = _data(5, 300)
    answer, sure = proba.argmax(axis=1), proba.max(axis=1)
    whole = summarize_predictions(truth, proba, temperature=False)
    top = summarize_top_predictions(truth, answer, sure, n_classes=3)
    for name in ("accuracy", "ece", "ece_q95", "loss_correct", "f1_macro", "confidence_incorrect", "prior_loss"):
        assert_allclose(getattr(top, name), getattr(whole, name), rtol=1e-12, err_msg=name)
    assert np.isnan([top.log_loss, top.loss_incorrect, top.brier, top.loss_gini]).all()
    known = summarize_top_predictions([(truth, answer, sure, proba[np.arange(300), truth])], n_classes=3)
    assert_allclose([known.log_loss, known.loss_gini], [whole.log_loss, whole.loss_gini], rtol=1e-12)
    _, samples = judge_top_predictions(truth, answer, sure)
    assert np.isnan(samples.p_true).tolist() == (truth != answer).tolist()
    with pytest.raises(PredictionsError, match="differs from the confidence"):
        summarize_top_predictions(truth, answer, sure, np.zeros(300))


def test_rows_off_by_more_than_rounding_are_rescaled_with_a_note() -> None:
    proba = np.array([[1.00001, 0.00001], [0.3, 0.7]])
    summary, _ = judge_predictions(make_predictions([0, 1], proba), temperature=False)
    assert "1 of 2 rows" in summary.notes[0]
    assert summary.notes == summarize_predictions([0, 1], proba, temperature=False).notes
    assert summarize_predictions([0, 1], [[0.4 + 1e-8, 0.6], [0.3, 0.7]], temperature=False).notes == ()


@pytest.mark.parametrize("kind", [np.float16, np.int64, bool])
def test_other_types_of_probabilities(kind: type) -> None:
    proba: np.ndarray = np.array([[1, 0], [0, 1], [1, 0]], dtype=kind)
    summary = summarize_predictions([0, 1, 1], proba, temperature=False)
    assert_allclose(summary.log_loss, log_loss([0, 1, 1], proba.astype(np.float64)), rtol=1e-12)
    assert summary.n_zero_probability == 1


@pytest.mark.parametrize(
    ("truth", "labels", "places"),
    [
        ([1, 0], ["cat", "dog"], [1, 0]),
        ([20, 10], ["10", "20"], [1, 0]),
        (["b", "a"], None, [1, 0]),
        ([True, False], None, [1, 0]),
        ([1.0, 0.0], np.array([0, 1]), [1, 0]),
        (["1", "0"], [0, 1], [1, 0]),
    ],
)
def test_labels_are_members_or_places(truth: list[object], labels: list[object] | None, places: list[int]) -> None:
    made = make_predictions(truth, [[0.2, 0.8], [0.9, 0.1]], labels=labels)  # type: ignore[arg-type]
    assert made.y_true.tolist() == places


@pytest.mark.parametrize(
    ("proba", "told"),
    [
        ([[-0.1, 1.1], [0.5, 0.5]], "no probabilities"),
        ([[np.inf, 0.0], [0.5, 0.5]], "1 of 2 rows"),
        ([1.5, 0.2], "second class"),
        ([[1.0], [1.0]], "one class"),
        (np.log([[0.2, 0.8], [0.5, 0.5]]), "logarithms"),
        ([[20.0, 80.0], [50.0, 50.0]], "percentages"),
    ],
)
def test_what_is_no_probability_is_named(proba: object, told: str) -> None:
    with pytest.raises(PredictionsError, match=told):
        summarize_predictions([0, 1], proba)  # type: ignore[arg-type]


def test_one_class_only_one_sample_and_none() -> None:
    one = summarize_predictions([0, 0], [[0.9, 0.1], [0.8, 0.2]])
    assert (one.majority_accuracy, one.prior_loss) == (1.0, 0.0)
    assert np.isnan(one.skill)
    assert_allclose(summarize_predictions([1], [0.25]).log_loss, log_loss([1], [0.25], labels=[0, 1]), rtol=1e-12)
    with pytest.raises(PredictionsError, match="at least one sample"):
        summarize_predictions([])
