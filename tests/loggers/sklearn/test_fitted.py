"""Curves of models that were fitted before anybody asked: on the run, and read back."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_classification, make_regression
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import GradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lossacc_mlflow as lossacc
from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn import log_curves
from tests.conftest import Tracking

X, Y = make_classification(200, 6, n_informative=4, n_classes=3, flip_y=0.2, random_state=0)
WORDS = np.array(["left", "middle", "right"])[Y]
DATA = (X[:140], WORDS[:140], X[140:], WORDS[140:])


def _curves(run_id: str) -> dict[str, list[float]]:
    return {curve.key: curve.value.tolist() for curve in lossacc.read_run(run_id).curves}


def test_a_fitted_forest_is_read_back_and_judged(here: Tracking) -> None:
    run_id = here.new_run()
    model = RandomForestClassifier(20, random_state=0).fit(*DATA[:2])
    logged = log_curves(model, *DATA, run_id=run_id)
    run = lossacc.read_run(run_id)
    assert (run.tags["lossacc.loss"], run.tags["lossacc.n_classes"]) == ("log_loss", "3")
    assert sum(json.loads(run.tags["lossacc.class_counts"]).values()) == 140
    assert {curve.step_unit for curve in run.curves} == {"n_estimators"}
    assert _curves(run_id) == {key: value.tolist() for key, value in logged.values.items()}  # noqa: PD011
    assert lossacc.diagnose(run).verdict != "not_enough_information"


def _pipeline(final: Any) -> Any:  # noqa: ANN401
    scaled = ColumnTransformer([("all", StandardScaler(), ["a", "b", "c", "d", "e", "f"])])
    return make_pipeline(make_pipeline(scaled, "passthrough"), final)


@pytest.mark.parametrize(
    "wrap",
    [
        _pipeline,
        lambda final: GridSearchCV(_pipeline(final), {"randomforestclassifier__max_depth": [2, 3]}, cv=2),
        lambda final: make_pipeline(StandardScaler(), GridSearchCV(final, {"max_depth": [2, 3]}, cv=2)),
    ],
)
def test_of_pipelines_and_searches_the_last_best_step(wrap: Callable[[Any], Any], here: Tracking) -> None:
    frames = [pd.DataFrame(x, columns=list("abcdef")) for x in (X[:140], X[140:])]
    model = wrap(RandomForestClassifier(6, max_depth=3, random_state=0)).fit(frames[0], DATA[1])
    run_id = here.new_run()
    log_curves(model, frames[0], DATA[1], frames[1], DATA[3], run_id=run_id)
    loss = log_loss(DATA[3], model.predict_proba(frames[1]))
    assert _curves(run_id)["val_loss"][-1] == pytest.approx(loss, rel=1e-9)


def test_a_regressor_has_rmse_and_r2_and_no_named_loss(here: Tracking) -> None:
    inputs, target = make_regression(100, 4, noise=2.0, random_state=0)
    run_id = here.new_run()
    log_curves(GradientBoostingRegressor(n_estimators=8).fit(inputs, target), inputs, target, run_id=run_id)
    assert set(_curves(run_id)) == {"train_rmse", "train_r2"}
    assert "lossacc.loss" not in lossacc.read_run(run_id).tags


def test_curves_by_sample_size_and_of_clones_say_so(here: Tracking) -> None:
    by_size, clones = here.new_run(), here.new_run()
    log_curves(KNeighborsClassifier().fit(*DATA[:2]), *DATA, by_sample_size=True, run_id=by_size)
    assert {curve.step_unit for curve in lossacc.read_run(by_size).curves} == {"n_samples"}
    log_curves(SGDClassifier(random_state=0).fit(*DATA[:2]), *DATA, run_id=clones)
    run = lossacc.read_run(clones)
    assert run.tags["lossacc.loss"] == "hinge"
    assert run.tags["lossacc.curves_note"].startswith("The points before the last one are clones of the model")


@pytest.fixture
def mlflows_autologging() -> Iterator[None]:
    mlflow.sklearn.autolog(log_models=False)
    yield
    mlflow.sklearn.autolog(disable=True)


@pytest.mark.usefixtures("mlflows_autologging")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_logs_nothing_of_our_clones(here: Tracking) -> None:
    with mlflow.start_run(experiment_id=here.experiment_id) as run:
        model = SGDClassifier(loss="log_loss", random_state=0).fit(*DATA[:2])
        before = here.client.get_run(run.info.run_id).data
        log_curves(model, *DATA)
        after = here.client.get_run(run.info.run_id).data
    added = set(after.metrics) - set(before.metrics)
    assert added == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
    assert after.params == before.params
    assert len(here.client.search_runs([here.experiment_id])) == 1


def _fitted(model: Any) -> Any:  # noqa: ANN401
    return model.fit(*DATA[:2])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (RandomForestClassifier(), "RandomForestClassifier is not fitted: fit it first"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "the pipeline is not fitted|is not fitted"),
        (_fitted(KNeighborsClassifier()), "Pass by_sample_size=True for one over the size of the training data"),
        (_fitted(DummyClassifier()), "no curve of DummyClassifier. Answers without looking at the samples"),
        (_fitted(KMeans(2, n_init=1)), "KMeans is no classifier and no regressor"),
        (IsolationForest(n_estimators=2).fit(X), "IsolationForest is no classifier and no regressor"),
        (MultiOutputClassifier(LogisticRegression()).fit(X, np.c_[Y, Y]), "Several targets: not supported"),
        (
            _fitted(GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1]}, refit=False, cv=2)),
            "refit=False",
        ),
        ("forest", "str is no classifier and no regressor"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_has_no_curve_says_what_there_is(model: Any, message: str, here: Tracking) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match=message):
        log_curves(model, *DATA, run_id=here.new_run())


def test_too_long_a_second_training_is_told() -> None:
    model = _fitted(SGDClassifier(random_state=0))
    with pytest.raises(InputError, match="or fitting it again takes more than 1e-09 s"):
        log_curves(model, *DATA, max_refit_seconds=1e-9, run_id="any")


def test_no_run_is_told_before_anything_is_made() -> None:
    with pytest.raises(InputError, match="no run is active"):
        log_curves(RandomForestClassifier(), *DATA)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_other_libraries_boosters_go_to_their_own_loggers(library: str, here: Tracking) -> None:
    if library == "xgboost":
        from xgboost import XGBClassifier  # noqa: PLC0415

        model: Any = XGBClassifier(n_estimators=5, max_depth=2)
    else:
        from lightgbm import LGBMClassifier  # noqa: PLC0415

        model = LGBMClassifier(n_estimators=5, num_leaves=4, verbose=-1)
    pipeline = make_pipeline(StandardScaler(), model).fit(X[:140], Y[:140])
    run_id = here.new_run()
    log_curves(pipeline, X[:140], Y[:140], X[140:], Y[140:], run_id=run_id)
    loss = log_loss(Y[140:], pipeline.predict_proba(X[140:]))
    assert _curves(run_id)["val_loss"][-1] == pytest.approx(loss, rel=1e-5)
