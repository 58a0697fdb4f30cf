# ruff: noqa: N803  (scikit-learn's name)
"""Automatic logging of scikit-learn: which fit is logged to which run, and that no training is changed by it."""

import copy
import logging
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from joblib import parallel_backend
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin, clone, config_context
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators

import lossacc_mlflow
from lossacc_mlflow.loggers import hooks
from lossacc_mlflow.loggers.sklearn import recipe_for
from lossacc_mlflow.loggers.sklearn.estimators import watched_classes
from tests.conftest import Tracking
from tests.loggers.sklearn.every import EVERY, data_for
from tests.loggers.sklearn.runs import Array, digits, logged, only_run

with suppress(ImportError):  # the marker deselects the test where it is missing
    import xgboost

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning",  # few epochs are enough here
    "ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning",
)
CURVES = {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
VALIDATION = {"lossacc/predictions/validation.json", "lossacc/predictions/validation.parquet"}


@pytest.fixture
def on(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    """Automatic logging, without diagnoses."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    lossacc_mlflow.autolog(diagnose=False)
    yield here
    mlflow.sklearn.autolog(disable=True)
    lossacc_mlflow.autolog(disable=True)


def boosting(n_estimators: int = 5) -> GradientBoostingClassifier:
    return GradientBoostingClassifier(n_estimators=n_estimators, max_depth=2, random_state=0)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "lossacc_mlflow" and r.levelno >= logging.WARNING]


def test_every_classifier_and_regressor_is_watched() -> None:
    wanted = {owner for _, owner in all_estimators(type_filter=["classifier", "regressor"])}
    names = {owner.__name__ for owner in watched_classes()}
    assert wanted <= set(watched_classes())
    assert {"Pipeline", "GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV"} <= names


def test_a_fit_gets_a_run_with_curves_predictions_and_tags(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        model = boosting().fit(X, y)
    run = only_run(on)
    assert (run.status, mlflow.active_run()) == ("FINISHED", None)
    assert set(run.curves) == CURVES
    steps, loss = run.curves["val_loss"]
    assert steps == [1, 2, 3, 4, 5]
    assert loss[-1] == pytest.approx(log_loss(y_val, model.predict_proba(X_val)))
    assert run.curves["train_accuracy"][1][-1] == accuracy_score(y, model.predict(X))
    assert set(run.files) >= VALIDATION
    assert run.tags["lossacc.step_unit"] == "iteration"
    assert run.tags["lossacc.loss"] == "log_loss"
    assert run.tags["lossacc.n_classes"] == "4"
    assert run.tags["estimator_name"] == "GradientBoostingClassifier"
    counts = np.unique(y, return_counts=True)[1]
    assert float(run.tags["lossacc.baseline_accuracy"]) == np.mean(y_val == counts.argmax())
    assert float(run.tags["lossacc.baseline_loss"]) == pytest.approx(
        log_loss(y_val, np.tile(counts / counts.sum(), (len(y_val), 1)))
    )


def test_the_active_run_is_taken_and_left_open(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with mlflow.start_run() as active, lossacc_mlflow.validation_data(X_val, y_val):
        boosting().fit(X=X, y=y)
        assert mlflow.active_run().info.run_id == active.info.run_id
    run = only_run(on)
    assert run.run_id == active.info.run_id
    assert set(run.curves) == CURVES


def test_regressors_get_rmse_and_r2(on: Tracking) -> None:
    X, y = load_diabetes(return_X_y=True)
    with lossacc_mlflow.validation_data(X[300:], y[300:]):
        model = GradientBoostingRegressor(n_estimators=4, random_state=0).fit(X[:300], y[:300])
    run = only_run(on)
    assert set(run.curves) == {"train_rmse", "val_rmse", "train_r2", "val_r2"}
    assert run.curves["val_r2"][1][-1] == pytest.approx(model.score(X[300:], y[300:]))
    assert "lossacc/predictions/validation_regression.json" in run.files
    assert "lossacc.loss" not in run.tags


def test_one_run_has_one_model_and_says_so_once(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        DummyClassifier().fit(X, y)  # what a model is held against takes no run
        boosting().fit(X, y)
        for _ in range(2):
            RandomForestClassifier(3).fit(X, y)
    assert only_run(on).curves["train_loss"][0] == [1, 2, 3, 4, 5]
    (warning,) = warnings_of(caplog)
    assert "has the curves of a GradientBoostingClassifier; a RandomForestClassifier trained" in warning


def test_a_fit_that_fails_leaves_the_run_to_the_next(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            boosting().fit(X, y[:-1])
        boosting().fit(X, y)
    assert len(only_run(on).curves["train_loss"][0]) == 5
    assert warnings_of(caplog) == []


def test_an_own_run_of_a_failed_fit_is_failed(on: Tracking) -> None:
    X, y, *_ = digits()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        boosting().fit(X, y[:-1])
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        boosting().fit(X)
    assert [run.status for run in logged(on)] == ["FAILED"]
    assert mlflow.active_run() is None


class Interrupted(MLPClassifier):  # type: ignore[misc]  # scikit-learn has no types
    """Is stopped by its user after some epochs."""

    def _update_no_improvement_count(self, *args: Any) -> None:  # noqa: ANN401
        super()._update_no_improvement_count(*args)
        if self.n_iter_ == 4:
            raise RuntimeError("stop")


def test_what_was_seen_of_a_fit_before_it_failed_is_logged(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val), pytest.raises(RuntimeError, match="stop"):
        Interrupted((5,), random_state=0).fit(X, y)
    run = only_run(on)
    assert run.status == "FAILED"
    assert run.curves["val_loss"][0] == [1, 2, 3]


def test_an_interrupt_ends_the_fit_and_the_run(on: Tracking) -> None:
    def stop(_: Array) -> Array:
        raise KeyboardInterrupt

    X, y, *_ = digits()
    with pytest.raises(KeyboardInterrupt):
        make_pipeline(FunctionTransformer(stop), boosting()).fit(X, y)
    assert only_run(on).status == "KILLED"
    assert not hooks.is_nested()


def test_what_fits_inside_is_passed_through(on: Tracking) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        cross_val_score(boosting(), X, y, cv=2)
        RFE(LogisticRegression(), n_features_to_select=60).fit(X, y)
        with parallel_backend("threading", n_jobs=2):
            voting = VotingClassifier([("a", GaussianNB()), ("b", RandomForestClassifier(3))], voting="soft")
            voting.fit(X, y)
    run = only_run(on)
    assert {key: len(steps) for key, (steps, _) in run.curves.items()} == {"train_loss": 1, "train_accuracy": 1}


class Meta(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Somebody's meta-estimator, which is none of scikit-learn's."""

    def fit(self, X: Array, y: Array) -> "Meta":
        self.model_ = GaussianNB().fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Array) -> Array:
        predicted: Array = self.model_.predict(X)
        return predicted


def test_cross_validation_of_somebody_elses_estimator_logs_nothing(on: Tracking) -> None:
    X, y, *_ = digits()
    cross_val_score(Meta(), X, y, cv=2)
    assert logged(on) == []


def test_worker_processes_log_nothing(on: Tracking) -> None:
    X, y, *_ = digits()
    with mlflow.start_run():
        cross_val_score(boosting(2), X, y, cv=2, n_jobs=2)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            models = pool.starmap(boosting(2).fit, [(X, y), (X, y)])
        boosting(2).fit(X, y)
    assert len(models) == 2
    assert only_run(on).curves["train_loss"][0] == [1, 2]


def test_two_runs_in_threads(on: Tracking) -> None:
    X, y, *_ = digits()

    def train(n_estimators: int) -> None:
        with mlflow.start_run():
            boosting(n_estimators).fit(X, y)

    threads = [threading.Thread(target=train, args=(n,)) for n in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(run.curves["train_loss"][0]) for run in logged(on)) == [3, 5]


def test_clones_copies_and_pickles_are_as_ever(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        model = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, y)
    lossacc_mlflow.autolog(disable=True)
    plain = MLPClassifier((5,), max_iter=3, random_state=0).fit(X, y)
    assert pickle.dumps(model) == pickle.dumps(plain)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # noqa: S301  (our own)
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "coefs_")
    assert len(logged(on)) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: MLPClassifier((5,), max_iter=4, random_state=rng),
        lambda rng: RandomForestClassifier(5, random_state=rng),
        lambda rng: SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=rng),
        lambda rng: GradientBoostingClassifier(n_estimators=3, subsample=0.5, random_state=rng),
        lambda rng: make_pipeline(StandardScaler(), LogisticRegression(random_state=rng)),
        lambda rng: GridSearchCV(RandomForestClassifier(3, random_state=rng), {"max_depth": [1, 2]}, cv=2),
        lambda rng: DummyClassifier(strategy="uniform", random_state=rng),
        lambda rng: KNeighborsClassifier() if rng is None else SVC(random_state=rng),
    ],
)
@pytest.mark.parametrize("given", ["seed", "generator", "global"])
def test_models_are_the_same_with_and_without(on: Tracking, make: Callable[[Any], Any], given: str) -> None:
    X, y, X_val, y_val = digits(n_samples=150)

    def train() -> tuple[Array, Array]:
        np.random.seed(3)  # noqa: NPY002  (what scikit-learn draws from)
        rng = {"seed": 0, "generator": np.random.RandomState(0), "global": None}[given]
        model = make(rng).fit(X, y)
        return model.predict(X_val), np.random.random(3)  # noqa: NPY002

    with lossacc_mlflow.validation_data(X_val, y_val):
        answers, drawn = train()
    lossacc_mlflow.autolog(disable=True)
    plain, drawn_plain = train()
    np.testing.assert_array_equal(answers, plain)
    np.testing.assert_array_equal(drawn, drawn_plain)
    assert len(logged(on)) == 1


