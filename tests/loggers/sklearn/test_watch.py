"""Steps that only show during the fit, and clones that take fewer of them: each against a fit stopped there."""

import copy
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    PassiveAggressiveClassifier,
    Perceptron,
    PoissonRegressor,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.metrics import accuracy_score, hinge_loss, log_loss, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import LinearSVC

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after, watching

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Class Passive:FutureWarning"
)


def _classes(n_classes: int = 3) -> FitData:
    X, y = make_classification(240, 8, n_informative=5, n_classes=n_classes, flip_y=0.1, random_state=0)
    return FitData(X[:160], y[:160], X[160:], y[160:])


def _numbers() -> FitData:
    X, y = make_regression(240, 8, noise=20.0, random_state=0)
    return FitData(X[:160], np.exp(y[:160] / 200), X[160:], np.exp(y[160:] / 200))


def _seen(model: Any, data: FitData) -> TrainingCurves:  # noqa: ANN401
    with watching(model, data, max_train_rows=None) as watched:
        model.fit(data.X, data.y)
    curves = curves_after(model, data, watched=watched, max_refit_seconds=None)
    assert curves is not None
    return curves


def _assert_is(curves: TrainingCurves, at: int, model: Any, data: FitData) -> None:  # noqa: ANN401
    got = {key: float(value[at]) for key, value in curves.values.items()}
    for split, X, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
        if curves.loss == "rmse":
            assert got[f"{split}_r2"] == pytest.approx(r2_score(y, model.predict(X)), rel=1e-9)
            continue
        assert got[f"{split}_accuracy"] == pytest.approx(accuracy_score(y, model.predict(X)), rel=1e-12)
        if curves.loss == "log_loss":
            assert got[f"{split}_loss"] == pytest.approx(log_loss(y, model.predict_proba(X)), rel=1e-9)
        else:
            assert got[f"{split}_loss"] == pytest.approx(hinge_loss(y, model.decision_function(X)), rel=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: MLPClassifier(6, max_iter=n, random_state=0),
        lambda n: MLPClassifier(6, max_iter=n, solver="sgd", learning_rate="adaptive", random_state=0),
        lambda n: MLPClassifier(6, max_iter=n, solver="lbfgs", random_state=0),
        lambda n: LogisticRegression(max_iter=n),
        lambda n: LogisticRegression(max_iter=n, fit_intercept=False, class_weight="balanced"),
        lambda n: LogisticRegression(max_iter=n, solver="newton-cg"),
        lambda n: LogisticRegression(max_iter=n, solver="saga", random_state=0),
        lambda n: SGDClassifier(max_iter=n, random_state=0),
        lambda n: SGDClassifier(loss="log_loss", average=5, early_stopping=True, max_iter=n, random_state=0),
        lambda n: Perceptron(max_iter=n, random_state=0),
        lambda n: LinearSVC(max_iter=n, random_state=0),
    ],
)
def test_each_step_of_a_classifier_is_a_fit_stopped_there(make: Callable[[int], Any], n_classes: int) -> None:
    data, model = _classes(n_classes), make(14)
    curves = _seen(model, data)
    assert curves.step[-1] == np.max(model.n_iter_)
    assert len(curves) >= 4
    for at, step in enumerate(curves.step.tolist()):
        _assert_is(curves, at, make(step).fit(data.X, data.y), data)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: MLPRegressor(hidden_layer_sizes=6, max_iter=n, random_state=0),
        lambda n: SGDRegressor(max_iter=n, random_state=0),
        lambda n: Lasso(0.0005, max_iter=n),
        lambda n: PoissonRegressor(max_iter=n),
    ],
)
def test_each_step_of_a_regressor_is_a_fit_stopped_there(make: Callable[[int], Any]) -> None:
    data, model = _numbers(), make(14)
    curves = _seen(model, data)
    for at, step in enumerate(curves.step.tolist()):
        _assert_is(curves, at, make(step).fit(data.X, data.y), data)


