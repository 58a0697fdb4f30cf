"""Each scikit-learn classifier and regressor gets the curve that its recipe says."""

import copy
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hinge_loss, log_loss, r2_score, root_mean_squared_error

from lossacc_mlflow.loggers.sklearn import FitData, TrainingCurves, curves_after, recipe_for, watching
from tests.loggers.sklearn.every import EVERY, Case, data_for

pytestmark = pytest.mark.filterwarnings("ignore:::sklearn", "ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_curve_is_what_the_recipe_says(case: Case) -> None:
    data, model = data_for(case), case.make()
    recipe = recipe_for(model)
    if "Several targets" in recipe.why:
        return
    with watching(model, data) as watched:
        model.fit(data.X, data.y)
    before = joblib.hash(model)
    curves = curves_after(model, data, watched=watched, by_sample_size=True)
    if "Neighbors" not in case.name and "Label" not in case.name:  # whose search trees count how often they were asked
        assert joblib.hash(model) == before
    assert (watched.curves is not None) == (recipe.source == "during fit")
    assert watched.error is None
    if recipe.source == "none":
        assert curves is None
        return
    assert curves is not None
    assert (curves.step_unit, curves.loss) == (recipe.step_unit, recipe.loss)
    names = ["rmse", "r2"] if not case.is_classifier else ["accuracy"] if recipe.loss is None else ["loss", "accuracy"]
    by = "_by_n_samples" if recipe.source == "by sample size" else ""
    assert list(curves.values) == [f"{split}_{name}{by}" for split in ("train", "val") for name in names]
    assert len(curves) >= 2
    assert all(len(value) == len(curves) and np.isfinite(value).all() for value in curves.values.values())
    assert (curves_after(model, data) is None) == (recipe.source == "by sample size")
    _assert_last_is_scikit_learns(curves, model, data)


def _assert_last_is_scikit_learns(curves: TrainingCurves, model: Any, data: FitData) -> None:  # noqa: ANN401
    got = {key.removesuffix("_by_n_samples"): value[-1] for key, value in curves.values.items()}
    for split, x, y in (("train", data.X, data.y), ("val", data.X_val, data.y_val)):
        if curves.loss == "rmse":
            predicted = np.ravel(model.predict(x))
            assert got[f"{split}_rmse"] == pytest.approx(root_mean_squared_error(y, predicted), rel=1e-9)
            assert got[f"{split}_r2"] == pytest.approx(r2_score(y, predicted), rel=1e-9)
            continue
        assert got[f"{split}_accuracy"] == pytest.approx(accuracy_score(y, model.predict(x)), rel=1e-12)
        if curves.loss == "log_loss":
            loss = log_loss(y, model.predict_proba(x), labels=model.classes_)
        elif curves.loss == "hinge":
            loss = hinge_loss(y, model.decision_function(x), labels=model.classes_)
        else:
            continue
        assert got[f"{split}_loss"] == pytest.approx(loss, rel=1e-9)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_watched_fit_is_the_same_fit(case: Case) -> None:
    data, plain = data_for(case), case.make()
    if "Several targets" in recipe_for(plain).why:
        return
    model = copy.deepcopy(plain)
    if "random_state" in model.get_params():
        for one in (plain, model):
            one.set_params(random_state=np.random.RandomState(1))
    np.random.seed(3)  # noqa: NPY002
    plain.fit(data.X, data.y)
    drawn = np.random.get_state(legacy=False)["state"]["pos"]  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    with watching(model, data) as watched:
        model.fit(data.X, data.y)
    curves_after(model, data, watched=watched)
    assert np.random.get_state(legacy=False)["state"]["pos"] == drawn  # noqa: NPY002
    np.testing.assert_array_equal(model.predict(data.X_val), plain.predict(data.X_val))
    assert vars(model).keys() == vars(plain).keys()
    assert joblib.hash(model) == joblib.hash(plain)