def test_steps_before_a_pipelines_last_are_applied_to_the_validation_data(on: Tracking, tmp_path: Any) -> None:  # noqa: ANN401
    X, y, X_val, y_val = digits()
    columns = [f"pixel {i}" for i in range(64)]
    frame, frame_val = pd.DataFrame(X, columns=columns), pd.DataFrame(X_val, columns=columns)
    inner = Pipeline([("none", "passthrough"), ("model", boosting())])
    outer = Pipeline(
        [
            ("columns", make_column_transformer((StandardScaler(), columns[:40]), remainder="drop")),
            ("union", FeatureUnion([("scaled", StandardScaler()), ("raw", "passthrough")])),
            ("inner", inner),
        ],
        memory=str(tmp_path / "cache"),
    )
    with lossacc_mlflow.validation_data(frame_val, list(y_val)):
        outer.fit(frame, y)
        outer.fit(frame, y)  # now from the cache
    runs = logged(on)
    for run in runs:
        assert run.curves["val_loss"][0] == [1, 2, 3, 4, 5]
        assert run.curves["val_loss"][1][-1] == pytest.approx(log_loss(y_val, outer.predict_proba(frame_val)))
        assert run.curves["train_loss"][1][-1] == pytest.approx(log_loss(y, outer.predict_proba(frame)))
    assert len(runs) == 2


