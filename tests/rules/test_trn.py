"""TRN rules fire just above their thresholds, are quiet just below, and do not guess."""

from dataclasses import replace
from math import inf, log, nan

import numpy as np
import pytest

from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import PredictionSummary
from lossacc_mlflow.rules.trn import LateDivergence, NonFinite, NotLearning
from lossacc_mlflow.wording import percent
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


def _imbalanced(recall: float, n: int) -> PredictionSummary:
    """Nine in ten are of one class, of which 87 in 100 are found; of the other one in ten ``recall`` is."""
    y_true = np.repeat([0, 1], [9 * n // 10, n // 10])
    found = np.concatenate([np.arange(9 * n // 10) < 0.87 * 9 * n // 10, np.arange(n // 10) < recall * n // 10])
    said = np.where(found, y_true, 1 - y_true)
    # Unsure answers: the log loss is above that of the class shares.
    return summarize_predictions(y_true, np.where(said == 1, 0.6, 0.4))


@pytest.mark.parametrize(
    ("recall", "n", "status"),
    [
        (0.83, 2000, "clear"),
        (0.22, 2000, "clear"),
        (0.18, 2000, "flagged"),
        (0.13, 2000, "flagged"),
        (0.3, 100, "flagged"),
    ],
)
def test_weighted_classes_that_cost_accuracy_are_no_chance(recall: float, n: int, status: str) -> None:
    """Three standard errors of the balanced accuracy are 0.036 of 2,000 samples, and 0.16 of 100."""
    summary = _imbalanced(recall, n)
    assert summary.accuracy < summary.majority_accuracy
    assert summary.skill < 0
    run = make_run({"val_accuracy": [0.8, summary.accuracy]}, n_classes=2, majority_accuracy=0.9, n_validation=n)
    assert NotLearning().check(run).status == "flagged"
    found = NotLearning().check(replace(run, predictions={"validation": summary}))
    assert found.status == status
    if status == "clear":
        said = f"the balanced accuracy is {percent(summary.balanced_accuracy)}, where answering without looking gives"
        assert said in found.message


@pytest.mark.parametrize(
    ("skill", "n", "status"),
    [(0.051, 4000, "clear"), (0.049, 4000, "flagged"), (0.2, 102, "clear"), (0.2, 100, "flagged")],
)
def test_a_loss_below_that_of_the_class_shares_is_learned(skill: float, n: int, status: str) -> None:
    """Of 100 samples 0.2 of 0.325 nats are 6.5 nats in all, of 102 they are 6.6."""
    prior = 0.325
    summary = replace(
        _imbalanced(0.13, 2000), n_samples=n, prior_loss=prior, log_loss=(1 - skill) * prior, skill=skill, classes=()
    )
    run = make_run({"val_accuracy": [0.9]}, n_classes=2, majority_accuracy=0.9, predictions={"test": summary})
    found = NotLearning().check(run)
    assert found.status == status
    assert ("below that of the class shares" in found.message) == (status == "clear")


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


@pytest.mark.parametrize(("rest", "status"), [(1.015, "flagged"), (1.025, "clear")])
def test_a_penalty_that_shrinks_away_is_no_learning(rest: float, status: str) -> None:
    values = [3.0, *([rest * log(10)] * 19)]
    assert NotLearning().check(make_run({"train_loss": values}, n_classes=10)).status == status


def test_an_explosion_is_no_fall() -> None:
    rng = np.random.default_rng(0)
    values = np.array([2.3, *np.exp(rng.uniform(3, 9, 39))])
    found = NotLearning().check(make_run({"train_loss": values, "val_loss": values}))
    assert found.status == "flagged"
    assert "learning rate" in found.advice


@pytest.mark.parametrize(("gain", "status"), [(0.019, "flagged"), (0.021, "clear")])
def test_a_small_fall_of_the_loss_must_bring_accuracy(gain: float, status: str) -> None:
    accuracy = [0.2, *np.linspace(0.1, 0.15, 8), 0.2 + gain]
    curves = {"train_loss": falling(10, 1.0, 0.8), "val_loss": falling(10, 1.0, 0.8), "val_accuracy": accuracy}
    assert NotLearning().check(make_run(curves)).status == status


def test_learning_that_was_lost_again_is_no_standstill() -> None:
    accuracy = [0.0, 0.2, 0.27, *([0.0] * 9)]
    curves = {"train_loss": [6.0, 3.0, 2.0, *([8.0] * 9)], "val_loss": [6.0, 3.0, 2.0, *([8.0] * 9)]}
    run = make_run(curves | {"val_accuracy": accuracy})
    assert NotLearning().check(run).status == "clear"
    assert LateDivergence().check(run).status == "flagged"


def test_memorised_labels_are_called_by_name() -> None:
    curves = {"train_loss": falling(20), "val_loss": falling(20, 2.3, 2.2), "val_accuracy": [0.1] * 20}
    found = NotLearning().check(make_run(curves | {"train_accuracy": list(np.linspace(0.1, 1, 20))}, n_classes=10))
    assert "though the train accuracy reaches 95" in found.message
    assert "by heart" in found.advice


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


@pytest.mark.parametrize(("drop", "status"), [(0.02, "clear"), (0.03, "flagged")])
def test_a_divergence_shows_in_the_answers(drop: float, status: str) -> None:
    accuracy = [*np.linspace(0.3, 0.9, 30), *np.linspace(0.9, 0.9 - drop, 30)]
    run = make_run(_diverging(0.7) | {"val_accuracy": accuracy})
    assert LateDivergence().check(run).status == status


@pytest.mark.parametrize(("train_end", "status"), [(0.85, "clear"), (0.92, "flagged")])
def test_a_loss_that_all_but_doubles_has_come_apart_whatever_the_answers(train_end: float, status: str) -> None:
    run = make_run(_diverging(train_end) | {"val_accuracy": [*np.linspace(0.3, 0.9, 30), *([0.9] * 30)]})
    assert LateDivergence().check(run).status == status


@pytest.mark.parametrize(("drop", "status"), [(0.02, "clear"), (0.03, "flagged")])
def test_accuracies_alone_that_fall_together(drop: float, status: str) -> None:
    falls = [*np.linspace(0.3, 0.9, 30), *np.linspace(0.9, 0.9 - drop, 30)]
    found = LateDivergence().check(make_run({"train_accuracy": falls, "val_accuracy": falls}))
    assert found.status == status
    holds = make_run({"train_accuracy": list(np.linspace(0.3, 0.9, 60)), "val_accuracy": falls})
    assert LateDivergence().check(holds).status == "clear"


def test_late_divergence_needs_both_losses() -> None:
    assert LateDivergence().check(make_run({"val_loss": falling(20)})).status == "not_applicable"
    assert LateDivergence().check(make_run({"train_loss": [nan] * 9, "val_loss": [1.0] * 9})).status == "not_applicable"
