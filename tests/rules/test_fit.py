"""FIT rules fire just above their thresholds, are quiet just below, and do not guess."""

from math import nan

import numpy as np
import pytest

from lossacc_mlflow.records import RunData
from lossacc_mlflow.rules.fit import AccuracyOverfitting, LossOverfitting
from lossacc_mlflow.rules.observation import observe
from tests.builders import falling, make_run, overfitting


@pytest.mark.parametrize(("end", "status"), [(0.545, "clear"), (0.58, "flagged")])
def test_loss_overfitting_at_ten_percent(end: float, status: str) -> None:
    found = LossOverfitting().check(make_run(overfitting(end)))
    assert found.status == status
    if status == "flagged":
        assert found.step is not None
        assert found.step_interval is not None
        assert found.step_interval[0] <= 30 <= found.step_interval[1] + 1
        assert {e.name for e in found.evidence} >= {"loss_given_up", "steps_since_best"}


def test_a_rise_that_recovers_is_none() -> None:
    curves = overfitting(1.0)
    curves["val_loss"][-20:] = falling(20, 0.9, 0.51)
    assert LossOverfitting().check(make_run(curves)).status == "clear"


def test_a_rise_that_noise_explains_is_not_judged() -> None:
    curves = {
        "train_loss": falling(8, 2.0, 0.5),
        "val_loss": [1.5, 0.6, 0.9, 0.5, 0.95, 0.6, 0.9, 0.7],
    }
    found = LossOverfitting().check(make_run(curves))
    assert found.status == "not_applicable"
    assert found.evidence[0].value > 0.1


def _noisy(start: float, end: float, train: list[float]) -> RunData:
    """A validation loss that goes straight from start to end, with noise of a tenth of its level."""
    noise = 0.1 * np.random.default_rng(3).standard_normal(60)
    return make_run({"train_loss": train, "val_loss": np.linspace(start, end, 60) + noise})


@pytest.mark.parametrize(("end", "status"), [(1.02, "clear"), (1.35, "flagged")])
def test_noise_is_told_from_a_rise(end: float, status: str) -> None:
    assert LossOverfitting().check(_noisy(1.0, end, falling(60))).status == status


@pytest.mark.parametrize(("end", "share"), [(2.0, 0.6), (0.5, 1.5)])
def test_what_noise_explains_depends_on_where_train_and_validation_go(end: float, share: float) -> None:
    run = _noisy(1.0, end, falling(60))
    doubted = observe(run).validation_loss
    needed = {e.name: e.threshold for e in LossOverfitting().check(run).evidence}["validation_rise"]
    assert doubted is not None
    assert needed == pytest.approx(share * doubted.wide_doubt)


def test_train_rising_too_is_another_matter() -> None:
    curves = overfitting(1.0)
    curves["train_loss"] = curves["val_loss"]
    found = LossOverfitting().check(make_run(curves))
    assert found.status == "clear"
    assert "TRN002" in found.message


def test_what_never_learned_cannot_overfit() -> None:
    curves = overfitting(1.0) | {"val_accuracy": [0.1] * 60}
    assert "TRN003" in LossOverfitting().check(make_run(curves, n_classes=10)).message


@pytest.mark.parametrize("curves", [{}, {"val_loss": [0.5, 0.6, 0.9, 1.0]}, {"val_loss": [nan] * 30}])
def test_loss_overfitting_is_not_guessed(curves: dict[str, list[float]]) -> None:
    assert LossOverfitting().check(make_run(curves)).status == "not_applicable"


def test_scores_against_training_set_size_do_not_overfit() -> None:
    assert LossOverfitting().check(make_run(overfitting(1.0), unit="n_samples")).status == "not_applicable"


@pytest.mark.parametrize(("end", "status"), [(0.885, "clear"), (0.86, "flagged")])
def test_accuracy_overfitting_at_two_points(end: float, status: str) -> None:
    curves = {
        "train_loss": falling(60),
        "val_loss": falling(60),
        "val_accuracy": list(np.linspace(0.3, 0.9, 30)) + list(np.linspace(0.9, end, 30)),
    }
    found = AccuracyOverfitting().check(make_run(curves, n_classes=10))
    assert found.status == status
    with_train = curves | {"train_accuracy": curves["val_accuracy"]}
    assert AccuracyOverfitting().check(make_run(with_train, n_classes=10)).status == "clear"


@pytest.mark.parametrize(("loss_end", "status"), [(0.512, "clear"), (0.52, "flagged")])
def test_a_small_fall_of_accuracy_is_borne_out_by_the_loss(loss_end: float, status: str) -> None:
    curves = {
        "val_loss": falling(30, 2.0, 0.5) + list(np.linspace(0.5, loss_end, 30)),
        "val_accuracy": list(np.linspace(0.3, 0.9, 30)) + list(np.linspace(0.9, 0.872, 30)),
    }
    assert AccuracyOverfitting().check(make_run(curves, n_classes=10)).status == status
    alone = make_run({"val_accuracy": curves["val_accuracy"]}, n_classes=10)
    assert AccuracyOverfitting().check(alone).status == "flagged"


@pytest.mark.parametrize("curves", [{}, {"val_accuracy": [0.9, 0.5]}, {"val_accuracy": [nan] * 9}])
def test_accuracy_overfitting_is_not_guessed(curves: dict[str, list[float]]) -> None:
    assert AccuracyOverfitting().check(make_run(curves)).status == "not_applicable"
