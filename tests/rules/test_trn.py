"""TRN rules fire just above their thresholds, are quiet just below, and do not guess."""

from math import inf, log, nan

import numpy as np
import pytest

from lossacc_mlflow.rules.trn import LateDivergence, NonFinite, NotLearning
from tests.builders import falling, make_run


def test_first_non_finite_value() -> None:
    found = NonFinite().check(make_run({"train_loss": [1.0, 0.5, nan, 0.4], "val_loss": [1.0, inf, 0.5, 0.4]}))
    assert found.status == "flagged"
    assert (found.step, found.split) == (1, "validation")
    assert "recovers" in found.message
    assert "to the end" in NonFinite().check(make_run({"train_loss": [1.0, nan]})).message
    assert NonFinite().check(make_run({"train_loss": [1.0, 0.5]})).status == "clear"
    assert NonFinite().check(make_run()).status == "not_applicable"


@pytest.mark.parametrize(("accuracy", "status"), [(0.1199, "flagged"), (0.1201, "clear")])
def test_chance_of_ten_classes(accuracy: float, status: str) -> None:
    run = make_run({"val_accuracy": [0.1, accuracy, 0.1]}, n_classes=10, n_validation=100_000)
    assert NotLearning().check(run).status == status


@pytest.mark.parametrize(("accuracy", "status"), [(0.9419, "flagged"), (0.9451, "clear")])
def test_chance_of_a_majority_with_its_standard_error(accuracy: float, status: str) -> None:
    # 3 sqrt(.9 · .1 / 400) = .045
    run = make_run({"val_accuracy": [accuracy]}, n_classes=2, majority_accuracy=0.9, n_validation=400)
    assert NotLearning().check(run).status == status


def test_class_counts_give_the_majority() -> None:
    run = make_run({"val_accuracy": [0.91]}, class_counts={"apple": 90, "pear": 10})
    assert NotLearning().check(run).status == "flagged"


@pytest.mark.parametrize(("share", "status"), [(0.951, "flagged"), (0.949, "clear")])
def test_chance_by_log_loss_alone(share: float, status: str) -> None:
    curves = {"train_log_loss": [log(10), share * log(10), share * log(10)]}
    assert NotLearning().check(make_run(curves, n_classes=10)).status == status


def test_a_penalised_loss_that_falls_is_not_chance() -> None:
    curves = {"train_loss": falling(10, 3.5, 2.4)}
    assert NotLearning().check(make_run(curves, n_classes=10)).status == "clear"


@pytest.mark.parametrize(("end", "status"), [(0.91, "flagged"), (0.89, "clear")])
def test_movement_of_the_train_loss(end: float, status: str) -> None:
    run = make_run({"train_loss": falling(10, 1.0, end), "val_loss": falling(10)})
    assert NotLearning().check(run).status == status


def test_an_accuracy_that_never_moves() -> None:
    still = {"train_loss": falling(10), "val_loss": falling(10), "val_accuracy": [0.5] * 5 + [0.51] * 5}
    assert NotLearning().check(make_run(still)).status == "flagged"
    moving = still | {"val_accuracy": [0.5] * 4 + list(np.linspace(0.5, 0.6, 7))[1:]}
    assert NotLearning().check(make_run(moving)).status == "clear"


@pytest.mark.parametrize("curves", [{}, {"train_loss": [1.0, 1.0]}, {"train_loss": [nan] * 9}])
def test_learning_is_not_guessed(curves: dict[str, list[float]]) -> None:
    assert NotLearning().check(make_run(curves)).status == "not_applicable"


def _diverging(train_end: float) -> dict[str, list[float]]:
    down = falling(30, 2.0, 0.5)
    return {
        "train_loss": down + list(np.linspace(0.5, train_end, 30)),
        "val_loss": down + list(np.linspace(0.5, 1.5, 30)),
    }


@pytest.mark.parametrize(("train_end", "status"), [(0.52, "clear"), (1.2, "flagged")])
def test_late_divergence(train_end: float, status: str) -> None:
    found = LateDivergence().check(make_run(_diverging(train_end)))
    assert found.status == status
    if status == "flagged":
        assert found.step is not None
        assert 27 <= found.step <= 31


def test_late_divergence_needs_both_losses() -> None:
    assert LateDivergence().check(make_run({"val_loss": falling(20)})).status == "not_applicable"
    assert LateDivergence().check(make_run({"train_loss": [nan] * 9, "val_loss": [1.0] * 9})).status == "not_applicable"
