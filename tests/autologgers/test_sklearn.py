"""What MLflow's own autologging of scikit-learn writes is read as it is meant: single points, no curves."""

from collections.abc import Iterator
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn import metrics  # whose functions MLflow replaces
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lossacc_mlflow as lossacc
from tests.conftest import Tracking

pytestmark = pytest.mark.filterwarnings("ignore:`y_pred` was renamed:FutureWarning")  # MLflow, with scikit-learn 1.9


@pytest.fixture(autouse=True)
def tracking(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    yield here
    mlflow.sklearn.autolog(disable=True)


def _runs(tracking: Tracking) -> list[lossacc.RunData]:
    """The runs, a parent before its children."""
    found = tracking.client.search_runs([tracking.experiment_id])
    found.sort(key=lambda run: "mlflow.parentRunId" in run.data.tags)
    return [lossacc.read_run(run.info.run_id) for run in found]


def _scores(run: lossacc.RunData) -> dict[tuple[str, str], float]:
    assert all(len(curve) == 1 for curve in run.curves)
    return {(curve.split, curve.metric.name): float(curve.value[0]) for curve in run.curves}


def test_scores_of_train_and_of_variables_that_tell_their_split(tracking: Tracking) -> None:
    X, y = load_iris(return_X_y=True)
    X_train, y_train, X_val, y_val, X_test_scaled, y_test = X[::3], y[::3], X[1::3], y[1::3], X[2::3] + 0.5, y[2::3]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    y_predicted = model.predict(X_val)
    scores = {
        ("train", "accuracy"): model.score(X_train, y_train),
        ("validation", "accuracy"): metrics.accuracy_score(y_val, y_predicted),
    }
    of_test = model.predict(X_test_scaled)
    scores["test", "accuracy"] = metrics.accuracy_score(y_test, of_test)
    proba = model.predict_proba(X_val)
    scores["validation", "log_loss"] = metrics.log_loss(y_val, proba)
    (run,) = _runs(tracking)
    read = _scores(run)
    assert {key: read[key] for key in scores} == pytest.approx(scores)
    assert ("train", "f1") in read
    diagnosis = lossacc.diagnose(run.run_id)
    assert diagnosis.verdict == "not_enough_information"
    assert "training_score" in run.other_keys  # says neither which score nor of which class


def test_scores_of_a_regression(tracking: Tracking) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = Ridge().fit(X[:300], y[:300])
    X_test, y_test = X[300:], y[300:]
    y_pred = model.predict(X_test)
    r2 = metrics.r2_score(y_test, y_pred)
    (run,) = _runs(tracking)
    read = _scores(run)
    assert read["test", "r2"] == r2
    rmse = np.sqrt(np.mean((model.predict(X[:300]) - y[:300]) ** 2))
    assert read["train", "root_mean_squared_error"] == pytest.approx(rmse)
    assert read["train", "r2"] == pytest.approx(model.score(X[:300], y[:300]))


def test_a_search_and_its_candidates(tracking: Tracking) -> None:
    X, y = load_iris(return_X_y=True)
    search: Any = GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1]}, cv=2, return_train_score=True)
    search.fit(X, y)
    parent, *children = _runs(tracking)
    assert _scores(parent)["train", "accuracy"] == pytest.approx(search.score(X, y))
    assert "best_cv_score" in parent.other_keys
    assert len(children) == 2
    for child in children:
        # A mean over folds, of a score without a name: it is understood not to be a curve.
        assert not child.curves
        assert {"mean_test_score", "mean_train_score"} <= set(child.other_keys)
