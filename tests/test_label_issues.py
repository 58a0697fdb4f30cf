"""Suspected label errors: planted ones are found, and what cleanlab cannot digest does no harm."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import util

import cleanlab.filter
import numpy as np
import pytest
from numpy.typing import NDArray

from lossacc_mlflow import label_issues
from lossacc_mlflow.errors import MissingExtraError, PredictionsError
from lossacc_mlflow.label_issues import find_label_issues, mark_label_issues
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import Predictions

N_CLASSES = 4


def _noisy(n: int = 2000, *, noise: float = 0.05, seed: int = 0) -> tuple[Predictions, NDArray[np.bool_]]:
    """Predictions of a good model on labels of which some were exchanged, and which ones were."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, N_CLASSES, n)
    logits = 6 * np.eye(N_CLASSES)[truth] + random.normal(0, 1, (n, N_CLASSES))
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = random.random(n) < noise
    given = np.where(wrong, (truth + random.integers(1, N_CLASSES, n)) % N_CLASSES, truth)
    return make_predictions(given, proba), wrong


def test_exchanged_labels_are_found() -> None:
    predictions, wrong = _noisy()
    issue = find_label_issues(predictions)
    assert issue.dtype == np.bool_
    assert issue.shape == (2000,)
    assert issue[wrong].mean() > 0.85
    assert wrong[issue].mean() > 0.95


def test_clean_labels_are_not_suspected() -> None:
    predictions, _ = _noisy(noise=0.0)
    assert find_label_issues(predictions).mean() < 0.005


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_neither_precision_nor_rounding_changes_the_answer(dtype: type[np.floating]) -> None:
    predictions, _ = _noisy()
    expected = find_label_issues(predictions)
    rounded = (predictions.y_proba * 1.0003).astype(dtype)  # entries above one, which cleanlab refuses
    assert rounded.max() > 1 or dtype is np.float16
    found = find_label_issues(replace(predictions, y_proba=rounded))
    assert np.count_nonzero(found != expected) <= 1


def test_the_share_of_the_loss_is_that_of_the_marked_samples() -> None:
    predictions, _ = _noisy()
    summary, samples = mark_label_issues(predictions, *judge_predictions(predictions))
    assert samples.label_issue is not None
    assert np.array_equal(samples.label_issue, find_label_issues(predictions))
    loss = -np.log(samples.p_true)
    share = loss[samples.label_issue].sum() / loss.sum()
    assert share > 0.5
    assert summary.loss_share_label_issues == pytest.approx(share, rel=1e-12)
    assert summary.n_label_issues == samples.label_issue.sum() > 50
    surer = samples.confidence > np.median(samples.confidence)
    assert summary.n_sure_label_issues == samples.label_issue[surer].sum() > 20
    assert summary.notes == ()


def test_the_share_of_the_loss_is_weighted_where_the_samples_are() -> None:
    """Twice the weight is twice the sample."""
    plain, _ = _noisy()
    twice = 1 + find_label_issues(plain)
    weighted = replace(plain, sample_weight=twice.astype(np.float64))
    summary, samples = mark_label_issues(weighted, *judge_predictions(weighted))
    loss = np.repeat(-np.log(samples.p_true), twice)
    marked = np.repeat(twice == 2, twice)
    assert summary.loss_share_label_issues == pytest.approx(loss[marked].sum() / loss.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("y_true", "n_classes"),
    [([0], 2), ([1, 1, 1], 2), ([0, 0, 0], 3), ([0, 1], 2), ([0, 0, 2, 2], 3), ([2, 1, 1], 5)],
    ids=["one sample", "only the second class", "only the first", "one of each", "a class absent", "two absent"],
)
def test_few_samples_and_absent_classes_are_looked_at_in_silence(
    y_true: list[int], n_classes: int, capfd: pytest.CaptureFixture[str]
) -> None:
    proba = np.full((len(y_true), n_classes), 1 / n_classes)
    predictions = make_predictions(y_true, proba)
    summary, samples = mark_label_issues(predictions, *judge_predictions(predictions))
    assert summary.n_label_issues == 0
    assert summary.loss_share_label_issues == 0
    assert samples.label_issue is not None
    assert not samples.label_issue.any()
    assert capfd.readouterr() == ("", "")


def test_an_absent_class_does_not_hide_exchanged_labels() -> None:
    predictions, wrong = _noisy()
    wider = np.column_stack([predictions.y_proba * 0.999, np.full(2000, 0.001)])
    issue = find_label_issues(make_predictions(predictions.y_true, wider))
    assert issue[wrong].mean() > 0.85


def test_too_many_classes_are_said_and_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_issues, "MAX_CLASSES", 3)
    predictions, _ = _noisy(50)
    with pytest.raises(PredictionsError, match=r"more than 3 classes \(4\)"):
        find_label_issues(predictions)
    judged = judge_predictions(predictions)
    summary, samples = mark_label_issues(predictions, *judged)
    assert summary == replace(
        judged[0], notes=("Suspected label errors were not searched for in more than 3 classes (4).",)
    )
    assert samples is judged[1]


@pytest.mark.parametrize(("limit", "words"), [("MAX_SAMPLES", "samples"), ("MAX_PROBABILITIES", "probabilities")])
def test_large_predictions_are_bounded(limit: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, _ = _noisy(50)
    size = {"MAX_SAMPLES": 50, "MAX_PROBABILITIES": 200}[limit]
    monkeypatch.setattr(label_issues, limit, size)
    find_label_issues(predictions)
    monkeypatch.setattr(label_issues, limit, size - 1)
    with pytest.raises(PredictionsError, match=f"more than {size - 1} {words}"):
        find_label_issues(predictions)


def test_without_cleanlab_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_issues, "find_spec", lambda name: None if name == "cleanlab" else util.find_spec(name))
    predictions, _ = _noisy(50)
    with pytest.raises(MissingExtraError, match=r"pip install 'lossacc-mlflow\[cleanlab\]'"):
        find_label_issues(predictions)
    judged = judge_predictions(predictions)
    assert mark_label_issues(predictions, *judged) == judged


def test_a_failing_cleanlab_costs_nothing_but_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(cleanlab.filter, "find_label_issues", fail)
    predictions, _ = _noisy(50)
    summary, samples = mark_label_issues(predictions, *judge_predictions(predictions))
    assert summary.n_label_issues is None
    assert samples.label_issue is None
    assert "no luck" in summary.notes[0]


def test_threads_do_not_mix_their_samples_and_nothing_is_kept() -> None:
    sets = [_noisy(400 + 37 * i, seed=i)[0] for i in range(6)]
    expected = [find_label_issues(s) for s in sets]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(find_label_issues, sets * 5))
    assert all(np.array_equal(f, e) for f, e in zip(found, expected * 5, strict=True))
    assert not cleanlab.filter.pred_probs_by_class


def test_cleanlab_is_imported_at_use_only() -> None:
    code = "import sys, lossacc_mlflow.label_issues; sys.exit('cleanlab' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  (our own code)
