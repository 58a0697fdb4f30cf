"""DIS rules about curves fire just above their thresholds, and are quiet just below."""

from math import nan

import numpy as np
import pytest

from lossacc_mlflow.rules.dis import BestStepsDiffer, LossUpAccuracyFlat
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
