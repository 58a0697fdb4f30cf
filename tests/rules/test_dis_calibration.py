"""DIS003, DIS004 and DIS006 attribute by number, fire just above their thresholds, and do not presume anything."""

from dataclasses import replace
from math import inf, log, nan

import numpy as np
import pytest

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.rules.base import Rule
from lossacc_mlflow.rules.dis_calibration import HesitantCorrect, Miscalibration, OverconfidentErrors
from tests.builders import make_run
from tests.rules.summaries import tempered_summary

_RULE = Miscalibration()


def test_overconfident_and_hesitant_are_told_apart_by_temperature() -> None:
    sharp, flat, right = (make_run(predictions={"validation": tempered_summary(s)}) for s in (3.0, 0.25, 1.0))
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
    summary = replace(
        tempered_summary(3.0), log_loss=0.3, calibration_loss=removed, calibration_loss_se=se, temperature=2.0
    )
    assert OverconfidentErrors().check(make_run(predictions={"test": summary})).status == status
    if se > 0.01:
        assert "few samples" in OverconfidentErrors().check(make_run(predictions={"test": summary})).message
        assert "few samples" not in HesitantCorrect().check(make_run(predictions={"test": summary})).message
    hesitant = replace(summary, temperature=0.5)
    assert HesitantCorrect().check(make_run(predictions={"test": hesitant})).status == status


def test_shares_are_numbers_and_add_up() -> None:
    summary = tempered_summary(3.0)
    found = OverconfidentErrors().check(make_run(predictions={"validation": summary}))
    by_name = {e.name: e.value for e in found.evidence}
    both = by_name["calibration_loss_incorrect"] + by_name["calibration_loss_correct"]
    assert both == pytest.approx(by_name["calibration_loss"], abs=1e-12)
    n_wrong = round((1 - summary.accuracy) * summary.n_samples)
    assert f"over the {n_wrong:,} wrong answers, which are given with 82.2 %" in found.message
    at_bound = replace(summary, temperature_at_bound=True)
    assert "more to this" in OverconfidentErrors().check(make_run(predictions={"validation": at_bound})).message


@pytest.mark.parametrize("rule", [OverconfidentErrors(), HesitantCorrect(), Miscalibration()])
def test_attribution_needs_predictions(rule: Rule) -> None:
    assert rule.check(make_run({"val_loss": [0.5], "val_accuracy": [0.9]}, n_classes=2)).status == "not_applicable"
    unknown = replace(tempered_summary(1.0), log_loss=nan, ece=nan, calibration_loss=nan)
    assert rule.check(make_run(predictions={"validation": unknown})).status == "not_applicable"


def test_a_temperature_that_nobody_fitted_is_not_judged() -> None:
    summary = replace(tempered_summary(3.0), temperature=None, calibration_loss=None, calibration_loss_se=None)
    run = make_run(predictions={"validation": summary})
    assert OverconfidentErrors().check(run).status == "not_applicable"
    found = _RULE.check(run)
    assert found.status == "flagged"
    assert "temperature" not in found.message


def test_a_calibrated_model_shows_no_sign() -> None:
    found = _RULE.check(make_run(predictions={"validation": tempered_summary(1.0)}))
    assert (found.code, found.status) == ("DIS006", "clear")


@pytest.mark.parametrize(("sharpness", "direction"), [(3.0, "too sure"), (0.25, "too unsure")])
def test_direction_is_told_with_its_numbers(sharpness: float, direction: str) -> None:
    summary = tempered_summary(sharpness)
    found = _RULE.check(make_run(predictions={"validation": summary}))
    assert found.status == "flagged"
    assert direction in found.message
    assert f"{summary.ece:.3g}" in found.message


_QUIET = replace(
    tempered_summary(1.0), n_samples=1000, n_classes=10, accuracy=0.9, log_loss=0.3, ece=0.0, ece_expected=0.01
)
_CONSTANT = float(plane_regions(10, [0.9]).calibrated_high[0])


