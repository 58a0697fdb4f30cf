import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import PredictionSummary, SamplePredictions
from lossacc_mlflow.store import decode_samples, decode_summary, encode_samples, encode_summary


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


def make_summary() -> PredictionSummary:
    counts = {"n_samples": 10, "n_classes": 3, "n_zero_probability": 1, "n_huge_errors": 1}
    bins = {"bin_count": (4, 6), "bin_confidence": (0.4, float("nan")), "bin_accuracy": (0.5, 1.0)}
    names = PredictionSummary.__dataclass_fields__
    shares = {name: 0.1 * i for i, name in enumerate(names) if i < 28 and name not in counts | bins}
    return PredictionSummary(**{**shares, **counts, **bins, "log_loss": float("inf"), "temperature": 1.5})  # type: ignore[arg-type]  # one dict of every kind of field


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


@pytest.mark.parametrize("body", [b"", b"PAR1 not really", encode_summary(make_summary())])
def test_a_file_that_holds_no_samples_is_refused(body: bytes) -> None:
    with pytest.raises(PredictionsError, match="test predictions"):
        decode_samples(body, "test")


def test_indices_beyond_the_classes_are_refused() -> None:
    with pytest.raises(PredictionsError, match=r"y_true .* 2 classes"):
        decode_samples(encode_samples(replace(make_samples(), classes=("a", "b"))), "test")


def test_a_summary_comes_back_and_is_strict_json() -> None:
    summary = make_summary()
    body = encode_summary(summary)
    plain = json.loads(body, parse_constant=pytest.fail)
    assert plain["log_loss"] == "inf"
    assert plain["bin_confidence"] == [0.4, "nan"]
    found = decode_summary(json.dumps(plain | {"of_a_later_version": 1}).encode())
    assert repr(asdict(found)) == repr(asdict(summary))


@pytest.mark.parametrize(
    "change", [{"accuracy": "high"}, {"n_samples": None}, {"n_samples": 1.5}, {"bin_count": 3}, {"accuracy": True}]
)
def test_a_damaged_summary_is_refused(change: dict[str, object]) -> None:
    plain = json.loads(encode_summary(make_summary())) | change
    with pytest.raises(PredictionsError, match=r"no.* summary"):
        decode_summary(json.dumps(plain).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff\xfe", b"null"])
def test_what_is_no_summary_is_refused(body: bytes) -> None:
    with pytest.raises(PredictionsError):
        decode_summary(body)
