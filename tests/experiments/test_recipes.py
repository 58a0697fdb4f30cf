"""The experiments train on disjoint data and the same twice over; what they must give is checked when they run."""

from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, hinge_loss, log_loss, zero_one_loss
from sklearn.neural_network import MLPClassifier

from experiments import cats_and_dogs, label_encoding, loss_scale, more_error_better_accuracy
from experiments.data import DataSet, load_data
from experiments.digits import RECIPES, logistic_regression, naive_bayes
from experiments.models import Recipe, by_epoch, by_epoch_with_predictions
from experiments.surrogates import Surrogates, judge_surrogates, plot_surrogates
from lossacc_mlflow import summarize_predictions
from lossacc_mlflow.records import PredictionSummary


def test_splits_are_disjoint_complete_and_stratified() -> None:
    parts = load_data("digits").parts
    rows = np.concatenate([part.sample_id for part in parts.values()])
    assert sorted(rows.tolist()) == list(range(1797))
    for part in parts.values():
        share = np.bincount(part.y) / len(part.y)
        assert share.min() > 0.09
        assert share.max() < 0.11


@pytest.mark.parametrize("recipe", [logistic_regression, naive_bayes])
def test_training_twice_gives_the_same(recipe: Recipe) -> None:
    first, second = recipe(load_data("digits")), recipe(load_data("digits"))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(first.proba[split], second.proba[split])
    for key, values in first.curves.values.items():
        np.testing.assert_array_equal(values, second.curves.values[key])


def test_predictions_by_step_leave_the_training_as_it_is() -> None:
    data = load_data("wine")
    plain = by_epoch(MLPClassifier(4, random_state=0), data, n_epochs=6)
    kept = by_epoch_with_predictions(MLPClassifier(4, random_state=0), data, n_epochs=6, every=2)
    for key, values in plain.curves.values.items():
        np.testing.assert_array_equal(values, kept.curves.values[key])
    assert list(kept.proba_by_step) == [2, 4, 6]
    np.testing.assert_array_equal(kept.proba_by_step[6], plain.proba["validation"])
    assert not np.array_equal(kept.proba_by_step[2], kept.proba_by_step[4])


def _answers(module: ModuleType, data: DataSet) -> list[PredictionSummary]:
    return [
        summarize_predictions(data.parts["validation"].y, recipe(data).proba["validation"])
        for recipe in module.RECIPES.values()
    ]


def test_cats_and_dogs_are_what_the_page_says() -> None:
    sure, unsure = _answers(cats_and_dogs, cats_and_dogs.ANIMALS)
    assert (sure.accuracy, unsure.accuracy) == (0.80, 0.95)
    assert sure.log_loss == pytest.approx(-0.8 * np.log(0.97) - 0.2 * np.log(0.45))
    assert unsure.log_loss == pytest.approx(-0.95 * np.log(0.6) - 0.05 * np.log(0.001))
    assert unsure.log_loss > 4 * sure.log_loss


def test_less_error_has_the_worse_accuracy_by_the_log_loss_and_by_the_square() -> None:
    right, barely, badly = _answers(more_error_better_accuracy, more_error_better_accuracy.QUESTIONS)
    assert (right.accuracy, barely.accuracy, badly.accuracy) == (1.0, 0.8, 0.8)
    assert right.log_loss > barely.log_loss
    assert right.brier > badly.brier > barely.brier
    assert right.log_loss < badly.log_loss


def test_a_loss_grows_with_the_square_of_the_unit_and_what_is_explained_does_not() -> None:
    small, large = (recipe(loss_scale.pixels(n_samples=300)) for recipe in loss_scale.RECIPES.values())
    np.testing.assert_allclose(large.curves.values["val_loss"], 255**2 * small.curves.values["val_loss"], rtol=1e-8)
    np.testing.assert_allclose(large.curves.values["val_r2"], small.curves.values["val_r2"], rtol=1e-8)


def test_accuracies_that_cannot_be_come_from_one_model() -> None:
    data = label_encoding.first_digits()
    per_four, percent = (
        recipe(data).curves.values["val_accuracy"] for recipe in list(label_encoding.RECIPES.values())[:2]
    )
    np.testing.assert_allclose(percent, 25 * per_four)
    assert 3.8 < per_four[-1] <= 4


def test_surrogates_are_those_of_scikit_learn_and_stay_above_the_errors() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 200), rng.uniform(0.01, 0.99, 200)
    judged = judge_surrogates(np.where(y == 1, p, 1 - p))
    assert judged.zero_one == pytest.approx(zero_one_loss(y, p > 0.5))
    assert judged.hinge == pytest.approx(hinge_loss(y, np.log(p / (1 - p))))
    assert judged.log_loss == pytest.approx(log_loss(y, p))
    assert judged.brier == pytest.approx(brier_score_loss(y, p))
    assert min(judged.hinge, judged.log_loss / np.log(2), 4 * judged.brier) >= judged.zero_one


def test_picture_of_surrogates_shows_each_model_by_each_loss() -> None:
    models = {"a": Surrogates(0.1, 0.3, 0.25, 0.07), "b": Surrogates(0.05, 0.2, 0.2, 0.05)}
    panels = plot_surrogates(models).axes
    assert len(panels) == 3
    for axes, field in zip(panels, ("hinge", "log_loss", "brier"), strict=True):
        points = [np.asarray(line.get_xydata()) for line in axes.lines if line.get_marker() not in ("None", "")]
        np.testing.assert_array_equal(
            np.concatenate(points), [(m.zero_one, getattr(m, field)) for m in models.values()]
        )


@pytest.mark.frameworks
def test_convolutional_network_learns_and_is_reproducible() -> None:
    from experiments.cnn import ConvolutionalNetwork  # noqa: PLC0415  (only where torch is installed)

    assert "convolutional network" in RECIPES
    runs = [by_epoch(ConvolutionalNetwork(), load_data("digits"), n_epochs=3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].proba["test"], runs[1].proba["test"])
    losses = runs[0].curves.values["val_loss"]
    assert losses[-1] < 0.8 * losses[0] < np.log(10)
