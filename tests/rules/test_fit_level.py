"""FIT rules about the level that a run ends at fire just above their thresholds, and do not guess."""

from math import nan

import numpy as np
import pytest

from lossacc_mlflow.rules.fit_level import GeneralizationGap, TrainedPastBest
from tests.builders import falling, make_run, overfitting


@pytest.mark.parametrize(("train_end", "status"), [(0.35, "clear"), (0.3, "flagged")])
def test_gap_of_half_as_much_again(train_end: float, status: str) -> None:
    flat = {"train_loss": falling(30, 2.0, train_end), "val_loss": falling(8, 2.0, 0.5) + [0.5] * 22}
    assert GeneralizationGap().check(make_run(flat)).status == status


@pytest.mark.parametrize(("train", "status"), [(0.34, "clear"), (0.33, "flagged")])
def test_gap_of_single_points(train: float, status: str) -> None:
    run = make_run({"train_loss": [train], "val_loss": [0.5], "train_accuracy": [1.0], "val_accuracy": [0.9]})
    found = GeneralizationGap().check(run)
    assert found.status == status
    assert {e.name: e.value for e in found.evidence}["generalization_gap_accuracy"] == pytest.approx(0.1)


def test_gap_to_a_train_loss_of_zero_is_put_into_words() -> None:
    found = GeneralizationGap().check(make_run({"train_loss": [0.0], "val_loss": [0.5]}))
    assert found.status == "flagged"
    assert "nan" not in found.message
    assert "The train loss is 0." in found.message


def test_gap_that_still_pays_is_none() -> None:
    curves = {"train_loss": falling(30, 2.0, 0.01), "val_loss": falling(30, 2.0, 0.2)}
    assert GeneralizationGap().check(make_run(curves)).status == "clear"


def test_gap_with_a_rise_is_left_to_the_rise() -> None:
    assert "FIT001" in GeneralizationGap().check(make_run(overfitting(1.0))).message


@pytest.mark.parametrize("curves", [{}, {"val_loss": [1.0]}, {"train_loss": [nan], "val_loss": [1.0]}])
def test_gap_is_not_guessed(curves: dict[str, list[float]]) -> None:
    assert GeneralizationGap().check(make_run(curves)).status == "not_applicable"


@pytest.mark.parametrize(("end", "status"), [(0.508, "clear"), (0.54, "flagged")])
def test_trained_past_the_best_step(end: float, status: str) -> None:
    assert TrainedPastBest().check(make_run(overfitting(end))).status == status


@pytest.mark.parametrize(("since", "status"), [(18, "clear"), (22, "flagged")])
def test_trained_past_the_best_step_for_a_fifth_of_the_run(since: int, status: str) -> None:
    values = falling(101 - since, 2.0, 0.5) + list(np.linspace(0.5, 0.8, since))
    assert TrainedPastBest().check(make_run({"val_loss": values})).status == status


def test_past_the_best_step_is_not_guessed() -> None:
    assert TrainedPastBest().check(make_run({"val_loss": [nan] * 30})).status == "not_applicable"
