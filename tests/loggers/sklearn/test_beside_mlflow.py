"""Our automatic logging of scikit-learn beside MLflow's own: one run, nothing twice, what MLflow logs as without us."""

from collections.abc import Callable, Iterator
from typing import Any

import mlflow
import numpy as np
import pytest
from sklearn import metrics  # whose functions MLflow replaces
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import lossacc_mlflow
from tests.conftest import Tracking
from tests.loggers.sklearn.runs import Array, digits, logged, only_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning",  # few epochs are enough here
    "ignore:`y_pred` was renamed:FutureWarning",  # MLflow's call of log_loss, with scikit-learn 1.9
)
OURS = {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}


@pytest.fixture
def here_both(here: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", here.experiment_id)
    yield here
    mlflow.sklearn.autolog(disable=True)
    lossacc_mlflow.autolog(disable=True)


def _mlflow_on() -> None:
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, silent=True)


def _ours_on() -> None:
    lossacc_mlflow.autolog(diagnose=False)


def _train(model: Any, data: tuple[Array, Array, Array, Array]) -> None:  # noqa: ANN401
    X, y, X_val, y_val = data
    with lossacc_mlflow.validation_data(X_val, y_val):
        model.fit(X, y)
    metrics.accuracy_score(y_val, model.predict(X_val))  # which MLflow logs to the run, by the names of the variables
    model.score(X, y)


@pytest.mark.parametrize("order", [(_mlflow_on, _ours_on), (_ours_on, _mlflow_on), (_mlflow_on, _ours_on, _mlflow_on)])
@pytest.mark.parametrize("in_run", [True, False])
def test_one_run_with_both(here_both: Tracking, order: tuple[Callable[[], None], ...], in_run: bool) -> None:
    data = digits()

    def run_training() -> None:
        if in_run:
            with mlflow.start_run():
                _train(make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=4, random_state=0)), data)
        else:
            _train(make_pipeline(StandardScaler(), MLPClassifier((5,), max_iter=4, random_state=0)), data)

    _mlflow_on()
    run_training()
    alone = only_run(here_both)
    for switch_on in order:
        switch_on()
    run_training()
    _, both = logged(here_both)
    assert {"accuracy_score_X_val", "Pipeline_score_X"} <= set(alone.curves)
    assert set(both.curves) - set(alone.curves) == OURS
    for key, (steps, values) in alone.curves.items():
        assert both.curves[key][0] == steps
        np.testing.assert_array_equal(both.curves[key][1], values)
    assert both.curves["val_loss"][0] == [1, 2, 3, 4]
    assert both.status == "FINISHED"
    assert set(alone.files) <= set(both.files)


def test_what_mlflow_knows_of_a_finished_model_is_not_logged_again(here_both: Tracking) -> None:
    X, y, X_val, y_val = digits()
    _mlflow_on()
    _ours_on()
    with lossacc_mlflow.validation_data(X_val, y_val):
        Ridge().fit(X, y.astype(float))
    assert {key for key in only_run(here_both).curves if not key.startswith("training_")} == {"val_rmse", "val_r2"}


def test_the_logged_model_is_the_plain_one(here_both: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow pickles the model before its own fit returns: nothing of ours may hang on it by then."""
    pickled: list[dict[str, Any]] = []

    def log_model(model: Any, *_: object, **__: object) -> None:  # noqa: ANN401
        pickled.append(dict(vars(model)))

    monkeypatch.setattr(mlflow.sklearn, "log_model", log_model)
    mlflow.sklearn.autolog(log_models=True, log_datasets=False, silent=True, log_model_signatures=False)
    _ours_on()
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        for model in (MLPClassifier((5,), max_iter=3, random_state=0), LogisticRegression(max_iter=200)):
            model.fit(X, y)
            assert pickled[-1].keys() == vars(model).keys() - {"_mlflow_run_id"}
    assert not any(name.startswith("_update") or "callback" in name for attributes in pickled for name in attributes)
    assert all(len(run.curves["val_loss"][0]) > 1 for run in logged(here_both))


def test_a_fit_that_fails_ends_mlflows_run_as_failed_and_makes_none(here_both: Tracking) -> None:
    _mlflow_on()
    _ours_on()
    X, y, *_ = digits()
    with pytest.raises(ValueError, match="number of samples"):
        DecisionTreeClassifier().fit(X, y[:-1])
    assert [run.status for run in logged(here_both)] == ["FAILED"]
    assert mlflow.active_run() is None


def test_fitting_again_on_parts_is_no_training_to_mlflow(here_both: Tracking) -> None:
    _mlflow_on()
    lossacc_mlflow.autolog(by_sample_size=True, diagnose=False)
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        DecisionTreeClassifier(random_state=0).fit(X, y)
    run = only_run(here_both)
    assert len(run.curves["val_accuracy_by_n_samples"][0]) > 3
    assert all(len(steps) == 1 for key, (steps, _) in run.curves.items() if key.startswith("training_"))


def test_a_search_with_both_has_one_parent(here_both: Tracking) -> None:
    _mlflow_on()
    _ours_on()
    X, y, X_val, y_val = digits()
    with lossacc_mlflow.validation_data(X_val, y_val):
        GridSearchCV(LogisticRegression(max_iter=200), {"C": [0.1, 1]}, cv=2).fit(X, y)
    with_curves = [run for run in logged(here_both) if "val_loss" in run.curves]
    assert len(with_curves) == 1
    assert {"cv_results.csv", "lossacc/search.csv"} <= set(with_curves[0].files)