@pytest.mark.parametrize("as_keyword", [True, False])
def test_sample_weights_and_string_labels_of_sparse_data(on: Tracking, as_keyword: bool) -> None:
    X, y, X_val, y_val = digits()
    words = np.array(["null", "one", "two", "three"])
    weight = np.linspace(0.1, 2, len(y))
    model = RandomForestClassifier(4, random_state=0)
    with lossacc_mlflow.validation_data(csr_matrix(X_val), words[y_val]):
        if as_keyword:
            model.fit(csr_matrix(X), words[y], sample_weight=weight)
        else:
            model.fit(csr_matrix(X), words[y], weight)
    run = only_run(on)
    expected = log_loss(words[y], model.predict_proba(X), sample_weight=weight)
    assert run.curves["train_loss"][1][-1] == pytest.approx(expected)
    assert run.curves["val_loss"][1][-1] == pytest.approx(log_loss(words[y_val], model.predict_proba(X_val)))
    assert '"three": ' in run.tags["lossacc.class_counts"]
    assert b'"three"' in run.files["lossacc/predictions/validation.json"]


def test_weights_reach_the_model_by_metadata_routing(on: Tracking) -> None:
    X, y, *_ = digits()
    weight = np.linspace(0.1, 2, len(y))
    with config_context(enable_metadata_routing=True):
        model = boosting().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, model).fit(X, y, sample_weight=weight)
    assert only_run(on).curves["train_loss"][1][-1] == pytest.approx(
        log_loss(y, pipeline.predict_proba(X), sample_weight=weight)
    )


