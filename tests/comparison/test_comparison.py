"""Rows are ranked, reversals found and explained, and one model is recommended for a reason."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lossacc_mlflow.comparison import OrderReverses, compare_diagnoses
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import Diagnosis, RunData
from tests.builders import make_curve

_N = 1000


def _model(name: str, n_right: int, confidence: float, run_id: str = "") -> Diagnosis:
    """A two-class model that is right on the first ``n_right`` samples, with one confidence for all."""
    proba = np.full((_N, 2), [1 - confidence, confidence])
    proba[:n_right] = [confidence, 1 - confidence]
    predictions = make_predictions(np.zeros(_N, dtype=int), proba)
    summary, samples = judge_predictions(predictions)
    run = RunData(run_id or name, name, predictions={"validation": summary}, samples={"validation": samples})
    return judge(run)


def _names(diagnoses: Sequence[Diagnosis]) -> list[str]:
    return [row.name for row in compare_diagnoses(diagnoses).rows]


def test_rows_by_accuracy_then_loss_unknown_last() -> None:
    unknown = judge(RunData("u", "unknown", (make_curve("train_loss", [1.0]),)))
    percent = judge(RunData("p", "percent", (make_curve("val_accuracy", [98.0]),)))
    models = [unknown, percent, _model("low", 800, 0.8), _model("sure", 900, 0.99), _model("apt", 900, 0.9)]
    assert _names(models) == ["apt", "sure", "low", "percent", "unknown"]


def test_reversal_is_found_and_settled_by_temperature() -> None:
    comparison = compare_diagnoses([_model("sure", 900, 0.9999), _model("apt", 850, 0.85)])
    found = comparison.findings[0]
    assert (found.code, found.status) == ("CMP001", "flagged")
    assert "Of 1 on the same samples 1 is significant in both" in found.message
    assert "temperature 1 agrees." in found.message
    assert comparison.pairs[0].explanation in found.message
    assert len(comparison.pairs) == 1
    assert comparison.pairs[0].delta_loss > 0 > comparison.pairs[0].delta_loss_after_temperature
    assert comparison.recommendation[0].startswith("Take 'sure': it has both")
    assert comparison.recommendation[1].startswith("Apply its temperature first")
    assert "'apt'" in comparison.recommendation[1]
    assert len(compare_diagnoses([_model("apt", 900, 0.9), _model("low", 800, 0.8)]).recommendation) == 1


def test_a_lead_that_is_not_significant_is_said_to_be_none() -> None:
    close = compare_diagnoses([_model("apt", 900, 0.9), _model("near", 899, 0.9)]).recommendation
    assert close[0].startswith("Take 'apt': it has both")
    assert "Its lead over 'near' is not significant" in close[-1]


def test_runs_on_other_data_are_not_considered() -> None:
    usual = [_model("apt", 800, 0.8), _model("low", 700, 0.7)]
    other = judge(RunData("easy", "easy", (make_curve("val_accuracy", [0.99]),), n_classes=3))
    comparison = compare_diagnoses([*usual, other])
    assert comparison.rows[0].name == "easy"
    assert comparison.recommendation[0].startswith("Take 'apt'")
    assert comparison.recommendation[-1] == "Not considered, as not comparable (CMP003): 'easy'."


def test_a_run_with_another_loss_is_recommended_for_its_answers_alone() -> None:
    curves = (make_curve("val_accuracy", [0.99]), make_curve("val_hinge_loss", [0.001]))
    comparison = compare_diagnoses(
        [_model("apt", 800, 0.8), _model("low", 700, 0.7), judge(RunData("svm", "svm", curves))]
    )
    assert comparison.recommendation[0].startswith("If the answers count, take 'svm'")
    assert comparison.recommendation[1].startswith("If the probabilities count, take 'apt'")


def test_a_squared_error_is_not_recommended_for_its_probabilities() -> None:
    """What lies outside 0..1 is no accuracy: the two regressions are chosen by their loss."""
    squared = [
        judge(RunData(name, name, (make_curve("val_accuracy", [3.9]), make_curve("val_mean_squared_error", [value]))))
        for name, value in (("a", 0.04), ("b", 0.05))
    ]
    recommendation = compare_diagnoses([_model("apt", 800, 0.8), *squared]).recommendation
    assert recommendation[0].startswith("If the answers count, take 'apt'")
    assert recommendation[1].startswith("If the mean squared error counts, take 'a'")


def test_same_order_is_clear_and_one_run_is_not_applicable() -> None:
    apt, low = _model("apt", 900, 0.9), _model("low", 800, 0.8)
    assert compare_diagnoses([apt, low]).findings[0].status == "clear"
    assert compare_diagnoses([apt]).findings[0].status == "not_applicable"


def test_threshold_of_reversals() -> None:
    comparison = compare_diagnoses([_model("sure", 900, 0.9999), _model("apt", 850, 0.85)])
    for allowed, status in ((0, "flagged"), (1, "clear")):
        assert OrderReverses(max_reversed=allowed).check(comparison).status == status


def test_losses_of_different_kinds_are_not_compared() -> None:
    runs = [
        judge(RunData(name, name, (make_curve("val_accuracy", [accuracy]), make_curve(f"val_{loss}", [value]))))
        for name, accuracy, loss, value in (("a", 0.9, "hinge_loss", 2.0), ("b", 0.8, "log_loss", 0.5))
    ]
    assert compare_diagnoses(runs).findings[0].status == "clear"


def test_insignificant_accuracy_yields_to_loss() -> None:
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal(_N)
    truth = (rng.random(_N) < 1 / (1 + np.exp(-z))).astype(int)
    good = 1 / (1 + np.exp(-z))
    # Right once more than the good model, and hopeless in its probabilities.
    coarse = np.where(good > 0.5, 0.7, 0.3)
    coarse[np.argmin(np.where((good > 0.5) == truth, np.inf, np.abs(good - 0.5)))] = (
        truth[np.argmin(np.where((good > 0.5) == truth, np.inf, np.abs(good - 0.5)))] * 0.4 + 0.3
    )
    models = []
    for name, proba in (("good", good), ("coarse", coarse)):
        summary, samples = judge_predictions(make_predictions(truth, proba))
        run = RunData(name, name, predictions={"validation": summary}, samples={"validation": samples})
        models.append(judge(run))
    comparison = compare_diagnoses(models)
    assert [row.name for row in comparison.rows] == ["coarse", "good"]
    assert comparison.recommendation[0].startswith("Take 'good': ")
    assert "not significantly below" in comparison.recommendation[0]


def test_runs_of_one_name_are_told_apart() -> None:
    twins = [_model("mlp", 900, 0.9, run_id="aaaaaaaa"), _model("mlp", 800, 0.8, run_id="bbbbbbbb")]
    assert _names(twins) == ["mlp (aaaaaa)", "mlp (bbbbbb)"]


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_choose_by(n: int) -> None:
    runs = [judge(RunData("u", "u", (make_curve("train_loss", [1.0]),)))] * n
    assert compare_diagnoses(runs).recommendation == ("No run has an accuracy or a loss to choose by.",)


def test_runs_with_a_test_split_alone_are_ranked_by_it() -> None:
    runs = [judge(RunData(n, n, (make_curve("test_accuracy", [a]),))) for n, a in (("low", 0.8), ("high", 0.9))]
    comparison = compare_diagnoses(runs)
    assert [(row.name, row.accuracy, row.split) for row in comparison.rows] == [
        ("high", 0.9, "test"),
        ("low", 0.8, "test"),
    ]


def test_a_temperature_that_does_not_help_is_not_taken() -> None:
    """On few samples the cross-fitted temperature can cost more than it removes."""
    harmed = replace(_model("harmed", 900, 0.9).run.predictions["validation"], refinement_loss=0.9)
    run = replace(_model("harmed", 900, 0.9).run, predictions={"validation": harmed}, samples={})
    comparison = compare_diagnoses([judge(run), _model("low", 850, 0.85)])
    assert comparison.recommendation == (
        "Take 'harmed': it has both the highest validation accuracy (90.0 %) and the lowest validation loss (0.325).",
    )
