import numpy as np
import pytest
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.predictions import (
    PredictionBuffer,
    buffer,
    judge_prediction_blocks,
    judge_predictions,
    make_predictions,
)


def probabilities(n: int, n_classes: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, n_classes, n)
    logits = generator.normal(size=(n, n_classes))
    logits[np.arange(n), truth] += 1
    proba = np.exp(logits)
    return truth, (proba / proba.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "block_size", lambda _: 100)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("max_bytes", [0, 5_000, 1 << 30])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_give_what_the_arrays_give(max_bytes: int, weighted: bool) -> None:
    truth, proba = probabilities(1_000, 10)
    weight = np.linspace(0, 2, 1_000) if weighted else None
    with PredictionBuffer(max_bytes) as kept:
        for start in range(0, 1_000, 32):
            rows = slice(start, start + 32)
            kept.add(truth[rows], proba[rows], None if weight is None else weight[rows])
        assert kept.is_spooled == (max_bytes < proba.nbytes)
        in_memory = sum(part.proba.nbytes for part in kept._parts if part.proba is not None)
        assert in_memory <= max(max_bytes, 0)
        summary, samples = judge_prediction_blocks(kept)
        again = kept.arrays()
    np.testing.assert_array_equal(again[1], proba)
    assert again[1].dtype == np.float32
    whole, expected = judge_predictions(make_predictions(truth, proba, sample_weight=weight))
    assert summary.log_loss == pytest.approx(whole.log_loss, rel=1e-12)
    assert summary.temperature == pytest.approx(whole.temperature, rel=1e-6)
    for name in ("y_true", "y_pred", "p_true", "confidence"):
        np.testing.assert_array_equal(getattr(samples, name), getattr(expected, name))
    assert samples.classes == expected.classes
    np.testing.assert_allclose(samples.p_true_after_temperature, expected.p_true_after_temperature, rtol=1e-5)
    assert (samples.sample_weight is None) == (weight is None)


def test_what_is_added_is_a_copy() -> None:
    truth, proba = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]], np.float16)
    kept = PredictionBuffer()
    kept.add(truth, proba)
    truth[:], proba[:] = 0, 0.5
    y_true, y_proba, weight = kept.arrays(release=True)
    assert (y_true.tolist(), weight) == ([0, 1], None)
    assert y_proba.dtype == np.float16
    np.testing.assert_allclose(y_proba, [[0.9, 0.1], [0.2, 0.8]], rtol=1e-3)
    assert len(kept) == 0


def test_labels_may_be_text_and_probabilities_those_of_the_second_class() -> None:
    kept = PredictionBuffer()
    kept.add(["no", "yes"], [0.1, 0.9])
    kept.add(["no"], [0.2])
    summary, samples = judge_prediction_blocks(kept)
    assert (summary.accuracy, samples.classes) == (1, ("no", "yes"))


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (([0], [[0.5, 0.3, 0.2]]), "the same classes in every batch"),
        (([0, 1], [[0.5, 0.5]]), "one class label a row"),
        (([0], [[0.5, 0.5]], [1.0]), "in all, or in none"),
        (([0], [["a", "b"]]), "no numbers"),
    ],
)
def test_batches_that_do_not_fit_are_refused(batch: tuple[object, ...], message: str) -> None:
    kept = PredictionBuffer()
    kept.add([0], [[0.5, 0.5]])
    with pytest.raises(PredictionsError, match=message):
        kept.add(*batch)  # type: ignore[arg-type]
    assert len(kept) == 1


def test_blocks_that_can_be_read_once_are_refused() -> None:
    with pytest.raises(PredictionsError, match="PredictionBuffer"):
        judge_prediction_blocks(iter([([0], [[0.5, 0.5]])]))
