"""Every step's scores against scikit-learn's own metrics on a model of exactly that step."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from lossacc_mlflow.errors import InputError
from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after, fit_by_epoch

Array = NDArray[Any]
Data = tuple[Array, Array, Array, Array]


def _digits(labels: str = "numbers") -> Data:
    """600 digits as (x, y, x_val, y_val)."""
    x, y = load_digits(return_X_y=True)
    x, y = x[:600] / 16, y[:600]
    if labels == "words":
        # Alphabetical order is not numerical order: a column mix-up shows.
        y = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
    x, x_val, y, y_val = train_test_split(x, y, stratify=y, random_state=0)
    return x, y, x_val, y_val


def _all_steps(model: Any, data: Data, **options: Any) -> TrainingCurves:  # noqa: ANN401
    curves = curves_after(model, FitData(*data), max_steps=None, max_train_rows=None, **options)
    assert curves is not None
    return curves


def _assert_scores(curves: TrainingCurves, at: int, model: Any, data: Data) -> None:  # noqa: ANN401
    """The curves at one index are scikit-learn's scores of the model."""
    got = {key.removesuffix("_by_n_samples"): value[at] for key, value in curves.values.items()}
    assert set(got) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
    for split, x, y in (("train", *data[:2]), ("val", *data[2:])):
        loss = log_loss(y, model.predict_proba(x), labels=model.classes_)
        assert got[f"{split}_loss"] == pytest.approx(loss, rel=1e-12)
        assert got[f"{split}_accuracy"] == accuracy_score(y, model.predict(x))


@pytest.mark.parametrize("labels", ["numbers", "words"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: MLPClassifier(20, random_state=0),
        lambda: make_pipeline(StandardScaler(), MLPClassifier(20, random_state=0)),
        lambda: SGDClassifier(loss="log_loss", random_state=0),
        GaussianNB,
    ],
)
def test_epochs_are_those_of_partial_fit(make: Callable[[], Any], labels: str) -> None:
    data = _digits(labels)
    model = make()
    curves = fit_by_epoch(model, *data, n_epochs=4)
    assert curves.step.tolist() == [1, 2, 3, 4]
    assert curves.step_unit == "epoch"
    _assert_scores(curves, -1, model, data)
    shorter = make()
    fit_by_epoch(shorter, *data, n_epochs=2)
    _assert_scores(curves, 1, shorter, data)


def test_logistic_regression_by_epoch_reaches_the_optimum() -> None:
    data = _digits()
    model = LogisticRegression(solver="newton-cg")
    curves = fit_by_epoch(model, *data, n_epochs=25)
    _assert_scores(curves, -1, model, data)
    optimum = LogisticRegression(solver="newton-cg", tol=1e-8, max_iter=500).fit(*data[:2])
    np.testing.assert_allclose(model.predict_proba(data[2]), optimum.predict_proba(data[2]), atol=1e-3)


@pytest.mark.parametrize(
    "model",
    [
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5, random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=3, random_state=0), n_estimators=5, random_state=0),
    ],
)
def test_iterations_are_models_stopped_there(model: Any) -> None:  # noqa: ANN401
    data = _digits("words")
    model.fit(*data[:2])
    curves = _all_steps(model, data)
    assert curves.step.tolist() == [1, 2, 3, 4, 5]
    assert curves.step_unit == "iteration"
    _assert_scores(curves, -1, model, data)
    key = "max_iter" if isinstance(model, HistGradientBoostingClassifier) else "n_estimators"
    shorter = model.__class__(**{**model.get_params(deep=False), key: 2}).fit(*data[:2])
    _assert_scores(curves, 1, shorter, data)


@pytest.mark.parametrize("kind", [RandomForestClassifier, ExtraTreesClassifier])
def test_tree_prefixes_are_smaller_forests(kind: Any) -> None:  # noqa: ANN401
    data = _digits("words")
    forest = kind(n_estimators=8, random_state=0).fit(*data[:2])
    curves = _all_steps(forest, data)
    assert curves.step_unit == "n_estimators"
    _assert_scores(curves, -1, forest, data)
    _assert_scores(curves, 2, kind(n_estimators=3, random_state=0).fit(*data[:2]), data)


