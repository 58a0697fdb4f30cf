"""Searches: the curves of the model that was chosen, and what every candidate scored."""

import logging
from collections.abc import Iterator

import mlflow
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer, median_absolute_error
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import lossacc_mlflow
from lossacc_mlflow.loggers.sklearn.searches import search_results
from lossacc_mlflow.store import clean_run, decode_search
from tests.conftest import Tracking
from tests.loggers.sklearn.runs import digits, logged, only_run


@pytest.fixture
def on(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """Automatic logging, without diagnoses."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    lossacc_mlflow.autolog(diagnose=False)
    yield here
    mlflow.sklearn.autolog(disable=True)
    lossacc_mlflow.autolog(disable=True)


def test_the_chosen_model_has_curves_and_the_candidates_a_table_and_a_picture(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    pipeline = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=4, random_state=0))
    grid = {
        "gradientboostingclassifier__learning_rate": [0.01, 0.1, 1.0],
        "standardscaler": ["passthrough", MinMaxScaler()],
    }
    search = RandomizedSearchCV(pipeline, grid, n_iter=4, cv=2, random_state=0, return_train_score=True)
    with lossacc_mlflow.validation_data(X_val, y_val):
        search.fit(X, y)
    run = only_run(on)
    assert run.curves["val_loss"][0] == [1, 2, 3, 4]
    assert run.curves["val_loss"][1][-1] == pytest.approx(log_loss(y_val, search.predict_proba(X_val)))
    kept = decode_search(run.files["lossacc/search.csv"])
    (score,) = kept.scores
    assert (score.metric, kept.best, kept.n_splits) == ("accuracy", search.best_index_, 2)
    np.testing.assert_array_equal(score.validation_mean, search.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(score.train_sd, search.cv_results_["std_train_score"])
    assert set(kept.parameters["standardscaler"]) <= {"passthrough", "MinMaxScaler()"}

    for _ in range(2):
        lossacc_mlflow.diagnose(run.run_id, write=True)
        files = on.files(run.run_id)
        assert files["lossacc/search.csv"] == run.files["lossacc/search.csv"]
        assert files["lossacc/search.png"].startswith(b"\x89PNG")
        assert b"What the search has tried" in files["lossacc/report.html"]
    clean_run(run.run_id)
    assert not any(path.startswith("lossacc/") for path in on.files(run.run_id))


def test_without_refit_there_is_the_table_alone(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}, cv=2, refit=False).fit(X, y)
    run = only_run(on)
    assert not run.curves
    kept = decode_search(run.files["lossacc/search.csv"])
    assert (kept.best, kept.parameters["n_neighbors"], kept.scores[0].has_train) == (0, (1.0, 3.0), False)
    lossacc_mlflow.diagnose(run.run_id, write=True)
    assert "lossacc/search.png" in on.files(run.run_id)


def test_a_search_of_a_watched_model_sees_the_one_that_is_kept(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    search = GridSearchCV(MLPClassifier((5,), max_iter=3, random_state=0), {"alpha": [0.1, 10.0]}, cv=2)
    with pytest.warns(match="Maximum iterations"), lossacc_mlflow.validation_data(X_val, y_val):
        search.fit(X, y)
    assert only_run(on).curves["val_accuracy"][0] == [1, 2, 3]
    assert only_run(on).curves["val_accuracy"][1][-1] == search.score(X_val, y_val)


def test_several_metrics_the_one_that_decides_first() -> None:
    X, y, *_ = digits()
    scoring = {"mine": make_scorer(median_absolute_error, greater_is_better=False), "r2": "r2"}
    search = GridSearchCV(Ridge(), [{"alpha": [0.1, 1]}, {"solver": ["svd"]}], scoring=scoring, refit="r2", cv=2)
    results = search_results(search.fit(X, y.astype(float)))
    assert [score.metric for score in results.scores] == ["r2", "mine"]
    np.testing.assert_array_equal(results.parameters["alpha"], [0.1, 1, np.nan])
    assert results.parameters["solver"] == ("", "", "svd")


def test_rounds_of_a_halving_search_are_candidates_with_their_resource(on: Tracking) -> None:
    X, y, *_ = digits()
    search = HalvingGridSearchCV(LogisticRegression(), {"C": [0.01, 0.1, 1, 10]}, cv=2, random_state=0)
    search.fit(X, y)
    kept = decode_search(only_run(on).files["lossacc/search.csv"])
    assert len(kept) == len(search.cv_results_["iter"]) > 4
    assert kept.parameters["n_samples"] == tuple(map(float, search.cv_results_["n_resources"]))
    assert len(only_run(on).curves["train_loss"][0]) > 1


def test_a_name_of_the_scoring_is_the_name_of_the_score() -> None:
    X, y, *_ = digits()
    search = GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1]}, scoring="neg_log_loss", cv=2).fit(X, y)
    assert search_results(search).scores[0].metric == "neg_log_loss"


def test_runs_of_mlflows_candidates_are_left_to_mlflow_and_diagnosed(
    on: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "lossacc_mlflow")
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    lossacc_mlflow.autolog(diagnose=True, silent=True)
    X, y, X_val, y_val = digits()
    search = GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0]}, cv=2, return_train_score=True)
    with lossacc_mlflow.validation_data(X_val, y_val):
        search.fit(X, y)
    lossacc_mlflow.wait_for_diagnoses()
    parent, *children = logged(on)
    assert "val_loss" in parent.curves
    assert "lossacc/search.png" in parent.files
    assert parent.tags["lossacc.status"] == "ok"
    assert len(children) == 2
    for child in children:
        assert child.tags["mlflow.parentRunId"] == parent.run_id
        assert not {"train_loss", "val_loss"} & set(child.curves)
        assert child.tags["lossacc.status"].startswith("nothing to judge")
