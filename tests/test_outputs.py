"""The metrics that a diagnosis writes, and the pictures that a run allows."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from lossacc_mlflow.outputs import draw_comparison, draw_diagnosis, headline_metrics, run_update
from lossacc_mlflow.pipeline import judge
from lossacc_mlflow.plots import plot_attribution, to_png
from lossacc_mlflow.predictions import judge_predictions, make_predictions
from lossacc_mlflow.records import ClippedLoss, Diagnosis, Finding, RunData
from tests.builders import falling, make_curve, make_run
from tests.plots.examples import judged, numbers, steps, with_classes
from tests.render.examples import comparison


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


def test_a_regression_that_was_only_predicted_has_its_figures_and_its_picture() -> None:
    samples, summary = numbers(np.arange(20.0), np.arange(20.0) * 0.5 + 4)
    run = RunData("r", "r", regressions={"validation": summary}, regression_samples={"validation": samples})
    diagnosis = judge(run)
    metrics = headline_metrics(diagnosis)
    assert metrics["lossacc/best_r2"] == summary.r2
    assert metrics["lossacc/best_loss"] == summary.mse
    both = judge(replace(run, predictions={"validation": judged()[0]}))
    assert "lossacc/best_r2" not in headline_metrics(both)
    update = run_update(diagnosis)
    assert {a.path for a in update.artifacts} >= {"lossacc/regression.png", "lossacc/report.html"}
    report = next(a.body for a in update.artifacts if a.path == "lossacc/report.html").decode()
    assert "Predicted numbers" in report
    assert "True against predicted values" in report


def test_a_run_with_everything_fits_into_its_report_and_only_headlines_into_the_grid() -> None:
    labels = [f"a class with quite a long name, {i} of them" for i in range(40)]
    summary, samples = judged(2000, 40, labels, temperature=True)
    classes = with_classes([1 / 40] * 40, labels).classes
    clips = tuple(ClippedLoss(f"library {i}", 10.0**-i, 0.5 + i) for i in range(6))
    full = replace(summary, classes=classes, loss_by_clip=clips)
    accuracy = np.linspace(0.2, 0.9, 60).tolist()
    curves = {"train_loss": falling(60), "val_loss": falling(60, 2.0, 0.4), "val_accuracy": accuracy}
    run = make_run(
        curves,
        predictions={"train": full, "validation": full, "test": full},
        samples={"validation": samples},
        by_step={"train": steps("train"), "validation": steps(), "test": steps("test")},
        n_classes=40,
    )
    update = run_update(judge(run))
    report = next(a.body for a in update.artifacts if a.path == "lossacc/report.html")
    assert len(report) <= 500_000
    assert report.count(b'src="data:image/png') == 9
    assert b"Left out to keep this page small" not in report
    assert set(update.images) == {
        "lossacc_curves",
        "lossacc_loss_accuracy_plane",
        "lossacc_predictions_by_step",
        "lossacc_calibration",
        "lossacc_reliability",
    }


def test_the_pairs_that_tell_most_are_drawn_up_to_four() -> None:
    made = comparison("calm", "sharp", "sharper")
    one = made.pairs[0]
    moved = replace(one.groups[0], n=5, contribution=0.1)
    groups = (moved, *one.groups[1:])
    agrees = replace(one, delta_loss=-9.0, delta_accuracy=0.1, groups=groups)
    unknown = replace(agrees, delta_loss=float("nan"))
    contradicts = replace(agrees, name_a="contradicts", delta_loss=0.1)
    same = replace(one, groups=tuple(replace(g, contribution=0.0) for g in one.groups))
    pictures = draw_comparison(replace(made, pairs=(same, agrees, unknown, contradicts)))
    names = [name for name in pictures if name.startswith("attribution")]
    assert names == ["attribution.png", "attribution_2.png", "attribution_3.png"]
    assert pictures["attribution.png"] == to_png(plot_attribution(contradicts))
    assert pictures["attribution_3.png"] == to_png(plot_attribution(unknown))
    many = draw_comparison(replace(made, pairs=(agrees,) * 9))
    assert sum(name.startswith("attribution") for name in many) == 4


def test_findings_stand_in_the_title_of_the_picture_that_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    titles: dict[str, str] = {}

    def read_title(figure: Figure) -> bytes:
        """Gather the first two words that were drawn: the title and, where there is one, its coloured end."""
        words = [t.get_text() for t in figure.texts[:2]]
        titles[words[0]] = words[1] if words[1].startswith(" \u2014 ") else ""
        return b""

    monkeypatch.setattr("lossacc_mlflow.outputs.pictures.to_png", read_title)
    summary, samples = judged(200, 4, temperature=True)
    known = replace(summary, classes=with_classes([0.25] * 4).classes)
    run = make_run(predictions={"validation": known}, samples={"validation": samples}, by_step={"validation": steps()})
    listed = ("DIS001", "DIS003", "DIS005", "DIS006", "DIS007", "DIS009")
    flagged = tuple(Finding(code, code, "warning", "flagged", "") for code in listed)
    quiet = (Finding("DIS008", "", "warning", "clear", ""), Finding("DIS004", "", "warning", "not_applicable", ""))
    draw_diagnosis(Diagnosis(run, "healthy", "none", "", (*flagged, *quiet)))
    assert titles == {
        "What the loss is made of, step by step": " \u2014 DIS001",
        "How much of the loss is miscalibration?": " \u2014 DIS003 \u00b7 DIS006",
        "Is it right as often as it is sure? (validation)": " \u2014 DIS006",
        "How sure is it when right, and when wrong? (validation)": " \u2014 DIS003",
        "Who carries the loss? (validation)": " \u2014 DIS005 \u00b7 DIS009",
        "Which classes carry the loss? (validation)": " \u2014 DIS007",
        "Predicted and true classes (validation)": "",
    }
