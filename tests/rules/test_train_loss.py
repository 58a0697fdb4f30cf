"""LOG006 finds what was added to a training loss, and is quiet about plain ones."""

from dataclasses import replace
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossacc_mlflow.bounds import plane_regions
from lossacc_mlflow.records import ClippedLoss, Finding
from lossacc_mlflow.rules import decide_discrepancy
from lossacc_mlflow.rules.train_loss import TrainLossDiffers
from tests.builders import make_run
from tests.rules.summaries import tempered_summary

_RULE = TrainLossDiffers()
_N = 40
_ACCURACY = 1 - 0.7 * np.exp(-0.2 * np.arange(_N)) - 0.01
_EXPLAINED = plane_regions(10, _ACCURACY).calibrated_high


def _check(n_classes: int | None = 10, **curves: NDArray[np.float64]) -> Finding:
    return _RULE.check(make_run(curves, n_classes=n_classes))


@pytest.mark.parametrize(("excess", "status"), [(0.049, "clear"), (0.051, "flagged")])
def test_a_constant_above_what_the_accuracy_explains(excess: float, status: str) -> None:
    found = _check(train_loss=_EXPLAINED + excess, train_accuracy=_ACCURACY)
    assert found.status == status
    assert status == "clear" or (found.split == "train" and found.evidence[0].name == "train_loss_unexplained")


@pytest.mark.parametrize(("fall", "status"), [(0.14, "flagged"), (0.17, "clear")])
def test_a_model_that_is_only_slow_to_be_sure_is_no_penalty(fall: float, status: str) -> None:
    """On separable data the accuracy is 1 long before the loss has fallen."""
    loss = np.full(_N, 0.3)
    loss[-8:] *= 1 - fall
    assert _check(train_loss=loss, train_accuracy=np.ones(_N)).status == status


@pytest.mark.parametrize(("accuracy", "status"), [(0.89, "clear"), (0.91, "flagged")])
def test_a_model_that_has_not_learned_has_an_excess_of_its_own(accuracy: float, status: str) -> None:
    assert _check(train_loss=np.full(_N, 2.0), train_accuracy=np.full(_N, accuracy)).status == status


@pytest.mark.parametrize(("first", "status"), [(2.31, "clear"), (2.8, "flagged")])
def test_a_loss_that_starts_at_uniform_has_no_penalty(first: float, status: str) -> None:
    loss, accuracy = _EXPLAINED + 0.2, _ACCURACY.copy()
    loss[0], accuracy[0] = first, 0.1
    assert _check(train_loss=loss, train_accuracy=accuracy).status == status


@pytest.mark.parametrize(("gap", "status"), [(0.04, "clear"), (0.06, "flagged")])
def test_train_above_validation_at_a_higher_accuracy(gap: float, status: str) -> None:
    validation = 0.5 + 1 / (1 + np.arange(_N))
    curves = {"val_loss": validation, "train_loss": (1 + gap) * validation}
    found = _check(None, train_accuracy=_ACCURACY, val_accuracy=_ACCURACY - 0.02, **curves)
    assert found.status == status
    assert status == "clear" or "Either it includes what the other does not" in found.message


@pytest.mark.parametrize(
    ("gap", "points", "status"), [(0.06, 0.006, "flagged"), (0.04, 0.006, "clear"), (0.06, 0.004, "clear")]
)
def test_validation_ahead_from_the_start(gap: float, points: float, status: str) -> None:
    validation = 0.5 + 1 / (1 + np.arange(_N))
    curves = {"val_loss": validation, "train_loss": (1 + gap) * validation, "val_accuracy": _ACCURACY}
    found = _check(None, train_accuracy=_ACCURACY - points, **curves)
    assert found.status == status
    if status == "flagged":
        assert (found.split, found.step, found.level) == ("validation", 0, "note")
        assert "running means" in found.message
        late = {key: values.copy() for key, values in curves.items()}
        late["train_loss"][0] = 0.9 * validation[0]
        assert _check(None, train_accuracy=_ACCURACY - points, **late).status == "clear"


@pytest.mark.parametrize(("n", "status"), [(500, "clear"), (9_000, "clear"), (9_900, "flagged"), (None, "flagged")])
def test_what_few_validation_samples_show_is_no_penalty(n: int | None, status: str) -> None:
    """A train loss 9.2 % above that of validation; of one error in nine, 9,600 samples know it to 3.07 %."""
    accuracy = np.full(_N, 1 - 1 / 9)
    curves = {"train_loss": np.full(_N, 0.0857), "val_loss": np.full(_N, 0.0785)}
    curves |= {"train_accuracy": accuracy, "val_accuracy": accuracy}
    assert _RULE.check(make_run(curves, n_validation=n)).status == status
    penalised = curves | {"train_loss": np.full(_N, 0.3)}
    assert _RULE.check(make_run(penalised, n_validation=500)).status == "flagged"
    perfect = penalised | {"val_accuracy": np.ones(_N), "train_accuracy": np.ones(_N)}
    assert _RULE.check(make_run(perfect | {"train_loss": np.full(_N, 0.4)}, n_validation=500)).status == "flagged"


