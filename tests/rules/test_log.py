"""LOG rules fire just above their thresholds, are quiet just below, and do not guess."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.records import Curve, RunData
from lossacc_mlflow.regression import summarize_regression
from lossacc_mlflow.rules.log import AccuracyOutOfRange, MissingCurve, StepsDoNotMatch
from lossacc_mlflow.rules.observation import observe
from lossacc_mlflow.wording import number, percent
from tests.builders import falling, make_curve, make_run
from tests.rules.summaries import tempered_summary


def test_accuracy_in_percent() -> None:
    rule = AccuracyOutOfRange()
    found = rule.check(make_run({"val_accuracy": [0.5, 98.1]}))
    assert found.status == "flagged"
    assert "percent" in found.message
    assert found.step == 1
    assert rule.check(make_run({"val_accuracy": [0.5, 1.0]})).status == "clear"
    assert rule.check(make_run({"val_accuracy": [0.5, rule.max_value * 1.0001]})).status == "flagged"


@pytest.mark.parametrize("values", [[390.0, 0.5], [-0.2, 0.5]])
def test_what_can_be_no_accuracy(values: list[float]) -> None:
    found = AccuracyOutOfRange().check(make_run({"val_accuracy": values}))
    assert found.status == "flagged"
    assert "no accuracy" in found.message


@pytest.mark.parametrize("curves", [{}, {"val_loss": [1.0]}, {"val_accuracy": [float("nan")]}])
def test_range_of_nothing_is_not_applicable(curves: dict[str, list[float]]) -> None:
    assert AccuracyOutOfRange().check(make_run(curves)).status == "not_applicable"


def test_repeated_and_unsorted_steps() -> None:
    curve = make_curve("val_loss", [1.0, 0.5])
    for repeated, unsorted, status in ((0, 0, "clear"), (1, 0, "flagged"), (0, 1, "flagged")):
        noted = Curve(curve.metric, "validation", curve.step, curve.value, n_repeated=repeated, n_unsorted=unsorted)
        assert StepsDoNotMatch().check(RunData("r", "r", (noted,))).status == status


def test_axes_of_batches_and_epochs() -> None:
    validation = make_curve("val_loss", falling(10), step=range(1, 11))
    for last, status in ((20, "clear"), (21, "flagged")):
        train = make_curve("train_loss", falling(10), step=np.linspace(1, last, 10).astype(int).tolist())
        assert StepsDoNotMatch().check(RunData("r", "r", (train, validation))).status == status


def test_single_points_have_no_axes() -> None:
    train = make_curve("train_loss", [1.0], step=[0])
    validation = make_curve("val_loss", falling(10), step=range(1, 11))
    assert StepsDoNotMatch().check(RunData("r", "r", (train, validation))).status == "clear"
    assert StepsDoNotMatch().check(make_run()).status == "not_applicable"


def test_missing_curves_are_named_and_so_is_what_was_seen() -> None:
    run = make_run({"train_loss": falling(5)}, other_keys=("my_metric",))
    found = MissingCurve().check(run)
    assert found.status == "flagged"
    assert "validation loss" in found.message
    assert "train_loss (5 points)" in found.message
    assert "my_metric" in found.message
    assert "'my_key=validation:log_loss'" in found.advice
    named = make_run({"train_loss": falling(5)}, other_keys=("throughput", "log_loss_B"))
    assert "'log_loss_B=validation:log_loss'" in MissingCurve().check(named).advice
    full = {key: [0.5] for key in ("train_loss", "val_loss", "train_accuracy", "val_accuracy")}
    assert MissingCurve().check(make_run(full)).status == "clear"


def test_what_predictions_tell_comes_before_what_is_missing() -> None:
    rng = np.random.default_rng(0)
    y_true = 10 + 2 * rng.standard_normal(442)
    numbers = summarize_regression(y_true, y_true + 0.48 * rng.standard_normal(442))
    run = make_run(regressions={"validation": numbers}, n_validation=442)
    diagnosis = judge(run)
    assert diagnosis.verdict == "not_enough_information"
    assert diagnosis.headline.startswith(
        f"R² {number(numbers.r2)} on 442 validation samples (RMSE is {percent(numbers.rmse_over_sd, 0)} of the "
        "target's standard deviation); what was logged does not suffice to judge the course of the "
        "training. No train loss, "
    )
    assert "no validation R²" in diagnosis.headline
    assert "'val_r2'" in MissingCurve().check(run).advice
    constant = make_run(regressions={"test": replace(numbers, r2=nan, rmse_over_sd=nan, rmse=0.5)})
    assert MissingCurve().check(constant).message.startswith("R² n/a on 442 test samples (RMSE is 0.500); ")
    classes = tempered_summary(1.0)
    said = judge(make_run(predictions={"validation": classes})).headline
    figures = f"Accuracy {percent(classes.accuracy)} and log loss {number(classes.log_loss)}"
    assert said.startswith(f"{figures} on 4,000 validation samples; what was logged does not suffice")
    partly = make_run({"train_loss": falling(5)}, predictions={"validation": classes})
    assert MissingCurve().check(partly).message.startswith("No validation loss, ")


def test_a_curve_without_a_finite_value_is_missing() -> None:
    curves = {key: [0.5] for key in ("train_loss", "val_loss", "train_accuracy")} | {"val_accuracy": [float("nan")]}
    assert "validation accuracy" in MissingCurve().check(make_run(curves)).message


@pytest.mark.parametrize(
    ("largest", "n_classes", "said"),
    [
        (3.9, None, "it was logged in percent, if it is one at all: 3.90 % is next to nothing."),
        (3.9, 4, "neither a fraction nor a percentage: 3.90 % would be far below chance, 25 %."),
        (12.4, 4, "neither a fraction nor a percentage: 12.4 % would be far below chance, 25 %."),
        (12.6, 4, "it was logged in percent."),
        (98.1, 4, "it was logged in percent."),
    ],
)
def test_what_a_small_percentage_is_taken_for(largest: float, n_classes: int | None, said: str) -> None:
    run = make_run({"val_accuracy": np.linspace(largest / 3, largest, 9)}, n_classes=n_classes)
    found = AccuracyOutOfRange().check(run)
    assert found.status == "flagged"
    assert found.message.endswith(said)
    assert (observe(run).validation_quality is None) == ("neither" in said)
