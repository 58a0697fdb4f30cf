"""The accuracy itself falls while training goes on: overfitting, and how a penalty cures it.

Three in ten of the labels that the network learns from and is chosen by are wrong, as careless annotators leave them;
those of the test part are right. Without a penalty the network first learns the digits and then, one by one, the wrong
labels. With an L2 penalty it cannot, and it stays with what most labels agree on.
"""

from collections.abc import Mapping

from sklearn.neural_network import MLPClassifier

from experiments.data import DataSet, load_data, with_noisy_labels
from experiments.job import Expected, run_job
from experiments.models import Recipe, TrainedModel, by_epoch

__all__ = ["EXPECTED", "RECIPES", "main"]


def without_penalty(data: DataSet) -> TrainedModel:
    """Return a network that is free to learn every label by heart."""
    return _train(data, alpha=0)


def with_penalty(data: DataSet) -> TrainedModel:
    """Return the same network, its weights kept small."""
    return _train(data, alpha=0.3)


def _train(data: DataSet, *, alpha: float) -> TrainedModel:
    model = MLPClassifier(128, alpha=alpha, batch_size=64, random_state=0)
    return by_epoch(model, data, n_epochs=200)


RECIPES: Mapping[str, Recipe] = {"no penalty": without_penalty, "L2 penalty": with_penalty}
EXPECTED: Mapping[str, Expected] = {
    "no penalty": Expected("overfitting", ("FIT001", "FIT002", "FIT005", "DIS003", "DIS006")),
    "L2 penalty": Expected("healthy", ("DIS006",)),
}


def main() -> None:
    """Run the job."""
    run_job("overfit", RECIPES, with_noisy_labels(load_data("digits"), 0.3), EXPECTED)


if __name__ == "__main__":
    main()