@pytest.mark.parametrize("kind", [SGDClassifier, PassiveAggressiveClassifier, MLPClassifier])
def test_clones_draw_the_random_numbers_of_the_fit(kind: Any) -> None:  # noqa: ANN401
    """Of the global generator, of one that was passed, and of a seed."""
    data, by_source = _classes(), []
    given = {"solver": "lbfgs", "hidden_layer_sizes": (4,)} if kind is MLPClassifier else {}
    for source in ("global", "generator", "seed"):
        np.random.seed(7)  # noqa: NPY002
        random_state = {"global": None, "generator": np.random.RandomState(7), "seed": 7}[source]
        curves = _seen(kind(max_iter=12, random_state=random_state, **given), data)
        assert "other random numbers" not in curves.note
        by_source.append(curves.values["val_accuracy"].tolist())
    assert by_source[0] == by_source[1] == by_source[2]


def test_without_the_random_numbers_of_the_fit_all_points_are_of_a_clone() -> None:
    data, model = _classes(), SGDClassifier(max_iter=8)
    curves = curves_after(model.fit(data.X, data.y), data)
    assert curves is not None
    assert curves.note == "A clone of the model, fitted again with other random numbers: the model has no random_state."


def test_warm_starts_go_on_from_where_they_were() -> None:
    data, model = _classes(), SGDClassifier(max_iter=6, tol=None, warm_start=True, random_state=0)
    model.fit(data.X, data.y)
    before = copy.deepcopy(model)
    curves = _seen(model, data)
    _assert_is(curves, 1, before.set_params(max_iter=2).fit(data.X, data.y), data)


def test_no_curve_where_fitting_again_takes_too_long() -> None:
    data, model = _classes(), SGDClassifier(max_iter=50, tol=None, random_state=0)
    with watching(model, data) as watched:
        model.fit(data.X, data.y)
    lengths = {}
    for seconds in (0.001, 0.01, 0.7, 0.8, 10.0):  # these twelve points take 2.7 of 50 steps, 1.36 of a fit
        watched.seconds = seconds
        curves = curves_after(model, data, watched=watched, max_refit_seconds=1.0)
        lengths[seconds] = 0 if curves is None else len(curves)
    assert lengths == {0.001: 12, 0.01: 12, 0.7: 0, 0.8: 0, 10.0: 0}


@pytest.mark.parametrize(("n_steps", "n_points"), [(62, 12), (63, 8), (250, 8), (251, 5)])
def test_the_size_of_the_fit_decides_how_many_points_there_are(n_steps: int, n_points: int) -> None:
    """Time does not: the same training shall get the same verdict on a busy machine."""
    X = np.random.default_rng(0).standard_normal((400, 20))
    data = FitData(X, (X[:, 0] > 0).astype(int))
    model = SGDClassifier(max_iter=n_steps, tol=None, random_state=0)
    with watching(model, data) as watched:
        model.fit(data.X, data.y)
    curves = curves_after(model, data, watched=watched, max_refit_seconds=None)
    assert curves is not None
    assert len(curves) == n_points


@pytest.mark.parametrize(
    ("n_steps", "max_seconds", "steps"),
    [
        (251, 60.0, [1, 4, 16, 63, 251]),
        (300, 60.0, [1, 4, 17, 72, 300]),
        (36, 60.0, [1, 2, 6, 36]),
        (36, None, [1, 2, 6, 15, 36]),
        (3, 60.0, [1, 3]),
        (2, 60.0, [1, 2]),
    ],
)
def test_clones_of_a_large_fit_take_at_most_half_its_steps(
    n_steps: int, max_seconds: float | None, steps: list[int]
) -> None:
    X = np.random.default_rng(0).standard_normal((400, 2_600))
    X = X[:, :20] if n_steps > 250 else X
    data = FitData(X, (X[:, 0] > 0).astype(int))
    model = SGDClassifier(max_iter=n_steps, tol=None, random_state=0)
    with watching(model, data) as watched:
        model.fit(data.X, data.y)
    curves = curves_after(model, data, watched=watched, max_refit_seconds=max_seconds)
    assert curves is not None
    assert curves.step.tolist() == steps


