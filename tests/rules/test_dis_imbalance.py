"""DIS007 tells the share of the largest class from an accuracy, and leaves better models alone."""

from collections.abc import Sequence
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.predictions import summarize_predictions
from lossacc_mlflow.records import Finding
from lossacc_mlflow.rules.dis_imbalance import MajorityAccuracy
from tests.builders import make_run
from tests.rules.summaries import class_summaries, tempered_summary

_RULE = MajorityAccuracy()


def _judge(confusion: Sequence[Sequence[int]], *, with_classes: bool = True) -> Finding:
    """Judge a model by its confusion matrix, true classes in the rows."""
    counts = np.array(confusion)
    support, n = counts.sum(axis=1), int(counts.sum())
    present = support > 0
    summary = replace(
        tempered_summary(1.0),
        n_samples=n,
        n_classes=len(counts),
        accuracy=float(np.trace(counts) / n),
        majority_accuracy=float(support.max() / n),
        balanced_accuracy=float((np.diag(counts)[present] / support[present]).mean()),
        skill=0.0,
        classes=class_summaries(counts) if with_classes else (),
    )
    return _RULE.check(make_run(predictions={"validation": summary}))


@pytest.mark.parametrize(
    ("confusion", "status"),
    [
        ([[900, 0], [100, 0]], "flagged"),  # the constant answer
        ([[899, 1], [98, 2]], "flagged"),  # two answers more
        ([[890, 10], [50, 50]], "clear"),
        ([[850, 50], [50, 50]], "clear"),  # the accuracy of the constant answer, and half of the small class found
        ([[810, 90], [90, 10]], "flagged"),  # answers drawn by share
        ([[590, 0], [410, 0]], "clear"),  # hardly unequal: at most TRN003
        ([[610, 0], [390, 0]], "flagged"),
        ([[900, 0, 0], [60, 0, 0], [40, 0, 0]], "flagged"),
        ([[900, 0, 0], [100, 0, 0], [0, 0, 0]], "flagged"),  # a class of which there is no sample
        ([[1000, 0], [0, 0]], "clear"),  # one class only: nothing to tell apart
        ([[9, 0], [1, 0]], "flagged"),
    ],
)
def test_what_is_more_than_the_class_shares_give(confusion: Sequence[Sequence[int]], status: str) -> None:
    found = _judge(confusion)
    assert (found.code, found.status) == ("DIS007", status)


@pytest.mark.parametrize(("found_of_small", "status"), [(3, "flagged"), (12, "clear")])
def test_a_gain_must_be_more_than_chance(found_of_small: int, status: str) -> None:
    """Every answer that names the small class is a hit, of which there are 3 or 12."""
    confusion = [[900, 0], [100 - found_of_small, found_of_small]]
    assert _judge(confusion).status == status


def test_classes_that_are_never_answered_are_named() -> None:
    assert "'pear' is never answered" in _judge([[900, 0], [100, 0]]).message
    assert "'pear', 'plum' are never answered" in _judge([[90, 0, 0], [6, 0, 0], [4, 0, 0]]).message
    assert "never answered" not in _judge([[900, 0], [100, 0]], with_classes=False).message
    assert _judge([[900, 0], [100, 0]], with_classes=False).status == "flagged"
    assert _judge([[890, 10], [50, 50]], with_classes=False).status == "clear"


def test_probabilities_that_know_more_than_the_answers_are_told() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(4000) < 0.1).astype(int)
    constant = summarize_predictions(truth, np.full(4000, 0.1))
    found = _RULE.check(make_run(predictions={"validation": constant}))
    assert found.status == "flagged"
    assert "no better than that of the class shares" in found.message
    knowing = summarize_predictions(truth, np.where(truth == 1, 0.45, 0.02))
    found = _RULE.check(make_run(predictions={"validation": knowing}))
    assert found.status == "flagged"
    assert "The probabilities know more" in found.message


@pytest.mark.parametrize("small", [0.1, 0.3])
def test_models_that_look_at_nothing_are_flagged_and_others_not(small: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(30):
        truth = (rng.random(2000) < small).astype(int)
        blind = summarize_predictions(truth, np.clip(small + 0.3 * rng.standard_normal(2000), 0, 1))
        assert _RULE.is_flagged(make_run(predictions={"validation": blind}))
        z = 1.5 * (2 * truth - 1) + rng.standard_normal(2000)
        seeing = summarize_predictions(truth, 1 / (1 + np.exp(-z)))
        assert not _RULE.is_flagged(make_run(predictions={"validation": seeing}))


@pytest.mark.parametrize(
    ("accuracy", "n", "status"),
    [
        (0.9, None, "flagged"),
        (0.9045, None, "flagged"),
        (0.906, None, "clear"),
        (0.894, None, "clear"),
        (0.904, 100_000, "flagged"),
        (0.904, 1_000_000, "flagged"),  # near enough, whatever the number of samples
        (0.906, 100_000, "clear"),
        (0.91, 100, "clear"),  # a twentieth of what is left to gain, whatever chance could do
    ],
)
def test_curves_and_class_counts(accuracy: float, n: int | None, status: str) -> None:
    curves = {"val_accuracy": [accuracy, accuracy]}
    run = make_run(curves, class_counts={"apple": 90, "pear": 10}, n_classes=2, n_validation=n)
    assert _RULE.check(run).status == status
    assert _RULE.check(make_run(curves, majority_accuracy=0.9, n_validation=n)).status == status
    balanced = {**curves, "val_balanced_accuracy": [0.7, 0.7]}
    assert _RULE.check(make_run(balanced, majority_accuracy=0.9, n_validation=n)).status == "clear"


def test_what_cannot_be_known() -> None:
    assert _RULE.check(make_run({"val_accuracy": [0.9]})).status == "not_applicable"
    assert _RULE.check(make_run({"val_accuracy": [nan]}, majority_accuracy=0.9)).status == "not_applicable"
    assert _RULE.check(make_run({"val_loss": [0.9]}, majority_accuracy=0.9)).status == "not_applicable"
    assert _RULE.check(make_run(majority_accuracy=0.9)).status == "not_applicable"
    equal = make_run({"val_accuracy": [0.1]}, class_counts=dict.fromkeys("0123456789", 5), n_classes=10)
    assert _RULE.check(equal).status == "clear"
