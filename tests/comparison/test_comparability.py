"""CMP003 names the runs that were judged on something else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossacc_mlflow.comparison import NotComparable
from lossacc_mlflow.records import RegressionSummary, RunData
from lossacc_mlflow.regression import summarize_regression
from tests.comparison.builders import compared, named_run, predicting_run

_CURVES = {"val_accuracy": [0.8], "val_log_loss": [0.5]}
_DIGEST = "lossacc.samples.validation"


def _regression(sd: float) -> RegressionSummary:
    figures = {"n_samples": 9, "target_sd": sd}
    names = RegressionSummary.__dataclass_fields__
    return RegressionSummary(**{name: figures.get(name, 0.5) for name in names if name != "notes"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usual", "odd", "reason"),
    [
        (
            {"tags": {_DIGEST: "aaaa"}},
            {"tags": {_DIGEST: "bbbb"}},
            "it was judged on other samples (digest bbbb, theirs",
        ),
        ({"n_validation": 1000}, {"n_validation": 1001}, "it was judged on 1,001 samples, they on 1,000"),
        ({"n_classes": 10}, {"n_classes": 12}, "it has 12 classes, they have 10"),
        (
            {"regressions": {"validation": _regression(1.0)}},
            {"regressions": {"validation": _regression(1.11)}},
            "its target has a standard deviation of 1.11, theirs 1",
        ),
    ],
)
def test_what_differs_from_most_others(usual: Mapping[str, Any], odd: Mapping[str, Any], reason: str) -> None:
    runs = [named_run("a", _CURVES, **usual), named_run("b", _CURVES, **odd), named_run("c", _CURVES, **usual)]
    comparison = compared([*runs, named_run("unknown", {"val_loss": [0.5]})], NotComparable())
    (found,) = comparison.findings
    assert found.status == "flagged"
    assert f"'b' ({reason}" in found.message
    rows = {row.name: row for row in comparison.rows}
    assert reason in rows["b"].remarks[0]
    assert [name for name, row in rows.items() if "CMP003" in row.findings] == ["b"]
    assert compared([runs[0], runs[2]], NotComparable()).findings[0].status == "clear"


def test_another_loss_and_another_quality() -> None:
    runs = [named_run(name, _CURVES) for name in "ab"]
    hinge = named_run("svm", {"val_accuracy": [0.9], "val_hinge_loss": [0.1]})
    comparison = compared([*runs, hinge], NotComparable())
    assert "'svm' (its loss is hinge loss, theirs log loss)" in comparison.findings[0].message
    assert comparison.other_loss_ids == {"svm"}
    assert not comparison.odd_run_ids
    unnamed = named_run("any", {"val_accuracy": [0.9], "val_loss": [0.1]})
    assert compared([*runs, unnamed], NotComparable()).findings[0].status == "clear"
    r2 = named_run("r2", {"val_r2": [0.9]})
    assert "it is ranked by R², they by accuracy" in compared([*runs, r2], NotComparable()).findings[0].message


@pytest.mark.parametrize(("sd", "status"), [(1.09, "clear"), (1.11, "flagged"), (float("nan"), "clear")])
def test_ratio_of_the_targets(sd: float, status: str) -> None:
    runs = [named_run(str(s), _CURVES, regressions={"validation": _regression(s)}) for s in (1.0, sd)]
    assert compared(runs, NotComparable()).findings[0].status == status


def test_predicted_numbers_fill_the_rows_of_runs_without_curves() -> None:
    """The same model for a target in two units: R² is the same, and the losses are not comparable."""
    y_true = np.random.default_rng(0).random(200)
    y_pred = y_true + 0.1 * np.sin(np.arange(200))
    numbers = {name: summarize_regression(scale * y_true, scale * y_pred) for name, scale in (("a", 1), ("b", 255))}
    runs = [named_run(name, {}, regressions={"validation": summary}) for name, summary in numbers.items()]
    comparison = compared(runs, NotComparable())
    for row in comparison.rows:
        summary = numbers[row.name]
        assert (row.split, row.quality_name, row.loss_name) == ("validation", "r2", "mean_squared_error")
        assert (row.accuracy, row.loss) == (summary.r2, summary.mse)
    assert numbers["b"].mse == pytest.approx(255**2 * numbers["a"].mse)
    assert comparison.findings[0].status == "flagged"
    only_test = named_run("c", {}, regressions={"test": numbers["a"]})
    assert compared([only_test], NotComparable()).rows[0].split == "test"
    constant = replace(numbers["a"], r2=float("nan"))
    assert (
        compared([named_run("d", {}, regressions={"validation": constant})], NotComparable()).rows[0].accuracy is None
    )


def test_the_same_samples_in_another_order_are_comparable() -> None:
    """Digests are of the ids in their order; what can be paired is of the same samples."""
    truth, order = np.arange(40) % 2, np.arange(40)[::-1]
    proba = np.random.default_rng(0).random(40)
    runs = [
        predicting_run("a", truth, proba, sample_id=range(40), tags={_DIGEST: "aaaa"}),
        predicting_run("b", truth[order], proba[order], sample_id=order.tolist(), tags={_DIGEST: "bbbb"}),
    ]
    assert compared(runs, NotComparable()).findings[0].status == "clear"
    others = predicting_run("c", truth, proba, sample_id=range(1, 41), tags={_DIGEST: "cccc"})
    assert "'c'" in compared([*runs, others], NotComparable()).findings[0].message


def test_other_labels_of_the_same_samples_are_not_comparable() -> None:
    truth, order = np.arange(40) % 2, np.arange(40)[::-1]
    proba, ids = np.random.default_rng(0).random(40), [f"s{i}" for i in range(40)]
    noisy = np.where(np.arange(40) < 3, 1 - truth, truth)
    runs = [
        predicting_run("a", truth, proba, sample_id=ids),
        predicting_run("b", noisy[order], proba[order], sample_id=ids[::-1]),
        predicting_run("c", truth, proba, sample_id=ids),
    ]
    (found,) = compared(runs, NotComparable()).findings
    assert found.status == "flagged"
    assert "'b' (3 of 40 true labels differ)" in found.message
    assert compared([runs[0], runs[2]], NotComparable()).findings[0].status == "clear"


def test_one_run_is_compared_with_nobody() -> None:
    assert compared([named_run("a", _CURVES)], NotComparable()).findings[0].status == "not_applicable"
    assert compared([RunData("u", "u")], NotComparable()).findings[0].status == "not_applicable"
