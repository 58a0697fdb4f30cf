"""TRN rules fire just above their thresholds, are quiet just below, and do not guess."""

from math import inf, log, nan

import numpy as np
import pytest

from lossacc_mlflow.curves import measure_oscillation, shape_of
from lossacc_mlflow.rules.trn import LateDivergence, NonFinite, NotLearning, Oscillating, StillImproving
from tests.builders import falling, make_curve, make_run


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
    found = NotLearning().check(make_run({"train_loss": falling(10, 3.5, 2.4)}, n_classes=10))
    assert (found.status, found.evidence[0].name) == ("clear", "best_train_loss")
    still = NotLearning().check(make_run({"train_loss": falling(10, 2.5, 2.4)}, n_classes=10))
    assert still.status == "flagged"


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
