"""FIT004 fires just above its thresholds, takes a constant answer for a baseline, and does not guess one."""

from dataclasses import replace
from math import nan

import pytest

from lossacc_mlflow.records import RegressionSummary
from lossacc_mlflow.rules.fit_baseline import NoBetterThanBaseline
from tests.builders import make_run
from tests.rules.summaries import tempered_summary


@pytest.mark.parametrize(("baseline", "status"), [(0.89, "clear"), (0.9, "flagged")])
def test_no_better_than_the_accuracy_of_a_baseline(baseline: float, status: str) -> None:
    run = make_run({"val_accuracy": [0.5, 0.9, 0.8]}, baseline_accuracy=baseline)
    assert NoBetterThanBaseline().check(run).status == status


@pytest.mark.parametrize(("baseline", "status"), [(0.31, "clear"), (0.3, "flagged")])
def test_no_better_than_the_loss_of_a_baseline(baseline: float, status: str) -> None:
    run = make_run({"train_loss": [0.9, 0.2, 0.1], "val_loss": [0.9, 0.3, 0.4]}, baseline_loss=baseline)
    found = NoBetterThanBaseline().check(run)
    assert found.status == status
    if status == "flagged":
        assert "carry over" in found.advice
        assert found.step == 1


def test_what_beats_its_baseline_in_one_figure_beats_it() -> None:
    curves = {"val_accuracy": [0.9], "val_loss": [0.5]}
    run = make_run(curves, baseline_accuracy=0.95, baseline_loss=0.6)
    assert NoBetterThanBaseline().check(run).status == "clear"
    too_simple = NoBetterThanBaseline().check(make_run(curves | {"train_loss": [0.5]}, baseline_loss=0.4))
    assert "training data either" in too_simple.advice


@pytest.mark.parametrize("curves", [{}, {"val_accuracy": [nan]}, {"train_accuracy": [0.5]}])
def test_a_baseline_is_not_guessed(curves: dict[str, list[float]]) -> None:
    assert NoBetterThanBaseline().check(make_run(curves, baseline_accuracy=0.9)).status == "not_applicable"
    assert NoBetterThanBaseline().check(make_run({"val_accuracy": [0.9]})).status == "not_applicable"


@pytest.mark.parametrize(
    ("accuracy", "loss", "status"),
    [(0.6, 0.67, "flagged"), (0.601, 0.67, "clear"), (0.6, 0.66, "clear"), (0.55, 3.0, "flagged")],
)
def test_the_class_shares_are_a_baseline(accuracy: float, loss: float, status: str) -> None:
    summary = replace(tempered_summary(1.0), accuracy=accuracy, log_loss=loss, majority_accuracy=0.6, prior_loss=0.667)
    found = NoBetterThanBaseline().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    if status == "flagged":
        assert "that of always naming the largest class 60.0 %" in found.message
        assert found.split == "validation"
    given = make_run({"val_accuracy": [0.9]}, predictions={"validation": summary}, baseline_accuracy=0.8)
    assert NoBetterThanBaseline().check(given).status == "clear"


def test_of_one_class_nobody_needs_a_model() -> None:
    summary = replace(tempered_summary(1.0), accuracy=1.0, log_loss=0.0, majority_accuracy=1.0, prior_loss=0.0)
    assert NoBetterThanBaseline().check(make_run(predictions={"test": summary})).status == "not_applicable"


@pytest.mark.parametrize(
    ("r2", "status"), [(0.01, "clear"), (0.0, "flagged"), (-3.0, "flagged"), (nan, "not_applicable")]
)
def test_the_mean_target_is_a_baseline(r2: float, status: str) -> None:
    names = RegressionSummary.__dataclass_fields__
    summary = RegressionSummary(**{n: r2 if n == "r2" else 9 for n in names if n != "notes"})  # type: ignore[arg-type]
    found = NoBetterThanBaseline().check(make_run(regressions={"validation": summary}))
    assert found.status == status
    course = make_run({"val_r2": [r2 - 1] * 4 + [r2] * 6, "train_r2": [0.5] * 10})
    found = NoBetterThanBaseline().check(course)
    assert found.status == status
    if status == "flagged":
        assert "predicting the mean of the target" in found.message
        assert "carry over" in found.advice
