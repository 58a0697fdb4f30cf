"""TRN rules about the later part fire just above their thresholds, are quiet just below, and do not guess."""

from math import nan

import numpy as np
import pytest

from lossacc_mlflow.curves import measure_oscillation
from lossacc_mlflow.rules.trn_course import Oscillating, SaturatedEarly, StillImproving
from lossacc_mlflow.smoothing import shape_of
from tests.builders import falling, make_curve, make_run


def _swinging(spread: float, n: int = 40) -> list[float]:
    """Noise around a level of 1 that swings by ``spread`` in its second half."""
    noise = np.random.default_rng(0).uniform(-1, 1, n)
    noise[n // 2 :] -= np.median(noise[n // 2 :])
    shape = shape_of(make_curve("val_loss", noise))
    assert shape is not None
    values: list[float] = (1 + noise * spread / measure_oscillation(shape)).tolist()
    return values


@pytest.mark.parametrize(("spread", "status"), [(0.24, "clear"), (0.26, "flagged")])
def test_oscillation_of_a_quarter(spread: float, status: str) -> None:
    found = Oscillating().check(make_run({"train_loss": falling(40, 2.0, 0.5), "val_loss": _swinging(spread)}))
    assert found.status == status
    if status == "flagged":
        assert found.step == 20


@pytest.mark.parametrize(("train", "status"), [(4.1, "clear"), (3.9, "flagged"), (0.0, "flagged")])
def test_oscillation_against_the_train_loss(train: float, status: str) -> None:
    curves = {"train_loss": [*falling(39, 8.0, train or 0.1), train], "val_loss": _swinging(0.4)}
    curves["train_loss"][-8:] = [train] * 8
    assert Oscillating().check(make_run(curves)).status == status


def test_spikes_and_early_swings_are_no_oscillation() -> None:
    spiky = [1.0] * 40
    spiky[25] = 9.0
    settled = [*_swinging(0.8)[:12], *([1.0] * 28)]
    for values in (spiky, settled):
        assert Oscillating().check(make_run({"val_loss": values})).status == "clear"


@pytest.mark.parametrize("values", [[1.0] * 11, [nan] * 40, []])
def test_oscillation_is_not_guessed(values: list[float]) -> None:
    assert Oscillating().check(make_run({"val_loss": values})).status == "not_applicable"


@pytest.mark.parametrize(("end", "status"), [(0.992, "clear"), (0.985, "flagged")])
def test_still_improving_by_one_percent(end: float, status: str) -> None:
    values = [*falling(60, 2.0, 1.0), *([1.0] * 20), *np.linspace(1.0, end, 21)[1:]]
    assert StillImproving().check(make_run({"val_loss": values})).status == status


@pytest.mark.parametrize(("flat", "status"), [(8, "flagged"), (14, "clear")])
def test_still_improving_has_its_best_in_the_last_tenth(flat: int, status: str) -> None:
    fall = falling(100 - flat, 2.0, 0.1)
    values = [*fall, *np.linspace(fall[-1] * 1.01, fall[-1] * 1.05, flat)]
    assert StillImproving().check(make_run({"val_loss": values})).status == status


def test_a_fall_that_noise_explains_is_none() -> None:
    noise = 0.2 * np.random.default_rng(0).standard_normal(50)
    assert StillImproving().check(make_run({"val_loss": 1 + noise})).status == "clear"


@pytest.mark.parametrize("values", [[1.0, 0.5, 0.2], [nan] * 40, []])
def test_improvement_is_not_guessed(values: list[float]) -> None:
    assert StillImproving().check(make_run({"val_loss": values})).status == "not_applicable"


def _settling(at: int, *, n: int = 101, end: float = 0.5) -> dict[str, list[float]]:
    """Loss and accuracy that reach their best in a straight line at a step, and then stay (or end elsewhere)."""
    rest = n - at
    return {
        "val_loss": [*np.linspace(2.0, 0.5, at), *np.linspace(0.5, end, rest)],
        "val_accuracy": [*np.linspace(0.3, 0.9, at), *([0.9] * rest)],
    }


@pytest.mark.parametrize(("at", "status"), [(24, "flagged"), (29, "clear")])
def test_saturated_in_the_first_quarter(at: int, status: str) -> None:
    found = SaturatedEarly().check(make_run(_settling(at)))
    assert found.status == status
    if status == "flagged":
        assert found.step is not None
        assert found.step == pytest.approx(at, abs=2)
        assert found.step_interval is not None
        assert found.step_interval[0] <= found.step <= found.step_interval[1]
        assert {e.name: e.value for e in found.evidence}["steps_since_best"] == 100 - found.step


@pytest.mark.parametrize(("end", "status"), [(0.509, "flagged"), (0.511, "clear")])
def test_what_got_worse_by_two_percent_is_not_saturated(end: float, status: str) -> None:
    assert SaturatedEarly().check(make_run(_settling(20, end=end))).status == status


def test_accuracy_that_still_climbs_is_not_saturated() -> None:
    curves = _settling(20) | {"val_accuracy": list(np.linspace(0.3, 0.9, 101))}
    assert SaturatedEarly().check(make_run(curves)).status == "clear"
    assert SaturatedEarly().check(make_run({"val_loss": curves["val_loss"]})).status == "flagged"


@pytest.mark.parametrize("values", [[0.5] * 19, [nan] * 40, []])
def test_saturation_is_not_guessed(values: list[float]) -> None:
    assert SaturatedEarly().check(make_run({"val_loss": values})).status == "not_applicable"