@pytest.mark.parametrize(("n", "status"), [(3_400, "clear"), (3_800, "flagged"), (None, "flagged")])
def test_few_validation_samples_may_be_easier_by_chance(n: int | None, status: str) -> None:
    """Two points of accuracy at 80 %: 3 standard errors of 3,600 samples."""
    curves = {"train_loss": np.full(_N, 0.7), "val_loss": np.full(_N, 0.5), "val_accuracy": np.full(_N, 0.8)}
    run = make_run(curves | {"train_accuracy": np.full(_N, 0.78)}, n_validation=n)
    assert _RULE.check(run).status == status
    named_test = {key.replace("val_", "test_"): value for key, value in curves.items()}
    assert _RULE.check(make_run(named_test | {"train_accuracy": np.full(_N, 0.78)}, n_validation=n)).status == "flagged"


@pytest.mark.parametrize(("n_plain", "status"), [(2, "flagged"), (3, "clear")])
def test_share_of_the_steps(n_plain: int, status: str) -> None:
    """Of the 20 steps of the second half 18 must show the sign."""
    excess = np.full(_N, 0.2)
    excess[22 : 22 + n_plain] = 0.0
    assert _check(train_loss=_EXPLAINED + excess, train_accuracy=_ACCURACY).status == status


def test_what_cannot_be_known() -> None:
    plain = _EXPLAINED / 2
    assert _check(train_loss=plain, train_accuracy=_ACCURACY).status == "clear"
    assert _check(None, train_loss=plain, train_accuracy=_ACCURACY).status == "not_applicable"
    assert _check(train_loss=plain).status == "not_applicable"
    assert _check(train_loss=plain * nan, train_accuracy=_ACCURACY).status == "not_applicable"
    assert _check(train_mean_squared_error=plain, train_accuracy=_ACCURACY).status == "not_applicable"
    assert _check(train_loss=plain[:4], train_accuracy=_ACCURACY[:4]).status == "not_applicable"


def test_batches_beside_epochs_are_not_compared() -> None:
    n = 20 * _N
    curves = {"train_loss": np.full(n, 9.0), "train_accuracy": np.full(n, 0.1)}
    found = _check(None, val_loss=np.full(_N, 0.1), val_accuracy=_ACCURACY, **curves)
    assert found.status == "not_applicable"


def _with_predictions(logged: list[float], accuracy: list[float], predicted: float = 0.5, **more: object) -> Finding:
    figures: dict[str, Any] = {"accuracy": 0.9, "log_loss": predicted, "n_samples": 1000, "loss_by_clip": ()}
    summary = replace(tempered_summary(1.0), **(figures | more))
    return _RULE.check(make_run({"val_loss": logged, "val_accuracy": accuracy}, predictions={"validation": summary}))


@pytest.mark.parametrize(
    ("logged", "status"), [(0.549, "not_applicable"), (0.552, "flagged"), (0.451, "not_applicable"), (0.448, "flagged")]
)
def test_a_logged_loss_that_is_not_that_of_the_predictions(logged: float, status: str) -> None:
    found = _with_predictions([logged], [0.9])
    assert found.status == status
    if status == "flagged":
        assert (found.split, found.level) == ("validation", "note")
        assert "the validation predictions have the same accuracy and a log loss of 0.500" in found.message
        assert ("a penalty" in found.message) == (logged > 0.5)
        decided = decide_discrepancy(make_run({}), [found])
        assert (decided == "penalty_in_loss") == (logged > 0.5)


def test_predictions_of_another_step_or_clip_are_not_held_against_the_loss() -> None:
    assert _with_predictions([0.9], [0.902]).status == "not_applicable"
    assert _with_predictions([0.9], [0.9005]).status == "flagged"
    assert _with_predictions([0.5, 0.9], [0.9, 0.9]).status == "not_applicable"
    assert _with_predictions([nan], [0.9]).status == "not_applicable"
    assert _with_predictions([0.9], [0.9], predicted=nan).status == "not_applicable"
    clips = (ClippedLoss("sklearn", 1e-16, 0.9),)
    assert _with_predictions([0.9], [0.9], loss_by_clip=clips).status == "not_applicable"
    without_a_clip = (ClippedLoss("none", 0.0, inf),)
    assert _with_predictions([9.0], [0.9], loss_by_clip=without_a_clip).status == "not_applicable"
