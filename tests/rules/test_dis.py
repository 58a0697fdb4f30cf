"""DIS rules fire just above their thresholds, are quiet just below, and attribute by number."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import PredictionSummary
from lossacc_mlflow.rules.dis import (
    BestStepsDiffer,
    FewHugeErrors,
    HesitantCorrect,
    LossUpAccuracyFlat,
    OverconfidentErrors,
)
from tests.builders import falling, make_run


def _conflict(loss_end: float, accuracy_end: float) -> dict[str, list[float]]:
    return {
        "train_loss": falling(60, 2.0, 0.01),
        "val_loss": falling(30, 2.0, 0.5) + list(np.linspace(0.5, loss_end, 30)),
        "train_accuracy": list(np.linspace(0.3, 1.0, 60)),
        "val_accuracy": list(np.linspace(0.3, 0.9, 30)) + list(np.linspace(0.9, accuracy_end, 30)),
    }


@pytest.mark.parametrize(
    ("loss_end", "accuracy_end", "status"),
    [
        (0.535, 0.9, "clear"),
        (0.545, 0.9, "flagged"),
        (0.8, 0.93, "flagged"),
        (0.8, 0.895, "flagged"),
        (0.8, 0.88, "clear"),
    ],
)
def test_loss_up_accuracy_flat(loss_end: float, accuracy_end: float, status: str) -> None:
    run = make_run(_conflict(loss_end, accuracy_end), n_classes=10)
    assert LossUpAccuracyFlat().check(run).status == status


@pytest.mark.parametrize("key", ["val_loss", "val_accuracy"])
def test_conflict_is_not_guessed(key: str) -> None:
    curves = _conflict(0.8, 0.9)
    missing = {k: v for k, v in curves.items() if k != key}
    lost = curves | {key: [nan] * 60}
    for run in (make_run(missing, n_classes=10), make_run(lost, n_classes=10)):
        assert LossUpAccuracyFlat().check(run).status == "not_applicable"
        assert BestStepsDiffer().check(run).status == "not_applicable"


@pytest.mark.parametrize(("gain", "status"), [(0.005, "clear"), (0.03, "flagged")])
def test_best_steps_that_cost_accuracy(gain: float, status: str) -> None:
    curves = _conflict(0.51, 0.9 + gain)
    found = BestStepsDiffer().check(make_run(curves))
    assert found.status == status
    steps = {e.name: e.value for e in found.evidence}
    assert steps["best_step_by_loss"] < steps["best_step_by_accuracy"]


@pytest.mark.parametrize(("loss_end", "status"), [(0.54, "clear"), (0.58, "flagged")])
def test_best_steps_that_cost_loss(loss_end: float, status: str) -> None:
    assert BestStepsDiffer().check(make_run(_conflict(loss_end, 0.909))).status == status


@pytest.mark.parametrize(("gain", "status"), [(0.004, "clear"), (0.009, "flagged")])
def test_of_accuracies_as_good_as_the_best_the_one_with_the_lowest_loss_counts(gain: float, status: str) -> None:
    assert BestStepsDiffer().check(make_run(_conflict(0.6, 0.9 + gain))).status == status


def _summary(sharpness: float, n: int = 4000) -> PredictionSummary:
    """A calibrated two-class model whose logits were multiplied."""
    rng = np.random.default_rng(0)
    z = 1.5 * rng.standard_normal(n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)
    return summarize_predictions(truth, 1 / (1 + np.exp(-sharpness * z)))


def test_overconfident_and_hesitant_are_told_apart_by_temperature() -> None:
    sharp, flat, right = (make_run(predictions={"validation": _summary(s)}) for s in (3.0, 0.25, 1.0))
    assert OverconfidentErrors().check(sharp).status == "flagged"
    assert HesitantCorrect().check(sharp).status == "clear"
    assert HesitantCorrect().check(flat).status == "flagged"
    assert OverconfidentErrors().check(flat).status == "clear"
    assert OverconfidentErrors().check(right).status == HesitantCorrect().check(right).status == "clear"
    found = OverconfidentErrors().check(sharp)
    removed = {e.name: e.value for e in found.evidence}
    assert removed["temperature"] == pytest.approx(3.0, rel=0.1)
    assert removed["calibration_loss_incorrect"] > removed["calibration_loss"]


@pytest.mark.parametrize(
    ("removed", "se", "status"),
    [(0.0301, 0.001, "flagged"), (0.0299, 0.001, "clear"), (0.0301, 0.011, "clear"), (nan, 0.001, "not_applicable")],
)
def test_calibration_thresholds(removed: float, se: float, status: str) -> None:
    summary = replace(_summary(3.0), log_loss=0.3, calibration_loss=removed, calibration_loss_se=se, temperature=2.0)
    assert OverconfidentErrors().check(make_run(predictions={"test": summary})).status == status
    if se > 0.01:
        assert "few samples" in OverconfidentErrors().check(make_run(predictions={"test": summary})).message
        assert "few samples" not in HesitantCorrect().check(make_run(predictions={"test": summary})).message
    hesitant = replace(summary, temperature=0.5)
    assert HesitantCorrect().check(make_run(predictions={"test": hesitant})).status == status


@pytest.mark.parametrize(
    ("count", "share", "status"), [(5, 0.1, "flagged"), (4, 0.1, "clear"), (5, 0.099, "clear"), (41, 0.5, "clear")]
)
def test_few_huge_errors(count: int, share: float, status: str) -> None:
    summary = replace(_summary(1.0), n_huge_errors=count, loss_share_huge_errors=share)
    found = FewHugeErrors().check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert found.split == "validation"


@pytest.mark.parametrize("rule", [OverconfidentErrors(), HesitantCorrect(), FewHugeErrors()])
def test_attribution_needs_predictions(rule: OverconfidentErrors) -> None:
    assert rule.check(make_run(_conflict(0.8, 0.9))).status == "not_applicable"
    without = replace(_summary(1.0), log_loss=nan)
    assert rule.check(make_run(predictions={"validation": without})).status == "not_applicable"
