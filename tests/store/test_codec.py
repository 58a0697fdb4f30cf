from dataclasses import replace
from io import BytesIO

import numpy as np
import pyarrow.parquet as pq
import pytest

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import RegressionSamples, SamplePredictions
from lossacc_mlflow.store import decode_regression_samples, decode_samples, encode_regression_samples, encode_samples


def make_samples(n: int = 6) -> SamplePredictions:
    rng = np.random.default_rng(0)
    p = rng.beta(5, 1, n)
    p[0] = 0
    return SamplePredictions(
        split="validation",
        sample_id=tuple(f"img_{i:06d}.png" for i in range(n)),
        y_true=rng.integers(0, 10, n),
        y_pred=rng.integers(0, 10, n),
        p_true=p,
        confidence=np.maximum(p, 0.1),
        p_true_after_temperature=p**2,
        brier=(1 - p) ** 2,
        classes=("<b>zero</b>", *(f'"{i}"\n' for i in range(1, 10))),
    )


def test_samples_come_back() -> None:
    samples = make_samples()
    found = decode_samples(encode_samples(samples), "validation")
    assert (found.split, found.sample_id, found.classes) == (samples.split, samples.sample_id, samples.classes)
    for name in ("y_true", "y_pred"):
        np.testing.assert_array_equal(getattr(found, name), getattr(samples, name))
    for name in ("p_true", "confidence", "p_true_after_temperature", "brier"):
        np.testing.assert_allclose(getattr(found, name), getattr(samples, name), rtol=1e-7, atol=0)
    assert found.p_true[0] == 0


def test_fifty_thousand_samples_are_small() -> None:
    assert len(encode_samples(make_samples(50_000))) < 1_200_000


@pytest.mark.parametrize("body", [b"", b"PAR1 not really", b"{}"])
def test_a_file_that_holds_no_samples_is_refused(body: bytes) -> None:
    with pytest.raises(PredictionsError, match="test predictions"):
        decode_samples(body, "test")


def test_indices_beyond_the_classes_are_refused() -> None:
    with pytest.raises(PredictionsError, match=r"y_true .* 2 classes"):
        decode_samples(encode_samples(replace(make_samples(), classes=("a", "b"))), "test")


def test_label_issues_come_back_and_are_absent_where_nobody_looked() -> None:
    looked = replace(make_samples(), label_issue=np.array([True, False, False, True, False, False]))
    found = decode_samples(encode_samples(looked), "test").label_issue
    assert found is not None
    assert found.tolist() == [True, False, False, True, False, False]
    body = encode_samples(make_samples())
    assert "label_issue" not in pq.read_table(BytesIO(body)).column_names
    assert decode_samples(body, "test").label_issue is None


def test_what_is_not_known_stays_unknown() -> None:
    unknown = replace(make_samples(), p_true=np.full(6, np.nan), brier=np.full(6, np.nan))
    found = decode_samples(encode_samples(unknown), "test")
    assert np.isnan(found.p_true).all()
    assert np.isnan(found.brier).all()
    assert not np.isnan(found.confidence).any()


def test_hostile_ids_and_labels_survive() -> None:
    ids = ("a\nb", "\ud800 half a pair", "x" * 10_000, "", "<b>&'\"", "\x00 ,;=")
    hostile = replace(make_samples(), sample_id=ids, classes=(*ids, *"0123"))
    found = decode_samples(encode_samples(hostile), "test")
    assert found.classes == hostile.classes
    assert found.sample_id == (ids[0], "\\ud800 half a pair", *ids[2:])


def test_numbers_of_a_regression_come_back_exactly() -> None:
    samples = RegressionSamples("test", ("a", "b"), np.array([0.1, 1e300]), np.array([1 / 3, -0.0]))
    found = decode_regression_samples(encode_regression_samples(samples), "test")
    assert (found.split, found.sample_id) == ("test", ("a", "b"))
    np.testing.assert_array_equal(found.y_true, samples.y_true)
    np.testing.assert_array_equal(found.y_pred, samples.y_pred)


@pytest.mark.parametrize("body", [b"", b"PAR1", b"{}"])
def test_a_file_that_holds_no_numbers_is_refused(body: bytes) -> None:
    with pytest.raises(PredictionsError, match="validation predictions"):
        decode_regression_samples(body, "validation")
