"""DIS005, DIS008 and DIS009: few samples, wrong labels, clipped logarithms."""

from dataclasses import replace
from math import inf, nan

import pytest

from lossacc_mlflow.records import ClippedLoss, PredictionSummary
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.dis_samples import FewHugeErrors, LossHangsOnClip, SuspectedLabelErrors
from tests.builders import make_run
from tests.rules.summaries import tempered_summary

_PLAIN = tempered_summary(1.0)
_LEARNED = replace(_PLAIN, accuracy=0.9, balanced_accuracy=0.9)


@pytest.mark.parametrize(
    ("count", "share", "status"), [(5, 0.1, "flagged"), (4, 0.1, "clear"), (5, 0.099, "clear"), (41, 0.5, "clear")]
)
def test_few_huge_errors(count: int, share: float, status: str) -> None:
    summary = replace(_PLAIN, n_huge_errors=count, loss_share_huge_errors=share)
    found = FewHugeErrors().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert found.split == "validation"


def test_no_huge_errors_carry_nothing() -> None:
    summary = replace(_PLAIN, n_huge_errors=0, loss_share_huge_errors=nan)
    assert FewHugeErrors().check(make_run(predictions={"validation": summary})).status == "clear"


@pytest.mark.parametrize(
    ("count", "share", "status"), [(5, 0.1, "flagged"), (4, 0.1, "clear"), (5, 0.099, "clear"), (801, 0.5, "clear")]
)
def test_suspected_label_errors(count: int, share: float, status: str) -> None:
    summary = replace(_LEARNED, n_label_issues=count, loss_share_label_issues=share)
    found = SuspectedLabelErrors().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert f"The labels of {count:,} of 4,000 validation samples" in found.message
    if status == "flagged":
        assert f"{share:.0%}".replace("%", " % of the loss") in found.message
    assert ("likelier culprit" in found.message) == (count == 801)


def test_few_sure_suspects_are_enough_where_they_are_most_of_the_errors() -> None:
    for n, sure, status in ((100, 5, "flagged"), (100, 4, "clear"), (110, 5, "clear")):
        summary = replace(
            _LEARNED, n_samples=n, n_label_issues=9, n_sure_label_issues=sure, loss_share_label_issues=0.5
        )
        found = SuspectedLabelErrors().check(make_run(predictions={"validation": summary}))
        assert found.status == status


@pytest.mark.parametrize(
    ("n", "sure", "status"),
    [(4000, 80, "flagged"), (4000, 79, "clear"), (4000, None, "flagged"), (450, 10, "flagged"), (450, 9, "clear")],
)
def test_suspects_that_are_all_unsure_answers_are_mistakes_of_the_model(n: int, sure: int | None, status: str) -> None:
    """Of 4,000 answers 400 are wrong, and 80 of these must be sure ones; of 450 ten of 45."""
    summary = replace(_LEARNED, n_samples=n, n_label_issues=50, n_sure_label_issues=sure, loss_share_label_issues=0.5)
    found = SuspectedLabelErrors().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    said = f"only {sure} of them are among the surer half of the answers, 20 % of the {n // 10} wrong answers"
    assert (said in found.message) == (status == "clear")


@pytest.mark.parametrize(("gain", "status"), [(0.701, "flagged"), (0.699, "clear"), (nan, "flagged")])
def test_a_model_with_many_errors_of_its_own_suspects_nobody(gain: float, status: str) -> None:
    equal = 1 / _LEARNED.n_classes
    summary = replace(_LEARNED, n_label_issues=100, n_sure_label_issues=90, loss_share_label_issues=0.5)
    summary = replace(summary, balanced_accuracy=equal + gain * (1 - equal))
    found = SuspectedLabelErrors().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert ("too many errors of its own" in found.message) == (status == "clear")


def test_a_model_that_is_too_sure_suspects_too_many() -> None:
    summary = replace(tempered_summary(3.0), n_label_issues=99, loss_share_label_issues=0.5, balanced_accuracy=0.9)
    assert (
        "too sure as well (temperature 2.96"
        in SuspectedLabelErrors().check(make_run(predictions={"test": summary})).advice
    )
    surest = replace(summary, n_sure_label_issues=50, accuracy=0.95)
    assert "too sure" not in SuspectedLabelErrors().check(make_run(predictions={"test": surest})).advice
    plain = replace(_LEARNED, n_label_issues=99, loss_share_label_issues=0.5)
    assert "too sure" not in SuspectedLabelErrors().check(make_run(predictions={"test": plain})).advice


def test_where_nobody_looked_for_label_errors_it_is_said_how_to() -> None:
    found = SuspectedLabelErrors().check(make_run(predictions={"validation": _PLAIN}))
    assert found.status == "not_applicable"
    assert "lossacc-mlflow[cleanlab]" in found.message
    assert "log_predictions" in found.message
    unknown = replace(_PLAIN, n_label_issues=9, loss_share_label_issues=nan)
    assert SuspectedLabelErrors().check(make_run(predictions={"validation": unknown})).status == "not_applicable"


def _clipped(*losses: float, zeros: int = 0) -> PredictionSummary:
    names = ("sklearn-float16", "keras", "sklearn", "xgboost", "torch-bce", "none")
    by_clip = tuple(ClippedLoss(name, 0.0, loss) for name, loss in zip(names, losses, strict=True))
    return replace(_PLAIN, log_loss=1.0, loss_by_clip=by_clip, n_zero_probability=zeros)


@pytest.mark.parametrize(("highest", "status"), [(1.099, "clear"), (1.101, "flagged")])
def test_loss_that_hangs_on_the_clip(highest: float, status: str) -> None:
    summary = _clipped(0.2, 1.0, 1.05, highest, 3.0, inf, zeros=3)
    found = LossHangsOnClip().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert "3 of 4,000 true classes have a probability of exactly 0" in found.message
    assert status == "flagged" or "The validation loss is 1 to 1.10 under every usual clip; " in found.message
    if status == "flagged":
        told = "1 in Keras, 1.05 in scikit-learn from float64, 1.10 in XGBoost, 3 in PyTorch's BCELoss, inf without"
        assert told in found.message


def test_coarse_clips_and_no_clip_are_told_and_not_judged() -> None:
    found = LossHangsOnClip().check(make_run(predictions={"validation": _clipped(0.1, 1, 1, 1, 9, inf, zeros=1)}))
    assert found.status == "clear"
    assert "infinitely much without a clip" in found.message


@pytest.mark.parametrize("losses", [(nan, nan, nan, nan, nan, nan), (1, inf, inf, inf, inf, inf)])
def test_clips_that_are_not_known(losses: tuple[float, ...]) -> None:
    run = make_run(predictions={"validation": _clipped(*losses)})
    assert LossHangsOnClip().check(run).status == "not_applicable"
    assert LossHangsOnClip().check(make_run(predictions={"test": replace(_PLAIN, loss_by_clip=())})).status == (
        "not_applicable"
    )


@pytest.mark.parametrize("rule", [FewHugeErrors(), SuspectedLabelErrors(), LossHangsOnClip()])
def test_attribution_needs_predictions(rule: Rule) -> None:
    assert rule.check(make_run({"val_loss": [0.5], "val_accuracy": [0.9]})).status == "not_applicable"
    without = replace(_PLAIN, log_loss=nan)
    assert rule.check(make_run(predictions={"validation": without})).status == "not_applicable"
