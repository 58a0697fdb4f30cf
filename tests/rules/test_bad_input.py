"""What can be logged wrongly gets a finding that says so, and a verdict that does not suffer where it need not."""

from collections.abc import Mapping
from math import inf, nan

import numpy as np
import pytest
from numpy.typing import ArrayLike

from lossacc_mlflow.records import RunData, Verdict
from lossacc_mlflow.rules import apply_rules, decide_verdict
from tests.builders import falling, make_curve, make_run

_N = 40
_HEALTHY: Mapping[str, ArrayLike] = {
    "train_loss": falling(_N, 2.0, 0.2),
    "val_loss": [*falling(30, 2.0, 0.25), *([0.25] * 10)],
    "train_accuracy": np.linspace(0.3, 0.97, _N),
    "val_accuracy": np.linspace(0.3, 0.95, _N),
}
_OVERFITTING = {"train_loss": falling(_N, 2.0, 0.01), "val_loss": [*falling(20, 2.0, 0.5), *np.linspace(0.5, 1, 20)]}
_PER_BATCH = np.geomspace(2, 0.02, 2000) * (1 + 0.3 * np.random.default_rng(0).standard_normal(2000))
_UP = np.linspace(0.3, 0.95, _N)


def _shifted(curves: Mapping[str, ArrayLike], by: float) -> dict[str, ArrayLike]:
    return {key: np.asarray(values) - by for key, values in curves.items()}


def _two_axes(train_step: range, validation_step: range) -> RunData:
    """A train loss per batch beside the validation loss per epoch."""
    train = make_curve("train_loss", _PER_BATCH, step=train_step)
    return RunData("r", "r", (train, make_curve("val_loss", _OVERFITTING["val_loss"], step=validation_step)))


@pytest.mark.parametrize(
    ("run", "verdict", "codes"),
    [
        pytest.param(
            make_run({k: [0.5] * 20 for k in _HEALTHY}, n_classes=10), "not_learning", "TRN003", id="constant"
        ),
        pytest.param(
            make_run({k: np.asarray(v)[:2] for k, v in _HEALTHY.items()}), "not_enough_information", "", id="two points"
        ),
        pytest.param(make_run({k: [nan] * 20 for k in _HEALTHY}), "diverged", "LOG005 TRN001", id="all NaN"),
        pytest.param(make_run({k: [] for k in _HEALTHY}), "not_enough_information", "LOG005", id="empty"),
        pytest.param(
            make_run({**_HEALTHY, "val_loss": [*falling(20, 2.0, 0.4), inf, *falling(19, 0.4, 0.25)]}),
            "unstable",
            "TRN001",
            id="one inf",
        ),
        pytest.param(
            make_run({**_HEALTHY, "val_loss": [*falling(39), inf]}), "diverged", "TRN001", id="inf at the end"
        ),
        pytest.param(make_run(_shifted(_OVERFITTING, 3)), "overfitting", "FIT001", id="log density"),
        pytest.param(make_run(_shifted(_OVERFITTING, 0.6)), "overfitting", "FIT001", id="loss around zero"),
        pytest.param(
            make_run({k: np.asarray(v) - 3 for k, v in _HEALTHY.items() if "loss" in k}),
            "healthy",
            "",
            id="fine log density",
        ),
        pytest.param(
            make_run({**_HEALTHY, "val_accuracy": np.linspace(0.3, 1.3, _N)}, n_classes=10),
            "healthy",
            "LOG001",
            id="accuracy above one",
        ),
        pytest.param(_two_axes(range(2000), range(_N)), "overfitting", "LOG004 FIT001", id="batches and epochs"),
        pytest.param(_two_axes(range(2000), range(0, 2000, 50)), "overfitting", "FIT001", id="batches, one axis"),
        pytest.param(
            make_run({"train_loss": _UP, "val_loss": _UP, "val_accuracy": _UP}, n_classes=10),
            "not_enough_information",
            "LOG008",
            id="score as loss",
        ),
        pytest.param(
            make_run({"train_loss": _UP, "val_loss": _UP}), "not_learning", "TRN003", id="rising, no accuracy"
        ),
    ],
)
def test_finding_and_verdict(run: RunData, verdict: Verdict, codes: str) -> None:
    findings = apply_rules(run)
    assert decide_verdict(run, findings) == verdict
    assert {*codes.split()} <= {f.code for f in findings if f.status == "flagged"}


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("curves", [_HEALTHY, _OVERFITTING])
def test_the_scale_of_a_loss_changes_nothing(curves: Mapping[str, ArrayLike], scale: float) -> None:
    scaled = {key: np.asarray(v) * (scale if "loss" in key else 1) for key, v in curves.items()}
    flagged = [
        {f.code: f.step for f in apply_rules(make_run(some)) if f.status == "flagged" and f.code != "LOG002"}
        for some in (curves, scaled)
    ]
    assert flagged[0] == flagged[1]


def test_gaps_widen_nothing_but_the_axis() -> None:
    every_fifth = (
        make_curve("train_loss", _OVERFITTING["train_loss"]),
        make_curve("val_loss", _OVERFITTING["val_loss"][::5], step=range(0, _N, 5)),
    )
    findings = {f.code: f for f in apply_rules(RunData("r", "r", every_fifth))}
    assert findings["FIT001"].status == "flagged"
    assert findings["FIT001"].step == 20
    assert findings["LOG004"].status == "clear"


def test_of_two_axes_the_train_loss_is_read_at_the_same_part_of_the_run() -> None:
    found = next(f for f in apply_rules(_two_axes(range(2000), range(_N))) if f.code == "FIT001")
    assert found.step == 20
    # Half of the way down from 2 to 0.02, on a log scale.
    assert "the train loss goes from 0.1" in found.message