@pytest.mark.parametrize(("excess", "status"), [(0.0066, "clear"), (0.0068, "flagged")])
def test_proved_by_the_loss_from_the_margin_on(excess: float, status: str) -> None:
    """The margin at n = 1,000 and 5 % is .0067."""
    summary = replace(_QUIET, log_loss=_CONSTANT + excess)
    found = _RULE.check(make_run(predictions={"validation": summary}))
    assert found.status == status
    assert ("proves it" in found.message) == (status == "flagged")


def test_below_chance_the_constant_confidence_is_that_of_a_guess() -> None:
    worse = replace(_QUIET, accuracy=0.05)
    for excess, status in ((-0.01, "clear"), (0.01, "flagged")):
        run = make_run(predictions={"test": replace(worse, log_loss=log(10) + excess)})
        assert _RULE.check(run).status == status


@pytest.mark.parametrize(
    ("ece", "q95", "status"),
    [(0.031, 0.02, "flagged"), (0.029, 0.02, "clear"), (0.039, 0.04, "clear"), (0.041, 0.04, "flagged")],
)
def test_by_confidence_both_limits_must_be_passed(ece: float, q95: float, status: str) -> None:
    summary = replace(_QUIET, ece=ece, ece_q95=q95)
    assert _RULE.check(make_run(predictions={"validation": summary})).status == status


@pytest.mark.parametrize(
    ("removed", "se", "status"), [(0.031, 0.01, "flagged"), (0.029, 0, "clear"), (0.031, 1, "clear")]
)
def test_by_temperature(removed: float, se: float, status: str) -> None:
    summary = replace(_QUIET, calibration_loss=removed, calibration_loss_se=se)
    assert _RULE.check(make_run(predictions={"validation": summary})).status == status


def test_answers_and_confidences_alone_show_miscalibration() -> None:
    summary = replace(tempered_summary(3.0), log_loss=nan, calibration_loss=None, temperature=None)
    assert _RULE.check(make_run(predictions={"validation": summary})).status == "flagged"


@pytest.mark.parametrize(("excess", "status"), [(0.0066, "clear"), (0.0075, "flagged")])
def test_a_logged_loss_proves_nothing(excess: float, status: str) -> None:
    run = make_run({"val_log_loss": [_CONSTANT + excess], "val_accuracy": [0.9]}, n_classes=10, n_validation=1000)
    found = _RULE.check(run)
    assert found.status == status
    if status == "flagged":
        assert found.level == "note"
        assert found.message.startswith("If 'val_log_loss' is a plain mean log loss")
        assert "prove" not in found.message


def test_what_is_there_at_every_step_may_be_a_penalty() -> None:
    accuracy = np.linspace(0.3, 0.9, 9)
    constant = plane_regions(10, accuracy).calibrated_high
    curves = {"val_log_loss": constant + 0.2, "val_accuracy": accuracy}
    assert _RULE.check(make_run(curves, n_classes=10, n_validation=1000)).status == "clear"
    late = {**curves, "val_log_loss": constant + np.linspace(0, 0.2, 9)}
    found = _RULE.check(make_run(late, n_classes=10, n_validation=1000))
    assert found.status == "flagged"
    assert _RULE.check(make_run(late, n_classes=10)).status == "not_applicable"
    assert _RULE.check(make_run(late, n_validation=1000)).status == "not_applicable"


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_losses_that_are_not_finite(value: float) -> None:
    run = make_run({"val_log_loss": [value], "val_accuracy": [0.9]}, n_classes=10, n_validation=9)
    assert _RULE.check(run).status == "not_applicable"
    broken = replace(tempered_summary(1.0), log_loss=value, calibration_loss=value, temperature=value)
    assert _RULE.check(make_run(predictions={"validation": broken})).status == "clear"


def test_calibrated_models_are_hardly_ever_flagged() -> None:
    rng = np.random.default_rng(0)
    flagged = 0
    for n in (50, 200, 1000) * 30:
        proba = rng.dirichlet(np.full(4, 0.4), n)
        truth = (rng.random(n)[:, None] > proba.cumsum(axis=1)).sum(axis=1).clip(max=3)
        flagged += _RULE.is_flagged(make_run(predictions={"validation": summarize_predictions(truth, proba)}))
    assert flagged <= 6
