"""Ours and MLflow's autologging, switched on and off in any order: one run, everything in it once, the same model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
import pytest
from mlflow.entities import Run
from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import lossacc_mlflow
from lossacc_mlflow.records import FloatArray
from tests.conftest import Tracking

X, Y = load_digits(n_class=3, return_X_y=True)
KEYS = ("train_accuracy", "train_loss", "val_accuracy", "val_loss")
SWITCHES: dict[str, Callable[[], None]] = {
    "ours": lossacc_mlflow.autolog,
    "ours off": lambda: lossacc_mlflow.autolog(disable=True),
    "mlflow": lambda: mlflow.sklearn.autolog(log_models=False, silent=True),
    "mlflow off": lambda: mlflow.sklearn.autolog(disable=True),
    "all of mlflow": lambda: mlflow.autolog(log_models=False, silent=True),
}
ORDERS = (
    "ours",
    "ours, mlflow",
    "mlflow, ours",
    "ours, mlflow, mlflow, ours",
    "ours, mlflow, mlflow off",
    "mlflow, mlflow off, ours, mlflow",
    "ours, mlflow, ours off",
    "all of mlflow, ours",
    "ours, ours off, all of mlflow, mlflow off",
)


@pytest.fixture(autouse=True)
def _nothing_stays_switched_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # What was said of one framework stands above mlflow.autolog().
    monkeypatch.setitem(AUTOLOGGING_INTEGRATIONS, "sklearn", {})
    before = {owner: vars(owner).get("fit") for owner in (GradientBoostingClassifier, LogisticRegression, GridSearchCV)}
    yield
    lossacc_mlflow.autolog(disable=True)
    mlflow.autolog(disable=True)
    mlflow.sklearn.autolog(disable=True)
    assert lossacc_mlflow.wait_for_diagnoses(60)
    assert {owner: vars(owner).get("fit") for owner in before} == before


@pytest.fixture
def store(here: Tracking, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tracking:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    monkeypatch.chdir(tmp_path)
    return here


def train() -> FloatArray:
    """Train a model, and return what it answers."""
    model = GradientBoostingClassifier(n_estimators=4, max_depth=2, subsample=0.5, random_state=0)
    with lossacc_mlflow.validation_data(X[300:], Y[300:]):
        return np.asarray(model.fit(X[:300], Y[:300]).predict_proba(X))


def points(store: Tracking, run: Run) -> dict[str, int]:
    return {key: len(store.client.get_metric_history(run.info.run_id, key)) for key in run.data.metrics}


@pytest.fixture(scope="module")
def answers() -> FloatArray:
    """What the model answers where nothing is switched on."""
    return train()


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_gives_one_run_with_everything_once(store: Tracking, answers: FloatArray, order: str) -> None:
    ours = theirs = False
    for step in order.split(", "):
        SWITCHES[step]()
        ours = not step.endswith("off") if step.startswith("ours") else ours
        theirs = theirs if step.startswith("ours") else not step.endswith("off")
    np.testing.assert_array_equal(train(), answers)
    assert lossacc_mlflow.wait_for_diagnoses(60)
    runs = store.client.search_runs([store.experiment_id])
    assert len(runs) == (ours or theirs)
    for run in runs:
        logged = points(store, run)
        assert run.info.status == "FINISHED"
        assert {key: logged.get(key) for key in KEYS} == dict.fromkeys(KEYS, 4 if ours else None)
        assert logged.get("training_accuracy_score") == (1 if theirs else None)
        assert ("lossacc.verdict" in run.data.tags) == ours
        assert run.data.tags.get("lossacc.status", "ok") == "ok"


def test_a_search_and_its_child_runs_are_diagnosed(store: Tracking) -> None:
    SWITCHES["mlflow"]()
    lossacc_mlflow.autolog(validation_data=(X[300:], Y[300:]))
    GridSearchCV(GradientBoostingClassifier(n_estimators=3), {"max_depth": [1, 2]}, cv=2).fit(X[:300], Y[:300])
    assert lossacc_mlflow.wait_for_diagnoses(60)
    runs = store.client.search_runs([store.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert (len(parents), len(runs)) == (1, 3)
    assert all("lossacc.status" in run.data.tags for run in runs)
    assert "lossacc.verdict" in parents[0].data.tags
    assert points(store, parents[0])["val_loss"] == 3


def test_a_training_that_fails_ends_its_run_and_raises_its_own_error(store: Tracking) -> None:
    for step in ("ours", "mlflow"):
        SWITCHES[step]()
    with pytest.raises(ValueError, match="1 class"):
        GradientBoostingClassifier().fit(X[:300], np.zeros(300))
    assert mlflow.active_run() is None
    assert lossacc_mlflow.wait_for_diagnoses(60)
    runs = store.client.search_runs([store.experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"] * len(runs)
    assert len(train()) == len(X)
    assert mlflow.last_active_run().info.status == "FINISHED"


@pytest.mark.frameworks
@pytest.mark.parametrize("order", ["ours, all of mlflow", "all of mlflow, ours", "all of mlflow, ours, all of mlflow"])
def test_boosting_is_logged_once_in_every_order(store: Tracking, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    import xgboost  # noqa: PLC0415

    def boost() -> FloatArray:
        train, val = xgboost.DMatrix(X[:300], Y[:300]), xgboost.DMatrix(X[300:], Y[300:])
        params = {"objective": "multi:softprob", "num_class": 3, "eval_metric": ["mlogloss", "merror"], "nthread": 1}
        model = xgboost.train(params, train, 4, evals=[(train, "train"), (val, "validation")], verbose_eval=False)
        return np.asarray(model.predict(val))

    monkeypatch.setitem(AUTOLOGGING_INTEGRATIONS, "xgboost", {})
    function, answers = vars(xgboost)["train"], boost()
    for step in order.split(", "):
        SWITCHES[step]()
    np.testing.assert_array_equal(boost(), answers)
    assert lossacc_mlflow.wait_for_diagnoses(60)
    (run,) = store.client.search_runs([store.experiment_id])
    curves = {key: n for key, n in points(store, run).items() if n > 1}
    assert curves == dict.fromkeys(("train-mlogloss", "train-merror", "validation-mlogloss", "validation-merror"), 4)
    assert run.data.tags["lossacc.status"] == "ok"
    lossacc_mlflow.autolog(disable=True)
    mlflow.autolog(disable=True)
    assert vars(xgboost)["train"] is function
