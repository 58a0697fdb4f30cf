"""Prediction files against each other: matched sample by sample, or refused with both names."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from lossacc_mlflow.errors import PredictionFileError
from lossacc_mlflow.files import judge_prediction_files
from lossacc_mlflow.pairing import compare_predictions
from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import PredictionSummary
from lossacc_mlflow.render import render_predictions_text
from tests.files.test_predictions import table

N = 60
CLASSES = ("cat", "dog", "eel")


def proba_of(y: NDArray[np.int64], seed: int, sharpness: float = 2.0) -> NDArray[np.float64]:
    logits = sharpness * (np.eye(3)[y] + np.random.default_rng(seed).normal(0, 0.5, (len(y), 3)))
    proba: NDArray[np.float64] = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return proba


Y = np.random.default_rng(0).integers(0, 3, N)
A, B = proba_of(Y, 1), proba_of(Y, 2, 6.0)


def save(folder: Path, name: str, proba: NDArray[np.float64], **extra: Any) -> Path:  # noqa: ANN401  (columns)
    return table(folder, name, {"y_true": Y, **{f"proba_{k}": proba[:, k] for k in range(3)}, **extra})


def test_files_give_what_arrays_give(tmp_path: Path) -> None:
    report = judge_prediction_files([save(tmp_path, "a.csv", A), save(tmp_path, "b.parquet", B)])
    assert [file.name for file in report.files] == ["a", "b"]
    for file, proba in zip(report.files, (A, B), strict=True):
        expected = summarize_predictions(Y, proba)
        for figure in ("n_samples", "accuracy", "log_loss", "ece", "temperature", "refinement_loss"):
            assert getattr(file.summary, figure) == pytest.approx(getattr(expected, figure), rel=1e-9), figure
    (pair,) = report.pairs
    expected_pair = compare_predictions(Y, A, B, name_a="a", name_b="b")
    assert pair.delta_loss == pytest.approx(expected_pair.delta_loss, rel=1e-9)
    assert sum(g.contribution for g in pair.groups) == pytest.approx(pair.delta_loss, abs=1e-12)
    assert pair.explanation == expected_pair.explanation
    assert {f.code for f in report.files[0].findings} >= {"DIS003", "DIS004", "DIS005"}


def test_ids_stand_above_the_order_of_rows(tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(N)
    ids = np.array([f"image {i}" for i in range(N)])
    a = save(tmp_path, "a.csv", A, sample_id=ids)
    columns = {f"proba_{k}": B[order, k] for k in range(3)}
    b = table(tmp_path, "b.csv", {"y_true": Y[order], "sample_id": ids[order], **columns})
    (pair,) = judge_prediction_files([a, b]).pairs
    assert pair.delta_loss == pytest.approx(compare_predictions(Y, A, B).delta_loss, abs=1e-12)
    without = table(tmp_path, "c.csv", {"y_true": Y[order], **columns})
    with pytest.raises(PredictionFileError, match=r"different true labels for \d+ of 60 samples, first row \d+"):
        judge_prediction_files([a, without])


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    a = table(
        tmp_path, "a.csv", {"y_true": np.array(CLASSES)[Y], **{f"proba_{c}": A[:, k] for k, c in enumerate(CLASSES)}}
    )
    turned = {f"proba_{c}": B[:, k] for k, c in reversed(list(enumerate(CLASSES)))}
    b = table(tmp_path, "b.csv", {"y_true": np.array(CLASSES)[Y], **turned})
    report = judge_prediction_files([a, b])
    assert report.pairs[0].delta_loss == pytest.approx(compare_predictions(Y, A, B).delta_loss, abs=1e-12)
    assert report.files[1].samples.classes == ("eel", "dog", "cat")
    numbered = judge_prediction_files([a, save(tmp_path, "c.csv", B)])
    assert numbered.pairs[0].delta_loss == pytest.approx(report.pairs[0].delta_loss, abs=1e-12)


def test_many_files_are_held_against_the_most_accurate(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"m{i}.csv", proba_of(Y, i, 1.0 + i)) for i in range(7)]
    few, many = judge_prediction_files(paths[:6]), judge_prediction_files(paths)
    assert (len(few.pairs), few.remarks) == (15, ())
    accuracies = [file.summary.accuracy for file in many.files]
    best = many.files[int(np.argmax(accuracies))].name
    assert {pair.name_a for pair in many.pairs} == {best}
    assert len(many.pairs) == 6
    assert best in many.remarks[0]
    assert all(pair.n_pairs == 6 and pair.mcnemar_p_holm >= pair.mcnemar_p for pair in many.pairs)


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    paths = [save(tmp_path, "a.csv", A), save(tmp_path / "x", "a.csv", B)]
    assert [file.name for file in judge_prediction_files(paths).files] == list(map(str, paths))


def test_no_temperature_where_none_is_wanted(tmp_path: Path) -> None:
    (file,) = judge_prediction_files([save(tmp_path, "a.csv", A)], temperature=False).files
    assert file.summary.temperature is None


def save_rows(folder: Path, rows: slice, **extra: Any) -> Path:  # noqa: ANN401  (columns)
    columns = {f"proba_{k}": B[rows, k] for k in range(3)}
    return table(folder, "b.csv", {"y_true": Y[rows], **columns, **{k: v[rows] for k, v in extra.items()}})


def test_files_that_do_not_belong_together_are_both_named(tmp_path: Path) -> None:
    ids = np.arange(N).astype(str)
    a = save(tmp_path, "a.csv", A, sample_id=ids)
    b = tmp_path / "b.csv"
    for rows, extra, told in (
        (slice(0, 50), {}, r"do not hold the same samples \(60 and 50\).*sample_id"),
        (slice(0, 50), {"sample_id": ids}, r"the same samples \(60 and 50, 50 in common\)"),
        (slice(0, N), {"sample_id": np.roll(ids, 1)}, r"different true labels .* first sample '"),
        (slice(0, N), {"sample_id": np.where(ids == "7", "8", ids)}, r"'8' is there 2 times"),
    ):
        save_rows(tmp_path, rows, **extra)
        with pytest.raises(PredictionFileError, match=told) as caught:
            judge_prediction_files([a, b])
        assert str(b) in str(caught.value)
        assert str(a) in str(caught.value) or "2 times" in told
    pd.DataFrame({"y_true": Y % 2, "proba": B[:, 0]}).to_csv(b, index=False)
    with pytest.raises(PredictionFileError, match=r"same classes \(3 and 2 columns\)"):
        judge_prediction_files([save(tmp_path, "a.csv", A), b])


@pytest.mark.parametrize(
    ("proba", "told"),
    [(np.log(A), "softmax"), (A * 2, "softmax"), (A - 0.5, "softmax")],
    ids=["logits", "sums", "negative"],
)
def test_no_probabilities_are_refused_with_the_name_of_the_file(
    tmp_path: Path, proba: NDArray[np.float64], told: str
) -> None:
    path = save(tmp_path, "a.csv", proba)
    with pytest.raises(PredictionFileError, match=told) as caught:
        judge_prediction_files([path])
    assert str(path) in str(caught.value)


def test_a_large_file_gives_what_a_small_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block by block, the figures are those of the whole, and the worst samples and every pair too."""
    paths = [save(tmp_path, "a.parquet", A), save(tmp_path, "b.csv", B)]
    whole, single = judge_prediction_files(paths), judge_prediction_files(paths[:1])
    monkeypatch.setattr("lossacc_mlflow.files.judging._MAX_WHOLE", 0)
    monkeypatch.setattr("lossacc_mlflow.files.predictions._BLOCK_ENTRIES", 21)
    blocks, worst = judge_prediction_files(paths), judge_prediction_files(paths[:1])
    for one, other in zip(whole.files, blocks.files, strict=True):
        for figure in fields(PredictionSummary):
            found, expected = getattr(other.summary, figure.name), getattr(one.summary, figure.name)
            if isinstance(expected, float):
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True), figure.name
        assert one.samples.sample_id == other.samples.sample_id
        assert np.array_equal(one.samples.y_pred, other.samples.y_pred)
        for figure_name in ("p_true", "confidence", "brier"):
            assert getattr(one.samples, figure_name) == pytest.approx(getattr(other.samples, figure_name), abs=1e-12)
        # Not cross-fitted: a fold of twelve samples moves a temperature only so far.
        after = one.samples.p_true_after_temperature
        assert after == pytest.approx(other.samples.p_true_after_temperature, abs=0.1)
    assert blocks.pairs[0].delta_loss == pytest.approx(whole.pairs[0].delta_loss, abs=1e-12)
    order = np.argsort(single.files[0].samples.p_true)[:20]
    assert worst.files[0].samples.sample_id == tuple(single.files[0].samples.sample_id[i] for i in order)
    texts = [render_predictions_text(report) for report in (single, worst)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("large", [False, True])
def test_answers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, large: bool) -> None:
    """Accuracy and calibration are those of all probabilities; the loss of wrong answers only with p_true."""
    if large:
        monkeypatch.setattr("lossacc_mlflow.files.judging._MAX_WHOLE", 0)
    rows, answer = np.arange(N), A.argmax(axis=1)
    columns = {"y_true": np.array(CLASSES)[Y], "y_pred": np.array(CLASSES)[answer], "confidence": A.max(axis=1)}
    bare = judge_prediction_files([table(tmp_path, "bare.csv", columns)])
    known = judge_prediction_files([table(tmp_path, "known.csv", {**columns, "p_true": A[rows, Y]})])
    expected = summarize_predictions(Y, A)
    for report in (bare, known):
        summary = report.files[0].summary
        for figure in ("accuracy", "ece", "balanced_accuracy", "loss_correct", "mean_confidence"):
            assert getattr(summary, figure) == pytest.approx(getattr(expected, figure), rel=1e-9), figure
        assert {c.label for c in summary.classes} == set(CLASSES)
    assert known.files[0].summary.log_loss == pytest.approx(expected.log_loss, rel=1e-9)
    assert np.isnan(bare.files[0].summary.log_loss)
    text = " ".join(render_predictions_text(bare).split())
    assert "what wrong answers cost is not known" in text
    assert "p_true" in text
    assert "log loss not known" in text
    probabilities = table(
        tmp_path, "p.csv", {"y_true": columns["y_true"], **{f"proba_{c}": A[:, k] for k, c in enumerate(CLASSES)}}
    )
    (pair,) = judge_prediction_files([probabilities, tmp_path / "bare.csv"]).pairs
    assert (pair.delta_accuracy, pair.mcnemar_p) == (0, 1)
    assert np.isnan(pair.delta_loss)
    if not large:
        render_predictions_text(judge_prediction_files([probabilities, tmp_path / "bare.csv"]))


def test_answers_alone_that_are_all_wrong_have_no_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossacc_mlflow.files.judging._MAX_WHOLE", 0)
    path = table(tmp_path, "a.csv", {"y_true": [0, 1, 2], "y_pred": [1, 2, 0], "confidence": [0.9, 0.8, 0.7]})
    (file,) = judge_prediction_files([path]).files
    assert (file.summary.accuracy, len(file.samples)) == (0, 0)