def test_without_probabilities_the_loss_is_hinge_or_there_is_none(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        svc = LinearSVC(random_state=0).fit(X, y)
        VotingClassifier([("a", GaussianNB()), ("b", GaussianNB())]).fit(X, y)
    of_svc, of_voting = logged(on)
    assert of_svc.tags["lossacc.loss"] == "hinge"
    assert of_svc.curves["val_accuracy"][1][-1] == svc.score(X_val, y_val)
    assert set(of_voting.curves) == {"train_accuracy", "val_accuracy"}
    assert "lossacc.loss" not in of_voting.tags


def test_several_targets_are_said_to_be_unsupported_once(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, Y = make_multilabel_classification(60, random_state=0)
    for _ in range(2):
        model = KNeighborsClassifier().fit(X, Y)
    Ridge().fit(X, Y.astype(float))
    assert model.predict(X).shape == Y.shape
    assert logged(on) == []
    assert [warning.split(" (")[0] for warning in warnings_of(caplog)] == [
        "lossacc: KNeighborsClassifier is trained on 5 targets a sample",
        "lossacc: Ridge is trained on 5 targets a sample",
    ]


def test_validation_samples_of_unseen_classes_are_left_out(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        model = boosting().fit(X[y < 3], y[y < 3])
    known = y_val < 3
    run = only_run(on)
    assert run.curves["val_accuracy"][1][-1] == model.score(X_val[known], y_val[known])
    (warning,) = warnings_of(caplog)
    assert f"{np.sum(~known)} of {len(y_val)} validation samples have classes that are not in the training" in warning


def test_what_goes_wrong_on_our_side_is_one_warning_and_a_tag(on: Tracking, caplog: pytest.LogCaptureFixture) -> None:
    X, y, X_val, y_val = digits()
    with mlflow.start_run(), lossacc_mlflow.validation_data(X_val[:, :7], y_val):
        model = boosting().fit(X, y)
    assert model.n_features_in_ == 64
    assert warnings_of(caplog) == [
        "lossacc: validation curves of GradientBoostingClassifier: ValueError: X has 7 features, but "
        "GradientBoostingClassifier is expecting 64 features as input."
    ]
    assert only_run(on).tags["lossacc.status"].startswith("failed: ")


@pytest.mark.parametrize(
    ("make", "n_points"),
    [
        (boosting, 5),  # after fit
        (lambda: MLPClassifier(4, max_iter=4, random_state=0), 4),  # during fit
        (lambda: LogisticRegression(max_iter=4), 4),
        (lambda: LinearSVC(max_iter=4, random_state=0), 4),  # fitted again
        (KNeighborsClassifier, 1),  # no steps
        (lambda: make_pipeline(StandardScaler(), boosting()), 5),
    ],
)
@pytest.mark.filterwarnings("ignore:Liblinear failed to converge:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("fault", ["features", "one sample", "missing values", "targets", "empty"])
def test_validation_data_at_fault_cost_the_validation_curves_alone(
    on: Tracking, caplog: pytest.LogCaptureFixture, make: Callable[[], Any], n_points: int, fault: str
) -> None:
    X, y, X_val, y_val = digits()
    given = {
        "features": (X_val[:, :7], y_val),
        "one sample": (X_val[0], y_val[:64]),
        "missing values": (np.where(X_val > X_val.mean(), np.nan, X_val), y_val),
        "targets": (X_val, np.column_stack([y_val, y_val])),
        "empty": (X_val[:0], y_val[:0]),
    }[fault]
    with lossacc_mlflow.validation_data(*given):
        make().fit(X, y)
    assert {key: len(steps) for key, (steps, _) in only_run(on).curves.items()} == {
        "train_loss": n_points,
        "train_accuracy": n_points,
    }
    assert len(warnings_of(caplog)) == 1


def test_validation_samples_of_a_regression_without_a_target_are_left_out(
    on: Tracking, caplog: pytest.LogCaptureFixture
) -> None:
    X, y = load_diabetes(return_X_y=True)
    y_val = y[300:].copy()
    y_val[:9] = np.nan
    with lossacc_mlflow.validation_data(X[300:], y_val):
        model = GradientBoostingRegressor(n_estimators=3).fit(X[:300], y[:300])
    assert only_run(on).curves["val_r2"][1][-1] == pytest.approx(model.score(X[309:], y[309:]))
    (warning,) = warnings_of(caplog)
    assert f"9 of {len(y_val)} validation samples have no target" in warning


def test_a_part_is_held_out_where_it_is_asked_for(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    X, y, *_ = digits(n_samples=200)
    weight = np.arange(len(y), dtype=float)
    seen: dict[str, Array] = {}

    class Spy(GaussianNB):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> "Spy":
            super().fit(X, y, sample_weight)
            return self

        def _partial_fit(self, X: Array, y: Array, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            seen.update(X=X, y=y, weight=kwargs["sample_weight"])
            return super()._partial_fit(X, y, *args, **kwargs)

    lossacc_mlflow.autolog(validation_fraction=0.2, diagnose=False)
    try:
        Spy().fit(X, y, sample_weight=weight)
    finally:
        lossacc_mlflow.autolog(disable=True)
    n_held_out = len(y) - len(seen["y"])
    assert n_held_out == np.ceil(0.2 * len(y))
    np.testing.assert_array_equal(X[seen["weight"].astype(int)], seen["X"])
    shares, of_train = (np.unique(t, return_counts=True)[1] / len(t) for t in (y, seen["y"]))
    np.testing.assert_allclose(of_train, shares, atol=1 / len(of_train) / 10)
    run = only_run(here)
    assert run.tags["lossacc.validation_data"].startswith(f"{n_held_out} of {len(y)} training samples held out")
    assert {"val_loss", "val_accuracy"} <= set(run.curves)


def test_the_block_of_validation_data_wins_over_the_option(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    lossacc_mlflow.autolog(validation_data=(X, y), validation_fraction=0.5, diagnose=False)
    with lossacc_mlflow.validation_data(X_val, y_val):
        make_pipeline(StandardScaler(), boosting()).fit(X, y)
    boosting().fit(X, y)
    first, second = logged(on)
    assert len(first.curves["val_loss"][1]) == 5
    assert first.curves["val_loss"][1][-1] != second.curves["val_loss"][1][-1]
    np.testing.assert_array_equal(second.curves["val_loss"][1], second.curves["train_loss"][1])


def test_without_validation_data_the_diagnosis_says_how_to_give_them(on: Tracking) -> None:
    X, y, *_ = digits()
    boosting().fit(X, y)
    run = only_run(on)
    assert set(run.curves) == {"train_loss", "train_accuracy"}
    (missing,) = [f for f in lossacc_mlflow.diagnose(run.run_id).flagged if f.code == "LOG005"]
    assert "No validation loss, no validation accuracy." in missing.message
    assert "with lossacc_mlflow.validation_data(X_val, y_val):" in missing.advice


@pytest.mark.frameworks
def test_a_pipeline_may_end_in_a_boosted_model_of_another_library(on: Tracking) -> None:
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        model = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=4, n_jobs=1)).fit(X, y)
    run = only_run(on)
    assert set(run.curves) == CURVES
    assert run.curves["val_loss"][1][-1] == pytest.approx(log_loss(y_val, model.predict_proba(X_val)), rel=1e-5)


def test_every_estimator_answers_the_same_and_has_a_run_of_what_its_recipe_says(on: Tracking) -> None:
    """One test for all of them: what a run costs would be paid by each else."""
    supported = [case for case in EVERY if "Several targets" not in recipe_for(case.make()).why]
    expected = []
    for case in supported:
        data, answers = data_for(case), []
        for is_on in (True, False):
            if is_on:
                lossacc_mlflow.autolog(diagnose=False, predictions=None)
            else:
                lossacc_mlflow.autolog(disable=True)
            with lossacc_mlflow.validation_data(data.X_val, data.y_val), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of few iterations, and of classes that scikit-learn is to drop
                np.random.seed(0)  # noqa: NPY002  (what those without a random_state draw from)
                model = case.make().fit(data.X, data.y)
                answers.append((model.predict(data.X_val), np.random.random()))  # noqa: NPY002
        np.testing.assert_array_equal(answers[0][0], answers[1][0], err_msg=case.name)
        assert answers[0][1] == answers[1][1], case.name
        recipe, splits = recipe_for(model), ("train", "val")
        has_loss = recipe.loss is not None or hasattr(model, "predict_proba")
        scores = ("rmse", "r2") if not case.is_classifier else ("loss", "accuracy") if has_loss else ("accuracy",)
        expected.append((case.name, {f"{split}_{score}" for split in splits for score in scores}, recipe.source))
    runs = {run.tags["estimator_name"]: run for run in logged(on)}
    assert len(runs) == len(supported)
    for name, keys, source in expected:
        lengths = {len(steps) for steps, _ in runs[name].curves.values()}
        assert set(runs[name].curves) == keys, name
        assert (lengths == {1}) == (source in {"by sample size", "none"}), name
        assert "lossacc.status" not in runs[name].tags, name


def test_the_example_of_the_docs_runs(on: Tracking) -> None:
    page = Path(lossacc_mlflow.__file__).parents[1] / "docs" / "frameworks" / "sklearn.md"
    example = page.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    exec(compile(example, str(page), "exec"), {"__name__": "example"})  # noqa: S102  (our own)
    lossacc_mlflow.wait_for_diagnoses()
    run = only_run(on)
    assert len(run.curves["val_loss"][0]) == 30
    assert run.tags["lossacc.status"] == "ok"


def test_without_a_server_a_fit_goes_on_after_one_warning(
    on: Tracking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    X, y, *_ = digits()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert boosting().fit(X, y).n_estimators_ == 5
    assert ["no tracking server answers" in record.message for record in caplog.records] == [True]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", on.uri)
