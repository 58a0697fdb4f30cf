import json
import math
from dataclasses import fields, replace

import pytest

from lossacc_mlflow.errors import PredictionsError
from lossacc_mlflow.records import ClassSummary, ClippedLoss, PredictionSummary
from lossacc_mlflow.regression import summarize_regression
from lossacc_mlflow.store import decode_regression_summary, decode_summary, encode_summary


def make_summary() -> PredictionSummary:
    counts = {"n_samples": 10, "n_classes": 3, "n_zero_probability": 1, "n_huge_errors": 1}
    bins = {"bin_count": (4, 6), "bin_confidence": (0.4, float("nan")), "bin_accuracy": (0.5, 1.0)}
    names = PredictionSummary.__dataclass_fields__
    shares = {name: 0.1 * i for i, name in enumerate(names) if i < 28 and name not in counts | bins}
    return PredictionSummary(**{**shares, **counts, **bins, "log_loss": float("inf"), "temperature": 1.5})  # type: ignore[arg-type]  # one dict of every kind of field


def test_a_summary_comes_back_and_is_strict_json() -> None:
    summary = make_summary()
    body = encode_summary(summary)
    plain = json.loads(body, parse_constant=pytest.fail)
    assert plain["log_loss"] == "inf"
    assert plain["bin_confidence"] == [0.4, "nan"]
    found = decode_summary(json.dumps(plain | {"of_a_later_version": 1}).encode())
    assert repr(found) == repr(summary)


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


def make_class(label: str, n: int = 7) -> ClassSummary:
    return ClassSummary(label, n, n + 1, 1 / 3, 2 / 7, math.nan, 0.1 + n, 1e-17)


def test_classes_clips_and_notes_come_back() -> None:
    summary = replace(
        make_summary(),
        loss_by_clip=(ClippedLoss("keras", 1e-7, 0.25), ClippedLoss("none", 0.0, math.inf)),
        classes=(make_class("<b>cat</b>\n\ud800"), make_class("", 0)),
        n_label_issues=3,
        loss_share_label_issues=0.25,
        notes=("Rows summed to 1.00002: renormalised.",),
        temperature_at_bound=True,
    )
    assert repr(decode_summary(encode_summary(summary))) == repr(summary)


class _Huge:
    """Sums that must be neither copied nor written."""

    def summarize_with(self, other: object) -> PredictionSummary:
        raise NotImplementedError

    def __deepcopy__(self, memo: object) -> "_Huge":
        pytest.fail("walked into the sums of a summary")


def test_sums_stay_in_memory() -> None:
    body = encode_summary(replace(make_summary(), sums=_Huge()))
    assert "sums" not in json.loads(body)
    assert decode_summary(body).sums is None


def test_a_file_of_the_version_before_is_read() -> None:
    later = {"loss_by_clip", "classes", "n_label_issues", "loss_share_label_issues", "notes"}
    old = {name: value for name, value in json.loads(encode_summary(make_summary())).items() if name not in later}
    assert repr(decode_summary(json.dumps(old, indent=1).encode())) == repr(make_summary())


def test_twenty_thousand_classes_stay_small() -> None:
    summary = replace(make_summary(), classes=tuple(make_class(str(i), i) for i in range(20_000)))
    body = encode_summary(summary)
    assert len(body) < 2_500_000
    assert repr(decode_summary(body).classes) == repr(summary.classes)


@pytest.mark.parametrize(
    "classes",
    [
        3,
        {},
        [{"label": "a"}],
        {field.name: [1] for field in fields(ClassSummary)},
        {field.name: ["a"] * (field.name == "label") for field in fields(ClassSummary)},
    ],
)
def test_damaged_classes_are_refused(classes: object) -> None:
    plain = json.loads(encode_summary(make_summary())) | {"classes": classes}
    with pytest.raises(PredictionsError, match=r"no.* summary"):
        decode_summary(json.dumps(plain).encode())


def test_a_regression_comes_back() -> None:
    for summary in (summarize_regression([1, 2, 4], [1.5, 2.5, 3.0]), summarize_regression([1, 1], [1.5, 2.5])):
        body = encode_summary(summary)
        json.loads(body, parse_constant=pytest.fail)
        assert repr(decode_regression_summary(body)) == repr(summary)


def test_one_kind_of_summary_is_not_read_as_the_other() -> None:
    with pytest.raises(PredictionsError, match="predicted numbers"):
        decode_regression_summary(encode_summary(make_summary()))
    with pytest.raises(PredictionsError, match="predictions"):
        decode_summary(encode_summary(summarize_regression([1, 2], [1, 3])))
