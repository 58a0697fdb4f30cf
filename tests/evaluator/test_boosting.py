"""Boosted models, evaluated beside MLflow's own evaluator: their probabilities, and the names of their classes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss

from lossacc_mlflow.store import read_run
from tests.conftest import Tracking

with suppress(ImportError):  # the marker deselects these tests where it is missing
    import lightgbm
    import xgboost

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:.*:FutureWarning"),  # MLflow's evaluator, with scikit-learn 1.9
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning"),  # MLflow, with pandas 3
    pytest.mark.filterwarnings("ignore:.*integer column:UserWarning"),  # MLflow, about what its models may be sent
]

RNG = np.random.default_rng(0)
X = pd.DataFrame(RNG.normal(size=(300, 4)), columns=list("abcd"))
PLACES = np.digitize(X["a"] + RNG.normal(size=300), [-0.5, 0.5])


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_probabilities_of_estimators_are_asked_for(
    library: str, here: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    y: Any = PLACES if library == "xgboost" else np.array(["low", "middle", "top"])[PLACES]
    if library == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X[:200], y[:200])
    else:
        model = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1).fit(X[:200], y[:200])
    with mlflow.start_run() as run:
        logged = getattr(mlflow, library).log_model(model, name="model", pip_requirements=[])
        mlflow.models.evaluate(
            logged.model_uri,
            X[200:].assign(target=y[200:]),
            targets="target",
            model_type="classifier",
            evaluators=["default", "lossacc"],
            evaluator_config={"default": {"log_model_explainability": False}},
        )
    found = read_run(run.info.run_id, with_samples=True)
    assert found.tags["lossacc.status"] == "ok"
    summary, proba = found.predictions["validation"], model.predict_proba(X[200:])
    assert summary.log_loss == pytest.approx(log_loss(y[200:], proba), rel=1e-5)
    assert summary.accuracy == accuracy_score(y[200:], model.predict(X[200:]))
    assert found.samples["validation"].classes == tuple(str(name) for name in np.unique(y))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_a_booster_answers_with_the_probability_of_the_second_class(
    library: str, here: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    y = (PLACES > 0).astype(int)
    if library == "xgboost":
        model = xgboost.train({"objective": "binary:logistic", "nthread": 1}, xgboost.DMatrix(X[:200], y[:200]), 5)
        proba = model.predict(xgboost.DMatrix(X[200:]))
    else:
        data = lightgbm.Dataset(X[:200], y[:200])
        model = lightgbm.train({"objective": "binary", "num_threads": 1, "verbose": -1}, data, 5)
        proba = model.predict(X[200:])
    with mlflow.start_run() as run:
        logged = getattr(mlflow, library).log_model(model, name="model", pip_requirements=[])
        mlflow.models.evaluate(
            logged.model_uri,
            X[200:].assign(target=y[200:]),
            targets="target",
            model_type="classifier",
            evaluators=["lossacc"],  # MLflow's own takes no probabilities for answers
        )
    assert read_run(run.info.run_id).predictions["validation"].log_loss == pytest.approx(log_loss(y[200:], proba), 1e-5)