def test_sample_sizes_are_nested_stratified_and_end_with_all_data() -> None:
    x, y, x_val, y_val = _digits("words")
    seen: list[tuple[Array, Array]] = []

    class Spy(GaussianNB):  # type: ignore[misc]  # scikit-learn has no types
        def fit(self, x: Array, y: Array) -> "Spy":
            seen.append((x, y))
            super().fit(x, y)
            return self

    model = Spy(var_smoothing=1e-3).fit(x, y)
    seen.clear()
    curves = _all_steps(model, (x, y, x_val, y_val), by_sample_size=True)
    seen.append((x, y))
    assert curves.step_unit == "n_samples"
    assert all(key.endswith("_by_n_samples") for key in curves.values)
    assert curves.step.tolist() == [len(part) for _, part in seen]
    assert (curves.step[0], curves.step[-1]) == (len(y) // 10, len(y))
    for (small, _), (large, _) in pairwise(seen[:-1]):
        np.testing.assert_array_equal(large[: len(small)], small)
    shares = np.unique(y, return_counts=True)[1] / len(y)
    for _, part in seen:
        assert np.all(np.abs(np.unique(part, return_counts=True)[1] - shares * len(part)) <= 1)
    _assert_scores(curves, -1, model, (x, y, x_val, y_val))
    _assert_scores(curves, 0, GaussianNB(var_smoothing=1e-3).fit(*seen[0]), (*seen[0], x_val, y_val))


def test_sample_sizes_of_a_calibrated_svc() -> None:
    data = _digits()
    model = CalibratedClassifierCV(SVC(gamma=0.02), ensemble=False).fit(*data[:2])
    curves = _all_steps(model, data, by_sample_size=True, sizes=[100, 450])
    _assert_scores(curves, -1, model, data)
    assert curves.values["val_loss_by_n_samples"][1] < curves.values["val_loss_by_n_samples"][0]


def test_certain_errors_cost_scikit_learns_clip() -> None:
    x, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(1, bootstrap=False, random_state=0).fit(x[::2], y[::2])
    curves = _all_steps(forest, (x[::2], y[::2], x[1::2], y[1::2]))
    errors = 1 - curves.values["val_accuracy"][0]
    assert errors > 0
    assert curves.values["val_loss"][0] == pytest.approx(errors * -np.log(np.finfo(np.float64).eps))
    assert curves.values["train_loss"][0] == pytest.approx(0, abs=1e-15)


def test_labels_known_only_from_classes() -> None:
    x, y, x_val, y_val = _digits()
    keep = y != 3
    model = MLPClassifier(20, random_state=0)
    curves = fit_by_epoch(model, x[keep], y[keep], x_val, y_val, n_epochs=1, classes=np.arange(10))
    _assert_scores(curves, 0, model, (x[keep], y[keep], x_val, y_val))
    with pytest.raises(InputError, match=r"y_val has labels that the estimator does not know: 3; it knows 0, 1"):
        fit_by_epoch(MLPClassifier(20), x[keep], y[keep], x_val, y_val, n_epochs=1)


def test_no_probability_no_score() -> None:
    """NaN is passed on: argmax would make it an accuracy."""

    class Diverged(GaussianNB):  # type: ignore[misc]  # scikit-learn has no types
        def predict_proba(self, x: Array) -> Array:
            return np.full((len(x), 10), np.nan)

    curves = fit_by_epoch(Diverged(), *_digits(), n_epochs=1)
    assert all(np.isnan(value).all() for value in curves.values.values())


def test_curves_cannot_be_changed() -> None:
    values = {"val_loss": np.ones(2)}
    curves = TrainingCurves(values, np.array([1, 2]), "epoch")
    values["val_loss"][0] = 7
    assert curves.values["val_loss"][0] == 1
    with pytest.raises(ValueError, match="read-only"):
        curves.step[0] = 7


def _by_size(data: Data, sizes: list[int]) -> TrainingCurves:
    return _all_steps(GaussianNB().fit(*data[:2]), data, by_sample_size=True, sizes=sizes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: fit_by_epoch(GaussianNB(), *d, n_epochs=0), "n_epochs must be at least 1; it is 0"),
        (
            lambda d: fit_by_epoch(DecisionTreeClassifier(), *d, n_epochs=2),
            "DecisionTreeClassifier cannot be trained by",
        ),
        (lambda d: _by_size(d, []), r"sizes must increase .* they are \[\]"),
        (lambda d: _by_size(d, [100, 100]), "sizes must increase"),
        (lambda d: _by_size(d, [100, 451]), "at most 450 samples"),
        (lambda d: _by_size(d, [5, 450]), "5 samples, lacks the classes"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(call: Callable[[Data], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(_digits())
