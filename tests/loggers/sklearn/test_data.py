"""Data in every form that scikit-learn takes, and what is left out of them."""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_matrix, csr_array
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.semi_supervised import LabelPropagation, SelfTrainingClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after, leave_out_unseen, watching

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS: list[Callable[[], Any]] = [
    lambda: MLPClassifier(5, max_iter=12, random_state=0),
    lambda: MLPClassifier(5, max_iter=12, early_stopping=True, random_state=0),
    LogisticRegression,
    lambda: LogisticRegression(solver="saga", max_iter=10, random_state=0),
    lambda: SGDClassifier(loss="log_loss", max_iter=10, random_state=0),
    lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
    lambda: AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=5, random_state=0),
    lambda: RandomForestClassifier(n_estimators=5, random_state=0),
    lambda: BaggingClassifier(n_estimators=5, max_features=0.5, random_state=0),
]


def _data() -> FitData:
    X, y = make_classification(200, 8, n_informative=5, n_classes=3, random_state=0)
    return FitData(X[:140], y[:140], X[140:], y[140:])


def _curves(model: Any, data: FitData, **options: Any) -> TrainingCurves:  # noqa: ANN401
    given = {} if data.sample_weight is None else {"sample_weight": data.sample_weight}
    with watching(model, data, max_train_rows=options.get("max_train_rows", 2_000)) as watched:
        model.fit(data.X, data.y, **given)
    # How many points there is time for shall not depend on how busy the machine is.
    curves = curves_after(model, data, watched=watched, max_refit_seconds=None, **options)
    assert curves is not None
    return curves


def _last(curves: TrainingCurves) -> dict[str, float]:
    return {key.removesuffix("_by_n_samples"): float(curve[-1]) for key, curve in curves.values.items()}  # noqa: PD011


def _assert_same(got: TrainingCurves, expected: TrainingCurves) -> None:
    assert got.step.tolist() == expected.step.tolist()
    for key, value in expected.values.items():  # noqa: PD011
        np.testing.assert_allclose(got.values[key], value, rtol=1e-6, err_msg=key)  # noqa: PD011


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("form", ["frame", "csr", "coo", "csc", "list"])
def test_data_come_in_every_form(make: Callable[[], Any], form: str) -> None:
    data = _data()
    if form == "frame":
        names = [f"x{i}" for i in range(8)]
        frames = [pd.DataFrame(x, columns=names).set_index(np.arange(len(x))[::-1]) for x in (data.X, data.X_val)]
        targets = [pd.Series(y, index=np.arange(len(y))[::-1]) for y in (data.y, data.y_val)]
        data = FitData(frames[0], targets[0], frames[1], targets[1])
    elif form == "list":
        data = FitData(*(part.tolist() for part in (data.X, data.y, data.X_val, data.y_val)))
    else:
        sparse = {"csr": csr_array, "coo": coo_array, "csc": csc_matrix}[form]
        data = replace(data, **{name: sparse(np.maximum(getattr(data, name), 0)) for name in ("X", "X_val")})
    model = make()
    curves = _curves(model, data)
    if curves.kept_step is not None:
        return
    for split, X, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
        assert _last(curves)[f"{split}_loss"] == pytest.approx(log_loss(y, model.predict_proba(X)), rel=1e-9)
        assert _last(curves)[f"{split}_accuracy"] == pytest.approx(accuracy_score(y, model.predict(X)))
    part = _curves(make(), data, max_train_rows=90)
    assert "Train scores are those of 90 of 140 training samples." in part.note
    assert _last(part)["val_loss"] == _last(curves)["val_loss"]


@pytest.mark.parametrize("make", KINDS)
def test_train_scores_are_weighted_as_the_fit_was(make: Callable[[], Any]) -> None:
    weight = np.linspace(0.1, 3.0, 140)
    data, model = replace(_data(), sample_weight=weight), make()
    if getattr(model, "early_stopping", False):
        return
    got = _last(_curves(model, data))
    proba = model.predict_proba(data.X)
    assert got["train_loss"] == pytest.approx(log_loss(data.y, proba, sample_weight=weight), rel=1e-9)
    assert got["train_accuracy"] == pytest.approx(accuracy_score(data.y, model.predict(data.X), sample_weight=weight))
    assert got["val_loss"] == pytest.approx(log_loss(data.y_val, model.predict_proba(data.X_val)), rel=1e-9)


def test_weighted_scores_of_numbers() -> None:
    X, y = make_regression(100, 4, noise=3.0, random_state=0)
    weight = np.linspace(0.0, 2.0, 100)
    model = ExtraTreesRegressor(4, max_depth=3, random_state=0)
    curves = _curves(model, FitData(X, y, sample_weight=weight))
    predicted = model.predict(X)
    expected = root_mean_squared_error(y, predicted, sample_weight=weight)
    r2 = r2_score(y, predicted, sample_weight=weight)
    assert _last(curves) == {"train_rmse": pytest.approx(expected), "train_r2": pytest.approx(r2)}


