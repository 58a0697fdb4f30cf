"""What is timed really logs: the sides differ in what stands in the store, and both trainings end alike."""

from pathlib import Path

import mlflow
import pytest

from benchmarks.logged_fits import FITS, SIDES, diagnosis_seconds, fit_all, fit_on_all_sides, load_fits
from benchmarks.logged_nets import load_images, train_keras, train_torch
from benchmarks.logged_points import by_log_metric, by_log_metrics, by_training_log, load_points, train_long
from benchmarks.logging import PARTS, Plan


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmarks choose their store for the whole process, which here goes on."""
    monkeypatch.setattr("benchmarks.stores.mlflow.set_experiment", lambda name: _use(monkeypatch, name))
    monkeypatch.setattr(
        "benchmarks.stores.mlflow.set_tracking_uri", lambda uri: monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    )


def _use(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = mlflow.MlflowClient().get_experiment_by_name(name)
    assert found is not None
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", found.experiment_id)


def test_points_arrive_whole_by_every_way(tmp_path: Path) -> None:
    (steps,) = load_points(tmp_path, None, 7)
    for work in (by_log_metric, by_log_metrics, by_training_log):
        assert work(steps)["points a second"] > 0
        history = mlflow.MlflowClient().get_metric_history(mlflow.last_active_run().info.run_id, "val_loss")
        assert [point.value for point in history] == [values["val_loss"] for values in steps]


def test_a_long_training_logs_every_step(tmp_path: Path) -> None:
    (steps,) = load_points(tmp_path, None, 10)
    train_long(steps, 1_500, stop_when="overfitting")
    history = mlflow.MlflowClient().get_metric_history(mlflow.last_active_run().info.run_id, "train_accuracy")
    assert [point.step for point in history] == list(range(1_500))


_QUIET = (
    "ignore::sklearn.exceptions.ConvergenceWarning",  # of trainings that are short
    "ignore:`y_pred` was renamed:FutureWarning",  # scikit-learn about MLflow
)


@pytest.mark.filterwarnings(*_QUIET)
def test_sides_of_the_fits_log_what_they_say(tmp_path: Path) -> None:
    data = load_fits(tmp_path, 400)
    assert set(fit_all(*data, side="plain")) == set(FITS)
    assert not mlflow.search_runs(output_format="list")
    fit_all(*data, side="mlflow")
    theirs = mlflow.search_runs(output_format="list")
    assert len(theirs) == len(FITS)
    assert not any("train_loss" in run.data.metrics for run in theirs)
    fit_all(*data, side="both")
    both = mlflow.search_runs(output_format="list", max_results=len(FITS))
    assert all({"train_loss", "val_loss", "train_accuracy", "val_accuracy"} <= run.data.metrics.keys() for run in both)
    assert all("training_score" in run.data.metrics for run in both)


@pytest.mark.filterwarnings(*_QUIET)
@pytest.mark.parametrize("turn", [0, 3])
def test_every_fit_is_timed_on_every_side(tmp_path: Path, turn: int) -> None:
    seconds = fit_on_all_sides(*load_fits(tmp_path, 400), turn=turn)
    assert set(seconds) == {f"{side}: {name}" for side in SIDES for name in FITS}
    assert next(iter(seconds)).startswith(f"{SIDES[turn]}: ")
    runs = mlflow.search_runs(output_format="list")
    assert len(runs) == 3 * len(FITS)
    assert sum("val_loss" in run.data.metrics for run in runs) == 2 * len(FITS)
    assert sum("lossacc.samples.validation" in run.data.tags for run in runs) == len(FITS)


@pytest.mark.filterwarnings(*_QUIET)
def test_the_diagnoses_that_are_timed_are_written(tmp_path: Path) -> None:
    seconds = diagnosis_seconds(*load_fits(tmp_path, 400))
    assert set(seconds) == set(FITS)
    runs = mlflow.search_runs(output_format="list", max_results=len(FITS))
    assert all(run.data.tags["lossacc.status"] == "ok" for run in runs)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")  # Keras
@pytest.mark.parametrize("train", [train_torch, train_keras])
def test_both_trainings_end_alike_and_only_one_logs(tmp_path: Path, train: object) -> None:
    assert callable(train)
    images = load_images(tmp_path, 2)
    plain = train(*images, is_logged=False)
    assert not mlflow.search_runs(output_format="list")
    assert train(*images, is_logged=True) == pytest.approx(plain, rel=1e-6)
    (run,) = mlflow.search_runs(output_format="list")
    assert run.data.metrics["val_loss"] == pytest.approx(plain["loss"], rel=1e-5)
    assert run.data.metrics["val_accuracy"] == pytest.approx(plain["accuracy"], rel=1e-5)
    assert len(mlflow.MlflowClient().get_metric_history(run.info.run_id, "train_loss")) == 2
    assert "lossacc.samples.validation" in run.data.tags


def test_a_part_says_which_goals_are_missed() -> None:
    part = PARTS["memory"](Plan(scale=0.002, n_rounds=1))
    assert [goal.reached for goal in part.goals] == [True, True]
    assert "judged at every step" in part.paragraphs[0]
