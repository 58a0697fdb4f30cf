"""The curves look healthy and the model is useless: it is too simple, which only a baseline shows.

Softmax regression on the digits learns well from all 64 pixels. Given nothing but one number for each image, its
first principal component, it trains as smoothly, to a loss that it cannot get below. No curve can tell that there was
more to be had; the figures of the first model, logged with the second as its baseline, do.
"""

from collections.abc import Mapping
from dataclasses import replace

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from experiments.data import DataSet, load_data
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def all_pixels(data: DataSet) -> TrainedModel:
    """Return the baseline."""
    return by_epoch(LogisticRegression(solver="saga", C=3, random_state=0), data, n_epochs=60)


def one_component(data: DataSet) -> TrainedModel:
    """Return a model that sees too little of each image, with what the baseline reaches."""
    softmax = MLPClassifier((), learning_rate_init=0.01, batch_size=32, random_state=0)
    trained = by_epoch(make_pipeline(PCA(1, whiten=True), softmax), data, n_epochs=100)
    curves = all_pixels(data).curves.values
    return replace(trained, baseline={name: float(curves[f"val_{name}"][-1]) for name in ("accuracy", "loss")})


RECIPES: Mapping[str, Recipe] = {"all pixels": all_pixels, "one component": one_component}
EXPECTED: Mapping[str, Expected] = {
    "all pixels": Expected("healthy"),
    "one component": Expected("underfitting", ("FIT004",)),
}


def main() -> None:
    """Run the job."""
    run_job("underfit", RECIPES, load_data("digits"), EXPECTED)


if __name__ == "__main__":
    main()