def test_long_trainings_are_scored_ever_less_often_and_at_their_end() -> None:
    data, model = _classes(), MLPClassifier(3, max_iter=300, n_iter_no_change=300, random_state=0)
    curves = _seen(model, data)
    assert curves.step[:12].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert curves.step[-1] == 300
    assert 40 <= len(curves) <= 70
    assert np.all(np.diff(curves.step) <= np.maximum(1, curves.step[:-1] / 12 + 1))
    _assert_is(curves, -1, model, data)


def test_early_stopping_tells_which_epoch_was_kept() -> None:
    digits, labels = load_digits(return_X_y=True)
    data = FitData(digits[:300], labels[:300], digits[300:500], labels[300:500])
    model = MLPClassifier(20, early_stopping=True, n_iter_no_change=4, random_state=0)
    curves = _seen(model, data)
    assert curves.kept_step == int(np.argmax(model.validation_scores_)) + 1
    assert curves.step[-1] == model.n_iter_ == len(model.validation_scores_)
    assert curves.note == f"The model that was kept is that of step {curves.kept_step}: early stopping."
    if curves.kept_step in curves.step:
        _assert_is(curves, curves.step.tolist().index(curves.kept_step), model, data)


def test_a_training_that_diverges_shows_it() -> None:
    data = _numbers()
    model = MLPRegressor(solver="sgd", activation="identity", learning_rate_init=10.0, max_iter=60, random_state=0)
    with np.errstate(all="ignore"), watching(model, data) as watched, pytest.raises(ValueError, match="non-finite"):
        model.fit(data.X * 100, data.y)
    assert watched.curves is not None
    assert np.isnan(watched.curves.values["train_rmse"]).any()
    assert "_update_no_improvement_count" not in vars(model)


def test_the_users_callbacks_stay_and_ours_goes() -> None:
    class Counts:
        def __init__(self) -> None:
            self.n_ends = 0

        def setup(self, estimator: Any, context: Any) -> None: ...  # noqa: ANN401

        def teardown(self, estimator: Any, context: Any) -> None: ...  # noqa: ANN401

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...  # noqa: ANN401

        def on_fit_task_end(self, estimator: Any, context: Any) -> None:  # noqa: ANN401, ARG002
            self.n_ends += 1

    data, model, plain, theirs = _classes(), LogisticRegression(), LogisticRegression(), Counts()
    if not hasattr(model, "set_callbacks"):
        return
    model.set_callbacks(theirs)
    mine = model._skl_callbacks
    curves = _seen(model, data)
    assert model._skl_callbacks is mine
    assert mine == [theirs]
    assert theirs.n_ends == curves.step[-1] + 2
    assert joblib.hash(model.set_callbacks()) == joblib.hash(plain.fit(data.X, data.y))


def test_what_goes_wrong_on_our_side_does_not_reach_the_fit() -> None:
    data = _classes()
    for kind in (LogisticRegression, MLPClassifier):
        model = kind(max_iter=3, random_state=0)
        wrong = FitData(data.X, data.y, data.X_val[:, :2], data.y_val)
        with watching(model, wrong) as watched:
            model.fit(data.X, data.y)
        assert joblib.hash(model) == joblib.hash(kind(max_iter=3, random_state=0).fit(data.X, data.y))
        assert watched.curves is not None
        assert set(watched.curves.values) == {"train_loss", "train_accuracy"}
        with pytest.raises(InputError, match=r"have the shape \(80, 2\); wanted are samples of 8 features"):
            curves_after(model, wrong, watched=watched)
