"""The metrics that a diagnosis writes, and the pictures that a run allows."""

from dataclasses import replace

import numpy as np
import pytest

from lossacc_mlflow.outputs import draw_diagnosis, headline_metrics, run_update
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import RunData
from tests.builders import falling, make_curve, make_run


def test_gaps_are_positive_where_validation_is_worse_whatever_the_direction() -> None:
    metrics = headline_metrics(
        judge(make_run({"train_loss": [0.2], "val_loss": [0.5], "train_accuracy": [1.0], "val_accuracy": [0.9]}))
    )
    assert metrics["lossacc/generalization_gap_loss"] == pytest.approx(0.3)
    assert metrics["lossacc/generalization_gap_accuracy"] == pytest.approx(0.1)


def test_best_is_the_best_and_not_the_last() -> None:
    metrics = headline_metrics(judge(make_run({"val_loss": [3.0, 1.0, 2.0], "val_accuracy": [0.1, 0.3, 0.2]})))
    assert (metrics["lossacc/best_loss"], metrics["lossacc/best_loss_step"]) == (1.0, 1.0)
    assert (metrics["lossacc/best_accuracy"], metrics["lossacc/best_accuracy_step"]) == (0.3, 1.0)


def test_a_regression_has_r2() -> None:
    curves = (make_curve("val_r2", [0.1, 0.8]), make_curve("val_mean_squared_error", [2.0, 1.0]))
    metrics = headline_metrics(judge(RunData("r", "r", curves)))
    assert metrics["lossacc/best_r2"] == 0.8
    assert "lossacc/best_accuracy" not in metrics


def test_sizes_of_the_training_set_have_no_best_step() -> None:
    metrics = headline_metrics(judge(make_run({"val_loss": [1.0, 0.5, 0.6]}, unit="n_samples")))
    assert metrics["lossacc/best_loss"] == 0.6
    assert "lossacc/best_loss_step" not in metrics


def test_what_is_not_finite_is_no_metric() -> None:
    run = make_run({"train_loss": [1.0, float("nan")], "val_loss": [float("inf"), float("nan")]})
    assert headline_metrics(judge(run)) == {"lossacc/n_flagged": 2.0}


def test_no_more_than_fifteen_metrics_with_everything_known() -> None:
    rng = np.random.default_rng(0)
    summary, samples = judge_predictions(make_predictions(rng.integers(0, 2, 50), rng.uniform(0, 1, 50)))
    curves = {
        "train_loss": falling(40, 2.0, 0.01),
        "val_loss": falling(20, 2.0, 0.5) + np.linspace(0.5, 1, 20).tolist(),
        "train_accuracy": np.linspace(0.5, 1.0, 40).tolist(),
        "val_accuracy": np.linspace(0.5, 0.9, 40).tolist(),
    }
    run = make_run(curves, predictions={"validation": summary}, samples={"validation": samples}, n_classes=2)
    diagnosis = judge(run)
    assert len(headline_metrics(diagnosis)) == 15
    assert set(draw_diagnosis(diagnosis)) == {
        "curves.png",
        "loss_accuracy_plane.png",
        "calibration.png",
        "reliability.png",
        "confidence.png",
        "loss_concentration.png",
        *(["class_loss.png"] if summary.classes else []),
        "confusion.png",
    }


def test_suspected_labels_are_a_table_of_their_own_where_there_are_any() -> None:
    summary, samples = judge_predictions(make_predictions([0, 1, 1], [0.2, 0.9, 0.1]))
    tables = {}
    none, one = np.zeros(3, dtype=bool), np.array([False, False, True])
    for name, issue in {"not looked": None, "none": none, "one": one}.items():
        marked = replace(samples, label_issue=issue)
        run = make_run(predictions={"validation": summary}, samples={"validation": marked}, n_classes=2)
        tables[name] = {a.path: a.body.decode() for a in run_update(judge(run)).artifacts if a.path.endswith(".csv")}
    assert set(tables["not looked"]) == set(tables["none"]) == {"lossacc/worst_predictions.csv"}
    assert tables["one"]["lossacc/suspected_labels.csv"].splitlines()[1].startswith("2,1,0,0.1")


def test_pictures_follow_from_what_is_known() -> None:
    assert set(draw_diagnosis(judge(make_run({"val_loss": [1.0]})))) == {"curves.png"}
    update = run_update(judge(make_run(other_keys=("throughput",))))
    assert not update.artifacts
    assert list(update.tags) == ["lossacc.status"]