@pytest.mark.parametrize("make", [*KINDS, lambda: HistGradientBoostingClassifier(max_iter=4)])
def test_validation_of_unseen_classes_is_left_out_and_said(make: Callable[[], Any], caplog: Any) -> None:  # noqa: ANN401
    words = np.array(["cat", "dog", "fox"], dtype=object)
    data = _data()
    seen = data.y != 1
    data = FitData(data.X[seen], words[data.y[seen]], data.X_val, words[data.y_val])
    n_unseen = int(np.sum(data.y_val == "dog"))
    curves = _curves(make(), data)
    assert f"{n_unseen} of 60 validation samples have classes that are not in the training data ('dog')" in curves.note
    with caplog.at_level(logging.WARNING, "lossacc_mlflow"):
        known = leave_out_unseen(data)
    (record,) = caplog.records
    assert curves.note.endswith(record.getMessage().removeprefix("lossacc: "))
    assert len(known.y_val) == len(known.X_val) == 60 - n_unseen
    _assert_same(_curves(make(), known), curves)
    assert leave_out_unseen(known) is known
    assert not leave_out_unseen(replace(data, y_val=np.full(60, "owl"))).has_validation


def test_missing_values_where_the_estimator_takes_them() -> None:
    data = _data()
    holes = data.X.copy()
    holes[::7, 2] = np.nan
    for model in (HistGradientBoostingClassifier(max_iter=4), RandomForestClassifier(4, random_state=0)):
        curves = _curves(model, replace(data, X=holes))
        assert _last(curves)["train_loss"] == pytest.approx(log_loss(data.y, model.predict_proba(holes)))


def test_samples_without_a_label_are_not_scored() -> None:
    data = _data()
    y = np.where(np.arange(140) % 2, data.y, -1)
    for model in (SelfTrainingClassifier(GaussianNB()), LabelPropagation(gamma=0.2)):
        curves = _curves(model, replace(data, y=y), by_sample_size=True)
        labelled = y != -1
        expected = accuracy_score(y[labelled], model.predict(data.X[labelled]))
        assert _last(curves)["train_accuracy"] == pytest.approx(expected)


def test_large_data_are_scored_on_a_fixed_stratified_part() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["common", "rare"], [4_900, 100])
    X = rng.normal(size=(5_000, 3)) + (y == "rare")[:, None]
    seen: list[NDArray[Any]] = []

    class Spy(RandomForestClassifier):  # type: ignore[misc]  # scikit-learn has no types
        def _validate_X_predict(self, X: Any) -> Any:  # noqa: ANN401, N802, N803
            seen.append(X)
            return super()._validate_X_predict(X)

    model = Spy(3, max_depth=4, random_state=0).fit(X, y)
    data = FitData(X, y)
    for max_rows in (1_000, 1_000):
        curves = curves_after(model, data, max_train_rows=max_rows)
        assert curves is not None
        assert curves.note == "Train scores are those of 1,000 of 5,000 training samples."
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], seen[1])
    rows = np.searchsorted(X[:, 0], seen[0][:, 0], sorter=np.argsort(X[:, 0]))
    rows = np.argsort(X[:, 0])[rows]
    assert np.sum(y[rows] == "rare") in range(19, 22)


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (
            RandomForestClassifier(2),
            np.zeros((140, 2), dtype=int),
            r"y has the shape \(140, 2\)",
        ),
        (
            RandomForestClassifier(2),
            np.zeros(140, dtype=int),
            "the training data have one class; wanted are",
        ),
        (MLPClassifier(3, max_iter=2), np.arange(280).reshape(140, 2) % 2, "Multi-label and multi-output models"),
    ],
)
def test_what_is_not_supported_is_said_and_the_fit_untouched(model: Any, y: NDArray[Any], message: str) -> None:  # noqa: ANN401
    data = replace(_data(), y=y, X_val=None, y_val=None)
    with watching(model, data) as watched:
        model.fit(data.X, y)
    model.predict(data.X)
    with pytest.raises(InputError, match=message):
        curves_after(model, data, watched=watched)


@pytest.mark.parametrize("columns", [["a", "c", "b"], ["a", "b"]])
def test_columns_of_validation_that_differ_are_told_after_the_fit(columns: list[str]) -> None:
    data = _data()
    frame = pd.DataFrame(data.X[:, :3], columns=["a", "b", "c"])
    model = MLPClassifier(3, max_iter=3, random_state=0)
    wrong = FitData(frame, data.y, pd.DataFrame(data.X_val[:, : len(columns)], columns=columns), data.y_val)
    with watching(model, wrong) as watched:
        model.fit(frame, data.y)
    assert model.n_iter_ == 3
    with pytest.raises(InputError, match=r"the columns 'a', .*; wanted are those of the training data.*'a', 'b', 'c'"):
        curves_after(model, wrong, watched=watched)


def test_a_kernel_cannot_be_taken_apart() -> None:
    data = _data()
    kernel = data.X @ data.X.T
    model = SVC(kernel="precomputed").fit(kernel, data.y)
    with pytest.raises(InputError, match="was fitted on a matrix of kernel values or distances"):
        curves_after(model, FitData(kernel, data.y), by_sample_size=True)
