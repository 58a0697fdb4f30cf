"""The experiments train on disjoint data and the same twice over; what they must give is checked when they run."""

import numpy as np
import pytest

from experiments.data import load_data
from experiments.digits import RECIPES, logistic_regression, naive_bayes
from experiments.models import Recipe, by_epoch


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


@pytest.mark.torch
def test_convolutional_network_learns_and_is_reproducible() -> None:
    from experiments.cnn import ConvolutionalNetwork  # noqa: PLC0415  (only where torch is installed)

    assert "convolutional network" in RECIPES
    runs = [by_epoch(ConvolutionalNetwork(), load_data("digits"), n_epochs=3) for _ in range(2)]
    np.testing.assert_array_equal(runs[0].proba["test"], runs[1].proba["test"])
    losses = runs[0].curves.values["val_loss"]
    assert losses[-1] < 0.8 * losses[0] < np.log(10)
