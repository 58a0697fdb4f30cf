"""LOG002 and LOG003 flag what no predictions can have, and nothing that rounding explains."""

from math import log, nan

import numpy as np
import pytest

from lossacc_mlflow.records import Curve, RunData
from lossacc_mlflow.rules.plane import LossAboveCeiling, LossBelowFloor, rounding_of
from tests.builders import make_curve, make_run

_ACCURACY = np.array([0.5004, 0.8001, 0.9003, 0.9502, 0.9801])
_FLOOR = (1 - _ACCURACY) * log(2)
_CLIP = {"lossacc.clip": "1e-7"}


@pytest.mark.parametrize(("share", "status"), [(1.0, "clear"), (0.995, "clear"), (0.97, "flagged")])
def test_floor_beyond_rounding(share: float, status: str) -> None:
    loss = 3 * _FLOOR
    loss[1] = share * _FLOOR[1]
    found = LossBelowFloor().check(make_run({"val_log_loss": loss, "val_accuracy": _ACCURACY}))
    assert found.status == status
    if status == "flagged":
        assert (found.split, found.step) == ("validation", 1)
        assert "too low at 1 of 5 steps" in found.message
        evidence = {e.name: e for e in found.evidence}
        assert evidence["steps_below_floor"].value == 1
        assert evidence["loss"].threshold == pytest.approx(_FLOOR[1])


def test_decimals_of_the_logger_are_allowed_for() -> None:
    accuracy = [0.5, 0.8, 0.9, 0.95, 0.98]
    exact = make_run({"val_log_loss": [1.0, 1.0, 1.0, 1.0, 0.0125], "val_accuracy": accuracy})
    assert LossBelowFloor().check(exact).status == "clear"
    finer = make_run({"val_log_loss": [1.0, 1.0, 1.0, 1.0, 0.0125], "val_accuracy": [*accuracy[:4], 0.98001]})
    assert LossBelowFloor().check(finer).status == "flagged"
    assert rounding_of(make_curve("val_accuracy", accuracy)) == pytest.approx(5e-3, rel=1e-3)
    assert rounding_of(make_curve("val_accuracy", [0.5])) == pytest.approx(5e-5, rel=1e-2)


def test_worst_split_and_step_are_told() -> None:
    loss = 3 * _FLOOR
    bad = loss.copy()
    bad[2:4] = 0.01
    run = make_run(
        {"train_log_loss": bad, "train_accuracy": _ACCURACY, "val_log_loss": loss, "val_accuracy": _ACCURACY}
    )
    found = LossBelowFloor().check(run)
    assert (found.split, found.step) == ("train", 2)
    assert "is 0.0100 at step 2, and too low at 2 of 5 steps" in found.message


def test_a_negative_log_loss_is_below_every_floor() -> None:
    found = LossBelowFloor().check(make_run({"val_log_loss": [-0.5], "val_accuracy": [1.0]}))
    assert found.status == "flagged"
    assert "never negative" in found.advice


@pytest.mark.parametrize("rule", [LossBelowFloor(), LossAboveCeiling()])
@pytest.mark.parametrize(
    "curves",
    [
        {},
        {"val_log_loss": [-3.0, -4.0]},
        {"val_loss": [0.01], "val_accuracy": [0.5]},
        {"val_log_loss": [0.01], "val_accuracy": [50.0]},
        {"val_log_loss": [0.01], "train_accuracy": [0.5]},
        {"val_log_loss": [0.01], "val_balanced_accuracy": [0.5]},
        {"val_log_loss": [nan, 0.01], "val_accuracy": [0.5, nan]},
    ],
)
def test_what_cannot_be_held_against_each_other(rule: LossBelowFloor, curves: dict[str, list[float]]) -> None:
    assert rule.check(make_run(curves, n_classes=2, tags=_CLIP)).status == "not_applicable"


def test_only_common_steps_count() -> None:
    accuracy = make_curve("val_accuracy", [0.5, 0.9, 0.9], step=[0, 10, 20])
    loss = make_curve("val_log_loss", [9.0, 0.5, 0.02], step=[5, 10, 20])
    assert LossBelowFloor().check(RunData("r", "r", (accuracy, loss))).step == 20
    other_unit = Curve(loss.metric, loss.split, loss.step, loss.value, step_unit="iteration")
    assert LossBelowFloor().check(RunData("r", "r", (accuracy, other_unit))).status == "not_applicable"


@pytest.mark.parametrize(("share", "status"), [(1.0, "clear"), (1.005, "clear"), (1.03, "flagged")])
def test_ceiling_needs_a_clip(share: float, status: str) -> None:
    ceiling = _ACCURACY * log(10) - (1 - _ACCURACY) * log(1e-7)
    run = make_run({"val_log_loss": share * ceiling, "val_accuracy": _ACCURACY}, n_classes=10, tags=_CLIP)
    found = LossAboveCeiling().check(run)
    assert found.status == status
    assert status == "clear" or (found.step == 0 and "too high at 5 of 5 steps" in found.message)
    for tags, n_classes in (({}, 10), ({"lossacc.clip": "keras"}, 10), ({"lossacc.clip": "2"}, 10), (_CLIP, None)):
        bare = make_run({"val_log_loss": 9 * ceiling, "val_accuracy": _ACCURACY}, n_classes=n_classes, tags=tags)
        assert LossAboveCeiling().check(bare).status == "not_applicable"
