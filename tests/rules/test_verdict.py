"""One verdict and one discrepancy a run, in the documented order."""

from dataclasses import replace
from math import nan

import numpy as np
import pytest

from lossacc_mlflow.records import Discrepancy, Evidence, Finding, Verdict
from lossacc_mlflow.rules import apply_rules, decide_discrepancy, decide_verdict, headline
from tests.builders import falling, make_run
from tests.rules.summaries import tempered_summary

_GOOD = {
    "train_loss": falling(40, 2.0, 0.2),
    "val_loss": [*falling(30, 2.0, 0.25), *([0.25] * 10)],
    "train_accuracy": list(np.linspace(0.3, 0.97, 40)),
    "val_accuracy": list(np.linspace(0.3, 0.95, 40)),
}
_RISING = falling(20, 2.0, 0.5) + list(np.linspace(0.5, 1.0, 20))


def _finding(code: str, *evidence: Evidence) -> Finding:
    return Finding(code, code, "warning", "flagged", f"{code} says so.", evidence)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "healthy"),
        ({"val_loss": _RISING}, "loss_overfitting"),
        ({"val_loss": falling(40, 2.0, 0.25)}, "still_improving"),
        ({"val_loss": [*falling(10, 2.0, 0.5), *([0.5, 0.7, 0.4, 0.6, 0.3] * 6)]}, "unstable"),
        ({"val_loss": _RISING, "val_accuracy": None, "train_accuracy": None}, "overfitting"),
        ({"val_loss": _RISING, "train_loss": _RISING}, "diverged"),
        ({"val_loss": [*falling(39), nan]}, "diverged"),
        ({"val_loss": [*falling(20), nan, *falling(19)]}, "unstable"),
        ({"val_accuracy": [0.1] * 40}, "not_learning"),
        ({"val_accuracy": [0.1] * 40, "val_loss": [nan, *([2.3] * 39)]}, "diverged"),
        ({"val_accuracy": list(np.linspace(0.3, 0.9, 20)) + list(np.linspace(0.9, 0.8, 20))}, "overfitting"),
        ({"val_accuracy": [100 * a for a in _GOOD["val_accuracy"]], "train_accuracy": None}, "healthy"),
        ({"val_accuracy": [*np.linspace(30, 95, 30), *np.linspace(94.9, 94.1, 10)]}, "healthy"),
        ({"val_accuracy": [*np.linspace(30, 95, 20), *np.linspace(95, 85, 20)]}, "overfitting"),
        ({"val_accuracy": [*np.linspace(0.3, 3.9, 20), *np.linspace(0.1, -0.5, 20)]}, "healthy"),
        ({"train_loss": None, "train_accuracy": None}, "not_enough_information"),
        ({"val_loss": None, "val_accuracy": None}, "not_enough_information"),
    ],
)
def test_verdict(changed: dict[str, list[float] | None], verdict: Verdict) -> None:
    curves = {key: values for key, values in {**_GOOD, **changed}.items() if values is not None}
    run = make_run(curves, n_classes=10)
    assert decide_verdict(run, apply_rules(run)) == verdict


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_than_five_points_are_not_enough(n: int) -> None:
    run = make_run({key: values[:n] for key, values in _GOOD.items()}, n_classes=10)
    assert decide_verdict(run, apply_rules(run)) == "not_enough_information"


def test_a_doubtful_rise_is_decided_by_accuracy_or_not_at_all() -> None:
    losses = {"train_loss": falling(8, 2.0, 0.5), "val_loss": [1.5, 0.6, 0.9, 0.5, 0.95, 0.6, 0.9, 0.7]}
    alone = make_run(losses)
    findings = apply_rules(alone)
    rise = next(f for f in findings if f.code == "FIT001")
    assert rise.status == "not_applicable"
    assert decide_verdict(alone, findings) == "not_enough_information"
    with_accuracy = make_run({**losses, "val_accuracy": list(np.linspace(0.5, 0.9, 8))})
    assert decide_verdict(with_accuracy, apply_rules(with_accuracy)) == "healthy"


@pytest.mark.parametrize(
    ("findings", "discrepancy"),
    [
        ([_finding("DIS002")], "unknown"),
        ([_finding("DIS002"), _finding("DIS001")], "loss_up_accuracy_flat"),
        ([_finding("DIS001"), _finding("DIS003", Evidence("calibration_loss_incorrect", 0.1))], "overconfident_errors"),
        ([_finding("DIS004", Evidence("calibration_loss_correct", 0.1))], "hesitant_correct"),
        ([_finding("LOG001"), _finding("DIS001")], "infeasible_values"),
        ([_finding("DIS007"), _finding("DIS003", Evidence("calibration_loss_incorrect", 0.1))], "imbalance"),
        ([_finding("DIS006"), _finding("DIS001")], "calibration"),
        ([replace(_finding("DIS006"), level="note"), _finding("DIS001")], "loss_up_accuracy_flat"),
        ([replace(_finding("DIS006"), level="note"), _finding("DIS002")], "calibration"),
        ([], "none"),
    ],
)
def test_discrepancy(findings: list[Finding], discrepancy: Discrepancy) -> None:
    assert decide_discrepancy(make_run(_GOOD), findings) == discrepancy


@pytest.mark.parametrize(
    ("huge", "overconfident", "labels", "discrepancy"),
    [
        (0.21, 0.2, 0.3, "few_huge_errors"),
        (0.19, 0.2, 0.3, "overconfident_errors"),
        (0.19, 0.2, 0.41, "label_errors"),
    ],
)
def test_the_largest_in_nats_is_to_blame(huge: float, overconfident: float, labels: float, discrepancy: str) -> None:
    """Of the labels that a model that is too sure suspects, only what its temperature leaves counts."""
    summary = replace(tempered_summary(1.0), log_loss=1.0)
    findings = [
        replace(_finding("DIS005", Evidence("loss_share_huge_errors", huge)), split="test"),
        _finding("DIS003", Evidence("calibration_loss_incorrect", overconfident)),
        replace(_finding("DIS008", Evidence("loss_share_label_issues", labels)), split="test"),
        _finding("DIS006"),
    ]
    decided = decide_discrepancy(make_run(predictions={"test": summary}), findings)
    assert decided == discrepancy
    said = headline("healthy", findings, decided)
    assert {"few_huge_errors": "DIS005", "overconfident_errors": "DIS003", "label_errors": "DIS008"}[decided] in said


@pytest.mark.parametrize(("sure", "discrepancy"), [((), "overconfident_errors"), ((0.4,), "label_errors")])
def test_labels_are_to_blame_where_the_surest_answers_are_among_the_suspected(
    sure: tuple[float, ...], discrepancy: str
) -> None:
    """A temperature hides part of what wrong labels cost."""
    evidence = [Evidence("loss_share_label_issues", 0.3), *(Evidence("sure_label_issues", s) for s in sure)]
    findings = [
        _finding("DIS003", Evidence("calibration_loss_incorrect", 0.2)),
        replace(_finding("DIS008", *evidence), split="test"),
    ]
    summary = replace(tempered_summary(1.0), log_loss=1.0)
    assert decide_discrepancy(make_run(predictions={"test": summary}), findings) == discrepancy


def test_discrepancy_needs_loss_and_accuracy_of_one_split() -> None:
    run = make_run({"val_loss": [0.5], "train_accuracy": [0.9]})
    assert decide_discrepancy(run, apply_rules(run)) == "not_enough_information"


def test_headline_is_the_finding_that_decided() -> None:
    assert headline("loss_overfitting", [_finding("DIS002"), _finding("FIT001")]) == "FIT001 says so."
    assert "learned" in headline("healthy", [])


def test_a_test_split_stands_for_validation_where_only_that_was_logged() -> None:
    curves = {**_GOOD, "val_loss": _RISING}
    renamed = {key.replace("val_", "test_"): values for key, values in curves.items()}
    run = make_run(renamed, n_classes=10)
    findings = apply_rules(run)
    assert decide_verdict(run, findings) == "loss_overfitting"
    rise = next(f for f in findings if f.code == "FIT001")
    assert rise.split == "test"
    assert rise.message.startswith("The test loss is best at epoch")
    both = make_run({**curves, "test_loss": _GOOD["val_loss"]}, n_classes=10)
    assert next(f for f in apply_rules(both) if f.code == "FIT001").split == "validation"


def test_a_score_under_the_key_of_a_loss_is_not_judged() -> None:
    rising = list(np.linspace(0.3, 0.95, 30))
    run = make_run({"train_loss": rising, "val_loss": rising, "val_accuracy": rising}, n_classes=10)
    findings = apply_rules(run)
    assert decide_verdict(run, findings) == "not_enough_information"
    assert "looks like a score" in headline("not_enough_information", findings)


def test_a_healthy_run_whose_loss_rises_says_so_first() -> None:
    findings = (_finding("DIS001"), _finding("TRN005"))
    assert headline("healthy", findings) == "DIS001 says so."
    assert "ends near its best value" in headline("healthy", findings[1:])
